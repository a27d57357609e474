//! Parsing of server responses, in both log-probability formats: completions and chat.

use std::collections::BTreeMap;

use lm::Drawn;
use lm::engine::StopReason;
use lm::prefix::PrefixCounts;
use serde::Deserialize;
use serde_json::Value;

use super::faults::Fault;
use super::{CompletionRequest, Draft};
use crate::Weighed;

/// The response to a completions request.
#[derive(Debug, Deserialize)]
struct Answer {
    choices: Vec<Choice>,
}

/// The `usage` field.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    prompt_tokens: u64,
    completion_tokens: u64,
    prompt_tokens_details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u64>,
}

/// One completion.
#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    index: usize,
    text: String,
    #[serde(default)]
    finish_reason: Option<String>,
    /// The string or token that ended it: `stop_reason` in vLLM, `matched_stop` in SGLang. Null means the end token,
    /// while an absent field means that the server does not say, so the two are kept apart.
    #[serde(default, alias = "matched_stop", deserialize_with = "there")]
    stop_reason: Option<Value>,
    #[serde(default)]
    logprobs: Option<Logprobs>,
}

/// Log-probabilities in the completions format (`Legacy`) or the chat format.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Logprobs {
    Chat {
        content: Vec<Token>,
    },
    Legacy {
        tokens: Vec<String>,
        token_logprobs: Vec<Option<f64>>,
        #[serde(default)]
        top_logprobs: Option<Vec<BTreeMap<String, f64>>>,
    },
}

#[derive(Debug, Deserialize)]
struct Token {
    #[serde(rename = "token")]
    text: String,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
    logprob: f64,
    #[serde(default)]
    top_logprobs: Vec<Self>,
}

/// Deserializes a field that is present, even if it is null.
fn there<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

/// Tolerance for log-probabilities above 0, from rounding.
const SLACK: f64 = 1e-3;

/// Reads the completions of a response. A fault that may be accidental is transient; a field that the server never sends
/// will not appear on a retry, so its absence is permanent.
pub(crate) fn drafts(answer: &Value, request: &CompletionRequest) -> Result<Vec<Draft>, Fault> {
    let mut answer = parsed(answer)?;
    let (got, wanted) = (answer.choices.len(), request.count);
    if got < wanted {
        return Err(Fault::passing(format!("it gave {got} completions of {wanted}")));
    }
    // Choices may come in any order.
    answer.choices.sort_by_key(|choice| choice.index);
    answer.choices.truncate(wanted);
    answer.choices.into_iter().map(|choice| choice.draft(request)).collect()
}

fn parsed(answer: &Value) -> Result<Answer, Fault> {
    Answer::deserialize(answer)
        .map_err(|error| Fault::passing(format!("its answer is none to /completions: {error}")))
}

/// Reads `P(yes) / (P(yes) + P(no))` for the next token. A word that is not listed can be no likelier than the least
/// likely token listed, nor than the probability mass left over; it is given the smaller of the two, so that the score is
/// never exactly 0 or 1.
pub(crate) fn weighed(answer: &Value, yes: &str, no: &str) -> Result<Weighed, Fault> {
    let answer = parsed(answer)?;
    let likeliest = likeliest(&answer)?;
    let mut chances = Vec::with_capacity(likeliest.len());
    for (token, logprob) in likeliest {
        chances.push((token, f64::from(sound(logprob)?).exp()));
    }
    let least = chances.iter().map(|(_, chance)| *chance).fold(1.0, f64::min);
    let left = 1.0 - chances.iter().map(|(_, chance)| chance).sum::<f64>();
    // Rounding can make `left` slightly negative.
    let bound = least.min(left).max(f64::MIN_POSITIVE);
    let found =
        [yes, no].map(|word| chances.iter().find(|(token, _)| *token == word).map(|one| one.1));
    let [yes, no] = found.map(|chance| chance.unwrap_or(bound).max(f64::MIN_POSITIVE));
    let share = yes / (yes + no);
    Ok(match found {
        [Some(_), Some(_)] => Weighed { yes: share, told: None },
        [None, None] => {
            chances.sort_by(|one, other| other.1.total_cmp(&one.1));
            let told = chances.iter().map(|(token, _)| (*token).to_owned()).collect();
            Weighed { yes: UNDECIDED, told: Some(told) }
        }
        _ => Weighed { yes: share.clamp(SURE, 1.0 - SURE), told: None },
    })
}

