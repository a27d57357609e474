//! Keys and values of what a model has read: a token that several rows begin with is read once.
//!
//! Rows that belong together, such as the states of one search tree, share a scope. A scope is a
//! trie of segments; a segment holds the keys, the values and the scalar heads of some tokens after
//! those of its parent. What all texts begin with, such as solved examples, is in a trie of its own, in front of every
//! scope's. On the CPU a token's are the same bits however they came to be
//! (`spans`): what is kept decides what there is to compute, and never a result.
//!
//! Segments lie in host memory, so that every worker can read every segment.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::AddAssign;

use burn::tensor::Device;

use crate::ModelConfig;
use crate::cache::Cache;
use crate::model;
use crate::spans::Kv;

/// What has been read so far, by scope.
#[derive(Debug, Default)]
pub struct Prefixes {
    /// What rows of every scope may begin with.
    shared: Trie,
    scopes: BTreeMap<u64, Trie>,
    counts: PrefixCounts,
    bytes: usize,
}

/// Tokens that went through a model and tokens that did not have to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrefixCounts {
    /// Tokens read or written by the model.
    pub forwarded: u64,
    /// Tokens whose keys and values were there already.
    pub reused: u64,
    /// Floating point operations, as [`crate::ModelConfig::layer_flops`] counts them; 0 where the model is not known, as a
    /// server's.
    pub flops: u64,
}

impl AddAssign for PrefixCounts {
    fn add_assign(&mut self, more: Self) {
        self.forwarded += more.forwarded;
        self.reused += more.reused;
        self.flops += more.flops;
    }
}

/// The scope of a text: rows that begin with the same question share what was read of it. Two texts
/// of one scope are no error, they only lie in one trie.
pub fn scope_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The sizes of a token's keys and values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KvShape {
    pub(crate) layers: usize,
    pub(crate) kv_heads: usize,
    pub(crate) width: usize,
    pub(crate) scalar_heads: usize,
}

/// Keys, values and scalar heads of consecutive tokens.
#[derive(Debug, Default, Clone)]
pub(crate) struct Read {
    pub(crate) kv: Kv,
    /// `[tokens, scalar_heads]`.
    pub(crate) heads: Vec<f32>,
}

/// Segments in the order they were read.
#[derive(Debug, Default)]
struct Trie {
    segments: Vec<Segment>,
    /// Segments that begin a row: after how many tokens of what is shared, and which.
    roots: Vec<(usize, usize)>,
    bytes: usize,
}

#[derive(Debug)]
struct Segment {
    ids: Vec<u32>,
    read: Read,
    /// Segments that go on from here: after how many tokens, and which.
    next: Vec<(usize, usize)>,
}

/// The first tokens of a row, as far as they are known.
#[derive(Debug, Default, Clone)]
pub(crate) struct Known {
    scope: u64,
    /// Segments of what is shared, and how many of their tokens.
    shared: Vec<(usize, usize)>,
    /// Segments of the scope that come after them.
    pieces: Vec<(usize, usize)>,
    /// Tokens in all.
    pub(crate) tokens: usize,
}

/// Keys or values.
#[derive(Debug, Clone, Copy)]
enum Which {
    Keys,
    Values,
}

impl KvShape {
    pub(crate) fn of(config: &ModelConfig) -> Self {
        Self {
            layers: config.num_hidden_layers,
            kv_heads: config.kv_heads(),
            width: config.head_width(),
            scalar_heads: config.scalar_heads.len(),
        }
    }
}

impl Read {
    fn bytes(&self) -> usize {
        self.kv.bytes() + size_of_val(self.heads.as_slice())
    }

    /// The tokens from `from` on alone.
    fn rest(&self, from: usize, shape: KvShape) -> Self {
        let tokens = std::iter::once((&self.kv, from..self.kv.tokens));
        let heads = self.heads[from * shape.scalar_heads..].to_vec();
        Self { kv: Kv::joined(&tokens, shape), heads }
    }
}

impl Prefixes {
    /// What reading cost so far, and what it saved.
    pub fn counts(&self) -> PrefixCounts {
        self.counts
    }

    /// Bytes of the keys, values and heads that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Those of a scope.
    pub fn bytes_of(&self, scope: u64) -> usize {
        self.scopes.get(&scope).map_or(0, |trie| trie.bytes)
    }

