//! A policy behind an OpenAI-compatible server, such as vLLM, SGLang or llama.cpp.
//!
//! Servers differ in the settings they ignore and the fields they omit, so nothing is assumed: [`Server::connect`] tests
//! every feature that is needed and refuses a server that lacks one, with a message that names it. Transient faults are
//! retried; permanent ones end the run, and the parts written by then remain valid.

mod adapters;
mod faults;
mod probe;
mod request;
mod slots;
mod wire;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lm::engine::StopReason;
use lm::prefix::PrefixCounts;
use serde_json::Value;

use crate::draft::Draft;
use crate::{Error, Weighed};
use faults::{Fault, printable};
use slots::Slots;

pub(crate) use request::{CompletionRequest, CompletionRequests};

/// How requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerOptions {
    /// Maximum number of concurrent requests, at least 1.
    pub requests: usize,
    /// Attempts per request before its fault ends the run, at least 1.
    pub attempts: u32,
    /// Timeout for one request.
    pub timeout: Duration,
    /// Wait before the second attempt. It doubles with each further attempt, up to two minutes.
    pub pause: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        let (timeout, pause) = (Duration::from_mins(10), Duration::from_secs(1));
        Self { requests: 32, attempts: 8, timeout, pause }
    }
}

/// Longest wait between two attempts, whatever `Retry-After` says.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);
/// Longest wait for a connection.
const TO_CONNECT: Duration = Duration::from_secs(20);
/// Attempts per request while connecting, or while another server can answer.
const AT_FIRST: u32 = 3;
/// Largest response body that is read, in bytes.
const LARGEST_ANSWER: u64 = 64 << 20;

/// A model behind a server.
#[derive(Debug, Clone)]
pub struct Server {
    agent: ureq::Agent,
    /// Base URL up to and including `/v1`, without a trailing slash.
    address: String,
    model: String,
    key: Option<Key>,
    options: ServerOptions,
    /// The requests under way, of all clones together.
    slots: Arc<Slots>,
    /// Whether the server accepts sampling settings beyond OpenAI's, such as `top_k`.
    extended: bool,
    repeats: bool,
    /// Context length in tokens (prompt plus completion), if `/models` reports it.
    context: Option<usize>,
}

