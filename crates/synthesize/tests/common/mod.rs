//! Shared test support: runs the real binary, and makes small datasets with the dataset crate.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![allow(dead_code, reason = "each test file uses some of it")]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Output as Ended};

use dataset::{Begin, Dataset, Output, Recipe};
use schema::Prompt;

/// The outcome of a run.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the binary with the words of `line`, then `more`.
pub(crate) fn synthesize(line: &str, more: &[&dyn AsArgument]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synthesize"));
    command.args(line.split_whitespace()).args(more.iter().map(|word| word.text()));
    let Ended { status, stdout, stderr } = command.env_remove("RUST_LOG").output().unwrap();
    Run {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// A word of a command line.
pub(crate) trait AsArgument {
    fn text(&self) -> String;
}

impl AsArgument for &str {
    fn text(&self) -> String {
        (*self).to_owned()
    }
}

impl AsArgument for PathBuf {
    fn text(&self) -> String {
        self.display().to_string()
    }
}

impl Run {
    /// Asserts the exit code and a part of the message on standard error.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, said: &[&dyn Display]) {
        assert_eq!(self.code, code, "{}", self.err);
        assert_eq!(self.out, "");
        for text in said {
            assert!(self.err.contains(&text.to_string()), "no `{text}` in: {}", self.err);
        }
    }

    #[track_caller]
    pub(crate) fn succeeds(&self) -> &str {
        assert_eq!(self.code, 0, "{}", self.err);
        &self.out
    }
}

/// A preset in tests/fixtures.
pub(crate) fn preset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.toml"))
}

/// Writes prompts as another stage would, two per part.
pub(crate) fn write_prompts(dir: &Path, rows: &[Prompt]) {
    write_rows(dir, rows);
}

/// Writes rows as another stage would, two per part.
pub(crate) fn write_rows<T: schema::Table>(dir: &Path, rows: &[T]) {
    let recipe = Recipe {
        tool: "test".to_owned(),
        tool_version: "0".to_owned(),
        revision: None,
        config: "0".to_owned(),
        seed: 0,
        inputs: Vec::new(),
    };
    let ranges = dataset::chunk(rows.len(), 2);
    let Begin::Work(output) = Output::begin(dir, recipe, ranges.len(), false).unwrap() else {
        panic!("{} is there already", dir.display());
    };
    for (index, range) in ranges.into_iter().enumerate() {
        output.write_part(index, &rows[range]).unwrap();
    }
    output.commit().unwrap();
}

/// The prompts in a dataset.
pub(crate) fn read_prompts(dir: &Path) -> Vec<Prompt> {
    Dataset::<Prompt>::open(dir).unwrap().rows().unwrap()
}

/// Labelled questions of the embedded world, with answers given by `answer`.
pub(crate) fn world(count: usize, answer: impl Fn(usize) -> String) -> Vec<Prompt> {
    let problems = world::draw_many(world::Split::Seeds, count, 9);
    let prompt = |(index, problem): (usize, world::Problem)| Prompt {
        prompt_id: dataset::row_id(&[&problem.question]),
        prompt: problem.question,
        answer: Some(answer(index)),
        solution: Some(format!("So it is {0}.\n#### {0}", answer(index))),
        source: "world".to_owned(),
        split: "seeds".to_owned(),
        ..Prompt::default()
    };
    problems.into_iter().enumerate().map(prompt).collect()
}

/// Every file below `dir` except the metrics, with its bytes.
pub(crate) fn bytes(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut folders, mut files) = (vec![dir.to_owned()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("metrics.jsonl") {
                files.insert(
                    path.strip_prefix(dir).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    files
}

/// The first part of a dataset.
pub(crate) fn first_part(dir: &Path) -> PathBuf {
    let mut parts: Vec<_> =
        std::fs::read_dir(dir.join("data")).unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.sort();
    parts.swap_remove(0)
}

/// Cuts a file to half its length.
pub(crate) fn truncate(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}
