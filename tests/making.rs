//! `make` checks its variables before it builds anything: which one is wrong, how, and what it could be.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use alphallm::root;

/// Runs `make -n` with these words only; nothing is built.
fn make(words: &[&str]) -> Output {
    let mut command = Command::new("make");
    command.current_dir(root()).args(["--no-print-directory", "-n", "BUILD=:"]).args(words);
    command.stdin(Stdio::null()).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Checks that `make` refuses and that its message has all of `parts`.
fn refused(words: &[&str], parts: &[&str]) {
    let output = make(words);
    let said = said(&output);
    assert!(!output.status.success(), "{words:?}: {said}");
    assert!(said.contains("*** "), "{words:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not said of {words:?}: {said}");
    }
}

/// The plan that `make -n` prints.
fn planned(words: &[&str]) -> String {
    let output = make(words);
    assert!(output.status.success(), "{words:?}: {}", said(&output));
    said(&output)
}

fn folder() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let runs = format!("RUNS={}", dir.path().display());
    (dir, runs)
}

fn both<'a>(words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [words, more].concat()
}

/// Makes the folder of a run whose `made-with` has the given text.
fn run_with(dir: &Path, made_with: &str) -> PathBuf {
    let run = dir.join("run");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(run.join("made-with"), made_with).unwrap();
    run
}

/// The text of `made-with` for a run that was begun with these lines beside the usual ones.
fn lines(first: &str, others: &[&str]) -> String {
    let names = ["P", "INIT", "FAST_INIT", "DATA", "SPLITS", "IMPORT_FLAGS", "TRAINER"];
    let line = |name: &&str| {
        let start = format!("{name}=");
        others.iter().find(|other| other.starts_with(&start)).map_or(start, |o| (*o).to_owned())
    };
    format!("{first}\n{}\n", names.iter().map(line).collect::<Vec<_>>().join("\n"))
}

#[test]
fn names_are_names() {
    let (dir, runs) = folder();
    let runs = runs.as_str();
    let trap = dir.path().join("trap");
    let touch = format!("touch {}", trap.display());
    let commands = [
        format!("a;{touch}"),
        format!("$(shell {touch})"),
        format!("`{touch}`"),
        format!("a\n{touch}"),
    ];
    let others =
        ["a b", "a ", "a$b", "..", ".", "", "/", "../x", "a/b", "-rf", "a'b", "a\"b", "a#b"];
    for name in commands.iter().map(String::as_str).chain(others) {
        for variable in ["RUN", "PRESET", "ON"] {
            refused(&[runs, &format!("{variable}={name}")], &[&format!("{variable}=")]);
        }
        refused(&[runs, "clean-run", &format!("RUN={name}")], &["RUN="]);
        for variable in ["ARM", "TRAINER", "KV_MEMORY", "DEVICE", "ROUND", "SEED", "N", "WORKERS"] {
            if !name.is_empty() {
                let given = format!("{variable}={name}");
                refused(&[runs, &given, "measured"], &[&format!("{variable}=")]);
            }
        }
    }
    for command in &commands {
        for variable in ["SEARCH_FLAGS", "FILTER_FLAGS", "CRITIQUE_FLAGS", "IMPORT_FLAGS", "SPLITS"]
        {
            refused(&[runs, &format!("{variable}=--x {command}")], &[&format!("{variable}=")]);
        }
        for variable in ["INIT", "FAST_INIT", "DATA", "R", "P", "RUNS", "RESULTS", "SERVER"] {
            refused(&[runs, &format!("{variable}=x{command}")], &[&format!("{variable}=")]);
        }
    }
    assert!(!trap.exists(), "what stands in a name was run");
    refused(&[runs, "INIT=/models/my model"], &["INIT=/models/my model", "no spaces"]);
    refused(&[runs, "RUNS="], &["RUNS="]);
    for round in ["0", "00", "08", "-1", "1.5", "99999"] {
        refused(&[runs, "round", &format!("ROUND={round}")], &["ROUND="]);
    }
    let accepted = planned(&[runs, "PRESET=smoke", "RUN=a.b_c-9", "DEVICE=cuda:0,1"]);
    assert!(accepted.contains("/a.b_c-9/round-01"), "{accepted}");
}

#[test]
fn a_run_is_deleted_by_its_name_alone() {
    let (dir, runs) = folder();
    let runs = runs.as_str();
    let run = run_with(dir.path(), "PRESET=smoke SEED=0\n");
    refused(&[runs, "clean-run"], &["RUN=name", "run"]);
    refused(&[runs, "clean-run", "RUN=rum"], &["there is no", "there are: run"]);
    let stranger = dir.path().join("stranger");
    std::fs::create_dir(&stranger).unwrap();
    let stranger = format!("R={}", stranger.display());
    refused(&[stranger.as_str(), "clean-run"], &["is not the folder of a run"]);
    let planned = planned(&[runs, "clean-run", "RUN=run"]);
    assert_eq!(planned.trim(), format!("rm -rf '{}'", run.display()));
}

