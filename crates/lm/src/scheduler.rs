//! Continuous batching: the rows of all callers go through the model together, and each leaves as soon as it is done.
//!
//! Callers hand in [`Job`]s and wait for their own results. The threads here take rows in whenever there is room, between
//! any two passes through the model, so that no caller waits for the rows of another.

mod batch;
mod lookup;
mod packed;
mod padded;
mod row;

use std::collections::VecDeque;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use kernels::Team;

use self::packed::PackedWorker;
use self::padded::PaddedWorker;
pub(crate) use self::row::Context;
use crate::engine::EngineOptions;
use crate::inference::Inference;
use crate::job::{Job, JobResult};

/// The threads that run a model's jobs. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Scheduler {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

/// A job, and where its result goes: with the index that the caller knows it by.
struct Ticket {
    job: Job,
    index: usize,
    reply: Sender<(usize, JobResult)>,
}

/// The jobs that wait for a thread.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// Signalled when jobs come in, and at the end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Ticket>,
    /// Number of rows that the threads have taken and not finished.
    running: usize,
    closed: bool,
}

impl Scheduler {
    /// Starts the threads: one that leads the team if it is one of several, otherwise a worker for each model.
    pub(crate) fn start(
        models: Vec<Inference>,
        context: &Context,
        options: EngineOptions,
        team: &Team,
    ) -> Self {
        let queue = Arc::<Queue>::default();
        let workers = models.len();
        let start = |model: Inference| {
            let (queue, context, team) = (queue.clone(), context.clone(), team.clone());
            let rows = options.rows.max(1) * team.size();
            std::thread::spawn(move || {
                // Also on a panic: then nobody waits for ever.
                let _closing = Closing(queue.clone());
                let share = Share { queue, workers, rows };
                match model {
                    Inference::Packed(decoder) => {
                        let lead = team.clone();
                        lead.lead(|| PackedWorker::new(&decoder, context, team).run(&share));
                    }
                    Inference::Padded(decoder) => PaddedWorker::new(&decoder, context).run(&share),
                }
            })
        };
        let threads = models.into_iter().map(start).collect();
        Self { queue, threads }
    }

    /// Runs jobs and waits for them. Returns their results in the order of the jobs.
    ///
    /// # Panics
    /// Panics if a thread has.
    pub(crate) fn run(&self, jobs: Vec<Job>) -> Vec<JobResult> {
        let (reply, replies) = channel();
        let mut done: Vec<Option<JobResult>> = jobs.iter().map(|_| None).collect();
        let tickets = jobs.into_iter().enumerate();
        let tickets = tickets.map(|(index, job)| Ticket { job, index, reply: reply.clone() });
        self.queue.add(tickets);
        drop(reply);
        for (index, result) in replies {
            done[index] = Some(result);
        }
        done.into_iter().map(|done| done.expect("no thread of an engine panics")).collect()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so, and its callers have panicked, too.
            drop(thread.join());
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }

    fn add(&self, tickets: impl Iterator<Item = Ticket>) {
        let mut state = self.lock();
        // Where no thread is left, tickets are dropped, and with them the callers' hope of a reply.
        if !state.closed {
            state.waiting.extend(tickets);
        }
        drop(state);
        self.changed.notify_all();
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.changed.notify_all();
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// Closes the queue when a thread ends.
struct Closing(Arc<Queue>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A worker's share of the jobs.
struct Share {
    queue: Arc<Queue>,
    /// Number of workers.
    workers: usize,
    /// Maximum number of rows that a worker runs at once.
    rows: usize,
}

impl Share {
    /// Says that rows are finished and takes new ones: as many as keep all workers equally busy, but no more tokens than
    /// a pass should read. `own` is the number of rows that the worker goes on with; without any, it waits for some.
    /// `None` at the end.
    fn take(&self, finished: usize, own: usize, pass_tokens: usize) -> Option<Vec<Ticket>> {
        let mut state = self.queue.lock();
        state.running -= finished;
        while state.waiting.is_empty() && own == 0 {
            if state.closed {
                return None;
            }
            state = self.queue.changed.wait(state).expect("nothing panics while it holds the lock");
        }
        let even = |all: usize| all.div_ceil(self.workers).max(1);
        let rows = even(state.running + state.waiting.len()).min(self.rows);
        let tokens: usize = state.waiting.iter().map(|ticket| ticket.job.tokens.len()).sum();
        let mut tokens = even(tokens).min(pass_tokens);
        let mut taken = Vec::new();
        while own + taken.len() < rows
            && tokens > 0
            && let Some(ticket) = state.waiting.pop_front()
        {
            tokens = tokens.saturating_sub(ticket.job.tokens.len());
            taken.push(ticket);
        }
        state.running += taken.len();
        Some(taken)
    }

    /// The same for a worker that takes no rows in meanwhile: it waits for a job, and takes those for which `like` holds
    /// beside the first, at most `most(&first)` in all.
    fn take_like(
        &self,
        finished: usize,
        like: impl Fn(&Job, &Job) -> bool,
        most: impl Fn(&Job) -> usize,
    ) -> Option<Vec<Ticket>> {
        let mut taken = self.take(finished, 0, 1)?;
        let mut state = self.queue.lock();
        let Some(first) = taken.pop() else { return Some(taken) };
        let rows = state.waiting.len().div_ceil(self.workers) + 1;
        let rows = rows.min(self.rows).min(most(&first.job));
        let (mut alike, mut others) = (vec![first], VecDeque::new());
        for ticket in std::mem::take(&mut state.waiting) {
            if alike.len() < rows && like(&alike[0].job, &ticket.job) {
                alike.push(ticket);
            } else {
                others.push_back(ticket);
            }
        }
        state.waiting = others;
        state.running += alike.len() - 1;
        Some(alike)
    }
}

impl Ticket {
    /// Sends the result. A caller that is gone does not need it.
    fn answer(&self, done: JobResult) {
        self.reply.send((self.index, done)).unwrap_or_default();
    }
}
