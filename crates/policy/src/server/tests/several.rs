//! Tests of several servers with one model.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lm::{Prefixes, Sampling};

use super::fake::{Asked, Fake, Reply, VLLM};
use super::{config, sound};
use crate::{Error, Policy, Servers, StateRequest, Termination};

const QUESTIONS: [&str; 8] = ["1?", "2?", "3?", "4?", "5?", "6?", "7?", "8?"];

/// A server that answers until it is told to fail, and how to tell it.
fn mortal() -> (Fake, Arc<AtomicBool>) {
    let dead = Arc::new(AtomicBool::new(false));
    let told = dead.clone();
    let fake = Fake::start(VLLM, move |_, _, reply| {
        if told.load(Ordering::SeqCst) {
            return Reply::Whole(503, String::new(), "out of order".to_owned());
        }
        reply
    });
    (fake, dead)
}

fn policy(fakes: &[&Fake]) -> Policy {
    let servers = fakes.iter().map(|fake| fake.connect(None).unwrap()).collect();
    Policy::served(Servers::join(servers).unwrap(), config(Termination::Line)).unwrap()
}

/// Asks all questions at once for a greedy option, and returns the texts.
fn write(policy: &Policy) -> Result<Vec<String>, Error> {
    let states = QUESTIONS.map(|question| StateRequest {
        question,
        written: String::new(),
        sampling: Sampling::Greedy,
        to_end: false,
        keep: false,
        excluded: Vec::new(),
        seed: 0,
    });
    let written = policy.write(&states, &mut Prefixes::default())?;
    Ok(written.into_iter().map(|option| option.text).collect())
}

/// The questions that a server was asked, after its first `skipped` requests, and their sessions.
fn asked(fake: &Fake, skipped: usize) -> BTreeSet<(String, String)> {
    let of = |asked: Asked| {
        let prompt = asked.body["prompt"].as_str()?.strip_prefix("Q: ")?.to_owned();
        Some((prompt, asked.session?))
    };
    fake.asked().into_iter().skip(skipped).filter_map(of).collect()
}

#[test]
fn a_question_stays_on_its_server_and_goes_to_another_one_when_that_dies() {
    let ((one, dead), other) = (mortal(), sound(VLLM));
    let policy = policy(&[&one, &other]);
    let texts = write(&policy).unwrap();
    assert_eq!(texts, vec!["It is 4 + 5 = 9.\n"; QUESTIONS.len()]);
    let (of_one, of_other) = (asked(&one, 0), asked(&other, 0));
    assert!(!of_one.is_empty() && !of_other.is_empty(), "both have some");
    assert_eq!(of_one.len() + of_other.len(), QUESTIONS.len(), "and none is on both");
    let sessions: BTreeSet<&String> = of_one.iter().chain(&of_other).map(|(_, s)| s).collect();
    assert_eq!(sessions.len(), QUESTIONS.len(), "each has a session of its own");

    let before = other.asked().len();
    write(&policy).unwrap();
    assert_eq!(asked(&other, before), of_other);

    dead.store(true, Ordering::SeqCst);
    let before = other.asked().len();
    assert_eq!(write(&policy).unwrap(), texts);
    assert_eq!(asked(&other, before).len(), QUESTIONS.len(), "the other one has them all");
    let before = one.asked().len();
    assert_eq!(write(&policy).unwrap(), texts);
    assert_eq!(one.asked().len(), before, "it is left alone for a while");
}

#[test]
fn nothing_is_made_up_when_no_server_answers() {
    let ((one, first), (other, second)) = (mortal(), mortal());
    let policy = policy(&[&one, &other]);
    first.store(true, Ordering::SeqCst);
    second.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        assert!(matches!(write(&policy), Err(Error::Unavailable { .. })));
    }
    // One of them is back, and is asked as soon as it is known that no other one answers.
    first.store(false, Ordering::SeqCst);
    second.store(false, Ordering::SeqCst);
    assert_eq!(write(&policy).unwrap().len(), QUESTIONS.len());
}

#[test]
fn servers_of_different_models_are_refused() {
    let other = Fake::start(VLLM, |asked, _, reply| match asked.path.as_str() {
        "/v1/models" => {
            Reply::Whole(200, String::new(), r#"{"data": [{"id": "large"}]}"#.to_owned())
        }
        _ => reply,
    });
    let servers = [sound(VLLM), other].map(|fake| fake.connect(None).unwrap());
    let refusal = Servers::join(servers.into()).unwrap_err().to_string();
    assert!(refusal.contains("its model is large") && refusal.contains("tiny"), "{refusal}");
    assert!(Servers::join(Vec::new()).is_err());
}
