//! Measures products with a packed weight by rows, weight type and threads: median time, GFLOP/s, and how fast the weight
//! was read. Then the products of training on one thread, with a weight that lies row by row.
//!
//! ```text
//! cargo run --release --workspace --example products -- 896 151936
//! ```
//!
//! The numbers are the inner dimension and the columns, here those of the output projection of Qwen2.5-0.5B.

#![expect(clippy::print_stdout, reason = "an example without the stages' terminal")]

use std::time::Instant;

use half::bf16;
use kernels::matmul::View;
use kernels::{Bf16View, Packed, Team, WeightType};

/// Products of each kind.
const TIMES: usize = 9;

/// The median time of a job, in seconds.
fn median(mut job: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..TIMES)
        .map(|_| {
            let clock = Instant::now();
            job();
            clock.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[TIMES / 2]
}

fn number(index: usize) -> f32 {
    (index * 7919 % 1009) as f32 / 500.0 - 1.0
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(number).collect()
}

fn gflops(rows: usize, weights: usize, seconds: f64) -> f64 {
    2e-9 * (rows * weights) as f64 / seconds
}

fn inference(inner: usize, columns: usize) {
    println!("type  threads  rows       ms  GFLOP/s  GB/s");
    for stored in [WeightType::Bf16, WeightType::F32] {
        let weight = Packed::new(inner, columns, stored, |at, to| {
            to.iter_mut().enumerate().for_each(|(k, slot)| *slot = number(at * inner + k));
        });
        for threads in [1, 2] {
            let team = Team::of(threads);
            for rows in [1, 4, 11, 12, 32, 96] {
                let left = weight.left(&numbers(rows * inner), &team);
                let mut out = Vec::new();
                let time = median(|| team.lead(|| weight.product_into(&left, &mut out, &team)));
                let read = 1e-9 * weight.bytes() as f64 / time;
                let (rate, ms) = (gflops(rows, inner * columns, time), 1e3 * time);
                println!(
                    "{stored:?}  {threads:>7}  {rows:>4}  {ms:>7.1}  {rate:>7.0}  {read:>4.1}"
                );
            }
        }
    }
}

fn training(inner: usize, columns: usize) {
    let weight = numbers(inner * columns);
    let short: Vec<bf16> = weight.iter().copied().map(bf16::from_f32).collect();
    println!("type  weight      rows       ms  GFLOP/s");
    for rows in [100, 400, 1600] {
        let (x, grad) = (numbers(rows * inner), numbers(rows * columns));
        let (x_view, grad_view) = (View::new(&x, inner), View::new(&grad, columns));
        let (full, short) = (View::new(&weight, columns), Bf16View::new(&short, columns));
        let times = [
            ("Bf16", "as it lies", median(|| drop(short.product(&x)))),
            ("Bf16", "transposed", median(|| drop(short.transposed().product(&grad)))),
            ("F32 ", "as it lies", median(|| drop(x_view.times(full)))),
            ("F32 ", "transposed", median(|| drop(grad_view.times(full.transposed())))),
        ];
        for (stored, orientation, time) in times {
            let (rate, ms) = (gflops(rows, inner * columns, time), 1e3 * time);
            println!("{stored}  {orientation}  {rows:>4}  {ms:>7.1}  {rate:>7.0}");
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sizes: Vec<usize> =
        std::env::args().skip(1).map(|n| n.parse()).collect::<Result<_, _>>()?;
    let &[inner, columns] = sizes.as_slice() else { return Err("products INNER COLUMNS".into()) };
    inference(inner, columns);
    training(inner, columns);
    Ok(())
}
