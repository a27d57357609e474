//! Products of bfloat16 by the dot product of pairs that some processors have (AVX512-BF16), and the conversions around them.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

use crate::panels::{Out, even_blocks};
use crate::simd::vectorized;

/// Most rows of a block: their sums and a line of the panel fill the registers.
const MOST_ROWS: usize = 12;

/// Left-hand sides of pairs: `[inner / 2, rows of the block]` for each block of rows.
#[derive(Debug)]
pub(crate) struct Pairs {
    data: Vec<u32>,
    /// Half of the inner dimension, rounded up.
    inner: usize,
    /// Number of rows in each block.
    pub(crate) blocks: Vec<usize>,
}

/// The nearest bfloat16, ties to even. Infinities stay, and what is not a number stays so.
#[inline(always)]
pub(crate) fn rounded(x: f32) -> f32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    // Rounding could carry a NaN's bits into an infinity.
    let quiet = bits & 0xffff_0000 | 0x0040_0000;
    f32::from_bits(if x.is_nan() { quiet } else { nearest })
}

/// Two values, rounded; the first in the lower half.
#[inline(always)]
pub(crate) fn pair(values: [f32; 2]) -> u32 {
    let [low, high] = values.map(|x| rounded(x).to_bits());
    low >> 16 | high
}

/// Whether this processor multiplies pairs faster than `f32`. Intel's that have the instruction start one only every few
/// cycles: there, `vdpbf16ps` gives half the rate of `f32` products, and widening the weights in registers is faster. On AMD's
/// it gives twice that rate (docs/PERFORMANCE.md).
pub(crate) fn is_fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        // Asked once: a virtual machine leaves the processor to its host to name the maker.
        static FAST: LazyLock<bool> = LazyLock::new(|| x86::is_there() && x86::is_amd());
        *FAST
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

impl Pairs {
    /// Rounds rows of `inner` values. If that is odd, they get a 0 at the end.
    pub(crate) fn of_rows(rows: &[f32], inner: usize) -> Self {
        let (count, inner_pairs) = (rows.len() / inner, inner.div_ceil(2));
        let blocks: Vec<usize> = even_blocks(count, MOST_ROWS).collect();
        let mut data = vec![0; count * inner_pairs];
        join(&mut data, rows, inner, &blocks);
        Self { data, inner: inner_pairs, blocks }
    }

    /// Multiplies all rows by one panel of pairs. Must only be called if [`is_fast`].
    pub(crate) fn times(&self, panel: &[u32], to: Out<'_>) {
        #[cfg(target_arch = "x86_64")]
        x86::times(self, panel, to);
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!(
            "{} times {} into {}: not on this processor",
            self.inner,
            panel.len(),
            to.width
        );
    }
}

