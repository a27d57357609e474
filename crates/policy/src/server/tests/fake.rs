//! A fake server that completes every prompt with the same two lines. It can imitate different server styles, and fail on
//! request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Server, ServerOptions};
use crate::Error;

/// The model's output, one token per entry, before it ends. Sampled completions have a distinct first token.
const TOKENS: [&str; 6] = ["It is", " 4 + 5 = 9", ".", "\n", "####", " 9"];

/// The continuation after that: another problem, as in the few-shot examples.
const MORE: [&str; 10] = ["\n", "\n", "Q:", " 1 + 1?", "\n", "A:", " It is 2.", "\n", "####", " 2"];

/// A recorded request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    /// The session header, by which routers choose a server.
    pub(crate) session: Option<String>,
    pub(crate) body: Value,
}

/// A reply.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status, header line and body.
    Whole(u16, String, String),
    /// A response whose announced length exceeds its body.
    Truncated(String),
    /// No reply for a while.
    Nothing(Duration),
}

/// The differences between servers.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "servers differ in ways that go with no other")]
pub(crate) struct Style {
    /// Whether log-probabilities are in the chat format: with bytes, and with the end as a token without text.
    pub(crate) chat: bool,
    /// The field that names the stop string, if any.
    pub(crate) reason: Option<&'static str>,
    /// Whether it can be told to include the stop string in the text.
    pub(crate) keeps: bool,
    /// Whether it rejects settings beyond OpenAI's.
    pub(crate) strict: bool,
    /// Whether the model continues with another problem after its answer.
    pub(crate) goes_on: bool,
}

pub(crate) const VLLM: Style =
    Style { chat: false, reason: Some("stop_reason"), keeps: true, strict: false, goes_on: false };
pub(crate) const SGLANG: Style = Style {
    chat: false,
    reason: Some("matched_stop"),
    keeps: false,
    strict: false,
    goes_on: false,
};
pub(crate) const LLAMA_CPP: Style =
    Style { chat: true, reason: None, keeps: false, strict: false, goes_on: false };
pub(crate) const STRICT: Style =
    Style { chat: false, reason: Some("stop_reason"), keeps: false, strict: true, goes_on: false };

/// A fake server on a local port.
pub(crate) struct Fake {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    most_at_once: Arc<AtomicUsize>,
}

/// Hook that sees the request, its index (from 0) and the correct reply, and may replace the reply.
type Spoil = dyn Fn(&Asked, usize, Reply) -> Reply + Send + Sync;

impl Fake {
    pub(crate) fn start(
        style: Style,
        spoil: impl Fn(&Asked, usize, Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (at_once, most_at_once) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let (log, most) = (Arc::clone(&asked), Arc::clone(&most_at_once));
        let spoil: Arc<Spoil> = Arc::new(spoil);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, most, at_once) = (log.clone(), Arc::clone(&most), at_once.clone());
                let spoil = spoil.clone();
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let asked = read(&mut stream);
                    let most: &AtomicUsize = &most;
                    most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let reply = reply(&asked, style, &log, &*spoil);
                    // Decrement before the reply is sent: a client that has its reply may send the next request at once.
                    at_once.fetch_sub(1, Ordering::SeqCst);
                    send(&mut stream, &reply);
                });
            }
        });
        Self { address, asked, most_at_once }
    }

    pub(crate) fn connect(&self, key: Option<&str>) -> Result<Server, Error> {
        let options = ServerOptions {
            requests: 2,
            attempts: 3,
            timeout: Duration::from_secs(2),
            pause: Duration::from_millis(1),
        };
        Server::connect(&self.address, key.map(str::to_owned), options)
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }
}

fn reply(asked: &Asked, style: Style, log: &Mutex<Vec<Asked>>, spoil: &Spoil) -> Reply {
    let number = {
        let mut log = log.lock().unwrap();
        log.push(asked.clone());
        log.len() - 1
    };
    spoil(asked, number, answer(asked, style))
}

