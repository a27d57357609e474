//! Bad input: one clear error line with the file, the place and the remedy; the right exit code; no panic; no output.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

#[path = "refusals/training.rs"]
mod training;

use std::path::{Path, PathBuf};
use std::process::Output;

use alphallm::{run, stage, write_rows};
use dataset::Dataset;
use schema::{Message, Preference, Prompt};

const TEXT: &str = "pipelines/smoke/text.toml";

/// A folder with a small world: `seeds` and `validation`.
fn world() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for split in ["seeds", "validation"] {
        let mut command = stage("synthesize");
        command.args([
            "world",
            "--config",
            "pipelines/smoke/world.toml",
            "--split",
            split,
            "--out",
        ]);
        command.arg(dir.path().join(split));
        run(command);
    }
    dir
}

/// Runs `finetune policy` on the world in `dir`.
fn finetune(dir: &Path, init: &Path, more: &[&str]) -> Output {
    let mut command = stage("finetune");
    command.args(["policy", "--config", "pipelines/smoke/policy.toml", "--text", TEXT, "--init"]);
    command.arg(init).arg("--seeds").arg(dir.join("seeds"));
    command.arg("--validation").arg(dir.join("validation")).arg("--out").arg(dir.join("out"));
    command.args(more).output().unwrap()
}

fn base() -> PathBuf {
    alphallm::root().join("data/base/policy")
}

/// Checks the exit code, and that there is exactly one line of error and that the output has all of `words`.
fn refused(output: &Output, code: i32, words: &[&str]) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{err}");
    let lines: Vec<&str> = err.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "{err}");
    for word in words {
        assert!(err.contains(word), "`{word}` is missing from: {err}");
    }
    assert!(!err.contains("panicked"), "{err}");
}

fn part(dir: &Path) -> PathBuf {
    let mut parts = std::fs::read_dir(dir.join("seeds/data")).unwrap();
    parts.next().unwrap().unwrap().path()
}

#[test]
fn a_missing_dataset() {
    let dir = world();
    std::fs::remove_dir_all(dir.path().join("seeds")).unwrap();
    refused(&finetune(dir.path(), &base(), &[]), 65, &["seeds", "_MANIFEST.json"]);
}

#[test]
fn a_dataset_that_was_not_finished() {
    let dir = world();
    std::fs::remove_file(dir.path().join("seeds/_MANIFEST.json")).unwrap();
    refused(&finetune(dir.path(), &base(), &[]), 65, &["seeds", "not complete"]);
}

#[test]
fn a_truncated_and_a_flipped_part() {
    let dir = world();
    let part = part(dir.path());
    let name = part.file_name().unwrap().to_str().unwrap().to_owned();
    let bytes = std::fs::read(&part).unwrap();
    std::fs::write(&part, &bytes[..bytes.len() / 2]).unwrap();
    refused(&finetune(dir.path(), &base(), &[]), 65, &[&name]);
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 3] ^= 1;
    std::fs::write(&part, flipped).unwrap();
    refused(&finetune(dir.path(), &base(), &[]), 65, &[&name]);
    assert!(!dir.path().join("out/_MANIFEST.json").exists());
}

#[test]
fn a_dataset_of_another_table() {
    let dir = world();
    let mut command = stage("critique");
    command.args(["score", "--config", "pipelines/smoke/critique.toml", "--text", TEXT]);
    command.arg("--trajectories").arg(dir.path().join("seeds")).arg("--critic").arg(base());
    let output = command.arg("--out").arg(dir.path().join("out")).output().unwrap();
    refused(&output, 65, &["seeds", "prompts", "trajectories"]);
}

#[test]
fn an_unknown_key_and_a_changed_type() {
    let dir = world();
    let unknown = finetune(dir.path(), &base(), &["--set", "train.epoch=3"]);
    refused(&unknown, 78, &["epoch"]);
    let changed = finetune(dir.path(), &base(), &["--set", "train.batch_tokens=\"many\""]);
    refused(&changed, 78, &["batch_tokens"]);
    let range = finetune(dir.path(), &base(), &["--set", "train.learning_rate=-1.0"]);
    refused(&range, 78, &["learning_rate is -1"]);
}

