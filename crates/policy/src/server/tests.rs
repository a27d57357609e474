//! Tests of the client against fake servers of every style, healthy and failing.

mod adapters;
mod fake;
mod limits;
mod probe;
mod several;

use std::time::Duration;

use lm::{Prefixes, Sampling};
use serde_json::Value;

use super::*;
use crate::{Choice, Continuation, Policy, PolicyConfig, PromptFormat, StateRequest, Termination};
use fake::{Asked, Fake, LLAMA_CPP, Reply, SGLANG, STRICT, Style, VLLM};

const STYLES: [Style; 4] = [VLLM, SGLANG, LLAMA_CPP, STRICT];

fn sound(style: Style) -> Fake {
    Fake::start(style, |_, _, reply| reply)
}

/// A vLLM-style server that spoils the policy's completions; the probe's requests are answered correctly.
fn spoiled(spoil: impl Fn(usize, Reply) -> Reply + Send + Sync + 'static) -> Fake {
    let asked_before = AtomicUsize::new(0);
    Fake::start(VLLM, move |asked, _, reply| {
        let of_policy =
            asked.body["prompt"].as_str().is_some_and(|prompt| prompt.starts_with("Q:"));
        if of_policy { spoil(asked_before.fetch_add(1, Ordering::SeqCst), reply) } else { reply }
    })
}

fn config(termination: Termination) -> PolicyConfig {
    let format = PromptFormat {
        prefix: "Q: ".to_owned(),
        suffix: "\nA:".to_owned(),
        ..PromptFormat::default()
    };
    PolicyConfig {
        format,
        termination,
        answer_mark: "####".to_owned(),
        max_option_tokens: 6,
        max_solution_tokens: 9,
    }
}

fn policy(server: Server, termination: Termination) -> Policy {
    Policy::served(server, config(termination)).unwrap()
}

fn state(written: &str, sampling: Sampling, seed: u64) -> StateRequest<'static> {
    let (to_end, keep) = (false, false);
    let (question, written) = ("4 + 5?", written.to_owned());
    StateRequest { question, written, sampling, to_end, keep, excluded: Vec::new(), seed }
}

fn write(policy: &Policy, states: &[StateRequest<'_>]) -> Result<Vec<Continuation>, Error> {
    policy.write(states, &mut Prefixes::default())
}

fn greedy(written: &str) -> StateRequest<'static> {
    state(written, Sampling::Greedy, 0)
}

const SAMPLED: Sampling = Sampling::Temperature { temperature: 1.0 };

#[test]
fn every_style_of_server_gives_the_same_options() {
    for style in STYLES {
        let policy = policy(sound(style).connect(None).unwrap(), Termination::Line);
        let first = write(&policy, &[greedy("")]).unwrap().remove(0);
        assert_eq!(
            (first.text.as_str(), first.finish.name()),
            ("It is 4 + 5 = 9.\n", "termination"),
            "{style:?}"
        );
        let last = write(&policy, &[greedy(&first.text)]).unwrap().remove(0);
        assert_eq!(
            (last.text.as_str(), last.finish.name(), last.terminal),
            ("#### 9", "end", true),
            "{style:?}"
        );
        let whole = StateRequest { to_end: true, ..greedy("") };
        let whole = write(&policy, &[whole]).unwrap().remove(0);
        let parts: Vec<&str> = whole.parts.iter().map(|part| part.text.as_str()).collect();
        assert_eq!(parts, [first.text.as_str(), last.text.as_str()], "{style:?}");
        assert_eq!(whole.tokens, 7, "with the end");
        assert!((whole.logprob() - -3.5).abs() < 1e-6);
    }
}

