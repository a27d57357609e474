//! Measures products with a packed weight by rows, weight type and threads: median time, GFLOP/s, and how fast the weight
//! was read.
//!
//! ```text
//! cargo run --release --workspace --example products -- 896 151936
//! ```
//!
//! The numbers are the inner dimension and the columns, here those of the output projection of Qwen2.5-0.5B.

#![expect(clippy::print_stdout, reason = "an example without the stages' terminal")]

use std::time::Instant;

use kernels::{Packed, Team, WeightType};

/// Products of each kind.
const TIMES: usize = 9;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sizes: Vec<usize> =
        std::env::args().skip(1).map(|n| n.parse()).collect::<Result<_, _>>()?;
    let &[inner, columns] = sizes.as_slice() else { return Err("products INNER COLUMNS".into()) };
    let number = |i: usize| (i * 7919 % 1009) as f32 / 500.0 - 1.0;
    println!("type  threads  rows       ms  GFLOP/s  GB/s");
    for stored in [WeightType::Bf16, WeightType::F32] {
        let weight = Packed::new(inner, columns, stored, |at, to| {
            to.iter_mut().enumerate().for_each(|(k, slot)| *slot = number(at * inner + k));
        });
        for threads in [1, 2] {
            let team = Team::of(threads);
            for rows in [1, 4, 11, 12, 32, 96] {
                let left = weight.left(&(0..rows * inner).map(number).collect::<Vec<_>>());
                let mut out = Vec::new();
                let mut seconds: Vec<f64> = (0..TIMES)
                    .map(|_| {
                        let clock = Instant::now();
                        team.lead(|| weight.product_into(&left, &mut out, &team));
                        clock.elapsed().as_secs_f64()
                    })
                    .collect();
                seconds.sort_by(f64::total_cmp);
                let median = seconds[TIMES / 2];
                let gflops = 2e-9 * (rows * inner * columns) as f64 / median;
                let read = 1e-9 * weight.bytes() as f64 / median;
                let ms = 1e3 * median;
                println!(
                    "{stored:?}  {threads:>7}  {rows:>4}  {ms:>7.1}  {gflops:>7.0}  {read:>4.1}"
                );
            }
        }
    }
    Ok(())
}
