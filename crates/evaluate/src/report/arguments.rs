//! The command line of `evaluate report`, and the reading, printing and writing around [`report`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dataset::Dataset;
use schema::{Evaluation, Outcome};
use stage::{Failure, ResultExt, print_json, print_table};

use super::folder::BySeed;
use super::{
    Error, ModelRun, Pair, Report, Request, SplitReport, Versus, costs, critics, kept, markdown,
    operators, plots, priced, report,
};
use crate::compare::Labelled;
use crate::format::{none, one, p_value, signed_range};

/// Report evaluations of several models over several seeds: `report.md`, `report.json` and plots.
#[derive(Debug, Clone, clap::Args)]
pub struct ReportArgs {
    /// An evaluation with its seed and model, e.g. `--run "0:round 1=data/runs/tiny/round-01/evaluation"`; repeat it,
    /// in the order to show. Every seed needs every model.
    #[arg(long = "run", value_name = "SEED:MODEL=DIR", required = true)]
    pub runs: Vec<SeedRun>,

    /// A model and the one to compare it with, e.g. `--pair "round 1=control 1"`; repeat it.
    #[arg(long = "pair", value_name = "MODEL=OTHER")]
    pub pairs: Vec<Pair>,

    /// Report only this split; repeat it [default: all].
    #[arg(long = "split", value_name = "NAME")]
    pub splits: Vec<String>,

    /// Plot the accuracy of this model's decoders over the tokens they generate, if it has several; repeat it [default:
    /// every model].
    #[arg(long = "curve", value_name = "MODEL")]
    pub curves: Vec<String>,

    /// A seed and the folder of its run, e.g. `0=data/runs/tiny-seed0`; repeat it. Adds the quality of the critics in
    /// it, the filters' yield and precision as graded by `evaluate audit`, the counts of imagination, and the costs of
    /// the stages.
    #[arg(long = "folder", value_name = "SEED=DIR")]
    pub folders: Vec<Labelled>,

    /// Folder for the report. Files of the same names in it are replaced.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A dataset with its seed and model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedRun {
    /// The seed's label.
    pub seed: String,
    /// The model's name, and the dataset.
    pub model: Labelled,
}

impl SeedRun {
    fn name(&self) -> String {
        format!("{}:{}", self.seed, self.model.label)
    }
}

impl FromStr for SeedRun {
    type Err = String;

    /// Reads `SEED:MODEL=DIR`. The seed ends at the first `:`, the model at the first `=` after it.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').map(|(seed, model)| (seed.trim(), model.parse()));
        match parts {
            // An `=` in the seed means that there is no seed and the first colon belongs to the path.
            Some((seed, Ok(model))) if !seed.is_empty() && !seed.contains('=') => {
                Ok(Self { seed: seed.to_owned(), model })
            }
            _ => Err(format!("`{text}` is not SEED:MODEL=DIR")),
        }
    }
}

/// Reads the evaluations, builds the report, writes it and prints its pairs.
pub fn run(args: ReportArgs) -> Result<(), Failure> {
    let ReportArgs { runs, pairs, splits, curves, folders, out, json } = args;
    check_folders(&runs)?;
    let decoder_costs = priced::of_decoders(&runs)?;
    let runs = runs.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut report = report(&runs, &Request { pairs, splits, curves })?;
    report.decoder_costs = decoder_costs;
    report.made = operators::means(of_seeds(&folders, operators::made)?);
    report.brought = operators::means(of_seeds(&folders, operators::brought)?);
    report.critics = critics::reports(of_seeds(&folders, critics::figures)?);
    report.kept = kept::reports(of_seeds(&folders, kept::audits)?);
    report.costs = costs::means(of_seeds(&folders, costs::spent)?);
    let plots = plots(&report);
    for plot in &plots {
        dataset::write_file(&out.join(&plot.file), plot.svg.as_bytes())?;
    }
    dataset::write_file(&out.join("report.md"), markdown(&report, &plots).as_bytes())?;
    // Written last: if it is there, the other files are too.
    let text = serde_json::to_string(&report).or_bug("cannot write JSON")?;
    dataset::write_file(&out.join("report.json"), format!("{text}\n").as_bytes())?;
    print(&report, json)
}

/// Refuses a folder that is given twice, even under different paths.
fn check_folders(runs: &[SeedRun]) -> Result<(), Error> {
    let mut seen = BTreeMap::new();
    for run in runs {
        let dir = &run.model.dir;
        // A missing folder is refused later, when it is read.
        let folder = dir.canonicalize().unwrap_or_else(|_| dir.clone());
        if let Some(first) = seen.insert(folder, run) {
            let (dir, first, second) = (dir.display().to_string(), first.name(), run.name());
            return Err(Error::SameFolder { dir, first, second });
        }
    }
    Ok(())
}

/// Reads the run folder of each seed.
fn of_seeds<T>(
    folders: &[Labelled],
    read: fn(&Path) -> Result<BTreeMap<String, T>, Failure>,
) -> Result<BySeed<T>, Failure> {
    folders.iter().map(|folder| Ok((folder.label.clone(), read(&folder.dir)?))).collect()
}

fn read(run: SeedRun) -> Result<ModelRun, Failure> {
    let SeedRun { seed, model } = run;
    let rows = Dataset::<Evaluation>::open(&model.dir)?.require_rows()?.view::<Outcome>()?;
    Ok(ModelRun { seed, model: model.label, rows })
}

fn print(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(report);
    }
    let header = ["split", "decoder", "model", "against", "gain", "interval", "p by problem"];
    let decoders =
        report.splits.iter().flat_map(|split| split.decoders.iter().map(move |it| (split, it)));
    let pairs = decoders.flat_map(|(split, it)| it.pairs.iter().map(move |pair| (split, pair)));
    let row = |(split, pair): (&SplitReport, &Versus)| {
        vec![
            split.split.clone(),
            pair.this.decoder.clone(),
            pair.this.model.clone(),
            pair.other.model.clone(),
            format!("{:+.1}", pair.gain.mean),
            pair.gain.interval.map_or_else(none, |[low, high]| signed_range(low, high)),
            p_value(pair.p_by_problem),
            one(pair.error_removed.map(|removed| removed.mean)),
        ]
    };
    let rows: Vec<Vec<String>> = pairs.map(row).collect();
    print_table("", &[&header[..], &["error removed %"]].concat(), &rows)
}
