//! Decodes many questions concurrently, each on a thread of its own.
//!
//! A question goes on as soon as its own requests have been answered. An engine batches the requests of all threads, and a
//! server gets them in parallel, so more questions in progress use a model better.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard};

use crate::memory::{Cost, Costed, Memory};
use crate::{Error, Question, Sampler, SearchProgress};

/// Number of questions started together before it is known how much cache one needs.
const FIRST: usize = 8;

/// A question in progress. Its room for a KV cache is free again when this is dropped, even by a panic: the others may be
/// waiting for it.
pub(crate) struct InProgress<'a> {
    pub(crate) memory: Memory,
    /// Index of the question.
    index: usize,
    text: &'a str,
    cache: &'a Cache,
    progress: Sender<SearchProgress>,
    /// Progress as last reported. The next report sends the difference.
    reported: SearchProgress,
}

impl Sampler {
    /// Calls `run` for every question. Results are in order.
    ///
    /// # Errors
    /// Of the questions that fail, the error of the first.
    pub(crate) fn for_each_question<'q, T: Send>(
        &self,
        questions: &'q [Question<'q>],
        watch: &mut dyn FnMut(SearchProgress),
        run: impl Fn(&mut InProgress<'_>, Question<'q>) -> Result<T, Error> + Sync,
    ) -> Result<Costed<T>, Error> {
        let cache = Cache::new(self.kv_bytes);
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let results = Mutex::new(BTreeMap::<usize, Result<T, Error>>::new());
        let (progress, reports) = channel();
        let work = |progress: Sender<SearchProgress>| {
            while !stop.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(&question) = questions.get(index) else { break };
                cache.enter(index);
                let mut work = InProgress {
                    memory: Memory::new(&self.critic),
                    index,
                    text: question.text,
                    cache: &cache,
                    progress: progress.clone(),
                    reported: SearchProgress::default(),
                };
                let result = run(&mut work, question);
                work.finish();
                if result.is_err() {
                    // Those in progress go on: one of them may be before it in order, and fail, too.
                    stop.store(true, Ordering::Relaxed);
                }
                let mut results = results.lock().expect("nothing panics while it holds the lock");
                results.insert(index, result);
            }
        };
        let mut all = SearchProgress::default();
        std::thread::scope(|scope| {
            for _ in 0..self.policy.questions_at_once().min(questions.len()) {
                let (work, progress) = (&work, progress.clone());
                scope.spawn(move || work(progress));
            }
            // The reports end when the last thread does.
            drop(progress);
            for report in reports {
                all = all + report;
                watch(all);
            }
        });
        let results = results.into_inner().expect("nothing panics while it holds the lock");
        let results = results.into_values().collect::<Result<Vec<T>, Error>>()?;
        Ok(Costed { results, cost: cache.add_to(all.cost) })
    }
}

impl InProgress<'_> {
    /// Reports how far the question is. If the caches of all questions are too large, and this one was started last, gives
    /// up its own and waits until there is room.
    pub(crate) fn step(&mut self, now: SearchProgress) {
        let (nodes, tokens) = (now.nodes - self.reported.nodes, now.tokens - self.reported.tokens);
        let samples = now.samples - self.reported.samples;
        self.send(SearchProgress { nodes, samples, tokens, ..SearchProgress::default() });
        self.reported = now;
        if self.cache.measure(self.index, self.memory.bytes()) {
            self.memory.evict(self.text);
            self.cache.leave(self.index);
            self.cache.enter(self.index);
        }
    }

    /// Reports the end of the question and its cost.
    fn finish(self) {
        self.cache.measure(self.index, self.memory.bytes());
        let cost = self.memory.cost();
        self.send(SearchProgress { done: 1, cost, ..SearchProgress::default() });
    }

    fn send(&self, report: SearchProgress) {
        // The receiver is gone only if `watch` has panicked.
        self.progress.send(report).unwrap_or_default();
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.cache.leave(self.index);
    }
}

/// The KV caches of all questions in progress, and who may have one.
struct Cache {
    /// Limit in bytes.
    limit: Option<u64>,
    state: Mutex<State>,
    /// Signalled when there may be room.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Bytes of each question in progress, by its index.
    open: BTreeMap<usize, u64>,
    /// Questions that wait for room.
    waiting: BTreeSet<usize>,
    /// Largest cache of a question so far; `None` before the first measurement.
    largest: Option<u64>,
    /// Largest sum so far.
    most: u64,
}

impl Cache {
    fn new(limit: Option<u64>) -> Self {
        Self { limit, state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }

    /// Waits until there is room for as much as the largest question so far has needed. Questions enter in their order. One
    /// always has room.
    fn enter(&self, index: usize) {
        let mut state = self.lock();
        state.waiting.insert(index);
        while !self.has_room(&state, index) {
            state = self.changed.wait(state).expect("nothing panics while it holds the lock");
        }
        state.waiting.remove(&index);
        state.open.insert(index, 0);
        drop(state);
        // The next one may fit, too.
        self.changed.notify_all();
    }

    fn has_room(&self, state: &State, index: usize) -> bool {
        if state.waiting.first() != Some(&index) {
            return false;
        }
        match (self.limit, state.largest) {
            (None, _) => true,
            (Some(_), None) => state.open.len() < FIRST,
            (Some(limit), Some(largest)) => {
                state.open.is_empty() || (state.open.len() as u64 + 1) * largest <= limit
            }
        }
    }

    /// Notes the size of a question's cache. Returns whether it has to go: the limit is exceeded, and no question in
    /// progress was started later.
    fn measure(&self, index: usize, bytes: u64) -> bool {
        let mut state = self.lock();
        state.open.insert(index, bytes);
        let sum = state.open.values().sum();
        state.largest = state.largest.max(Some(bytes));
        state.most = state.most.max(sum);
        let last = state.open.last_key_value().is_some_and(|(&last, _)| last == index);
        self.limit.is_some_and(|limit| sum > limit) && last && state.open.len() > 1
    }

    /// Frees a question's room.
    fn leave(&self, index: usize) {
        self.lock().open.remove(&index);
        self.changed.notify_all();
    }

    /// Adds the largest size of all caches together.
    fn add_to(&self, cost: Cost) -> Cost {
        Cost { kept_bytes: self.lock().most, ..cost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_started_last_gives_way_and_comes_back_before_new_ones() {
        let cache = Cache::new(Some(100));
        (0..3).for_each(|index| cache.enter(index));
        assert!(!cache.measure(0, 60) && !cache.measure(1, 50), "too much, but not the last ones");
        assert!(cache.measure(2, 10));
        cache.leave(2);
        let has_room = |waiting: &[usize], index| {
            let mut state = cache.lock();
            state.waiting = waiting.iter().copied().collect();
            cache.has_room(&state, index)
        };
        assert!(!has_room(&[2, 3], 2), "the other two need it all");
        cache.leave(1);
        assert!(!has_room(&[2, 3], 2), "as much as the largest needs is not there");
        cache.leave(0);
        assert!(has_room(&[2, 3], 2) && !has_room(&[2, 3], 3));
        assert_eq!(cache.add_to(Cost::default()).kept_bytes, 120);
    }

    #[test]
    fn a_single_question_has_room_whatever_it_needs() {
        let cache = Cache::new(Some(1));
        cache.enter(0);
        assert!(!cache.measure(0, 500));
        cache.leave(0);
        cache.enter(1);
        assert!(!cache.measure(1, 700));
    }
}
