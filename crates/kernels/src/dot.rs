//! Products of bfloat16 by what some processors multiply pairs with: a dot product (AVX512-BF16) or tiles (AMX, in `amx`).
//! And the conversions around them.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use std::sync::LazyLock;

use half::bf16;

#[cfg(target_arch = "x86_64")]
use crate::amx;
use crate::panels::{Out, even_blocks, split_blocks};

/// Most rows of a block for the dot product: their sums and a line of the panel fill the registers.
const MOST_ROWS: usize = 12;

/// Rows of a tile, and words in a row of it.
pub(crate) const TILE: usize = 16;

/// An instruction that multiplies pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// The dot product of AVX512-BF16.
    Dot,
    /// The tiles of AMX.
    Tiles,
}

/// Left-hand sides of pairs: `[inner / 2 / run, rows of the block, run]` for each block of rows. A run is the pairs of a row
/// that lie side by side.
#[derive(Debug)]
pub(crate) struct Pairs {
    kernel: Kernel,
    data: Vec<u32>,
    /// Half of the inner dimension, rounded up to whole runs.
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

impl Kernel {
    /// The better one first.
    pub(crate) const ALL: [Self; 2] = [Self::Tiles, Self::Dot];

    /// The one to multiply pairs with; `None` where that is slower than `f32`. The same for all products of a process: with
    /// another one, a row's sums would be rounded differently.
    pub(crate) fn here() -> Option<Self> {
        // Asked once: a virtual machine leaves the processor to its host to name the maker.
        static HERE: LazyLock<Option<Kernel>> =
            LazyLock::new(|| Kernel::ALL.into_iter().find(|kernel| kernel.is_fast()));
        *HERE
    }

