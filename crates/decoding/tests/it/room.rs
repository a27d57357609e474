//! Searches with short contexts: a path ends when the context is full, and the search goes on.

use decoding::{
    FinishReason, Question, RolloutsBy, SampleBudget, SearchConfig, Searcher, StepMethod,
};

use crate::models::{QUESTIONS, config, searcher, searcher_within};

/// Length of the longest question in tokens, plus an option of 12 tokens and a mark.
fn shortest() -> usize {
    let searcher = searcher(64, config(1, 9));
    let taken = |question: &&str| searcher.sampler().policy().taken(question, "").unwrap().unwrap();
    QUESTIONS.iter().map(taken).max().unwrap() + 13
}

/// A context that is never filled. An incomplete character becomes U+FFFD, which is read back as three tokens.
const LONG: usize = 2048;

fn questions() -> Vec<Question<'static>> {
    (0..).zip(QUESTIONS).map(|(seed, text)| Question { id: text, text, seed }).collect()
}

fn within(contexts: [usize; 3], config: SearchConfig) -> Searcher {
    searcher_within(contexts, &["value", "prm", "orm"], 64, config)
}

/// Options of 3 tokens, 7 levels deep, so both paths are longer than 20 tokens.
fn deep(rollouts_by: RolloutsBy) -> SearchConfig {
    let mut config = config(2, 7);
    config.rollouts_by = rollouts_by;
    config.mcts.width = mcts::Width { min: 1, max: 1 };
    if rollouts_by != RolloutsBy::PolicyGrown {
        config.mcts.merge = mcts::Merge::Off;
    }
    config
}

fn ids() -> impl Iterator<Item = (&'static str, &'static str)> {
    QUESTIONS.into_iter().map(|question| (question, question))
}

#[test]
fn a_path_that_runs_out_of_room_ends_there_and_is_worth_nothing() {
    let shortest = shortest();
    for kind in [RolloutsBy::FastPolicy, RolloutsBy::Policy, RolloutsBy::PolicyGrown] {
        let short = within([shortest; 3], deep(kind));
        assert_eq!(short.fitting(ids()).unwrap().too_long(), 0);
        let searched = short.search(&questions()).unwrap().results;
        assert_eq!(searched.len(), 3);
        assert!(searched.iter().any(|one| one.out_of_room > 0), "{kind:?}");
        for (one, question) in searched.iter().zip(QUESTIONS) {
            for (id, node) in one.tree.nodes() {
                let Some(action) = &node.action else { continue };
                let path = one.tree.path(id);
                let text: String = path.iter().map(|id| one.tree.node(*id).text()).collect();
                let taken = short.sampler().policy().taken(question, &text).unwrap().unwrap();
                // Nothing follows a path that fills the context, and the path scores 0.
                assert!(node.terminal || taken < shortest, "{taken} of {shortest}: {action:?}");
                assert!(!node.terminal || node.children.is_empty());
                let cut = node.terminal && action.stop == FinishReason::Length.name();
                assert!(!cut || node.orm == Some(0.0), "{kind:?}: {node:?}");
            }
        }
        // With enough room nothing is cut.
        let long = within([LONG; 3], deep(kind));
        let found = long.search(&questions()).unwrap();
        assert!(found.results.iter().all(|one| one.out_of_room == 0));
        assert_eq!(found.cost.unread, 0);
    }
}

#[test]
fn models_whose_contexts_differ_cut_what_they_cannot_read() {
    let shortest = shortest();
    let fast = within([LONG, shortest, LONG], deep(RolloutsBy::FastPolicy));
    let found = fast.search(&questions()).unwrap();
    assert!(found.results.iter().all(|one| one.tree.tally().nodes > 0 && one.out_of_room == 0));
    let critic = within([LONG, LONG, shortest], deep(RolloutsBy::Policy));
    let found = critic.search(&questions()).unwrap();
    assert!(found.cost.unread > 0, "{:?}", found.cost);
    assert!(found.results.iter().all(|one| one.tree.tally().nodes > 0 && one.out_of_room == 0));
}

#[test]
fn samples_and_step_searches_end_where_there_is_no_room() {
    let shortest = shortest();
    let short = within([shortest - 4; 3], deep(RolloutsBy::Policy));
    let sampling = lm::Sampling::Temperature { temperature: 1.0 };
    let budget = SampleBudget { count: 4, tokens: None, sampling };
    let leaves = Some(&short.config().mcts);
    let sampled =
        short.sampler().samples(&questions(), &budget, leaves, &mut |_| {}).unwrap().results;
    assert!(sampled.iter().all(|sampled| sampled.samples.len() == 4));
    let steps = serde_json::json!({
        "width": 4, "branch": 2, "sampling": { "temperature": { "temperature": 1.0 } }, "max_depth": 9, "balance": 0.2
    });
    let steps = serde_json::from_value(steps).unwrap();
    for method in StepMethod::ALL {
        let found =
            short.sampler().steps(&questions(), &steps, method, &mut |_| {}).unwrap().results;
        assert!(found.iter().all(|found| !found.candidates.is_empty()), "{method:?}");
    }
}

#[test]
fn questions_that_leave_no_room_for_an_option_are_named_before_the_search() {
    let shortest = shortest();
    for short in 0..3 {
        let mut contexts = [shortest; 3];
        contexts[short] -= 1;
        let fitting = within(contexts, deep(RolloutsBy::Policy)).fitting(ids()).unwrap();
        assert!(fitting.too_long() > 0, "{contexts:?}");
        contexts[short] = 12;
        let none = within(contexts, deep(RolloutsBy::Policy)).fitting(ids()).unwrap();
        let message = none.require("prompts").unwrap_err().to_string();
        let model = ["policy", "fast policy", "critic"][short];
        assert!(
            message.contains("3 of 3 prompts") && message.contains(&format!("of the {model}'s")),
            "{message}"
        );
    }
}
