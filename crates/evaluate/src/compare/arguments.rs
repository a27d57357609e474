//! The command line of `evaluate compare`, and the reading, printing and writing around [`compare`].

use std::path::PathBuf;
use std::str::FromStr;

use dataset::Dataset;
use schema::{Evaluation, Outcome};
use stage::{Failure, ResultExt, print_json, print_table};

use super::text::Page;
use super::{Comparison, compare};
use crate::cost;

/// The default label to compare against.
const CONTROL: &str = "control";

/// Compare evaluations of several models, paired by problem.
#[derive(Debug, Clone, clap::Args)]
pub struct CompareArgs {
    /// An evaluation and the label to show it by, e.g. `--run "round 1=data/runs/tiny/round-01/evaluation"`; repeat it,
    /// in the order to show.
    #[arg(long = "run", value_name = "LABEL=DIR", required = true)]
    pub runs: Vec<Labelled>,

    /// The label that all others are compared against [default: `control` if there is one, else the first].
    #[arg(long, value_name = "LABEL")]
    pub against: Option<String>,

    /// Also show the cost of each decoder, from the metrics of the evaluations.
    #[arg(long)]
    pub costs: bool,

    /// Also write the comparison to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Print the comparison as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A dataset and the label to show it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The label.
    pub label: String,
    /// The dataset.
    pub dir: PathBuf,
}

impl FromStr for Labelled {
    type Err = String;

    /// Reads `LABEL=DIR`. The label ends at the first `=`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=').map(|(label, dir)| (label.trim(), dir)) {
            Some((label, dir)) if !label.is_empty() && !dir.is_empty() => {
                Ok(Self { label: label.to_owned(), dir: dir.into() })
            }
            _ => Err(format!("`{text}` is not LABEL=DIR")),
        }
    }
}

/// Reads the evaluations, compares them, prints the comparison, and writes it to `--out`.
pub fn run(args: CompareArgs) -> Result<(), Failure> {
    let CompareArgs { runs, against, costs, out, json } = args;
    let against = against.unwrap_or_else(|| default_against(&runs));
    let mut models = Vec::new();
    for run in &runs {
        let dataset = Dataset::<Evaluation>::open(&run.dir)?.require_rows()?;
        models.push((run.label.clone(), dataset.view::<Outcome>()?));
    }
    let mut comparison = compare(&models, &against)?;
    for run in runs.iter().filter(|_| costs) {
        comparison.add_costs(&run.label, &cost::costs(&run.dir)?);
    }
    if let Some(path) = out {
        let text = serde_json::to_string_pretty(&comparison).or_bug("cannot write JSON")?;
        dataset::write_file(&path, format!("{text}\n").as_bytes())?;
    }
    print(&comparison, json)
}

fn default_against(runs: &[Labelled]) -> String {
    let control = runs.iter().find(|run| run.label == CONTROL).or(runs.first());
    control.map_or_else(|| CONTROL.to_owned(), |run| run.label.clone())
}

fn print(comparison: &Comparison, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(comparison);
    }
    let page = Page::of(comparison);
    print_table(&page.text, &Page::HEADER, &page.notes)
}