vectorized! {
    /// Writes rows of `inner` values as pairs, block by block.
    fn join(to: &'a mut [u32], rows: &'a [f32], inner: usize, blocks: &'a [usize]) {
        /// Pairs that are rounded at once, before they go to their places.
        const BUFFER: usize = 64;
        let mut buffer = [0; BUFFER];
        let (mut to, mut rows) = (to, rows);
        for &block in blocks {
            let (block_to, rest) = to.split_at_mut(block * inner.div_ceil(2));
            to = rest;
            for (row, values) in rows[..block * inner].chunks_exact(inner).enumerate() {
                for (index, values) in values.chunks(2 * BUFFER).enumerate() {
                    let (pairs, odd) = values.as_chunks();
                    for (word, &values) in buffer.iter_mut().zip(pairs) {
                        *word = pair(values);
                    }
                    if let [last] = odd {
                        buffer[pairs.len()] = pair([*last, 0.0]);
                    }
                    let slots = block_to[index * BUFFER * block + row..].iter_mut().step_by(block);
                    let count = pairs.len() + odd.len();
                    slots.zip(&buffer[..count]).for_each(|(slot, &word)| *slot = word);
                }
            }
            rows = &rows[block * inner..];
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __cpuid, __m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512,
        _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::Pairs;
    use crate::panels::{Out, PANEL, of_rows};

    pub(super) fn is_there() -> bool {
        std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512bf16")
    }

    pub(super) fn is_amd() -> bool {
        let name = __cpuid(0);
        [name.ebx, name.edx, name.ecx].map(u32::to_le_bytes).concat() == b"AuthenticAMD"
    }

    #[expect(unsafe_code, reason = "the instruction exists only on some processors")]
    pub(super) fn times(left: &Pairs, panel: &[u32], to: Out<'_>) {
        assert!(is_there(), "this processor has no dot product of pairs");
        // SAFETY: the line above has checked that the processor has both.
        unsafe { blocks(left, panel, to) }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn blocks(left: &Pairs, panel: &[u32], to: Out<'_>) {
        let Out { data, stride, from, width } = to;
        let (mut rows, mut out) = (left.data.as_slice(), data);
        for &block in &left.blocks {
            let (block_rows, rest) = rows.split_at(block * left.inner);
            let (block_out, out_rest) = out.split_at_mut(block * stride);
            let to = Out { data: block_out, stride, from, width };
            of_rows!(block, fill::<ROWS>(block_rows, panel, to));
            (rows, out) = (rest, out_rest);
        }
    }

    /// Multiplies one block of rows by a panel.
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn fill<const ROWS: usize>(rows: &[u32], panel: &[u32], to: Out<'_>) {
        let mut sums: [[__m512; 2]; ROWS] = [[_mm512_setzero_ps(); 2]; ROWS];
        let (rows, _) = rows.as_chunks::<ROWS>();
        let (panel, _) = panel.as_chunks::<PANEL>();
        for (rows, line) in rows.iter().zip(panel) {
            let line = pairs(line);
            for (sums, &row) in sums.iter_mut().zip(rows) {
                let row = of_words(_mm512_set1_epi32(row.cast_signed()));
                for (sum, pairs) in sums.iter_mut().zip(line) {
                    *sum = _mm512_dpbf16_ps(*sum, row, pairs);
                }
            }
        }
        let Out { data, stride, from, width } = to;
        for (sums, row) in sums.iter().zip(data.chunks_exact_mut(stride)) {
            let row = &mut row[from..from + width];
            if width == PANEL {
                store(sums, row);
            } else {
                // The last columns of a result may not fill the registers.
                let mut line = [0.0; PANEL];
                store(sums, &mut line);
                row.copy_from_slice(&line[..width]);
            }
        }
    }

    #[expect(unsafe_code, reason = "registers are loaded through a pointer")]
    #[expect(clippy::cast_ptr_alignment, reason = "the load needs no alignment")]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn pairs(line: &[u32; PANEL]) -> [__m512bh; 2] {
        let at = line.as_ptr().cast::<__m512i>();
        // SAFETY: a line is two registers of 16 words.
        unsafe { [of_words(_mm512_loadu_si512(at)), of_words(_mm512_loadu_si512(at.add(1)))] }
    }

    #[expect(unsafe_code, reason = "the types differ only in name")]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn of_words(words: __m512i) -> __m512bh {
        // SAFETY: both are 512 bits, and any bits are valid in either.
        unsafe { std::mem::transmute(words) }
    }

    #[expect(unsafe_code, reason = "registers are stored through a pointer")]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn store(sums: &[__m512; 2], row: &mut [f32]) {
        let row = &mut row[..PANEL];
        // SAFETY: the row has room for two registers of 16 values; the store needs no alignment.
        unsafe {
            _mm512_storeu_ps(row.as_mut_ptr(), sums[0]);
            _mm512_storeu_ps(row.as_mut_ptr().add(PANEL / 2), sums[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_the_nearest_and_ties_to_even() {
        let one = 1.0_f32.to_bits();
        let cases = [
            (one, one),
            (one + 0x7fff, one),
            (one + 0x8000, one),
            (one + 0x1_8000, one + 0x2_0000),
            (one + 0x8001, one + 0x1_0000),
            (f32::MAX.to_bits(), f32::INFINITY.to_bits()),
            (f32::NEG_INFINITY.to_bits(), f32::NEG_INFINITY.to_bits()),
        ];
        for (from, to) in cases {
            assert_eq!(rounded(f32::from_bits(from)).to_bits(), to, "{from:x}");
        }
        for nan in [0x7f80_0001, 0x7fff_ffff, 0xffc0_0000] {
            assert!(rounded(f32::from_bits(nan)).is_nan(), "{nan:x}");
        }
        assert_eq!(pair([1.0, -2.0]), 0xc000_3f80);
    }

    /// Only where the instruction exists, whether or not it is the fast one there.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_dot_product_of_pairs_is_the_sum_of_products() {
        use crate::panels::PANEL;
        if !x86::is_there() {
            return;
        }
        let (inner, rows, width) = (17, 29, 30);
        let values = |count: usize| (0..count).map(|i| ((i * 37) % 101) as f32 / 8.0 - 6.0);
        let left: Vec<f32> = values(rows * inner).collect();
        let mut panel: Vec<f32> = values(inner * PANEL).collect();
        panel.resize((inner + 1) * PANEL, 0.0);
        let joined = |k: usize, c: usize| pair([0, 1].map(|i| panel[(2 * k + i) * PANEL + c]));
        let joined: Vec<u32> = (0..inner.div_ceil(2))
            .flat_map(|k| (0..PANEL).map(move |c| (k, c)))
            .map(|(k, c)| joined(k, c))
            .collect();
        let mut out = vec![f32::NAN; rows * 40];
        let to = Out { data: &mut out, stride: 40, from: 3, width };
        Pairs::of_rows(&left, inner).times(&joined, to);
        for (row, out) in left.chunks(inner).zip(out.chunks(40)) {
            for (column, sum) in out[3..3 + width].iter().enumerate() {
                let exact: f32 = (0..inner).map(|k| row[k] * panel[k * PANEL + column]).sum();
                assert!((sum - exact).abs() < 1e-3, "{sum} is not {exact}");
            }
            assert!(out[..3].iter().chain(&out[3 + width..]).all(|x| x.is_nan()));
        }
    }
}
