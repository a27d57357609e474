//! Searches with models that know nothing, where trees grow along rollouts: what is drawn, what is paid, what counts.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use critic::{Critic, CriticConfig, Marks};
use decoding::{Origin, Question, RolloutsBy, SearchConfig, Searched, Searcher};
use lm::engine::EngineOptions;
use lm::{Checkpoint, Engine, Tokenizer, device};
use policy::{Policy, PolicyConfig, PromptFormat, Termination};

const QUESTIONS: [&str; 3] =
    ["How many apples?", "Tom has 12 + 5 = 17 apples.", "He buys 3 bags of 40."];

fn checkpoint(heads: &[&str]) -> Checkpoint {
    let special = ["<|bos|>", "<|eos|>", "<|answer|>", "<|mark|>"].map(str::to_owned);
    let tokenizer = Tokenizer::train(QUESTIONS.into_iter(), 300, &special).unwrap();
    let model = serde_json::from_value(serde_json::json!({
        "vocab_size": 300, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 1,
    }));
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let checkpoint = Checkpoint::fresh(model.unwrap(), tokenizer, 5, &device::cpu()).unwrap();
    checkpoint.with_scalar_heads(&heads, &device::cpu()).unwrap()
}

/// Options of three tokens, solutions of twelve: a model that knows nothing hardly ever ends one.
fn searcher(rows: usize, config: SearchConfig) -> Searcher {
    let options = EngineOptions { workers: 1, rows };
    let engine = |heads: &[&str]| Engine::new(&checkpoint(heads), &device::cpu(), options);
    let text = PolicyConfig {
        format: PromptFormat {
            prefix: "<|bos|>".to_owned(),
            suffix: "<|answer|>".to_owned(),
            ..PromptFormat::default()
        },
        termination: Termination::Tokens(3),
        answer_mark: "####".to_owned(),
        max_option_tokens: 12,
        max_solution_tokens: 12,
    };
    let mark = || "<|mark|>".to_owned();
    let marks = || Marks { holds: mark(), fails: mark(), nothing: mark() };
    let all = engine(&["value", "prm", "orm"]);
    let told = CriticConfig { option: marks(), solution: marks(), words: BTreeMap::new() };
    let critic = Critic::new(vec![all], &text.format, &told).unwrap();
    let policy = || Policy::new(engine(&[]), text.clone()).unwrap();
    Searcher::new([policy(), policy()].map(Arc::new), critic, config).unwrap()
}

fn config(rollouts: u32, max_depth: u32) -> SearchConfig {
    let sampling = serde_json::json!({ "temperature": { "temperature": 1.0 } });
    serde_json::from_value(serde_json::json!({
        "option_sampling": sampling, "rollout_sampling": sampling, "completion_sampling": "greedy",
        "rollouts_by": "policy_grown", "rollouts_are_candidates": true, "vote_likelihood": 0.25,
        "mcts": {
            "selection": "uct", "exploration": 1.0, "root": "selection", "alpha": 0.0,
            "growth": { "plus_one": true, "may_shrink": false },
            "root_width": { "min": 2, "max": 2 }, "width": { "min": 2, "max": 2 },
            "max_depth": max_depth, "importance": "total",
            "merge": { "distinct": { "least_mass": 0.001 } },
            "weights": { "value": 1.0, "prm": 1.0, "orm": 1.0 }, "rollouts": rollouts,
            "prm_aggregation": "latest", "greedy_first_child": true, "stop_when_exhausted": true,
            "budget": { "simulations": 24 }, "root_wave": false, "in_flight": 1,
        },
    }))
    .unwrap()
}

fn search(rows: usize, config: SearchConfig) -> Vec<Searched> {
    let question = |(seed, text)| Question { id: "a", text, seed };
    let questions: Vec<Question<'_>> = (0..).zip(QUESTIONS).map(question).collect();
    searcher(rows, config).search(&questions).unwrap().found
}

#[test]
fn a_rollout_is_paid_once_and_a_solution_counts_once() {
    for (rollouts, max_depth) in [(1, 9), (2, 9), (2, 2)] {
        for searched in search(64, config(rollouts, max_depth)) {
            let tree = &searched.tree;
            let completions = searched.solved.iter().filter(|one| one.origin == Origin::Completed);
            let completed: u64 = completions.map(|one| u64::from(one.cost)).sum();
            assert_eq!(searched.tokens, tree.tally().tokens + completed);
            let options: Vec<_> =
                tree.nodes().filter_map(|(_, node)| Some((node, node.action.as_ref()?))).collect();
            let at_hand = options.iter().filter(|(_, action)| action.cost == 0).count();
            // The rest of a rollout that was cut is no solution.
            assert_eq!(at_hand > 0, max_depth > 2, "{at_hand} of {}", options.len());
            assert!(at_hand < options.len());
            let open = options.iter().filter(|(node, _)| !node.terminal);
            assert!(open.into_iter().all(|(node, _)| node.rollouts == rollouts));
            let mut texts = BTreeSet::new();
            assert!(searched.solved.iter().all(|one| texts.insert(&one.text)), "{texts:?}");
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

#[test]
fn there_must_be_rollouts_to_grow_along() {
    let mut none = config(0, 9);
    let message = none.validate().unwrap_err().to_string();
    assert!(message.contains("rollouts_by"), "{message}");
    none.rollouts_by = RolloutsBy::Policy;
    none.validate().unwrap();
}

/// What a search found, to compare.
fn told(searched: &[Searched]) -> Vec<String> {
    searched.iter().map(|s| format!("{:?} {:?} {}", s.solved, s.picks, s.tokens)).collect()
}

#[test]
fn a_limit_on_memory_makes_trees_read_again_and_changes_nothing() {
    let question = |seed| Question { id: "a", text: QUESTIONS[seed as usize % 3], seed };
    let questions: Vec<Question<'_>> = (0..10).map(question).collect();
    let free = searcher(8, config(1, 4)).search(&questions).unwrap();
    let tight = searcher(8, config(1, 4)).within(Some(20_000)).search(&questions).unwrap();
    assert_eq!(told(&tight.found), told(&free.found));
    assert!(free.cost.evicted == 0 && tight.cost.evicted > 0, "{:?}", tight.cost);
    assert!(tight.cost.kept_bytes < free.cost.kept_bytes, "{:?} {:?}", tight.cost, free.cost);
    assert!(tight.cost.policy_tokens > free.cost.policy_tokens);
}
