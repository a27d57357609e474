//! What servers answer, in the two shapes there are.

use std::collections::BTreeMap;

use lm::Drawn;
use lm::engine::StopReason;
use lm::prefix::PrefixCounts;
use serde::Deserialize;
use serde_json::Value;

use super::faults::Fault;
use super::{Draft, Job};
use crate::Weighed;

/// An answer to a request for completions.
#[derive(Debug, Deserialize)]
struct Answer {
    choices: Vec<Choice>,
}

/// The tokens of an answer.
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

/// A completion.
#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    index: usize,
    text: String,
    #[serde(default)]
    finish_reason: Option<String>,
    /// What it stopped at: vLLM's name, and SGLang's. There is a difference between absent and null.
    #[serde(default, alias = "matched_stop", deserialize_with = "there")]
    stop_reason: Option<Value>,
    #[serde(default)]
    logprobs: Option<Logprobs>,
}

/// Log-probabilities as completions have them, or as chats have them.
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

/// What is there, be it null.
fn there<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

/// How far a log-probability may be above 0: rounding.
const SLACK: f64 = 1e-3;

/// The completions in an answer. What servers get wrong now and then may be right the next time; what a server never says
/// will not be there the next time either.
pub(crate) fn drafts(answer: &Value, job: &Job) -> Result<Vec<Draft>, Fault> {
    let mut answer = parsed(answer)?;
    let (got, wanted) = (answer.choices.len(), job.count);
    if got < wanted {
        return Err(Fault::passing(format!("it gave {got} completions of {wanted}")));
    }
    answer.choices.sort_by_key(|choice| choice.index);
    answer.choices.truncate(wanted);
    answer.choices.into_iter().map(|choice| choice.draft(job)).collect()
}

fn parsed(answer: &Value) -> Result<Answer, Fault> {
    Answer::deserialize(answer)
        .map_err(|error| Fault::passing(format!("its answer is none to /completions: {error}")))
}

/// How `yes` and `no` are weighed as the next token. A word that is not among the likeliest has no more probability than the
/// least of these, nor than what all of them leave: that much it is given, so that it is neither impossible nor certain.
pub(crate) fn weighed(answer: &Value, yes: &str, no: &str) -> Result<Weighed, Fault> {
    let answer = parsed(answer)?;
    let likeliest = likeliest(&answer)?;
    let mut chances = Vec::with_capacity(likeliest.len());
    for (token, logprob) in likeliest {
        chances.push((token, f64::from(sound(logprob)?).exp()));
    }
    let least = chances.iter().map(|(_, chance)| *chance).fold(1.0, f64::min);
    let left = 1.0 - chances.iter().map(|(_, chance)| chance).sum::<f64>();
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

/// What is said of two words of which nothing is known.
const UNDECIDED: f64 = 0.5;
/// A word that was not seen may be as unlikely as this.
const SURE: f64 = 1e-6;

/// The likeliest tokens at the first place, with their log-probabilities; at least one.
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

/// The tokens of the text that was asked about, if it is told.
pub(crate) fn prompt_tokens(answer: &Value) -> Option<usize> {
    let tokens = answer["usage"]["prompt_tokens"].as_u64().filter(|&tokens| tokens > 0)?;
    usize::try_from(tokens.min(MOST_TOKENS)).ok()
}

/// The most tokens of an answer that are believed, so that sums of them stay numbers.
const MOST_TOKENS: u64 = 1 << 32;

/// What an answer cost, as far as it says: tokens of prompts that the server still knew are reused.
pub(crate) fn usage(answer: &Value) -> PrefixCounts {
    let counts = Counts::deserialize(&answer["usage"]).unwrap_or_default();
    let [read, written] =
        [counts.prompt_tokens, counts.completion_tokens].map(|tokens| tokens.min(MOST_TOKENS));
    let reused = counts.prompt_tokens_details.and_then(|details| details.cached_tokens);
    let reused = reused.unwrap_or(0).min(read);
    PrefixCounts { forwarded: read - reused + written, reused, flops: 0 }
}

impl Choice {
    fn draft(self, job: &Job) -> Result<Draft, Fault> {
        let mut draft = self.tokens()?;
        if draft.len() > job.max_tokens {
            let (got, most) = (draft.len(), job.max_tokens);
            return Err(Fault::Lasting(format!("it wrote {got} tokens where {most} were allowed")));
        }
        let ended = draft.bytes.last().is_some_and(Vec::is_empty);
        self.check_stops(&draft, job)?;
        apportion(&mut draft, self.text.as_bytes())?;
        let (stop, cut_off) = self.end(job, ended)?;
        if let Some(text) = cut_off {
            // Its probability is not told; an option's is that of its text.
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

    /// Refuses a text that goes on after a stop for more than what is left of a token.
    fn check_stops(&self, draft: &Draft, job: &Job) -> Result<(), Fault> {
        let last = draft.bytes.iter().map(Vec::len).rfind(|&bytes| bytes > 0).unwrap_or(0);
        let after = |stop: &String| Some(self.text.len() - self.text.find(stop)? - stop.len());
        let goes_on = |stop: &&String| after(stop).is_some_and(|more| more > 0 && more >= last);
        match job.stops.iter().find(goes_on) {
            Some(stop) => {
                Err(Fault::Lasting(format!("it ignores `stop`: it went on after {stop:?}")))
            }
            None => Ok(()),
        }
    }

    /// Why it ended, and what the server stopped at and cut off. `ended` says whether the last token is without a text.
    fn end(&self, job: &Job, ended: bool) -> Result<(StopReason, Option<String>), Fault> {
        match self.finish_reason.as_deref() {
            Some("length") => return Ok((StopReason::Length, None)),
            Some("stop") => {}
            other => {
                let reason = other.unwrap_or("nothing");
                return Err(Fault::passing(format!("a completion ended for `{reason}`")));
            }
        }
        if job.stops.iter().any(|stop| self.text.ends_with(stop.as_str())) {
            return Ok((StopReason::String, None));
        }
        match (&self.stop_reason, job.stops.as_slice()) {
            (Some(Value::String(stop)), stops) if stops.contains(stop) => {
                Ok((StopReason::String, Some(stop.clone())))
            }
            (Some(_), _) | (None, []) => Ok((StopReason::Token, None)),
            (None, _) if ended => Ok((StopReason::Token, None)),
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

/// Adds a token. Servers do not say its id: it gets a number that is the same for the same text.
fn push(draft: &mut Draft, bytes: Vec<u8>, logprob: f32) {
    let hash = bytes
        .iter()
        .fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let one = Drawn { ids: vec![hash], logprobs: vec![logprob] };
    draft.extend(Draft { drawn: one, bytes: vec![bytes], stop: None });
}

/// Gives the tokens the bytes of the text. Servers write some tokens otherwise than the text has them, and may have cut
/// the text off within a token; what is left over is a token more, unless it is most of the text: then nobody knows how
/// likely that is.
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
