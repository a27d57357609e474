//! Tests of critics in words, with a local model and behind a server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use lm::engine::EngineOptions;
use lm::train::{TrainConfig, Training};
use lm::{Checkpoint, Engine, Precision, device};
use policy::{PolicyConfig, PromptFormat, Server, ServerOptions, Termination};

use super::*;
use crate::Critic;
use crate::encode::tests::{config as marks, tokenizer};

fn config() -> CriticConfig {
    let words = |template: &str| Words {
        template: template.to_owned(),
        yes: "<|option-holds|>".to_owned(),
        no: "<|option-fails|>".to_owned(),
    };
    let all = [
        (Head::Value, "{question}|{solution}: "),
        (Head::Prm, "{before}|{option}{finding}: "),
        (Head::Orm, "{question}|{solution}{finding}! "),
    ];
    let words = all.map(|(head, text)| (head, words(text))).into();
    CriticConfig { words, ..marks() }
}

fn options(sum: &str) -> Vec<String> {
    ["Tom has 2 + 3 = 5.\n".to_owned(), format!("#### {sum}")].into()
}

fn solution(sum: &str, finished: bool) -> Solution<'static> {
    Solution { question: "How many?", options: options(sum), finished, branch: 0 }
}

fn checkpoint() -> Checkpoint {
    let model = serde_json::json!({
        "model_type": "llama", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 1,
    });
    let model = serde_json::from_value(model).unwrap();
    Checkpoint::fresh(model, tokenizer(), 1, &device::cpu()).unwrap()
}

fn policy(checkpoint: &Checkpoint) -> Arc<Policy> {
    let options = EngineOptions { workers: 1, rows: 8 };
    let engine = Engine::new(checkpoint, &[device::cpu()], Precision::F32, options);
    let config = PolicyConfig {
        format: PromptFormat::default(),
        termination: Termination::Line,
        answer_mark: "####".to_owned(),
        max_option_tokens: 8,
        max_solution_tokens: 8,
    };
    Arc::new(Policy::new(Arc::new(engine), config).unwrap())
}

fn critic(checkpoint: &Checkpoint, heads: &[Head]) -> Result<Critic, Error> {
    critic_of(checkpoint, heads, &config())
}

fn critic_of(
    checkpoint: &Checkpoint,
    heads: &[Head],
    config: &CriticConfig,
) -> Result<Critic, Error> {
    let critic = Critic::new(Vec::new(), &PromptFormat::default(), config)?;
    critic.with_words(policy(checkpoint), heads)
}

#[test]
fn every_head_is_asked_where_it_has_something_to_say() {
    let reader_of = |finished| {
        let (config, solution) = (config(), solution("5", finished));
        let texts = |head: Head| -> Vec<String> {
            let places = CriticConfig::places(head, &solution).into_iter();
            let text = |(count, _)| config.asked(&config.words[&head], &solution, count);
            places.map(text).collect()
        };
        Head::ALL.map(texts)
    };
    let [value, process, outcome] = reader_of(true);
    let line = "Tom has 2 + 3 = 5.\n";
    let whole = format!("How many?|{line}#### 5");
    assert_eq!(
        value,
        ["How many?|: ".to_owned(), format!("How many?|{line}: "), format!("{whole}: ")]
    );
    let last = format!("{line}|#### 5<|solution-holds|>: ");
    assert_eq!(process, [format!("|{line}<|option-holds|>: "), last]);
    assert_eq!(outcome, [format!("{whole}<|solution-holds|>! ")]);
    let [_, process, outcome] = reader_of(false);
    assert_eq!(process[1], format!("{line}|#### 5<|option-nothing|>: "));
    assert!(outcome.is_empty(), "there is none before the end");
}

#[test]
fn heads_that_read_one_text_have_answers_of_their_own() {
    let mut config = config();
    let Words { template, yes, no } = config.words[&Head::Value].clone();
    config.words.insert(Head::Orm, Words { template, yes: no, no: yes });
    let critic = critic_of(&checkpoint(), &[Head::Value, Head::Orm], &config).unwrap();
    let scores = critic.score(&[solution("5", true)], &mut critic.memory()).unwrap();
    let (value, outcome) = (scores[0].values[1], scores[0].outcome.unwrap());
    assert!((value + outcome - 1.0).abs() < 1e-5, "{value} {outcome}");
}

#[test]
fn what_was_said_once_is_not_asked_again() {
    let critic = critic(&checkpoint(), &[Head::Value, Head::Orm]).unwrap();
    let mut memory = critic.memory();
    let solutions = [solution("5", true), solution("5", true)];
    let first = critic.score(&solutions, &mut memory).unwrap();
    assert_eq!(first[0], first[1]);
    assert_eq!((first[0].values.len(), first[0].process.len()), (2, 0));
    assert!(first[0].outcome.is_some());
    let read = memory.counts();
    assert_eq!(critic.score(&solutions[..1], &mut memory).unwrap()[0], first[0]);
    assert_eq!(memory.counts(), read);
    memory.forget(scope_of("How many?"));
    assert_eq!(memory.bytes(), 0);
    assert_eq!(critic.score(&solutions[..1], &mut memory).unwrap()[0], first[0]);
    assert!(memory.counts().forwarded > read.forwarded, "it was read again");
}

