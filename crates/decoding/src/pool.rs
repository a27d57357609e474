//! The trees in progress: all of them, or as many as the KV cache limit allows.

use std::collections::VecDeque;

use mcts::Request;

use crate::active::ActiveSearch;
use crate::memory::Memory;

/// Number of trees started together before it is known how much cache a tree needs.
const FIRST: usize = 8;

/// Waiting trees and open trees.
pub(crate) struct Pool<'a> {
    waiting: VecDeque<ActiveSearch<'a>>,
    pub(crate) open: Vec<ActiveSearch<'a>>,
    /// Limit on the KV cache, in bytes.
    limit: Option<u64>,
    /// Largest cache of a tree so far, in bytes.
    largest: u64,
}

impl<'a> Pool<'a> {
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self { waiting: VecDeque::new(), open: Vec::new(), limit, largest: 0 }
    }

    /// Adds a tree to the end of the queue.
    pub(crate) fn wait(&mut self, search: ActiveSearch<'a>) {
        self.waiting.push_back(search);
    }

    /// Starts or resumes as many trees as fit if each needs as much as the largest so far; at least one.
    pub(crate) fn admit(&mut self) {
        let room = match (self.limit, self.largest) {
            (None, _) => usize::MAX,
            (Some(_), 0) => FIRST,
            (Some(limit), largest) => usize::try_from(limit / largest).unwrap_or(usize::MAX),
        };
        // At least one, even if it exceeds the limit: with none open the search loop ends, and the waiting trees would be lost.
        while self.open.len() < room.max(1)
            && let Some(search) = self.waiting.pop_front()
        {
            self.open.push(search);
        }
    }

    /// All unfinished trees.
    pub(crate) fn searches(&self) -> impl Iterator<Item = &ActiveSearch<'a>> {
        self.open.iter().chain(&self.waiting)
    }

    /// Removes and returns the finished trees.
    pub(crate) fn close(&mut self) -> Vec<ActiveSearch<'a>> {
        let all = std::mem::take(&mut self.open).into_iter();
        let (done, open) =
            all.partition(|search| matches!(search.tree.request(), Request::Done(_)));
        self.open = open;
        done
    }

    /// Sends the most recently opened trees back to the queue and evicts their caches, until the rest fits the limit. One
    /// tree always stays open.
    pub(crate) fn make_room(&mut self, memory: &mut Memory) {
        let Some(limit) = self.limit else { return };
        let mut kept = memory.bytes();
        for search in &self.open {
            self.largest = self.largest.max(memory.bytes_of(search.question.text));
        }
        while kept > limit
            && self.open.len() > 1
            && let Some(search) = self.open.pop()
        {
            memory.evict(search.question.text);
            // To the front: an evicted tree resumes before new ones start.
            self.waiting.push_front(search);
            kept = memory.bytes();
        }
    }
}