#[test]
fn a_preset_an_arm_and_a_split_that_are_not_there() {
    let (_dir, runs) = folder();
    let runs = runs.as_str();
    refused(&[runs, "PRESET=tinny"], &["PRESET=tinny", "chat-gsm8k", "smoke", "tiny"]);
    refused(&[runs, "PRESET=base"], &["PRESET=base", "policy.toml"]);
    refused(&[runs, "P=pipelines/tinny"], &["P=pipelines/tinny", "policy.toml"]);
    let arm = [runs, "PRESET=smoke", "measured", "ARM=rerankd"];
    refused(&arm, &["ARM=rerankd", "by-q", "reranked"]);
    refused(&[runs, "PRESET=smoke", "audit", "ON=tset"], &["ON=tset", "test ood-templates"]);
}

#[test]
fn problems_and_models_from_outside_that_are_not_there() {
    let (dir, runs) = folder();
    let runs = runs.as_str();
    let chat = [runs, "PRESET=chat-gsm8k"];
    let init = "INIT=data/base/policy";
    refused(&both(&chat, &[]), &["INIT is missing", "pipelines/chat-gsm8k"]);
    refused(&both(&chat, &[init]), &["DATA is missing", "world.toml"]);
    refused(&both(&chat, &[init, "DATA=gsmk"]), &["DATA=gsmk: there is no such folder"]);
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for split in ["seeds", "validation", "test"] {
        std::fs::write(data.join(split).with_extension("jsonl"), "").unwrap();
    }
    let data = format!("DATA={}", data.display());
    let forgotten = ["no ood-templates.jsonl", "SPLITS", "seeds.jsonl test.jsonl validation.jsonl"];
    refused(&both(&chat, &[init, &data]), &forgotten);
    refused(&both(&chat, &[init, &data, "SPLITS=tset"]), &["no tset.jsonl", "SPLITS=\"tset\""]);
    refused(
        &both(&chat, &["INIT=data/base/polcy", &data, "SPLITS=test"]),
        &["data/base/polcy/config.json"],
    );
    let smoke = [runs, "PRESET=smoke", data.as_str(), "SPLITS=test"];
    refused(&smoke, &["DATA=", "pipelines/smoke has no import.toml"]);
    let paper = [runs, "PRESET=paper-math", data.as_str(), "SPLITS=test", init];
    refused(&paper, &["FAST_INIT is missing"]);
    let plan = planned(&both(&chat, &[init, &data, "SPLITS=test"]));
    assert!(
        plan.contains("synthesize import") && plan.contains("--init data/base/policy"),
        "{plan}"
    );
}

#[test]
fn what_only_tells_something_makes_nothing_look_fresh() {
    let (_dir, runs) = folder();
    let runs = runs.as_str();
    let smoke = [runs, "PRESET=smoke"];
    for flags in
        ["SEARCH_FLAGS=--estimate", "SEARCH_FLAGS=--json --estimate=3", "SEARCH_FLAGS=--dry-run"]
    {
        refused(&both(&smoke, &[flags]), &["SEARCH_FLAGS", "`make search`"]);
        refused(&both(&smoke, &["round", flags]), &["SEARCH_FLAGS"]);
        let plan = planned(&both(&smoke, &["search", flags]));
        assert!(plan.contains("--out-trajectories") && !plan.contains("touch"), "{plan}");
    }
    refused(
        &both(&smoke, &["search", "FILTER_FLAGS=--dry-run"]),
        &["FILTER_FLAGS", "`make filter`"],
    );
    refused(&both(&smoke, &["IMPORT_FLAGS=--dry-run"]), &["IMPORT_FLAGS=--dry-run"]);
    let plan = planned(&both(&smoke, &["search", "SEARCH_FLAGS=--weak-critics"]));
    assert!(
        plan.contains("touch -c"),
        "a stage that was up to date is newer than what it was made from: {plan}"
    );
}

#[test]
fn a_run_remembers_what_it_was_begun_with() {
    let (dir, runs) = folder();
    let runs = runs.as_str();
    let of = [runs, "RUN=run"];
    let init = "INIT=data/base/fast_policy";
    run_with(
        dir.path(),
        &lines("PRESET=smoke SEED=3 KEPT=last", &[init, "SPLITS=test ood-chains"]),
    );
    let plan = planned(&both(&of, &[]));
    for word in ["pipelines/smoke/", "--seed 3", "--init data/base/fast_policy", "world/ood-chains"]
    {
        assert!(plan.contains(word), "`{word}` is forgotten: {plan}");
    }
    assert!(!plan.contains("ood-templates"), "{plan}");
    planned(&both(
        &of,
        &["PRESET=smoke", "SEED=3", "INIT=data/base/fast_policy/", "SPLITS=test ood-chains"],
    ));
    for (given, was) in [
        ("SEED=0", "was made with PRESET=smoke SEED=3 KEPT=last"),
        ("PRESET=tiny", "was made with PRESET=smoke SEED=3"),
        ("INIT=data/base/policy", "was made with INIT=data/base/fast_policy"),
        ("FAST_INIT=data/base/policy", "was made with FAST_INIT=data/base/fast_policy"),
        ("SPLITS=test", "was made with SPLITS=test ood-chains"),
        ("SPLITS=ood-chains test", "was made with SPLITS=test ood-chains"),
        ("P=pipelines/tiny", "was made with P=pipelines/smoke"),
        ("DATA=gsm8k", "was made with DATA="),
        ("IMPORT_FLAGS=--format jsonl", "was made with IMPORT_FLAGS=--format gsm8k"),
        ("TRAINER=external", "was made with TRAINER="),
    ] {
        refused(&both(&of, &[given]), &[was, "give another RUN", "clean-run RUN=run"]);
    }
}

