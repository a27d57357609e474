//! Measures one job on a checkpoint: training steps, generation, or matrix products of its width. `benches/compare.py`
//! runs it next to other implementations on the same checkpoint. It measures the time of the whole process, minus that of
//! a run that does nothing. Generation also prints the seconds of each time.
//!
//! ```text
//! measure train  CHECKPOINT --rows 32 --tokens 128 --times 4 --workers 1
//! measure decode CHECKPOINT --rows 64 --tokens 64 --new 64 --times 4 --workers 1
//! measure gemm   CHECKPOINT --rows 1024 --times 100
//! ```
//!
//! `--tokens` is the length of a training row or prompt, `--new` the number of tokens to generate per row. In training,
//! every token from `--from` on is a target (all by default), the first `--shared` tokens are the same in all rows (none by
//! default), `--rank 16` trains adapters of all projections, and `--parts` is the number of micro-batches (one per worker by
//! default). `--device cuda`, or `cuda:1`, runs on a GPU, if
//! built for it (docs/DEVICES.md). `--precision bf16` generates with weights in bfloat16, and trains adapters beside such
//! weights. Up to six rows are sampled, more are greedy.

#![expect(clippy::print_stdout, reason = "an example without the stages' terminal")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use lm::engine::EngineOptions;
use lm::lora::{LoraConfig, Target};
use lm::prefix::scope_of;
use lm::train::{Course, Event, Example, TrainConfig, Training};
use lm::{Checkpoint, Engine, GenerationRequest, Precision, Prefixes, Sampling, Stop, device};

type Failure = Box<dyn std::error::Error>;

/// The command-line options, by name.
struct Numbers(BTreeMap<String, String>);

impl Numbers {
    fn of(arguments: &[String]) -> Result<Self, Failure> {
        let pair = |pair: &[String]| match pair {
            [name, value] => Ok((name.trim_start_matches("--").to_owned(), value.clone())),
            _ => Err(Failure::from(format!("{pair:?} is no --name and number"))),
        };
        Ok(Self(arguments.chunks(2).map(pair).collect::<Result<_, Failure>>()?))
    }

    fn get(&self, name: &str) -> Result<usize, Failure> {
        Ok(self.find(name)?.ok_or_else(|| format!("--{name} is missing"))?)
    }

    fn find(&self, name: &str) -> Result<Option<usize>, Failure> {
        let Some(number) = self.0.get(name) else { return Ok(None) };
        Ok(Some(number.parse().map_err(|e| format!("--{name} {number}: {e}"))?))
    }

    fn precision(&self) -> Result<Precision, Failure> {
        match self.0.get("precision").map(String::as_str) {
            None | Some("f32") => Ok(Precision::F32),
            Some("bf16") => Ok(Precision::Bf16),
            Some(other) => Err(format!("--precision {other}").into()),
        }
    }

    /// The device to run on, the CPU by default.
    fn device(&self) -> Result<Device, Failure> {
        let name = self.0.get("device").map_or("cpu", String::as_str);
        if name == "cpu" {
            return Ok(device::cpu());
        }
        let (backend, index) = name.split_once(':').unwrap_or((name, "0"));
        Ok(device::gpu(backend, index.parse()?)?)
    }
}

/// Meaningless token ids that differ from row to row.
fn row(index: usize, tokens: usize, vocabulary: usize) -> Vec<u32> {
    (0..tokens).map(|at| ((index * 7919 + at * 104_729) % (vocabulary - 32) + 32) as u32).collect()
}

/// Adapters of every projection.
fn adapters(rank: usize) -> LoraConfig {
    LoraConfig { rank, alpha: 2.0 * rank as f64, targets: Target::ALL.to_vec() }
}

