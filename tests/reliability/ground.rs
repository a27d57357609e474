//! The ground on which stages are broken: a small round made without disturbance, and copies of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alphallm::{binaries, root};

use crate::process::{Ended, Process, REVISION, shell};

/// Changes that make the preset `smoke` smaller still, by file: `section.key` and its value.
const SMALLER: [(&str, &[(&str, i64)]); 10] = [
    (
        "world",
        &[
            ("splits.seeds", 32),
            ("splits.validation", 12),
            ("splits.test", 6),
            ("splits.ood-templates", 4),
            ("splits.ood-chains", 4),
            ("chunk_rows", 10),
        ],
    ),
    ("prompts", &[("count", 12), ("chunk_rows", 5)]),
    ("tree", &[("mcts.budget.simulations", 10), ("mcts.budget.nodes", 3)]),
    ("search", &[("chunk_prompts", 4)]),
    ("evaluate", &[("chunk_problems", 4), ("search_problems", 2)]),
    ("label", &[("chunk_prompts", 8)]),
    ("filter", &[("chunk_rows", 4)]),
    ("finetune", &[("train.epochs", 1), ("train.save_every", 2), ("train.validate_every", 2)]),
    ("policy", &[("train.epochs", 1), ("train.save_every", 2), ("train.validate_every", 2)]),
    ("fast-policy", &[("train.epochs", 1), ("train.save_every", 2), ("train.validate_every", 2)]),
];

/// A stage of the round, as `make` calls it.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    /// Such as `search` or `finetune policy`.
    pub(crate) name: String,
    /// The command line, for a shell.
    pub(crate) call: String,
    /// The files and folders it writes, relative to the folder of the run.
    pub(crate) outputs: Vec<PathBuf>,
}

/// Calls a stage.
pub(crate) fn call(stage: &Stage) -> Process {
    // `exec` replaces the shell with the stage, so that signals reach the stage itself.
    shell(&format!("exec {}", stage.call))
}

/// Files by path, without logs and locks.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A folder with a finished run.
#[derive(Debug)]
pub(crate) struct Ground {
    folder: tempfile::TempDir,
    /// All stages of round 0 and round 1, in an order in which they can run. The report is none of them: it shows how long they took.
    pub(crate) stages: Vec<Stage>,
}

impl Ground {
    /// Makes the run without disturbing it.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for scratch files");
        smaller(&folder.path().join("preset"));
        let mut ground = Self { folder, stages: Vec::new() };
        let plan = ground.make("compared", "-n V=1").ended();
        assert_eq!(plan.code, Some(0), "{}", plan.said);
        ground.stages = stages(&plan.said, &ground.run());
        let made = ground.make("compared", "").ended();
        assert_eq!(made.code, Some(0), "{}", made.said);
        ground.keep();
        ground
    }

    /// The folder of the run to break.
    pub(crate) fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// The folder of the undisturbed run.
    pub(crate) fn made(&self) -> PathBuf {
        self.folder.path().join("made")
    }

    /// A scratch path beside the run.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The preset of the run.
    pub(crate) fn preset(&self) -> PathBuf {
        self.folder.path().join("preset")
    }

    /// `make` on the run, with further flags.
    pub(crate) fn make(&self, targets: &str, flags: &str) -> Process {
        let (preset, run, bin) = (self.preset(), self.run(), binaries());
        shell(&format!(
            "exec make --no-print-directory PRESET=smoke BUILD=: ALPHALLM_REVISION={REVISION} WORKERS=1 ROUND=1 P={} R={} BIN={} {flags} {targets}",
            preset.display(),
            run.display(),
            bin.display()
        ))
    }

    /// The stage with this name that has an output whose path contains `output`.
    pub(crate) fn stage(&self, name: &str, output: &str) -> Stage {
        let is = |stage: &&Stage| {
            let writes = stage.outputs.iter().any(|path| path.to_string_lossy().contains(output));
            stage.name == name && writes
        };
        self.stages.iter().find(is).expect("a stage of the round").clone()
    }

    /// The outputs that the stage wrote undisturbed.
    pub(crate) fn wanted(&self, stage: &Stage) -> Files {
        files(&self.made(), &stage.outputs)
    }

    /// The outputs as they are now.
    pub(crate) fn found(&self, stage: &Stage) -> Files {
        files(&self.run(), &stage.outputs)
    }

    /// Deletes the outputs of a stage.
    pub(crate) fn clear(&self, stage: &Stage) {
        for output in &stage.outputs {
            remove(&self.run().join(output));
        }
    }

    /// Resets the run to its undisturbed state.
    pub(crate) fn restore(&self) {
        remove(&self.run());
        copy(&self.made(), &self.run());
    }

    fn keep(&self) {
        copy(&self.run(), &self.made());
    }

    /// Runs the stage twice without disturbing it. Both runs must succeed with the bytes of the undisturbed round, and
    /// leave no temporary files. The error says which of these fails.
    pub(crate) fn recovers(&self, stage: &Stage) -> Result<(), String> {
        for time in ["the next run", "a run after it"] {
            let Ended { code, said, .. } = call(stage).ended();
            if code != Some(0) {
                return Err(format!("{time} ends with {code:?}: {said}"));
            }
            if let Some(path) = difference(&self.wanted(stage), &self.found(stage)) {
                return Err(format!("{time} leaves another {}", path.display()));
            }
        }
        let around = stage.outputs.iter().filter_map(|path| path.parent());
        match around.flat_map(|folder| temporary(&self.run().join(folder))).next() {
            Some(path) => Err(format!("{} is left", path.display())),
            None => Ok(()),
        }
    }
}