#[test]
fn a_run_of_an_earlier_version_takes_what_is_given() {
    let (dir, runs) = folder();
    let runs = runs.as_str();
    run_with(dir.path(), "PRESET=smoke SEED=0\n");
    let of = [runs, "RUN=run"];
    let plan = planned(&both(&of, &["INIT=data/base/fast_policy"]));
    assert!(plan.contains("--init data/base/fast_policy"), "{plan}");
    refused(&both(&of, &["SEED=1"]), &["was made with PRESET=smoke SEED=0"]);
}

#[test]
fn a_server_may_move_and_its_model_may_not_change() {
    let (dir, runs) = folder();
    let runs = runs.as_str();
    let run = run_with(dir.path(), &lines("PRESET=smoke SEED=0", &[]));
    let of = [runs, "RUN=run"];
    let plan = planned(&both(&of, &["SERVER=http://one:80/v1#m"]));
    assert!(plan.contains("--policy http://one:80/v1#m") && plan.contains("served-with"), "{plan}");
    std::fs::write(run.join("served-with"), "#m #m\n").unwrap();
    planned(&both(&of, &["SERVER=https://two:443/v1#m"]));
    planned(&both(&of, &["SERVER=http://two:80/v1#m,http://three:80/v1#m"]));
    refused(&both(&of, &["SERVER=http://one:80/v1#other"]), &["#m #m", "not #other #other"]);
    refused(&both(&of, &[]), &["give SERVER=http://host:port/v1#model"]);
    refused(&both(&of, &["SERVER=one:80"]), &["SERVER=one:80", "http://host:port/v1#model"]);
    std::fs::remove_file(run.join("served-with")).unwrap();
    std::fs::create_dir_all(run.join("round-01/trajectories")).unwrap();
    std::fs::write(run.join("round-01/trajectories/_MANIFEST.json"), "").unwrap();
    refused(&both(&of, &["SERVER=http://one:80/v1#m"]), &["was searched without SERVER"]);
}

#[test]
fn a_status_says_how_far_a_run_is() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let status = || {
        let mut command = Command::new(root().join("mk/status.sh"));
        command.arg(&run).arg(run.join("logs")).arg(run.join("round-02/sft/_MANIFEST.json"));
        said(&command.output().unwrap())
    };
    assert!(status().contains("nothing was begun; `make round` begins the first round"));
    let output = run.join("round-01/trajectories");
    std::fs::create_dir_all(output.join(".state/finished")).unwrap();
    std::fs::write(output.join(".lock"), "").unwrap();
    std::fs::write(output.join(".state/plan.json"), "{\"kind\":\"x@1\",\"parts\":7}").unwrap();
    for part in ["data+train-0", "data+train-1"] {
        let record = output.join(".state/finished").join(format!("{part}.parquet.json"));
        std::fs::write(record, "{}").unwrap();
    }
    assert!(status().contains("unfinished   trajectories/, 2 of 7 parts"), "{}", status());
    std::fs::write(output.join("_MANIFEST.json"), "{}").unwrap();
    std::fs::create_dir(run.join("logs")).unwrap();
    std::fs::write(run.join("logs/round-01-trajectories-0.log"), "").unwrap();
    let told = status();
    assert!(
        told.contains("complete     trajectories/") && told.contains("logs of tasks"),
        "{told}"
    );
    assert!(
        told.contains("next: round-02/sft\nhow long a round takes: `make estimate`\n"),
        "{told}"
    );
    std::fs::write(run.join("logs/times"), "round-01/sft 0:00:09\nround-01/sft 0:01:10\n").unwrap();
    let told = status();
    assert!(told.contains("next: round-02/sft, which took 0:01:10 in the round before"), "{told}");
    let policy = run.join("round-01/policy");
    std::fs::create_dir(&policy).unwrap();
    std::fs::write(policy.join(".lock"), "").unwrap();
    let metrics = "{\"elapsed_s\":1.5,\"update\":20,\"loss\":1.5}\n{\"elapsed_s\":2.5,\"update\":40,\"loss\":1.25}\n";
    std::fs::write(policy.join("metrics.jsonl"), metrics).unwrap();
    std::fs::create_dir_all(run.join("world/seeds")).unwrap();
    std::fs::write(run.join("world/seeds/_MANIFEST.json"), "{}").unwrap();
    let told = status();
    assert!(told.contains("unfinished   policy/, update 40\n"), "{told}");
    assert!(told.contains("run/world\n  complete     seeds/\n"), "{told}");
}

