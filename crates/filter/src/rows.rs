//! Builds the rows of the three outputs.

use dataset::row_id;
use schema::{Message, Preference, SftExample, Steps};

use crate::config::FilterConfig;
use crate::judged::Judged;
use crate::select::Choice;

/// The rows of one prompt.
#[derive(Debug)]
pub(crate) struct Rows {
    /// One row per trajectory kept, best first.
    pub(crate) sft: Vec<SftExample>,
    pub(crate) preferences: Vec<Preference>,
    /// One row per usable trajectory with steps, best first.
    pub(crate) steps: Vec<Steps>,
}

impl Rows {
    pub(crate) fn new(choice: &Choice<'_>, config: &FilterConfig) -> Self {
        let steps = |one: &&Judged| steps(one, config.step_threshold);
        Self {
            sft: choice.kept.iter().map(|one| example(one)).collect(),
            preferences: pairs(choice, config),
            steps: choice.usable.iter().filter_map(steps).collect(),
        }
    }
}

/// The SFT example of a trajectory.
fn example(one: &Judged) -> SftExample {
    let trajectory = &one.trajectory;
    SftExample {
        prompt: vec![Message::user(&trajectory.prompt)],
        completion: vec![Message::assistant(&trajectory.completion)],
        example_id: row_id(&[&trajectory.trajectory_id]),
        prompt_id: trajectory.prompt_id.clone(),
        trajectory_id: trajectory.trajectory_id.clone(),
        weight: 1.0,
        score: Some(one.critique.score),
        logprob: trajectory.logprob,
        round: trajectory.round,
    }
}

/// The preference pairs of one prompt: best with worst, second best with second worst, and so on.
fn pairs(choice: &Choice<'_>, config: &FilterConfig) -> Vec<Preference> {
    let Some(last) = choice.kept.last() else { return Vec::new() };
    let mut worst = choice.rejected.clone();
    // The sort is stable, so solutions of equal score stay in reverse rank order: the lowest ranked first.
    worst.reverse();
    worst.sort_by(|a, b| a.critique.score.total_cmp(&b.critique.score));
    let best = choice.kept.iter().chain(std::iter::repeat(last));
    let pairs = best.zip(worst).take(config.pairs_per_prompt);
    let pairs = pairs.map(|(chosen, rejected)| preference(chosen, rejected));
    // Applied after pairing: a pair below the margin is dropped, and no other pair takes its place.
    pairs.filter(|pair| pair.margin >= Some(config.preference_margin)).collect()
}

fn preference(chosen: &Judged, rejected: &Judged) -> Preference {
    let (better, worse) = (&chosen.trajectory, &rejected.trajectory);
    let (high, low) = (chosen.critique.score, rejected.critique.score);
    Preference {
        prompt: vec![Message::user(&better.prompt)],
        chosen: vec![Message::assistant(&better.completion)],
        rejected: vec![Message::assistant(&worse.completion)],
        score_chosen: Some(high),
        score_rejected: Some(low),
        margin: Some(high - low),
        chosen_id: better.trajectory_id.clone(),
        rejected_id: worse.trajectory_id.clone(),
        round: better.round,
    }
}

/// The step labels of a trajectory; `None` if it has no steps.
fn steps(one: &Judged, threshold: f32) -> Option<Steps> {
    let (trajectory, rewards) = (&one.trajectory, &one.critique.process_rewards);
    (!rewards.is_empty()).then(|| Steps {
        prompt: trajectory.prompt.clone(),
        completions: trajectory.options.iter().map(|option| option.text.clone()).collect(),
        labels: rewards.iter().map(|reward| *reward > threshold).collect(),
        scores: Some(rewards.clone()),
        trajectory_id: trajectory.trajectory_id.clone(),
        round: trajectory.round,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judged::fixtures::{choices, config, judged, with};

    fn named(pairs: &[Preference]) -> Vec<(&str, &str)> {
        pairs.iter().map(|pair| (pair.chosen_id.as_str(), pair.rejected_id.as_str())).collect()
    }

    #[test]
    fn an_example_is_a_conversation_of_two() {
        let judged = judged(&[("p", "a", 0.75)]);
        let example = example(choices(&judged, &config())[0].kept[0]);
        assert_eq!(example.prompt, [Message::user("What is p?")]);
        assert_eq!(example.completion, [Message::assistant("It is a.\n#### 1")]);
        assert_eq!(example.example_id, row_id(&["a"]));
        assert_eq!((example.weight, example.score, example.round), (1.0, Some(0.75), 1));
    }

    #[test]
    fn the_best_goes_with_the_worst() {
        let judged = judged(&[
            ("p", "a", 0.9),
            ("p", "b", 0.8),
            ("p", "c", 0.4),
            ("p", "d", 0.1),
            ("p", "e", 0.3),
        ]);
        let base = FilterConfig { outcome_above: 0.5, per_prompt: 2, ..config() };
        let pairs_of = |pairs_per_prompt| {
            let config = FilterConfig { pairs_per_prompt, ..base.clone() };
            pairs(&choices(&judged, &config)[0], &config)
        };
        assert!(pairs_of(0).is_empty());
        assert_eq!(named(&pairs_of(1)), [("a", "d")]);
        assert_eq!(named(&pairs_of(9)), [("a", "d"), ("b", "e"), ("b", "c")]);
        let pair = &pairs_of(1)[0];
        assert_eq!(pair.margin, Some(0.9_f32 - 0.1));
        assert_eq!((pair.score_chosen, pair.score_rejected), (Some(0.9), Some(0.1)));
        assert_eq!(pair.chosen, [Message::assistant("It is a.\n#### 1")]);
        assert_eq!(pair.rejected, [Message::assistant("It is d.\n#### 1")]);
    }

    #[test]
    fn a_pair_needs_its_margin_and_both_halves() {
        let judged =
            judged(&[("p", "a", 0.75), ("p", "b", 0.25), ("p", "c", 0.5), ("q", "d", 0.2)]);
        let found = |preference_margin| {
            let config = FilterConfig {
                outcome_above: 0.5,
                pairs_per_prompt: 9,
                preference_margin,
                ..config()
            };
            let choices = choices(&judged, &config);
            choices.iter().map(|choice| pairs(choice, &config).len()).collect::<Vec<_>>()
        };
        // Nothing of the second prompt is kept, so it has no chosen solution.
        assert_eq!(found(0.0), [2, 0]);
        assert_eq!(found(0.5), [1, 0]);
        assert_eq!(found(0.6), [0, 0]);
    }

    #[test]
    fn a_step_is_good_above_the_threshold() {
        let judged = with(&[("p", "a", 0.9), ("p", "b", 0.1)], |t, c| {
            if t.trajectory_id == "b" {
                t.options.clear();
                c.values.clear();
                c.process_rewards.clear();
            } else {
                c.process_rewards = vec![0.5, 0.75];
            }
        });
        let usable = &choices(&judged, &config())[0].usable;
        let row = steps(usable[0], 0.5).unwrap();
        assert_eq!(row.labels, [false, true]);
        assert_eq!(row.scores, Some(vec![0.5, 0.75]));
        assert_eq!(row.completions, ["It is a.\n", "#### 1"]);
        assert_eq!(steps(usable[1], 0.5), None);
    }
}
