//! Inference: what a row gets depends on the row alone.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use lm::engine::{Engine, EngineOptions, GenerationRequest, ScoreRequest, Stop, StopReason};
use lm::{Checkpoint, Generation, ModelConfig, Sampling, Tokenizer, device};

const TEXT: &str = "Tom has 12 + 5 = 17 apples.\nHe buys 3 bags with 40 apples each.\n#### 137";

fn checkpoint(tied: bool) -> Checkpoint {
    with_heads(tied, &[])
}

fn with_heads(tied: bool, heads: &[&str]) -> Checkpoint {
    let special = ["<|bos|>", "<|eos|>", "<|pad|>"].map(str::to_owned);
    let tokenizer = Tokenizer::train([TEXT].into_iter(), 300, &special).unwrap();
    let config: ModelConfig = serde_json::from_value(serde_json::json!({
        "vocab_size": 304, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": tied, "bos_token_id": 0, "eos_token_id": 1,
        "scalar_heads": heads,
    }))
    .unwrap();
    Checkpoint::fresh(config, tokenizer, 11, &device::cpu()).unwrap()
}

fn engine(checkpoint: &Checkpoint, workers: usize, rows: usize) -> Engine {
    Engine::new(checkpoint, &device::cpu(), EngineOptions { workers, rows })
}

/// Rows of many lengths, all drawing from the model.
fn requests(count: usize) -> Vec<GenerationRequest> {
    (0..count)
        .map(|i| GenerationRequest {
            prompt: (0..=(i * 7 % 43) as u32).map(|t| 3 + (t * 13 + i as u32) % 290).collect(),
            sampling: Sampling::Temperature { temperature: 1.0 },
            stop: Stop { tokens: vec![1, 17, 31], strings: vec!["\n".to_owned()], max_new: 24 },
            seed: i as u64,
        })
        .collect()
}

fn bits(generations: &[Generation]) -> Vec<(Vec<u32>, u32)> {
    generations.iter().map(|g| (g.ids.clone(), g.logprob.to_bits())).collect()
}

#[test]
fn neither_batch_size_nor_workers_nor_the_other_rows_change_a_bit() {
    let checkpoint = checkpoint(true);
    let requests = requests(70);
    let whole = bits(&engine(&checkpoint, 1, 512).generate(&requests).unwrap());
    for (workers, rows) in [(1, 1), (1, 5), (2, 16), (3, 33)] {
        let again = engine(&checkpoint, workers, rows).generate(&requests).unwrap();
        assert_eq!(bits(&again), whole, "{workers} workers, batches of {rows}");
    }
    let alone = engine(&checkpoint, 1, 512);
    for (request, expected) in requests.iter().zip(&whole) {
        let one = alone.generate(std::slice::from_ref(request)).unwrap();
        assert_eq!(&bits(&one)[0], expected);
    }
}

#[test]
fn decoding_with_the_cache_agrees_with_reading_the_whole_row() {
    for tied in [true, false] {
        let checkpoint = checkpoint(tied);
        let engine = engine(&checkpoint, 1, 64);
        let requests = requests(20);
        for (request, generation) in requests.iter().zip(engine.generate(&requests).unwrap()) {
            let row = [request.prompt.as_slice(), &generation.ids].concat();
            let logits = engine.logits(&row).unwrap();
            let logprob: f32 = (request.prompt.len()..row.len())
                .map(|at| {
                    let scores = &logits[at - 1];
                    let highest = scores.iter().copied().fold(f32::MIN, f32::max);
                    let sum: f32 = scores.iter().map(|s| (s - highest).exp()).sum();
                    scores[row[at] as usize] - highest - sum.ln()
                })
                .sum();
            let off = (logprob - generation.logprob).abs();
            assert!(off < 1e-3, "off by {off} over {} tokens", generation.ids.len());
        }
    }
}

#[test]
fn a_later_token_changes_no_earlier_score() {
    let checkpoint = checkpoint(true);
    let engine = engine(&checkpoint, 1, 8);
    let row: Vec<u32> = (0..40).map(|t| 3 + t * 5 % 250).collect();
    let mut changed = row.clone();
    changed[30] = 299;
    let (before, after) = (engine.logits(&row).unwrap(), engine.logits(&changed).unwrap());
    assert_eq!(before[..30], after[..30]);
    assert_ne!(before[30..], after[30..]);
}

#[test]
fn each_way_of_stopping_stops() {
    let checkpoint = checkpoint(true);
    let engine = engine(&checkpoint, 2, 16);
    let generations = engine.generate(&requests(200)).unwrap();
    let tokenizer = engine.tokenizer();
    let mut seen = [0; 3];
    for generation in &generations {
        let text = tokenizer.decode(&generation.ids);
        let (last, before) = generation.ids.split_last().unwrap();
        assert!(before.iter().all(|id| ![1, 17, 31].contains(id)), "nothing follows a stop token");
        assert!(!tokenizer.decode(before).contains('\n'), "nothing follows a stop string");
        match generation.stop {
            StopReason::Token => assert!([1, 17, 31].contains(last)),
            StopReason::String => assert!(text.contains('\n')),
            StopReason::Length => assert_eq!(generation.ids.len(), 24),
        }
        seen[generation.stop as usize] += 1;
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}

#[test]
fn a_full_context_ends_a_row_and_a_longer_prompt_is_refused() {
    let checkpoint = checkpoint(true);
    let engine = engine(&checkpoint, 1, 8);
    let request = |length: usize| GenerationRequest {
        prompt: vec![5; length],
        sampling: Sampling::Greedy,
        stop: Stop { tokens: vec![], strings: vec![], max_new: 50 },
        seed: 0,
    };
    let full = engine.generate(&[request(120)]).unwrap();
    assert_eq!((full[0].ids.len(), full[0].stop), (8, StopReason::Length));
    let message = engine.generate(&[request(128)]).unwrap_err().to_string();
    assert!(message.contains("128 tokens exceeds the model's context of 128"), "{message}");
}

#[test]
fn scores_depend_on_the_row_alone_and_only_on_what_is_before() {
    let checkpoint = with_heads(true, &["value", "orm"]);
    let message = engine(&self::checkpoint(true), 1, 8)
        .score(&[ScoreRequest { ids: vec![3], at: vec![0] }])
        .unwrap_err()
        .to_string();
    assert!(message.contains("no scalar heads"));
    let request = |i: usize| {
        let ids: Vec<u32> = (0..=(i * 5 % 60) as u32).map(|t| 3 + (t * 11) % 280).collect();
        let at = vec![0, ids.len() - 1];
        ScoreRequest { ids, at }
    };
    let requests: Vec<_> = (0..50).map(request).collect();
    let whole = engine(&checkpoint, 1, 512).score(&requests).unwrap();
    assert_eq!(engine(&checkpoint, 3, 7).score(&requests).unwrap(), whole);
    for scores in &whole {
        assert_eq!(scores.len(), 2);
        assert_eq!(scores[0], whole[0][0], "all rows begin with the same token");
    }
    assert_ne!(whole[1][1], whole[2][1], "and end with another");
}
