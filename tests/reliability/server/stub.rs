//! A server that speaks OpenAI's completions API as vLLM does, never repeats a solution, and fails on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// The ways in which an answer can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// 429, with a time to wait.
    Busy,
    /// 500.
    Broken,
    /// A body shorter than its declared length.
    CutOff,
    /// A body that is not JSON.
    Garbage,
    /// No answer: the connection is closed.
    HangUp,
    /// Fewer completions than were requested.
    Fewer,
    /// Log-probabilities that are not numbers.
    NotNumbers,
}

impl Fault {
    pub(super) const ALL: [Self; 7] = [
        Self::Busy,
        Self::Broken,
        Self::CutOff,
        Self::Garbage,
        Self::HangUp,
        Self::Fewer,
        Self::NotNumbers,
    ];
}

/// A server on a local port, which lives as long as the process.
pub(super) struct Stub {
    /// Its address, for `--policy`.
    pub(super) address: String,
}

impl Stub {
    /// Starts a server that fails at every n-th request, except for the first ones, with which a client tries it out.
    pub(super) fn start(fault: Option<(Fault, usize)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
        let address = listener.local_addr().expect("it is bound");
        let requests = Arc::new(AtomicUsize::new(0));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let requests = Arc::clone(&requests);
                // An error here means that the client is gone and wants no answer.
                thread::spawn(move || serve(stream, fault, &requests).ok());
            }
        });
        Self { address: format!("http://{address}/v1") }
    }
}

fn serve(
    mut stream: TcpStream,
    fault: Option<(Fault, usize)>,
    requests: &AtomicUsize,
) -> std::io::Result<()> {
    let (path, body) = read(&mut stream)?;
    let number = requests.fetch_add(1, Ordering::SeqCst);
    let fault =
        fault.filter(|&(_, every)| number > 20 && number.is_multiple_of(every)).map(|(f, _)| f);
    let answer = if path.ends_with("/models") {
        json!({"data": [{"id": "stub", "max_model_len": 4096}]})
    } else {
        completions(&body, number, fault)
    };
    let mut text = answer.to_string();
    let (status, length) = match fault {
        Some(Fault::HangUp) => return Ok(()),
        Some(Fault::Busy) => ("429 Too Many Requests\r\nretry-after: 0", text.len()),
        Some(Fault::Broken) => ("500 Internal Server Error", text.len()),
        Some(Fault::CutOff) => {
            let length = text.len();
            text.truncate(length / 2);
            ("200 OK", length)
        }
        Some(Fault::Garbage) => {
            text = text.replace('{', "<");
            ("200 OK", text.len())
        }
        Some(Fault::NotNumbers) => {
            text = text.replace("-1.5", "NaN");
            ("200 OK", text.len())
        }
        Some(Fault::Fewer) | None => ("200 OK", text.len()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{text}"
    )?;
    stream.flush()
}

fn read(stream: &mut TcpStream) -> std::io::Result<(String, Value)> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream);
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first)?;
    while reader.read_line(&mut line)? > 2 {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok((path, serde_json::from_slice(&body).unwrap_or_default()))
}

fn completions(body: &Value, number: usize, fault: Option<Fault>) -> Value {
    let mut count = body["n"].as_u64().unwrap_or(1);
    if fault == Some(Fault::Fewer) {
        count -= 1;
    }
    let choices: Vec<Value> = (0..count).map(|i| choice(body, number as u64 * 64 + i, i)).collect();
    json!({"object": "text_completion", "choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 5}})
}

/// Two lines with the answer on the second; each sampled solution begins with a number from its own draw.
fn choice(body: &Value, draw: u64, index: u64) -> Value {
    let greedy = body["temperature"].as_f64() == Some(0.0);
    let first = if greedy { 3 } else { draw % 1000 };
    let whole = [
        format!("He has {first}"),
        " + 4".to_owned(),
        format!(" = {}", first + 4),
        "\n".to_owned(),
        format!("#### {}", first % 5),
    ];
    let most = body["max_tokens"].as_u64().unwrap_or(16) as usize;
    let stops: Vec<&str> =
        body["stop"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (mut text, mut tokens, mut reason, mut matched) =
        (String::new(), Vec::new(), "length", Value::Null);
    for token in whole.iter().take(most) {
        text += token;
        tokens.push(token.clone());
        if let Some(stop) = stops.iter().find(|stop| text.contains(**stop)) {
            (reason, matched) = ("stop", json!(stop));
            break;
        }
    }
    if tokens.len() == whole.len() && tokens.len() < most && matched.is_null() {
        reason = "stop";
        tokens.push(String::new());
    }
    let logprobs = vec![if greedy { -0.5 } else { -1.5 }; tokens.len()];
    let others: Vec<Value> =
        tokens.iter().map(|token| json!({token: -1.5, " True": -2.0, " False": -3.0})).collect();
    json!({"index": index, "text": text, "finish_reason": reason, "stop_reason": matched,
        "logprobs": {"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": others}})
}
