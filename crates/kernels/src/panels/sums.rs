//! The sums of a block of rows, in registers.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use half::bf16;
use pulp::Simd;

use super::{Lines, Out, PANEL, SPARE};

/// A type of stored values.
pub(crate) trait Value: Copy {
    /// Loads the first `REGISTERS` registers of values, as `f32`.
    fn line<S: Simd, const REGISTERS: usize>(values: &[Self]) -> [S::f32s; REGISTERS];
}

impl Value for f32 {
    #[inline(always)]
    fn line<S: Simd, const REGISTERS: usize>(values: &[Self]) -> [S::f32s; REGISTERS] {
        let (registers, _) = S::as_simd_f32s(&values[..REGISTERS * S::F32_LANES]);
        let mut line = [registers[0]; REGISTERS];
        line.copy_from_slice(registers);
        line
    }
}

impl Value for bf16 {
    #[inline(always)]
    fn line<S: Simd, const REGISTERS: usize>(values: &[Self]) -> [S::f32s; REGISTERS] {
        let mut line = [0.0; SPARE];
        let line = &mut line[..REGISTERS * S::F32_LANES];
        for (x, value) in line.iter_mut().zip(&values[..REGISTERS * S::F32_LANES]) {
            *x = f32::from_bits(u32::from(value.to_bits()) << 16);
        }
        f32::line::<S, REGISTERS>(line)
    }
}

/// A panel of pairs of bfloat16, and what to fetch meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Pairs<'a> {
    pub(super) panel: &'a [u32],
    pub(super) next: &'a [u32],
}

/// Multiplies one block of rows by `REGISTERS` registers of every line.
#[inline(always)]
pub(super) fn fill<S: Simd, T: Value, const ROWS: usize, const REGISTERS: usize>(
    simd: S,
    rows: &[f32],
    lines: Lines<'_, T>,
    to: Out<'_>,
    add: bool,
) {
    let mut sums = [[simd.splat_f32s(0.0); REGISTERS]; ROWS];
    let Out { data, stride, from, width } = to;
    let long = REGISTERS * S::F32_LANES;
    // Continued from earlier pieces: the order of a sum must not depend on where the right-hand side is split.
    if add {
        for (sums, row) in sums.iter_mut().zip(data.chunks_exact(stride)) {
            let mut line = [0.0; SPARE];
            // The last columns of a result may not fill the registers; those go through a buffer.
            let (slots, _) = S::as_simd_f32s(if width == long {
                &row[from..from + long]
            } else {
                line[..width].copy_from_slice(&row[from..from + width]);
                &line[..long]
            });
            sums.copy_from_slice(slots);
        }
    }
    let sums = add_lines(simd, sums, rows, lines);
    for (sums, row) in sums.iter().zip(data.chunks_exact_mut(stride)) {
        if width == long {
            let (slots, _) = S::as_mut_simd_f32s(&mut row[from..from + long]);
            slots.copy_from_slice(sums);
        } else {
            let mut line = [0.0; SPARE];
            let (slots, _) = S::as_mut_simd_f32s(&mut line[..long]);
            slots.copy_from_slice(sums);
            row[from..from + width].copy_from_slice(&line[..width]);
        }
    }
}

/// Adds the products of a block of rows with lines to sums. The loops have sums of their own: those of the caller, which it
/// reads and writes row by row, would be stored at every line, and attention took twice as long (docs/PERFORMANCE.md).
#[inline(always)]
fn add_lines<S: Simd, T: Value, const ROWS: usize, const REGISTERS: usize>(
    simd: S,
    sums: [[S::f32s; REGISTERS]; ROWS],
    rows: &[f32],
    lines: Lines<'_, T>,
) -> [[S::f32s; REGISTERS]; ROWS] {
    let long = REGISTERS * S::F32_LANES;
    let (rows, _) = rows.as_chunks::<ROWS>();
    let mut own = sums;
    if lines.stride == long {
        for (rows, line) in rows.iter().zip(lines.data.chunks_exact(long)) {
            add_line(simd, &mut own, rows, &T::line::<S, REGISTERS>(line));
        }
    } else {
        let (mut at, mut rest) = (rows.iter(), lines.data);
        while let Some(rows) = at.next()
            && let Some((line, _)) = rest.split_at_checked(long)
        {
            add_line(simd, &mut own, rows, &T::line::<S, REGISTERS>(line));
            rest = rest.get(lines.stride..).unwrap_or_default();
        }
    }
    own
}

/// Asks for one line of pairs to be brought to the second-level cache, and returns the rest.
#[inline(always)]
fn fetch(words: &[u32]) -> &[u32] {
    let Some((line, rest)) = words.split_first_chunk::<PANEL>() else { return words };
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        let (first, second) = line.split_at(PANEL / 2);
        for half in [first, second] {
            #[expect(unsafe_code, reason = "the instruction takes a pointer")]
            // SAFETY: it changes nothing but the caches, whatever the address; this one is within the slice.
            unsafe {
                _mm_prefetch::<_MM_HINT_T1>(half.as_ptr().cast());
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
    rest
}

/// Multiplies one block of rows by the pairs of a panel, and stores the product in rows of [`PANEL`] values. A bfloat16 is
/// the upper half of an `f32`, so the first value of a pair is widened by a shift and the second by clearing the first.
#[inline(always)]
pub(super) fn widen<S: Simd, const ROWS: usize, const REGISTERS: usize>(
    simd: S,
    rows: &[f32],
    pairs: Pairs<'_>,
    out: &mut [f32],
) {
    let mut sums = [[simd.splat_f32s(0.0); REGISTERS]; ROWS];
    let (half, upper) = (simd.splat_u32s(16), simd.splat_u32s(0xffff_0000));
    let (rows, _) = rows.as_chunks::<ROWS>();
    let (rows, _) = rows.as_chunks::<2>();
    let (panel, _) = S::as_simd_u32s(pairs.panel);
    let (panel, _) = panel.as_chunks::<REGISTERS>();
    let mut next = pairs.next;
    for ([first, second], pairs) in rows.iter().zip(panel) {
        next = fetch(next);
        // Loops, not closures, which are not always compiled for these registers.
        let mut line = [simd.splat_f32s(0.0); REGISTERS];
        for (x, &pairs) in line.iter_mut().zip(pairs) {
            *x = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(pairs, half));
        }
        add_line(simd, &mut sums, first, &line);
        for (x, &pairs) in line.iter_mut().zip(pairs) {
            *x = simd.transmute_f32s_u32s(simd.and_u32s(pairs, upper));
        }
        add_line(simd, &mut sums, second, &line);
    }
    for (sums, row) in sums.iter().zip(out.chunks_exact_mut(PANEL)) {
        let (slots, _) = S::as_mut_simd_f32s(row);
        slots.copy_from_slice(sums);
    }
}

// The sums are borrowed: passed by value they stayed in memory, which made products five times slower (docs/PERFORMANCE.md).
#[inline(always)]
fn add_line<S: Simd, const ROWS: usize, const REGISTERS: usize>(
    simd: S,
    sums: &mut [[S::f32s; REGISTERS]; ROWS],
    rows: &[f32; ROWS],
    line: &[S::f32s; REGISTERS],
) {
    for (sums, &x) in sums.iter_mut().zip(rows) {
        let x = simd.splat_f32s(x);
        for (sum, &w) in sums.iter_mut().zip(line) {
            // Fused only where the processor can do it, so another kind of CPU may round differently.
            *sum = simd.mul_add_e_f32s(x, w, *sum);
        }
    }
}
