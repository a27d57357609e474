//! Other trainers, preference pairs, labels of one class, controls: refusals, and what is learned where nothing is wrong.

use super::*;

/// Runs `finetune policy` with a shell command as external trainer.
fn external(dir: &Path, command: &str, more: &[&str]) -> Output {
    let set = format!("external_trainer={command:?}");
    let words = ["--trainer", "external", "--set", &set];
    finetune(dir, &base(), &[&words, more].concat())
}

const COPY: &str = "cp {init}/config.json {init}/tokenizer.json {init}/model.safetensors {out}";

#[test]
fn another_trainer_gets_the_examples_and_its_model_is_taken_over() {
    let dir = world();
    let told = dir.path().join("told");
    let command = format!(
        "head -n 1 {{examples}} > {} && {COPY} && echo '{{\"updates\": 3}}' > {{out}}/training.json \
         && touch {{out}}/optimizer.pt",
        told.display()
    );
    let output = external(dir.path(), &command, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = std::fs::read_to_string(told).unwrap();
    assert!(line.starts_with("{\"prompt\":\"<|bos|>"), "{line}");
    assert!(
        line.contains("<|answer|>\",\"completion\":\"")
            && line.contains("<|eos|>\",\"weight\":1.0}")
    );
    let out = dir.path().join("out");
    let weights = |dir: &Path| std::fs::read(dir.join("model.safetensors")).unwrap();
    assert_eq!(weights(&out), weights(&base()));
    assert!(!out.join("optimizer.pt").exists(), "what is pickled stays behind");
    let record = std::fs::read_to_string(out.join("training.json")).unwrap();
    assert!(record.contains("\"updates\": 3"), "{record}");
    let round = dir.path().join("round");
    std::fs::rename(&out, &round).unwrap();
    let control = ["--updates-of", round.to_str().unwrap(), "--force"];
    let lying = external(dir.path(), &command.replace("3}", "2}"), &control);
    refused(&lying, 65, &["made 2 updates, not 3"]);
    let output = external(dir.path(), &command.replace("3}", "{updates}}"), &control);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn another_trainer_that_fails_or_lies() {
    let dir = world();
    let of = |command: &str| external(dir.path(), command, &["--force"]);
    refused(&of("echo out of memory; exit 3"), 65, &["the trainer failed", "exit status: 3"]);
    refused(&of("true"), 65, &["what the trainer left in", "config.json"]);
    refused(&of(COPY), 65, &["training.json", "how many updates"]);
    refused(
        &of(&format!("{COPY} && echo '{{\"updates\": \"many\"}}' > {{out}}/training.json")),
        65,
        &["training.json", "how many updates"],
    );
    let output = finetune(dir.path(), &base(), &["--trainer", "external"]);
    refused(&output, 78, &["the preset has no `external_trainer`"]);
}

#[test]
fn another_trainer_that_leaves_links_and_pipes() {
    let dir = world();
    let of = |command: &str| external(dir.path(), command, &["--force"]);
    let record = "echo '{\"updates\": 3}' > {out}/training.json";
    // A link is replaced by a copy of its target: the output must stay whole when the target is gone.
    let copy = dir.path().join("weights");
    std::fs::copy(base().join("model.safetensors"), &copy).unwrap();
    let link = format!(
        "cp {{init}}/config.json {{init}}/tokenizer.json {{out}} && ln -s {} {{out}}/model.safetensors && {record}",
        copy.display()
    );
    let output = of(&link);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::remove_file(&copy).unwrap();
    let made = dir.path().join("out/model.safetensors");
    assert!(std::fs::symlink_metadata(&made).unwrap().is_file());
    assert_eq!(
        std::fs::read(made).unwrap(),
        std::fs::read(base().join("model.safetensors")).unwrap()
    );
    let pipe = format!("{COPY} && {record} && mkfifo {{out}}/vocab.json");
    refused(&of(&pipe), 65, &["what the trainer left as", "vocab.json is a named pipe"]);
    let dangling = format!("{COPY} && {record} && ln -s /nowhere {{out}}/merges.txt");
    refused(&of(&dangling), 65, &["what the trainer left as", "merges.txt"]);
    let device = format!("{COPY} && {record} && ln -s /dev/zero {{out}}/merges.txt");
    refused(&of(&device), 65, &["what the trainer left as", "is a device"]);
}

/// Writes preference pairs of a seed's solution and some other text, and returns how many.
fn pairs(dir: &Path) -> usize {
    let seeds: Vec<Prompt> = Dataset::open(&dir.join("seeds")).unwrap().rows().unwrap();
    let pair = |seed: &Prompt| Preference {
        prompt: vec![Message::user(&seed.prompt)],
        chosen: vec![Message::assistant(seed.solution.as_deref().unwrap())],
        rejected: vec![Message::assistant("I do not know.")],
        chosen_id: seed.prompt_id.clone(),
        rejected_id: format!("not {}", seed.prompt_id),
        ..Preference::default()
    };
    let pairs: Vec<Preference> = seeds.iter().take(12).map(pair).collect();
    write_rows(&dir.join("preferences"), &pairs);
    pairs.len()
}

#[test]
fn pairs_that_nothing_says_how_to_learn_from() {
    let dir = world();
    let seeds = dir.path().join("seeds");
    let preferences = ["--preferences", seeds.to_str().unwrap()];
    let output = finetune(dir.path(), &base(), &preferences);
    refused(&output, 78, &["--preferences", "no section `[preferences]`"]);
    let section = ["--set", "preferences.beta=0.1", "--set", "preferences.sft_weight=1.0"];
    let output = external(dir.path(), COPY, &[&preferences[..], &section].concat());
    refused(&output, 78, &["--preferences", "--trainer external"]);
    let output = finetune(dir.path(), &base(), &[&preferences[..], &section].concat());
    refused(&output, 65, &["seeds", "prompts", "preferences"]);
    let below = ["--set", "preferences.beta=-1.0", "--set", "preferences.sft_weight=1.0"];
    refused(&finetune(dir.path(), &base(), &below), 78, &["preferences.beta is -1"]);
}

#[test]
fn pairs_are_learned_from_where_there_are_some() {
    let dir = world();
    let count = pairs(dir.path());
    let preferences = dir.path().join("preferences");
    let preferences = ["--preferences", preferences.to_str().unwrap()];
    let section = ["--set", "preferences.beta=0.1", "--set", "preferences.sft_weight=1.0"];
    let made = |more: &[&str]| {
        let short = ["--set", "train.epochs=0.5", "--set", "train.validate_every=0", "--force"];
        let output = finetune(dir.path(), &base(), &[&short[..], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let file = |name: &str| std::fs::read(dir.path().join("out").join(name)).unwrap();
        (file("model.safetensors"), String::from_utf8(file("training.json")).unwrap())
    };
    let (plain, _) = made(&[]);
    let (alone, record) = made(&section);
    assert!(alone == plain, "a section without pairs changes no weight");
    assert!(record.contains("\"pairs\": 0"), "{record}");
    let (learned, record) = made(&[&section[..], &preferences].concat());
    assert!(learned != plain, "pairs change what is learned");
    assert!(record.contains(&format!("\"pairs\": {count}")), "{record}");
}

/// The learning rate of each logged update, from the metrics.
fn rates(out: &Path) -> Vec<(u64, String)> {
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let rate = |line: serde_json::Value| {
        Some((line["update"].as_u64()?, line.get("learning_rate")?.to_string()))
    };
    lines.filter_map(rate).collect()
}

/// The learning rate is too small to change any weight, so validation loss never improves and training stops early.
#[test]
fn a_control_has_the_learning_rates_of_a_policy_that_stopped_early() {
    let dir = world();
    let set = [
        "train.learning_rate=1e-30",
        "train.validate_every=20",
        "train.patience=2",
        "train.epochs=200",
    ];
    let set: Vec<&str> = set.into_iter().flat_map(|set| ["--set", set]).collect();
    let output = finetune(dir.path(), &base(), &set);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (out, round) = (dir.path().join("out"), dir.path().join("round"));
    std::fs::rename(&out, &round).unwrap();
    let record = |dir: &Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(dir.join("training.json")).unwrap()).unwrap()
    };
    let planned = record(&round)["planned"].as_u64().unwrap();
    assert!(record(&round)["updates"] == 60 && planned > 60, "{}", record(&round));
    let control = [&set[..], &["--updates-of", round.to_str().unwrap()]].concat();
    let output = finetune(dir.path(), &base(), &control);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rates(&round).len(), 3);
    assert_eq!(rates(&out), rates(&round));
    let ends = |dir: &Path| [record(dir)["updates"].clone(), record(dir)["planned"].clone()];
    assert_eq!(ends(&out), ends(&round));
}

/// A base model that has read no solution writes none. Labelling then fails unless that is explicitly allowed.
#[test]
fn labels_that_are_all_wrong_are_refused_and_so_is_what_would_learn_from_them() {
    let dir = world();
    let of = |name: &str| dir.path().join(name).display().to_string();
    let base = base().display().to_string();
    let call = |line: &str, more: &[&str]| {
        let line = line.replace("smoke/", "pipelines/smoke/");
        let line = line.replace("{base}", &base).replace("{}", &dir.path().display().to_string());
        let mut words = line.split_whitespace();
        let mut command = stage(words.next().unwrap());
        command.args(words).args(["--text", TEXT]).args(more).output().unwrap()
    };
    let label = "critique label --config smoke/label.toml --policy {base} --seeds {}/seeds --held-out {}/validation --out {}/labels";
    let nothing = [
        "0 of ",
        "labelled solutions of the seeds are right",
        "no answer can be read from",
        "max_solution_tokens",
        "the right answer of problem ",
        "--allow-one-class",
    ];
    refused(&call(label, &[]), 65, &nothing);
    assert!(!dir.path().join("labels/_MANIFEST.json").exists());
    let allow = ["--allow-one-class"];
    assert!(call(label, &allow).status.success(), "it goes on from what was labelled");
    let metrics = std::fs::read_to_string(dir.path().join("labels/metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert_eq!(last["labels"]["train"]["right"], 0);
    assert!(last["labels"]["train"]["all"].as_u64().unwrap() > 0, "{last}");
    let critic = "finetune critic --config smoke/critic-all.toml --init {base} --labels {}/labels --out {}/critic";
    let nothing = ["labels that tell nothing apart: ", "orm: 0 of ", "--allow-one-class"];
    refused(&call(critic, &[]), 65, &nothing);
    assert!(!dir.path().join("critic/_MANIFEST.json").exists());
    assert!(call(critic, &allow).status.success());
    let evaluate = format!(
        "evaluate run --config smoke/evaluate.toml --tree smoke/tree.toml --policy {{base}} --fast-policy {{base}} --critic {{}}/critic \
         --set problems=4 --set search_problems=0 --problems {{}}/validation --out {}",
        of("evaluation")
    );
    let output = call(&evaluate, &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("greedy: no output has an answer that can be read"), "{said}");
}

#[test]
fn the_control_of_another_trainer_that_stopped_early_is_told_its_course() {
    let dir = world();
    let command =
        format!("{COPY} && echo '{{\"updates\": 3, \"planned\": 5}}' > {{out}}/training.json");
    let output = external(dir.path(), &command, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let round = dir.path().join("round");
    std::fs::rename(dir.path().join("out"), &round).unwrap();
    let told = dir.path().join("told");
    let control = format!("echo {{updates}} {{planned}} > {} && {command}", told.display());
    let output = external(dir.path(), &control, &["--updates-of", round.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_to_string(told).unwrap().trim(), "3 5");
}
