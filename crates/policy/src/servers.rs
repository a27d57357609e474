//! Several servers of one model. All requests about a question go to one of them, so that their common beginning stays in that server's
//! cache. The questions of a server that stops answering go to the others.

use std::collections::{BTreeMap, BTreeSet};
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

    /// As [`Server::reads_marks`], of one server: all have the same model.
    pub(crate) fn reads_marks(
        &self,
        format: &PromptFormat,
        prompt: &PromptText,
    ) -> Result<(), Error> {
        self.any(|server| server.reads_marks(format, prompt))
    }

    /// As [`Server::fits`], of one server: all are taken to be started alike.
    pub(crate) fn fits(&self, text: &str, tokens: usize) -> Result<bool, Error> {
        self.any(|server| server.fits(text, tokens))
    }

    /// Asks one server, and another one if it does not answer.
    fn any<T>(&self, ask: impl Fn(&Server) -> Result<T, Error>) -> Result<T, Error> {
        let mut tried = BTreeSet::new();
        loop {
            let home = self.home(0, &tried);
            match ask(&self.server(home, &tried)) {
                Err(error @ Error::Unavailable { .. }) => self.leave(home, error, &mut tried)?,
                answer => return answer,
            }
        }
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
        let (mut open, mut tried) = ((0..requests.len()).collect::<Vec<_>>(), BTreeSet::new());
        while !open.is_empty() {
            let mut homes = BTreeMap::<usize, Vec<usize>>::new();
            for place in open.drain(..) {
                let home = self.home(requests[place].session, &tried);
                homes.entry(home).or_default().push(place);
            }
            let group = |(&home, places): (&usize, &Vec<usize>)| {
                let group = places.iter().map(|&place| requests[place].clone()).collect();
                (self.server(home, &tried), group)
            };
            let answers_of = asked(homes.iter().map(group).collect(), &ask);
            for ((home, places), answered) in homes.into_iter().zip(answers_of) {
                match answered {
                    Ok((all, used)) => {
                        self.away().remove(&home);
                        answers.extend(places.into_iter().zip(all));
                        usage += used;
                    }
                    Err(error @ Error::Unavailable { .. }) => {
                        self.leave(home, error, &mut tried)?;
                        open.extend(places);
                    }
                    Err(other) => return Err(other),
                }
            }
        }
        Ok((answers.into_values().collect(), usage))
    }

    /// The server of a question: of those that answer, the one of the greatest hash. When a server goes or comes back, only its
    /// own questions move. Servers that were tried in vain are left out; if no other answers, one of which nothing is known for a
    /// while is asked how it is.
    fn home(&self, session: u64, tried: &BTreeSet<usize>) -> usize {
        let mut away = self.away();
        away.retain(|_, until| *until > Instant::now());
        let left = (0..self.all.len()).filter(|place| !tried.contains(place));
        let here = |place: usize| !away.contains_key(&place);
        let best = left.max_by_key(|&place| (here(place), mixed(session, place as u64)));
        best.expect("`leave` ends the call when all were tried")
    }

    /// A server, less patient if others could answer in its place.
    fn server(&self, place: usize, tried: &BTreeSet<usize>) -> Server {
        let last = tried.len() + 1 >= self.all.len();
        let server = &self.all[place];
        if last { server.clone() } else { server.impatient() }
    }

    /// Notes that a server does not answer. Fails with its error if no other one is left to be tried.
    fn leave(&self, place: usize, error: Error, tried: &mut BTreeSet<usize>) -> Result<(), Error> {
        let known = self.away().insert(place, Instant::now() + AWAY);
        tried.insert(place);
        if tried.len() == self.all.len() {
            return Err(error);
        }
        if known.is_none() {
            tracing::warn!("{error}; its questions go to the other servers");
        }
        Ok(())
    }

    fn away(&self) -> MutexGuard<'_, BTreeMap<usize, Instant>> {
        self.away.lock().expect("nothing panics while it holds the lock")
    }
}

/// Sends requests to several servers at once; answers are in their order.
fn asked<T: Send>(
    groups: Vec<(Server, Vec<CompletionRequest>)>,
    ask: &(impl Fn(&Server, &[CompletionRequest]) -> Result<T, Error> + Sync),
) -> Vec<Result<T, Error>> {
    std::thread::scope(|scope| {
        let start = |(server, group): (Server, Vec<CompletionRequest>)| {
            scope.spawn(move || ask(&server, &group))
        };
        let threads: Vec<_> = groups.into_iter().map(start).collect();
        let answers = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        answers.map(|answer| answer.expect("asking a server does not panic")).collect()
    })
}

/// A hash of two numbers, the finalizer of `SplitMix64`.
fn mixed(session: u64, place: u64) -> u64 {
    let mut hash = session ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}
