//! A policy behind an OpenAI-compatible server, such as vLLM, SGLang or llama.cpp's.
//!
//! Servers differ in what they ignore and in what they leave out, so nothing is taken for granted: [`Server::connect`]
//! tries what is needed and refuses by name what is not there. Faults that pass are waited out; what does not pass ends the
//! run, and every part that was written by then stays.

mod faults;
mod job;
mod probe;
mod wire;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lm::engine::StopReason;
use lm::prefix::PrefixCounts;
use serde_json::Value;

use crate::draft::Draft;
use crate::{Error, Weighed};
use faults::{Fault, printable};

pub(crate) use job::{Job, Jobs};

/// How a server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerOptions {
    /// Requests under way at once, at least 1.
    pub requests: usize,
    /// How often a request is made before its fault ends the run, at least 1.
    pub attempts: u32,
    /// The longest wait for an answer.
    pub timeout: Duration,
    /// The wait before the second attempt; it doubles with every further one, up to two minutes.
    pub pause: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        let (timeout, pause) = (Duration::from_mins(10), Duration::from_secs(1));
        Self { requests: 32, attempts: 8, timeout, pause }
    }
}

/// The longest wait between two attempts, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);
/// Attempts while a server is tried.
const AT_FIRST: u32 = 3;
/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: u64 = 64 << 20;

/// A model behind a server.
#[derive(Debug, Clone)]
pub struct Server {
    agent: ureq::Agent,
    /// Up to and with `/v1`, without a slash at the end.
    address: String,
    model: String,
    key: Option<Key>,
    options: ServerOptions,
    /// Whether the server takes settings beside OpenAI's.
    extended: bool,
    repeats: bool,
    /// The most tokens of a text and what is written after it, where the server says it.
    context: Option<usize>,
}

