//! Untrained models for the decoder tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use critic::{Critic, CriticConfig, Marks};
use decoding::{SearchConfig, Searcher};
use lm::engine::EngineOptions;
use lm::{Checkpoint, Engine, Precision, Tokenizer, device};
use policy::{Policy, PolicyConfig, PromptFormat, Termination};

pub(crate) const QUESTIONS: [&str; 3] =
    ["How many apples?", "Tom has 12 + 5 = 17 apples.", "He buys 3 bags of 40."];

fn checkpoint(heads: &[&str], context: usize) -> Checkpoint {
    let special = ["<|bos|>", "<|eos|>", "<|answer|>", "<|mark|>"].map(str::to_owned);
    let tokenizer = Tokenizer::train(QUESTIONS.into_iter(), 300, &special).unwrap();
    let model = serde_json::from_value(serde_json::json!({
        "scalar_heads": heads,
        "model_type": "llama", "vocab_size": 300, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": context, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 1,
    }));
    Checkpoint::fresh(model.unwrap(), tokenizer, 5, &device::cpu()).unwrap()
}

/// Options of 3 tokens, solutions of 12: an untrained model hardly ever ends a solution by itself.
pub(crate) fn searcher(rows: usize, config: SearchConfig) -> Searcher {
    searcher_with(&["value", "prm", "orm"], rows, config)
}

/// The same with only some of the critics' heads.
pub(crate) fn searcher_with(heads: &[&str], rows: usize, config: SearchConfig) -> Searcher {
    searcher_within([256; 3], heads, rows, config)
}

/// The same with context lengths for policy, fast policy and critic, in tokens.
pub(crate) fn searcher_within(
    [policy, fast, critic]: [usize; 3],
    heads: &[&str],
    rows: usize,
    config: SearchConfig,
) -> Searcher {
    let options = EngineOptions { workers: 1, rows };
    let engine = |heads: &[&str], context| {
        Arc::new(Engine::new(
            &checkpoint(heads, context),
            &[device::cpu()],
            Precision::F32,
            options,
        ))
    };
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
    let all = engine(heads, critic);
    let told = CriticConfig { option: marks(), solution: marks(), words: BTreeMap::new() };
    let critic = Critic::new(vec![all], &text.format, &told).unwrap();
    let written =
        [policy, fast].map(|context| Policy::new(engine(&[], context), text.clone()).unwrap());
    Searcher::new(written.map(Arc::new), critic, config).unwrap()
}

/// Settings for a tree that grows along `rollouts` rollouts of each node.
pub(crate) fn config(rollouts: u32, max_depth: u32) -> SearchConfig {
    let sampling = serde_json::json!({ "temperature": { "temperature": 1.0 } });
    serde_json::from_value(serde_json::json!({
        "option_sampling": sampling, "rollout_sampling": sampling, "completion_sampling": "greedy",
        "rollouts_by": "policy_grown", "rollouts_are_candidates": true, "vote_likelihood": 0.25,
        "mcts": {
            "selection": "uct", "exploration": 1.0, "root": "selection", "alpha": 0.0,
            "root_width": { "min": 2, "max": 2 }, "width": { "min": 2, "max": 2 },
            "max_depth": max_depth, "released": { "importance": "total" },
            "merge": { "distinct": { "least_mass": 0.001 } },
            "weights": { "value": 1.0, "prm": 1.0, "orm": 1.0 }, "rollouts": rollouts,
            "budget": { "simulations": 24 }, "root_wave": false, "in_flight": 1,
        },
    }))
    .unwrap()
}
