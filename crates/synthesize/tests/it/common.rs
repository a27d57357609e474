//! Shared test support: runs the real binary, and makes small datasets with the dataset crate.

use std::path::{Path, PathBuf};
use std::process::Command;

use alphallm::Ended;
use dataset::Dataset;
use schema::Prompt;

/// Runs the binary with the words of `line`, then `more`.
pub(crate) fn synthesize(line: &str, more: &[&dyn AsArgument]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synthesize"));
    command.args(line.split_whitespace()).args(more.iter().map(|word| word.text()));
    Ended::of(&mut command)
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

/// A preset in tests/fixtures.
pub(crate) fn preset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.toml"))
}

/// Writes prompts as another stage would, two per part.
pub(crate) fn write_prompts(dir: &Path, rows: &[Prompt]) {
    alphallm::write_parts(dir, rows, 2);
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
