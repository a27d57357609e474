//! A search whose policies are behind a failing server: earlier work is kept, nothing is made up, and trees and solutions
//! stay consistent.

mod stub;

use std::collections::BTreeMap;
use std::path::Path;

use dataset::Dataset;
use schema::{NodeRow, Trajectory};

use self::stub::{Fault, Stub};
use crate::ground::{Ground, Stage};
use crate::process::{Ended, Process, shell};
use crate::tally::Tally;

/// Tries every fault at every `every`-th request; then a sound server lets the search finish.
pub(crate) fn that_fails(ground: &Ground, every: &[usize], tally: &Tally) {
    let stage = ground.stage("search", "round-01/trajectories");
    for fault in Fault::ALL {
        for &every in every {
            ground.clear(&stage);
            let outcome = fails(ground, &stage, fault, every).and_then(|()| ends(ground, &stage));
            tally.tried(&format!("{fault:?}, one request of {every}"), outcome);
        }
    }
    ground.restore();
}

/// Kills a search between the files of its two tables, with a server that never answers the same way twice.
pub(crate) fn that_varies(ground: &Ground, shim: &Path, kills: usize, tally: &Tally) {
    let stage = ground.stage("search", "round-01/trajectories");
    for table in ["nodes", "trajectories"] {
        for at in 1..=kills {
            ground.clear(&stage);
            let stub = Stub::start(None);
            let path = ground.run().join("round-01").join(table).join("data");
            let fault = crate::shim::Fault { at: 2 * at, kill: true, ..Default::default() };
            fault.on(served(&stage, &stub), &path, shim).ended();
            let outcome = ends(ground, &stage);
            tally.tried(&format!("killed at operation {} on {table}", 2 * at), outcome);
        }
    }
    ground.restore();
}

fn fails(ground: &Ground, stage: &Stage, fault: Fault, every: usize) -> Result<(), String> {
    let stub = Stub::start(Some((fault, every)));
    let ended = served(stage, &stub).ended();
    match ended.code {
        _ if ended.broke() => Err(format!("it broke, {:?}: {}", ended.code, ended.said)),
        Some(0) => fits(ground),
        Some(69) if ended.said.contains(&stub.address) => Ok(()),
        code => Err(format!("it ends with {code:?}, not 69: {}", ended.said)),
    }
}

/// Finishes the search with a sound server.
fn ends(ground: &Ground, stage: &Stage) -> Result<(), String> {
    let Ended { code, said, .. } = served(stage, &Stub::start(None)).ended();
    match code {
        Some(0) => fits(ground),
        _ => Err(format!("with a sound server it ends with {code:?}: {said}")),
    }
}

/// The call of the search, with both policies behind the server.
fn served(stage: &Stage, stub: &Stub) -> Process {
    let mut words: Vec<&str> = stage.call.split_whitespace().collect();
    for at in 1..words.len() {
        if words[at - 1] == "--policy" || words[at - 1] == "--fast-policy" {
            words[at] = &stub.address;
        }
    }
    shell(&format!("exec {}", words.join(" ")))
}

/// Checks that there are solutions and that every option of a solution is the node of its tree that it names.
fn fits(ground: &Ground) -> Result<(), String> {
    let folder = ground.run().join("round-01");
    let nodes: Vec<NodeRow> = rows(&folder.join("nodes"))?;
    let trajectories: Vec<Trajectory> = rows(&folder.join("trajectories"))?;
    let trees: BTreeMap<(&str, i32), &str> = nodes
        .iter()
        .map(|node| ((node.prompt_id.as_str(), node.node_id), node.text.as_str()))
        .collect();
    if trajectories.is_empty() {
        return Err("there are no solutions".to_owned());
    }
    for trajectory in &trajectories {
        for option in &trajectory.options {
            let Some(node) = option.node_id else { continue };
            let key = (trajectory.prompt_id.as_str(), node);
            if trees.get(&key) != Some(&option.text.as_str()) {
                return Err(format!("{:?} is not node {node} of its tree", option.text));
            }
        }
    }
    Ok(())
}

fn rows<T: schema::Table>(folder: &Path) -> Result<Vec<T>, String> {
    let read = || Dataset::<T>::open(folder)?.rows();
    read().map_err(|error| error.to_string())
}
