//! `evaluate check`: whether a device computes with a model what the CPU does: its scores, what it writes, and a step of
//! training.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use decoding::Place;
use decoding::models::Model;
use lm::engine::Stop;
use lm::lora::{LoraConfig, Target};
use lm::train::{Event, Example, TrainConfig, Training};
use lm::{Checkpoint, Engine, GenerationRequest, Prefixes, Sampling};
use serde::Serialize;
use stage::{Device, Failure, ResultExt};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The checkpoint to compute with.
    #[arg(long)]
    model: PathBuf,
    /// The device that is compared with the CPU: `cuda` or `cuda:N`.
    #[arg(long, default_value_t = Device::Cuda(0))]
    device: Device,
    /// Threads on the CPU.
    #[arg(long, default_value = "1")]
    workers: NonZeroUsize,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// What models read here: any text does.
const TEXT: &str = "Tom has 12 + 5 = 17 apples. He gives 4 of them to Ada and buys 3 bags with 6 apples each. How many \
                    apples does he have now?";
/// Tokens that are written.
const WRITTEN: usize = 32;
/// How far numbers may be off, as a share of the largest of them: products on a GPU have ten bits less where it is quick.
const ALLOWED: f64 = 1e-2;

/// What a device makes of a model.
struct Made {
    logits: Vec<f32>,
    greedy: Vec<u32>,
    sampled: Vec<u32>,
    loss: f64,
    norm: f64,
    learned: Vec<f32>,
}

/// One thing compared.
#[derive(Debug, PartialEq, Serialize)]
struct Compared {
    what: &'static str,
    /// The largest difference as a share of the largest number, or tokens written alike as a share of all.
    value: f64,
    /// Whether it is as it should be; nothing where a near tie of two tokens may well fall differently.
    holds: Option<bool>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let made = |device: Device| {
        let place = Place::on(device, args.workers)?;
        Made::by(&Model::load("model", &args.model, &place)?.checkpoint, &place)
    };
    let all = compared(&made(Device::Cpu)?, &made(args.device)?);
    if args.json {
        stage::print_json(&all)?;
    } else {
        let row = |c: &Compared| {
            let (value, verdict) = match c.holds {
                None => (format!("{:.0} %", 100.0 * c.value), "-"),
                Some(holds) => (format!("{:.1e}", c.value), if holds { "yes" } else { "NO" }),
            };
            vec![c.what.to_owned(), value, verdict.to_owned()]
        };
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        let title = format!("{} and the CPU", args.device);
        stage::print_table(&title, &["what", "difference", "holds"], &rows)?;
    }
    match all.iter().find(|compared| compared.holds == Some(false)) {
        Some(wrong) => Err(Failure::data(format!(
            "{} computes something else: {} differ by {:.1e} of the largest, {ALLOWED:.0e} is allowed",
            args.device, wrong.what, wrong.value
        ))),
        None => Ok(()),
    }
}

impl Made {
    fn by(checkpoint: &Checkpoint, place: &Place) -> Result<Self, Failure> {
        let mut ids = checkpoint.tokenizer.encode(TEXT).or_data("tokenizer")?;
        ids.truncate(checkpoint.config.max_position_embeddings / 2);
        let engine = Engine::new(checkpoint, &place.device, place.options);
        let logits = engine.logits(&ids).or_data("model")?.concat();
        let write = |sampling| {
            let stop = Stop { tokens: Vec::new(), strings: Vec::new(), max_new: WRITTEN };
            let (prompt, excluded) = (ids.clone(), Vec::new());
            let request = GenerationRequest {
                prompt,
                sampling,
                stop,
                excluded,
                seed: 1,
                scope: 0,
                keep: false,
            };
            let written = engine.generate(&[request], &mut Prefixes::default()).or_data("model")?;
            Ok::<_, Failure>(written.into_iter().flat_map(|w| w.drawn.ids).collect())
        };
        let (greedy, sampled) =
            (write(Sampling::Greedy)?, write(Sampling::Temperature { temperature: 1.0 })?);
        let (loss, norm, learned) = step(checkpoint, &ids, place)?;
        Ok(Self { logits, greedy, sampled, loss, norm, learned })
    }
}

/// A step of training by adapters, which fits where the model itself does: the loss, the gradient's norm, and the scores
/// afterwards.
fn step(
    checkpoint: &Checkpoint,
    ids: &[u32],
    place: &Place,
) -> Result<(f64, f64, Vec<f32>), Failure> {
    let row = Example { ids: ids.to_vec(), targets_from: Some(1), heads: Vec::new(), weight: 1.0 };
    let training = Training {
        checkpoint,
        examples: &[row],
        preferences: None,
        validation: &[],
        config: &one_step(),
        updates: Some(1),
        seed: 0,
        workers: 1,
    };
    let (mut loss, mut norm) = (0.0, 0.0);
    let outcome = training.run::<lm::Error>(&place.device, None, &mut |event| {
        if let Event::Update { loss: of_step, norm: of_gradient, .. } = event {
            (loss, norm) = (of_step, of_gradient);
        }
        Ok(())
    });
    let learned = Checkpoint { model: outcome.or_data("model")?.model, ..checkpoint.clone() };
    let engine = Engine::new(&learned, &place.device, place.options);
    Ok((loss, norm, engine.logits(ids).or_data("model")?.concat()))
}

fn one_step() -> TrainConfig {
    let targets = vec![Target::QProj, Target::VProj, Target::DownProj];
    TrainConfig {
        gradient_checkpointing: true,
        lora: Some(LoraConfig { rank: 4, alpha: 8.0, targets }),
        ..TrainConfig::plain(1.0, 1e-2)
    }
}

fn compared(cpu: &Made, device: &Made) -> Vec<Compared> {
    let near = |what, a: &[f32], b: &[f32]| {
        let largest = a.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
        let off = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs() / largest));
        // What is no number is as far off as can be.
        let value = off.fold(0.0, |most: f64, off| if off.is_nan() { 1.0 } else { most.max(off) });
        Compared { what, value, holds: Some(value <= ALLOWED) }
    };
    let alike = |what, a: &[u32], b: &[u32]| {
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        Compared { what, value: same as f64 / a.len().max(1) as f64, holds: None }
    };
    let number = |what, a: f64, b: f64| near(what, &[a as f32], &[b as f32]);
    vec![
        near("scores", &cpu.logits, &device.logits),
        alike("greedy tokens alike", &cpu.greedy, &device.greedy),
        alike("sampled tokens alike", &cpu.sampled, &device.sampled),
        number("losses", cpu.loss, device.loss),
        number("gradients' norms", cpu.norm, device.norm),
        near("scores after a step", &cpu.learned, &device.learned),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_found_and_near_ties_are_forgiven() {
        let made = |logits: &[f32], greedy: &[u32]| Made {
            logits: logits.to_vec(),
            greedy: greedy.to_vec(),
            sampled: vec![1, 2],
            loss: 2.0,
            norm: 0.5,
            learned: vec![1.0],
        };
        let of = |device: &Made| -> Vec<Option<bool>> {
            compared(&made(&[10.0, -20.0], &[5, 6]), device).iter().map(|c| c.holds).collect()
        };
        let fine = [Some(true), None, None, Some(true), Some(true), Some(true)];
        assert_eq!(of(&made(&[10.1, -20.0], &[5, 7])), fine);
        assert_eq!(of(&made(&[10.3, -20.0], &[5, 6]))[0], Some(false));
        assert_eq!(of(&made(&[f32::NAN, -20.0], &[5, 6]))[0], Some(false));
    }
}
