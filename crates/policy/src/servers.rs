//! Several servers of one model. All requests about a question go to one of them, where what was read of it stays in the cache. A
//! server that stops answering hands its questions on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use lm::prefix::PrefixCounts;

use crate::draft::Draft;
use crate::server::{CompletionRequest, Server};
use crate::{Error, PromptFormat, PromptText, Weighed};

/// How long a server that did not answer is left alone.
const AWAY: Duration = Duration::from_mins(2);

/// Servers of one model, at least one.
#[derive(Debug, Clone)]
pub struct Servers {
    all: Vec<Server>,
    /// When a server that did not answer is asked again, by its place. Clones know of each other's.
    away: Arc<Mutex<BTreeMap<usize, Instant>>>,
}

impl From<Server> for Servers {
    fn from(server: Server) -> Self {
        Self { all: vec![server], away: Arc::default() }
    }
}

impl Servers {
    /// Joins servers of the same model.
    ///
    /// # Errors
    /// [`Error::Refused`] names a server whose model has another name than that of the first, or says that there is none.
    pub fn join(all: Vec<Server>) -> Result<Self, Error> {
        let Some(first) = all.first() else {
            let problem = "no server is named".to_owned();
            return Err(Error::Refused { address: "servers".to_owned(), problem });
        };
        if let Some(other) = all.iter().find(|server| server.model() != first.model()) {
            let (address, model) = (other.address().to_owned(), other.model());
            let problem =
                format!("its model is {model}, and that of {} {}", first.address(), first.model());
            return Err(Error::Refused { address, problem });
        }
        Ok(Self { all, away: Arc::default() })
    }

    /// The model's name on the servers.
    pub fn model(&self) -> &str {
        self.all[0].model()
    }

    /// The servers' base URLs, with commas between them.
    pub fn address(&self) -> String {
        let addresses: Vec<&str> = self.all.iter().map(Server::address).collect();
        addresses.join(",")
    }

    /// Checks that every server returns log-probabilities of alternative tokens, which a critic in words needs.
    ///
    /// # Errors
    /// [`Error::Refused`] if one does not, [`Error::Unavailable`] if it does not answer.
    pub fn require_likeliest(&self) -> Result<(), Error> {
        self.all.iter().try_for_each(Server::require_likeliest)
    }

    /// Maximum number of concurrent requests to all servers together.
    pub(crate) fn requests(&self) -> usize {
        self.all.iter().map(Server::requests).sum()
    }

    /// As [`Server::reads_marks`], of the first server: all have the same model.
    pub(crate) fn reads_marks(
        &self,
        format: &PromptFormat,
        prompt: &PromptText,
    ) -> Result<(), Error> {
        self.all[0].reads_marks(format, prompt)
    }

    /// Whether a text leaves room for `tokens` more tokens in the context of every server.
    pub(crate) fn fits(&self, text: &str, tokens: usize) -> Result<bool, Error> {
        for server in &self.all {
            if !server.fits(text, tokens)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// As [`Server::complete`].
    pub(crate) fn complete(
        &self,
        requests: &[CompletionRequest],
    ) -> Result<(Vec<Vec<Draft>>, PrefixCounts), Error> {
        self.spread(requests, Server::complete)
    }

    /// As [`Server::choose`].
    pub(crate) fn choose(
        &self,
        requests: &[CompletionRequest],
        yes: &str,
        no: &str,
    ) -> Result<(Vec<Weighed>, PrefixCounts), Error> {
        self.spread(requests, |server, requests| server.choose(requests, yes, no))
    }

    /// Sends every request to the home of its question, and those of a server that does not answer to another one. Results are in
    /// request order.
    fn spread<T: Send>(
        &self,
        requests: &[CompletionRequest],
        ask: impl Fn(&Server, &[CompletionRequest]) -> Result<(Vec<T>, PrefixCounts), Error> + Sync,
    ) -> Result<(Vec<T>, PrefixCounts), Error> {
        if let [only] = self.all.as_slice() {
            return ask(only, requests);
        }
        let (mut answers, mut usage) = (BTreeMap::new(), PrefixCounts::default());
        let mut open: Vec<usize> = (0..requests.len()).collect();
        while !open.is_empty() {
            let mut homes = BTreeMap::<usize, Vec<usize>>::new();
            for &place in &open {
                // If all were away before these requests, the first is asked how it is.
                let home = self.home(requests[place].session).unwrap_or(0);
                homes.entry(home).or_default().push(place);
            }
            open.clear();
            for (home, places, answered) in self.asked(&homes, requests, &ask) {
                match answered {
                    Ok((all, used)) => {
                        self.away().remove(&home);
                        answers.extend(places.iter().copied().zip(all));
                        usage += used;
                    }
                    Err(error @ Error::Unavailable { .. }) => {
                        self.leave(home, &error);
                        if self.home(0).is_none() {
                            return Err(error);
                        }
                        open.extend(places);
                    }
                    Err(other) => return Err(other),
                }
            }
        }
        Ok((answers.into_values().collect(), usage))
    }

    /// Asks several servers at once; results are in the order of the servers.
    fn asked<'h, T: Send>(
        &self,
        homes: &'h BTreeMap<usize, Vec<usize>>,
        requests: &[CompletionRequest],
        ask: &(impl Fn(&Server, &[CompletionRequest]) -> Result<T, Error> + Sync),
    ) -> Vec<(usize, &'h [usize], Result<T, Error>)> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = homes
                .iter()
                .map(|(&home, places)| {
                    let group: Vec<_> = places.iter().map(|&at| requests[at].clone()).collect();
                    let server = &self.all[home];
                    (home, places.as_slice(), scope.spawn(move || ask(server, &group)))
                })
                .collect();
            let joined = threads.into_iter().map(|(home, places, thread)| {
                (home, places, thread.join().expect("asking a server does not panic"))
            });
            joined.collect()
        })
    }

    /// The server of a question: of those that answer, the one of the greatest hash. When a server goes or comes back, only its
    /// own questions move. `None` if no server answers.
    fn home(&self, session: u64) -> Option<usize> {
        let mut away = self.away();
        away.retain(|_, until| *until > Instant::now());
        let here = (0..self.all.len()).filter(|place| !away.contains_key(place));
        here.max_by_key(|&place| mixed(session, place as u64))
    }

    fn leave(&self, place: usize, error: &Error) {
        let known = self.away().insert(place, Instant::now() + AWAY);
        if known.is_none() {
            tracing::warn!("{error}; its questions go to the other servers");
        }
    }

    fn away(&self) -> MutexGuard<'_, BTreeMap<usize, Instant>> {
        self.away.lock().expect("nothing panics while it holds the lock")
    }
}

/// A hash of two numbers, the finalizer of `SplitMix64`.
fn mixed(session: u64, place: u64) -> u64 {
    let mut hash = session ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}
