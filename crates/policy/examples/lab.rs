use lm::engine::EngineOptions;
use lm::train::*;
use lm::*;
use policy::*;
use std::time::Instant;
use task::world::*;
fn env(k: &str, d: f64) -> f64 {
    std::env::var(k).ok().and_then(|v| v.parse().ok()).unwrap_or(d)
}
fn cfg() -> PolicyConfig {
    PolicyConfig {
        format: PromptFormat { prefix: "<|bos|>".into(), suffix: "<|answer|>".into() },
        termination: Termination::Line,
        answer_mark: "####".into(),
        max_option_tokens: 48,
        max_solution_tokens: 160,
    }
}
fn acc(c: &Checkpoint, ps: &[Problem], w: usize) -> (f64, f64) {
    let e = Engine::new(c, &device::cpu(), EngineOptions { workers: w, rows: 128 });
    let p = Policy::new(e, cfg()).unwrap();
    let rq: Vec<_> = ps
        .iter()
        .map(|x| StateRequest {
            question: &x.question,
            written: String::new(),
            sampling: Sampling::Greedy,
            to_end: true,
            seed: 0,
        })
        .collect();
    let o = p.write(&rq).unwrap();
    let ok = o.iter().zip(ps).filter(|(o, p)| task::grade(&o.text, &p.answer.to_string())).count();
    let calc = o.iter().filter(|o| task::verdict(&o.text) == task::Finding::Holds).count();
    if env("SHOW", 0.0) > 0.0 {
        for (o, p) in o.iter().zip(ps).take(6) {
            println!("Q {}\nT {}\nA {}\n", p.question, p.solution(), o.text);
        }
    }
    (ok as f64 / ps.len() as f64, calc as f64 / ps.len() as f64)
}
fn main() {
    let w = env("W", 1.0) as usize;
    let (d, l, f, h, v) =
        (env("D", 128.0), env("L", 4.0), env("F", 344.0), env("H", 4.0), env("V", 900.0));
    let mix = CorpusMix {
        arithmetic: env("NA", 60000.0) as usize,
        stories: env("NS", 14000.0) as usize,
        questions: env("NQ", 8000.0) as usize,
    };
    let t = Instant::now();
    let docs = corpus(mix, 1);
    println!("corpus {} in {:?}", docs.len(), t.elapsed());
    let sp = [
        "<|bos|>",
        "<|eos|>",
        "<|pad|>",
        "<|answer|>",
        "<|holds|>",
        "<|fails|>",
        "<|nothing|>",
        "<|verified|>",
        "<|refuted|>",
        "<|unverified|>",
    ]
    .map(str::to_owned);
    let out = std::env::var("OUT").unwrap_or("/tmp/lab".into());
    let dir = std::path::PathBuf::from(&out);
    let pre_cfg = |epochs: f64, lr: f64, bt: usize, ve: usize, pat: usize| TrainConfig {
        epochs,
        learning_rate: lr,
        final_share: 0.05,
        warmup_share: 0.05,
        decay: Decay::Linear,
        weight_decay: 0.05,
        beta_1: 0.9,
        beta_2: 0.98,
        clip_norm: 1.0,
        batch_tokens: bt,
        micro_batches: 2,
        validate_every: ve,
        patience: pat,
        save_every: 1_000_000,
    };
    let run = |c: &Checkpoint,
               ex: &[Example],
               va: &[Example],
               tc: &TrainConfig,
               every: usize|
     -> Checkpoint {
        let tr = Training {
            checkpoint: c,
            examples: ex,
            validation: va,
            config: tc,
            updates: None,
            seed: 0,
            workers: w,
        };
        let (t, mut tok, mut ema) = (Instant::now(), 0, 0.0);
        let o = tr.run::<Error>(&device::cpu(), None, &mut |e| { match e {
            Event::Update { update, total, loss, tokens, norm, .. } => { tok += tokens; ema = if update == 1 { loss } else { 0.98 * ema + 0.02 * loss }; if update % every == 0 { println!("  {update}/{total} loss {ema:.3} norm {norm:.2} tok {tok} {:.0} tok/s", tok as f64 / t.elapsed().as_secs_f64()); } }
            Event::Validated { update, loss, best } => println!("  val {update} {loss:.4} {best}"), _ => {} } Ok(()) }).unwrap();
        println!(
            "  -> updates {} best {} loss {:?} {:?}",
            o.updates,
            o.best_update,
            o.best_loss,
            t.elapsed()
        );
        Checkpoint { model: o.model, ..c.clone() }
    };
    let base = if dir.join("config.json").exists() {
        Checkpoint::load(&dir, &device::cpu()).unwrap()
    } else {
        let tk = Tokenizer::train(docs.iter().map(|x| x.1.as_str()), v as usize, &sp).unwrap();
        let vs = tk.len().next_multiple_of(16);
        let mut rows: Vec<Vec<u32>> = vec![];
        let mut cur: Vec<u32> = vec![];
        for (_, t) in &docs {
            let mut x = vec![0];
            x.extend(tk.encode(t).unwrap());
            x.push(1);
            if cur.len() + x.len() > 160 && !cur.is_empty() {
                rows.push(std::mem::take(&mut cur));
            }
            cur.extend(x);
        }
        rows.push(cur);
        println!(
            "vocab {vs} rows {} tokens {}",
            rows.len(),
            rows.iter().map(Vec::len).sum::<usize>()
        );
        let mc: ModelConfig = serde_json::from_value(serde_json::json!({"vocab_size": vs, "hidden_size": d as usize, "intermediate_size": f as usize, "num_hidden_layers": l as usize, "num_attention_heads": h as usize, "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2})).unwrap();
        let c = Checkpoint::fresh(mc, tk, 1, &device::cpu()).unwrap();
        let ex: Vec<Example> = rows
            .into_iter()
            .map(|ids| Example { ids, targets_from: Some(1), heads: vec![], weight: 1.0 })
            .collect();
        let c = run(&c, &ex, &[], &pre_cfg(env("PE", 2.0), env("PLR", 3e-3), 2048, 0, 0), 200);
        std::fs::create_dir_all(&dir).unwrap();
        for (n, b) in c.files().unwrap() {
            std::fs::write(dir.join(n), b).unwrap();
        }
        c
    };
    let ex = |ps: &[Problem]| -> Vec<Example> {
        ps.iter()
            .map(|p| {
                let pr = base.tokenizer.encode(&cfg().format.render(&p.question, "")).unwrap();
                let n = pr.len();
                let mut ids = pr;
                ids.extend(base.tokenizer.encode(&(p.solution() + "<|eos|>")).unwrap());
                Example { ids, targets_from: Some(n), heads: vec![], weight: 1.0 }
            })
            .collect()
    };
    let (seeds, val, test) = (
        draw_many(Split::Seeds, env("NSEED", 1500.0) as usize, 1),
        draw_many(Split::Validation, 300, 1),
        draw_many(Split::Test, 500, 1),
    );
    let (ot, oc) = (draw_many(Split::OodTemplates, 300, 1), draw_many(Split::OodChains, 300, 1));
    let (sx, vx) = (ex(&seeds), ex(&val));
    println!(
        "templates {} seed tokens {} mean {:.0}",
        TEMPLATES.len(),
        sx.iter().map(|e| e.ids.len()).sum::<usize>(),
        sx.iter().map(|e| e.ids.len()).sum::<usize>() as f64 / sx.len() as f64
    );
    let c = run(
        &base,
        &sx,
        &vx,
        &pre_cfg(
            env("E", 9.0),
            env("LR", 2e-3),
            env("BT", 1024.0) as usize,
            50,
            env("PAT", 0.0) as usize,
        ),
        200,
    );
    let sd = dir.join("sft");
    std::fs::create_dir_all(&sd).unwrap();
    for (n, b) in c.files().unwrap() {
        std::fs::write(sd.join(n), b).unwrap();
    }
    let t = Instant::now();
    println!(
        "seeds {:?} val {:?} test {:?} ood-t {:?} ood-c {:?} in {:?}",
        acc(&c, &seeds[..300], w),
        acc(&c, &val, w),
        acc(&c, &test, w),
        acc(&c, &ot, w),
        acc(&c, &oc, w),
        t.elapsed()
    );
}