/// A base model with few-shot examples continues with another problem after its answer. That text is cut off and not
/// graded.
#[test]
fn a_solution_is_over_at_its_answer_whatever_comes_after_it() {
    for style in STYLES {
        let server = || sound(Style { goes_on: true, ..style }).connect(None).unwrap();
        for (stop, limit, text) in [
            ("answer", 40, "It is 4 + 5 = 9.\n#### 9\n"),
            ("answer", 7, "It is 4 + 5 = 9.\n#### 9\n"),
            ("length", 6, "It is 4 + 5 = 9.\n"),
        ] {
            let config = PolicyConfig { max_solution_tokens: limit, ..config(Termination::Line) };
            let policy = Policy::served(server(), config).unwrap();
            let end = |state| StateRequest { to_end: true, ..state };
            let written = write(&policy, &[end(greedy("")), end(state("", SAMPLED, 8))]).unwrap();
            for (option, first) in written.iter().zip(["It is", "800"]) {
                let text = text.replace("It is", first);
                assert_eq!((&option.text, option.finish.name()), (&text, stop), "{style:?}");
                assert!(option.terminal && answer::grade(&option.text, "9") == (stop == "answer"));
                let tokens: usize = option.parts.iter().map(|part| part.drawn.ids.len()).sum();
                assert_eq!(tokens, if stop == "answer" { 7 } else { 4 }, "{style:?}");
                assert!((option.logprob() - -0.5 * tokens as f32).abs() < 1e-6);
                assert_eq!(option.texts().collect::<String>(), text);
            }
            let last = write(&policy, &[end(greedy("It is.\n"))]).unwrap().remove(0);
            assert_eq!(
                (last.text.as_str(), last.finish.name()),
                ("#### 9\n", "answer"),
                "{style:?}"
            );
        }
        let policy = policy(server(), Termination::Line);
        let option = write(&policy, &[greedy("It is.\n")]).unwrap().remove(0);
        assert_eq!(
            (option.text.as_str(), option.finish.name()),
            ("#### 9\n", "answer"),
            "{style:?}"
        );
    }
}

#[test]
fn options_go_on_and_end_by_the_same_rules_as_here() {
    let formula = policy(sound(VLLM).connect(None).unwrap(), Termination::Tokens(2));
    let option = write(&formula, &[greedy("")]).unwrap().remove(0);
    assert_eq!(
        (option.text.as_str(), option.finish.name(), option.tokens),
        ("It is 4 + 5 = 9", "termination", 2)
    );
    let cut = policy(sound(LLAMA_CPP).connect(None).unwrap(), Termination::Paragraph);
    let option = write(&cut, &[greedy("")]).unwrap().remove(0);
    assert_eq!(
        (option.text.as_str(), option.finish.name()),
        ("It is 4 + 5 = 9.\n#### 9", "length")
    );
    // llama.cpp does not say which of several stop strings it stopped at; other servers do.
    let sentence = policy(sound(SGLANG).connect(None).unwrap(), Termination::Sentence);
    assert_eq!(write(&sentence, &[greedy("")]).unwrap()[0].text, "It is 4 + 5 = 9.\n");
    let sentence = policy(sound(LLAMA_CPP).connect(None).unwrap(), Termination::Sentence);
    let error = write(&sentence, &[greedy("")]).unwrap_err().to_string();
    assert!(error.contains("does not say which of several"), "{error}");
}

#[test]
fn rows_of_one_state_are_one_request() {
    let fake = sound(VLLM);
    let policy = policy(fake.connect(None).unwrap(), Termination::Line);
    let before = fake.asked().len();
    let states = [
        greedy(""),
        state("", SAMPLED, 8),
        state("", SAMPLED, 9),
        greedy(""),
        state("Well.\n", SAMPLED, 10),
    ];
    let mut prefixes = Prefixes::default();
    let options = policy.write(&states, &mut prefixes).unwrap();
    let texts: Vec<&str> = options.iter().map(|option| option.text.as_str()).collect();
    let expected = ["It is", "800", "801", "It is"].map(|first| format!("{first} 4 + 5 = 9.\n"));
    assert_eq!(texts[..4], expected);
    assert_eq!(texts[4], "#### 9");
    let asked = fake.asked()[before..].to_vec();
    assert_eq!(asked.len(), 3);
    let mut counts: Vec<u64> =
        asked.iter().map(|asked| asked.body["n"].as_u64().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 2]);
    assert_eq!(prefixes.counts(), PrefixCounts { forwarded: 3 * 8, reused: 3 * 6, flops: 0 });
}

