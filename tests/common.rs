//! Shared by the tests of the whole pipeline and those of the stages: `make` and the real binaries, small datasets as other
//! stages would write them, and the bytes of a run.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dataset::{Begin, Mode, Output, Recipe};
use schema::Table;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with the binaries that `make test` built, found from the test's own executable.
pub fn binaries() -> PathBuf {
    let test = std::env::current_exe().expect("a test has an executable");
    test.ancestors().nth(2).expect("target/release/deps/<test>").to_owned()
}

/// `make` in the repository, on the smoke preset, with the run in `run`.
pub fn make(run: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("make");
    // `BUILD=:` uses the binaries as they are. MAKEFLAGS and MAKELEVEL would make this a sub-make of `make test`.
    command
        .current_dir(root())
        .args(["--no-print-directory", "PRESET=smoke", "BUILD=:"])
        .arg(format!("R={}", run.display()))
        .arg(format!("BIN={}", binaries().display()))
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL");
    command
}

/// A stage's binary.
pub fn stage(name: &str) -> Command {
    let mut command = Command::new(binaries().join(name));
    command.current_dir(root());
    command
}

/// Runs a command and returns its standard output. Panics with all of its output if it fails.
pub fn run(mut command: Command) -> String {
    let output = command.output().expect("the command starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out
}

/// A file of the smoke preset.
pub fn preset(name: &str) -> PathBuf {
    root().join("pipelines/smoke").join(name).with_extension("toml")
}

/// The smallest checkpoint of the repository. It has learned the language of the world's problems, and to solve none.
pub fn small_policy() -> PathBuf {
    root().join("data/base/fast_policy")
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// Runs a command to its end, with the log of a user who asked for nothing.
    pub fn of(command: &mut Command) -> Self {
        let output = command.env_remove("RUST_LOG").output().expect("the command starts");
        let text = |bytes| String::from_utf8(bytes).expect("stages write UTF-8");
        let code = output.status.code().expect("nothing killed it");
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// Asserts that it succeeded, and returns its standard output.
    #[track_caller]
    pub fn succeeds(&self) -> &str {
        assert_eq!(self.code, 0, "{}", self.err);
        &self.out
    }

    /// Asserts the exit code, parts of the message on standard error, and that nothing else was printed.
    #[track_caller]
    pub fn fails(&self, code: i32, said: &[&dyn Display]) {
        assert_eq!(self.code, code, "{}", self.err);
        assert_eq!(self.out, "");
        for text in said {
            assert!(self.err.contains(&text.to_string()), "no `{text}` in: {}", self.err);
        }
    }
}

/// A recipe of no stage, for datasets of tests.
pub fn recipe() -> Recipe {
    Recipe {
        tool: "test".to_owned(),
        tool_version: "0".to_owned(),
        revision: None,
        config: String::new(),
        seed: 0,
        inputs: Vec::new(),
    }
}

/// Writes a dataset as another stage would, in one part.
pub fn write_rows<T: Table>(dir: &Path, rows: &[T]) {
    write_parts(dir, rows, rows.len());
}

/// Writes a dataset as another stage would, with so many rows per part.
pub fn write_parts<T: Table>(dir: &Path, rows: &[T], part_rows: usize) {
    let ranges = dataset::chunk(rows.len(), part_rows);
    let begun =
        Output::begin(dir, recipe(), ranges.len(), Mode::Alone).expect("the folder is writable");
    let Begin::Work(output) = begun else { panic!("{} is there already", dir.display()) };
    for (index, range) in ranges.into_iter().enumerate() {
        output.write_part(index, &rows[range]).expect("the rows fit");
    }
    output.commit().expect("the parts are whole");
}

/// The files of a run by their relative paths. Logs and the report are left out because they hold timings, and so is the state for
/// resuming: a stage killed right after it wrote its manifest, which comes last, has had no chance to delete it.
pub fn bytes(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let state = name == ".state" && folder.join("_MANIFEST.json").exists();
            if state || name == "logs" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if !["metrics.jsonl", ".lock", "report.html"].contains(&name.as_str()) {
                let relative = path.strip_prefix(run).expect("it is inside").to_owned();
                found.insert(relative, std::fs::read(&path).expect("the file can be read"));
            }
        }
    }
    found
}
