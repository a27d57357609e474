//! Independent samples of untrained models: how many are drawn, and what they depend on.

use decoding::{Question, SampleBudget, Sampled, SearchProgress};

use crate::models::{QUESTIONS, config, searcher};

fn budget(count: u32, tokens: Option<u64>) -> SampleBudget {
    let sampling = serde_json::json!({ "temperature": { "temperature": 1.0 } });
    let section = serde_json::json!({ "count": count, "tokens": tokens, "sampling": sampling });
    serde_json::from_value(section).unwrap()
}

/// The models' maximum solution length is 12 tokens.
fn samples(rows: usize, budget: SampleBudget) -> Vec<Sampled> {
    let question = |(seed, text)| Question { id: "a", text, seed };
    let questions: Vec<Question<'_>> = (0..).zip(QUESTIONS).map(question).collect();
    let mut seen = vec![SearchProgress::default()];
    let watch = &mut |pulse| seen.push(pulse);
    let found = searcher(rows, config(1, 4));
    let leaves = Some(&found.config().mcts);
    let found = found.sampler().samples(&questions, &budget, leaves, watch).unwrap().results;
    assert!(
        seen.is_sorted_by(|one, next| one.samples <= next.samples && one.tokens <= next.tokens)
    );
    assert_eq!(seen.last().map(|last| last.tokens), Some(found.iter().map(|s| s.tokens).sum()));
    found
}

fn lengths(sampled: &Sampled) -> Vec<u64> {
    sampled.samples.iter().map(|sample| u64::from(sample.candidate.tokens)).collect()
}

#[test]
fn samples_are_the_same_in_other_batches_and_judged_option_by_option() {
    let all = samples(64, budget(5, None));
    assert_eq!(all, samples(1, budget(5, None)));
    for sampled in &all {
        assert_eq!(sampled.samples.len(), 5);
        assert_eq!(sampled.tokens, lengths(sampled).iter().sum::<u64>());
        for sample in &sampled.samples {
            let text: String = sample.parts.iter().map(|part| part.text.as_str()).collect();
            assert_eq!(text, sample.candidate.text);
            let judged = (sample.values.len(), sample.process.len());
            assert_eq!(judged, (sample.parts.len(), sample.parts.len()));
        }
    }
}

#[test]
fn a_budget_of_tokens_keeps_the_first_samples_that_fit() {
    let all = samples(64, budget(9, None));
    for most in [1, 12, 30, 61, 1000] {
        for (within, all) in samples(64, budget(9, Some(most))).iter().zip(&all) {
            let kept = within.samples.len();
            assert!(kept >= 1);
            assert_eq!(within.samples, all.samples[..kept], "the same samples, and no other");
            let lengths = lengths(all);
            let sum = |count: usize| lengths[..count].iter().sum::<u64>();
            assert!(kept == 1 || sum(kept) <= most);
            assert!(kept == 9 || sum(kept + 1) > most, "the next one would have fit");
            let drawn = within.tokens;
            assert!(drawn == sum(kept) || drawn == sum(kept + 1), "one in vain at most");
        }
    }
}
