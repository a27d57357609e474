//! Tests of the startup checks: what they refuse, detect and tolerate.

use serde_json::Value;

use super::fake::{Asked, Fake, Reply, VLLM};
use super::sound;
use crate::Error;
use crate::server::{Server, ServerOptions, is_here};

/// Changes a reply, given the request.
type Change = fn(&mut Value, &Asked);

fn first_choice(body: &mut Value) -> Option<&mut Value> {
    body.pointer_mut("/choices/0")
}

/// Server defects, each with the expected error.
const LACKING: [(Change, &str); 8] = [
    (|body, _| body["data"] = Value::Array(Vec::new()), "serves no model"),
    (|body, _| body["data"] = serde_json::json!([{"id": "a"}, {"id": "b"}]), "behind `#`: a, b"),
    (
        |body, _| {
            if let Some(all) = body["choices"].as_array_mut() {
                all.truncate(1);
            }
        },
        "ignores `n`",
    ),
    (
        |body, _| {
            for choice in body["choices"].as_array_mut().into_iter().flatten() {
                choice["logprobs"] = Value::Null;
            }
        },
        "no log-probabilities",
    ),
    (
        |body, asked| {
            let stopped = !asked.body["stop"].is_null();
            if let Some(choice) = first_choice(body).filter(|_| stopped) {
                choice["text"] = "It is 4 + 5 = 9. And more.".into();
            }
        },
        "ignores `stop`",
    ),
    (
        |body, asked| {
            let most = asked.body["max_tokens"].as_u64().unwrap_or(0) as usize + 1;
            if let Some(choice) = first_choice(body) {
                let (tokens, logprobs) = (vec!["x"; most], vec![-1.0; most]);
                choice["logprobs"] =
                    serde_json::json!({"tokens": tokens, "token_logprobs": logprobs});
            }
        },
        "were allowed",
    ),
    (
        |body, asked| {
            for choice in body["choices"].as_array_mut().into_iter().flatten() {
                if asked.body["n"] != 1 {
                    choice["text"] = "same".into();
                    choice["logprobs"] =
                        serde_json::json!({"tokens": ["same"], "token_logprobs": [-3.5]});
                }
            }
        },
        "ignores `temperature`: 8 samples are alike",
    ),
    (
        |body, asked| {
            let seed = asked.body["seed"].as_f64().unwrap_or(0.0);
            if let Some(choice) = first_choice(body).filter(|_| asked.body["max_tokens"] == 1) {
                let text = format!("{seed}");
                choice["logprobs"] =
                    serde_json::json!({"tokens": [text], "token_logprobs": [-seed]});
                choice["text"] = text.into();
            }
        },
        "ignores `temperature`: where the likeliest token was asked for, it wrote \"1\" and \"2\"",
    ),
];

#[test]
fn the_probe_refuses_by_name_what_cannot_be_relied_on() {
    let changed = |change: Change| {
        Fake::start(VLLM, move |asked, _, reply| match reply {
            Reply::Whole(status, header, body) => {
                let mut body: Value = serde_json::from_str(&body).unwrap();
                change(&mut body, asked);
                Reply::Whole(status, header, body.to_string())
            }
            other => other,
        })
    };
    for (change, expected) in LACKING {
        let error = changed(change).connect(None).unwrap_err();
        let named = error.to_string().contains(expected);
        assert!(matches!(error, Error::Refused { .. }) && named, "{error}");
    }
    let options = ServerOptions { attempts: 1, ..ServerOptions::default() };
    let gone = Server::connect("http://127.0.0.1:9/v1", None, options);
    assert!(matches!(gone.unwrap_err(), Error::Unavailable { .. }));
}

/// Greedy near-ties, and samples that are equal by chance, are not defects.
#[test]
fn the_probe_lets_pass_what_may_be_chance() {
    let fake = Fake::start(VLLM, |asked, number, reply| match reply {
        Reply::Whole(status, header, body) if !asked.body["prompt"].is_null() => {
            let mut body: Value = serde_json::from_str(&body).unwrap();
            let greedy = asked.body["temperature"] == 0.0 && asked.body["max_tokens"] == 1;
            let text = if greedy { format!("{number}") } else { "same".to_owned() };
            let nearly = -0.7 - number as f64 / 1000.0;
            for choice in body["choices"].as_array_mut().unwrap() {
                choice["text"] = text.clone().into();
                choice["logprobs"] =
                    serde_json::json!({"tokens": [text], "token_logprobs": [nearly]});
            }
            Reply::Whole(status, header, body.to_string())
        }
        other => other,
    });
    fake.connect(None).unwrap();
}

#[test]
fn a_server_that_does_not_repeat_itself_is_noticed() {
    assert!(sound(VLLM).connect(None).unwrap().repeats());
    let fake = Fake::start(VLLM, |asked, number, reply| match reply {
        Reply::Whole(status, header, body) if asked.body["temperature"] == 1.0 => {
            Reply::Whole(status, header, body.replace("\"100 4", &format!("\"{number} 4")))
        }
        other => other,
    });
    assert!(!fake.connect(None).unwrap().repeats());
}

/// Requests to this machine bypass the proxy, and no others.
#[test]
fn this_machine_is_known_by_its_whole_name() {
    for here in [
        "http://localhost/v1",
        "http://LocalHost:8000/v1",
        "localhost",
        "http://127.0.0.1:8000/v1",
        "http://user:key@127.0.0.1/v1",
        "http://[::1]:8000/v1",
        "http://[::1]",
        "http://localhost?key=x",
    ] {
        assert!(is_here(here), "{here}");
    }
    for elsewhere in [
        "http://localhost.example.com/v1",
        "http://127.0.0.1.example.com:8000/v1",
        "http://127.0.0.10/v1",
        "http://[::1]example.com/v1",
        "http://[::12]/v1",
        "http://localhost@example.com/v1",
        "http://example.com/localhost",
        "http://::1/v1",
        "",
    ] {
        assert!(!is_here(elsewhere), "{elsewhere}");
    }
}
