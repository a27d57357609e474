//! Searches with untrained models in which trees grow along rollouts: draws, costs and candidates.

use std::collections::BTreeSet;

use decoding::{Origin, Question, RolloutsBy, SearchConfig, SearchProgress, Searched, Similarity};

use crate::models::{QUESTIONS, config, searcher};

fn search(rows: usize, config: SearchConfig) -> Vec<Searched> {
    let question = |(seed, text)| Question { id: "a", text, seed };
    let questions: Vec<Question<'_>> = (0..).zip(QUESTIONS).map(question).collect();
    searcher(rows, config).search(&questions).unwrap().results
}

#[test]
fn a_rollout_is_paid_once_and_a_solution_counts_once() {
    for (rollouts, max_depth) in [(1, 9), (2, 9), (2, 2)] {
        for searched in search(64, config(rollouts, max_depth)) {
            let tree = &searched.tree;
            let completions =
                searched.solutions.iter().filter(|one| one.origin == Origin::Completed);
            let completed: u64 = completions.map(|one| u64::from(one.cost)).sum();
            assert_eq!(searched.tokens, tree.tally().tokens + completed);
            let options: Vec<_> =
                tree.nodes().filter_map(|(_, node)| Some((node, node.action.as_ref()?))).collect();
            let at_hand = options.iter().filter(|(_, action)| action.cost == 0).count();
            // A node at the last depth takes the whole rest of a rollout, but not of one that was cut.
            assert_eq!(at_hand > 0, max_depth > 2, "{at_hand} of {}", options.len());
            assert!(at_hand < options.len());
            let open = options.iter().filter(|(node, _)| !node.terminal);
            assert!(open.into_iter().all(|(node, _)| node.rollouts == rollouts));
            let mut texts = BTreeSet::new();
            assert!(searched.solutions.iter().all(|one| texts.insert(&one.text)), "{texts:?}");
        }
    }
}

#[test]
fn siblings_are_distinct_and_the_tree_is_the_same_in_other_batches() {
    let texts = |searched: &Searched| -> Vec<(Option<mcts::NodeId>, String)> {
        searched.tree.nodes().map(|(_, node)| (node.parent, node.text().to_owned())).collect()
    };
    let (some, one): (Vec<_>, Vec<_>) = (search(64, config(1, 9)), search(1, config(1, 9)));
    for (left, right) in some.iter().zip(&one) {
        let all = texts(left);
        assert_eq!(all, texts(right));
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}

/// Searches of every kind: the growing tree, and the paper's search with each merge, with several simulations at once,
/// and with sequential halving.
fn kinds() -> Vec<SearchConfig> {
    let paper = |change: fn(&mut SearchConfig)| {
        let mut config = config(2, 9);
        config.rollouts_by = RolloutsBy::Policy;
        config.mcts.merge = mcts::Merge::EditDistance { threshold: 2, resamples: 2 };
        change(&mut config);
        config.validate().unwrap();
        config
    };
    vec![
        config(1, 9),
        paper(|config| config.mcts.root_wave = true),
        paper(|config| config.mcts.in_flight = 4),
        paper(|config| config.mcts.root = mcts::RootSelection::SequentialHalving),
        paper(|config| {
            config.mcts.merge = mcts::Merge::Similarity { threshold: 0.5, resamples: 2 };
            config.similarity = Some(Similarity::Cosine);
        }),
        paper(|config| {
            let (threshold, attempts, saturate_after) = (4, 3, None);
            config.mcts.merge = mcts::Merge::MostDistant { threshold, attempts, saturate_after };
        }),
    ]
}

/// Every statistic is the same to the last bit, whether a question is searched alone in batches of one row or with others
/// in batches of 64.
#[test]
fn a_tree_is_the_same_whatever_it_is_searched_beside() {
    let snapshot = |searched: &Searched| serde_json::to_string(&searched.tree.snapshot()).unwrap();
    for config in kinds() {
        let together = search(64, config.clone());
        for ((seed, text), expected) in (0..).zip(QUESTIONS).zip(&together) {
            let question = Question { id: "a", text, seed };
            let alone = searcher(1, config.clone()).search(&[question]).unwrap().results;
            assert_eq!(snapshot(&alone[0]), snapshot(expected), "{:?}", config.mcts);
        }
    }
}

#[test]
fn there_must_be_rollouts_to_grow_along() {
    let mut none = config(0, 9);
    let message = none.validate().unwrap_err().to_string();
    assert!(message.contains("rollouts_by"), "{message}");
    none.rollouts_by = RolloutsBy::Policy;
    none.validate().unwrap();
}

/// The result of a search as text, to compare.
fn told(searched: &[Searched]) -> Vec<String> {
    searched.iter().map(|s| format!("{:?} {:?} {}", s.solutions, s.picks, s.tokens)).collect()
}

#[test]
fn a_limit_on_memory_makes_trees_read_again_and_changes_nothing() {
    let question = |seed| Question { id: "a", text: QUESTIONS[seed as usize % 3], seed };
    let questions: Vec<Question<'_>> = (0..10).map(question).collect();
    let free = searcher(8, config(1, 4)).search(&questions).unwrap();
    assert_eq!(free.cost.evicted, 0);
    // Threads that a busy machine runs one after the other have nothing to evict from each other.
    let evicts = (0..20).any(|_| {
        let tight = searcher(8, config(1, 4)).within(Some(20_000)).search(&questions).unwrap();
        assert_eq!(told(&tight.results), told(&free.results));
        if tight.cost.evicted == 0 {
            return false;
        }
        assert!(tight.cost.kept_bytes < free.cost.kept_bytes, "{:?} {:?}", tight.cost, free.cost);
        assert!(tight.cost.policy_tokens > free.cost.policy_tokens);
        true
    });
    assert!(evicts, "nothing was ever evicted");
}

#[test]
fn whoever_watches_sees_the_search_grow_to_what_it_cost() {
    let question = |seed| Question { id: "a", text: QUESTIONS[seed as usize % 3], seed };
    let questions: Vec<Question<'_>> = (0..10).map(question).collect();
    let mut seen = vec![SearchProgress::default()];
    let watched = searcher(8, config(1, 4))
        .within(Some(20_000))
        .search_watched(&questions, &mut |pulse| seen.push(pulse))
        .unwrap();
    let counts = |p: &SearchProgress| {
        [p.done as u64, p.nodes, p.tokens, p.cost.policy_tokens, p.cost.judged]
    };
    let grows = |one: &SearchProgress, next: &SearchProgress| {
        counts(one).into_iter().zip(counts(next)).all(|(before, after)| before <= after)
    };
    assert!(seen.is_sorted_by(grows));
    let last = seen.last().unwrap();
    assert!(seen.iter().any(|pulse| pulse.nodes * 2 < last.nodes && pulse.tokens > 0));
    assert_eq!((last.done, last.cost.policy_tokens), (10, watched.cost.policy_tokens));
    let (nodes, tokens) = watched.results.iter().fold((0, 0), |(nodes, tokens), searched| {
        (nodes + u64::from(searched.tree.tally().nodes), tokens + searched.tokens)
    });
    assert_eq!((last.nodes, last.tokens), (nodes, tokens));
}
