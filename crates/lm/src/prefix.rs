//! Keys and values of what a model has read: a token that several rows begin with is read once.
//!
//! Rows that belong together, such as the states of one search tree, share a scope. A scope is a
//! trie of segments; a segment holds the keys, the values and the scalar heads of some tokens after
//! those of its parent. What a row gets therefore depends on what was read in its scope before, and
//! on nothing else: not on other scopes, the batch or the workers.
//!
//! Segments lie in host memory, so that every worker can read every segment.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use burn::tensor::Device;

use crate::ModelConfig;
use crate::beginnings::{self, Beginning};
use crate::model::{self, Cache};
use crate::weights::values;

/// What has been read so far, by scope.
#[derive(Debug, Default)]
pub struct Prefixes {
    scopes: BTreeMap<u64, Trie>,
    counts: PrefixCounts,
    /// Long beginnings by scope, segment and tokens, every layer of them: made when first asked for, by whichever worker.
    beginnings: Mutex<BTreeMap<(u64, usize, usize), Vec<Beginning>>>,
}

/// Tokens that went through a model and tokens that did not have to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrefixCounts {
    /// Tokens read or written by the model.
    pub forwarded: u64,
    /// Tokens whose keys and values were there already.
    pub reused: u64,
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
    /// `[layers, keys or values, kv_heads, tokens, width]`.
    pub(crate) kv: Vec<f32>,
    /// `[tokens, scalar_heads]`.
    pub(crate) heads: Vec<f32>,
}

/// Segments in the order they were read.
#[derive(Debug, Default)]
struct Trie {
    segments: Vec<Segment>,
    roots: Vec<usize>,
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
    /// Segments and how many of their tokens.
    pieces: Vec<(usize, usize)>,
    /// Tokens in all.
    pub(crate) tokens: usize,
}

impl Known {
    /// The beginning of the row that is long enough to be shared: the first segment and how many of its tokens.
    fn beginning(&self) -> Option<(usize, usize)> {
        self.pieces.first().copied().filter(|(_, used)| *used >= beginnings::LEAST)
    }

    /// Tokens after such a beginning, or all.
    pub(crate) fn own(&self) -> usize {
        self.tokens - self.beginning().map_or(0, |(_, used)| used)
    }

    /// The pieces of these.
    fn own_pieces(&self) -> &[(usize, usize)] {
        &self.pieces[usize::from(self.beginning().is_some())..]
    }
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
    /// The tokens `from..to` alone.
    fn part(&self, tokens: usize, from: usize, to: usize, shape: KvShape) -> Self {
        let mut kv = Vec::with_capacity(self.kv.len() / tokens.max(1) * (to - from));
        for head in self.kv.chunks(tokens * shape.width) {
            kv.extend_from_slice(&head[from * shape.width..to * shape.width]);
        }
        let heads = &self.heads[from * shape.scalar_heads..to * shape.scalar_heads];
        Self { kv, heads: heads.to_vec() }
    }
}

impl Prefixes {
    /// What reading cost so far, and what it saved.
    pub fn counts(&self) -> PrefixCounts {
        self.counts
    }

    pub(crate) fn count(&mut self, forwarded: usize, reused: usize) {
        self.counts.forwarded += forwarded as u64;
        self.counts.reused += reused as u64;
    }

