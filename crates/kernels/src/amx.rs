//! Products of pairs of bfloat16 by the tiles of AMX: registers of up to 16 rows of 64 bytes, and an instruction that adds
//! the product of two tiles to a third.
//!
//! A step takes 16 pairs of every row. Its even and its odd products are summed apart, then added to the sums of the steps
//! before. This is the order for every row, however many share its tile.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::sync::LazyLock;

use crate::dot::{Pairs, TILE};
use crate::panels::{Out, PANEL};

/// The lines of a panel that are multiplied at once: two tiles side by side.
type Step = [[u32; PANEL]; TILE];

/// Assembly that may change any tile.
macro_rules! with_tiles {
    ($($assembly:tt)*) => {
        asm!(
            $($assembly)*,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// Whether this process may use tiles. The first call asks the system for it.
pub(crate) fn is_there() -> bool {
    static THERE: LazyLock<bool> = LazyLock::new(|| {
        cfg!(target_os = "linux") && has_tiles() && system_keeps_tiles() && is_permitted()
    });
    *THERE
}

/// Whether the processor has tiles and their product of pairs.
fn has_tiles() -> bool {
    const PRODUCT: u32 = 1 << 22;
    const TILES: u32 = 1 << 24;
    // The conversion to pairs comes from AVX-512. A processor with that has the leaf that is read here.
    std::is_x86_feature_detected!("avx512bf16")
        && __cpuid_count(7, 0).edx & (PRODUCT | TILES) == PRODUCT | TILES
}

/// Whether the system saves tiles and their configuration when it switches threads.
#[expect(unsafe_code, reason = "the instruction exists only on some processors")]
fn system_keeps_tiles() -> bool {
    const TILES: u64 = 1 << 17 | 1 << 18;
    // SAFETY: the line first checks that the processor has the instruction, and that the system has enabled it.
    std::is_x86_feature_detected!("xsave") && unsafe { _xgetbv(0) } & TILES == TILES
}

/// Asks Linux to let this process use tiles, in all of its threads. They are eight kilobytes more to save, so nobody has
/// them unasked.
#[expect(unsafe_code, reason = "there is no function for it in the standard library")]
fn is_permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: the call takes two numbers and touches no memory of this process. The instruction overwrites `rcx` and `r11`.
    unsafe {
        asm!(
            "syscall",
            inout("rax") result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// Multiplies all rows by one panel of pairs.
pub(crate) fn times(left: &Pairs, panel: &[u32], to: Out<'_>) {
    assert!(is_there(), "this processor has no tiles");
    let (lines, _) = panel.as_chunks();
    let (whole, rest) = lines.as_chunks();
    let mut last: [Step; 1] = [[[0; PANEL]; TILE]];
    last[0][..rest.len()].copy_from_slice(rest);
    let last = if rest.is_empty() { &[][..] } else { &last };
    let mut tiles = Tiles { rows: 0 };
    for (rows, words, to) in left.blocks_to(to) {
        tiles.configure(rows);
        tiles.fill(words, [whole, last], to);
    }
}

/// The tiles of this thread, configured for blocks of `rows` rows; 0 before the first.
struct Tiles {
    rows: usize,
}

impl Tiles {
    /// Sets the sizes of the tiles for blocks of at most two tiles of rows.
    #[expect(unsafe_code, reason = "there is no function for it in the standard library")]
    fn configure(&mut self, rows: usize) {
        if rows == self.rows {
            return;
        }
        let sizes = sizes(rows);
        // SAFETY: `times` has checked that there are tiles, and 64 bytes are read, which describe sizes that tiles can have.
        unsafe {
            with_tiles!("ldtilecfg [{}]", in(reg) sizes.as_ptr());
        }
        self.rows = rows;
    }

    /// Multiplies a block of rows, `[steps, rows, TILE]`, by the steps of a panel: the whole ones and the last.
    fn fill(&self, words: &[u32], [whole, last]: [&[Step]; 2], to: Out<'_>) {
        let Out { data, stride, from, width } = to;
        let (for_whole, for_last) = words.split_at(whole.len() * self.rows * TILE);
        let add = |sums: &mut [f32], stride| {
            self.add(for_whole, whole, sums, stride);
            self.add(for_last, last, sums, stride);
        };
        if width == PANEL {
            data.chunks_exact_mut(stride).for_each(|row| row[from..from + PANEL].fill(0.0));
            add(&mut data[from..], stride);
        } else {
            // The last columns of a result may not fill the tiles.
            let mut lines = [[0.0; PANEL]; 2 * TILE];
            add(lines.as_flattened_mut(), PANEL);
            for (row, line) in data.chunks_exact_mut(stride).zip(&lines) {
                row[from..from + width].copy_from_slice(&line[..width]);
            }
        }
    }

    /// Adds the product of some steps to sums: `rows` rows of [`PANEL`], `stride` apart.
    fn add(&self, words: &[u32], steps: &[Step], sums: &mut [f32], stride: usize) {
        if steps.is_empty() {
            return;
        }
        assert_eq!(words.len(), steps.len() * self.rows * TILE, "a tile of each row for each step");
        assert!(sums.len() >= (self.rows - 1) * stride + PANEL, "{} sums are too few", sums.len());
        if self.rows > TILE {
            self.add_tiles::<true>(words, steps, sums, stride);
        } else {
            self.add_tiles::<false>(words, steps, sums, stride);
        }
    }

    /// The same for a block of one tile of rows, or of two.
    #[expect(unsafe_code, reason = "there are no functions for tiles in the standard library")]
    fn add_tiles<const TWO: bool>(
        &self,
        words: &[u32],
        steps: &[Step],
        sums: &mut [f32],
        stride: usize,
    ) {
        let second_row = sums.as_mut_ptr().wrapping_add(TILE * stride);
        // SAFETY: the tiles have the sizes of `rows`, which are more than those of one tile if there are two. `add` has
        // checked that so many rows of sums and of words for every step are there, and that there is a step.
        unsafe {
            with_tiles!(
                "tileloadd tmm0, [{sums} + {stride}*1]",
                "tileloadd tmm1, [{sums} + {stride}*1 + 64]",
                ".if {two}",
                "tileloadd tmm2, [{second_row} + {stride}*1]",
                "tileloadd tmm3, [{second_row} + {stride}*1 + 64]",
                ".endif",
                "2:",
                "tileloadd tmm4, [{words} + {row}*1]",
                "tileloadd tmm6, [{steps} + {line}*1]",
                "tileloadd tmm7, [{steps} + {line}*1 + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                ".if {two}",
                "tileloadd tmm5, [{words} + {row}*1 + 16 * 64]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                ".endif",
                "add {words}, {block}",
                "add {steps}, 16 * 128",
                "dec {count}",
                "jnz 2b",
                "tilestored [{sums} + {stride}*1], tmm0",
                "tilestored [{sums} + {stride}*1 + 64], tmm1",
                ".if {two}",
                "tilestored [{second_row} + {stride}*1], tmm2",
                "tilestored [{second_row} + {stride}*1 + 64], tmm3",
                ".endif",
                two = const TWO as u8,
                sums = in(reg) sums.as_mut_ptr(),
                second_row = in(reg) second_row,
                stride = in(reg) stride * size_of::<f32>(),
                words = inout(reg) words.as_ptr() => _,
                row = in(reg) TILE * size_of::<u32>(),
                block = in(reg) self.rows * TILE * size_of::<u32>(),
                steps = inout(reg) steps.as_ptr() => _,
                line = in(reg) PANEL * size_of::<u32>(),
                count = inout(reg) steps.len() => _
            );
        }
    }
}

impl Drop for Tiles {
    /// Gives the tiles back, or the system would go on to save them.
    #[expect(unsafe_code, reason = "there is no function for it in the standard library")]
    fn drop(&mut self) {
        // SAFETY: `times` has checked that there are tiles, and nothing uses what is in them any more.
        unsafe {
            with_tiles!("tilerelease");
        }
    }
}

/// The configuration of tiles for blocks of `rows` rows: how many rows each has, and their length.
fn sizes(rows: usize) -> [u8; 64] {
    const LENGTHS: usize = 16;
    const ROWS: usize = 48;
    let (first, second) = (rows.min(TILE), rows.saturating_sub(TILE));
    // Sums of the first and of the second rows, those rows, and the two halves of a panel.
    let tiles = [first, first, second, second, first, second, TILE, TILE];
    let mut sizes = [0; 64];
    sizes[0] = 1; // the kind of configuration, of which there is one
    for (tile, rows) in tiles.into_iter().enumerate() {
        // A tile without rows must have no length.
        sizes[LENGTHS + 2 * tile] = if rows == 0 { 0 } else { 64 };
        sizes[ROWS + tile] = rows as u8;
    }
    sizes
}