/// Score if neither word is listed.
const UNDECIDED: f64 = 0.5;
/// Scores are kept this far from 0 and 1 if one of the words is not listed.
const SURE: f64 = 1e-6;

/// The likeliest tokens at the first position with their log-probabilities; at least one.
fn likeliest(answer: &Answer) -> Result<Vec<(&str, f64)>, Fault> {
    let logprobs = answer.choices.first().and_then(|choice| choice.logprobs.as_ref());
    let none = || Fault::Lasting("it gives no log-probabilities of other tokens".to_owned());
    let likeliest: Vec<(&str, f64)> = match logprobs.ok_or_else(none)? {
        Logprobs::Chat { content } => {
            let first = content.first().ok_or_else(none)?;
            first.top_logprobs.iter().map(|one| (one.text.as_str(), one.logprob)).collect()
        }
        Logprobs::Legacy { top_logprobs, .. } => {
            let first = top_logprobs.as_ref().and_then(|all| all.first()).ok_or_else(none)?;
            first.iter().map(|(token, &logprob)| (token.as_str(), logprob)).collect()
        }
    };
    if likeliest.is_empty() { Err(none()) } else { Ok(likeliest) }
}

/// Length of the prompt in tokens, if reported.
pub(crate) fn prompt_tokens(answer: &Value) -> Option<usize> {
    let tokens = answer["usage"]["prompt_tokens"].as_u64().filter(|&tokens| tokens > 0)?;
    usize::try_from(tokens.min(MOST_TOKENS)).ok()
}

/// Cap on reported token counts, so that a bogus count cannot overflow the sums.
const MOST_TOKENS: u64 = 1 << 32;

/// Token counts of a response, as far as reported. Prompt tokens found in the server's cache count as reused.
pub(crate) fn usage(answer: &Value) -> PrefixCounts {
    let counts = Counts::deserialize(&answer["usage"]).unwrap_or_default();
    let [read, written] =
        [counts.prompt_tokens, counts.completion_tokens].map(|tokens| tokens.min(MOST_TOKENS));
    let reused = counts.prompt_tokens_details.and_then(|details| details.cached_tokens);
    let reused = reused.unwrap_or(0).min(read);
    PrefixCounts { forwarded: read - reused + written, reused, flops: 0 }
}

impl Choice {
    fn draft(self, request: &CompletionRequest) -> Result<Draft, Fault> {
        let mut draft = self.tokens()?;
        if draft.len() > request.max_tokens {
            let (got, most) = (draft.len(), request.max_tokens);
            return Err(Fault::Lasting(format!("it wrote {got} tokens where {most} were allowed")));
        }
        let ended = draft.bytes.last().is_some_and(Vec::is_empty);
        self.check_stops(&draft, request)?;
        apportion(&mut draft, self.text.as_bytes())?;
        let (stop, cut_off) = self.end(request, ended)?;
        if let Some(text) = cut_off {
            // The server does not report the probability of the stop string it cut off, so it counts as 1: an option's
            // probability is that of its text.
            push(&mut draft, text.into_bytes(), 0.0);
        }
        draft.stop = Some(stop);
        Ok(draft)
    }

    fn tokens(&self) -> Result<Draft, Fault> {
        let mut draft = Draft::default();
        match &self.logprobs {
            None if self.text.is_empty() => {}
            None => return Err(Fault::Lasting("it gives no log-probabilities".to_owned())),
            Some(Logprobs::Chat { content }) => {
                for Token { text, bytes, logprob, .. } in content {
                    let bytes = bytes.clone().unwrap_or_else(|| text.clone().into_bytes());
                    push(&mut draft, bytes, sound(*logprob)?);
                }
            }
            Some(Logprobs::Legacy { tokens, token_logprobs, .. }) => {
                if tokens.len() != token_logprobs.len() {
                    return Err(Fault::passing("it gave tokens without log-probabilities"));
                }
                for (token, logprob) in tokens.iter().zip(token_logprobs) {
                    let logprob = logprob
                        .ok_or_else(|| Fault::passing("one of its log-probabilities is null"))?;
                    push(&mut draft, token.clone().into_bytes(), sound(logprob)?);
                }
            }
        }
        Ok(draft)
    }

