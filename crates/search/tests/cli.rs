//! The binary as users call it: exit codes, output, files, and resuming.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use alphallm::{Ended, bytes, preset, small_policy, write_rows};
use dataset::Dataset;
use lm::{Checkpoint, device};
use schema::{NodeRow, Prompt, Trajectory};

/// Prompts to search, one to a part.
const QUESTIONS: [&str; 3] = [
    "Tom has 12 apples and buys 5 more. How many apples does Tom have?",
    "Ada reads 3 books of 40 pages. How many pages does Ada read?",
    "Ben has 20 pens and gives 4 of them away. How many pens are left?",
];

/// A folder with prompts, and with critics whose heads have learned nothing.
struct Workspace(tempfile::TempDir);

impl Workspace {
    fn new() -> Self {
        let workspace = Self(tempfile::tempdir().unwrap());
        let prompt = |(index, question): (usize, &str)| Prompt {
            prompt_id: format!("p{index}"),
            prompt: question.to_owned(),
            ..Prompt::default()
        };
        let prompts: Vec<Prompt> = QUESTIONS.into_iter().enumerate().map(prompt).collect();
        write_rows(&workspace.path("prompts"), &prompts);
        let heads = ["value", "prm", "orm"].map(str::to_owned);
        let critic = Checkpoint::load(&small_policy(), &device::cpu()).unwrap();
        let critic = critic.with_scalar_heads(&heads, &device::cpu()).unwrap();
        std::fs::create_dir(workspace.path("critic")).unwrap();
        for (name, bytes) in critic.files().unwrap() {
            std::fs::write(workspace.path("critic").join(name), bytes).unwrap();
        }
        workspace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Searches into the folder `out`, with the further arguments in `words`.
    fn search(&self, out: &str, words: &str) -> Ended {
        self.search_with(&self.path("critic"), out, words)
    }

    fn search_with(&self, critic: &Path, out: &str, words: &str) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_search"));
        command.arg("--config").arg(preset("search")).args(["--set", "chunk_prompts=1"]);
        command.arg("--text").arg(preset("text")).arg("--tree").arg(preset("tree"));
        command.arg("--prompts").arg(self.path("prompts"));
        command.arg("--policy").arg(small_policy()).arg("--fast-policy").arg(small_policy());
        command.arg("--critic").arg(critic);
        command.arg("--out-trajectories").arg(self.path(out).join("trajectories"));
        command.arg("--out-nodes").arg(self.path(out).join("nodes"));
        Ended::of(command.args(words.split_whitespace()))
    }

    fn trajectories(&self, out: &str) -> Dataset<Trajectory> {
        Dataset::open(&self.path(out).join("trajectories")).unwrap()
    }

    fn nodes(&self, out: &str) -> Vec<NodeRow> {
        Dataset::open(&self.path(out).join("nodes")).unwrap().rows().unwrap()
    }
}

#[test]
fn a_search_is_done_once() {
    let workspace = Workspace::new();
    let ended = workspace.search("out", "");
    assert!(ended.succeeds().starts_with("search (means per tree)"), "{}", ended.out);
    let (trajectories, nodes) = (workspace.trajectories("out"), workspace.nodes("out"));
    assert_eq!((trajectories.parts(), trajectories.is_empty()), (3, false));
    let nodes: BTreeSet<_> = nodes.iter().map(|row| (row.prompt_id.clone(), row.node_id)).collect();
    for row in trajectories.rows().unwrap() {
        let leaf = (row.prompt_id.clone(), row.leaf_id.unwrap());
        assert!(nodes.contains(&leaf), "{leaf:?}");
        assert!(["mcts", "rollout"].contains(&row.decoder.as_str()), "{}", row.decoder);
        assert_eq!(row.finished, row.finish != "length");
    }
    let before = bytes(&workspace.path("out"));
    let again = workspace.search("out", "");
    assert!(again.succeeds().is_empty() && again.err.contains("up to date"), "{}", again.err);
    workspace.search("out", "--seed 1").fails(64, &[&"another recipe", &"--force"]);
    assert_eq!(bytes(&workspace.path("out")), before);
    workspace.search("out", "--seed 1 --force").succeeds();
    assert_ne!(bytes(&workspace.path("out")), before);
}

#[test]
fn a_search_that_was_stopped_goes_on_and_neither_workers_nor_memory_matter() {
    let workspace = Workspace::new();
    workspace.search("whole", "").succeeds();
    // Each run does one part: the first one has used its tokens after that.
    for part in [1, 2] {
        let stopped = workspace.search("parts", "--stop-after-tokens 1 --workers 1");
        stopped.fails(75, &[&format!("stopped before part {part} of 3"), &"goes on from there"]);
        assert!(!workspace.path("parts/trajectories/_MANIFEST.json").exists());
    }
    workspace.search("parts", "--kv-memory 64KiB --workers 2").succeeds();
    assert_eq!(bytes(&workspace.path("parts")), bytes(&workspace.path("whole")));
}

#[test]
fn samples_are_trajectories_without_trees() {
    let workspace = Workspace::new();
    let sampling = "--set samples.count=2 --set samples.sampling.temperature.temperature=1.0";
    let ended = workspace.search("out", sampling);
    assert!(ended.succeeds().starts_with("samples (means per prompt)"), "{}", ended.out);
    let rows = workspace.trajectories("out").rows().unwrap();
    assert_eq!(rows.len(), 2 * QUESTIONS.len());
    assert!(rows.iter().all(|row| row.decoder == "sample" && row.leaf_id.is_none()));
    assert!(workspace.nodes("out").is_empty());
}

#[test]
fn neither_a_dry_run_nor_an_estimate_writes() {
    let workspace = Workspace::new();
    let dry = workspace.search("out", "--dry-run");
    dry.succeeds();
    assert!(dry.err.contains("would search 3 prompts in 3 parts"), "{}", dry.err);
    let estimate = workspace.search("out", "--estimate=1 --seconds-per-prompt 2");
    assert!(estimate.succeeds().starts_with("search would take"), "{}", estimate.out);
    assert!(!workspace.path("out").exists());
}

#[test]
fn what_cannot_be_searched_is_refused_before_anything_is_written() {
    let workspace = Workspace::new();
    let out = workspace.path("out");
    for (words, code, said) in [
        ("--kv-memory 0", 64, "above 0"),
        ("--requests 0", 64, "--requests"),
        ("--set chunk_prompt=1", 78, "chunk_prompt"),
        ("--set critics_at_least.reward.auc=0.5", 78, "reward"),
        ("--set critics_at_least.orm.auc=0.5", 65, "orm: was never measured"),
    ] {
        workspace.search("out", words).fails(code, &[&said]);
        assert!(!out.exists(), "{words}");
    }
    workspace.search_with(&small_policy(), "out", "").fails(65, &[&"the model has no heads"]);
    let missing = workspace.path("missing");
    workspace.search_with(&missing, "out", "").fails(65, &[&missing.display()]);
    assert!(!out.exists());
}
