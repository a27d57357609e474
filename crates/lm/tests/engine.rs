//! Inference: a row's result depends on that row alone.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use lm::engine::{
    EmbedRequest, Engine, EngineOptions, GenerationRequest, ScoreRequest, Stop, StopReason, Until,
};
use lm::{
    Checkpoint, Drawn, Generation, ModelConfig, Precision, Prefixes, Sampling, Tokenizer, device,
};

const TEXT: &str = "Tom has 12 + 5 = 17 apples.\nHe buys 3 bags with 40 apples each.\n#### 137";

fn checkpoint(tied: bool) -> Checkpoint {
    with_heads(tied, &[])
}

fn with_heads(tied: bool, heads: &[&str]) -> Checkpoint {
    let special = ["<|bos|>", "<|eos|>", "<|pad|>"].map(str::to_owned);
    let tokenizer = Tokenizer::train([TEXT].into_iter(), 300, &special).unwrap();
    let config: ModelConfig = serde_json::from_value(serde_json::json!({
        "model_type": "llama", "vocab_size": 304, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": tied, "bos_token_id": 0, "eos_token_id": 1,
        "scalar_heads": heads,
    }))
    .unwrap();
    Checkpoint::fresh(config, tokenizer, 11, &device::cpu()).unwrap()
}

fn engine(checkpoint: &Checkpoint, workers: usize, rows: usize) -> Engine {
    Engine::new(checkpoint, &[device::cpu()], Precision::F32, EngineOptions { workers, rows })
}

/// Rows of many lengths, all sampling at temperature 1.
fn requests(count: usize) -> Vec<GenerationRequest> {
    (0..count)
        .map(|i| GenerationRequest {
            prompt: (0..=(i * 7 % 43) as u32).map(|t| 3 + (t * 13 + i as u32) % 290).collect(),
            sampling: Sampling::Temperature { temperature: 1.0 },
            stop: Stop {
                tokens: vec![1, 17, 31],
                strings: vec!["\n".to_owned()],
                until: None,
                max_new: 24,
            },
            excluded: vec![],
            seed: i as u64,
            scope: i as u64,
            keep: i % 2 == 0,
        })
        .collect()
}

fn bits(generations: &[Generation]) -> Vec<(Vec<u32>, u32)> {
    generations.iter().map(|g| (g.drawn.ids.clone(), g.drawn.logprob().to_bits())).collect()
}

#[test]
fn neither_batch_size_nor_workers_nor_the_other_rows_change_a_bit() {
    let checkpoint = checkpoint(true);
    let requests = requests(70);
    let whole =
        bits(&engine(&checkpoint, 1, 512).generate(&requests, &mut Prefixes::default()).unwrap());
    for (workers, rows) in [(1, 1), (1, 5), (2, 16), (3, 33)] {
        let again = engine(&checkpoint, workers, rows)
            .generate(&requests, &mut Prefixes::default())
            .unwrap();
        assert_eq!(bits(&again), whole, "{workers} workers, batches of {rows}");
    }
    let alone = engine(&checkpoint, 1, 512);
    for (request, expected) in requests.iter().zip(&whole) {
        let one = alone.generate(std::slice::from_ref(request), &mut Prefixes::default()).unwrap();
        assert_eq!(&bits(&one)[0], expected);
    }
}

/// Checks that a generation's log-probability agrees with that of reading the whole row at once.
fn assert_read_alike(engine: &Engine, request: &GenerationRequest, generation: &Generation) {
    let row = [request.prompt.as_slice(), &generation.drawn.ids].concat();
    let logits = engine.logits(&row).unwrap();
    let logprob: f32 = (request.prompt.len()..row.len())
        .map(|at| {
            let scores = &logits[at - 1];
            let highest = scores.iter().copied().fold(f32::MIN, f32::max);
            let sum: f32 = scores.iter().map(|s| (s - highest).exp()).sum();
            scores[row[at] as usize] - highest - sum.ln()
        })
        .sum();
    let off = (logprob - generation.drawn.logprob()).abs();
    assert!(off < 1e-3, "off by {off} over {} tokens", generation.drawn.ids.len());
}

#[test]
fn decoding_with_the_cache_agrees_with_reading_the_whole_row() {
    for tied in [true, false] {
        let checkpoint = checkpoint(tied);
        let engine = engine(&checkpoint, 1, 64);
        let requests = requests(20);
        for (request, generation) in
            requests.iter().zip(engine.generate(&requests, &mut Prefixes::default()).unwrap())
        {
            assert_read_alike(&engine, request, &generation);
        }
    }
}