    /// Gives up what was read in a scope. Whoever needs it reads it again.
    pub fn forget(&mut self, scope: u64) {
        if let Some(trie) = self.scopes.remove(&scope) {
            self.bytes -= trie.bytes;
        }
    }

    /// Takes note of what went through a model, and of what did not have to.
    pub fn count(&mut self, counts: PrefixCounts) {
        self.counts += counts;
    }

    /// The longest beginning of a row that was read before.
    pub(crate) fn find(&self, scope: u64, ids: &[u32]) -> Known {
        let shared = self.shared.walk(ids, 0);
        let tokens = total(&shared);
        let trie = self.scopes.get(&scope);
        let pieces = trie.map_or_else(Vec::new, |trie| trie.walk(&ids[tokens..], tokens));
        let tokens = tokens + total(&pieces);
        Known { scope, shared, pieces, tokens }
    }

    /// Whether a beginning of all rows is there to share.
    pub(crate) fn shares(&self, ids: &[u32]) -> bool {
        total(&self.shared.walk(ids, 0)) == ids.len()
    }

    /// What was read of the one row that was read.
    pub(crate) fn only(mut self) -> Read {
        let trie = self.scopes.pop_first().map(|(_, trie)| trie).unwrap_or_default();
        trie.segments.into_iter().next().map(|segment| segment.read).unwrap_or_default()
    }

    /// Keeps what was read of a beginning of all rows, from its first token on.
    pub(crate) fn insert_shared(&mut self, ids: &[u32], read: &Read, shape: KvShape) {
        let pieces = self.shared.walk(ids, 0);
        let from = total(&pieces);
        if from < ids.len() {
            self.bytes += self.shared.add(&pieces, 0, &ids[from..], read.rest(from, shape));
        }
    }

    /// Keeps what was read of a row's tokens from `from` on; the tokens before are known.
    pub(crate) fn insert(
        &mut self,
        (scope, ids): (u64, &[u32]),
        from: usize,
        read: Read,
        shape: KvShape,
    ) {
        let known = self.find(scope, ids);
        debug_assert!(known.tokens >= from, "what a row was read after is kept");
        // Another row may have brought the same tokens in the meantime.
        if known.tokens == ids.len() {
            return;
        }
        let read = if known.tokens == from { read } else { read.rest(known.tokens - from, shape) };
        let trie = self.scopes.entry(scope).or_default();
        let after = total(&known.shared);
        self.bytes += trie.add(&known.pieces, after, &ids[known.tokens..], read);
    }

    /// The pieces of what is known of a row, each with how many of its tokens.
    pub(crate) fn pieces(&self, known: &Known) -> Vec<(&Kv, usize)> {
        self.segments(known).map(|(segment, used)| (&segment.read.kv, used)).collect()
    }

    /// The segments of what is known of a row, each with how many of its tokens.
    fn segments<'a>(&'a self, known: &Known) -> impl Iterator<Item = (&'a Segment, usize)> {
        let shared = known.shared.iter().map(|&(index, used)| (&self.shared.segments[index], used));
        let trie = self.scopes.get(&known.scope);
        let own = trie.into_iter().flat_map(|trie| {
            known.pieces.iter().map(|&(index, used)| (&trie.segments[index], used))
        });
        shared.chain(own)
    }

    /// A cache for every layer with room for `capacity` columns, in which the first columns of each row are what is known
    /// of it.
    pub(crate) fn caches(
        &self,
        rows: &[&Known],
        capacity: usize,
        shape: KvShape,
        device: &Device,
    ) -> Vec<Cache> {
        let KvShape { kv_heads, width, .. } = shape;
        let size = kv_heads * capacity * width;
        let gather = |layer: usize, which: Which| {
            let mut data = vec![0.0; rows.len() * size];
            for (row, known) in data.chunks_mut(size).zip(rows) {
                for (head, row) in row.chunks_mut(capacity * width).enumerate() {
                    self.copy(known, (which, layer, head), shape, row);
                }
            }
            model::tensor(data, [rows.len(), kv_heads, capacity, width], device)
        };
        let cache =
            |layer: usize| Cache::new(gather(layer, Which::Keys), gather(layer, Which::Values));
        (0..shape.layers).map(cache).collect()
    }

    /// Copies what is known of a head into the first columns of a row, `[columns, width]`.
    fn copy(
        &self,
        known: &Known,
        (which, layer, head): (Which, usize, usize),
        shape: KvShape,
        row: &mut [f32],
    ) {
        let mut rest = row;
        for (kv, used) in self.pieces(known) {
            let (to, after) = rest.split_at_mut(used * shape.width);
            match which {
                Which::Values => {
                    to.copy_from_slice(&kv.values(layer, head, shape)[..used * shape.width]);
                }
                Which::Keys => {
                    let lines = kv.keys(layer, head, shape).chunks_exact(kv.tokens);
                    for (i, keys) in lines.enumerate() {
                        for (slot, &key) in
                            to[i..].iter_mut().step_by(shape.width).zip(&keys[..used])
                        {
                            *slot = key;
                        }
                    }
                }
            }
            rest = after;
        }
    }

    /// The scalar heads of a known token.
    pub(crate) fn heads(&self, known: &Known, at: usize, shape: KvShape) -> Vec<f32> {
        let mut before = 0;
        for (segment, used) in self.segments(known) {
            if at < before + used {
                let from = (at - before) * shape.scalar_heads;
                return segment.read.heads[from..from + shape.scalar_heads].to_vec();
            }
            before += used;
        }
        unreachable!("the caller asks for tokens that are known")
    }
}