fn send(stream: &mut TcpStream, reply: &Reply) {
    let (status, header, body, length) = match reply {
        Reply::Whole(status, header, body) => (*status, header.as_str(), body, body.len()),
        Reply::Truncated(body) => (200, "", body, body.len() + 10),
        Reply::Nothing(time) => return std::thread::sleep(*time),
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n{header}\r\n"
    );
    // The client may have given up and closed the connection.
    stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).ok();
}

fn read(stream: &mut TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        let of = |line: &String| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        lines.iter().find_map(of)
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    Asked {
        path: lines[0].split(' ').nth(1).unwrap().to_owned(),
        authorization: header("authorization"),
        session: header("x-session-id"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

fn answer(asked: &Asked, style: Style) -> Reply {
    let whole = |status, body: Value| Reply::Whole(status, String::new(), body.to_string());
    if asked.path == "/v1/models" {
        return whole(200, json!({"data": [{"id": "tiny"}]}));
    }
    if asked.path != "/v1/completions" {
        return whole(404, json!({"detail": "Not Found"}));
    }
    let body = &asked.body;
    if style.strict && !body["min_p"].is_null() {
        let error = json!({"error": {"message": "Unrecognized request argument supplied: min_p"}});
        return whole(400, error);
    }
    let count = body["n"].as_u64().unwrap_or(1);
    let choices: Vec<Value> = (0..count).map(|i| choice(body, i, style)).collect();
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 6}});
    whole(200, json!({"choices": choices, "usage": usage}))
}

/// Continues from wherever the prompt stops within the two lines.
fn choice(body: &Value, index: u64, style: Style) -> Value {
    let more = if style.goes_on { &MORE[..] } else { &[] };
    let mut tokens: Vec<String> =
        TOKENS.iter().chain(more).map(|&token| token.to_owned()).collect();
    let prompt = body["prompt"].as_str().unwrap();
    let written = prompt.rsplit_once("A:").map_or("", |(_, written)| written);
    if let Some((_, after)) = written.split_once('\n') {
        tokens = if after.contains("####") { Vec::new() } else { tokens.split_off(4) };
    } else if body["temperature"].as_f64().unwrap() > 0.0 {
        tokens[0] = format!("{}", body["seed"].as_u64().unwrap() % 1000 * 100 + index);
    }
    let most = body["max_tokens"].as_u64().unwrap() as usize;
    let stops: Vec<&str> = body["stop"]
        .as_array()
        .map_or_else(Vec::new, |all| all.iter().filter_map(Value::as_str).collect());
    let (mut shown, mut text, mut finish, mut reason) =
        (Vec::new(), String::new(), "", json!(null));
    for token in &tokens {
        if shown.len() == most {
            finish = "length";
            break;
        }
        shown.push(token.clone());
        text += token;
        if let Some(stop) = stops.iter().find(|stop| text.contains(**stop)) {
            let at = text.find(stop).unwrap();
            let keeps = style.keeps && body["include_stop_str_in_output"] == true;
            text.truncate(if keeps { at + stop.len() } else { at });
            if style.chat {
                shown.pop();
            }
            (finish, reason) = ("stop", json!(stop));
            break;
        }
    }
    if finish.is_empty() {
        finish = if shown.len() == most { "length" } else { "stop" };
        if finish == "stop" {
            shown.push(String::new());
        }
    }
    let logprobs = if style.chat {
        let other = |token: &str, logprob: f64| json!({"token": token, "logprob": logprob});
        let others = [other(" True", -1.0), other(" False", -2.0)];
        let token = |t: &String| json!({"token": t, "bytes": t.as_bytes(), "logprob": -0.5, "top_logprobs": others});
        json!({"content": shown.iter().map(token).collect::<Vec<_>>()})
    } else {
        let others = json!([{" True": -1.0, " False": -2.0, "x": -3.0}]);
        json!({"tokens": shown, "token_logprobs": vec![-0.5; shown.len()], "top_logprobs": others})
    };
    let mut choice =
        json!({"index": index, "text": text, "finish_reason": finish, "logprobs": logprobs});
    if let Some(name) = style.reason {
        choice[name] = reason;
    }
    choice
}
