//! Calls the binary: exit codes, messages, outputs.

mod common;

use std::fs;
use std::ops::Range;

use common::{Place, critique, trajectory};
use schema::{Critique, Preference, Prompt, SftExample, Steps, Trajectory};
use serde_json::Value;

/// Two prompts: of the first, two trajectories pass and one fails; of the second, none passes.
fn rows() -> (Vec<Trajectory>, Vec<Critique>) {
    let all = [("q", "d", 0.2), ("p", "a", 0.9), ("p", "b", 0.7), ("p", "c", 0.1)];
    let trajectories = all.iter().map(|(prompt, id, _)| trajectory(prompt, id)).collect();
    let critiques = all.iter().map(|(prompt, id, score)| critique(prompt, id, *score)).collect();
    (trajectories, critiques)
}

fn place() -> Place {
    let (trajectories, critiques) = rows();
    Place::new(&trajectories, &critiques)
}

const SUMMARY: &str = "\
Trajectories
criterion            removed  left
-------------------  -------  ----
decoders                   0     4
finished_only              0     4
distinct                   0     4
outcome_above              2     2
require_calculator         0     2
agreement_at_least         0     2
confidence_at_least        0     2
per_prompt                 1     1

Prompts and rows, written
prompts  candidates  kept   yield  mean score  sft  preferences  steps
-------  ----------  ----  ------  ----------  ---  -----------  -----
      2           2     1  50.0 %      0.9000    1            1      4
";