impl Trie {
    /// The segments on the way of a row that begins after `after` tokens of what is shared, and how many of their tokens.
    fn walk(&self, ids: &[u32], after: usize) -> Vec<(usize, usize)> {
        let (mut pieces, mut rest) = (Vec::new(), ids);
        let mut candidates: &[(usize, usize)] = &self.roots;
        let mut at = after;
        while let Some(first) = rest.first() {
            let starts = |&&(place, index): &&(usize, usize)| {
                place == at && self.segments[index].ids.first() == Some(first)
            };
            let Some(&(_, index)) = candidates.iter().find(starts) else { break };
            let segment = &self.segments[index];
            let used = common(&segment.ids, rest);
            pieces.push((index, used));
            (rest, candidates, at) = (&rest[used..], &segment.next, used);
        }
        pieces
    }

    /// Adds a segment after others, or as one that begins a row; gives its bytes.
    fn add(&mut self, before: &[(usize, usize)], after: usize, ids: &[u32], read: Read) -> usize {
        let (index, bytes) = (self.segments.len(), read.bytes());
        self.bytes += bytes;
        self.segments.push(Segment { ids: ids.to_vec(), read, next: Vec::new() });
        match before.last() {
            Some(&(parent, used)) => self.segments[parent].next.push((used, index)),
            None => self.roots.push((after, index)),
        }
        bytes
    }
}

/// The tokens of some pieces.
fn total(pieces: &[(usize, usize)]) -> usize {
    pieces.iter().map(|(_, used)| used).sum()
}

/// The keys and values that rows of a batch wrote from a column on, each for its number of tokens.
pub(crate) fn written(
    caches: &[Cache],
    rows: &[(u32, usize)],
    from: usize,
    shape: KvShape,
    device: &Device,
) -> Vec<Kv> {
    let mut all: Vec<Kv> = rows.iter().map(|(_, tokens)| Kv::zeros(*tokens, shape)).collect();
    let most = rows.iter().map(|(_, tokens)| *tokens).max().unwrap_or(0);
    if most == 0 {
        return all;
    }
    let index: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
    let index = model::ids(&index, [index.len()], device);
    let width = shape.width;
    for (layer, cache) in caches.iter().enumerate() {
        let [keys, values] = cache.read(&index, from, most);
        for (row, kv) in all.iter_mut().enumerate() {
            let tokens = kv.tokens;
            for (head, token) in (0..shape.kv_heads).flat_map(|h| (0..tokens).map(move |t| (h, t)))
            {
                let at = ((row * shape.kv_heads + head) * most + token) * width;
                let token_kv = [&keys[at..at + width], &values[at..at + width]];
                kv.write(token, (layer, head), token_kv, shape);
            }
        }
    }
    all
}

