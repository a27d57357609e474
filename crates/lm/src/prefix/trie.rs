//! A trie of segments, each with what was read of its tokens.

use std::ops::Range;
use std::sync::Arc;

use kernels::Kv;

/// Keys, values and scalar heads of consecutive tokens. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) kv: Arc<Kv>,
    /// `[tokens, scalar_heads]`.
    pub(crate) heads: Arc<[f32]>,
}

/// Segments in the order they were added. A segment is never removed, so an index stays valid.
#[derive(Debug, Default)]
pub(super) struct Trie {
    pub(super) segments: Vec<Segment>,
    /// Segments without a parent. `Branch::after` counts the tokens of the shared prefix before them.
    roots: Vec<Branch>,
    /// Size of all keys, values and heads.
    pub(super) bytes: usize,
}

/// Consecutive tokens, and what was read of them.
#[derive(Debug)]
pub(super) struct Segment {
    ids: Vec<u32>,
    pub(super) read: Read,
    /// Continuations of this segment.
    next: Vec<Branch>,
}

/// Where a segment begins.
#[derive(Debug, Clone, Copy)]
struct Branch {
    /// Number of tokens of the segment before it that come first.
    after: usize,
    segment: usize,
}

/// A segment on the path of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) segment: usize,
    /// How many of its tokens the row begins with.
    pub(super) used: usize,
}

impl Read {
    pub(crate) fn new(kv: Kv, heads: Vec<f32>) -> Self {
        Self { kv: Arc::new(kv), heads: heads.into() }
    }

    fn bytes(&self) -> usize {
        self.kv.bytes() + size_of_val(&*self.heads)
    }

    /// The scalar heads of some tokens.
    pub(super) fn heads_of(&self, tokens: Range<usize>) -> &[f32] {
        let heads = self.heads.len() / self.kv.tokens();
        &self.heads[tokens.start * heads..tokens.end * heads]
    }

    /// Drops the first `from` tokens.
    pub(super) fn rest(&self, from: usize) -> Self {
        let tokens = from..self.kv.tokens();
        let heads = self.heads_of(tokens.clone()).to_vec();
        Self::new(self.kv.slice(tokens), heads)
    }
}

impl Trie {
    /// Follows a row that starts after `after` tokens of the shared prefix. Returns its path.
    pub(super) fn walk(&self, ids: &[u32], after: usize) -> Vec<Step> {
        let (mut path, mut rest) = (Vec::new(), ids);
        let mut candidates: &[Branch] = &self.roots;
        let mut at = after;
        while let Some(first) = rest.first() {
            // Candidates differ in where they branch off, or for roots in how much of the shared prefix comes before
            // them.
            let continues = |branch: &&Branch| {
                branch.after == at && self.segments[branch.segment].ids.first() == Some(first)
            };
            let Some(&Branch { segment: index, .. }) = candidates.iter().find(continues) else {
                break;
            };
            let segment = &self.segments[index];
            let used = common(&segment.ids, rest);
            path.push(Step { segment: index, used });
            (rest, candidates, at) = (&rest[used..], &segment.next, used);
        }
        path
    }

    /// Appends a segment after the path `before`, or as a root if that is empty. Returns its size in bytes.
    pub(super) fn add(&mut self, before: &[Step], after: usize, ids: &[u32], read: Read) -> usize {
        let (index, bytes) = (self.segments.len(), read.bytes());
        self.bytes += bytes;
        self.segments.push(Segment { ids: ids.to_vec(), read, next: Vec::new() });
        match before.last() {
            // A row that leaves a segment in the middle does not split it: indices stay valid, and no keys or values are
            // copied.
            Some(&Step { segment, used }) => {
                self.segments[segment].next.push(Branch { after: used, segment: index });
            }
            None => self.roots.push(Branch { after, segment: index }),
        }
        bytes
    }
}

/// Total number of tokens on a path.
pub(super) fn total(path: &[Step]) -> usize {
    path.iter().map(|step| step.used).sum()
}

/// Length of the common prefix of two rows.
pub(crate) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
