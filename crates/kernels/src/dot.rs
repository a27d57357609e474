//! Products of bfloat16 by the dot product of pairs that some processors have (AVX512-BF16), and the conversions around them.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

use half::bf16;

use crate::panels::{Out, even_blocks, split_blocks};

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

/// The nearest bfloat16.
#[inline(always)]
pub(crate) fn short(x: f32) -> bf16 {
    bf16::from_bits((rounded(x).to_bits() >> 16) as u16)
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
    /// Room for `count` rows of `inner` values. If that is odd, they have a 0 at the end.
    pub(crate) fn zeros(count: usize, inner: usize) -> Self {
        let inner = inner.div_ceil(2);
        let blocks = even_blocks(count, MOST_ROWS).collect();
        Self { data: vec![0; count * inner], inner, blocks }
    }

    /// Rounds rows of `inner` values. Must only be called if [`is_fast`].
    pub(crate) fn of_rows(rows: &[f32], inner: usize) -> Self {
        let mut pairs = Self::zeros(rows.len() / inner, inner);
        let mut rows = rows;
        for (block, to) in pairs.blocks_mut() {
            join(to, rows, inner, block);
            rows = &rows[block * inner..];
        }
        pairs
    }

    /// The words of each block, `[inner / 2, rows of the block]`, with its number of rows.
    pub(crate) fn blocks_mut(&mut self) -> impl Iterator<Item = (usize, &mut [u32])> {
        split_blocks(&mut self.data, self.inner, &self.blocks)
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

/// Writes a block of rows, `stride` apart, as pairs `[pairs of a row, block]`, as many as fit. Must only be called if
/// [`is_fast`].
pub(crate) fn join(to: &mut [u32], rows: &[f32], stride: usize, block: usize) {
    #[cfg(target_arch = "x86_64")]
    x86::join(to, rows, stride, block);
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("{} of {} in {stride} by {block}: not on this processor", to.len(), rows.len());
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __cpuid, __m512, __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps,
        _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
        _mm512_storeu_si512,
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

    #[expect(unsafe_code, reason = "the instruction exists only on some processors")]
    pub(super) fn join(to: &mut [u32], rows: &[f32], stride: usize, block: usize) {
        assert!(is_there(), "this processor has no conversion to pairs");
        // SAFETY: the line above has checked that the processor has both.
        unsafe { join_rows(to, rows, stride, block) }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn join_rows(to: &mut [u32], rows: &[f32], stride: usize, block: usize) {
        let pairs = to.len() / block;
        for (row, values) in rows.chunks_exact(stride).take(block).enumerate() {
            let (lines, rest) = values[..stride.min(2 * pairs)].as_chunks();
            let mut slots = to[row..].iter_mut().step_by(block);
            for line in lines {
                slots.by_ref().zip(line_pairs(line)).for_each(|(slot, word)| *slot = word);
            }
            let mut line = [0.0; PANEL];
            line[..rest.len()].copy_from_slice(rest);
            slots.zip(line_pairs(&line)).for_each(|(slot, word)| *slot = word);
        }
    }

    /// Pairs of values, rounded like [`super::pair`], except that numbers below the normal range become 0. To the dot
    /// product they are 0, too.
    #[expect(unsafe_code, reason = "registers are loaded and stored through a pointer")]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn line_pairs(line: &[f32; PANEL]) -> [u32; PANEL / 2] {
        let mut words = [0; PANEL / 2];
        let at = line.as_ptr();
        // SAFETY: a line is two registers of 16 values, and their pairs are one register. None needs an alignment.
        unsafe {
            let [low, high] = [_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(PANEL / 2))];
            let pairs = to_words(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(words.as_mut_ptr().cast(), pairs);
        }
        words
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

    #[expect(unsafe_code, reason = "the types differ only in name")]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn to_words(pairs: __m512bh) -> __m512i {
        // SAFETY: as above.
        unsafe { std::mem::transmute(pairs) }
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