/// A secret: it is sent, and shown nowhere.
#[derive(Clone)]
struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Server {
    /// Connects to a server, `http://host:port/v1`, with `#model` behind it where it has several, and tries it. The key is
    /// sent as a bearer token.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not answer; [`Error::Refused`] names what cannot be relied on.
    pub fn connect(
        address: &str,
        key: Option<String>,
        options: ServerOptions,
    ) -> Result<Self, Error> {
        let (address, model) = address.split_once('#').unwrap_or((address, ""));
        if let Some(host) = with_secrets(address) {
            let problem =
                "an address is written down, so it may hold no key or query: set OPENAI_API_KEY"
                    .to_owned();
            return Err(Error::Refused { address: host.to_owned(), problem });
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .http_status_as_error(false);
        // A proxy is for what is elsewhere.
        let config = if is_here(address) { config.proxy(None) } else { config };
        // Who begins wants to know soon that nobody is there.
        let patience = ServerOptions { attempts: options.attempts.min(AT_FIRST), ..options };
        let server = Self {
            agent: config.build().into(),
            address: address.trim_end_matches('/').to_owned(),
            model: model.to_owned(),
            key: key.map(Key),
            options: patience,
            extended: true,
            repeats: true,
            context: None,
        };
        Ok(Self { options, ..server.probed()? })
    }

    /// The name of the model at the server.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Where the server is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the same request with the same seed was answered alike.
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    /// Carries out all jobs, several at a time; results are in their order. After a text that is over the context nothing is
    /// written, for its length.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Refused`]; of several the one of the first job.
    pub(crate) fn complete(&self, jobs: &[Job]) -> Result<(Vec<Vec<Draft>>, PrefixCounts), Error> {
        let (completions, used) =
            self.all(jobs, |answer, job| Ok((wire::drafts(answer, job)?, wire::usage(answer))))?;
        let nothing = Draft { stop: Some(StopReason::Length), ..Draft::default() };
        let filled = completions.into_iter().zip(jobs);
        let filled =
            filled.map(|(drafts, job)| drafts.unwrap_or_else(|| vec![nothing.clone(); job.count]));
        Ok((filled.collect(), used))
    }

    /// How two words are weighed after every text, as far as the likeliest tokens tell.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub(crate) fn choose(
        &self,
        texts: &[&str],
        yes: &str,
        no: &str,
    ) -> Result<(Vec<Weighed>, PrefixCounts), Error> {
        let jobs: Vec<Job> = texts.iter().map(|text| Job::of_one_token(text)).collect();
        let (weighed, used) = self
            .all(&jobs, |answer, _| Ok((wire::weighed(answer, yes, no)?, wire::usage(answer))))?;
        Ok((weighed.into_iter().map(|one| one.unwrap_or_else(Weighed::unread)).collect(), used))
    }

    /// Whether a text leaves room for so many tokens in the context, as far as the server tells.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub(crate) fn fits(&self, text: &str, tokens: usize) -> Result<bool, Error> {
        let Some(context) = self.context else { return Ok(true) };
        // No token is less than a byte, but for one at the beginning.
        if text.len() + 1 + tokens < context {
            return Ok(true);
        }
        match self.length(text) {
            Ok(length) => Ok(length.is_none_or(|length| length + tokens < context)),
            Err(Error::TooLong { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// The tokens of a text, if the server tells.
    pub(crate) fn length(&self, text: &str) -> Result<Option<usize>, Error> {
        let job = Job { likeliest: 1, ..Job::of_one_token(text) };
        let answer =
            self.patiently(|| self.post("completions", &job.body(&self.model, self.extended)))?;
        Ok(wire::prompt_tokens(&answer))
    }

    /// Sends all jobs, and gives what `read` makes of the answers, in the order of the jobs; nothing of texts that are over
    /// the context.
    fn all<T: Send>(
        &self,
        jobs: &[Job],
        read: impl Fn(&Value, &Job) -> Result<(T, PrefixCounts), Fault> + Sync,
    ) -> Result<(Vec<Option<T>>, PrefixCounts), Error> {
        let next = AtomicUsize::new(0);
        let answers = Mutex::new(BTreeMap::new());
        let work = || {
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(place) else { break };
                let answer = self.one(job, &read);
                if !matches!(answer, Ok(_) | Err(Error::TooLong { .. })) {
                    // The others finish what they have begun.
                    next.store(jobs.len(), Ordering::Relaxed);
                }
                let mut answers = answers.lock().expect("no thread panics while it holds the lock");
                answers.insert(place, answer);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.options.requests.min(jobs.len()) {
                scope.spawn(work);
            }
            work();
        });
        let answers = answers.into_inner().expect("no thread panics while it holds the lock");
        let (mut all, mut usage) = (Vec::with_capacity(jobs.len()), PrefixCounts::default());
        let mut too_long = None;
        for answer in answers.into_values() {
            match answer {
                Ok((answer, used)) => {
                    all.push(Some(answer));
                    usage += used;
                }
                Err(Error::TooLong { problem, .. }) => {
                    all.push(None);
                    too_long = Some(problem);
                }
                Err(other) => return Err(other),
            }
        }
        if let Some(problem) = too_long {
            let (count, of) = (all.iter().filter(|one| one.is_none()).count(), all.len());
            tracing::warn!(
                "{}: {count} of {of} texts are over its context, and skipped: {problem}",
                self.address
            );
        }
        Ok((all, usage))
    }

    /// Carries out one job, again after faults that may pass.
    fn one<T>(
        &self,
        job: &Job,
        read: impl Fn(&Value, &Job) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        if job.needs_extended() && !self.extended {
            let (address, problem) = (self.address.clone(), "it takes no `top_k`".to_owned());
            return Err(Error::Refused { address, problem });
        }
        let ask = |job: &Job| {
            self.patiently(|| {
                let answer = self.post("completions", &job.body(&self.model, self.extended))?;
                read(&answer, job)
            })
        };
        match ask(job) {
            Err(Error::TooLong { address, problem }) => match self.shortened(job, &problem)? {
                Some(shorter) => ask(&shorter),
                None => Err(Error::TooLong { address, problem }),
            },
            answer => answer,
        }
    }

    /// A job with as many tokens as the context has left after its text. Some servers refuse what might be too long, and say
    /// what their context is only then.
    fn shortened(&self, job: &Job, problem: &str) -> Result<Option<Job>, Error> {
        let context = self.context.or_else(|| faults::context(problem));
        let Some(context) = context.filter(|_| job.max_tokens > 1) else { return Ok(None) };
        let length = match self.length(&job.prompt) {
            Err(Error::TooLong { .. }) => None,
            length => length?,
        };
        let left = length.and_then(|length| context.checked_sub(length)).unwrap_or(0);
        let shorter = Job { max_tokens: left, ..job.clone() };
        Ok((1..job.max_tokens).contains(&left).then_some(shorter))
    }

    /// Tries until it works, or does not pass, or was tried often enough.
    fn patiently<T>(&self, attempt: impl Fn() -> Result<T, Fault>) -> Result<T, Error> {
        let address = || self.address.clone();
        let mut pause = self.options.pause;
        for tried in 1.. {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(Fault::Lasting(problem)) => return Err(self.refused(problem)),
                Err(Fault::TooLong(problem)) => {
                    return Err(Error::TooLong {
                        address: address(),
                        problem: printable(&problem),
                    });
                }
                Err(Fault::Passing { problem, .. }) if tried >= self.options.attempts => {
                    let problem = format!("{} (asked {tried} times)", printable(&problem));
                    return Err(Error::Unavailable { address: address(), problem });
                }
                Err(Fault::Passing { problem, after }) => {
                    let wait = after.unwrap_or(pause).min(LONGEST_PAUSE);
                    let problem = printable(&problem);
                    tracing::warn!("{}: {problem}; asking again in {wait:?}", self.address);
                    std::thread::sleep(wait);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        unreachable!("attempts are finite")
    }

    fn get(&self, path: &str) -> Result<Value, Fault> {
        let request = self.agent.get(format!("{}/{path}", self.address));
        faults::answer(self.authorized(request).call()).map_err(|fault| self.masked(fault))
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        let request = self.agent.post(format!("{}/{path}", self.address));
        let request = self.authorized(request).header("content-type", "application/json");
        faults::answer(request.send(body.to_string())).map_err(|fault| self.masked(fault))
    }

    /// A fault without the key, which a server may have said again.
    fn masked(&self, fault: Fault) -> Fault {
        let Some(Key(key)) = &self.key else { return fault };
        let mask = |text: String| text.replace(key.as_str(), "(hidden)");
        match fault {
            Fault::Passing { problem, after } => Fault::Passing { problem: mask(problem), after },
            Fault::Lasting(problem) => Fault::Lasting(mask(problem)),
            Fault::TooLong(problem) => Fault::TooLong(mask(problem)),
        }
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.key {
            Some(Key(key)) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        }
    }
}

/// The host of an address that has more beside it that may be secret: a user and a password, or a query.
fn with_secrets(address: &str) -> Option<&str> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (host.len() < authority.len() || path.contains('?')).then_some(host)
}

/// Whether an address is this machine's own.
fn is_here(address: &str) -> bool {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| host.starts_with(own))
}

#[cfg(test)]
mod tests;
