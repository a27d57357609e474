//! Checkpoints: plain files under the same protocol.

use std::fs;
use std::path::Path;

use crate::common::{bytes, done, message, recipe, work};
use dataset::{Begin, Files, FilesOutput, MANIFEST};

fn checkpoint(dir: &Path, weights: &[u8]) {
    let output = work(FilesOutput::begin(dir, recipe(1), false));
    output.write("config.json", b"{}").unwrap();
    let made = output.scratch().unwrap().join("weights");
    fs::write(&made, weights).unwrap();
    output.adopt("model.safetensors", &made).unwrap();
    output.commit().unwrap();
}

#[test]
fn what_is_written_is_what_is_read() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    checkpoint(a.path(), b"weights");
    checkpoint(b.path(), b"weights");
    assert_eq!(bytes(a.path()), bytes(b.path()));
    let files = Files::open(a.path()).unwrap();
    assert_eq!(fs::read(files.path("model.safetensors").unwrap()).unwrap(), b"weights");
    assert_eq!(files.input("policy").content, files.manifest().content);
    assert_eq!(
        message(files.path("tokenizer.json"), a.path()),
        "DIR/tokenizer.json: the manifest lists no such file"
    );
    assert!(!a.path().join(".state").exists());
    done(FilesOutput::begin(a.path(), recipe(1), false));
}

#[test]
fn a_changed_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    checkpoint(dir.path(), b"weights");
    fs::write(dir.path().join("model.safetensors"), b"Weights").unwrap();
    assert!(
        message(Files::open(dir.path()), dir.path())
            .starts_with("DIR/model.safetensors: its blake3 is not the recorded one")
    );
}

#[test]
fn the_scratch_folder_lasts_until_the_commit_or_another_recipe() {
    let dir = tempfile::tempdir().unwrap();
    let output = work(FilesOutput::begin(dir.path(), recipe(1), false));
    fs::write(output.scratch().unwrap().join("optimizer"), "step 7").unwrap();
    drop(output);
    assert!(message(Files::open(dir.path()), dir.path()).starts_with("no _MANIFEST.json"));
    let output = work(FilesOutput::begin(dir.path(), recipe(1), false));
    assert_eq!(fs::read(output.scratch().unwrap().join("optimizer")).unwrap(), b"step 7");
    drop(output);
    let output = work(FilesOutput::begin(dir.path(), recipe(2), true));
    assert!(!output.scratch().unwrap().join("optimizer").exists());
}

/// `-` may be in a name, so a folder and a name that spells it are two files.
#[test]
fn files_with_names_alike_are_both_known_to_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let output = work(FilesOutput::begin(dir.path(), recipe(1), false));
    let names = ["a--b", "a-/b", "a/-b", "a/b"];
    for name in names {
        output.write(name, name.as_bytes()).unwrap();
    }
    drop(output);
    let manifest = work(FilesOutput::begin(dir.path(), recipe(1), false)).commit().unwrap();
    let listed: Vec<&str> = manifest.files.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(listed, names);
}

#[test]
fn force_leaves_nothing_of_the_old_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    checkpoint(dir.path(), b"weights");
    fs::write(dir.path().join("metrics.jsonl"), "{}\n").unwrap();
    assert!(
        message(FilesOutput::begin(dir.path(), recipe(2), false), dir.path())
            .starts_with("DIR was written by another recipe: the seed is 1, not 2")
    );
    let output = work(FilesOutput::begin(dir.path(), recipe(2), true));
    output.write("new.json", b"[]").unwrap();
    drop(output);
    let output = work(FilesOutput::begin(dir.path(), recipe(2), false));
    output.write("new.json", b"[]").unwrap();
    output.commit().unwrap();
    let names: Vec<_> = bytes(dir.path()).into_keys().collect();
    assert_eq!(names, [".lock", "README.md", MANIFEST, "new.json"]);
}