    /// Refuses a completion that continues after a stop string by more than the rest of a token.
    fn check_stops(&self, draft: &Draft, request: &CompletionRequest) -> Result<(), Fault> {
        // The stop string may end inside the last token. A server that returns the whole token does not ignore `stop`.
        let last = draft.bytes.iter().map(Vec::len).rfind(|&bytes| bytes > 0).unwrap_or(0);
        let after = |stop: &String| Some(self.text.len() - self.text.find(stop)? - stop.len());
        let goes_on = |stop: &&String| after(stop).is_some_and(|more| more > 0 && more >= last);
        match request.stops.iter().find(goes_on) {
            Some(stop) => {
                Err(Fault::Lasting(format!("it ignores `stop`: it went on after {stop:?}")))
            }
            None => Ok(()),
        }
    }

    /// Returns the stop reason, and the stop string if the server cut it off. `ended` says whether the last token has no
    /// text (the end token).
    fn end(
        &self,
        request: &CompletionRequest,
        ended: bool,
    ) -> Result<(StopReason, Option<String>), Fault> {
        match self.finish_reason.as_deref() {
            Some("length") => return Ok((StopReason::Length, None)),
            Some("stop") => {}
            other => {
                let reason = other.unwrap_or("nothing");
                return Err(Fault::passing(format!("a completion ended for `{reason}`")));
            }
        }
        if request.stops.iter().any(|stop| self.text.ends_with(stop.as_str())) {
            return Ok((StopReason::String, None));
        }
        match (&self.stop_reason, request.stops.as_slice()) {
            (Some(Value::String(stop)), stops) if stops.contains(stop) => {
                Ok((StopReason::String, Some(stop.clone())))
            }
            // A reason that is not one of our stop strings, such as null or a token id, is the end token.
            (Some(_), _) | (None, []) => Ok((StopReason::Token, None)),
            (None, _) if ended => Ok((StopReason::Token, None)),
            // With only one stop string it is clear which one was cut off.
            (None, [stop]) => Ok((StopReason::String, Some(stop.clone()))),
            (None, _) => {
                let problem = "it cuts off what it stopped at and does not say which of several it was: take another \
                               termination";
                Err(Fault::Lasting(problem.to_owned()))
            }
        }
    }
}

fn sound(logprob: f64) -> Result<f32, Fault> {
    if logprob.is_finite() && logprob <= SLACK {
        return Ok(logprob.min(0.0) as f32);
    }
    Err(Fault::passing(format!("it gave a log-probability of {logprob}")))
}

/// Appends a token. Servers do not report token ids, so the id is an FNV-1a hash of the bytes: equal texts get equal ids.
fn push(draft: &mut Draft, bytes: Vec<u8>, logprob: f32) {
    let hash = bytes
        .iter()
        .fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let one = Drawn { ids: vec![hash], logprobs: vec![logprob] };
    draft.extend(Draft { drawn: one, bytes: vec![bytes], stop: None });
}

/// Distributes the bytes of the text over the tokens. A server may spell a token differently from the text, or cut the
/// text inside a token; leftover bytes become one more token of log-probability 0. If that is more than half of the text,
/// the probability is meaningless and the response is a fault.
fn apportion(draft: &mut Draft, text: &[u8]) -> Result<(), Fault> {
    let mut rest = text;
    for bytes in &mut draft.bytes {
        let (taken, after) = rest.split_at(bytes.len().min(rest.len()));
        *bytes = taken.to_vec();
        rest = after;
    }
    if rest.len() * 2 > text.len() {
        let (known, all) = (text.len() - rest.len(), text.len());
        let problem = format!("its tokens are {known} of the {all} bytes of its text");
        return Err(Fault::passing(problem));
    }
    if !rest.is_empty() {
        push(draft, rest.to_vec(), 0.0);
    }
    Ok(())
}
