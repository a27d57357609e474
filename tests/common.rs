//! Shared by the tests of the whole pipeline: `make` with the real binaries, and the bytes of a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dataset::{Begin, Output, Recipe};
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

/// Writes a dataset as another stage would, in one part.
pub fn write_rows<T: Table>(dir: &Path, rows: &[T]) {
    let recipe = Recipe {
        tool: "test".to_owned(),
        tool_version: "0".to_owned(),
        revision: None,
        config: String::new(),
        seed: 0,
        inputs: Vec::new(),
    };
    let begun = Output::begin(dir, recipe, 1, false).expect("the folder can be written");
    let Begin::Work(output) = begun else { panic!("{} is there already", dir.display()) };
    output.write_part(0, rows).expect("the rows fit");
    output.commit().expect("the part is whole");
}

/// The files of a run by their relative paths. Logs are left out because they hold timings, and so is the state for
/// resuming: a stage killed right after it wrote its manifest, which comes last, has had no chance to delete it.
pub fn bytes(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name == ".state" && folder.join("_MANIFEST.json").exists() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name != "metrics.jsonl" && name != ".lock" {
                let relative = path.strip_prefix(run).expect("it is inside").to_owned();
                found.insert(relative, std::fs::read(&path).expect("the file can be read"));
            }
        }
    }
    found
}