#[test]
fn a_round_says_how_many_stages_it_has_and_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let script = |name: &str, input: &str, words: &[&str]| {
        let mut command = Command::new(root().join("mk").join(name));
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    let of = run.to_str().unwrap();
    let outputs = |round: &str| {
        ["prompts", "sft"].map(|name| format!("{of}/{round}/{name}/_MANIFEST.json\n"))
    };
    let plan = |round| script("plan.sh", &outputs(round).concat(), &[of]);
    let stage = |output: &str| script("quiet.sh", "", &[output.trim_end(), of, "true"]);
    assert_eq!(script("plan.sh", "", &[of]), "", "nothing to do is not a plan");
    assert!(!run.exists());
    assert_eq!(plan("round-01"), format!("{of}: 2 stages to run\n"));
    let [prompts, sft] = outputs("round-01");
    assert!(stage(&prompts).starts_with("[1/2] round-01/prompts "));
    assert!(stage(&sft).starts_with("[2/2] round-01/sft "));
    let times = "round-01/prompts 0:00:50\nround-01/sft 1:59:20\n";
    std::fs::write(run.join("logs/times"), times).unwrap();
    let told = plan("round-02");
    assert_eq!(told, format!("{of}: 2 stages to run, which took 2:00:10 in the round before\n"));
    assert!(stage(&outputs("round-02")[0]).starts_with("[1/2] round-02/prompts "));

    let (_dir, runs) = folder();
    let told = planned(&[runs.as_str(), "RUN=run", "PRESET=smoke"]);
    assert!(told.contains("mk/plan.sh"), "{told}");
}

#[test]
fn an_engine_is_known_and_has_what_it_needs() {
    let (dir, runs) = folder();
    let of = [runs.as_str(), "RUN=run", "PRESET=smoke", "V=1"];
    let slurm = both(&of, &["ENGINE=slurm"]);
    refused(&both(&of, &["ENGINE=slrum"]), &["ENGINE=slrum", "local or slurm"]);
    refused(&slurm, &["SHARDS is missing"]);
    let none = ["SHARDS=4", "CLUSTER=none.toml"];
    refused(&both(&slurm, &none), &["CLUSTER=none.toml", "docs/guide/cluster.md"]);
    for number in ["0", "-1", "x", "1;2", "1000000"] {
        refused(&both(&of, &[&format!("SHARDS={number}")]), &["SHARDS="]);
        refused(&both(&of, &[&format!("JOBS={number}")]), &["JOBS="]);
    }
    let before = |plan: &str, stage: &str| -> String {
        let line = plan.lines().find(|line| line.contains(&format!("/{stage} --config")));
        line.unwrap().split("target/release/").next().unwrap().to_owned()
    };
    let plan = planned(&both(&of, &["ENGINE=local", "SHARDS=4", "JOBS=2"]));
    for stage in ["synthesize drafts", "search", "critique label", "critique score", "evaluate run"]
    {
        let engine = before(&plan, stage);
        assert!(engine.contains("SHARDS=4 JOBS=2") && engine.ends_with("rows "), "{engine}");
    }
    assert!(!before(&plan, "finetune policy").contains("mk/engine.sh"), "{plan}");
    let cluster = dir.path().join("cluster.toml");
    std::fs::write(&cluster, "").unwrap();
    let cluster = format!("CLUSTER={}", cluster.display());
    let plan = planned(&both(&slurm, &["SHARDS=4", &cluster]));
    assert!(before(&plan, "search").ends_with("rows "), "{plan}");
    for stage in ["finetune policy", "synthesize prompts", "filter"] {
        assert!(before(&plan, stage).ends_with("whole "), "{plan}");
    }
    let stops = ["ENGINE=local", "SEARCH_FLAGS=--stop-after 60"];
    refused(&both(&of, &stops), &["SEARCH_FLAGS=--stop-after 60", "with ENGINE"]);
    // What only prints something needs no engine.
    let told = ["ENGINE=local", "SEARCH_FLAGS=--estimate", "search"];
    assert_eq!(before(&planned(&both(&of, &told)), "search"), "");
}

#[test]
fn what_a_preset_does_not_compare_is_refused_at_once() {
    let (_dir, runs) = folder();
    let of = [runs.as_str(), "RUN=run", "PRESET=smoke"];
    planned(&both(&of, &["compare"]));
    refused(&both(&of, &["ablation"]), &["pipelines/smoke/ablation.toml", "pipelines/tiny/"]);
}

