//! `critique label`: samples the policy's own solutions of labelled problems and derives the critics' targets from them.
//!
//! The targets are defined in [`crate::targets`].

mod labeller;
mod labels;
mod totals;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dataset::{Dataset, Output, chunk};
use decoding::{AnyModel, ModelAt, Runtime, TextConfig};
use lm::Sampling;
use schema::labels::{HELD_OUT, TRAIN};
use schema::{Label, Prompt};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Inference, Metrics, Parts, Plan, Preset, Sharing};

use labeller::Labeller;
use labels::AllLabels;
use totals::Totals;

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
    /// Labelled problems for the critics to learn from.
    #[arg(long)]
    seeds: PathBuf,
    /// Labelled problems to judge the critics on. Without any, the labels are no use to critics, but still show what the policy
    /// solves by itself (`finetune policy --labels`).
    #[arg(long)]
    held_out: Option<PathBuf>,
    /// The policy whose solutions are labelled: a checkpoint, or a server's address.
    #[arg(long)]
    policy: ModelAt,
    /// Output folder for the labels.
    #[arg(long)]
    out: PathBuf,
    /// Write the labels even if none of them is right; critics learn nothing from those.
    #[arg(long)]
    allow_one_class: bool,
}

/// The preset's `label.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Problems per part.
    chunk_prompts: usize,
    /// The share of the seeds to leave out, chosen by hash of the id: those the policy was trained on. Its errors on
    /// problems it has memorized are not the ones it makes elsewhere, and critics trained on them were calibrated worse
    /// (ECE 0.09 to 0.18 instead of 0.03 to 0.07, docs/TRIALS.md).
    skip_share: f64,
    /// Solutions sampled per problem, the paper's J.
    samples: u32,
    /// How the solutions are sampled.
    sampling: Sampling,
    /// Prefixes per problem from which rollouts start; 0 turns rollouts off.
    prefixes: usize,
    /// Rollouts from each such prefix.
    rollouts: u32,
    /// The PRM threshold: an option is good if more than this share of its continuations is right; in [0, 1).
    good_above: f32,
}

#[derive(Serialize)]
struct Settings<'a> {
    label: &'a Config,
    text: &'a TextConfig,
}

impl Config {
    fn validate(&self) -> Result<(), Failure> {
        self.sampling.validate().map_err(Failure::config)?;
        let checks = [
            ("chunk_prompts", self.chunk_prompts >= 1, "is 0"),
            ("samples", self.samples >= 1, "is 0: there would be nothing to label"),
            ("skip_share", (0.0..1.0).contains(&self.skip_share), "is not in [0, 1)"),
            ("good_above", (0.0..1.0).contains(&self.good_above), "is not in [0, 1)"),
        ];
        match checks.iter().find(|(_, holds, _)| !holds) {
            Some((key, _, problem)) => Err(Failure::config(format!("`{key}` {problem}"))),
            None => Ok(()),
        }
    }
}

