//! Helpers of the tests: running the real binary, and small datasets written through the dataset crate.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

use dataset::{Begin, Dataset, Mode, Output, Recipe};
use schema::{Check, Critique, Table, TextOption, Trajectory};

/// The inputs and outputs of one test, in a temporary folder.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

/// How a run ended.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn succeeds(&self) -> &str {
        assert_eq!(self.code, 0, "{}", self.err);
        &self.out
    }

    /// Asserts the exit code and the messages on standard error.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, said: &[&dyn Display]) {
        assert_eq!(self.code, code, "{}", self.err);
        assert_eq!(self.out, "");
        for text in said {
            assert!(self.err.contains(&text.to_string()), "no `{text}` in: {}", self.err);
        }
    }
}

impl Place {
    /// Writes these rows as the two inputs, each in one part.
    pub(crate) fn new(trajectories: &[Trajectory], critiques: &[Critique]) -> Self {
        Self::of_parts(&[trajectories], &[critiques])
    }

    /// Writes these parts as the two inputs.
    pub(crate) fn of_parts(trajectories: &[&[Trajectory]], critiques: &[&[Critique]]) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        write(&place.of("trajectories"), trajectories);
        write(&place.of("critiques"), critiques);
        place
    }

    /// Adds another dataset.
    pub(crate) fn add<T: Table>(&self, name: &str, rows: &[T]) {
        write(&self.of(name), &[rows]);
    }

    pub(crate) fn of(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Filters with the preset of tests/fixtures and the further arguments in `words`.
    pub(crate) fn filter(&self, words: &str) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_filter"));
        let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/filter.toml");
        command.arg("--config").arg(preset);
        for (option, name) in [
            ("--trajectories", "trajectories"),
            ("--critiques", "critiques"),
            ("--out-sft", "sft"),
            ("--out-preferences", "preferences"),
            ("--out-steps", "steps"),
        ] {
            command.arg(option).arg(self.of(name));
        }
        let ended = command.args(words.split_whitespace()).env_remove("RUST_LOG").output().unwrap();
        Run {
            code: ended.status.code().unwrap(),
            out: String::from_utf8(ended.stdout).unwrap(),
            err: String::from_utf8(ended.stderr).unwrap(),
        }
    }

    pub(crate) fn rows<T: Table>(&self, name: &str) -> Vec<T> {
        Dataset::open(&self.of(name)).unwrap().rows().unwrap()
    }

    /// Every output file except the metrics, with its bytes.
    pub(crate) fn outputs(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut folders: Vec<_> = ["sft", "preferences", "steps"].map(|name| self.of(name)).into();
        let mut files = BTreeMap::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("metrics.jsonl") {
                    let name = path.strip_prefix(self.dir.path()).unwrap().to_owned();
                    files.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
        files
    }
}

fn write<T: Table>(dir: &Path, parts: &[&[T]]) {
    let recipe = Recipe {
        tool: "test".to_owned(),
        tool_version: "0".to_owned(),
        revision: None,
        config: "0".to_owned(),
        seed: 0,
        inputs: Vec::new(),
    };
    let Begin::Work(output) = Output::begin(dir, recipe, parts.len(), Mode::Alone).unwrap() else {
        panic!("{} is there already", dir.display());
    };
    for (index, rows) in parts.iter().enumerate() {
        output.write_part(index, rows).unwrap();
    }
    output.commit().unwrap();
}

/// A finished trajectory of two options.
pub(crate) fn trajectory(prompt: &str, id: &str) -> Trajectory {
    let option = |text: &str| TextOption { text: text.to_owned(), ..TextOption::default() };
    Trajectory {
        trajectory_id: id.to_owned(),
        prompt_id: prompt.to_owned(),
        prompt: format!("What is {prompt}?"),
        completion: format!("It is {id}.\n#### 1"),
        options: vec![option(&format!("It is {id}.\n")), option("#### 1")],
        answer: Some("1".to_owned()),
        decoder: "mcts".to_owned(),
        finish: "end".to_owned(),
        finished: true,
        round: 1,
        ..Trajectory::default()
    }
}

/// A critique with `score` as score and outcome, and one equation that holds.
pub(crate) fn critique(prompt: &str, id: &str, score: f32) -> Critique {
    Critique {
        trajectory_id: id.to_owned(),
        prompt_id: prompt.to_owned(),
        values: vec![score; 2],
        process_rewards: vec![score, 1.0 - score],
        outcome_reward: score,
        checks: vec![Check { computed: Some("1".to_owned()), ok: true, ..Check::default() }],
        score,
        agreement: Some(0.5),
        round: 1,
        ..Critique::default()
    }
}