#[test]
fn a_run_is_tracked_as_long_as_it_is_made() {
    let (_dir, runs) = folder();
    let of = [runs.as_str(), "RUN=run", "PRESET=smoke"];
    let plan = planned(&both(&of, &["TRACK=tensorboard,wandb"]));
    let began = plan.lines().find(|line| line.contains("examples/track.py")).unwrap();
    assert!(began.contains("run --to tensorboard,wandb --while $PPID"), "{began}");
    assert!(!planned(&of).contains("track.py"));
    refused(&both(&of, &["TRACK=tensor board"]), &["TRACK=tensor board", "mlflow or trackio"]);
}

#[test]
fn a_stage_is_one_line_unless_all_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let quiet = |script: &str| {
        let mut command = Command::new(root().join("mk/quiet.sh"));
        command.arg(run.join("round-01/sft/_MANIFEST.json")).arg(&run);
        command.args(["TABLE=kept 3", "sh", "-c", script]).output().unwrap()
    };
    let line = String::from_utf8(quiet("echo $TABLE").stdout).unwrap();
    assert!(line.starts_with("round-01/sft ") && line.ends_with(" 0:00:00\n"), "{line}");
    let tables = std::fs::read_to_string(run.join("logs/round-01-sft.txt")).unwrap();
    assert_eq!(tables, "kept 3\n");
    let failed = quiet("echo $TABLE; exit 65");
    assert_eq!(failed.status.code(), Some(65));
    assert_eq!(failed.stdout, b"kept 3\n", "what a failed stage printed may say why");

    let (_dir, runs) = folder();
    let of = [runs.as_str(), "RUN=run", "PRESET=smoke"];
    assert!(planned(&of).contains("mk/quiet.sh"));
    assert!(!planned(&both(&of, &["V=1"])).contains("mk/quiet.sh"));
}

/// A stage of five shards that fail when they are first tried, then note the card they see and take a moment.
const STAGE: &str = r#"
case "$*" in
*--status*)
    left=$(for shard in 0 1 2 3 4; do [ -e "$0.$shard" ] || printf '%s,' $shard; done)
    echo "{\"missing_shards\": \"${left%,}\", \"missing_parts\": $(printf %s "$left" | tr -cd , | wc -c)}"
    ;;
*--shard*)
    shard=${*##* } && shard=${shard%/5}
    sleep 0.1
    [ -e "$0.tried.$shard" ] || { touch "$0.tried.$shard"; exit 1; }
    echo "$CUDA_VISIBLE_DEVICES" >"$0.$shard"
    ;;
esac
"#;

#[test]
fn each_process_of_the_local_engine_sees_one_of_the_cards() {
    let dir = tempfile::tempdir().unwrap();
    let stage = dir.path().join("stage");
    std::fs::write(&stage, format!("#!/bin/sh{STAGE}")).unwrap();
    std::fs::set_permissions(&stage, Permissions::from_mode(0o755)).unwrap();
    let logs = dir.path().join("logs");
    let run = |cards: &str| {
        let mut command = Command::new(root().join("mk/engine.sh"));
        command.arg("rows").arg(&stage).args(["--out", "out"]).env("CUDA_VISIBLE_DEVICES", cards);
        command.envs([("ENGINE", "local"), ("SHARDS", "5"), ("JOBS", "2")]).env("LOGS", &logs);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        (0..5)
            .map(|shard| {
                let file = dir.path().join(format!("stage.{shard}"));
                let seen = std::fs::read_to_string(&file).unwrap();
                std::fs::remove_file(file).unwrap();
                std::fs::remove_file(dir.path().join(format!("stage.tried.{shard}"))).unwrap();
                seen.trim().to_owned()
            })
            .collect::<Vec<_>>()
    };
    let seen = run("3,7");
    assert!(seen.iter().all(|card| card == "3" || card == "7"), "{seen:?}");
    assert_ne!(seen[0], seen[1], "two run at once, each with a card of its own");
    assert_eq!(run("5"), ["5"; 5]);
    assert_eq!(run(""), [""; 5]);
}

/// A stage of one shard that fails on card 0, and with code 65 on every card.
#[test]
fn a_shard_is_tried_on_another_card_and_data_that_are_wrong_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let stage = dir.path().join("stage");
    let run = |shard: &str| {
        let status = "if [ -e \"$0.made\" ]; then echo '{\"missing_shards\": \"\", \"missing_parts\": 0}'; else \
                      echo '{\"missing_shards\": \"0\", \"missing_parts\": 1}'; fi";
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in\n*--status*) {status} ;;\n*--shard*) echo tried >>\"$0.tries\"\n{shard} ;;\nesac\n"
        );
        std::fs::write(&stage, text).unwrap();
        std::fs::set_permissions(&stage, Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(root().join("mk/engine.sh"));
        command.arg("rows").arg(&stage).args(["--out", "out"]).env("CUDA_VISIBLE_DEVICES", "0,1");
        command.envs([("ENGINE", "local"), ("SHARDS", "1"), ("JOBS", "2")]);
        let output = command.env("LOGS", dir.path().join("logs")).output().unwrap();
        let tries = std::fs::read_to_string(dir.path().join("stage.tries")).unwrap();
        std::fs::remove_file(dir.path().join("stage.tries")).unwrap();
        (output.status.code(), tries.lines().count())
    };
    assert_eq!(run("exit 65"), (Some(65), 1));
    // The log still ends with the 65 of the call before, which says nothing of a shard that is killed now.
    assert_eq!(run("kill -KILL $PPID"), (Some(75), 3));
    assert_eq!(run("[ $CUDA_VISIBLE_DEVICES = 1 ] && touch \"$0.made\""), (Some(0), 2));
}