/// Runs updates on batches of `rows` rows, in which every token from `--from` on is a target.
fn train(checkpoint: &Checkpoint, numbers: &Numbers) -> Result<(), Failure> {
    let (rows, tokens) = (numbers.get("rows")?, numbers.get("tokens")?);
    let (times, workers) = (numbers.get("times")?, numbers.get("workers")?);
    let from = numbers.find("from")?.unwrap_or(1);
    let vocabulary = checkpoint.config.vocab_size;
    let begin = row(0, numbers.find("shared")?.unwrap_or(0), vocabulary);
    let example = |index| Example {
        ids: [&begin, &row(index, tokens, vocabulary)[begin.len()..]].concat(),
        targets_from: Some(from),
        heads: Vec::new(),
        weight: 1.0,
    };
    let examples: Vec<Example> = (0..rows * times.max(1)).map(example).collect();
    let config = TrainConfig {
        weight_decay: 0.05,
        clip_norm: 1.0,
        batch_tokens: rows * tokens,
        micro_batches: numbers.find("parts")?.unwrap_or(workers),
        precision: numbers.precision()?,
        lora: numbers.find("rank")?.map(adapters),
        ..TrainConfig::plain(1.0, 1e-4)
    };
    let training = Training {
        checkpoint,
        examples: &examples,
        preferences: None,
        validation: &[],
        config: &config,
        updates: Some(Course { updates: times, planned: times }),
        seed: 0,
        workers,
    };
    let mut last = f64::NAN;
    training.run::<lm::Error>(&[numbers.device()?], None, &mut |event| {
        if let Event::Update { loss, .. } = event {
            last = loss;
        }
        Ok(())
    })?;
    println!("loss {last:.4}");
    Ok(())
}

/// Continues `rows` prompts greedily. The prompts have no prefix in common.
fn decode(dir: &Path, numbers: &Numbers) -> Result<(), Failure> {
    let (rows, tokens, new) = (numbers.get("rows")?, numbers.get("tokens")?, numbers.get("new")?);
    let options = EngineOptions { workers: numbers.get("workers")?, rows: 64 };
    let engine = Engine::load(dir, &[numbers.device()?], numbers.precision()?, options)?;
    // The engine drafts what a few rows repeat, and the likeliest tokens after random ones are all repetition.
    let few = rows <= 6;
    let sampling = if few { Sampling::Temperature { temperature: 1.0 } } else { Sampling::Greedy };
    let request = |index: usize| GenerationRequest {
        prompt: row(index, tokens, engine.config().vocab_size),
        sampling,
        stop: Stop { tokens: Vec::new(), strings: Vec::new(), until: None, max_new: new },
        excluded: Vec::new(),
        seed: index as u64,
        scope: scope_of(&index.to_string()),
        keep: false,
    };
    let requests: Vec<GenerationRequest> = (0..rows).map(request).collect();
    for _ in 0..numbers.get("times")? {
        let begun = Instant::now();
        let written = engine.generate(&requests, &mut Prefixes::default())?;
        let seconds = begun.elapsed().as_secs_f64();
        let first: Vec<u32> = written[0].drawn.ids.iter().take(8).copied().collect();
        println!("{seconds:.3} s, {first:?}");
    }
    Ok(())
}

/// Multiplies `[rows, d] x [d, d]` at the model's width: an upper bound for the speed of the other jobs.
fn gemm(checkpoint: &Checkpoint, numbers: &Numbers) -> Result<(), Failure> {
    let (rows, d) = (numbers.get("rows")?, checkpoint.config.hidden_size);
    let device = numbers.device()?;
    let tensor = |rows: usize| Tensor::<2>::ones([rows, d], &device);
    let (mut left, right) = (tensor(rows), tensor(d));
    for _ in 0..numbers.get("times")? {
        left = left.matmul(right.clone());
    }
    println!("{:?}", left.dims());
    Ok(())
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [job, dir, numbers @ ..] = arguments.as_slice() else {
        return Err("measure train|decode|gemm CHECKPOINT --name number ...".into());
    };
    let numbers = Numbers::of(numbers)?;
    let dir = Path::new(dir);
    // Only a frozen weight may be other than f32.
    let adapted = numbers.find("rank")?.is_some();
    let stored = if adapted { numbers.precision()? } else { Precision::F32 };
    let checkpoint = || Ok::<_, Failure>(Checkpoint::load_as(dir, &numbers.device()?, stored)?);
    match job.as_str() {
        "train" => train(&checkpoint()?, &numbers),
        "decode" => decode(dir, &numbers),
        "gemm" => gemm(&checkpoint()?, &numbers),
        _ => Err(format!("`{job}` is not train, decode or gemm").into()),
    }
}