#[test]
fn as_many_requests_are_under_way_as_are_allowed() {
    let fake = spoiled(|_, sound| {
        std::thread::sleep(Duration::from_millis(50));
        sound
    });
    let policy = policy(fake.connect(None).unwrap(), Termination::Line);
    let states: Vec<_> = (0..6).map(|i| greedy(&format!("{i}"))).collect();
    assert_eq!(write(&policy, &states).unwrap().len(), 6);
    assert!(fake.most_at_once() <= 2, "{}", fake.most_at_once());
}

#[test]
fn settings_say_the_whole_distribution() {
    let fake = sound(VLLM);
    let policy = policy(fake.connect(None).unwrap(), Termination::Line);
    write(&policy, &[state("", Sampling::TopP { temperature: 0.5, p: 0.9 }, 3)]).unwrap();
    write(&policy, &[state("", Sampling::TopK { temperature: 2.0, k: 5 }, 3)]).unwrap();
    write(&policy, &[state("", SAMPLED, u64::MAX)]).unwrap();
    let [.., p, k, plain] = &fake.asked()[..] else { panic!("too few requests") };
    let of = |asked: &Asked, keys: &[&str]| {
        keys.iter().map(|key| asked.body[*key].clone()).collect::<Vec<Value>>()
    };
    let keys = ["temperature", "top_p", "top_k", "seed", "stop", "max_tokens"];
    let line = serde_json::json!(["\n"]);
    assert_eq!(
        of(p, &keys),
        [0.5.into(), 0.9.into(), (-1).into(), 3.into(), line.clone(), 6.into()]
    );
    assert_eq!(of(k, &keys), [2.0.into(), 1.0.into(), 5.into(), 3.into(), line.clone(), 6.into()]);
    let largest = i64::MAX.into();
    assert_eq!(of(plain, &keys), [1.0.into(), 1.0.into(), (-1).into(), largest, line, 6.into()]);
    let strict = sound(STRICT);
    let strict = self::policy(strict.connect(None).unwrap(), Termination::Line);
    let top_k = state("", Sampling::TopK { temperature: 2.0, k: 5 }, 3);
    assert!(write(&strict, &[top_k]).unwrap_err().to_string().contains("no `top_k`"));
}

/// A character that never ends is continued token by token, and no request may repeat the draws of another.
#[test]
fn every_continuation_has_a_seed_of_its_own() {
    let cut = r#"{"choices": [{"text": "\ufffd", "finish_reason": "length", "logprobs":
        {"tokens": ["\ufffd"], "token_logprobs": [-1]}}]}"#;
    for seed in [8, 9, u64::MAX] {
        let fake = spoiled(move |_, _| Reply::Whole(200, String::new(), cut.to_owned()));
        let policy = policy(fake.connect(None).unwrap(), Termination::Tokens(1));
        let before = fake.asked().len();
        let option = write(&policy, &[state("", SAMPLED, seed)]).unwrap().remove(0);
        assert_eq!(option.tokens, 6, "as many as an option may have");
        let asked = fake.asked()[before..].to_vec();
        let seeds: Vec<i64> = asked.iter().map(|one| one.body["seed"].as_i64().unwrap()).collect();
        let distinct: std::collections::BTreeSet<i64> = seeds.iter().copied().collect();
        assert_eq!((seeds.len(), distinct.len()), (6, 6), "{seeds:?}");
    }
}

