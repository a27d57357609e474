//! Counts per operator of imagination: prompts made, and solutions found and kept for them, from the metrics in the
//! folders of prompts and of training examples.

use std::collections::BTreeMap;
use std::path::Path;

use dataset::{METRICS, MetricsLog};
use serde::{Deserialize, Serialize};
use stage::{Failure, ResultExt};

use super::folder::{self, BySeed};

/// The counts of an operator in one folder, averaged over seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfOperator<C> {
    /// Folder of the prompts or of the examples within the run.
    pub folder: String,
    /// The operator.
    pub operator: String,
    /// Number of seeds with this operator.
    pub seeds: usize,
    /// The counts.
    #[serde(flatten)]
    pub counts: C,
}

/// Counts of the prompts that an operator made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MadeCounts {
    /// Questions drawn.
    pub draws: f64,
    /// Prompts kept of them.
    #[serde(rename(deserialize = "kept"))]
    pub prompts: f64,
    /// Distinct shapes among them: questions without names, objects and numbers.
    pub shapes: f64,
    /// Share of the seeds' shapes that they cover, in percent.
    pub coverage_percent: f64,
    /// Share of distinct word trigrams among all, in percent.
    pub distinct_3_percent: f64,
}

/// Counts of the search and the filter on an operator's prompts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct BroughtCounts {
    /// Searched prompts: those with at least one trajectory.
    pub prompts: f64,
    /// Prompts with a kept solution.
    pub kept: f64,
    /// Kept solutions.
    pub sft: f64,
    /// Mean over the prompts of `1 - p(y | x)`, the probability that the policy would not have said the best kept
    /// solution; 0 for prompts without one. In 0 to 1.
    pub gain: f64,
}

/// A line of the metrics next to prompts.
#[derive(Deserialize)]
struct MadeLine {
    operator: String,
    #[serde(flatten)]
    counts: MadeCounts,
}

/// A line of the metrics next to examples.
#[derive(Deserialize)]
struct BroughtLine {
    operators: Vec<BroughtOne>,
}

#[derive(Deserialize)]
struct BroughtOne {
    operator: String,
    #[serde(flatten)]
    counts: BroughtCounts,
}

/// Counts by operator.
type Counts<T> = BTreeMap<String, T>;
/// Counts by the folder of a dataset, then by operator.
type Found<T> = Result<BTreeMap<String, Counts<T>>, Failure>;

/// Reads the counts of made prompts below a run's folder, by prompt folder.
pub(super) fn made(run: &Path) -> Found<MadeCounts> {
    lines(run, ("prompts", "operator"), |all, line: MadeLine| {
        // A later line is from a run that was started again, and replaces the earlier one.
        all.insert(line.operator, line.counts);
    })
}

/// Reads the counts of kept solutions below a run's folder, by the folder of the examples. If a filter ran again after
/// a kill, its last line counts.
pub(super) fn brought(run: &Path) -> Found<BroughtCounts> {
    lines(run, ("sft", "operators"), |all, line: BroughtLine| {
        *all = line.operators.into_iter().map(|one| (one.operator, one.counts)).collect();
    })
}

/// Reads the metrics next to all datasets of the given name below a run's folder, and adds the lines that have the key.
fn lines<L: serde::de::DeserializeOwned, T>(
    run: &Path,
    (dataset, key): (&str, &str),
    add: impl Fn(&mut Counts<T>, L),
) -> Found<T> {
    let mut found = folder::each(run, METRICS, |path| {
        let mut all = Counts::new();
        if path.parent().is_some_and(|folder| folder.ends_with(dataset)) {
            let lines = MetricsLog::read(path)?.into_iter();
            for line in lines.filter(|line| line.get(key).is_some()) {
                add(&mut all, serde_json::from_value(line).or_data(path.display())?);
            }
        }
        Ok(all)
    })?;
    // Folders without such lines would be empty rows in the report.
    found.retain(|_, all| !all.is_empty());
    Ok(found)
}

/// Counts that can be averaged.
pub(super) trait Averaged: Sized {
    /// The mean of each count; NaN for an empty slice.
    fn average(all: &[Self]) -> Self;
}

