//! Loops that are compiled for the machine at hand, and the exponentials and sums that they are made of.
//!
//! Sums are split over sixteen lanes, in an order that depends only on the length of a row.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

/// Lanes of a sum: an AVX-512 register of `f32`.
pub(crate) const LANES: usize = 16;

/// Defines a function that is compiled for several instruction sets and calls the best one available. A struct, not a
/// closure: a closure is not always inlined, and then it is compiled for the baseline instruction set.
macro_rules! vectorized {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block
    ) => {
        $(#[$attribute])*
        $visibility fn $name<'a>($($argument: $type),*) {
            struct Arguments<'a> {
                $($argument: $type),*
            }
            impl pulp::NullaryFnOnce for Arguments<'_> {
                type Output = ();
                #[inline(always)]
                fn call(self) {
                    let Self { $($argument),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Arguments { $($argument),* });
        }
    };
}

pub(crate) use vectorized;

/// `e^x` to about 2 units in the last place, and 0 below -87. It has no branches or calls, so it vectorizes.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts. The first has few bits, so that multiplying it by an integer is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5 * 2^23 rounds to an integer, which ends up in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // Beyond these bounds the exponent would not fit its bits.
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = clamped - whole * LN2_HIGH - whole * LN2_LOW;
    // The coefficients of `expf` in the Cephes library.
    let series = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5];
    let mut sum = series[0];
    for term in &series[1..] {
        sum = sum * rest + term;
    }
    let fraction = sum * rest * rest + rest + 1.0;
    // The integer part goes straight into the exponent bits.
    let power = f32::from_bits(fraction.to_bits().wrapping_add(shifted.to_bits() << 23));
    // Exactly 0, so that a masked score of negative infinity has no weight at all.
    if x < -87.0 { 0.0 } else { power }
}

/// The sum of `f` over the columns of rows of the same length, in lanes.
#[inline(always)]
pub(crate) fn sum<const ROWS: usize>(rows: [&[f32]; ROWS], f: impl Fn([f32; ROWS]) -> f32) -> f32 {
    let count = rows[0].len();
    let (whole, mut chunks, mut rests) = (count / LANES, [[].as_slice(); ROWS], rows);
    for ((chunks, rest), row) in chunks.iter_mut().zip(&mut rests).zip(rows) {
        let (row_chunks, row_rest) = row[..count].as_chunks::<LANES>();
        // Cut to one length, or every index below would be checked, and the loop would not vectorize.
        (*chunks, *rest) = (&row_chunks[..whole], row_rest);
    }
    let mut lanes = [0.0_f32; LANES];
    let mut column = [0.0; ROWS];
    for at in 0..whole {
        for (i, lane) in lanes.iter_mut().enumerate() {
            for (x, chunks) in column.iter_mut().zip(&chunks) {
                *x = chunks[at][i];
            }
            *lane += f(column);
        }
    }
    for (i, lane) in lanes.iter_mut().take(count % LANES).enumerate() {
        for (x, rest) in column.iter_mut().zip(&rests) {
            *x = rest[i];
        }
        *lane += f(column);
    }
    joined(lanes)
}

/// The sum of the lanes.
#[inline(always)]
pub(crate) fn joined(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The largest value of a row; negative infinity if it is empty.
#[inline(always)]
pub(crate) fn row_max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            // Not `f32::max`, which takes several instructions because of what it promises about NaN.
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let rest = chunks.remainder().iter().copied();
    lanes.into_iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_exact_to_a_few_units() {
        let mut worst = 0.0_f64;
        for i in -860..880 {
            let x = i as f32 * 0.1 + 0.013;
            let (computed, exact) = (f64::from(exp(x)), f64::from(x).exp());
            worst = worst.max((computed / exact - 1.0).abs());
        }
        assert!(worst < 3e-7, "{worst}");
        let exact = [exp(f32::NEG_INFINITY), exp(-100.0), exp(0.0)].map(f32::to_bits);
        assert_eq!(exact, [0.0_f32, 0.0, 1.0].map(f32::to_bits));
        assert!(exp(1000.0) > 1e38);
    }

    #[test]
    fn sums_and_maxima_of_any_length() {
        for count in 0..70 {
            let row: Vec<f32> = (0..count).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
            let exact: f32 = row.iter().sum();
            assert!((sum([&row], |[x]| x) - exact).abs() < 1e-4);
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(row_max(&row).to_bits(), most.to_bits());
        }
    }
}
