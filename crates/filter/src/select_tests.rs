//! Tests of each criterion, on handwritten rows.

use super::*;
use crate::judged::by_prompt;
use crate::judged::fixtures::{choices, config, judged, with};
use crate::rows::Rows;
use crate::tally::Tally;

/// The kept ids, prompt by prompt.
fn kept(judged: &[Judged], config: &FilterConfig) -> Vec<Vec<String>> {
    let id = |one: &&Judged| one.trajectory.trajectory_id.clone();
    choices(judged, config).iter().map(|choice| choice.kept.iter().map(id).collect()).collect()
}

fn removed(judged: &[Judged], config: &FilterConfig) -> Vec<(&'static str, usize, usize)> {
    let mut tally = Tally::default();
    for (judged, choice) in by_prompt(judged).zip(choices(judged, config)) {
        tally.add(&Searched { judged, asked: None }, &choice, &Rows::new(&choice, config));
    }
    let cuts = tally.cuts(criteria(config, false));
    cuts.iter().map(|one| (one.criterion, one.removed, one.left)).collect()
}

#[test]
fn the_outcome_has_to_be_above_the_threshold_and_not_on_it() {
    let judged = judged(&[("p", "a", 0.98), ("q", "b", 0.980_001), ("r", "c", 0.5)]);
    let config = FilterConfig { outcome_above: 0.98, ..config() };
    assert_eq!(kept(&judged, &config), [vec![], vec!["b".to_owned()], vec![]]);
}

#[test]
fn the_calculator_is_asked_only_if_required() {
    let judged = with(&[("p", "holds", 0.5), ("q", "fails", 0.5), ("r", "silent", 0.5)], |t, c| {
        match t.trajectory_id.as_str() {
            "fails" => c.checks[0].ok = false,
            "silent" => c.checks.clear(),
            _ => {}
        }
    });
    let required = FilterConfig { require_calculator: true, ..config() };
    assert_eq!(kept(&judged, &required).concat(), ["holds"]);
    assert_eq!(kept(&judged, &config()).concat().len(), 3);
}

#[test]
fn agreement_may_be_just_enough_and_is_none_without_an_answer() {
    let judged = with(&[("p", "most", 0.5), ("q", "few", 0.5), ("r", "none", 0.5)], |t, c| {
        c.agreement = match t.trajectory_id.as_str() {
            "most" => Some(0.6),
            "few" => Some(0.4),
            _ => None,
        };
    });
    let at_least = |agreement_at_least| FilterConfig { agreement_at_least, ..config() };
    assert_eq!(kept(&judged, &at_least(0.6)).concat(), ["most"]);
    assert_eq!(kept(&judged, &at_least(0.0)).concat().len(), 3);
}

#[test]
fn confidence_may_be_just_enough_and_has_to_be_there_if_asked_for() {
    let judged = with(&[("p", "sure", 0.5), ("q", "doubtful", 0.9)], |t, c| {
        c.confidence = Some(if t.trajectory_id == "sure" { 0.75 } else { 0.5 });
    });
    let at_least = |confidence_at_least| FilterConfig { confidence_at_least, ..config() };
    assert_eq!(kept(&judged, &at_least(0.75)).concat(), ["sure"]);
    assert_eq!(kept(&judged, &at_least(0.0)).concat().len(), 2);
    let without = with(&[("p", "bare", 0.9)], |_, c| c.confidence = None);
    assert_eq!(kept(&without, &at_least(0.0)).concat(), ["bare"]);
    let ranked = FilterConfig { rank_by: RankBy::Confidence, ..config() };
    for config in [at_least(0.1), ranked] {
        let searched = Searched { judged: &without, asked: None };
        let failure = Choice::new(&searched, &config).unwrap_err();
        assert_eq!(failure.exit(), stage::Exit::Data);
        assert!(failure.to_string().contains("critique of bare has no confidence"), "{failure}");
    }
}

#[test]
fn other_decoders_and_unfinished_trajectories_are_of_no_use_at_all() {
    let judged =
        with(&[("p", "tree", 0.5), ("p", "sample", 0.9), ("p", "cut", 0.7)], |t, _| {
            match t.trajectory_id.as_str() {
                "sample" => t.decoder = "sample".to_owned(),
                "cut" => t.finished = false,
                _ => {}
            }
        });
    let strict =
        FilterConfig { decoders: vec!["mcts".to_owned()], finished_only: true, ..config() };
    let choice = &choices(&judged, &strict)[0];
    assert_eq!((choice.usable.len(), choice.kept.len(), choice.rejected.len()), (1, 1, 0));
    assert_eq!(kept(&judged, &strict).concat(), ["tree"]);
    assert_eq!(kept(&judged, &config()).concat(), ["sample"]);
}