#[test]
fn a_broken_checkpoint() {
    let dir = world();
    let copy = dir.path().join("init");
    std::fs::create_dir(&copy).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(base().join(name), copy.join(name)).unwrap();
    }
    let weights = copy.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() - 9]).unwrap();
    refused(&finetune(dir.path(), &copy, &[]), 65, &["model.safetensors", "broken safetensors"]);
    std::fs::rename(&weights, copy.join("pytorch_model.bin")).unwrap();
    let pickled = ["pytorch_model.bin", "pickled weights", "safe_serialization=True"];
    refused(&finetune(dir.path(), &copy, &[]), 65, &pickled);
    std::fs::remove_file(copy.join("pytorch_model.bin")).unwrap();
    refused(&finetune(dir.path(), &copy, &[]), 74, &["model.safetensors"]);
}

/// A context too short for any question is refused with advice. One that holds a question and an option is accepted,
/// although not every path that the settings allow would fit.
#[test]
fn a_context_that_is_too_short_for_most_problems() {
    let dir = world();
    let label = |context: usize| {
        let copy = dir.path().join(format!("short-{context}"));
        std::fs::create_dir(&copy).unwrap();
        for name in ["tokenizer.json", "model.safetensors"] {
            std::fs::copy(base().join(name), copy.join(name)).unwrap();
        }
        let config = std::fs::read_to_string(base().join("config.json")).unwrap();
        let (long, short) = ("\"max_position_embeddings\": 1024", "\"max_position_embeddings\": ");
        assert!(config.contains(long), "{config}");
        let config = config.replace(long, &format!("{short}{context}"));
        std::fs::write(copy.join("config.json"), config).unwrap();
        let out = dir.path().join(format!("labels-{context}"));
        let mut command = stage("critique");
        command.args(["label", "--config", "pipelines/smoke/label.toml", "--text", TEXT]);
        command.arg("--seeds").arg(dir.path().join("seeds"));
        command.arg("--held-out").arg(dir.path().join("validation")).arg("--allow-one-class");
        command.arg("--policy").arg(copy).arg("--out").arg(&out);
        (command.output().unwrap(), out)
    };
    let (output, out) = label(30);
    let words = [
        "problems are too long for the models",
        "the 30 of the policy's context",
        "max_option_tokens",
    ];
    refused(&output, 65, &words);
    assert!(!out.exists(), "nothing is written");
    let (output, out) = label(128);
    assert!(output.status.success(), "{output:?}");
    let labels = Dataset::<schema::Label>::open(&out).unwrap();
    assert!(labels.len() > 20, "{}", labels.len());
}

#[test]
fn critics_below_the_bar() {
    let dir = world();
    let copy = dir.path().join("critic");
    std::fs::create_dir(&copy).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(base().join(name), copy.join(name)).unwrap();
    }
    let search = |more: &[&str]| {
        let mut command = stage("search");
        command.args(["--config", "pipelines/tiny/search.toml", "--text", TEXT]);
        command
            .args(["--tree", "pipelines/smoke/tree.toml", "--prompts"])
            .arg(dir.path().join("seeds"));
        command.arg("--policy").arg(base()).arg("--fast-policy").arg(base());
        command.arg("--critic").arg(&copy).arg("--out-nodes").arg(dir.path().join("nodes"));
        command.arg("--out-trajectories").arg(dir.path().join("trajectories"));
        command.args(more).output().unwrap()
    };
    refused(&search(&[]), 65, &["orm: was never measured", "--weak-critics"]);
    let figures = r#"{"orm": {"count": 9, "base_rate": 0.5, "auc": 0.61, "within_prompt": 0.9, "ece": 0.1,
        "precision": null, "recall": null}}"#;
    std::fs::write(copy.join("quality.json"), figures).unwrap();
    refused(&search(&[]), 65, &["orm: AUC 0.610, below 0.75; value: was never measured"]);
    let output = search(&["--weak-critics", "--dry-run"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_device_that_is_not_there() {
    let dir = world();
    let output = finetune(dir.path(), &base(), &["--device", "cuda:9"]);
    refused(&output, 69, &["no cuda device 9", "--device cpu"]);
}

#[test]
fn a_malformed_row_of_jsonl() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("problems.jsonl");
    let good = r#"{"question": "Tom has 2 apples and buys 3. How many?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"}"#;
    let import = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = stage("synthesize");
        command.args(["import", "--config", "pipelines/tiny/import.toml", "--format", "gsm8k"]);
        command.arg("--input").arg(&file).args(["--split", "test", "--out"]);
        command.arg(dir.path().join("out")).output().unwrap()
    };
    refused(&import(&format!("{good}\n{{\"question\": \n")), 65, &["problems.jsonl", "2"]);
    let no_mark = r#"{"question": "How many?", "answer": "five"}"#;
    refused(&import(&format!("{good}\n{no_mark}\n")), 65, &["problems.jsonl", "2", "####"]);
    assert!(import(&format!("{good}\n")).status.success());
}