/// Writes the smaller preset, without the files that those of `smoke` extend.
fn smaller(folder: &Path) {
    copy(&root().join("pipelines/smoke"), folder);
    let is_toml = |path: &PathBuf| path.extension().is_some_and(|end| end == "toml");
    for original in entries(&root().join("pipelines/smoke")).into_iter().filter(is_toml) {
        let mut preset = stage::merged(&original).expect("a preset's file");
        let name = original.file_name().expect("a file has a name");
        let values = SMALLER.iter().filter(|(file, _)| name == format!("{file}.toml").as_str());
        for (key, value) in values.flat_map(|(_, values)| *values) {
            set(&mut preset, key, *value);
        }
        std::fs::write(folder.join(name), preset.to_string())
            .expect("the scratch folder can be written");
    }
}

/// Changes an existing value.
fn set(table: &mut toml::Table, key: &str, value: i64) {
    let (mut table, mut key) = (table, key);
    while let Some((section, rest)) = key.split_once('.') {
        table = table[section].as_table_mut().expect("a section of the preset");
        key = rest;
    }
    let place = table.get_mut(key).unwrap_or_else(|| panic!("`{key}` is a key of the preset"));
    *place = if place.is_float() { (value as f64).into() } else { value.into() };
}

/// Parses the stages out of the plan that `make -n` prints.
fn stages(plan: &str, run: &Path) -> Vec<Stage> {
    let plan = plan.replace("\\\n", " ");
    let lines = plan.lines().map(str::trim);
    let calls = lines.filter(|line| line.starts_with(&*binaries().to_string_lossy()));
    calls.map(|line| stage(line.split(" && ").next().unwrap_or(line), run)).collect()
}

fn stage(call: &str, run: &Path) -> Stage {
    let words: Vec<&str> = call.split_whitespace().collect();
    let binary = Path::new(words[0]).file_name().unwrap_or_default().to_string_lossy();
    let verb = words.get(1).filter(|word| !word.starts_with('-'));
    let name = verb.map_or_else(|| binary.to_string(), |verb| format!("{binary} {verb}"));
    let outputs = words.windows(2).filter(|pair| pair[0].starts_with("--out"));
    let inside = |pair: &[&str]| Path::new(pair[1]).strip_prefix(run).ok().map(Path::to_owned);
    Stage { name, call: call.to_owned(), outputs: outputs.filter_map(inside).collect() }
}

/// The first file that differs.
pub(crate) fn difference(wanted: &Files, found: &Files) -> Option<PathBuf> {
    let other = |(path, bytes): (&PathBuf, &Vec<u8>)| {
        (found.get(path) != Some(bytes)).then(|| path.clone())
    };
    let more = || found.keys().find(|path| !wanted.contains_key(*path)).cloned();
    wanted.iter().find_map(other).or_else(more)
}

fn files(run: &Path, outputs: &[PathBuf]) -> Files {
    let mut found = Files::new();
    let mut open: Vec<PathBuf> = outputs.iter().map(|output| run.join(output)).collect();
    while let Some(path) = open.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            open.extend(entries(&path));
        } else if path.is_file() && name != "metrics.jsonl" && name != ".lock" {
            let bytes = std::fs::read(&path).expect("the file can be read");
            found.insert(path.strip_prefix(run).expect("it is inside").to_owned(), bytes);
        }
    }
    found
}

/// Temporary files in a folder.
fn temporary(folder: &Path) -> Vec<PathBuf> {
    let is = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp"))
    };
    entries(folder).into_iter().filter(is).collect()
}

pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

pub(crate) fn remove(path: &Path) {
    if path.is_dir() && !path.is_symlink() {
        std::fs::remove_dir_all(path).expect("the folder can be removed");
    } else if path.symlink_metadata().is_ok() {
        std::fs::remove_file(path).expect("the file can be removed");
    }
}

/// Copies a folder and keeps the times of its files, because `make` goes by them.
pub(crate) fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.is_ok_and(|status| status.success()), "{} is copied", from.display());
}
