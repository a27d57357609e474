//! The quality figures of critics, which stand beside their checkpoints.

use std::collections::BTreeMap;
use std::path::Path;

use critic::quality::{self, Quality};
use serde::Serialize;
use stage::{Failure, ResultExt};

use crate::outputs::files;

/// The figures of a critic head, or of the confidence made of several.
#[derive(Debug, Serialize)]
pub(crate) struct Judge {
    head: String,
    round: i32,
    n: usize,
    auc: Option<f64>,
    within_prompt: Option<f64>,
    ece: f64,
    calibration: Vec<Bin>,
    roc: Vec<[f64; 2]>,
}

/// The solutions that a head gave about the same score, which was right for a share of them.
#[derive(Debug, Serialize)]
struct Bin {
    said: f64,
    right: f64,
    n: usize,
}

/// Reads the figures of all critics and calibrations of a run.
pub(crate) fn read(run: &Path) -> Result<Vec<Judge>, Failure> {
    let mut judges = Vec::new();
    for (folder, path) in files(run, quality::FILE)? {
        let text = std::fs::read(&path).or_io(path.display())?;
        let figures: BTreeMap<String, Quality> =
            serde_json::from_slice(&text).or_data(path.display())?;
        let place = place(&folder);
        judges.extend(figures.into_iter().map(|(head, figures)| {
            let head = match place {
                "" => head,
                place => format!("{head} ({place})"),
            };
            judge(head, round(&folder), figures)
        }));
    }
    Ok(judges)
}

/// The part of a head's label in brackets: `search` for a calibration, `audit` for an audit, nothing for held-out labels.
fn place(folder: &str) -> &str {
    let name = folder.split('/').next_back().unwrap_or_default();
    match name {
        "confidence" => "search",
        "quality" => "audit",
        _ => "",
    }
}

/// The round in the path of a folder, `round-02/critics/all`.
fn round(folder: &str) -> i32 {
    let of = |part: &str| part.strip_prefix("round-")?.parse().ok();
    folder.split('/').find_map(of).unwrap_or(0)
}

fn judge(head: String, round: i32, figures: Quality) -> Judge {
    let bin = |bin: &quality::Bin| Bin { said: bin.score, right: bin.right, n: bin.count };
    Judge {
        head,
        round,
        n: figures.count,
        auc: figures.auc,
        within_prompt: figures.within_prompt,
        ece: figures.ece,
        calibration: figures.reliability.iter().map(bin).collect(),
        roc: figures.roc,
    }
}