/// Faulty responses, each with the error expected when it persists.
fn faults() -> Vec<(Reply, &'static str)> {
    let whole = |status, body: &str| Reply::Whole(status, String::new(), body.to_owned());
    let choice = |logprobs: &str| {
        let choice = r#"{"index": 0, "text": "It", "finish_reason": "stop", "logprobs": "#;
        whole(200, &format!("{{\"choices\": [{choice}{logprobs}}}]}}"))
    };
    vec![
        (
            Reply::Whole(429, "retry-after: 0\r\n".to_owned(), "slow down".to_owned()),
            "429: slow down",
        ),
        (whole(500, r#"{"error": {"message": "out of memory"}}"#), "status 500: out of memory"),
        (whole(503, ""), "status 503"),
        (Reply::Truncated("{\"choices\": [".to_owned()), "broke off"),
        (Reply::Nothing(Duration::ZERO), ""),
        (whole(200, "<html>busy</html>"), "not JSON"),
        (whole(200, r#"{"choices": [{"index": 0, "te"#), "not JSON"),
        (whole(200, r#"{"object": "list"}"#), "missing field `choices`"),
        (whole(200, r#"{"choices": []}"#), "0 completions of 1"),
        (choice(r#"{"tokens": ["It"], "token_logprobs": [NaN]}"#), "not JSON"),
        (choice(r#"{"tokens": ["It"], "token_logprobs": [null]}"#), "is null"),
        (choice(r#"{"tokens": ["It"], "token_logprobs": [2.5]}"#), "log-probability of 2.5"),
        (choice(r#"{"tokens": ["It"], "token_logprobs": []}"#), "without log-probabilities"),
        (choice(r#"{"content": [{"token": "It", "logprob": 1e999}]}"#), "not JSON"),
        (
            whole(200, r#"{"choices": [{"text": "", "finish_reason": "abort"}]}"#),
            "ended for `abort`",
        ),
        (choice(r#"{"tokens": [], "token_logprobs": []}"#), "are 0 of the 2 bytes"),
    ]
}

#[test]
fn faults_that_pass_are_waited_out() {
    for (fault, name) in faults() {
        let fake = spoiled(move |number, sound| if number < 2 { fault.clone() } else { sound });
        let policy = policy(fake.connect(None).unwrap(), Termination::Line);
        let option =
            write(&policy, &[greedy("")]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(option[0].text, "It is 4 + 5 = 9.\n", "{name}");
    }
}

#[test]
fn faults_that_stay_end_the_run_with_what_they_are() {
    for (fault, name) in faults() {
        let fake = spoiled(move |_, _| fault.clone());
        let policy = policy(fake.connect(None).unwrap(), Termination::Line);
        let before = fake.asked().len();
        let error = write(&policy, &[greedy("")]).unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{name}: {error:?}");
        let text = error.to_string();
        assert!(text.starts_with(&fake.address) && text.contains(name), "{name}: {text}");
        assert!(text.ends_with("(asked 3 times)"), "{text}");
        assert_eq!(fake.asked().len() - before, 3, "{name}");
    }
}

#[test]
fn a_server_is_left_alone_for_as_long_as_it_asks() {
    let busy = Reply::Whole(429, "retry-after: 1\r\n".to_owned(), String::new());
    let fake = spoiled(move |number, sound| if number < 1 { busy.clone() } else { sound });
    let policy = policy(fake.connect(None).unwrap(), Termination::Line);
    let begun = std::time::Instant::now();
    write(&policy, &[greedy("")]).unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "its own pauses are of milliseconds");
}

/// A server's metadata may be arbitrary JSON.
#[test]
fn a_server_that_claims_endless_work_is_believed_without_harm() {
    let endless = format!("{{\"prompt_tokens\": {}, \"completion_tokens\": 9}}", u64::MAX);
    let fake = spoiled(move |_, sound| match sound {
        Reply::Whole(status, header, body) => {
            let mut body: Value = serde_json::from_str(&body).unwrap();
            body["usage"] = serde_json::from_str(&endless).unwrap();
            Reply::Whole(status, header, body.to_string())
        }
        other => other,
    });
    let policy = policy(fake.connect(None).unwrap(), Termination::Line);
    let mut prefixes = Prefixes::default();
    for written in ["", "Well.\n"] {
        policy.write(&[greedy(written)], &mut prefixes).unwrap();
    }
    assert_eq!(prefixes.counts().forwarded, 2 * ((1 << 32) + 9));
}

#[test]
fn a_server_that_does_not_answer_in_time_is_asked_again() {
    let fake = spoiled(|number, sound| match number {
        0 => Reply::Nothing(Duration::from_secs(3)),
        _ => sound,
    });
    let policy = policy(fake.connect(None).unwrap(), Termination::Line);
    assert_eq!(write(&policy, &[greedy("")]).unwrap()[0].finish.name(), "termination");
}

#[test]
fn what_will_not_pass_is_said_at_once() {
    let whole = |status, body: &str| Reply::Whole(status, String::new(), body.to_owned());
    let long = r#"{"choices": [{"text": "abcdefg", "finish_reason": "length", "logprobs":
        {"tokens": ["a", "b", "c", "d", "e", "f", "g"], "token_logprobs": [-1, -1, -1, -1, -1, -1, -1]}}]}"#;
    let on = r#"{"choices": [{"text": "a\nb\n", "finish_reason": "length", "logprobs":
        {"tokens": ["a", "\n", "b", "\n"], "token_logprobs": [-1, -1, -1, -1]}}]}"#;
    let mute = r#"{"choices": [{"text": "It", "finish_reason": "stop"}]}"#;
    for (reply, expected) in [
        (whole(200, on), "ignores `stop`"),
        (whole(400, r#"{"message": "no such setting"}"#), "status 400: no such setting"),
        (whole(401, ""), "OPENAI_API_KEY"),
        (whole(404, "no such model"), "status 404: no such model"),
        (whole(200, long), "7 tokens where 6 were allowed"),
        (whole(200, mute), "no log-probabilities"),
    ] {
        let fake = spoiled(move |_, _| reply.clone());
        let policy = policy(fake.connect(None).unwrap(), Termination::Line);
        let before = fake.asked().len();
        let error = write(&policy, &[greedy("")]).unwrap_err();
        assert!(
            matches!(error, Error::Refused { .. }) && error.to_string().contains(expected),
            "{error}"
        );
        assert_eq!(fake.asked().len() - before, 1, "{expected}");
    }
}

/// One completion where two were requested is a fault.
#[test]
fn fewer_completions_than_were_asked_for_are_asked_for_again() {
    let fake = spoiled(|number, sound| match sound {
        Reply::Whole(status, header, body) if number < 1 => {
            let mut body: Value = serde_json::from_str(&body).unwrap();
            body["choices"].as_array_mut().unwrap().truncate(1);
            Reply::Whole(status, header, body.to_string())
        }
        other => other,
    });
    let policy = policy(fake.connect(None).unwrap(), Termination::Line);
    let before = fake.asked().len();
    let options = write(&policy, &[state("", SAMPLED, 8), state("", SAMPLED, 9)]).unwrap();
    let texts: Vec<&str> = options.iter().map(|option| option.text.as_str()).collect();
    assert_eq!(texts, ["800 4 + 5 = 9.\n", "801 4 + 5 = 9.\n"]);
    let counts: Vec<Value> =
        fake.asked()[before..].iter().map(|asked| asked.body["n"].clone()).collect();
    assert_eq!(counts, [2, 2]);
}

#[test]
fn the_key_is_sent_and_never_shown() {
    // A server may echo the key in its error message.
    let refused = Reply::Whole(401, String::new(), "no such key: sk-secret".to_owned());
    let fake = Fake::start(VLLM, move |_, number, reply| match number {
        0..12 => reply,
        _ => refused.clone(),
    });
    let server = fake.connect(Some("sk-secret")).unwrap();
    assert!(!format!("{server:?}").contains("secret"));
    let policy = policy(server, Termination::Line);
    let mut said = String::new();
    while said.is_empty() {
        if let Err(error) = write(&policy, &[greedy("")]) {
            said = format!("{error} {error:?} {policy:?}");
        }
    }
    assert!(!said.contains("secret") && said.contains("no such key: (hidden)"), "{said}");
    for address in ["http://user:secret@127.0.0.1:9/v1", "http://127.0.0.1:9/v1?key=secret"] {
        let refused = Server::connect(address, None, ServerOptions::default()).unwrap_err();
        let said = refused.to_string();
        assert!(said.starts_with("127.0.0.1:9: an address is written down"), "{said}");
    }
    let all = fake.asked();
    assert!(all.iter().all(|asked| asked.authorization.as_deref() == Some("Bearer sk-secret")));
}

#[test]
fn words_are_weighed_among_the_likeliest_tokens() {
    let share = 1.0 / (1.0 + (-1.0_f64).exp());
    for style in STYLES {
        let fake = sound(style);
        let policy = policy(fake.connect(None).unwrap(), Termination::Line);
        let choices =
            ["Is it?", "Is it not?"].map(|text| Choice { question: "", text: text.to_owned() });
        let choose = |yes, no| policy.choose(&choices, yes, no, &mut Prefixes::default()).unwrap();
        // The probability of an unlisted word is at most that of the least likely listed one.
        let least = if style.chat { -2.0_f64 } else { -3.0 };
        let bound = |shown: f64| shown.exp() / (shown.exp() + least.exp());
        for (yes, no, expected) in [
            (" True", " False", share),
            (" False", " True", 1.0 - share),
            (" True", "never", bound(-1.0)),
            ("never", " False", 1.0 - bound(-2.0)),
            ("never", "nor this", 0.5),
        ] {
            for found in choose(yes, no) {
                let near = (found.yes - expected).abs() < 1e-6;
                assert!(near, "{style:?} {yes}{no}: {found:?}, not {expected}");
                assert_eq!(found.told.is_some(), no == "nor this");
            }
        }
        assert_eq!(fake.asked().last().unwrap().body["logprobs"], 20);
    }
    sound(VLLM).connect(None).unwrap().require_likeliest().unwrap();
    let mute = r#"{"choices": [{"text": "It", "finish_reason": "stop", "logprobs": {"tokens": ["It"], "token_logprobs": [-1]}}]}"#;
    let silent = Fake::start(VLLM, move |asked, number, reply| match number {
        0..10 => reply,
        _ if asked.body["logprobs"] == 20 => Reply::Whole(200, String::new(), mute.to_owned()),
        _ => reply,
    });
    let error = silent.connect(None).unwrap().require_likeliest().unwrap_err();
    assert!(error.to_string().contains("no log-probabilities of other tokens"), "{error}");
    let fake = spoiled(move |_, _| Reply::Whole(200, String::new(), mute.to_owned()));
    let policy = policy(fake.connect(None).unwrap(), Termination::Line);
    let choice = Choice { question: "", text: "Q: Is it?".to_owned() };
    let error = policy.choose(&[choice], "a", "b", &mut Prefixes::default()).unwrap_err();
    assert!(error.to_string().contains("no log-probabilities of other tokens"), "{error}");
}

#[test]
fn what_only_a_model_here_can_do_is_refused() {
    let policy = policy(sound(VLLM).connect(None).unwrap(), Termination::Line);
    let error = policy.embed(&[("4 + 5?", String::new())], &mut Prefixes::default()).unwrap_err();
    assert!(error.to_string().contains("does not show hidden states"), "{error}");
    let chat = PromptFormat { chat: Some(crate::Chat::model()), ..PromptFormat::default() };
    let config = PolicyConfig { format: chat, ..config(Termination::Line) };
    let error = Policy::served(sound(VLLM).connect(None).unwrap(), config).unwrap_err();
    assert!(error.to_string().contains("give one in `policy.format.chat`"), "{error}");
}
