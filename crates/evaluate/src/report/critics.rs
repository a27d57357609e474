//! Quality of the critics of a run (AlphaLLM Table 8), from the figures in their folders.

use std::collections::BTreeMap;
use std::path::Path;

use critic::quality::{FILE, Quality};
use serde::Serialize;
use stage::Failure;

use super::folder::{self, BySeed};
use crate::stats::mean;

/// The heads of a critic, by name.
pub(super) type Heads = BTreeMap<String, Quality>;

/// One head of a critic, or one score of a calibration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CriticReport {
    /// Folder of the critic within the run.
    pub folder: String,
    /// The head or the score.
    pub head: String,
    /// The figures of each seed that has them.
    pub seeds: Vec<SeedQuality>,
    /// Means over these seeds.
    pub mean: MeanQuality,
}

/// The figures of one seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedQuality {
    /// The seed.
    pub seed: String,
    /// The figures.
    pub quality: Quality,
}

/// Means of the figures of [`Quality`]; null if any seed lacks the figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanQuality {
    /// Area under the ROC curve.
    pub auc: Option<f64>,
    /// Share of pairs of a right and a wrong solution of the same prompt that are ranked correctly.
    pub within_prompt: Option<f64>,
    /// The same for pairs on which the calculator gives the same verdict.
    pub within_tool: Option<f64>,
    /// Expected calibration error.
    pub ece: Option<f64>,
    /// Precision of scores above one half.
    pub precision: Option<f64>,
    /// Recall of scores above one half.
    pub recall: Option<f64>,
}

/// Reads the figures of all critics below a run's folder.
pub(super) fn figures(run: &Path) -> Result<BTreeMap<String, Heads>, Failure> {
    folder::each(run, FILE, folder::json)
}

/// Groups the figures of several seeds by folder and head.
pub(super) fn reports(seeds: BySeed<Heads>) -> Vec<CriticReport> {
    let mut found = Vec::new();
    for (folder, seeds) in folder::by_folder(seeds) {
        let mut heads = BTreeMap::<String, Vec<SeedQuality>>::new();
        for (seed, of_seed) in seeds {
            for (head, quality) in of_seed {
                heads.entry(head).or_default().push(SeedQuality { seed: seed.clone(), quality });
            }
        }
        found.extend(heads.into_iter().map(|(head, seeds)| {
            let mean = MeanQuality::of(&seeds);
            CriticReport { folder: folder.clone(), head, seeds, mean }
        }));
    }
    found
}

impl MeanQuality {
    fn of(seeds: &[SeedQuality]) -> Self {
        let over = |figure: fn(&Quality) -> Option<f64>| {
            // Over all seeds or none: a mean over some of them would not compare with the other figures of its row.
            let all: Option<Vec<f64>> = seeds.iter().map(|seed| figure(&seed.quality)).collect();
            all.and_then(|all| mean(&all))
        };
        Self {
            auc: over(|it| it.auc),
            within_prompt: over(|it| it.within_prompt),
            within_tool: over(|it| it.within_tool),
            ece: over(|it| Some(it.ece)),
            precision: over(|it| it.precision),
            recall: over(|it| it.recall),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A run with the figures of one critic.
    fn run_with(auc: f64, recall: Option<f64>) -> tempfile::TempDir {
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join("round-00/critics/all");
        std::fs::create_dir_all(&folder).unwrap();
        let figures = json!({ "orm": {
            "count": 10, "base_rate": 0.5, "auc": auc, "within_prompt": null, "ece": 0.25, "precision": 1.0, "recall": recall,
        } });
        std::fs::write(folder.join(FILE), figures.to_string()).unwrap();
        run
    }

    #[test]
    fn a_head_has_its_seeds_and_their_means() {
        let runs = [run_with(0.5, Some(0.5)), run_with(1.0, None)];
        let seeds = runs.iter().zip(["0", "1"]);
        let seeds = seeds.map(|(run, seed)| (seed.to_owned(), figures(run.path()).unwrap()));
        let reports = reports(seeds.collect());
        let [orm] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!((orm.folder.as_str(), orm.head.as_str()), ("round-00/critics/all", "orm"));
        assert_eq!(orm.seeds.iter().map(|it| it.seed.as_str()).collect::<Vec<_>>(), ["0", "1"]);
        let mean = orm.mean;
        assert_eq!((mean.auc, mean.ece, mean.precision), (Some(0.75), Some(0.25), Some(1.0)));
        assert_eq!((mean.within_prompt, mean.recall), (None, None), "not every seed has them");
    }

    #[test]
    fn figures_that_are_none_are_refused_with_their_file() {
        let run = run_with(0.5, None);
        std::fs::write(run.path().join("round-00/critics/all").join(FILE), "[]").unwrap();
        let failure = figures(run.path()).unwrap_err();
        assert!(failure.to_string().contains("critics/all/quality.json"), "{failure}");
    }
}
