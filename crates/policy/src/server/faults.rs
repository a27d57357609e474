//! What an answer of a server is worth: JSON, a fault that may pass, or one that will not.

use std::time::Duration;

use serde_json::Value;

use super::LARGEST_ANSWER;

/// Why there is no answer to use.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Asking again may help.
    Passing {
        /// What was wrong.
        problem: String,
        /// When the server wants to be asked again.
        after: Option<Duration>,
    },
    /// Asking again will not help.
    Lasting(String),
}

impl Fault {
    pub(crate) fn passing(problem: impl Into<String>) -> Self {
        Self::Passing { problem: problem.into(), after: None }
    }
}

/// The JSON of an answer.
pub(crate) fn answer(
    sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Value, Fault> {
    let mut response = match sent {
        Ok(response) => response,
        Err(error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_))) => {
            return Err(Fault::Lasting(error.to_string()));
        }
        Err(error) => return Err(Fault::passing(error.to_string())),
    };
    let status = response.status();
    let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let read = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
    let text = match read {
        Ok(text) => text,
        Err(ureq::Error::BodyExceedsLimit(limit)) => {
            return Err(Fault::Lasting(format!("its answer is longer than {limit} bytes")));
        }
        Err(error) => return Err(Fault::passing(format!("the answer broke off: {error}"))),
    };
    if status.is_success() {
        let parsed = serde_json::from_slice(&text);
        return parsed.map_err(|error| Fault::passing(format!("its answer is not JSON: {error}")));
    }
    let problem = format!("status {}{}", status.as_u16(), said(&text));
    match status.as_u16() {
        408 | 425 | 429 | 500.. => Err(Fault::Passing { problem, after }),
        401 | 403 => {
            let hint = "; the key is read from OPENAI_API_KEY";
            Err(Fault::Lasting([problem.as_str(), hint].concat()))
        }
        _ => Err(Fault::Lasting(problem)),
    }
}

/// What a server says of its failure, shortened.
fn said(text: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(text).ok();
    let message = json.as_ref().and_then(|json| {
        let error = &json["error"];
        [&error["message"], error, &json["message"], &json["detail"]]
            .into_iter()
            .find_map(Value::as_str)
    });
    let text = message.map_or_else(|| String::from_utf8_lossy(text), Into::into);
    let short: String = text.trim().chars().take(300).collect();
    if short.is_empty() { short } else { format!(": {short}") }
}