#[test]
fn the_best_are_written_and_the_summary_says_why() {
    let place = place();
    let run = place.filter("");
    assert_eq!(run.succeeds(), SUMMARY);
    let sft = place.rows::<SftExample>("sft");
    assert_eq!((sft.len(), sft[0].trajectory_id.as_str(), sft[0].score), (1, "a", Some(0.9)));
    let pairs = place.rows::<Preference>("preferences");
    assert_eq!((pairs[0].chosen_id.as_str(), pairs[0].rejected_id.as_str()), ("a", "c"));
    let steps = place.rows::<Steps>("steps");
    let ids: Vec<_> = steps.iter().map(|row| row.trajectory_id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
    assert_eq!(
        (steps[0].labels.clone(), steps[2].labels.clone()),
        (vec![true, false], vec![false, true])
    );
}

#[test]
fn a_second_run_finds_everything_done() {
    let place = place();
    place.filter("").succeeds();
    let before = place.outputs();
    assert!(place.filter("").succeeds().contains("Prompts and rows, up to date"));
    assert_eq!(place.outputs(), before);
    place.filter("--set outcome_above=0.8").fails(64, &[&"another recipe", &"--force"]);
    assert_eq!(place.outputs(), before);
    assert!(place.filter("--set outcome_above=0.8 --force").succeeds().contains("written"));
    assert_ne!(place.outputs(), before);
}

#[test]
fn what_a_killed_run_has_not_written_is_written() {
    let place = place();
    place.filter("").succeeds();
    let whole = place.outputs();
    fs::remove_dir_all(place.of("sft")).unwrap();
    place.filter("").succeeds();
    assert_eq!(place.outputs(), whole);
}

#[test]
fn the_order_of_the_input_rows_changes_no_row() {
    let (mut trajectories, mut critiques) = rows();
    let first = Place::new(&trajectories, &critiques);
    trajectories.reverse();
    critiques.rotate_left(1);
    let second = Place::new(&trajectories, &critiques);
    for place in [&first, &second] {
        place.filter("--set per_prompt=2").succeeds();
    }
    assert_eq!(first.rows::<SftExample>("sft"), second.rows::<SftExample>("sft"));
    assert_eq!(first.rows::<Preference>("preferences"), second.rows::<Preference>("preferences"));
    assert_eq!(first.rows::<Steps>("steps"), second.rows::<Steps>("steps"));
}

#[test]
fn inputs_in_parts_give_the_same_rows() {
    let (trajectories, critiques) = rows();
    let ((t_q, t_p), (c_q, c_p)) = (trajectories.split_at(1), critiques.split_at(1));
    let whole = Place::new(&trajectories, &critiques);
    let parts = Place::of_parts(&[t_p, &[], t_q], &[c_p, &[], c_q]);
    let said = whole.filter("--set per_prompt=2").succeeds().to_owned();
    // Parts of the outputs are no parts of the inputs: the second one has steps of both prompts.
    assert_eq!(parts.filter("--set per_prompt=2 --set chunk_rows=2").succeeds(), said);
    assert_eq!(whole.rows::<SftExample>("sft"), parts.rows::<SftExample>("sft"));
    assert_eq!(whole.rows::<Preference>("preferences"), parts.rows::<Preference>("preferences"));
    assert_eq!(whole.rows::<Steps>("steps"), parts.rows::<Steps>("steps"));
    let count = |name| fs::read_dir(parts.of(name).join("data")).unwrap().count();
    assert_eq!((count("sft"), count("preferences"), count("steps")), (1, 1, 2));
}

#[test]
fn parts_that_no_stage_would_write_are_refused() {
    let (trajectories, critiques) = rows();
    let refused = |first: Range<usize>, second: Range<usize>, said: &str| {
        let t = [&trajectories[first.clone()], &trajectories[second.clone()]];
        let place = Place::of_parts(&t, &[&critiques[first], &critiques[second]]);
        place.filter("").fails(65, &[&place.of("trajectories").display(), &said, &"sorted by id"]);
        assert!(!place.of("sft").exists());
    };
    refused(0..1, 1..4, "part 1 has prompt p, but an earlier part has q");
    refused(1..3, 3..4, "part 1 has prompt p, but an earlier part has p");
    let place = Place::of_parts(&[&trajectories[1..], &trajectories[..1]], &[&critiques]);
    place
        .filter("")
        .fails(65, &[&place.of("critiques").display(), &"have 2 parts, but their critiques 1"]);
}

#[test]
fn json_and_metrics_hold_the_same_numbers() {
    let place = place();
    let printed: Value = serde_json::from_str(place.filter("--json").succeeds()).unwrap();
    assert_eq!(printed["status"], "written");
    assert_eq!((&printed["prompts"], &printed["kept"]), (&2.into(), &1.into()));
    assert_eq!((&printed["yield"], &printed["criteria"][3]["removed"]), (&0.5.into(), &2.into()));
    for name in ["sft", "preferences", "steps"] {
        let metrics = fs::read_to_string(place.of(name).join("metrics.jsonl")).unwrap();
        let row: Value = serde_json::from_str(metrics.trim()).unwrap();
        assert_eq!((&row["sft"], &row["criteria"]), (&printed["sft"], &printed["criteria"]));
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = place();
    assert!(place.filter("--dry-run").succeeds().contains("would be written"));
    assert!(!place.of("sft").exists() && !place.of("steps").exists());
}

#[test]
fn nothing_kept_is_a_valid_dataset_and_a_warning() {
    let nothing = (Place::new(&[], &[]), "There was no trajectory to begin with");
    for (place, why) in [(place(), "`outcome_above` removed the last 4 of them"), nothing] {
        let run = place.filter("--set outcome_above=0.95");
        run.succeeds();
        for said in ["no trajectory was kept", "learns from the seeds alone", why] {
            assert!(run.err.contains(said), "no `{said}` in: {}", run.err);
        }
        assert!(place.rows::<SftExample>("sft").is_empty());
        assert!(place.rows::<Preference>("preferences").is_empty());
    }
}

#[test]
fn what_has_no_counterpart_is_refused_by_its_id() {
    let (mut trajectories, mut critiques) = rows();
    critiques.pop();
    Place::new(&trajectories, &critiques).filter("").fails(65, &[&"trajectory c has no critique"]);
    trajectories.pop();
    critiques.push(critique("p", "stray", 0.5));
    Place::new(&trajectories, &critiques).filter("").fails(65, &[&"stray", &"no trajectory"]);
}

/// A prompt made by `operator`.
fn prompt(id: &str, operator: &str, expected: Option<&str>) -> Prompt {
    Prompt {
        prompt_id: id.to_owned(),
        prompt: format!("What is {id}?"),
        operator: Some(operator.to_owned()),
        expected: expected.map(str::to_owned),
        ..Prompt::default()
    }
}

const OPERATORS: &str = "
Operators
operator  prompts  kept    yield  sft   gain
--------  -------  ----  -------  ---  -----
backward        2     1   50.0 %    1  0.375
mutate          1     1  100.0 %    1  1.000
";

#[test]
fn a_backward_question_has_to_come_to_its_number() {
    // All answers are 1. The policy draws the solution of `a` one time in four.
    let [mut a, b, c] = [("p", "a"), ("q", "b"), ("r", "c")].map(|(p, id)| trajectory(p, id));
    a.logprob = Some(0.25_f32.ln());
    let critiques = [("p", "a"), ("q", "b"), ("r", "c")].map(|(p, id)| critique(p, id, 0.9));
    let place = Place::new(&[a, b, c], &critiques);
    let prompts = [
        prompt("p", "backward", Some("1.0")),
        prompt("q", "backward", Some("2")),
        prompt("r", "mutate", None),
    ];
    place.add("prompts", &prompts);
    let prompts = place.of("prompts");
    let run = place.filter(&format!("--prompts {}", prompts.display()));
    let said = run.succeeds();
    assert!(said.contains("expected                   1     2\n"), "{said}");
    assert!(said.contains(OPERATORS), "{said}");
    let kept = place.rows::<SftExample>("sft");
    let ids: Vec<&str> = kept.iter().map(|example| example.trajectory_id.as_str()).collect();
    assert_eq!(ids, ["a", "c"]);
    assert_eq!(kept[0].logprob, Some(0.25_f32.ln()));
}

#[test]
fn a_prompt_that_was_not_searched_is_refused() {
    let place = place();
    place.add("prompts", &[prompt("p", "mutate", None)]);
    let words = format!("--prompts {}", place.of("prompts").display());
    place.filter(&words).fails(65, &[&"is of prompt q", &"not among the prompts"]);
}

#[test]
fn wrong_presets_and_arguments_are_refused() {
    let place = place();
    place.filter("--set gamma=0.5").fails(78, &[&"unknown", &"gamma"]);
    place.filter("--set per_prompt=0").fails(78, &[&"`per_prompt`"]);
    place.filter("--set agreement_at_least=2").fails(78, &[&"`agreement_at_least`"]);
    place.filter("--set rank_by=luck").fails(78, &[&"luck"]);
    place.filter("--nonsense").fails(64, &[&"--nonsense"]);
    assert!(!place.of("sft").exists());
}

#[test]
fn missing_and_damaged_inputs_are_refused_by_name() {
    let place = place();
    let part =
        fs::read_dir(place.of("critiques").join("data")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&part).unwrap();
    fs::write(&part, &bytes[..bytes.len() / 2]).unwrap();
    place.filter("").fails(65, &[&part.display(), &"bytes instead of"]);
    fs::remove_dir_all(place.of("trajectories")).unwrap();
    place.filter("").fails(65, &[&place.of("trajectories").display(), &"_MANIFEST.json"]);
    assert!(!place.of("sft").exists());
}