#[test]
fn a_tested_question_among_the_seeds() {
    let dir = tempfile::tempdir().unwrap();
    let row = |question: &str| {
        format!("{{\"question\": \"{question}\", \"answer\": \"1 + 1 = 2\\n#### 2\"}}\n")
    };
    let write = |split: &str, questions: &[&str]| {
        let text: String = questions.iter().map(|question| row(question)).collect();
        std::fs::write(dir.path().join(format!("{split}.jsonl")), text).unwrap();
    };
    write("test", &["Ada has 1,000 pens - how many?", "How many are 1 + 1?"]);
    write("validation", &["Who has how many?"]);
    write("seeds", &["Tom has 2. How many?", "ada has 1000 pens: How many"]);
    let data = format!("DATA={}", dir.path().display());
    let world = dir.path().join("run");
    let import_into = |world: &Path, split: &str, flags: &str| {
        let manifest = world.join(format!("world/{split}/_MANIFEST.json"));
        let (target, flags) =
            (manifest.display().to_string(), format!("IMPORT_FLAGS=--format gsm8k {flags}"));
        let preset = "PRESET=smoke-chat";
        let arguments = [preset, &data, "SPLITS=test", "INIT=data/base/policy", &flags, &target];
        alphallm::make(world, &arguments).output().unwrap()
    };
    let import = |split: &str, flags: &str| import_into(&world, split, flags);
    let files =
        ["seeds.jsonl: overlap with ", "test.jsonl", "line 2: \"ada has 1000 pens: How many\""];
    let refusal = import("seeds", "");
    let err = String::from_utf8_lossy(&refusal.stderr);
    assert!(!refusal.status.success() && !err.contains("panicked"), "{err}");
    for said in files.iter().chain(&["--allow-overlap"]) {
        assert!(err.contains(said), "`{said}` is missing from: {err}");
    }
    assert!(!world.join("world/seeds").exists());
    // `IMPORT_FLAGS` are fixed for a run, so other flags need another run.
    let other = dir.path().join("other");
    let allowed = import_into(&other, "seeds", "--allow-overlap");
    assert!(allowed.status.success(), "{}", String::from_utf8_lossy(&allowed.stderr));
    assert_eq!(Dataset::<Prompt>::open(&other.join("world/seeds")).unwrap().len(), 2);
    // A problem used to choose settings must not be a test problem either.
    write("validation", &["How many are 1+1"]);
    let refusal = import("validation", "");
    assert!(String::from_utf8_lossy(&refusal.stderr).contains("validation.jsonl: overlap with "));
}

#[test]
fn a_server_that_is_not_there() {
    let dir = world();
    let mut command = stage("critique");
    command.args(["label", "--config", "pipelines/smoke/label.toml", "--text", TEXT, "--policy"]);
    command.arg("http://127.0.0.1:9/v1").arg("--seeds").arg(dir.path().join("seeds"));
    command.arg("--held-out").arg(dir.path().join("validation"));
    command.arg("--out").arg(dir.path().join("out"));
    let output = command.output().unwrap();
    refused(&output, 69, &["http://127.0.0.1:9/v1", "(asked 3 times)"]);
    assert!(!dir.path().join("out").exists());
}