/// Rows in three scopes. Those of a scope share a long prefix and differ at the end.
fn long_requests() -> Vec<GenerationRequest> {
    let common = |scope: u32| (0..150 + 17 * scope).map(move |t| 3 + (t * 11 + scope) % 290);
    let of_scope = |scope: u32| {
        requests(5).into_iter().zip(0..).map(move |(request, i)| GenerationRequest {
            prompt: common(scope).chain((0..i % 4).map(|t| 40 + t * 7 + i)).chain([77]).collect(),
            seed: u64::from(scope * 100 + i),
            scope: u64::from(scope),
            ..request
        })
    };
    (0..3).flat_map(of_scope).collect()
}

/// A shared prefix is read once for all of its rows, whichever rows of other scopes are in the batch, and however few.
#[test]
fn rows_with_long_beginnings_get_the_same_bits_in_any_batch() {
    let checkpoint = checkpoint(true);
    let requests = long_requests();
    let generate = |workers, rows, requests: &[GenerationRequest]| {
        engine(&checkpoint, workers, rows).generate(requests, &mut Prefixes::default()).unwrap()
    };
    let whole = generate(1, 512, &requests);
    for (workers, rows) in [(1, 1), (1, 4), (2, 16)] {
        assert_eq!(bits(&generate(workers, rows, &requests)), bits(&whole), "batches of {rows}");
    }
    for (scope, expected) in requests.chunks(5).zip(whole.chunks(5)) {
        assert_eq!(bits(&generate(1, 512, scope)), bits(expected));
    }
    for (request, generation) in requests.iter().zip(&whole) {
        assert_read_alike(&engine(&checkpoint, 1, 64), request, generation);
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
    let generations = engine.generate(&requests(200), &mut Prefixes::default()).unwrap();
    let tokenizer = engine.tokenizer();
    let mut seen = [0; 3];
    for generation in &generations {
        let text = tokenizer.decode(&generation.drawn.ids);
        let (last, before) = generation.drawn.ids.split_last().unwrap();
        assert!(before.iter().all(|id| ![1, 17, 31].contains(id)), "nothing follows a stop token");
        assert!(!tokenizer.decode(before).contains('\n'), "nothing follows a stop string");
        match generation.stop {
            StopReason::Token => assert!([1, 17, 31].contains(last)),
            StopReason::String => assert!(text.contains('\n')),
            StopReason::Length => assert_eq!(generation.drawn.ids.len(), 24),
        }
        seen[generation.stop as usize] += 1;
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}

/// Excludes every first token but one, and after that one every second token but one.
#[test]
fn what_was_drawn_is_not_drawn_again() {
    let checkpoint = checkpoint(true);
    let engine = engine(&checkpoint, 1, 8);
    let all = 0..checkpoint.config.vocab_size as u32;
    let but = |left: u32| all.clone().filter(move |&id| id != left);
    let single = |id| Drawn { ids: vec![id], logprobs: vec![-5.0] };
    let pair = |id| Drawn { ids: vec![7, id], logprobs: vec![-5.0, -9.0] };
    let excluded: Vec<Drawn> = but(7).map(single).chain(but(9).map(pair)).collect();
    let request = GenerationRequest {
        stop: Stop { tokens: vec![], strings: vec![], until: None, max_new: 2 },
        excluded,
        ..requests(3).remove(2)
    };
    let drawn = engine.generate(&[request], &mut Prefixes::default()).unwrap().remove(0).drawn;
    assert_eq!(drawn.ids, [7, 9]);
    assert!(drawn.logprob() < -2.0, "the model's own: {drawn:?}");
}

#[test]
fn a_row_ends_where_its_text_is_at_its_end() {
    let checkpoint = checkpoint(true);
    let engine = engine(&checkpoint, 1, 8);
    let text = |ids: &[u32]| checkpoint.tokenizer.decode(ids).len();
    let free = GenerationRequest {
        stop: Stop { tokens: vec![], strings: vec![], until: None, max_new: 24 },
        ..requests(3).remove(2)
    };
    let until = Until::new(|text: &[u8]| text.len() >= 6);
    let told = GenerationRequest {
        stop: Stop { until: Some(until), ..free.stop.clone() },
        ..free.clone()
    };
    let written = engine.generate(&[free, told], &mut Prefixes::default()).unwrap();
    let [whole, cut] = &written[..] else { panic!("{written:?}") };
    assert_eq!((whole.stop, cut.stop), (StopReason::Length, StopReason::String));
    assert!(whole.drawn.ids.starts_with(&cut.drawn.ids), "nothing else changes");
    let (all, but_last) = (&cut.drawn.ids[..], &cut.drawn.ids[..cut.drawn.ids.len() - 1]);
    assert!(text(all) >= 6 && text(but_last) < 6, "at once");
}

#[test]
fn a_full_context_ends_a_row_and_a_longer_prompt_is_refused() {
    let checkpoint = checkpoint(true);
    let engine = engine(&checkpoint, 1, 8);
    let request = |length: usize| GenerationRequest {
        prompt: vec![5; length],
        sampling: Sampling::Greedy,
        stop: Stop { tokens: vec![], strings: vec![], until: None, max_new: 50 },
        excluded: vec![],
        seed: 0,
        scope: 0,
        keep: false,
    };
    let full = engine.generate(&[request(504)], &mut Prefixes::default()).unwrap();
    assert_eq!((full[0].drawn.ids.len(), full[0].stop), (8, StopReason::Length));
    let message =
        engine.generate(&[request(512)], &mut Prefixes::default()).unwrap_err().to_string();
    assert!(message.contains("512 tokens exceeds the model's context of 512"), "{message}");
}

#[test]
fn scores_depend_on_the_row_alone_and_only_on_what_is_before() {
    let checkpoint = with_heads(true, &["value", "orm"]);
    let message = engine(&self::checkpoint(true), 1, 8)
        .score(
            &[ScoreRequest { ids: vec![3], at: vec![0], scope: 0, keep: 0 }],
            &mut Prefixes::default(),
        )
        .unwrap_err()
        .to_string();
    assert!(message.contains("no scalar heads"));
    let request = |i: usize| {
        let ids: Vec<u32> = (0..=(i * 5 % 60) as u32).map(|t| 3 + (t * 11) % 280).collect();
        let at = vec![0, ids.len() - 1];
        ScoreRequest { ids, at, scope: i as u64, keep: 0 }
    };
    let requests: Vec<_> = (0..50).map(request).collect();
    let whole = engine(&checkpoint, 1, 512).score(&requests, &mut Prefixes::default()).unwrap();
    assert_eq!(
        engine(&checkpoint, 3, 7).score(&requests, &mut Prefixes::default()).unwrap(),
        whole
    );
    for scores in &whole {
        assert_eq!(scores.len(), 2);
        assert_eq!(scores[0], whole[0][0], "all rows begin with the same token");
    }
    assert_ne!(whole[1][1], whole[2][1], "and end with another");
}

/// Three levels of a search tree in four scopes: a question, options after it, and options after those.
fn tree(
    engine: &Engine,
    shared: bool,
) -> (Vec<Generation>, Vec<GenerationRequest>, lm::prefix::PrefixCounts) {
    let mut prefixes = Prefixes::default();
    let mut level: Vec<GenerationRequest> = requests(12)
        .into_iter()
        .map(|r| GenerationRequest {
            prompt: (0..30).map(|t| 3 + (t * 13 + r.seed as u32 % 4) % 290).collect(),
            stop: Stop {
                tokens: vec![],
                strings: vec![],
                until: None,
                max_new: 3 + r.seed as usize % 5,
            },
            scope: r.seed % 4,
            keep: true,
            ..r
        })
        .collect();
    let (mut generations, mut requests) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let written = engine.generate(&level, &mut prefixes).unwrap();
        let next = level.iter().zip(&written).map(|(r, g)| GenerationRequest {
            prompt: [r.prompt.as_slice(), &g.drawn.ids].concat(),
            seed: r.seed + 100,
            ..r.clone()
        });
        let next = next.collect();
        generations.extend(written);
        requests.extend(std::mem::replace(&mut level, next));
        if !shared {
            prefixes = Prefixes::default();
        }
    }
    (generations, requests, prefixes.counts())
}

#[test]
fn what_is_read_once_is_as_good_as_read_again() {
    let checkpoint = checkpoint(true);
    let engine = engine(&checkpoint, 2, 8);
    let (shared, requests, counts) = tree(&engine, true);
    let (alone, ..) = tree(&engine, false);
    assert_eq!(bits(&shared), bits(&alone));
    // Four questions: 29 of their 30 tokens are read once, the last one by every option. Every generated token is then
    // fed once, the last one of an option by its continuations.
    let written: usize = shared.iter().map(|g| g.drawn.ids.len()).sum();
    assert_eq!(counts.forwarded as usize, 4 * 29 + written);
    let (config, logits) = (&checkpoint.config, written as u64);
    let flops = counts.forwarded * config.layer_flops() + logits * config.logit_flops();
    assert_eq!(counts.flops, flops, "the logits of what is written alone are needed");
    assert_eq!(requests.len(), 36);
    let other = self::engine(&checkpoint, 1, 512);
    assert_eq!(bits(&tree(&other, true).0), bits(&shared), "in other batches");
}

#[test]
fn scores_of_a_branch_agree_with_reading_it_alone() {
    let checkpoint = with_heads(true, &["value", "orm"]);
    let engine = engine(&checkpoint, 2, 8);
    let row = |branch: u32, length: usize, keep: usize| {
        let ids: Vec<u32> =
            (0..length as u32).map(|t| 3 + (t * 11 + u32::from(t > 20) * branch) % 280).collect();
        ScoreRequest { at: vec![0, 10, length - 1], ids, scope: 0, keep }
    };
    let mut prefixes = Prefixes::default();
    let mut seen = Vec::new();
    let waves = [vec![row(1, 30, 30), row(2, 25, 25)], vec![row(1, 45, 0), row(2, 40, 33)]];
    let again = vec![row(2, 33, 0), row(2, 40, 0), row(2, 40, 0)];
    for wave in waves.iter().chain([&again]) {
        for (request, scores) in wave.iter().zip(engine.score(wave, &mut prefixes).unwrap()) {
            let cold = std::slice::from_ref(request);
            let cold = engine.score(cold, &mut Prefixes::default()).unwrap().remove(0);
            assert_eq!(scores, cold, "what was read before changes no bit");
            seen.push(scores);
        }
    }
    assert_eq!(seen[5], seen[6], "equal rows are read once");
    // Forwarded: the common prefix of the first two rows, the rest of each, the new tokens of the longer rows, and for
    // the last three rows the tokens that were not kept.
    let counts = prefixes.counts();
    assert_eq!(counts.forwarded, 21 + 9 + 4 + 15 + 15 + 7);
    let all: usize = waves.iter().flatten().chain(&again).map(|r| r.ids.len()).sum();
    assert_eq!(counts.forwarded + counts.reused, all as u64);
}

#[test]
fn next_tokens_are_those_of_the_whole_row_whatever_was_read_before() {
    let checkpoint = checkpoint(true);
    let engine = engine(&checkpoint, 2, 16);
    let row = |length: u32| (0..length).map(|t| 3 + (t * 13) % 290).collect::<Vec<u32>>();
    let rows: Vec<EmbedRequest> =
        [1, 7, 16, 17, 60].map(|length| EmbedRequest { ids: row(length), scope: 5 }).into();
    let tokens = [4, 9, 200];
    let mut prefixes = Prefixes::default();
    let first = engine.next_token(&rows, &tokens, &mut prefixes).unwrap();
    let again = engine.next_token(&rows, &tokens, &mut prefixes).unwrap();
    for ((row, first), again) in rows.iter().zip(&first).zip(&again) {
        let logits = engine.logits(&row.ids).unwrap().pop().unwrap();
        let sum: f32 = logits.iter().map(|x| x.exp()).sum();
        for (i, &token) in tokens.iter().enumerate() {
            let expected = logits[token as usize].exp() / sum;
            assert!((first[i] - expected).abs() < 1e-5, "{} is not {expected}", first[i]);
            assert!((again[i] - expected).abs() < 1e-5, "{} is not {expected}", again[i]);
        }
    }
    let hidden = engine.embed(&rows, &mut prefixes).unwrap();
    assert!(hidden.iter().all(|state| state.len() == 64));
    assert!(engine.next_token(&[], &tokens, &mut prefixes).unwrap().is_empty());
}

/// Callers on several threads are served together, and each gets what it would get alone.
#[test]
fn callers_at_the_same_time_get_what_they_get_alone() {
    let checkpoint = with_heads(true, &["value"]);
    let engine = engine(&checkpoint, 2, 5);
    let write = |requests: &[GenerationRequest]| {
        bits(&engine.generate(requests, &mut Prefixes::default()).unwrap())
    };
    let read = |seed: u32| {
        let ids: Vec<u32> = (0..40 + seed).map(|t| 3 + (t * 13 + seed) % 290).collect();
        let request = ScoreRequest { at: vec![0, ids.len() - 1], keep: 9, ids, scope: 1 };
        engine.score(&[request], &mut Prefixes::default()).unwrap().concat().concat()
    };
    let all = requests(24);
    let alone: Vec<_> = all.chunks(3).map(write).collect();
    let read_alone: Vec<Vec<f32>> = (0..8).map(read).collect();
    std::thread::scope(|scope| {
        let write = &write;
        let written: Vec<_> =
            all.chunks(3).map(|requests| scope.spawn(move || write(requests))).collect();
        let scores: Vec<_> = (0..8).map(|seed| scope.spawn(move || read(seed))).collect();
        for (written, alone) in written.into_iter().zip(&alone) {
            assert_eq!(&written.join().unwrap(), alone);
        }
        for (scores, alone) in scores.into_iter().zip(&read_alone) {
            assert_eq!(&scores.join().unwrap(), alone);
        }
    });
}

/// A shared beginning is read once, whoever asks for it, and changes no result.
#[test]
fn what_all_rows_begin_with_is_read_once_for_all_callers() {
    let checkpoint = checkpoint(true);
    let engine = engine(&checkpoint, 2, 8);
    let shared: Vec<u32> = (0..30).map(|t| 3 + t * 7 % 290).collect();
    let request = || GenerationRequest {
        prompt: [shared.as_slice(), &[5, 6, 7]].concat(),
        ..requests(1).remove(0)
    };
    let alone = bits(&engine.generate(&[request()], &mut Prefixes::default()).unwrap());
    let mut forwarded = Vec::new();
    for _ in 0..2 {
        let mut prefixes = Prefixes::default();
        engine.read_shared(&shared, &mut prefixes);
        assert_eq!(bits(&engine.generate(&[request()], &mut prefixes).unwrap()), alone);
        forwarded.push(prefixes.counts().forwarded);
    }
    assert_eq!(forwarded[0], forwarded[1] + 30);
}

/// Writes a checkpoint to a directory and loads it for inference.
fn loaded(checkpoint: &Checkpoint, precision: Precision, workers: usize) -> Engine {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in checkpoint.files().unwrap() {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let options = EngineOptions { workers, rows: 8 };
    Engine::load(dir.path(), &[device::cpu()], precision, options).unwrap()
}

#[test]
fn a_model_from_files_is_the_one_in_memory() {
    for tied in [true, false] {
        let checkpoint = checkpoint(tied);
        let [memory, files] = [engine(&checkpoint, 1, 8), loaded(&checkpoint, Precision::F32, 1)]
            .map(|engine| engine.logits(&[3, 5, 7, 11]).unwrap().concat());
        assert_eq!(memory, files);
    }
}

/// In bfloat16, the bits do not depend on workers or on other rows either, and the logits are near those of f32.
#[test]
fn rounded_weights_give_the_same_bits_for_every_batch_and_nearly_the_same_logits() {
    let checkpoint = checkpoint(true);
    let write = |workers, chunk| {
        let engine = loaded(&checkpoint, Precision::Bf16, workers);
        let written = requests(20);
        let written = written
            .chunks(chunk)
            .map(|requests| bits(&engine.generate(requests, &mut Prefixes::default()).unwrap()));
        written.collect::<Vec<_>>().concat()
    };
    let alone = write(1, 1);
    assert_eq!(write(2, 20), alone);
    assert_eq!(write(3, 7), alone);
    let logits = |precision| {
        let engine = loaded(&checkpoint, precision, 1);
        engine.logits(&[3, 5, 7, 11, 200]).unwrap().concat()
    };
    let (exact, rounded) = (logits(Precision::F32), logits(Precision::Bf16));
    let largest = exact.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let worst = exact.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst > 0.0 && worst < 0.03 * largest, "{worst} of {largest}");
}

/// A model too large for the caches, whose products the threads share.
#[test]
fn threads_that_share_a_large_model_change_no_bit() {
    let small = checkpoint(true);
    let config = ModelConfig {
        num_hidden_layers: 1,
        // Three matrices of 64 times this are 80 MB.
        intermediate_size: 104_000,
        ..small.config
    };
    let large = Checkpoint::fresh(config, small.tokenizer, 3, &device::cpu()).unwrap();
    let write = |workers| {
        let engine = engine(&large, workers, 6);
        let mut prefixes = Prefixes::default();
        let written = bits(&engine.generate(&requests(16), &mut prefixes).unwrap());
        // Rows that continue from what is cached.
        let mut more = requests(16);
        for (request, (ids, _)) in more.iter_mut().zip(&written) {
            request.prompt.extend(ids);
        }
        (written, bits(&engine.generate(&more, &mut prefixes).unwrap()))
    };
    assert_eq!(write(3), write(1));
}