/// The API key. `Debug` does not print it.
#[derive(Clone)]
struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Server {
    /// Connects to a server at `http://host:port/v1` and tests it. Append `#model` to the address if the server has
    /// several models. The key is sent as a bearer token.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the server does not answer; [`Error::Refused`] names the feature it lacks, or says that
    /// the address contains a key.
    pub fn connect(
        address: &str,
        key: Option<String>,
        options: ServerOptions,
    ) -> Result<Self, Error> {
        Self::unprobed(address, key, options)?.ready()
    }

    /// A server of which nothing is known yet.
    fn unprobed(address: &str, key: Option<String>, options: ServerOptions) -> Result<Self, Error> {
        let (address, model) = address.split_once('#').unwrap_or((address, ""));
        if let Some(host) = with_secrets(address) {
            let problem =
                "an address is written down, so it may hold no key or query: set OPENAI_API_KEY"
                    .to_owned();
            return Err(Error::Refused { address: host.to_owned(), problem });
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(options.timeout))
            // A machine that is gone does not even refuse.
            .timeout_connect(Some(options.timeout.min(TO_CONNECT)))
            // The body of an error response is needed to classify the fault.
            .http_status_as_error(false);
        // Requests to this machine bypass the proxy: a proxy is for remote hosts.
        let config = if is_here(address) { config.proxy(None) } else { config };
        Ok(Self {
            agent: config.build().into(),
            address: address.trim_end_matches('/').to_owned(),
            model: model.to_owned(),
            key: key.map(Key),
            options,
            slots: Arc::new(Slots::new(options.requests)),
            extended: true,
            repeats: true,
            context: None,
        })
    }

    /// The server, tested.
    fn ready(self) -> Result<Self, Error> {
        let options = self.options;
        // Fail fast at startup: a wrong address should not wait through all the retries of a long run.
        let patience = ServerOptions { attempts: options.attempts.min(AT_FIRST), ..options };
        let server = Self { options: patience, ..self };
        Ok(Self { options, ..server.probed()? })
    }

    /// The same server, for a caller that has others to ask: it gives up sooner.
    pub(crate) fn impatient(&self) -> Self {
        let attempts = self.options.attempts.min(AT_FIRST);
        Self { options: ServerOptions { attempts, ..self.options }, ..self.clone() }
    }

    /// The model's name on the server.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The server's base URL.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Maximum number of concurrent requests.
    pub(crate) fn requests(&self) -> usize {
        self.options.requests.max(1)
    }

    /// Whether the server gave the same answer to the same request with the same seed.
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    /// Runs all requests, several at a time; results are in request order. A prompt that exceeds the context gets an empty
    /// completion with the stop reason `length`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Refused`]; if several requests fail, the error of the first.
    pub(crate) fn complete(
        &self,
        requests: &[CompletionRequest],
    ) -> Result<(Vec<Vec<Draft>>, PrefixCounts), Error> {
        let (completions, used) = self.all(requests, |answer, request| {
            Ok((wire::drafts(answer, request)?, wire::usage(answer)))
        })?;
        let nothing = Draft { stop: Some(StopReason::Length), ..Draft::default() };
        let filled = completions.into_iter().zip(requests);
        let filled = filled.map(|(drafts, request)| {
            drafts.unwrap_or_else(|| vec![nothing.clone(); request.count])
        });
        Ok((filled.collect(), used))
    }

    /// Returns the relative probability of `yes` and `no` after the text of every request for one token, estimated from the likeliest tokens that the
    /// server lists.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub(crate) fn choose(
        &self,
        requests: &[CompletionRequest],
        yes: &str,
        no: &str,
    ) -> Result<(Vec<Weighed>, PrefixCounts), Error> {
        let (weighed, used) = self.all(requests, |answer, _| {
            Ok((wire::weighed(answer, yes, no)?, wire::usage(answer)))
        })?;
        Ok((weighed.into_iter().map(|one| one.unwrap_or_else(Weighed::unread)).collect(), used))
    }

    /// Whether a text leaves room for `tokens` more tokens in the context. True if the server does not report its
    /// context.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub(crate) fn fits(&self, text: &str, tokens: usize) -> Result<bool, Error> {
        let Some(context) = self.context else { return Ok(true) };
        // A token is at least one byte (plus one token for the start of text), so a short text fits without asking the
        // server.
        if text.len() + 1 + tokens < context {
            return Ok(true);
        }
        match self.length(text) {
            Ok(length) => Ok(length.is_none_or(|length| length + tokens < context)),
            Err(Error::TooLong { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Length of a text in tokens, if the server reports it.
    pub(crate) fn length(&self, text: &str) -> Result<Option<usize>, Error> {
        let request = CompletionRequest { likeliest: 1, ..CompletionRequest::of_one_token(text) };
        let answer = self.patiently(|| self.completion(&request))?;
        Ok(wire::prompt_tokens(&answer))
    }

    /// Sends all requests and returns what `read` makes of each answer, in request order; `None` for texts that exceed the
    /// context.
    fn all<T: Send>(
        &self,
        requests: &[CompletionRequest],
        read: impl Fn(&Value, &CompletionRequest) -> Result<(T, PrefixCounts), Fault> + Sync,
    ) -> Result<(Vec<Option<T>>, PrefixCounts), Error> {
        let next = AtomicUsize::new(0);
        let answers = Mutex::new(BTreeMap::new());
        let work = || {
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = requests.get(place) else { break };
                let answer = self.one(request, &read);
                if !matches!(answer, Ok(_) | Err(Error::TooLong { .. })) {
                    // Stop handing out requests after a failure. Requests already in flight finish.
                    next.store(requests.len(), Ordering::Relaxed);
                }
                let mut answers = answers.lock().expect("no thread panics while it holds the lock");
                answers.insert(place, answer);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.options.requests.min(requests.len()) {
                scope.spawn(work);
            }
            work();
        });
        let answers = answers.into_inner().expect("no thread panics while it holds the lock");
        let (mut all, mut usage) = (Vec::with_capacity(requests.len()), PrefixCounts::default());
        // One warning with a count for the batch, rather than one per text.
        let mut too_long = None;
        // The map is ordered by position, so the error returned is the first request's.
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

    /// Runs one request, with retries for transient faults.
    fn one<T>(
        &self,
        request: &CompletionRequest,
        read: impl Fn(&Value, &CompletionRequest) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        // Without `top_k` the server would silently sample from another distribution.
        if request.needs_extended() && !self.extended {
            let (address, problem) = (self.address.clone(), "it takes no `top_k`".to_owned());
            return Err(Error::Refused { address, problem });
        }
        let ask = |request: &CompletionRequest| {
            self.patiently(|| read(&self.completion(request)?, request))
        };
        match ask(request) {
            Err(Error::TooLong { address, problem }) => match self.shortened(request, &problem)? {
                Some(shorter) => ask(&shorter),
                None => Err(Error::TooLong { address, problem }),
            },
            answer => answer,
        }
    }

    /// Returns the request with `max_tokens` reduced to the room left in the context, if there is any. Some servers refuse a
    /// request that might exceed the context, and only then report its length.
    fn shortened(
        &self,
        request: &CompletionRequest,
        problem: &str,
    ) -> Result<Option<CompletionRequest>, Error> {
        let context = self.context.or_else(|| faults::context(problem));
        // A request for a single token cannot be shortened.
        let Some(context) = context.filter(|_| request.max_tokens > 1) else { return Ok(None) };
        let length = match self.length(&request.prompt) {
            Err(Error::TooLong { .. }) => None,
            length => length?,
        };
        let left = length.and_then(|length| context.checked_sub(length)).unwrap_or(0);
        let shorter = CompletionRequest { max_tokens: left, ..request.clone() };
        Ok((1..request.max_tokens).contains(&left).then_some(shorter))
    }

    /// Retries `attempt` until it succeeds, fails permanently, or the attempts are used up.
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
                    // `Retry-After` overrides the backoff, but a broken server must not stall the run for hours.
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

    /// Sends one request for completions.
    fn completion(&self, request: &CompletionRequest) -> Result<Value, Fault> {
        self.completion_with(request, self.extended)
    }

    fn completion_with(&self, request: &CompletionRequest, extended: bool) -> Result<Value, Fault> {
        let _slot = self.slots.take();
        let session = format!("{:016x}", request.session);
        let mut post = self.post("completions");
        // What routers of vLLM and of SGLang keep a session on one server by.
        for name in ["x-session-id", "x-smg-routing-key"] {
            post = post.header(name, &session);
        }
        let sent = post.send(request.body(&self.model, extended).to_string());
        faults::answer(sent).map_err(|fault| self.masked(fault))
    }

    fn post(&self, path: &str) -> ureq::RequestBuilder<ureq::typestate::WithBody> {
        let request = self.agent.post(format!("{}/{path}", self.address));
        self.authorized(request).header("content-type", "application/json")
    }

    /// Replaces the key in a fault's text, since a server may echo the request headers.
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

/// The host of an address that contains user info or a query, either of which may be a secret; `None` for a clean
/// address.
fn with_secrets(address: &str) -> Option<&str> {
    let (authority, path) = parts(address);
    let host = without_user(authority);
    (host.len() < authority.len() || path.contains('?')).then_some(host)
}

/// Splits an address without its scheme before the path or the query.
fn parts(address: &str) -> (&str, &str) {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()))
}

/// The host and the port, without the user info before them.
fn without_user(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Whether an address points to this machine. The host is compared as a whole, because `localhost.example.com` is another
/// machine.
fn is_here(address: &str) -> bool {
    let host = without_user(parts(address).0);
    let (name, port) = match host.strip_prefix('[') {
        // The colons of an IPv6 address are in brackets and do not begin a port.
        Some(bracketed) => bracketed.split_once(']').unwrap_or((bracketed, "")),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let own = ["localhost", "127.0.0.1", "::1"].iter().any(|own| name.eq_ignore_ascii_case(own));
    own && (port.is_empty() || port.starts_with(':'))
}

#[cfg(test)]
mod tests;