/// Runs `synthesize import` on a file.
fn import(file: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = stage("synthesize");
    command.args(["import", "--config", "pipelines/tiny/import.toml", "--split", "test"]);
    command.arg("--input").arg(file).arg("--out").arg(out).args(more).output().unwrap()
}

#[test]
fn inputs_that_are_no_files() {
    let dir = world();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let out = dir.path().join("out");
    for format in ["gsm8k", "parquet"] {
        let format = ["--format", format];
        refused(&import(&pipe, &out, &format), 65, &["pipe is a named pipe, not a file"]);
        refused(&import(Path::new("/dev/zero"), &out, &format), 65, &["/dev/zero is a device"]);
        refused(&import(dir.path(), &out, &format), 65, &["is a folder"]);
        // This file can be opened, but reading it fails.
        refused(&import(Path::new("/proc/self/mem"), &out, &format), 74, &["/proc/self/mem"]);
    }
    let copy = dir.path().join("init");
    std::fs::create_dir(&copy).unwrap();
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(base().join(name), copy.join(name)).unwrap();
    }
    std::fs::rename(&pipe, copy.join("model.safetensors")).unwrap();
    refused(&finetune(dir.path(), &copy, &[]), 65, &["model.safetensors", "no regular file"]);
    assert!(!out.exists());
}

#[test]
fn what_others_wrote_does_not_reach_the_terminal_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a\u{1b}[2J.jsonl");
    let row = r#"{"\u001b]0;owned\u0007\u202e": "How many?", "answer": "five\u009b31m"}"#;
    std::fs::write(&file, format!("{row}\n")).unwrap();
    let said = |format: &str| {
        let output = import(&file, &dir.path().join("out"), &["--format", format]);
        let err = String::from_utf8(output.stderr).unwrap();
        let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!err.chars().any(obeyed), "{err:?}");
        err
    };
    assert!(said("jsonl").contains(r"\u{1b}"));
    assert!(said("gsm8k").contains(r"\u{1b}"));
    assert!(said("jso\u{1b}nl").contains("invalid value"), "clap leaves it out");
}

#[test]
fn problems_that_are_given_twice() {
    let dir = world();
    let seeds = dir.path().join("seeds");
    let mut command = stage("evaluate");
    command.args(["run", "--config", "pipelines/smoke/evaluate.toml", "--text", TEXT]);
    command.args(["--tree", "pipelines/smoke/tree.toml", "--policy"]).arg(base());
    command.arg("--fast-policy").arg(base()).arg("--critic").arg(base());
    command.arg("--problems").arg(&seeds).arg("--problems").arg(&seeds);
    let output = command.arg("--out").arg(dir.path().join("out")).output().unwrap();
    refused(&output, 65, &["seeds", "is among the others, too"]);
    let mut command = stage("critique");
    command.args(["label", "--config", "pipelines/smoke/label.toml", "--text", TEXT, "--policy"]);
    command.arg(base()).arg("--seeds").arg(&seeds).arg("--held-out").arg(&seeds);
    let output = command.arg("--out").arg(dir.path().join("out")).output().unwrap();
    refused(&output, 65, &["seeds", "is among the seeds, too"]);
    assert!(!dir.path().join("out").exists());
}

#[test]
fn counts_that_would_never_end() {
    let dir = tempfile::tempdir().unwrap();
    let make = |set: &[&str]| {
        let mut command = stage("synthesize");
        command.args(["world", "--config", "pipelines/smoke/world.toml", "--split", "seeds"]);
        command.arg("--out").arg(dir.path().join("out"));
        for set in set {
            command.args(["--set", set]);
        }
        command.output().unwrap()
    };
    refused(&make(&["splits.seeds=9000000000000000000"]), 78, &["splits.seeds is 9", "the most"]);
    refused(&make(&["templates=18446744073709551615"]), 78, &["templates"]);
    refused(&make(&["world_seed=9000000000000000000", "templates=0"]), 78, &["`templates` is 0"]);
    assert!(!dir.path().join("out").exists());
}
