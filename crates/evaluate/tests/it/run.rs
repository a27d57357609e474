//! Measuring a policy: the stage itself, on a small model.

use std::collections::BTreeSet;
use std::path::Path;

use alphallm::{Ended, preset, small_policy, stage};
use dataset::Dataset;
use schema::{Evaluation, Prompt};

fn problem(id: &str, text: &str) -> Prompt {
    Prompt {
        prompt_id: id.to_owned(),
        split: "test".to_owned(),
        prompt: text.to_owned(),
        answer: Some("42".to_owned()),
        source: "seed".to_owned(),
        ..Prompt::default()
    }
}

/// Runs `evaluate run` on two problems with nothing but a policy.
fn evaluate(dir: &Path, more: &[&str]) -> Ended {
    let problems = dir.join("problems");
    if !problems.exists() {
        let rows = ["Tom has 40 apples and buys 2.", "Ann reads 6 pages a day for 7 days."];
        let rows: Vec<Prompt> =
            ["a", "b"].iter().zip(rows).map(|(id, text)| problem(id, text)).collect();
        alphallm::write_rows(&problems, &rows);
    }
    let mut command = stage("evaluate");
    command.args(["run", "--config"]).arg(preset("evaluate")).arg("--text").arg(preset("text"));
    command.arg("--policy").arg(small_policy()).arg("--problems").arg(problems);
    command.arg("--out").arg(dir.join("out")).args(more);
    Ended::of(&mut command)
}

#[test]
fn a_policy_is_measured_without_critics_and_trees() {
    let dir = tempfile::tempdir().unwrap();
    let samples = "sample={ samples = [1, 4], sampling = { temperature = { temperature = 1.0 } } }";
    let out = evaluate(dir.path(), &["--set", samples]).succeeds().to_owned();
    let rows = Dataset::<Evaluation>::open(&dir.path().join("out")).unwrap().rows().unwrap();
    let decoders: BTreeSet<&str> = rows.iter().map(|row| row.decoder.as_str()).collect();
    // What a critic would pick is not among them.
    assert_eq!(decoders, BTreeSet::from(["greedy", "sampling", "self-consistency@4"]), "{out}");
    let greedy = rows.iter().filter(|row| row.decoder == "greedy");
    assert!(greedy.clone().count() == 2 && greedy.clone().all(|row| row.seed.is_none()));
}

#[test]
fn a_tree_without_critics_is_refused_by_the_head_that_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let tree = preset("tree").display().to_string();
    evaluate(dir.path(), &["--tree", &tree]).fails(65, &[&"value"]);
    assert!(!dir.path().join("out").exists());
}
