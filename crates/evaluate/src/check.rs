//! `evaluate check`: whether a device computes the same as the CPU: logits, generated tokens, and one training step.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use decoding::{InitialModel, Runtime};
use lm::engine::Stop;
use lm::lora::{LoraConfig, Target};
use lm::train::{Course, Event, Example, TrainConfig, Training};
use lm::{Checkpoint, Engine, GenerationRequest, Precision, Prefixes, Sampling};
use serde::Serialize;
use stage::{Compute, Device, Failure, ResultExt};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The checkpoint to compute with.
    #[arg(long)]
    model: PathBuf,
    /// The device to compare with the CPU: `cuda`, `vulkan`, `cuda:N`, or several cards as `cuda:N,M`.
    #[arg(long, default_value_t = Device::Gpus { backend: "cuda", cards: vec![0] })]
    device: Device,
    /// Threads on the CPU.
    #[arg(long, default_value = "1")]
    workers: NonZeroUsize,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The text that the model reads. Any text would do.
const TEXT: &str = "Tom has 12 + 5 = 17 apples. He gives 4 of them to Ada and buys 3 bags with 6 apples each. How many \
                    apples does he have now?";
/// Tokens to generate.
const WRITTEN: usize = 32;
/// Largest allowed difference, as a share of the largest value. The fast matrix products of a GPU have ten bits less
/// than those of the CPU.
const ALLOWED: f64 = 1e-2;

/// The results of a model on one device.
struct Made {
    logits: Vec<f32>,
    greedy: Vec<u32>,
    sampled: Vec<u32>,
    step: Step,
    /// The same step with the factors of matrix products rounded to bf16; `None` if the device has no bf16.
    rounded: Option<Step>,
}

/// One training step with `LoRA` adapters, which fits in memory wherever the model itself does.
struct Step {
    loss: f64,
    /// The gradient norm.
    norm: f64,
    /// The logits after the step.
    learned: Vec<f32>,
}

/// One compared quantity.
#[derive(Debug, PartialEq, Serialize)]
struct Compared {
    what: &'static str,
    /// The largest difference as a share of the largest value; for generated tokens, the share that agrees.
    value: f64,
    /// Whether the difference is allowed. `None` for generated tokens: two nearly equal logits may well swap places.
    holds: Option<bool>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let made = |device: &Device| {
        let compute = Compute { device: device.clone(), workers: args.workers };
        let runtime = Runtime::new(&compute)?;
        let model = InitialModel::load("model", &args.model, &runtime, Some(Precision::F32))?;
        Made::by(&model.checkpoint, &runtime)
    };
    let device = made(&args.device)?;
    if device.rounded.is_none() {
        tracing::warn!("{} has no bf16: it is compared in f32 alone", args.device);
    }
    let all = compared(&made(&Device::Cpu)?, &device);
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
    fn by(checkpoint: &Checkpoint, runtime: &Runtime) -> Result<Self, Failure> {
        let mut ids = checkpoint.tokenizer.encode(TEXT).or_data("tokenizer")?;
        // The other half of the context is for the generated tokens.
        ids.truncate(checkpoint.config.max_position_embeddings / 2);
        let engine = Engine::new(checkpoint, &runtime.devices, Precision::F32, runtime.options);
        let logits = engine.logits(&ids).or_data("model")?.concat();
        let write = |sampling| {
            let stop =
                Stop { tokens: Vec::new(), strings: Vec::new(), until: None, max_new: WRITTEN };
            let (prompt, excluded) = (ids.clone(), Vec::new());
            let request = GenerationRequest {
                prompt,
                sampling,
                stop,
                excluded,
                // Fixed, so that both devices draw the same random numbers.
                seed: 1,
                scope: 0,
                keep: false,
            };
            let written = engine.generate(&[request], &mut Prefixes::default()).or_data("model")?;
            Ok::<_, Failure>(written.into_iter().flat_map(|w| w.drawn.ids).collect())
        };
        let (greedy, sampled) =
            (write(Sampling::Greedy)?, write(Sampling::Temperature { temperature: 1.0 })?);
        let step = |precision| Step::of(checkpoint, &ids, runtime, precision);
        let has_bf16 = runtime.devices.iter().all(lm::device::has_bf16);
        let rounded = has_bf16.then(|| step(Precision::Bf16)).transpose()?;
        Ok(Self { logits, greedy, sampled, step: step(Precision::F32)?, rounded })
    }
}

