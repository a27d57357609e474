//! Classification of responses: JSON, a transient fault or a permanent one.

use std::time::Duration;

use serde_json::Value;

use super::LARGEST_ANSWER;

/// A request that failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Transient: worth a retry.
    Passing {
        /// The error message.
        problem: String,
        /// The server's `Retry-After`.
        after: Option<Duration>,
    },
    /// Permanent: retries will not help.
    Lasting(String),
    /// The prompt exceeds the context. Retries will not help, but other prompts may fit.
    TooLong(String),
}

/// Substrings of the errors for an overlong prompt, from OpenAI, vLLM, SGLang, llama.cpp and TGI.
const TOO_LONG: [&str; 14] = [
    "context length",
    "context_length",
    "context size",
    "context_size",
    "context window",
    "maximum model length",
    "max_model_len",
    "maximum allowed length",
    "input is too long",
    "prompt is too long",
    "max_new_tokens` must be <=",
    "input is too large to process",
    "`inputs` must have less than",
    "max_tokens must be at least 1, got -",
];

impl Fault {
    pub(crate) fn passing(problem: impl Into<String>) -> Self {
        Self::Passing { problem: problem.into(), after: None }
    }
}

/// The outcome of sending a request.
pub(crate) type Sent = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// Reads the JSON body of a response.
pub(crate) fn answer(sent: Sent) -> Result<Value, Fault> {
    let parsed = serde_json::from_slice(&body(sent)?);
    parsed.map_err(|error| Fault::passing(format!("its answer is not JSON: {error}")))
}

/// Reads the body of a response.
pub(crate) fn body(sent: Sent) -> Result<Vec<u8>, Fault> {
    let mut response = match sent {
        Ok(response) => response,
        // A malformed request never succeeds. Any other failure may be the network.
        Err(error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_))) => {
            return Err(Fault::Lasting(error.to_string()));
        }
        Err(error) => return Err(Fault::passing(error.to_string())),
    };
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let after = header("retry-after").and_then(|after| wait(after.trim(), header("date")));
    let read = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
    let text = match read {
        Ok(text) => text,
        Err(ureq::Error::BodyExceedsLimit(limit)) => {
            return Err(Fault::Lasting(format!("its answer is longer than {limit} bytes")));
        }
        Err(error) => return Err(Fault::passing(format!("the answer broke off: {error}"))),
    };
    if status.is_success() {
        return Ok(text);
    }
    let problem = format!("status {}{}", status.as_u16(), said(&text));
    let whole = String::from_utf8_lossy(&text).to_lowercase();
    match status.as_u16() {
        // The status code alone does not tell: servers report an overlong prompt as any of these, 500 included.
        400 | 413 | 422 | 500 if TOO_LONG.iter().any(|words| whole.contains(words)) => {
            Err(Fault::TooLong(problem))
        }
        408 | 425 | 429 | 500.. => Err(Fault::Passing { problem, after }),
        401 | 403 => {
            let hint = "; the key is read from OPENAI_API_KEY";
            Err(Fault::Lasting([problem.as_str(), hint].concat()))
        }
        _ => Err(Fault::Lasting(problem)),
    }
}

/// Parses `Retry-After`: either seconds, or a date. A date is compared with the response's own `Date` header, so that
/// clock skew does not matter.
fn wait(after: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = after.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let seconds = seconds_of(after)?.checked_sub(seconds_of(date?)?)?;
    Some(Duration::from_secs(seconds.max(0).unsigned_abs()))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Parses an HTTP date, `Sun, 06 Nov 1994 08:49:37 GMT` or one of the two obsolete forms, into seconds. The epoch is
/// arbitrary: only differences are used.
fn seconds_of(date: &str) -> Option<i64> {
    let parts: Vec<&str> = date.split([' ', '-', ',']).filter(|part| !part.is_empty()).collect();
    let (day, month, year, clock) = match *parts.as_slice() {
        [_, month, day, clock, year] if clock.contains(':') => (day, month, year, clock),
        [_, day, month, year, clock, "GMT" | "UTC"] => (day, month, year, clock),
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| *name == month)? as i64;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    // RFC 850 dates have two-digit years.
    let year = match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        other => other,
    };
    let clock: Vec<i64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = *clock.as_slice() else { return None };
    let possible = (1..=31).contains(&day)
        && (1970..10_000).contains(&year)
        && (0..24).contains(&hour)
        && [minute, second].iter().all(|part| (0..=60).contains(part));
    // Also keeps the sums below from overflowing.
    if !possible {
        return None;
    }
    // Start the year in March, so that a leap day comes last.
    let (month, year) = if month < 2 { (month + 10, year - 1) } else { (month - 2, year) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Reads the context length from an error such as `maximum context length is 4096 tokens`.
pub(crate) fn context(problem: &str) -> Option<usize> {
    let (_, after) = problem.split_once("context length")?;
    let digits = after.trim_start_matches(|c: char| !c.is_ascii_digit());
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Escapes control characters and bidirectional overrides, so that server text is safe to print to a terminal.
pub(crate) fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let spelled = |c: char| if steers(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(spelled).collect()
}

/// The server's error message, at most 300 characters.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_say_when_it_wants_to_be_asked_again() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let seconds = |after, date| wait(after, date).map(|wait| wait.as_secs());
        assert_eq!(seconds("7", None), Some(7));
        assert_eq!(seconds("0.5", None), Some(0));
        for later in [
            "Sun, 06 Nov 1994 08:50:07 GMT",
            "Sunday, 06-Nov-94 08:50:07 GMT",
            "Sun Nov  6 08:50:07 1994",
        ] {
            assert_eq!(seconds(later, date), Some(30), "{later}");
        }
        let turn = Some("Thu, 29 Feb 2024 23:59:59 GMT");
        assert_eq!(seconds("Fri, 01 Mar 2024 00:00:01 GMT", turn), Some(2));
        let new_year = Some("Sun, 31 Dec 2023 23:59:59 GMT");
        assert_eq!(seconds("Mon, 01 Jan 2024 00:00:00 GMT", new_year), Some(1));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT", date), Some(0), "it is over");
        for nothing in
            ["-1", "soon", "Sun, 06 Nov 1994 08:50:07 PST", "x, 99 Nov 1994 08:50:07 GMT"]
        {
            assert_eq!(seconds(nothing, date), None, "{nothing}");
        }
        for overflowing in [
            "x, 01 Jan 9223372036854775807 00:00:00 GMT",
            "x, 9223372036854775807 Jan 1994 00:00:00 GMT",
            "x, 01 Jan 1994 9223372036854775807:00:00 GMT",
        ] {
            assert_eq!(seconds(overflowing, date), None, "{overflowing}");
        }
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:07 GMT", None), None, "nobody knows the time");
    }

    #[test]
    fn a_server_may_name_its_context_where_it_refuses_a_text() {
        let said = "status 400: This model's maximum context length is 64 tokens. However, you requested 70 tokens";
        assert_eq!(context(said), Some(64));
        assert_eq!(
            context("it exceeds the model's maximum context length of 4096 tokens"),
            Some(4096)
        );
        for nothing in ["it exceeds the context length", "the available context size (64 tokens)"] {
            assert_eq!(context(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        assert_eq!(
            printable("\u{1b}[31mred\u{7}\r\n\u{202e}é"),
            "\\u{1b}[31mred\\u{7}\\u{d}\\u{a}\\u{202e}é"
        );
    }
}