impl Averaged for MadeCounts {
    fn average(all: &[Self]) -> Self {
        Self {
            draws: mean(all, |it| it.draws),
            prompts: mean(all, |it| it.prompts),
            shapes: mean(all, |it| it.shapes),
            coverage_percent: mean(all, |it| it.coverage_percent),
            distinct_3_percent: mean(all, |it| it.distinct_3_percent),
        }
    }
}

impl Averaged for BroughtCounts {
    fn average(all: &[Self]) -> Self {
        Self {
            prompts: mean(all, |it| it.prompts),
            kept: mean(all, |it| it.kept),
            sft: mean(all, |it| it.sft),
            gain: mean(all, |it| it.gain),
        }
    }
}

fn mean<T>(all: &[T], figure: fn(&T) -> f64) -> f64 {
    all.iter().map(figure).sum::<f64>() / all.len() as f64
}

/// Averages each folder's operators over the seeds that have them.
pub(super) fn means<C: Averaged>(seeds: BySeed<Counts<C>>) -> Vec<OfOperator<C>> {
    let mut found = Vec::new();
    for (folder, seeds) in folder::by_folder(seeds) {
        let mut operators = Counts::<Vec<C>>::new();
        for (operator, counts) in seeds.into_iter().flat_map(|(_, all)| all) {
            operators.entry(operator).or_default().push(counts);
        }
        found.extend(operators.into_iter().map(|(operator, all)| OfOperator {
            folder: folder.clone(),
            operator,
            seeds: all.len(),
            counts: C::average(&all),
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run_with(files: &[(&str, &[Value])]) -> tempfile::TempDir {
        let run = tempfile::tempdir().unwrap();
        for (folder, lines) in files {
            let mut log = MetricsLog::open(&run.path().join(folder).join(METRICS)).unwrap();
            lines.iter().for_each(|line| log.append(line).unwrap());
        }
        run
    }

    fn seeds<T>(runs: &[tempfile::TempDir], read: fn(&Path) -> Found<T>) -> BySeed<Counts<T>> {
        let seeds = runs.iter().enumerate();
        seeds.map(|(seed, run)| (seed.to_string(), read(run.path()).unwrap())).collect()
    }

    #[test]
    fn operators_have_means_over_the_seeds_that_used_them() {
        let line = |operator: &str, draws: u32| json!({"operator": operator, "draws": draws, "unchanged": 1, "kept": 5, "shapes": 4, "coverage_percent": 20, "distinct_3_percent": 50});
        let cost = json!({"tokens": 3, "policy_tokens": 9});
        let runs = [
            run_with(&[("round-01/prompts", &[line("mutate", 99), line("mutate", 10)])]),
            run_with(&[("round-01/prompts", &[line("mutate", 20), line("extend", 7), cost])]),
        ];
        let found = means(seeds(&runs, made));
        let figures: Vec<_> =
            found.iter().map(|it| (it.operator.as_str(), it.seeds, it.counts.draws)).collect();
        assert_eq!(figures, [("extend", 1, 7.0), ("mutate", 2, 15.0)]);
        assert_eq!((found[1].folder.as_str(), found[1].counts.prompts), ("round-01/prompts", 5.0));
    }

    #[test]
    fn what_was_filtered_again_counts_as_it_is_now() {
        let line = |kept: u32| json!({"prompts": 9, "operators": [{"operator": "mutate", "prompts": 8, "kept": kept, "sft": 2 * kept, "gain": 0.25}]});
        let none = json!({"prompts": 9, "operators": []});
        let run = run_with(&[
            ("a/round-01/sft", &[line(6), line(4)]),
            ("round-02/sft", &[line(6), none]),
            ("round-02/steps", &[line(6)]),
        ]);
        let found = means(seeds(&[run], brought));
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!(
            (one.folder.as_str(), one.counts.kept, one.counts.sft),
            ("a/round-01/sft", 4.0, 8.0)
        );
    }

    #[test]
    fn a_line_that_is_none_of_ours_is_refused_with_its_file() {
        let run =
            run_with(&[("round-01/prompts", &[json!({"operator": "mutate", "draws": "many"})])]);
        let failure = made(run.path()).unwrap_err();
        assert!(failure.to_string().contains("prompts/metrics.jsonl"), "{failure}");
    }
}
