//! Prints trained and decoded tokens a second of a small model on this machine:
//! `cargo run --release -p lm --example speed -- [workers]`.
use std::time::Instant;

use lm::engine::{EngineOptions, GenerationRequest, Stop};
use lm::train::{Decay, Event, Example, TrainConfig, Training};
use lm::{Checkpoint, Engine, Error, ModelConfig, Sampling, Tokenizer, device};

fn main() -> Result<(), Error> {
    let workers = std::env::args().nth(1).and_then(|w| w.parse().ok()).unwrap_or(1);
    let text: String =
        (0..400).map(|i| format!("w{i} has {i} + {i} = {} apples.\n", 2 * i)).collect();
    let special = ["<|bos|>", "<|eos|>"].map(str::to_owned);
    let tokenizer = Tokenizer::train([text.as_str()].into_iter(), 800, &special)?;
    let config: ModelConfig = serde_json::from_value(serde_json::json!({
        "vocab_size": 800, "hidden_size": 128, "intermediate_size": 344, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 1,
    }))
    .expect("the configuration is well formed");
    let checkpoint = Checkpoint::fresh(config, tokenizer, 1, &device::cpu())?;
    let row = |i: usize| Example {
        ids: (0..80 + i % 30).map(|t| ((t * 17 + i) % 700) as u32 + 3).collect(),
        targets_from: Some(1),
        heads: vec![],
        weight: 1.0,
    };
    let examples: Vec<Example> = (0..600).map(row).collect();
    let train = TrainConfig {
        epochs: 1.0,
        learning_rate: 1e-3,
        final_share: 0.1,
        warmup_share: 0.1,
        decay: Decay::Cosine,
        weight_decay: 0.05,
        beta_1: 0.9,
        beta_2: 0.98,
        clip_norm: 1.0,
        batch_tokens: 2048,
        micro_batches: 2,
        validate_every: 0,
        patience: 0,
        save_every: 1000,
    };
    let training = Training {
        checkpoint: &checkpoint,
        examples: &examples,
        validation: &[],
        config: &train,
        updates: None,
        seed: 0,
        workers,
    };
    let (start, mut trained) = (Instant::now(), 0);
    training.run::<Error>(&device::cpu(), None, &mut |event| {
        if let Event::Update { tokens, .. } = event {
            trained += tokens;
        }
        Ok(())
    })?;
    println!("train: {:.0} tokens/s", trained as f64 / start.elapsed().as_secs_f64());
    for rows in [64, 256] {
        let engine = Engine::new(&checkpoint, &device::cpu(), EngineOptions { workers, rows });
        let request = |i: usize| GenerationRequest {
            prompt: (0..40 + i % 40).map(|t| ((t * 13 + i) % 700) as u32 + 3).collect(),
            sampling: Sampling::Temperature { temperature: 1.0 },
            stop: Stop { tokens: vec![], strings: vec![], max_new: 16 },
            seed: i as u64,
        };
        let requests: Vec<_> = (0..1024).map(request).collect();
        let start = Instant::now();
        let new: usize = engine.generate(&requests)?.iter().map(|g| g.ids.len()).sum();
        let seconds = start.elapsed().as_secs_f64();
        let read: usize = requests.iter().map(|r| r.prompt.len()).sum();
        println!(
            "batch {rows}: {:.0} new tokens/s, {:.0} with the prompts",
            new as f64 / seconds,
            (new + read) as f64 / seconds
        );
    }
    Ok(())
}
