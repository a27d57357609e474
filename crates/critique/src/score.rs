//! `critique score`: writes one critique per trajectory, one part per part of the trajectories.
//!
//! Scores that a search got from the same critics are taken from its trajectories; only the others are computed.

mod agreement;
mod judge;
mod totals;

use std::path::{Path, PathBuf};

use critic::{Confidence, Head, confidence};
use dataset::{Dataset, Files, Input};
use decoding::{AnyModel, ModelAt, Runtime, TextConfig, models};
use schema::critiques::CriticModels;
use schema::{Critique, Trajectory};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Inference, Metrics, Parts, Plan, Preset, ResultExt, Sharing};

use agreement::Agreement;
use judge::Judge;
use totals::Totals;

pub(crate) use judge::evidence;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    inference: Inference,
    #[command(flatten)]
    sharing: Sharing,
    /// The preset's text.toml: how a question becomes text.
    #[arg(long)]
    text: PathBuf,
    /// The trajectories to judge.
    #[arg(long)]
    trajectories: PathBuf,
    /// A critic: a checkpoint with critic heads, or a checkpoint or server that is asked in words. Repeat the flag for each
    /// model.
    #[arg(long = "critic", required = true)]
    critics: Vec<ModelAt>,
    /// The output of `critique calibrate` for these critics. With it, every critique gets the probability that its answer
    /// is right.
    #[arg(long)]
    confidence: Option<PathBuf>,
    /// Output folder for the critiques.
    #[arg(long)]
    out: PathBuf,
}

/// The preset's `critique.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The betas of AlphaLLM §4.3. The combined score is the weighted mean, so it stays in [0, 1].
    weights: Weights,
    /// How much a solution weighs in the agreement among its prompt's solutions.
    agreement: Agreement,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    /// Weight of the value after the last option.
    value: f64,
    /// Weight of the smallest process reward: a chain is only as good as its worst option.
    prm: f64,
    /// Weight of the outcome reward.
    orm: f64,
}

#[derive(Serialize)]
struct Settings<'a> {
    critique: &'a Config,
    text: &'a TextConfig,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.sharing.told(&[&args.out], args.common.json)? {
        return Ok(());
    }
    let files = args.common.files([("text", args.text.as_path())]);
    let preset: Preset<Config> = files.config()?;
    let text: Preset<TextConfig> = files.other("text")?;
    preset.value.validate()?;
    let runtime = Runtime::for_inference(&args.sharing.inference(&args.inference), &text.value)?;
    // The plan has read all of them. If every shard did so, too, most of what they read would be for others.
    let open =
        if args.sharing.is_shard() { Dataset::<Trajectory>::open_unread } else { Dataset::open };
    let trajectories = open(&args.trajectories)?;
    let critics = models::critics_at(&args.critics, &runtime)?;
    let (calibrated, confidence) = args.confidence.as_deref().map(calibration).transpose()?.unzip();
    let mut inputs = vec![trajectories.input("trajectories")];
    inputs.extend(critics.iter().map(|model| model.input().clone()));
    inputs.extend(calibrated);
    let settings = Settings { critique: &preset.value, text: &text.value };
    let plan = Plan { tool: "critique", common: &args.common, settings: &settings, inputs };
    // The parts of the trajectories: each has all solutions of its prompts, as agreement requires, and `filter` reads both
    // tables part by part.
    let parts = trajectories.ranges();
    let would = format_args!("judge {} trajectories in {} parts", trajectories.len(), parts.len());
    let Some(work) = plan.unless_dry(would)? else { return Ok(()) };
    let work = work.shared(args.sharing);
    let work = work.unless_shared::<Critique>(&args.out, parts.len(), |output| {
        // What each shard found of its own parts alone.
        let totals = Totals::of_shards(&args.out)?;
        totals.require(trajectories.len())?;
        output.commit()?;
        totals.warn_of_unread(trajectories.len());
        Ok(())
    })?;
    let Some(work) = work else { return Ok(()) };
    let judge = Judge {
        critic: models::critic(&critics, &text.value)?,
        id: models::critics_id(&critics, &text.value)?,
        models: names(&critics, &text.value)?,
        config: preset.value,
        confidence,
        round: args.common.round,
    };
    // Begun only now: critics that cannot be combined leave no begun folder and, with --force, cost no old one.
    let Some(output) = work.table(&args.out, parts.len())? else { return Ok(()) };
    let mut metrics = Metrics::shared(&args.out, args.sharing)?;
    let mut totals = Totals::default();
    let parts = Parts { label: "critique", items: parts, sharing: args.sharing };
    let whole = parts.make_missing(&output, &mut metrics, |part| {
        let critiques = judge.part(&trajectories.part_rows(part.index)?, &mut totals)?;
        totals.require(trajectories.len())?;
        Ok((critiques, [totals.clone()]))
    })?;
    if whole {
        output.commit()?;
    }
    totals.warn();
    totals.print(args.common.json)
}

/// Reads a calibration, together with its entry in the recipe.
fn calibration(dir: &Path) -> Result<(Input, Confidence), Failure> {
    let files = Files::open(dir)?;
    let path = files.path(confidence::FILE)?;
    let text = std::fs::read(&path).or_io(path.display())?;
    Ok((files.input("confidence"), serde_json::from_slice(&text).or_data(path.display())?))
}

/// The model behind each head.
fn names(models: &[AnyModel], text: &TextConfig) -> Result<CriticModels, Failure> {
    let mut names = CriticModels::default();
    for model in models {
        for head in model.heads(text).map_err(Failure::from)? {
            let name = match head {
                Head::Value => &mut names.value,
                Head::Prm => &mut names.prm,
                Head::Orm => &mut names.orm,
            };
            *name = Some(model.label());
        }
    }
    Ok(names)
}

impl Config {
    fn validate(&self) -> Result<(), Failure> {
        if !(0.0..=1.0).contains(&self.agreement.likelihood) {
            return Err(Failure::config("agreement.likelihood: it must be in [0, 1]"));
        }
        let weights = [self.weights.value, self.weights.prm, self.weights.orm];
        if weights.iter().all(|w| w.is_finite() && *w >= 0.0) && weights.iter().sum::<f64>() > 0.0 {
            return Ok(());
        }
        Err(Failure::config("weights: each must be 0 or more, and one above 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_read_and_in_range() {
        let values: Vec<Config> = stage::shipped(|name| name == "critique.toml").unwrap();
        assert!(values.len() >= 5, "{} files", values.len());
        for value in values {
            value.validate().unwrap();
        }
    }
}