impl Step {
    fn of(
        checkpoint: &Checkpoint,
        ids: &[u32],
        runtime: &Runtime,
        precision: Precision,
    ) -> Result<Self, Failure> {
        let row =
            || Example { ids: ids.to_vec(), targets_from: Some(1), heads: Vec::new(), weight: 1.0 };
        // One row per device, so that each of them has work to do.
        let examples: Vec<Example> = runtime.devices.iter().map(|_| row()).collect();
        let training = Training {
            checkpoint,
            examples: &examples,
            preferences: None,
            validation: &[],
            config: &one_step(precision, examples.len()),
            updates: Some(Course { updates: 1, planned: 1 }),
            seed: 0,
            workers: 1,
        };
        let (mut loss, mut norm) = (0.0, 0.0);
        let outcome = training.run::<lm::Error>(&runtime.devices, None, &mut |event| {
            if let Event::Update { loss: of_step, norm: of_gradient, .. } = event {
                (loss, norm) = (of_step, of_gradient);
            }
            Ok(())
        });
        let learned = Checkpoint { model: outcome.or_data("model")?.model, ..checkpoint.clone() };
        let engine = Engine::new(&learned, &runtime.devices, Precision::F32, runtime.options);
        Ok(Self { loss, norm, learned: engine.logits(ids).or_data("model")?.concat() })
    }
}

fn one_step(precision: Precision, micro_batches: usize) -> TrainConfig {
    let targets = vec![Target::QProj, Target::VProj, Target::DownProj];
    TrainConfig {
        precision,
        // One micro batch per row, so that every device gets one.
        micro_batches,
        batch_tokens: usize::MAX,
        gradient_checkpointing: true,
        lora: Some(LoraConfig { rank: 4, alpha: 8.0, targets }),
        ..TrainConfig::plain(1.0, 1e-2)
    }
}

fn compared(cpu: &Made, device: &Made) -> Vec<Compared> {
    let near = |what, a: &[f32], b: &[f32]| {
        // Never 0, by which no difference could be divided.
        let largest = a.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
        let off = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs() / largest));
        // NaN counts as the largest possible difference.
        let value = off.fold(0.0, |most: f64, off| if off.is_nan() { 1.0 } else { most.max(off) });
        Compared { what, value, holds: Some(value <= ALLOWED) }
    };
    let alike = |what, a: &[u32], b: &[u32]| {
        // Only up to the first difference: from there on, the two continue different texts.
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        Compared { what, value: same as f64 / a.len().max(1) as f64, holds: None }
    };
    let number = |what, a: f64, b: f64| near(what, &[a as f32], &[b as f32]);
    let mut all = vec![
        near("scores", &cpu.logits, &device.logits),
        alike("greedy tokens alike", &cpu.greedy, &device.greedy),
        alike("sampled tokens alike", &cpu.sampled, &device.sampled),
        number("losses", cpu.step.loss, device.step.loss),
        number("gradients' norms", cpu.step.norm, device.step.norm),
        near("scores after a step", &cpu.step.learned, &device.step.learned),
    ];
    if let (Some(cpu), Some(device)) = (&cpu.rounded, &device.rounded) {
        all.push(number("losses in bf16", cpu.loss, device.loss));
        all.push(number("gradients' norms in bf16", cpu.norm, device.norm));
    }
    all
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
            step: Step { loss: 2.0, norm: 0.5, learned: vec![1.0] },
            rounded: Some(Step { loss: 2.0, norm: 0.5, learned: vec![1.0] }),
        };
        let of = |device: &Made| -> Vec<Option<bool>> {
            compared(&made(&[10.0, -20.0], &[5, 6]), device).iter().map(|c| c.holds).collect()
        };
        let fine = of(&made(&[10.1, -20.0], &[5, 7]));
        assert_eq!(fine[..3], [Some(true), None, None]);
        assert!(fine[3..].iter().all(|holds| *holds == Some(true)), "{fine:?}");
        assert_eq!(of(&made(&[10.3, -20.0], &[5, 6]))[0], Some(false));
        assert_eq!(of(&made(&[f32::NAN, -20.0], &[5, 6]))[0], Some(false));
    }
}