#[test]
fn files_of_unknown_origin_do_not_become_part_of_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tokenizer.json"), "{}").unwrap();
    for force in [false, true] {
        assert_eq!(
            message(FilesOutput::begin(dir.path(), recipe(1), force), dir.path()),
            "DIR/tokenizer.json is in the way: it was not written by this program; move it elsewhere"
        );
    }
}

#[test]
fn a_file_may_lie_in_a_folder_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let output = work(FilesOutput::begin(dir.path(), recipe(1), false));
    output.write("adapter/config.json", b"{}").unwrap();
    output.commit().unwrap();
    let again = FilesOutput::begin(dir.path(), recipe(1), false).unwrap();
    assert!(matches!(again, Begin::UpToDate(_)));
    let replaced = work(FilesOutput::begin(dir.path(), recipe(2), true));
    replaced.write("config.json", b"{}").unwrap();
    replaced.commit().unwrap();
    assert!(!dir.path().join("adapter/config.json").exists(), "it was of another recipe");
    Files::open(dir.path()).unwrap();
}

#[test]
fn names_that_leave_the_folder_or_are_taken_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output = work(FilesOutput::begin(dir.path(), recipe(1), false));
    for name in [
        "../x",
        "a/../x",
        "/x",
        "a//b",
        "a/",
        "",
        ".lock",
        MANIFEST,
        "README.md",
        "data",
        "data/x",
        "metrics.jsonl",
    ] {
        assert_eq!(
            message(output.write(name, b""), dir.path()),
            format!("{name:?} cannot be the name of a file in a dataset")
        );
    }
}

#[test]
fn a_checkpoint_whose_manifest_was_deleted_is_known_again() {
    let dir = tempfile::tempdir().unwrap();
    checkpoint(dir.path(), b"weights");
    let whole = bytes(dir.path());
    let lose = || fs::remove_file(dir.path().join(MANIFEST)).unwrap();
    lose();
    done(FilesOutput::begin(dir.path(), recipe(1), false));
    assert_eq!(bytes(dir.path()), whole);
    // It is written again if a file changed, or if an earlier version wrote its card, without the hash of the contents.
    lose();
    fs::write(dir.path().join("model.safetensors"), b"Weights").unwrap();
    checkpoint(dir.path(), b"weights");
    assert_eq!(bytes(dir.path()), whole);
    lose();
    let card = fs::read_to_string(dir.path().join("README.md")).unwrap();
    let (old, _) = card.split_once("\nRecipe `").unwrap();
    fs::write(dir.path().join("README.md"), old).unwrap();
    checkpoint(dir.path(), b"weights");
    assert_eq!(bytes(dir.path()), whole);
    // Another recipe may replace it if forced to, and leaves nothing of it.
    lose();
    assert!(FilesOutput::begin(dir.path(), recipe(2), false).is_err());
    let output = work(FilesOutput::begin(dir.path(), recipe(2), true));
    output.write("new.json", b"[]").unwrap();
    output.commit().unwrap();
    assert!(!dir.path().join("model.safetensors").exists());
}

#[test]
fn force_repairs_a_checkpoint_with_a_flipped_byte() {
    let dir = tempfile::tempdir().unwrap();
    checkpoint(dir.path(), b"weights");
    let whole = bytes(dir.path());
    fs::write(dir.path().join("model.safetensors"), b"Weights").unwrap();
    assert!(FilesOutput::begin(dir.path(), recipe(1), false).is_err());
    drop(work(FilesOutput::begin(dir.path(), recipe(1), true)));
    checkpoint(dir.path(), b"weights");
    assert_eq!(bytes(dir.path()), whole);
}

#[cfg(unix)]
#[test]
fn only_files_of_its_own_become_part_of_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let output = work(FilesOutput::begin(dir.path(), recipe(1), false));
    let link = output.scratch().unwrap().join("link");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    assert!(message(output.adopt("model.safetensors", &link), dir.path()).contains("a link"));
    let pipe = output.scratch().unwrap().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(message(output.adopt("config.json", &pipe), dir.path()).contains("a named pipe"));
}