    /// Whether this processor has it.
    pub(crate) fn is_there(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        match self {
            Self::Dot => x86::is_there(),
            Self::Tiles => amx::is_there(),
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether this processor multiplies faster with it than `f32`. Intel's that have the dot product start one only every few
    /// cycles: there, `vdpbf16ps` gives half the rate of `f32` products, and widening the weights in registers is faster. On
    /// AMD's it gives twice that rate (docs/PERFORMANCE.md). That tiles are faster is what Intel says, and not measured.
    fn is_fast(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let is_fast = self == Self::Tiles || x86::is_amd();
        #[cfg(not(target_arch = "x86_64"))]
        let is_fast = false;
        is_fast && self.is_there()
    }

    /// The numbers of rows to multiply at once, of `count` rows.
    fn blocks(self, count: usize) -> Vec<usize> {
        match self {
            Self::Dot => even_blocks(count, MOST_ROWS).collect(),
            // Two tiles of rows have four sums with the halves of a panel, which hides how long a product of tiles takes. All
            // but the last block are alike: for another number of rows, tiles must be configured anew.
            Self::Tiles => {
                let most = 2 * TILE;
                (0..count).step_by(most).map(|from| most.min(count - from)).collect()
            }
        }
    }

    /// Pairs of a row that lie side by side.
    fn run(self) -> usize {
        match self {
            Self::Dot => 1,
            Self::Tiles => TILE,
        }
    }

    /// Writes a block of rows, `stride` apart, as pairs `[pairs of a row / run, block, run]`, as many as fit.
    pub(crate) fn join(self, to: &mut [u32], rows: &[f32], stride: usize, block: usize) {
        #[cfg(target_arch = "x86_64")]
        match self {
            Self::Dot => x86::join::<1>(to, rows, stride, block),
            Self::Tiles => x86::join::<TILE>(to, rows, stride, block),
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!(
            "{self:?} of {} of {} in {stride} by {block}: not on this processor",
            to.len(),
            rows.len()
        );
    }
}

impl Pairs {
    /// Room for `count` rows of `inner` values. They have zeros at the end if that does not fill their last pair or run.
    pub(crate) fn zeros(kernel: Kernel, count: usize, inner: usize) -> Self {
        let inner = inner.div_ceil(2).next_multiple_of(kernel.run());
        Self { kernel, data: vec![0; count * inner], inner, blocks: kernel.blocks(count) }
    }

    /// Rounds rows of `inner` values.
    pub(crate) fn of_rows(kernel: Kernel, rows: &[f32], inner: usize) -> Self {
        let mut pairs = Self::zeros(kernel, rows.len() / inner, inner);
        let mut rows = rows;
        for (block, to) in pairs.blocks_mut() {
            kernel.join(to, rows, inner, block);
            rows = &rows[block * inner..];
        }
        pairs
    }

    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The words of each block, `[inner / 2 / run, rows of the block, run]`, with its number of rows.
    pub(crate) fn blocks_mut(&mut self) -> impl Iterator<Item = (usize, &mut [u32])> {
        split_blocks(&mut self.data, self.inner, &self.blocks)
    }

    /// Each block's number of rows, its words, and where its product goes.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn blocks_to<'a>(
        &'a self,
        to: Out<'a>,
    ) -> impl Iterator<Item = (usize, &'a [u32], Out<'a>)> {
        let Out { data: mut out, stride, from, width } = to;
        let mut words = self.data.as_slice();
        self.blocks.iter().map(move |&rows| {
            let (own_words, words_after) = words.split_at(rows * self.inner);
            let (own, out_after) = std::mem::take(&mut out).split_at_mut(rows * stride);
            (words, out) = (words_after, out_after);
            (rows, own_words, Out { data: own, stride, from, width })
        })
    }

    /// Multiplies all rows by one panel of pairs.
    pub(crate) fn times(&self, panel: &[u32], to: Out<'_>) {
        #[cfg(target_arch = "x86_64")]
        match self.kernel {
            Kernel::Dot => x86::times(self, panel, to),
            Kernel::Tiles => amx::times(self, panel, to),
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!("{} into {}: not on this processor", panel.len(), to.width);
    }
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
    pub(super) fn join<const RUN: usize>(
        to: &mut [u32],
        rows: &[f32],
        stride: usize,
        block: usize,
    ) {
        assert!(is_there(), "this processor has no conversion to pairs");
        // SAFETY: the line above has checked that the processor has both.
        unsafe { join_rows::<RUN>(to, rows, stride, block) }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn join_rows<const RUN: usize>(to: &mut [u32], rows: &[f32], stride: usize, block: usize) {
        let pairs = to.len() / block;
        let (to, _) = to.as_chunks_mut::<RUN>();
        for (row, values) in rows.chunks_exact(stride).take(block).enumerate() {
            let (lines, rest) = values[..stride.min(2 * pairs)].as_chunks();
            let mut last = [0.0; PANEL];
            last[..rest.len()].copy_from_slice(rest);
            let mut slots = to[row..].iter_mut().step_by(block);
            for line in lines.iter().chain(&[last]) {
                let words = line_pairs(line);
                let (runs, _) = words.as_chunks();
                runs.iter().zip(slots.by_ref()).for_each(|(run, slot)| *slot = *run);
            }
        }
    }

    /// Pairs of values, rounded like [`super::pair`], except that numbers below the normal range become 0. To the dot
    /// product and to tiles they are 0, too.
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
        for (block, rows, to) in left.blocks_to(to) {
            of_rows!(block, fill::<ROWS>(rows, panel, to));
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
    use crate::fixtures::{bits, numbers};
    use crate::panels::PANEL;

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

    /// The product of rows with a panel of 32 columns, each `inner` values: columns 3 to 3 + `width` of rows of 40.
    fn product(kernel: Kernel, rows: &[f32], columns: &[f32], width: usize) -> Vec<f32> {
        let inner = columns.len() / PANEL;
        let value = |k: usize, column: usize| match k {
            k if k < inner => columns[column * inner + k],
            _ => 0.0,
        };
        let words =
            (0..inner.div_ceil(2)).flat_map(|k| (0..PANEL).map(move |column| (2 * k, column)));
        let panel: Vec<u32> =
            words.map(|(k, column)| pair([value(k, column), value(k + 1, column)])).collect();
        let mut out = vec![f32::NAN; rows.len() / inner * 40];
        let to = Out { data: &mut out, stride: 40, from: 3, width };
        Pairs::of_rows(kernel, rows, inner).times(&panel, to);
        out
    }

    /// Numbers of rows and of values that fill blocks, tiles and pairs, and that do not.
    fn shapes() -> impl Iterator<Item = (Kernel, usize, usize)> {
        // What is there, whether or not it is the fast one.
        let kernels = Kernel::ALL.into_iter().filter(|kernel| kernel.is_there());
        let inners = [1, 16, 17, 31, 32, 33, 64, 896];
        kernels.flat_map(move |kernel| {
            [1, 12, 16, 17, 29, 33]
                .into_iter()
                .flat_map(move |rows| inners.map(|inner| (kernel, rows, inner)))
        })
    }

    #[test]
    fn products_of_pairs_are_the_sums_of_products() {
        // Numbers of so few bits that no sum is rounded.
        let values = |count: usize, step: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * step) % 101) as f32 / 8.0 - 6.0).collect()
        };
        for (kernel, rows, inner) in shapes() {
            let (left, columns) = (values(rows * inner, 37), values(PANEL * inner, 53));
            for width in [1, 30, 32] {
                let out = product(kernel, &left, &columns, width);
                for (row, out) in left.chunks(inner).zip(out.chunks(40)) {
                    for (column, sum) in columns.chunks(inner).zip(&out[3..3 + width]) {
                        let exact: f32 = row.iter().zip(column).map(|(x, w)| x * w).sum();
                        let close = (sum - exact).abs() < f32::EPSILON;
                        assert!(close, "{kernel:?}, {rows} x {inner}: {sum} is not {exact}");
                    }
                    assert!(out[..3].iter().chain(&out[3 + width..]).all(|x| x.is_nan()));
                }
            }
        }
    }

    #[test]
    fn other_rows_and_columns_do_not_change_a_bit() {
        for (kernel, rows, inner) in shapes() {
            let (left, columns) = (numbers(rows * inner, 104_729), numbers(PANEL * inner, 7919));
            let all = product(kernel, &left, &columns, PANEL);
            for (row, all) in left.chunks(inner).zip(all.chunks(40)) {
                for width in [30, PANEL] {
                    let own = product(kernel, row, &columns, width);
                    let place = 3..3 + width;
                    assert_eq!(bits(&own[place.clone()]), bits(&all[place]), "{kernel:?}, {rows}");
                }
            }
        }
    }
}
