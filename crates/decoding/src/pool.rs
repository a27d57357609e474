//! Which trees are under way: all of them, or as many as the memory for keys and values holds.

use std::collections::VecDeque;

use mcts::Request;

use crate::memory::Memory;
use crate::search::Run;

/// So many trees begin together before it is known what a tree needs.
const FIRST: usize = 8;

/// Trees that wait, and trees that are under way.
pub(crate) struct Pool<'a> {
    waiting: VecDeque<Run<'a>>,
    pub(crate) open: Vec<Run<'a>>,
    /// In bytes.
    limit: Option<u64>,
    /// The most bytes that a tree was seen to need.
    largest: u64,
}

impl<'a> Pool<'a> {
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self { waiting: VecDeque::new(), open: Vec::new(), limit, largest: 0 }
    }

    /// A tree that waits behind the others.
    pub(crate) fn wait(&mut self, run: Run<'a>) {
        self.waiting.push_back(run);
    }

    /// Begins, or takes up again, as many trees as there is room for if all need what the largest did; one at least.
    pub(crate) fn admit(&mut self) {
        let room = match (self.limit, self.largest) {
            (None, _) => usize::MAX,
            (Some(_), 0) => FIRST,
            (Some(limit), largest) => usize::try_from(limit / largest).unwrap_or(usize::MAX),
        };
        while self.open.len() < room.max(1)
            && let Some(run) = self.waiting.pop_front()
        {
            self.open.push(run);
        }
    }

    /// All trees that are not done.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run<'a>> {
        self.open.iter().chain(&self.waiting)
    }

    /// Takes out the trees that are done.
    pub(crate) fn close(&mut self) -> Vec<Run<'a>> {
        let all = std::mem::take(&mut self.open).into_iter();
        let (done, open) = all.partition(|run| matches!(run.tree.request(), Request::Done(_)));
        self.open = open;
        done
    }

    /// Sends the trees that came last back to wait, until what is kept of the others is within the limit.
    pub(crate) fn make_room(&mut self, memory: &mut Memory) {
        let Some(limit) = self.limit else { return };
        let mut kept = memory.bytes();
        for run in &self.open {
            self.largest = self.largest.max(memory.bytes_of(run.question.text));
        }
        while kept > limit
            && self.open.len() > 1
            && let Some(run) = self.open.pop()
        {
            memory.evict(run.question.text);
            self.waiting.push_front(run);
            kept = memory.bytes();
        }
    }
}
