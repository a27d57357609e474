//! The binary as users call it: exit codes, output, files, and resuming.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use alphallm::{Ended, bytes, preset, small_policy, write_parts, write_rows};
use dataset::{Dataset, MetricsLog};
use lm::{Checkpoint, device};
use schema::trajectories::TextOption;
use schema::{Critique, Label, Prompt, Trajectory};

/// The inputs and outputs of one test.
struct Workspace(tempfile::TempDir);

impl Workspace {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `critique` with the words of `line`; those that begin with `@` are names of files of this folder.
    fn critique(&self, line: &str) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_critique"));
        for word in line.split_whitespace() {
            match word.strip_prefix('@') {
                Some(name) => command.arg(self.path(name)),
                None => command.arg(word),
            };
        }
        Ended::of(&mut command)
    }

    fn label(&self, more: &str) -> Ended {
        self.label_seeds(&format!("--held-out @held-out {more}"))
    }

    fn label_seeds(&self, more: &str) -> Ended {
        let [config, text] = ["label", "text"].map(|name| preset(name).display().to_string());
        let policy = small_policy().display().to_string();
        self.critique(&format!(
            "label --config {config} --set skip_share=0 --set chunk_prompts=1 --text {text} --policy {policy} --seeds @seeds {more}"
        ))
    }

    fn score(&self, more: &str) -> Ended {
        let [config, text] = ["critique", "text"].map(|name| preset(name).display().to_string());
        self.critique(&format!(
            "score --config {config} --text {text} --trajectories @trajectories --critic @critic {more}"
        ))
    }

    fn calibrate(&self, more: &str) -> Ended {
        let config = preset("confidence").display().to_string();
        self.critique(&format!(
            "calibrate --config {config} --trajectories @trajectories --problems @problems {more}"
        ))
    }
}

fn problem(id: &str, answer: &str) -> Prompt {
    Prompt {
        prompt_id: id.to_owned(),
        prompt: "Tom has 12 apples and buys 5 more. How many apples does Tom have?".to_owned(),
        answer: Some(answer.to_owned()),
        ..Prompt::default()
    }
}