#[test]
fn a_cluster_s_resources_are_those_of_all_and_of_the_stage() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cluster.toml");
    let read = |text: &str, words: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(root().join("mk/cluster.sh"));
        command.arg(words[0]).arg(&file).args(&words[1..]);
        let output = command.output().unwrap();
        (output.status.success(), said(&output))
    };
    let text = "# ours\n[all]\npartition = \"main\" # the usual\ntime = \"4:00:00\"\nmem = 8\nsetup = \"a; b\"\n\n\
                [search]\ntime = \"1:00:00\"\nat_once = 16\n";
    let options = |stage| read(text, &["options", stage]).1;
    assert_eq!(options("filter"), "--partition=main\n--time=4:00:00\n--mem=8\n");
    assert_eq!(options("search"), "--partition=main\n--time=1:00:00\n--mem=8\n");
    assert_eq!(read(text, &["setup", "search"]).1, "a; b\n");
    assert_eq!(read(text, &["value", "search", "at_once"]).1, "16\n");
    assert_eq!(read(text, &["value", "filter", "at_once"]).1, "\n");
    let flags = "[all]\nexclusive = true\nsetup = 'export A=\"b c\"' # ours\n[search]\nexclusive = \"user\"\n";
    assert_eq!(read(flags, &["options", "filter"]).1, "--exclusive\n");
    let scratch = "[search]\nscratch = \"$TMPDIR\"\nmem = 8\n";
    assert_eq!(read(scratch, &["options", "search"]).1, "--mem=8\n");
    assert_eq!(read(scratch, &["value", "search", "scratch"]).1, "$TMPDIR\n");
    assert_eq!(read(flags, &["options", "search"]).1, "--exclusive=user\n");
    assert_eq!(read(flags, &["setup", "search"]).1, "export A=\"b c\"\n");
    for (text, line) in [
        ("time = 1\n", "line 1: it belongs into a section"),
        ("[all]\n[serach]\n", "line 2: there is no such stage"),
        ("[all]\ntime = 4h\n", "line 2: a value is"),
        ("[all]\ntime\n", "line 2: this is neither"),
    ] {
        let (accepted, message) = read(text, &["options", "search"]);
        assert!(!accepted && message.contains(line), "{message}");
    }
}

#[test]
fn a_server_is_given_the_adapters_of_the_round_before() {
    let (_dir, runs) = folder();
    let words = [&runs, "RUN=run", "PRESET=smoke", "SERVER=http://one:80/v1#m", "SERVER_LORA=1"];
    let plan = planned(&words);
    let run = runs.strip_prefix("RUNS=").unwrap();
    for (option, dir) in [("--policy", "policy"), ("--fast-policy", "fast_policy")] {
        let given = format!("{option} http://one:80/v1#lora:{run}/run/round-00/{dir} ");
        assert!(plan.contains(&given), "no {given} in {plan}");
    }
    let fast = planned(&both(&words, &["SERVER_FAST=http://two:80/v1#f"]));
    assert!(fast.contains("--fast-policy http://two:80/v1#f "), "{fast}");
}

