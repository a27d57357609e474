//! A writer that is killed again and again loses nothing, and leaves the same bytes as one that was not killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::{bytes, prompts, recipe};
use dataset::{Begin, Mode, Output};

const PARTS: usize = 12;
const PLACE: &str = "DATASET_TEST_PLACE";

/// Writes the whole dataset, or the rest of it if it was begun.
fn write(dir: &Path) {
    if let Begin::Work(output) = Output::begin(dir, recipe(1), PARTS, Mode::Alone).unwrap() {
        for index in output.missing() {
            output.write_part(index, &prompts(3 * index..3 * index + 3)).unwrap();
        }
        output.commit().unwrap();
    }
}

/// On its own, this test writes a dataset without disturbance. The tests below run it in a process that they kill.
#[test]
fn writer() {
    match std::env::var_os(PLACE) {
        Some(place) => write(Path::new(&place)),
        None => assert_eq!(undisturbed().len(), PARTS + 3),
    }
}

fn undisturbed() -> std::collections::BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    bytes(dir.path())
}

fn spawn(dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "kills::writer"]).env(PLACE, dir);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Counts the entries that a folder of the dataset has so far.
fn entries(dir: &Path, folder: &str) -> usize {
    std::fs::read_dir(dir.join(folder)).map_or(0, Iterator::count)
}

#[test]
fn killed_at_every_part_the_bytes_are_the_same() {
    let expected = undisturbed();
    for folder in ["data", ".state/finished"] {
        let dir = tempfile::tempdir().unwrap();
        for seen in 0..=PARTS {
            let mut child = spawn(dir.path());
            while child.try_wait().unwrap().is_none() && entries(dir.path(), folder) < seen {
                std::hint::spin_loop();
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(spawn(dir.path()).wait().unwrap().success());
        assert_eq!(bytes(dir.path()), expected);
    }
}

#[test]
fn of_many_writers_at_once_all_end_well_or_find_the_lock_taken() {
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..8).map(|_| spawn(dir.path())).collect();
    let ended: Vec<bool> =
        children.into_iter().map(|mut child| child.wait().unwrap().success()).collect();
    assert!(ended.contains(&true));
    assert_eq!(bytes(dir.path()), undisturbed());
}
