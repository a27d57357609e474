//! The report of a run: one HTML file that needs neither a network nor a server.
//!
//! It reads what the stages left in the run's folder, and finds by the hashes in manifests what belongs together: the examples
//! of a round name the trajectories and critiques they were chosen from, and those name the prompts. Nothing is computed anew
//! but counts; which solutions the filter dropped, and why, is asked of the filter itself.

mod accuracy;
mod critics;
mod outputs;
mod page;
mod problems;
mod rounds;
mod settings;
mod trees;

use std::path::PathBuf;

use serde::Serialize;
use stage::{Failure, Spent};

use crate::outputs::Outputs;
use crate::problems::Answered;

/// Writes the report of a run as one HTML file.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub struct Args {
    /// The folder of the run.
    #[arg(long)]
    run: PathBuf,
    /// The preset's folder, to say what differs from the preset that it extends.
    #[arg(long)]
    preset: PathBuf,
    /// The preset's filter.toml, by which rounds were filtered, to say why a solution was dropped.
    #[arg(long)]
    filter: Option<PathBuf>,
    /// The tree.toml by which rounds were searched, to say how a vote weighs solutions.
    #[arg(long)]
    tree: Option<PathBuf>,
    /// The arm whose rounds these are; its folder in that of the preset has its settings.
    #[arg(long, value_name = "NAME")]
    arm: Option<String>,
    /// The comparison of the models, as `evaluate compare` writes it. Without one, there are no accuracies.
    #[arg(long)]
    comparison: Option<PathBuf>,
    /// The examples of a round; repeat it for each round, in order.
    #[arg(long)]
    examples: Vec<PathBuf>,
    /// A model and its evaluation, `base=DIR`; repeat it for each model, in order.
    #[arg(long = "answers", value_name = "MODEL=DIR", value_parser = answered)]
    answers: Vec<(String, PathBuf)>,
    /// The most search trees to show, of those of all rounds.
    #[arg(long, default_value_t = 300)]
    most_trees: usize,
    /// The most problems whose answers are shown side by side.
    #[arg(long, default_value_t = 300)]
    most_problems: usize,
    /// Also writes the trees that are shown to this file, as a JSON object a line.
    #[arg(long, value_name = "FILE")]
    trees: Option<PathBuf>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn answered(text: &str) -> Result<(String, PathBuf), String> {
    let (model, dir) = text.split_once('=').ok_or_else(|| format!("`{text}` is not MODEL=DIR"))?;
    Ok((model.to_owned(), PathBuf::from(dir)))
}

/// The run's name, preset, rounds, seed and revision, for the head of the page.
#[derive(Debug, Serialize)]
struct Run {
    name: String,
    arm: Option<String>,
    preset: String,
    rounds: usize,
    revision: Option<String>,
    seed: Option<u64>,
}

/// The cost of a stage.
#[derive(Debug, Serialize)]
struct Cost {
    stage: String,
    seconds: f64,
    generated: u64,
    trained: u64,
    tflop: f64,
}

/// Runs the stage.
///
/// # Errors
/// Exit 65 for files that cannot be read, 74 if the page cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let outputs = Outputs::below(&args.run)?;
    let accuracy = args.comparison.as_deref().map(accuracy::read).transpose()?.unwrap_or_default();
    let rounds = rounds::read(args, &outputs)?;
    let answered: Vec<Answered<'_>> =
        args.answers.iter().map(|(model, dir)| Answered { model, dir }).collect();
    let (problems, problems_total) = problems::read(&answered, &outputs, args.most_problems)?;
    let page = page::Page {
        run: head(args, &outputs),
        headline: accuracy.headline(),
        critics: critics::read(&args.run)?,
        filter: rounds.filters,
        operators: rounds.operators,
        costs: costs(args)?,
        settings: changes(args)?,
        provenance: outputs.provenance(),
        prompts: rounds.prompts,
        sampled: rounds.sampled,
        problems,
        problems_total,
        accuracy: accuracy.rows,
        curves: accuracy.curves,
    };
    if let Some(path) = &args.trees {
        let lines: Vec<String> = rounds.trees.iter().map(|tree| tree.named().to_string()).collect();
        dataset::write_file(path, (lines.join("\n") + "\n").as_bytes())?;
    }
    let html = page.render(&rounds.trees)?;
    dataset::write_file(&args.out, html.as_bytes())?;
    tracing::info!("{} has {:.1} MB", args.out.display(), html.len() as f64 / 1e6);
    stage::print_table(
        "",
        &["open this page in a browser"],
        &[vec![args.out.display().to_string()]],
    )
}

fn head(args: &Args, outputs: &Outputs) -> Run {
    let name = |path: &std::path::Path| {
        path.file_name()
            .map_or_else(|| path.display().to_string(), |name| name.display().to_string())
    };
    let last = args.examples.last().and_then(|examples| outputs.manifest(examples));
    Run {
        name: name(&args.run),
        arm: args.arm.clone(),
        preset: name(&args.preset),
        rounds: args.examples.len(),
        revision: last.and_then(|manifest| manifest.recipe.revision.clone()),
        seed: last.map(|manifest| manifest.recipe.seed),
    }
}

/// The settings of the preset that differ from its parent's, and those of the arm that differ from the preset's.
fn changes(args: &Args) -> Result<Vec<settings::Change>, Failure> {
    let mut changes = settings::changes(&args.preset)?;
    if let Some(arm) = &args.arm {
        changes.extend(settings::changes(&args.preset.join(arm))?);
    }
    Ok(changes)
}

/// The costs of all stages, those that took longest first.
fn costs(args: &Args) -> Result<Vec<Cost>, Failure> {
    let mut costs = Vec::new();
    for (stage, path) in outputs::files(&args.run, dataset::METRICS)? {
        let Spent { seconds, generated, trained, flops, .. } = Spent::of(&path)?;
        costs.push(Cost { stage, seconds, generated, trained, tflop: flops as f64 / 1e12 });
    }
    costs.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Ok(costs)
}