/// Policy and control learn from the labels of round 0, and the control from what it samples in each round besides.
#[test]
fn seeds_with_answers_alone_teach_by_own_solutions() {
    let (dir, runs) = folder();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for split in ["seeds", "validation", "test"] {
        std::fs::write(data.join(split).with_extension("jsonl"), "").unwrap();
    }
    let data = format!("DATA={}", data.display());
    let words =
        [&runs, "RUN=run", "PRESET=laptop-gsm8k", "INIT=data/base/policy", &data, "SPLITS=test"];
    let run = format!("{}/run", dir.path().display());
    let learns = |plan: &str, out: &str| {
        let ends = format!("--out {run}/{out} ");
        let plan = plan.replace("\\\n", " ");
        let line = plan.lines().find(|line| line.contains(&ends)).map(str::to_owned);
        let line = line.unwrap_or_else(|| panic!("no {ends} in {plan}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        let labels = words.windows(2).filter(|pair| pair[0] == "--labels");
        labels.map(|pair| pair[1].trim_start_matches(&run).to_owned()).collect::<Vec<_>>()
    };
    let first = planned(&words);
    assert_eq!(learns(&first, "round-01/policy"), ["/round-00/labels"]);
    let sampled = ["/round-00/labels", "/round-01/control-labels"];
    assert_eq!(learns(&first, "round-01/control"), sampled);
    let second = planned(&both(&words, &["ROUND=2"]));
    assert_eq!(learns(&second, "round-02/policy"), ["/round-00/labels"]);
    let sampled = [&sampled[..], &["/round-02/control-labels"]].concat();
    assert_eq!(learns(&second, "round-02/control"), sampled);
    assert!(second.contains(&format!("--policy {run}/round-01/control ")), "{second}");
}

#[test]
fn an_output_is_made_from_the_files_that_its_settings_extend() {
    let (_dir, runs) = folder();
    let arm = [&runs, "-p", "PRESET=smoke", "ARM=by-q", "measured"];
    let database = said(&make(&arm));
    for (target, files) in [
        (
            "/round-00/fast_policy/_MANIFEST.json:",
            &["smoke/fast-policy", "smoke/policy", "tiny/policy", "tiny/text"][..],
        ),
        ("/round-00/critics/all/_MANIFEST.json:", &["smoke/critic-all", "tiny/critic-all"]),
        ("/by-q/round-01/sft/_MANIFEST.json:", &["smoke/by-q/filter", "smoke/filter"]),
    ] {
        let rule = database.lines().find(|line| line.contains(target)).unwrap();
        for file in files {
            let file = format!(" pipelines/{file}.toml");
            assert!(rule.contains(&file), "{file} is not in {rule}");
        }
    }
}

#[test]
fn an_experiment_says_what_it_is_and_plans_where_make_plans() {
    for name in ["results", "compare", "ablation", "fresh", "audit", "pick"] {
        let script = root().join(format!("experiments/{name}.sh"));
        let help = Command::new(&script).arg("--help").output().unwrap();
        let said = String::from_utf8(help.stdout).unwrap();
        assert!(said.contains(&format!("experiments/{name}.sh [PRESET=tiny]")), "{name}: {said}");
        assert!(said.contains(&format!("`make {name}`")), "{name}: {said}");
        let wrong = Command::new(&script).arg("wrong").output().unwrap();
        assert_eq!(wrong.status.code(), Some(64), "{name}");
    }
    let (dir, runs) = folder();
    let results = format!("RESULTS={}", dir.path().join("results").display());
    let plan = planned(&[&runs, &results, "results", "PRESET=smoke", "SEEDS=3", "BIN=/nowhere"]);
    for word in ["/smoke-seed3/by-q/round-01", "audit-test", "evaluate report", r"3:round\ 1="] {
        assert!(plan.contains(word), "`{word}` is not planned: {plan}");
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "a plan makes nothing");
}

/// It cuts the questions into splits, and plans where make only plans.
#[test]
fn the_experiment_on_gsm8k_wants_a_model_and_questions() {
    let (dir, runs) = folder();
    let script = root().join("experiments/gsm8k.sh");
    let ended = |words: &[&str]| {
        let mut command = Command::new(&script);
        command.args([runs.as_str(), "BUILD=:", "N=1"]).args(words).env("MAKEFLAGS", "n");
        let output = command.env_remove("MAKELEVEL").output().unwrap();
        (output.status.code(), said(&output))
    };
    let from = format!("FROM={}", dir.path().display());
    let init = "INIT=data/base/policy";
    for (words, problem) in [(&[from.as_str()][..], "INIT="), (&[init, &from], "no train.jsonl")] {
        let (code, said) = ended(words);
        assert!(code == Some(64) && said.contains(problem), "{code:?} {said}");
    }
    let questions = |count: usize| "{}\n".repeat(count);
    std::fs::write(dir.path().join("train.jsonl"), questions(9)).unwrap();
    std::fs::write(dir.path().join("test.jsonl"), questions(4)).unwrap();
    let few = ended(&[init, &from, "LABELLED=8", "HELD_OUT=2"]);
    assert!(few.0 == Some(64) && few.1.contains("train.jsonl has 9 questions"), "{few:?}");
    let (code, plan) = ended(&[init, &from, "LABELLED=6", "HELD_OUT=2"]);
    assert_eq!(code, Some(0), "{plan}");
    assert!(plan.contains("control-labels") && plan.contains("sampled/round-01"), "{plan}");
    let lines = |split: &str| {
        let file = dir.path().join("laptop-gsm8k-data").join(split).with_extension("jsonl");
        std::fs::read_to_string(file).unwrap().lines().count()
    };
    assert_eq!(["seeds", "validation", "test"].map(lines), [6, 2, 4]);
}

#[test]
fn a_misspelt_variable_is_said() {
    let (_dir, runs) = folder();
    let smoke = [runs.as_str(), "PRESET=smoke"];
    let unknown = |words: &[&str]| -> Vec<String> {
        let said = said(&make(&both(&smoke, words)));
        said.lines().filter(|line| line.contains("is no variable")).map(str::to_owned).collect()
    };
    let misspelt = unknown(&["DTA=gsm8k", "RUN=a"]);
    assert_eq!(misspelt.len(), 1, "{misspelt:?}");
    for word in ["DTA is no variable", " DATA ", " INIT ", " SPLITS "] {
        assert!(misspelt[0].contains(word), "{misspelt:?}");
    }
    let known = unknown(&["WORKERS=1", "ROUND=1", "SPLITS=test", "ONE_CLASS=1"]);
    assert!(known.is_empty(), "{known:?}");
}

/// `make` deletes the target it was making when it is interrupted or a command fails, unless the target is precious.
#[test]
fn what_a_stage_has_committed_is_never_deleted() {
    let (_dir, runs) = folder();
    let runs = runs.as_str();
    let goals = [
        &["round", "ROUND=2", "RETRAIN=1"][..],
        &["measured", "ARM=reranked", "ROUND=2"],
        &["audit", "ROUND=2"],
        &["fresh", "ROUND=1"],
        &["compare"],
    ];
    for goal in goals {
        let output = make(&both(&["-p", runs, "PRESET=smoke"], goal));
        let database = said(&output);
        let mut made = 0;
        for block in database.split("\n\n") {
            let name = block.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
            let Some((target, _)) = name.split_once(':') else { continue };
            let recipe = block.contains("#  recipe to execute");
            let named = ["/_MANIFEST.json", "comparison.json", "audit.json", "/made-with"];
            if recipe && !target.contains('%') && named.iter().any(|end| target.ends_with(end)) {
                made += 1;
                assert!(block.contains("#  Precious file"), "{goal:?}: {target} may be deleted");
            }
        }
        assert!(made >= 9, "{goal:?}: only {made} targets in {database}");
    }
}

/// A folder with links to all programs of the PATH, but for cargo and what a wheel installs.
fn programs_without_cargo() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::env::split_paths(&path).filter_map(|folder| folder.read_dir().ok());
    for program in folders.flatten().filter_map(Result::ok) {
        if program.file_name() != "cargo" && program.file_name() != "alphallm" {
            // Of two with one name the first is the one that runs.
            drop(symlink(program.path(), dir.path().join(program.file_name())));
        }
    }
    dir
}

#[test]
fn without_cargo_the_stages_are_those_of_an_installed_wheel() {
    let programs = programs_without_cargo();
    let (dir, runs) = folder();
    let mut command = Command::new(programs.path().join("make"));
    command.current_dir(root()).args(["--no-print-directory", "-n", "PRESET=smoke", &runs]);
    command.env("PATH", programs.path()).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    let plan = said(&command.output().unwrap());
    assert!(plan.contains("mk/installed.sh target/installed"), "{plan}");
    assert!(
        plan.contains(" target/installed/search --config") && !plan.contains("cargo"),
        "{plan}"
    );
    let plan = said(&command.arg("BIN=elsewhere").output().unwrap());
    assert!(plan.contains(" elsewhere/search --config"), "{plan}");
    assert!(!plan.contains("installed"), "binaries that were named are taken as they are: {plan}");

    let stages = dir.path().join("stages");
    let install = || {
        let mut command = Command::new(root().join("mk/installed.sh"));
        command.current_dir(root()).arg(&stages).arg("6c74e12-dirty").env("PATH", programs.path());
        let output = command.output().unwrap();
        (output.status.code(), said(&output))
    };
    let (code, message) = install();
    assert_eq!(code, Some(69), "{message}");
    for part in ["neither cargo nor alphallm", "rustup", "pip install alphallm-"] {
        assert!(message.contains(part), "no `{part}` in {message}");
    }

    let version = env!("CARGO_PKG_VERSION");
    let alphallm = programs.path().join("alphallm");
    let release = |version: &str| {
        let script = format!(
            "#!/bin/sh\n[ $1 = --version ] && echo 'alphallm {version}' || echo $ALPHALLM_REVISION \"$@\"\n"
        );
        std::fs::write(&alphallm, script).unwrap();
        std::fs::set_permissions(&alphallm, Permissions::from_mode(0o755)).unwrap();
        install()
    };
    let (code, message) = release("9.9.9 (6c74e12)");
    assert_eq!(code, Some(69), "{message}");
    assert!(message.contains("is version 9.9.9") && message.contains(version), "{message}");
    assert!(!stages.exists(), "nothing is called of another version");

    let (code, message) = release(&format!("{version} (0123abc)"));
    assert_eq!(code, Some(0), "{message}");
    assert!(message.contains("warning: ") && message.contains("built from revision 0123abc"));
    assert_eq!(release(&format!("{version} (6c74e12b)")), (Some(0), String::new()));
    let called = Command::new(stages.join("search")).args(["--seed", "a b"]).output().unwrap();
    assert_eq!(said(&called), "6c74e12b search --seed a b\n");
    assert_eq!(release(version), (Some(0), String::new()));
}
