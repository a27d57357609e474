//! Yield and precision of the filters of runs, on problems with known answers.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use stage::Failure;

use super::folder::{self, BySeed};
use crate::audit::{Audit, FILE};
use crate::stats::Spread;

/// The audits of one filter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeptReport {
    /// Folder of the audit within the run.
    pub folder: String,
    /// The counts of each seed that has this audit.
    pub seeds: Vec<SeedAudit>,
    /// Problems with a kept solution, in percent, over these seeds.
    pub share_kept: Option<Spread>,
    /// Kept solutions that are right, in percent, over these seeds; null if a seed kept nothing.
    pub precision: Option<Spread>,
}

/// The counts of one seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedAudit {
    /// The seed.
    pub seed: String,
    /// The counts.
    #[serde(flatten)]
    pub audit: Audit,
}

/// Reads the audits below a run's folder.
pub(super) fn audits(run: &Path) -> Result<BTreeMap<String, Audit>, Failure> {
    folder::each(run, FILE, folder::json)
}

/// Groups the audits of several seeds by folder.
pub(super) fn reports(seeds: BySeed<Audit>) -> Vec<KeptReport> {
    let report = |(folder, seeds): (String, Vec<(String, Audit)>)| {
        let over = |share: fn(&Audit) -> Option<f64>| {
            // A seed that kept nothing has no precision, and a mean over the others would look as if it had.
            let all: Option<Vec<f64>> = seeds.iter().map(|(_, audit)| share(audit)).collect();
            all.and_then(|all| Spread::over(&all))
        };
        let (share_kept, precision) = (over(Audit::share_kept), over(Audit::precision));
        let seeds = seeds.into_iter().map(|(seed, audit)| SeedAudit { seed, audit }).collect();
        KeptReport { folder, seeds, share_kept, precision }
    };
    folder::by_folder(seeds).into_iter().map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_with(right: usize, examples: usize) -> tempfile::TempDir {
        let run = tempfile::tempdir().unwrap();
        let audit = Audit { problems: 10, kept: examples / 2, examples, right };
        let text = serde_json::to_vec(&audit).unwrap();
        dataset::write_file(&run.path().join("round-01/audit").join(FILE), &text).unwrap();
        run
    }

    fn reported(runs: &[tempfile::TempDir]) -> KeptReport {
        let seeds = runs.iter().enumerate();
        let seeds = seeds.map(|(seed, run)| (seed.to_string(), audits(run.path()).unwrap()));
        reports(seeds.collect()).remove(0)
    }

    #[test]
    fn shares_are_means_over_seeds() {
        let found = reported(&[run_with(6, 8), run_with(2, 4)]);
        assert_eq!((found.folder.as_str(), found.seeds.len()), ("round-01/audit", 2));
        assert_eq!(found.share_kept.unwrap().mean.to_string(), "30");
        assert_eq!(found.precision.unwrap().mean.to_string(), "62.5");
    }

    #[test]
    fn a_seed_that_kept_nothing_leaves_no_mean_precision() {
        let found = reported(&[run_with(6, 8), run_with(0, 0)]);
        assert_eq!(found.share_kept.unwrap().mean.to_string(), "20");
        assert_eq!(found.precision, None);
    }
}