    /// The longest beginning of a row that was read before.
    pub(crate) fn find(&self, scope: u64, ids: &[u32]) -> Known {
        let mut known = Known { scope, ..Known::default() };
        let Some(trie) = self.scopes.get(&scope) else { return known };
        let mut candidates: Vec<usize> = trie.roots.clone();
        loop {
            let rest = &ids[known.tokens..];
            let starts = |&segment: &usize| rest.first() == trie.segments[segment].ids.first();
            let Some(index) = candidates.into_iter().find(starts).filter(|_| !rest.is_empty())
            else {
                return known;
            };
            let segment = &trie.segments[index];
            let used = common(&segment.ids, rest);
            known.pieces.push((index, used));
            known.tokens += used;
            candidates =
                segment.next.iter().filter(|(at, _)| *at == used).map(|next| next.1).collect();
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
        let read = if known.tokens == from {
            read
        } else {
            read.part(ids.len() - from, known.tokens - from, ids.len() - from, shape)
        };
        let trie = self.scopes.entry(scope).or_default();
        let index = trie.segments.len();
        let ids = ids[known.tokens..].to_vec();
        trie.segments.push(Segment { ids, read, next: Vec::new() });
        match known.pieces.last() {
            Some(&(parent, used)) => trie.segments[parent].next.push((used, index)),
            None => trie.roots.push(index),
        }
    }

    /// A cache for every layer with room for `capacity` columns, in which the first columns of each row are what is known
    /// of it beside a beginning that it shares; and the beginning of each row among those of the caches, with its tokens.
    pub(crate) fn caches(
        &self,
        rows: &[&Known],
        capacity: usize,
        shape: KvShape,
        device: &Device,
    ) -> (Vec<Cache>, Vec<Option<(usize, usize)>>) {
        let mut distinct: Vec<(u64, usize, usize)> = Vec::new();
        let place = |known: &&Known| {
            let (segment, used) = known.beginning()?;
            let beginning = (known.scope, segment, used);
            let at = distinct.iter().position(|one| *one == beginning).unwrap_or_else(|| {
                distinct.push(beginning);
                distinct.len() - 1
            });
            Some((at, used))
        };
        let begun = rows.iter().map(place).collect();
        let size = shape.kv_heads * capacity * shape.width;
        let gather = |layer: usize, which: usize| {
            let mut data = vec![0.0; rows.len() * size];
            for (row, known) in data.chunks_mut(size).zip(rows) {
                self.copy(known, (layer, which), shape, row);
            }
            model::tensor(data, [rows.len(), shape.kv_heads, capacity, shape.width], device)
        };
        let made: Vec<Vec<Beginning>> = distinct
            .into_iter()
            .map(|one| {
                let mut all = self.beginnings.lock().expect("making one does not panic");
                let layers = || (0..shape.layers).map(|l| self.beginning(one, l, shape, device));
                all.entry(one).or_insert_with(|| layers().collect()).clone()
            })
            .collect();
        let cache = |layer: usize| {
            let shared = made.iter().map(|layers| layers[layer].clone()).collect();
            Cache::new(gather(layer, 0), gather(layer, 1), shared)
        };
        ((0..shape.layers).map(cache).collect(), begun)
    }

    /// The first `used` tokens of a segment in a layer.
    fn beginning(
        &self,
        (scope, segment, used): (u64, usize, usize),
        layer: usize,
        shape: KvShape,
        device: &Device,
    ) -> Beginning {
        let KvShape { kv_heads: heads, width, .. } = shape;
        let segment = &self.scopes[&scope].segments[segment];
        let tensor = |which: usize| {
            let size = segment.ids.len() * width;
            let from = (layer * 2 + which) * heads * size;
            let of_heads = segment.read.kv[from..from + heads * size].chunks(size);
            let data = of_heads.flat_map(|head| head[..used * width].iter().copied()).collect();
            model::tensor(data, [1, heads, used, width], device)
        };
        let keys = values(tensor(0).swap_dims(2, 3));
        Beginning { keys: model::tensor(keys, [1, heads, width, used], device), values: tensor(1) }
    }

    /// Copies a row's own keys (`which` 0) or values (1) of a layer into a row of a batch,
    /// `[kv_heads, columns, width]`.
    fn copy(&self, known: &Known, (layer, which): (usize, usize), shape: KvShape, row: &mut [f32]) {
        let Some(trie) = self.scopes.get(&known.scope) else { return };
        let (heads, width) = (shape.kv_heads, shape.width);
        let columns = row.len() / (heads * width);
        let mut column = 0;
        for &(index, used) in known.own_pieces() {
            let segment = &trie.segments[index];
            let tokens = segment.ids.len();
            for head in 0..heads {
                let from = ((layer * 2 + which) * heads + head) * tokens * width;
                let to = (head * columns + column) * width;
                row[to..to + used * width]
                    .copy_from_slice(&segment.read.kv[from..from + used * width]);
            }
            column += used;
        }
    }

    /// The scalar heads of a known token.
    pub(crate) fn heads(&self, known: &Known, at: usize, shape: KvShape) -> Vec<f32> {
        let mut before = 0;
        for &(index, used) in &known.pieces {
            if at < before + used {
                let from = (at - before) * shape.scalar_heads;
                let heads = &self.scopes[&known.scope].segments[index].read.heads;
                return heads[from..from + shape.scalar_heads].to_vec();
            }
            before += used;
        }
        unreachable!("the caller asks for tokens that are known")
    }
}

/// The keys and values that rows of a batch wrote from a column on, each for its number of tokens, as
/// in [`Read::kv`].
pub(crate) fn written(
    caches: &[Cache],
    rows: &[(u32, usize)],
    from: usize,
    shape: KvShape,
    device: &Device,
) -> Vec<Vec<f32>> {
    let mut kv = vec![Vec::new(); rows.len()];
    let Some(most) = rows.iter().map(|(_, tokens)| *tokens).max() else { return kv };
    let index: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
    let index = model::ids(&index, [index.len()], device);
    for data in caches.iter().flat_map(|cache| cache.read(&index, from, most)) {
        let of_rows = data.chunks(shape.kv_heads * most * shape.width);
        for ((kv, (_, tokens)), of_row) in kv.iter_mut().zip(rows).zip(of_rows) {
            for of_head in of_row.chunks(most * shape.width) {
                kv.extend_from_slice(&of_head[..tokens * shape.width]);
            }
        }
    }
    kv
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
        let of = |offset: f32| ids.iter().map(move |&id| id as f32 + offset);
        let kv = [0.1, 0.2, 0.3, 0.4].into_iter().flat_map(of).collect();
        Read { kv, heads: of(0.5).collect() }
    }

    fn insert(prefixes: &mut Prefixes, ids: &[u32], from: usize) {
        prefixes.insert((7, ids), from, read(&ids[from..]), SHAPE);
    }

    /// The values of the second head, and the scalar heads, of all known tokens of a row.
    fn seen(prefixes: &Prefixes, ids: &[u32]) -> (Vec<f32>, Vec<f32>) {
        let known = prefixes.find(7, ids);
        let mut row = vec![0.0; 2 * 6];
        prefixes.copy(&known, (0, 1), SHAPE, &mut row);
        let heads = (0..known.tokens).flat_map(|at| prefixes.heads(&known, at, SHAPE));
        (row[6..6 + known.tokens].to_vec(), heads.collect())
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
}