/// All problems, each with its split. A seed that is also a held-out problem (an import with `--allow-overlap` leaves such
/// seeds) is held out only: critics must not be measured on what they learned from.
fn problems(
    seeds: Vec<Prompt>,
    held_out: Vec<Prompt>,
    dir: &Path,
) -> Result<Vec<(Prompt, &'static str)>, Failure> {
    let measured: BTreeSet<String> = held_out.iter().map(|p| p.prompt_id.clone()).collect();
    let all = seeds.len();
    let (shared, seeds): (Vec<Prompt>, Vec<Prompt>) =
        seeds.into_iter().partition(|p| measured.contains(&p.prompt_id));
    if let Some(first) = shared.first() {
        let (id, count, dir) = (&first.prompt_id, shared.len(), dir.display());
        let said = format!("{dir}: problem {id} is among the seeds, too: {count} of {all} seeds");
        if seeds.is_empty() {
            let remedy = "give held-out problems that nothing learns from";
            return Err(Failure::data(said).hint(remedy));
        }
        tracing::warn!("{said} are held out, and critics do not learn from them");
    }
    let seeds = seeds.into_iter().map(|p| (p, TRAIN));
    Ok(seeds.chain(held_out.into_iter().map(|p| (p, HELD_OUT))).collect())
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
    let seeds = Dataset::<Prompt>::open(&args.seeds)?.require_rows()?;
    let open = |dir: &PathBuf| Ok::<_, Failure>(Dataset::<Prompt>::open(dir)?.require_rows()?);
    let held_out = args.held_out.as_ref().map(open).transpose()?;
    let model = AnyModel::at("policy", &args.policy, &runtime)?;
    let plan = Plan {
        tool: "critique-label",
        common: &args.common,
        settings: &Settings { label: &preset.value, text: &text.value },
        inputs: [Some(seeds.input("seeds")), held_out.as_ref().map(|it| it.input("held-out"))]
            .into_iter()
            .flatten()
            .chain([model.input().clone()])
            .collect(),
    };
    // `finetune policy` takes the seeds whose place is below its `seed_share`, by the same hash.
    let learned = |p: &Prompt| dataset::place_of(&p.prompt_id) >= preset.value.skip_share;
    let seeds: Vec<Prompt> = seeds.rows()?.into_iter().filter(learned).collect();
    let problems = match &held_out {
        Some(held_out) => problems(seeds, held_out.rows()?, held_out.dir())?,
        None => seeds.into_iter().map(|seed| (seed, TRAIN)).collect(),
    };
    let parts = chunk(problems.len(), preset.value.chunk_prompts);
    let would = format_args!("label {} problems in {} parts", problems.len(), parts.len());
    let Some(work) = plan.unless_dry(would)? else { return Ok(()) };
    let work = work.shared(args.sharing).unless_shared(&args.out, parts.len(), |output| {
        let mut metrics = Metrics::shared(&args.out, args.sharing)?;
        complete(output, &Totals::default(), &mut metrics, &problems, args).map(drop)
    })?;
    let Some(work) = work else { return Ok(()) };
    let policy = model.policy(&text.value)?;
    let each = problems.iter().map(|(p, _)| (p.prompt_id.as_str(), p.prompt.as_str()));
    let fitting = decoding::fitting(&policy, each).map_err(Failure::from)?;
    fitting.require("problems")?;
    let Some(output) = work.table(&args.out, parts.len())? else { return Ok(()) };
    let mut metrics = Metrics::shared(&args.out, args.sharing)?;
    let mut labeller = Labeller::new(policy, fitting, preset.value, &args.common);
    let parts = Parts { label: "label", items: parts, sharing: args.sharing };
    let whole = parts.make_missing(&output, &mut metrics, |part| {
        let rows = labeller.chunk(&problems[part.items])?;
        Ok((rows, [labeller.totals.clone()]))
    })?;
    let totals = labeller.totals;
    let totals =
        if whole { complete(output, &totals, &mut metrics, &problems, args)? } else { totals };
    totals.warn();
    totals.print(args.common.json)
}

/// Checks the labels and completes the output. `totals` counts what this process made; the labels of all are added.
fn complete(
    output: Output<Label>,
    totals: &Totals,
    metrics: &mut Metrics,
    problems: &[(Prompt, &'static str)],
    args: &Args,
) -> Result<Totals, Failure> {
    // Read back from disk: parts that an earlier run or a shard made are not in the counters.
    let labels = AllLabels { rows: output.rows()?, problems };
    let totals = Totals { labels: Some(labels.classes()), ..totals.clone() };
    metrics.row(&totals)?;
    labels.check(args.allow_one_class)?;
    output.commit()?;
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_out_is_not_learned_from_though_it_is_among_the_seeds() {
        let of = |ids: &[&str]| -> Vec<Prompt> {
            let one = |id: &&str| Prompt { prompt_id: (*id).to_owned(), ..Prompt::default() };
            ids.iter().map(one).collect()
        };
        let split = |seeds: &[&str], held_out: &[&str]| {
            problems(of(seeds), of(held_out), Path::new("validation"))
        };
        let kept = split(&["a", "b", "c"], &["b", "d"]).unwrap();
        let kept: Vec<(&str, &str)> =
            kept.iter().map(|(p, split)| (p.prompt_id.as_str(), *split)).collect();
        assert_eq!(kept, [("a", TRAIN), ("c", TRAIN), ("b", HELD_OUT), ("d", HELD_OUT)]);
        let failure = split(&["a", "b"], &["b", "a"]).unwrap_err();
        assert_eq!(failure.exit(), stage::Exit::Data);
        let says = "validation: problem a is among the seeds, too: 2 of 2 seeds";
        assert_eq!(failure.to_string(), says);
    }

    #[test]
    fn every_preset_is_read_and_in_range() {
        let values: Vec<Config> = stage::shipped(|name| name == "label.toml").unwrap();
        assert!(values.len() >= 5, "{} files", values.len());
        for value in values {
            value.validate().unwrap();
            for (key, wrong) in [
                ("samples", Config { samples: 0, ..value.clone() }),
                ("skip_share", Config { skip_share: 1.0, ..value.clone() }),
                ("good_above", Config { good_above: -0.1, ..value.clone() }),
                ("chunk_prompts", Config { chunk_prompts: 0, ..value.clone() }),
            ] {
                let failure = wrong.validate().unwrap_err();
                assert!(failure.to_string().contains(key), "{failure}");
            }
        }
    }
}
