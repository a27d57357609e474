//! Tests the padded tensors of other devices, on the CPU.

use super::*;
use crate::Sampling;
use crate::inference::PaddedDecoder;
use crate::tensors::HostTensor;

/// The CPU engine and one with padded tensors, for a model with the given scalar heads.
fn both(heads: &[&str]) -> [Engine; 2] {
    engines(&checkpoint(heads))
}

fn engines(checkpoint: &Checkpoint) -> [Engine; 2] {
    let device = device::cpu();
    let options = EngineOptions { workers: 2, rows: 7 };
    let padded = Inference::Padded(Box::new(PaddedDecoder::new(checkpoint, &device)));
    let (config, tokenizer) = (checkpoint.config.clone(), checkpoint.tokenizer.clone());
    [
        Engine::new(checkpoint, &[device], Precision::F32, options),
        Engine::of(config, tokenizer, vec![padded.clone(), padded], options, Team::alone()),
    ]
}

fn checkpoint(heads: &[&str]) -> Checkpoint {
    let special = ["<|bos|>", "<|eos|>"].map(str::to_owned);
    let tokenizer = Tokenizer::train(["12 + 5 = 17 apples"].into_iter(), 270, &special).unwrap();
    let config: ModelConfig = serde_json::from_value(serde_json::json!({
        "model_type": "llama", "vocab_size": 272, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": heads.is_empty(), "scalar_heads": heads,
    }))
    .unwrap();
    Checkpoint::fresh(config, tokenizer, 5, &device::cpu()).unwrap()
}

/// Weights that are finite but make the scores overflow.
#[test]
fn scores_that_are_no_numbers_are_an_error() {
    let checkpoint = checkpoint(&["value"]);
    let model = crate::weights::replace(checkpoint.model.clone(), |name, shape| {
        // Signs without a pattern, so that some sum overflows.
        let sign =
            |i: usize| if (i.wrapping_mul(2_654_435_761) >> 16) & 1 == 0 { 3e38 } else { -3e38 };
        let count: usize = shape.iter().product();
        let data = (0..count).map(sign).collect();
        (name == "lm_head.weight").then(|| HostTensor { shape: shape.to_vec(), data })
    });
    for engine in engines(&Checkpoint { model, ..checkpoint }) {
        let request = |sampling| GenerationRequest {
            prompt: ids(5, 1),
            sampling,
            stop: Stop { tokens: vec![], strings: vec![], until: None, max_new: 3 },
            excluded: vec![],
            seed: 1,
            scope: 0,
            keep: false,
        };
        for sampling in [Sampling::Greedy, Sampling::TopP { temperature: 1.0, p: 0.9 }] {
            let written = engine.generate(&[request(sampling)], &mut Prefixes::default());
            assert!(matches!(written, Err(Error::NotFinite)), "{written:?}");
        }
        assert!(matches!(engine.logits(&ids(5, 1)), Err(Error::NotFinite)));
        let row = EmbedRequest { ids: ids(5, 1), scope: 0 };
        let next = engine.next_token(&[row], &[3], &mut Prefixes::default());
        assert!(matches!(next, Err(Error::NotFinite)), "{next:?}");
    }
}

fn ids(length: usize, seed: usize) -> Vec<u32> {
    (0..length).map(|t| (3 + (t * 13 + seed) % 250) as u32).collect()
}

/// Three waves of rows, each continuing from the one before, with only some rows kept in the cache.
fn written(engine: &Engine, sampling: Sampling) -> Vec<Generation> {
    let mut prefixes = Prefixes::default();
    let request = |i: usize| GenerationRequest {
        prompt: ids(1 + i * 7 % 40, i % 5),
        sampling,
        stop: Stop { tokens: vec![17], strings: vec![], until: None, max_new: 3 + i % 40 },
        excluded: vec![],
        seed: i as u64,
        scope: i as u64 % 5,
        keep: !i.is_multiple_of(3),
    };
    let mut wave: Vec<GenerationRequest> = (0..30).map(request).collect();
    let mut all = Vec::new();
    for _ in 0..3 {
        let written = engine.generate(&wave, &mut prefixes).unwrap();
        for (request, written) in wave.iter_mut().zip(&written) {
            request.prompt.extend(&written.drawn.ids);
        }
        all.extend(written);
    }
    all
}

#[test]
fn padded_tensors_write_what_the_cpu_writes() {
    let sampling = Sampling::Temperature { temperature: 1.0 };
    let [cpu, padded] = both(&[]).map(|engine| written(&engine, sampling));
    for (cpu, padded) in cpu.iter().zip(&padded) {
        assert_eq!((&cpu.drawn.ids, cpu.stop), (&padded.drawn.ids, padded.stop));
        assert!((cpu.drawn.logprob() - padded.drawn.logprob()).abs() < 1e-3);
    }
}

/// A row alone has room for a draft, and a model without training repeats itself, so most drafts are right. Among thirty rows
/// there is no room for any.
#[test]
fn drafts_do_not_change_a_bit() {
    let checkpoint = checkpoint(&[]);
    for sampling in [Sampling::Greedy, Sampling::Temperature { temperature: 0.2 }] {
        let [alone, together] = [1, 64].map(|rows| {
            let options = EngineOptions { workers: 1, rows };
            let engine = Engine::new(&checkpoint, &[device::cpu()], Precision::F32, options);
            written(&engine, sampling)
        });
        assert_eq!(alone, together);
    }
}

#[test]
fn padded_tensors_read_what_the_cpu_reads() {
    let read = |engine: &Engine| {
        let mut prefixes = Prefixes::default();
        let request = |i: usize| {
            let ids = ids(2 + i * 11 % 90, i % 3);
            let at = vec![0, ids.len() - 1];
            ScoreRequest { keep: ids.len() / 2, ids, at, scope: i as u64 % 3 }
        };
        let requests: Vec<ScoreRequest> = (0..40).map(request).collect();
        let first = engine.score(&requests[..20], &mut prefixes).unwrap();
        let scores = [first, engine.score(&requests, &mut prefixes).unwrap()].concat();
        let logits = engine.logits(&requests[7].ids).unwrap();
        scores.concat().concat().into_iter().chain(logits.concat()).collect::<Vec<f32>>()
    };
    let [cpu, padded] = both(&["value", "orm"]).map(|engine| read(&engine));
    assert_eq!(cpu.len(), padded.len());
    assert!(cpu.iter().zip(&padded).all(|(a, b)| (a - b).abs() < 1e-4));
}