/// How many tokens two rows begin with alike.
pub(crate) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: KvShape = KvShape { layers: 1, kv_heads: 2, width: 1, scalar_heads: 1 };

    /// Tokens whose keys, values and heads say which token they are of.
    fn read(ids: &[u32]) -> Read {
        let mut kv = Kv::zeros(ids.len(), SHAPE);
        for (token, id) in ids.iter().map(|&id| id as f32).enumerate() {
            kv.write(token, (0, 0), [&[id + 0.1], &[id + 0.3]], SHAPE);
            kv.write(token, (0, 1), [&[id + 0.2], &[id + 0.4]], SHAPE);
        }
        Read { kv, heads: ids.iter().map(|&id| id as f32 + 0.5).collect() }
    }

    fn insert(prefixes: &mut Prefixes, ids: &[u32], from: usize) {
        prefixes.insert((7, ids), from, read(&ids[from..]), SHAPE);
    }

    /// The values of the second head, and the scalar heads, of all known tokens of a row.
    fn seen(prefixes: &Prefixes, ids: &[u32]) -> (Vec<f32>, Vec<f32>) {
        let known = prefixes.find(7, ids);
        let mut row = vec![0.0; known.tokens];
        prefixes.copy(&known, (Which::Values, 0, 1), SHAPE, &mut row);
        let heads = (0..known.tokens).flat_map(|at| prefixes.heads(&known, at, SHAPE));
        (row, heads.collect())
    }

    #[test]
    fn a_row_finds_its_longest_beginning_wherever_rows_part() {
        let mut prefixes = Prefixes::default();
        insert(&mut prefixes, &[1, 2, 3, 4], 0);
        insert(&mut prefixes, &[1, 2, 9], 2);
        insert(&mut prefixes, &[1, 2, 9, 8], 3);
        // Read as a whole although two of the tokens had come in the meantime.
        insert(&mut prefixes, &[1, 2, 3, 5, 6], 2);
        for ids in [&[1, 2, 3, 4][..], &[1, 2, 9, 8], &[1, 2, 3, 5, 6], &[1, 2]] {
            let values: Vec<f32> = ids.iter().map(|&id| id as f32 + 0.4).collect();
            let heads: Vec<f32> = ids.iter().map(|&id| id as f32 + 0.5).collect();
            assert_eq!(seen(&prefixes, ids), (values, heads), "{ids:?}");
        }
        assert_eq!(prefixes.find(7, &[1, 2, 9, 7]).tokens, 3);
        assert_eq!(prefixes.find(7, &[2]).tokens, 0);
        assert_eq!(prefixes.find(8, &[1, 2]).tokens, 0);
    }

    #[test]
    fn what_all_rows_begin_with_is_there_in_every_scope() {
        let mut prefixes = Prefixes::default();
        insert(&mut prefixes, &[1, 2, 7], 0);
        prefixes.insert_shared(&[1, 2, 3], &read(&[1, 2, 3]), SHAPE);
        assert!(prefixes.shares(&[1, 2, 3]) && !prefixes.shares(&[1, 2, 3, 4]));
        assert_eq!(prefixes.find(8, &[1, 2, 3, 4]).tokens, 3);
        insert(&mut prefixes, &[1, 2, 3, 4, 5], 3);
        insert(&mut prefixes, &[1, 2, 9], 2);
        for ids in [&[1, 2, 3, 4, 5][..], &[1, 2, 9], &[1, 2, 3]] {
            let values: Vec<f32> = ids.iter().map(|&id| id as f32 + 0.4).collect();
            let heads: Vec<f32> = ids.iter().map(|&id| id as f32 + 0.5).collect();
            assert_eq!(seen(&prefixes, ids), (values, heads), "{ids:?}");
        }
        let bytes = prefixes.bytes();
        prefixes.insert_shared(&[1, 2, 3], &read(&[1, 2, 3]), SHAPE);
        assert_eq!(prefixes.bytes(), bytes, "it was there");
        prefixes.forget(7);
        assert_eq!(prefixes.find(7, &[1, 2, 3, 4, 5]).tokens, 3, "it stays");
    }

    #[test]
    fn what_is_forgotten_takes_no_room() {
        let mut prefixes = Prefixes::default();
        insert(&mut prefixes, &[1, 2, 3], 0);
        insert(&mut prefixes, &[1, 2, 3, 4], 3);
        let before = prefixes.bytes();
        prefixes.insert((8, &[5]), 0, read(&[5]), SHAPE);
        assert!(before >= 4 * 5 * 4 && prefixes.bytes() > before);
        assert_eq!(prefixes.bytes(), before + prefixes.bytes_of(8));
        prefixes.forget(8);
        assert_eq!((prefixes.bytes(), prefixes.find(8, &[5]).tokens), (before, 0));
        prefixes.forget(7);
        assert_eq!((prefixes.bytes(), prefixes.find(7, &[1]).tokens), (0, 0));
    }
}
