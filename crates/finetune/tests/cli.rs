//! The binary as users call it: exit codes, output, files, and resuming.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use alphallm::{Ended, bytes, preset, small_policy, write_rows};
use schema::{CorpusText, Label, Prompt};
use serde_json::Value;

/// The inputs and outputs of one test.
struct Workspace(tempfile::TempDir);

impl Workspace {
    /// A folder with labelled problems to learn from and to validate on.
    fn new() -> Self {
        let workspace = Self(tempfile::tempdir().unwrap());
        for (split, count) in [("seeds", 12), ("validation", 3)] {
            let rows: Vec<Prompt> = (0..count).map(|n| problem(split, n)).collect();
            write_rows(&workspace.path(split), &rows);
        }
        workspace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command `finetune` with the words of `line`; those that begin with `@` are names of files of this folder.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_finetune"));
        for word in line.split_whitespace() {
            match word.strip_prefix('@') {
                Some(name) => command.arg(self.path(name)),
                None => command.arg(word),
            };
        }
        command
    }

    fn finetune(&self, line: &str) -> Ended {
        Ended::of(&mut self.command(line))
    }

    fn record(&self, out: &str) -> Value {
        let text = std::fs::read(self.path(out).join("training.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

/// The arguments of `finetune policy` for the small policy and a few updates, whose state is saved after each.
fn policy(more: &str) -> String {
    let [config, text] = ["policy", "text"].map(|name| preset(name).display().to_string());
    let (init, small) = (small_policy(), "--set train.batch_tokens=128 --set train.save_every=1");
    format!(
        "policy --config {config} {small} --set seed_share=1.0 --text {text} --init {} --seeds @seeds \
         --validation @validation {more}",
        init.display()
    )
}

fn problem(split: &str, n: usize) -> Prompt {
    Prompt {
        prompt_id: format!("{split}-{n}"),
        prompt: format!("Tom has {n} apples and buys 5 more. How many apples does Tom have?"),
        answer: Some((n + 5).to_string()),
        solution: Some(format!("Tom has {n} + 5 = {} apples.\n#### {}", n + 5, n + 5)),
        split: split.to_owned(),
        ..Prompt::default()
    }
}

#[test]
fn a_policy_is_trained_once_and_its_control_as_long() {
    let workspace = Workspace::new();
    let ended = workspace.finetune(&policy("--out @policy"));
    assert!(ended.succeeds().starts_with("finetune policy"), "{}", ended.out);
    let record = workspace.record("policy");
    assert_eq!((&record["examples"], &record["pairs"]), (&12.into(), &0.into()));
    assert!(record["updates"].as_u64().unwrap() > 2, "{record}");
    let before = bytes(&workspace.path("policy"));
    let again = workspace.finetune(&policy("--out @policy --workers 1"));
    assert!(again.succeeds().is_empty() && again.err.contains("up to date"), "{}", again.err);
    workspace.finetune(&policy("--out @policy --seed 1")).fails(64, &[&"--force"]);
    assert_eq!(bytes(&workspace.path("policy")), before);
    let control = policy("--out @control --set train.epochs=9.0 --updates-of @policy");
    workspace.finetune(&control).succeeds();
    assert_eq!(workspace.record("control")["updates"], record["updates"]);
}

/// Killed as soon as there is a state to go on from, wherever that is.
#[test]
fn a_run_that_was_killed_goes_on_and_writes_the_same() {
    let workspace = Workspace::new();
    let long = |out: &str| policy(&format!("--set train.epochs=6.0 --out @{out}"));
    workspace.finetune(&long("whole")).succeeds();
    let mut command = workspace.command(&long("killed"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let state = workspace.path("killed/.state/scratch/state.safetensors");
    while !state.exists() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let ended = workspace.finetune(&long("killed"));
    ended.succeeds();
    let resumed = ["going on from update", "up to date"];
    assert!(resumed.iter().any(|said| ended.err.contains(said)), "{}", ended.err);
    assert_eq!(bytes(&workspace.path("killed")), bytes(&workspace.path("whole")));
}

#[test]
fn a_checkpoint_that_learns_nothing_stays_as_it_is() {
    let workspace = Workspace::new();
    workspace.finetune(&policy("--set seed_share=0.0 --out @same")).succeeds();
    assert_eq!(workspace.record("same")["updates"], 0);
    let weights = |dir: PathBuf| std::fs::read(dir.join("model.safetensors")).unwrap();
    assert!(weights(workspace.path("same")) == weights(small_policy()));
}

#[test]
fn a_refused_problem_costs_no_policy() {
    let workspace = Workspace::new();
    workspace.finetune(&policy("--set seed_share=0.0 --out @policy")).succeeds();
    let before = bytes(&workspace.path("policy"));
    let mute = Prompt { solution: None, ..problem("seeds", 0) };
    write_rows(&workspace.path("mute"), &[mute]);
    let refused = |more: &str| {
        let line = policy(more).replace("@seeds", "@mute");
        workspace.finetune(&line).fails(65, &[&"problem seeds-0 has no solution to learn from"]);
    };
    refused("--out @other");
    assert!(!workspace.path("other").exists());
    refused("--out @policy --force");
    assert_eq!(bytes(&workspace.path("policy")), before);
}

#[test]
fn another_program_may_train() {
    let workspace = Workspace::new();
    let trainer = r#"external_trainer="cp {init}/config.json {init}/tokenizer.json {init}/model.safetensors {out} && echo '{\"updates\": 7}' > {out}/training.json""#;
    let external = |more: &str| {
        let mut command = workspace.command(&policy(more));
        Ended::of(command.args(["--trainer", "external", "--set", trainer]))
    };
    external("--out @policy").succeeds();
    assert_eq!(workspace.record("policy")["updates"], 7);
    external("--out @pairs --preferences @seeds").fails(78, &[&"gets no pairs"]);
    let missing = policy("--out @missing --trainer external");
    workspace.finetune(&missing).fails(78, &[&"the preset has no `external_trainer`"]);
}

/// The adapters are what is saved, and they know their base: a later run goes on from them, and another base is noticed.
#[test]
fn adapters_are_saved_beside_their_base() {
    let workspace = Workspace::new();
    let base = workspace.path("base");
    std::fs::create_dir(&base).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(small_policy().join(name), base.join(name)).unwrap();
    }
    let from = |init: &str, more: &str| {
        let lora = r#"--set train.lora={rank=2,alpha=4.0,targets=["q_proj","up_proj"]}"#;
        let line = policy(&format!("{lora} {more}"));
        workspace.finetune(&line.replace(&small_policy().display().to_string(), init))
    };
    from("@base", "--out @first").succeeds();
    from("@first", "--out @second").succeeds();
    for out in ["first", "second"] {
        let about = std::fs::read(workspace.path(out).join("adapter_config.json")).unwrap();
        let about: Value = serde_json::from_slice(&about).unwrap();
        assert_eq!(about["base_model_name_or_path"], "../base", "{out}");
        assert!(!workspace.path(out).join("model.safetensors").exists(), "{out}");
    }
    let weights =
        |name: &str| std::fs::read(workspace.path(name).join("adapter_model.safetensors"));
    assert!(weights("first").unwrap() != weights("second").unwrap());
    let merge = |model: &str, out: &str| {
        workspace.finetune(&format!("merge --model @{model} --out @{out}"))
    };
    merge("second", "whole").succeeds();
    assert!(workspace.path("whole/model.safetensors").exists());
    assert!(merge("second", "whole").err.contains("up to date"));
    merge("whole", "other").fails(65, &[&"it has no adapters"]);
    // A whole model learns on from what the adapters have learned.
    let line = policy("--out @all").replace(&small_policy().display().to_string(), "@second");
    workspace.finetune(&line).succeeds();
    assert!(workspace.path("all/model.safetensors").exists());
    std::fs::copy(workspace.path("whole/model.safetensors"), base.join("model.safetensors"))
        .unwrap();
    from("@second", "--out @third").fails(65, &[&"second", &"is not the model"]);
    std::fs::remove_dir_all(&base).unwrap();
    from("@second", "--out @third").fails(65, &[&"adapter_config.json", &"no such model"]);
    assert!(!workspace.path("third").exists());
}

fn label(n: usize, right: bool, split: &str) -> Label {
    Label {
        trajectory_id: format!("{split}-{n}"),
        prompt_id: format!("{split}-{}", n / 2),
        prompt: problem(split, n / 2).prompt,
        options: vec![format!("Tom has {n} apples.\n"), format!("#### {n}")],
        root_target: 0.5,
        value_targets: vec![0.5, f32::from(u8::from(right))],
        process_targets: vec![1.0, f32::from(u8::from(right))],
        outcome: f32::from(u8::from(right)),
        weight: 1.0,
        split: split.to_owned(),
        ..Label::default()
    }
}

/// Of two seeds with three and two right solutions, two of them the same text.
#[test]
fn right_solutions_of_seeds_are_learned_from() {
    let workspace = Workspace::new();
    let of = |seed: usize, id: &str, text: &str, right| Label {
        trajectory_id: id.to_owned(),
        options: vec![text.to_owned()],
        value_targets: vec![0.5],
        process_targets: vec![1.0],
        ..label(2 * seed, right, "train")
    };
    let rows = [
        of(0, "a", "5\n#### 5", true),
        of(0, "b", "5\n#### 5", true),
        of(0, "c", "0 + 5 = 5\n#### 5", true),
        of(0, "d", "#### 4", false),
        of(1, "e", "6\n#### 6", true),
        of(1, "f", "1 + 5 = 6\n#### 6", true),
        Label { split: "held_out".to_owned(), ..of(2, "g", "#### 7", true) },
    ];
    write_rows(&workspace.path("labels"), &rows);
    write_rows(&workspace.path("wrong"), &rows[3..4]);
    let learned = |out: &str, most: usize, labels: &str| {
        let set = format!("--set seed_share=0.0 --set solutions_per_seed={most}");
        workspace.finetune(&policy(&format!("{set} {labels} --out @{out}"))).succeeds();
        workspace.record(out)["examples"].clone()
    };
    assert_eq!(learned("all", 9, "--labels @labels"), 4);
    assert_eq!(learned("one", 1, "--labels @labels"), 2);
    assert_eq!(learned("twice", 9, "--labels @labels --labels @labels"), 4, "all are different");
    let refused = |more: &str, said: &str, code| {
        workspace.finetune(&policy(&format!("{more} --out @x"))).fails(code, &[&said]);
    };
    let one = "--set solutions_per_seed=1";
    refused(&format!("{one} --labels @wrong"), "no solution of a seed is right", 65);
    refused("--labels @labels", "the preset has no `solutions_per_seed`", 78);
    refused(one, "there are no `--labels`", 78);
}

#[test]
fn critics_learn_from_labels_of_both_classes() {
    let workspace = Workspace::new();
    let labels = |is_right: fn(usize) -> bool| -> Vec<Label> {
        let of = |split: &'static str| (0..8).map(move |n| label(n, is_right(n), split));
        of("train").chain(of("held_out")).collect()
    };
    write_rows(&workspace.path("labels"), &labels(|n| n % 2 == 0));
    write_rows(&workspace.path("wrong"), &labels(|_| false));
    let [config, text] = ["critic-all", "text"].map(|name| preset(name).display().to_string());
    let critic = |more: &str| {
        let init = small_policy();
        let line =
            format!("critic --config {config} --text {text} --init {} {more}", init.display());
        workspace.finetune(&line)
    };
    let ended = critic("--labels @labels --out @critic");
    assert!(ended.succeeds().contains("critics on held-out problems"), "{}", ended.out);
    let text = std::fs::read(workspace.path("critic/quality.json")).unwrap();
    let figures: std::collections::BTreeMap<String, Value> = serde_json::from_slice(&text).unwrap();
    assert_eq!(figures.keys().collect::<Vec<_>>(), ["agreement", "orm", "prm", "value"]);
    assert_eq!((&figures["orm"]["count"], &figures["prm"]["count"]), (&8.into(), &16.into()));
    let one = critic("--labels @wrong --out @constant");
    one.fails(65, &[&"orm: 0 of 8 training solutions are right", &"--allow-one-class"]);
    assert!(!workspace.path("constant").exists());
    let before = bytes(&workspace.path("critic"));
    critic("--labels @wrong --out @critic --force").fails(65, &[&"--allow-one-class"]);
    assert_eq!(bytes(&workspace.path("critic")), before);
    critic("--labels @labels --out @other --set heads=[\"reward\"]").fails(78, &[&"reward"]);
    critic("--labels @labels --out @other --set heads=[]").fails(78, &[&"name at least one"]);
    assert!(!workspace.path("other").exists());
}

#[test]
fn a_base_is_trained_from_nothing() {
    let workspace = Workspace::new();
    let text = |n: usize| CorpusText {
        text_id: n.to_string(),
        text: format!("{n} + {n} = {}", n + n),
        ..CorpusText::default()
    };
    write_rows(&workspace.path("corpus"), &(0..40).map(text).collect::<Vec<_>>());
    let config = alphallm::root().join("pipelines/base/base.toml");
    let small = "--set model.hidden_size=16 --set model.intermediate_size=24 --set vocab_size=300 \
                 --set model.num_hidden_layers=1 --set train.batch_tokens=256 --set train.epochs=1.0";
    let pretrain = |more: &str| {
        let config = config.display();
        workspace.finetune(&format!("pretrain --config {config} {small} --corpus @corpus {more}"))
    };
    let dry = pretrain("--out @base --dry-run");
    dry.succeeds();
    assert!(dry.err.contains("would pretrain on 40 texts"), "{}", dry.err);
    assert!(!workspace.path("base").exists());
    pretrain("--out @base").succeeds();
    assert!(workspace.record("base")["updates"].as_u64().unwrap() > 0);
    pretrain("--out @other --set row_tokens=2").fails(78, &[&"row_tokens is 2"]);
    let odd = "--set model.num_attention_heads=3 --set model.num_key_value_heads=2";
    pretrain(&format!("--out @other {odd}")).fails(78, &[&"num_attention_heads 3"]);
    pretrain("--out @other --requests 4").fails(64, &[&"--requests"]);
    pretrain("--out @other --kv-memory 1GiB").fails(64, &[&"--kv-memory"]);
    assert!(!workspace.path("other").exists());
}