#[test]
fn the_best_are_kept_by_what_is_asked_for() {
    let judged = with(&[("p", "a", 0.1), ("p", "b", 0.2), ("p", "c", 0.3)], |t, c| {
        match t.trajectory_id.as_str() {
            "a" => t.q = Some(-0.5),
            "b" => c.outcome_reward = 0.9,
            _ => {}
        }
    });
    let best = |rank_by| {
        let ranked = kept(&judged, &FilterConfig { rank_by, per_prompt: 2, ..config() });
        ranked.concat().join(" ")
    };
    assert_eq!(best(RankBy::Score), "c b");
    assert_eq!(best(RankBy::Outcome), "b c");
    // Trajectories without a return come last, ordered by id.
    assert_eq!(best(RankBy::Q), "a b");
}

#[test]
fn ties_are_decided_by_rank_and_then_by_id() {
    let judged = with(&[("p", "a", 0.5), ("p", "b", 0.5), ("p", "c", 0.5)], |t, _| {
        t.rank = i32::from(t.trajectory_id == "a");
    });
    let all = FilterConfig { per_prompt: 3, ..config() };
    assert_eq!(kept(&judged, &all).concat(), ["b", "c", "a"]);
}

#[test]
fn a_completion_counts_once_a_prompt() {
    let judged = with(&[("p", "a", 0.4), ("p", "b", 0.5), ("q", "c", 0.3)], |t, _| {
        t.completion = "#### 1".to_owned();
    });
    let all = FilterConfig { per_prompt: 3, ..config() };
    assert_eq!(kept(&judged, &all), [["b"], ["c"]]);
}

#[test]
fn prompts_are_in_the_order_of_their_ids_whatever_the_order_of_the_rows() {
    let rows = [("r", "a", 0.5), ("p", "b", 0.4), ("q", "c", 0.3), ("p", "d", 0.6)];
    let reversed: Vec<_> = rows.iter().rev().copied().collect();
    let expected = [["d"], ["c"], ["a"]];
    assert_eq!(kept(&judged(&rows), &config()), expected);
    assert_eq!(kept(&judged(&reversed), &config()), expected);
}

#[test]
fn each_criterion_counts_what_it_is_the_first_to_remove() {
    let rows = [
        ("p", "other", 0.9),
        ("p", "cut", 0.9),
        ("p", "twice", 0.9),
        ("p", "twice again", 0.9),
        ("p", "low", 0.1),
        ("p", "low and wrong", 0.1),
        ("p", "wrong", 0.9),
        ("p", "alone", 0.9),
        ("p", "doubtful", 0.9),
        ("p", "surplus", 0.8),
    ];
    let judged = with(&rows, |t, c| {
        t.completion = t.trajectory_id.replace(" again", "");
        t.finished = t.trajectory_id != "cut";
        if t.trajectory_id == "other" {
            t.decoder = "greedy".to_owned();
        }
        c.checks[0].ok = !t.trajectory_id.contains("wrong");
        if t.trajectory_id == "alone" {
            c.agreement = Some(0.1);
        }
        c.confidence = Some(if t.trajectory_id == "doubtful" { 0.1 } else { 0.9 });
    });
    let strict = FilterConfig {
        outcome_above: 0.5,
        require_calculator: true,
        agreement_at_least: 0.5,
        confidence_at_least: 0.5,
        finished_only: true,
        decoders: vec!["mcts".to_owned()],
        ..config()
    };
    let expected = [
        ("decoders", 1, 9),
        ("finished_only", 1, 8),
        ("distinct", 1, 7),
        ("outcome_above", 2, 5),
        ("require_calculator", 1, 4),
        ("agreement_at_least", 1, 3),
        ("confidence_at_least", 1, 2),
        ("per_prompt", 1, 1),
    ];
    assert_eq!(removed(&judged, &strict), expected);
    assert_eq!(kept(&judged, &strict).concat(), ["twice"]);
    let (trajectories, critiques) =
        judged.into_iter().map(|one| (one.trajectory, one.critique)).unzip();
    let fates = crate::fates(&strict, None, trajectories, critiques).unwrap();
    let fate = |id: &str| fates[id];
    assert_eq!((fates.len(), fate("twice")), (10, None));
    for (id, criterion) in [
        ("other", "decoders"),
        ("cut", "finished_only"),
        ("wrong", "require_calculator"),
        ("low and wrong", "outcome_above"),
        ("alone", "agreement_at_least"),
        ("surplus", "per_prompt"),
    ] {
        assert_eq!(fate(id), Some(criterion), "{id}");
    }
}

#[test]
fn no_trajectories_give_no_choices() {
    assert!(choices(&[], &config()).is_empty());
    assert!(removed(&[], &config()).iter().all(|(_, removed, left)| (*removed, *left) == (0, 0)));
}
