//! Small trajectories and critiques for the tests of this crate.

use schema::{Check, Critique, TextOption, Trajectory};

use super::{Judged, by_prompt, pair};
use crate::config::{FilterConfig, RankBy};
use crate::inputs::Searched;
use crate::select::Choice;

/// A preset that lets everything pass and keeps one example per prompt.
pub(crate) fn config() -> FilterConfig {
    FilterConfig {
        outcome_above: -1.0,
        require_calculator: false,
        agreement_at_least: 0.0,
        confidence_at_least: 0.0,
        finished_only: false,
        decoders: Vec::new(),
        per_prompt: 1,
        rank_by: RankBy::Score,
        preference_margin: 0.0,
        pairs_per_prompt: 1,
        step_threshold: 0.5,
        chunk_rows: 0,
    }
}

/// A finished trajectory of two options, with a completion that no other has.
pub(crate) fn trajectory(prompt: &str, id: &str) -> Trajectory {
    let option = |text: &str| TextOption { text: text.to_owned(), ..TextOption::default() };
    Trajectory {
        trajectory_id: id.to_owned(),
        prompt_id: prompt.to_owned(),
        prompt: format!("What is {prompt}?"),
        completion: format!("It is {id}.\n#### 1"),
        options: vec![option(&format!("It is {id}.\n")), option("#### 1")],
        answer: Some("1".to_owned()),
        decoder: "mcts".to_owned(),
        finish: "end".to_owned(),
        finished: true,
        round: 1,
        ..Trajectory::default()
    }
}

/// A critique with `score` as score and outcome, one equation that holds, and full agreement.
pub(crate) fn critique(prompt: &str, id: &str, score: f32) -> Critique {
    Critique {
        trajectory_id: id.to_owned(),
        prompt_id: prompt.to_owned(),
        values: vec![score; 2],
        process_rewards: vec![score, 1.0 - score],
        outcome_reward: score,
        checks: vec![Check { computed: Some("1".to_owned()), ok: true, ..Check::default() }],
        score,
        agreement: Some(1.0),
        round: 1,
        ..Critique::default()
    }
}

/// Pairs built from (prompt, id, score).
pub(crate) fn judged(of: &[(&str, &str, f32)]) -> Vec<Judged> {
    with(of, |_, _| ())
}

/// The same, with `change` applied before pairing.
pub(crate) fn with(
    of: &[(&str, &str, f32)],
    mut change: impl FnMut(&mut Trajectory, &mut Critique),
) -> Vec<Judged> {
    let row = |(prompt, id, score): &(&str, &str, f32)| {
        let (mut t, mut c) = (trajectory(prompt, id), critique(prompt, id, *score));
        change(&mut t, &mut c);
        (t, c)
    };
    let (trajectories, critiques) = of.iter().map(row).unzip();
    pair(trajectories, critiques).unwrap()
}

/// Selects among these pairs, without prompts.
pub(crate) fn choices<'a>(judged: &'a [Judged], config: &FilterConfig) -> Vec<Choice<'a>> {
    let searched = by_prompt(judged).map(|judged| Searched { judged, asked: None });
    searched.map(|searched| Choice::new(&searched, config).unwrap()).collect()
}