/// Writes critics whose heads have learned nothing.
fn write_critic(dir: &Path) {
    let heads = ["value", "prm", "orm"].map(str::to_owned);
    let critic = Checkpoint::load(&small_policy(), &device::cpu()).unwrap();
    let critic = critic.with_scalar_heads(&heads, &device::cpu()).unwrap();
    std::fs::create_dir(dir).unwrap();
    for (name, bytes) in critic.files().unwrap() {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

fn trajectory(prompt: &str, id: &str, answer: Option<&str>) -> Trajectory {
    let lines =
        ["Tom has 12 + 5 = 17 apples.\n".to_owned(), format!("#### {}", answer.unwrap_or(""))];
    let option = |text: &String| TextOption { text: text.clone(), ..TextOption::default() };
    Trajectory {
        trajectory_id: id.to_owned(),
        prompt_id: prompt.to_owned(),
        prompt: problem(prompt, "17").prompt,
        completion: lines.concat(),
        options: lines.iter().map(option).collect(),
        answer: answer.map(str::to_owned),
        logprob: Some(-1.0),
        finished: true,
        ..Trajectory::default()
    }
}

/// Two prompts with two solutions each, one of which is right, in two parts.
fn trajectories() -> Vec<Trajectory> {
    [("p", "a", "17"), ("p", "b", "7"), ("q", "c", "17"), ("q", "d", "60")]
        .map(|(prompt, id, answer)| trajectory(prompt, id, Some(answer)))
        .into()
}

/// The small policy solves nothing, so its labels are refused. Their parts stay, and whoever wants them all the same gets
/// them without another sample being drawn.
#[test]
fn refused_labels_are_kept_and_taken_over() {
    let workspace = Workspace::new();
    let seeds = ["a", "b"].map(|id| problem(id, "17000"));
    write_rows(&workspace.path("seeds"), &seeds);
    write_rows(&workspace.path("held-out"), &[problem("c", "17000")]);
    let refused = workspace.label("--out @labels");
    refused.fails(65, &[&"critics would learn a constant", &"--allow-one-class"]);
    assert!(!workspace.path("labels/_MANIFEST.json").exists());
    workspace.label("--out @labels --allow-one-class").succeeds();
    let rows = MetricsLog::read(&workspace.path("labels/metrics.jsonl")).unwrap();
    assert_eq!(rows.last().unwrap()["problems"], 0, "nothing is sampled again: {rows:?}");
    workspace.label("--out @whole --allow-one-class").succeeds();
    assert_eq!(bytes(&workspace.path("labels")), bytes(&workspace.path("whole")));
    let labels = Dataset::<Label>::open(&workspace.path("labels")).unwrap();
    assert_eq!(labels.parts(), 3);
    let rows = labels.rows().unwrap();
    assert!(
        rows.iter()
            .all(|row| row.outcome == 0.0 && (row.split == "train") == (row.prompt_id != "c"))
    );
    let again = workspace.label("--out @labels --allow-one-class");
    assert!(again.succeeds().is_empty() && again.err.contains("up to date"), "{}", again.err);
    workspace.label("--out @labels --round 1").fails(64, &[&"another recipe", &"--force"]);
}

#[test]
fn labels_need_answers_and_a_dry_run_writes_nothing() {
    let workspace = Workspace::new();
    write_rows(&workspace.path("seeds"), &[Prompt { answer: None, ..problem("a", "") }]);
    write_rows(&workspace.path("held-out"), &[problem("c", "17")]);
    let dry = workspace.label("--out @labels --dry-run");
    dry.succeeds();
    assert!(dry.err.contains("would label 2 problems in 2 parts"), "{}", dry.err);
    let alone = workspace.label_seeds("--out @labels --dry-run");
    assert!(alone.err.contains("would label 1 problems in 1 parts"), "{}", alone.err);
    assert!(!workspace.path("labels").exists());
    workspace.label("--out @labels").fails(65, &[&"problem a has no answer to label by"]);
    for (words, said) in [("--set samples=0", "`samples` is 0"), ("--set sample=1", "sample")] {
        workspace.label(&format!("--out @labels {words}")).fails(78, &[&said]);
    }
    workspace.label("--out @labels --kv-memory 1GiB").fails(64, &[&"--kv-memory"]);
}

#[test]
fn every_trajectory_gets_a_critique_in_its_part() {
    let workspace = Workspace::new();
    let mut rows = trajectories();
    rows.push(Trajectory { finished: false, ..trajectory("q", "e", Some("17")) });
    rows.push(trajectory("q", "f", None));
    write_parts(&workspace.path("trajectories"), &rows, 2);
    write_critic(&workspace.path("critic"));
    let ended = workspace.score("--out @critiques --workers 2");
    assert!(ended.succeeds().starts_with("critique"), "{}", ended.out);
    let critiques = Dataset::<Critique>::open(&workspace.path("critiques")).unwrap();
    assert_eq!(critiques.parts(), 3);
    let critiques = critiques.rows().unwrap();
    let ids: Vec<&str> = critiques.iter().map(|row| row.trajectory_id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "d", "e", "f"]);
    for row in &critiques {
        assert_eq!((row.values.len(), row.process_rewards.len()), (2, 2));
        let can_be_right = !["e", "f"].contains(&row.trajectory_id.as_str());
        assert_eq!(row.outcome_reward > 0.0, can_be_right, "{row:?}");
        assert_eq!(row.critic_models.orm, row.critic_models.value);
    }
    let before = bytes(&workspace.path("critiques"));
    let again = workspace.score("--out @critiques");
    assert!(again.succeeds().is_empty() && again.err.contains("up to date"), "{}", again.err);
    workspace.score("--out @critiques --set weights.orm=2.0").fails(64, &[&"another recipe"]);
    assert_eq!(bytes(&workspace.path("critiques")), before);
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let workspace = Workspace::new();
    let rows = trajectories().into_iter().map(|row| Trajectory { logprob: None, ..row });
    write_parts(&workspace.path("trajectories"), &rows.collect::<Vec<_>>(), 2);
    write_critic(&workspace.path("critic"));
    for (words, code, said) in [
        ("--set agreement.likelihood=2.0", 78, "it must be in [0, 1]"),
        ("--set weights.value=-1.0", 78, "each must be 0 or more"),
        ("--confidence @critic", 65, "critic"),
        ("--critic @critic", 65, "two of the critic's models have a `value` head"),
    ] {
        workspace.score(&format!("{words} --out @critiques")).fails(code, &[&said]);
        assert!(!workspace.path("critiques").exists(), "{words}");
    }
    // Only the rows tell this.
    let failed = workspace.score("--out @critiques");
    failed.fails(65, &[&"trajectory a has no log-probability", &"agreement.likelihood"]);
    assert!(!workspace.path("critiques/_MANIFEST.json").exists());
}

#[test]
fn a_calibration_is_fitted_and_then_used() {
    let workspace = Workspace::new();
    write_parts(&workspace.path("trajectories"), &trajectories(), 2);
    write_rows(&workspace.path("problems"), &["p", "q"].map(|id| problem(id, "17")));
    write_critic(&workspace.path("critic"));
    workspace.score("--out @critiques").succeeds();
    let fitted = workspace.calibrate("--critiques @critiques --out @confidence");
    assert!(fitted.succeeds().contains("on held-out problems"), "{}", fitted.out);
    workspace.score("--out @sure --confidence @confidence").succeeds();
    let sure = Dataset::<Critique>::open(&workspace.path("sure")).unwrap().rows().unwrap();
    assert!(sure.iter().all(|row| row.confidence.is_some_and(|chance| chance > 0.0)), "{sure:?}");
    // What has a confidence is measured, and nothing is fitted to it.
    workspace.calibrate("--critiques @sure --out @quality").succeeds();
    assert!(workspace.path("confidence/confidence.json").exists());
    assert!(!workspace.path("quality/confidence.json").exists());
    assert!(workspace.path("quality/quality.json").exists());
    let again = workspace.calibrate("--critiques @critiques --out @confidence");
    assert!(again.succeeds().is_empty() && again.err.contains("up to date"), "{}", again.err);
}

#[test]
fn nothing_is_fitted_to_one_class_or_on_a_device() {
    let workspace = Workspace::new();
    write_rows(&workspace.path("trajectories"), &trajectories());
    write_rows(&workspace.path("problems"), &["p", "q"].map(|id| problem(id, "5")));
    write_critic(&workspace.path("critic"));
    workspace.score("--out @critiques").succeeds();
    let calibrate = |more: &str| workspace.calibrate(&format!("--critiques @critiques {more}"));
    calibrate("--out @confidence").fails(65, &[&"0 of 4 solutions", &"--allow-one-class"]);
    assert!(!workspace.path("confidence").exists());
    calibrate("--out @confidence --allow-one-class").succeeds();
    let before = bytes(&workspace.path("confidence"));
    calibrate("--out @confidence --force --set folds=9").fails(65, &[&"--allow-one-class"]);
    assert_eq!(bytes(&workspace.path("confidence")), before);
    calibrate("--out @other --set folds=1").fails(78, &[&"folds: it must be at least 2"]);
    calibrate("--out @other --device cpu").fails(64, &[&"--device"]);
    calibrate("--out @other --workers 1").fails(64, &[&"--workers"]);
    assert!(!workspace.path("other").exists());
}