#[test]
fn words_are_learned_in_the_shares_of_their_targets() {
    let checkpoint = checkpoint();
    let (right, wrong) = (options("5"), options("6"));
    let labelled = |options, values, outcome| Labelled {
        question: "How many?",
        options,
        root: 0.25,
        values,
        process: values,
        outcome,
        weight: 1.0,
    };
    let rows = [labelled(&right, &[0.5, 1.0], 1.0), labelled(&wrong, &[0.5, 0.0], 0.0)];
    let heads = [Head::Value, Head::Orm];
    let rows = examples(&rows, &heads, &config(), &checkpoint.tokenizer).unwrap();
    let train = TrainConfig {
        final_share: 0.1,
        warmup_share: 0.1,
        clip_norm: 1.0,
        ..TrainConfig::plain(80.0, 1e-2)
    };
    let training = Training {
        checkpoint: &checkpoint,
        examples: &rows,
        preferences: None,
        validation: &[],
        config: &train,
        updates: None,
        seed: 0,
        workers: 1,
    };
    let learned = training.run::<Error>(&[device::cpu()], None, &mut |_| Ok(())).unwrap();
    let learned = Checkpoint { model: learned.model, ..checkpoint };
    let critic = critic(&learned, &[Head::Value, Head::Orm]).unwrap();
    let solutions = [solution("5", true), solution("6", true)];
    let scores = critic.score(&solutions, &mut critic.memory()).unwrap();
    let near = |found: f32, target: f32| assert!((found - target).abs() < 0.1, "{scores:?}");
    for (scores, outcome) in scores.iter().zip([1.0, 0.0]) {
        near(scores.root, 0.25);
        near(scores.values[0], 0.5);
        near(scores.values[1], outcome);
        near(scores.outcome.unwrap(), outcome);
    }
}

/// A policy behind a fake server that always lists the same likeliest tokens.
fn served(likeliest: [&str; 2]) -> Arc<Policy> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    let [first, second] = likeliest;
    let choice = serde_json::json!({"text": "x", "finish_reason": "length", "logprobs": {"tokens": ["x"],
        "token_logprobs": [-0.1], "top_logprobs": [{first: -0.5, second: -1.5}]}});
    let body = serde_json::json!({"data": [{"id": "m"}], "choices": vec![choice; 8]}).to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut reader, mut length) = (BufReader::new(&stream), 0);
            for line in
                reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty())
            {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let head = format!(
                "HTTP/1.1 200 x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all([head, body.clone()].concat().as_bytes()).ok();
        }
    });
    let server = Server::connect(&address, None, ServerOptions::default()).unwrap();
    let model = policy(&checkpoint());
    Arc::new(Policy::served(server, model.config().clone()).unwrap())
}

/// A word that is never listed carries no information, so the critic is refused.
#[test]
fn a_served_critic_that_shows_neither_word_is_refused() {
    let critic = |words: [&str; 2]| {
        let critic = Critic::new(Vec::new(), &PromptFormat::default(), &config())?;
        critic.with_words(served(words), &[Head::Orm])
    };
    let message = critic([" The", "\n"]).unwrap_err().to_string();
    let named = message.contains("[critic.words.orm]: neither `<|option-holds|>` nor");
    assert!(named && message.contains(r#"" The", "\n""#), "{message}");
    let critic = critic(["<|option-fails|>", " The"]).unwrap();
    let scores = critic.score(&[solution("5", true)], &mut critic.memory()).unwrap();
    let outcome = scores[0].outcome.unwrap();
    let shown = [-0.5_f32, -1.5].map(f32::exp);
    let left = 1.0 - shown[0] - shown[1];
    assert!((outcome - left / (left + shown[0])).abs() < 1e-5, "bounded, not 0: {outcome}");
}

#[test]
fn a_text_names_tokens_that_the_model_has() {
    let mut strange = config();
    strange.words.get_mut(&Head::Orm).unwrap().template = "<|im_start|>{solution}".to_owned();
    let error = critic_of(&checkpoint(), &[Head::Orm], &strange).unwrap_err().to_string();
    assert!(error.contains("`critic.words.orm.template`: `<|im_start|>` is no token"), "{error}");
}

#[test]
fn heads_that_cannot_be_asked_are_refused() {
    let message = |error: Result<Critic, Error>| error.unwrap_err().to_string();
    let twice = critic(&checkpoint(), &[Head::Orm]).unwrap();
    let reader = |critic: Critic| critic.with_words(policy(&checkpoint()), &[Head::Orm]);
    assert!(message(reader(twice)).contains("two of the critic's models have a `orm` head"));
    let silent = Critic::new(Vec::new(), &PromptFormat::default(), &marks()).unwrap();
    assert!(message(reader(silent)).contains("[critic.words.orm]"));
    let mut strange = serde_json::to_value(config()).unwrap();
    strange["words"]["reward"] = strange["words"]["orm"].clone();
    let error = serde_json::from_value::<CriticConfig>(strange).unwrap_err().to_string();
    assert!(
        error.contains("unknown variant `reward`, expected one of `orm`, `prm`, `value`"),
        "{error}"
    );
}

#[test]
fn a_text_that_the_context_does_not_hold_is_worth_nothing() {
    let critic = critic(&checkpoint(), &[Head::Value, Head::Orm]).unwrap();
    let (tokens, context) = critic.taken("How many?").unwrap().unwrap();
    assert!(tokens > 1 && tokens < context && context == 128);
    let mut long = solution("5", true);
    long.options.insert(1, "2 + 3 = 5 apples. ".repeat(40));
    let mut memory = critic.memory();
    let scores = critic.score(&[long, solution("5", true)], &mut memory).unwrap();
    assert_eq!((scores[0].values[1..].to_vec(), scores[0].outcome), (vec![0.0; 2], Some(0.0)));
    assert_eq!(scores[0].values[..1], scores[1].values[..1], "read as far as it goes");
    assert_eq!((scores[0].root, memory.cut()), (scores[1].root, 1));
}
