//! Helpers of the tests: small datasets of prompts, and functions to look at their bytes.

use std::collections::BTreeMap;
use std::path::Path;

use dataset::{Begin, Dataset, Error, Input, Manifest, Mode, Output, Recipe};
use schema::Prompt;

/// Returns the recipe that most tests use.
pub(crate) fn recipe(seed: u64) -> Recipe {
    Recipe {
        tool: "synthesize".into(),
        tool_version: "0.1.0".into(),
        revision: Some("abc".into()),
        config: "c0ffee".into(),
        seed,
        inputs: vec![Input {
            name: "seeds".into(),
            path: "data/seeds".into(),
            content: "5eed".into(),
        }],
    }
}

/// Makes the prompts with these numbers.
pub(crate) fn prompts(numbers: std::ops::Range<usize>) -> Vec<Prompt> {
    let prompt = |i: usize| Prompt {
        prompt_id: format!("id{i}"),
        prompt: format!("What is {i}+{i}?"),
        answer: i.is_multiple_of(2).then(|| (2 * i).to_string()),
        source: "test".into(),
        split: "train".into(),
        parent_ids: vec![format!("parent{i}")],
        round: 1,
        ..Prompt::default()
    };
    numbers.map(prompt).collect()
}

/// Unwraps the work of a dataset that is expected to be unfinished.
pub(crate) fn work<W>(begin: Result<Begin<W>, Error>) -> W {
    match begin.unwrap() {
        Begin::Work(work) => work,
        Begin::UpToDate(manifest) => panic!("there is nothing to do: {manifest:?}"),
    }
}

/// Unwraps the manifest of a dataset that is expected to be finished.
pub(crate) fn done<W>(begin: Result<Begin<W>, Error>) -> Manifest {
    match begin.unwrap() {
        Begin::UpToDate(manifest) => manifest,
        Begin::Work(_) => panic!("there is work to do"),
    }
}

/// Returns the message of an expected error, with `dir` replaced by DIR.
pub(crate) fn message<T>(result: Result<T, Error>, dir: &Path) -> String {
    match result {
        Ok(_) => panic!("it was accepted"),
        Err(e) => e.to_string().replace(&dir.display().to_string(), "DIR"),
    }
}

/// Writes `parts` parts of three prompts each.
pub(crate) fn written(dir: &Path, parts: usize) -> Manifest {
    let output = work(Output::begin(dir, recipe(1), parts, Mode::Alone));
    for index in output.missing() {
        output.write_part(index, &prompts(3 * index..3 * index + 3)).unwrap();
    }
    output.commit().unwrap()
}

/// Reads every file below `dir`.
pub(crate) fn bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in walk(dir) {
        let name = entry.strip_prefix(dir).unwrap().display().to_string();
        files.insert(name, std::fs::read(&entry).unwrap());
    }
    files
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths.extend(walk(&path));
        } else {
            paths.push(path);
        }
    }
    paths
}

/// Reads the rows of the prompts in `dir`.
pub(crate) fn read(dir: &Path) -> Result<Vec<Prompt>, Error> {
    Dataset::<Prompt>::open(dir)?.rows()
}
