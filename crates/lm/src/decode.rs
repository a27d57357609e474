//! Decoding: one token after another for the rows of a batch.

use burn::tensor::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::beginnings::Runs;
use crate::drawn::{Drawn, Excluded};
use crate::engine::{
    Engine, Generation, GenerationRequest, MIN_ROWS, Stop, StopReason, known_columns,
};
use crate::model::{self, Cache, MASKED};
use crate::prefix::{Known, Prefixes, written};
use crate::weights::values;

/// The cache grows by so many columns: most rows end long before they have to.
const GROWTH: usize = 32;

/// A batch being decoded.
pub(crate) struct Decoding<'a> {
    engine: &'a Engine,
    requests: Vec<&'a GenerationRequest>,
    rows: Vec<Row<'a>>,
    /// The row of the batch in each row of the tensors; those at the end may be fillers.
    live: Vec<usize>,
    caches: Vec<Cache>,
    /// What each row of the batch begins with.
    begun: Vec<Option<(usize, usize)>>,
    /// The live rows by that.
    runs: Option<Runs>,
    /// `[live, 1, 1, capacity]`, 0 for the known columns of a row and all new ones.
    mask: Tensor<4>,
    /// Columns of what was known.
    known: usize,
    /// Columns written so far.
    columns: usize,
    /// Columns there are.
    capacity: usize,
}

/// What is known of one row.
struct Row<'a> {
    rng: ChaCha8Rng,
    excluded: Excluded<'a>,
    drawn: Drawn,
    bytes: Vec<u8>,
    stop: Option<StopReason>,
    /// Keys and values of the last token of the prompt and of all generated ones but the last.
    kv: Vec<f32>,
}

impl<'a> Decoding<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        rows: Vec<(&'a GenerationRequest, &'a Known)>,
        prefixes: &Prefixes,
    ) -> Self {
        let columns = rows.iter().map(|(_, known)| known_columns(known)).max().unwrap_or(0);
        let capacity = columns + GROWTH;
        let count = rows.len().max(MIN_ROWS);
        let tokens = |row: usize| rows.get(row).map_or(columns, |(_, known)| known.own());
        let most = columns + rows.iter().map(|(r, _)| r.stop.max_new).max().unwrap_or(0);
        let mask = (0..count)
            .flat_map(|row| {
                let known = tokens(row);
                (0..most).map(move |c| if c >= known && c < columns { MASKED } else { 0.0 })
            })
            .collect();
        let nothing = Known::default();
        let places: Vec<&Known> =
            (0..count).map(|row| rows.get(row).map_or(&nothing, |(_, known)| *known)).collect();
        let (caches, begun) = prefixes.caches(&places, capacity, engine.shape, &engine.device);
        Self {
            engine,
            caches,
            runs: Runs::of(&begun, &engine.device),
            begun,
            mask: model::tensor(mask, [count, 1, 1, most], &engine.device),
            live: (0..count).collect(),
            rows: rows.iter().map(|(request, _)| Row::new(request)).collect(),
            requests: rows.into_iter().map(|(request, _)| request).collect(),
            known: columns,
            columns,
            capacity,
        }
    }

    /// Decodes until every row has stopped; gives also the keys and values that are kept.
    pub(crate) fn run(mut self) -> Vec<(Generation, Vec<f32>)> {
        loop {
            let logits = self.step();
            self.choose(&logits);
            if self.rows.iter().all(|row| row.stop.is_some()) {
                break;
            }
            self.compact();
        }
        let all: Vec<usize> = (0..self.live.len()).collect();
        self.save(&all);
        let finish = |row: Row<'_>| {
            let stop = row.stop.expect("the loop ends when every row has stopped");
            (Generation { drawn: row.drawn, stop }, row.kv)
        };
        self.rows.into_iter().map(finish).collect()
    }

    /// Takes the keys and values of finished rows out of the tensors, if they are kept.
    fn save(&mut self, at: &[usize]) {
        let kept = |&at: &usize| self.requests.get(self.live[at]).is_some_and(|r| r.keep);
        let at: Vec<usize> = at.iter().copied().filter(kept).collect();
        let places: Vec<(u32, usize)> =
            at.iter().map(|&at| (at as u32, self.rows[self.live[at]].drawn.ids.len())).collect();
        let (engine, from) = (self.engine, self.known);
        let kv = written(&self.caches, &places, from, engine.shape, &engine.device);
        for (at, kv) in at.into_iter().zip(kv) {
            self.rows[self.live[at]].kv = kv;
        }
    }

    /// Chooses a token for every live row.
    fn choose(&mut self, logits: &[f32]) {
        let vocab = self.engine.config.vocab_size;
        for (&index, logits) in self.live.iter().zip(logits.chunks(vocab)) {
            let Some(row) = self.rows.get_mut(index).filter(|row| row.stop.is_none()) else {
                continue;
            };
            let request = self.requests[index];
            let (token, logprob) =
                request.sampling.choose(logits, &row.excluded.taken(), &mut row.rng);
            row.drawn.logprobs.push(logprob);
            row.push(token, self.engine.tokenizer.token_bytes(token), &request.stop);
            let length = request.prompt.len() + row.drawn.ids.len();
            if row.stop.is_none() && length >= self.engine.config.max_position_embeddings {
                row.stop = Some(StopReason::Length);
            }
        }
    }

    /// Drops finished rows once they are a quarter of the batch: dropping copies the cache.
    fn compact(&mut self) {
        let open = |at: &usize| self.rows.get(self.live[*at]).is_some_and(|r| r.stop.is_none());
        let (mut keep, mut rest): (Vec<usize>, Vec<usize>) = (0..self.live.len()).partition(open);
        if keep.len().max(MIN_ROWS) * 4 > self.live.len() * 3 {
            return;
        }
        let fillers = MIN_ROWS.saturating_sub(keep.len()).min(rest.len());
        keep.extend(rest.drain(..fillers));
        self.save(&rest);
        let at: Vec<u32> = keep.iter().map(|&i| i as u32).collect();
        let at = model::ids(&at, [at.len()], &self.engine.device);
        for cache in &mut self.caches {
            cache.select(&at);
        }
        self.mask = self.mask.clone().select(0, at);
        self.live = keep.into_iter().map(|i| self.live[i]).collect();
        let begun: Vec<_> = self.live.iter().map(|&row| self.begun[row]).collect();
        self.runs = Runs::of(&begun, &self.engine.device);
    }

    /// One more token for every row of the tensors, at first the last of the prompt; gives the
    /// scores that follow.
    fn step(&mut self) -> Vec<f32> {
        if self.columns == self.capacity {
            self.caches.iter_mut().for_each(|cache| cache.grow(GROWTH));
            self.capacity += GROWTH;
        }
        let (engine, count) = (self.engine, self.live.len());
        let last = |&row: &usize| match (self.requests.get(row), self.rows.get(row)) {
            (Some(request), Some(row)) => {
                let fed = request.prompt.len() + row.drawn.ids.len() - 1;
                (row.drawn.ids.last().or(request.prompt.last()).copied().unwrap_or(0), fed)
            }
            _ => (0, 0),
        };
        let (tokens, at): (Vec<u32>, Vec<usize>) = self.live.iter().map(last).unzip();
        let mask = self.mask.clone().narrow(3, 0, self.columns + 1);
        let positions = engine.rotary.after(&at, 1, mask, self.runs.as_ref());
        let tokens = model::ids(&tokens, [count, 1], &engine.device);
        let hidden =
            engine.decoder.hidden_cached(tokens, &positions, &mut self.caches, self.columns);
        self.columns += 1;
        let hidden = hidden.reshape([count, engine.config.hidden_size]);
        values(hidden.matmul(engine.output.clone()))
    }
}

impl<'a> Row<'a> {
    fn new(request: &'a GenerationRequest) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(request.seed),
            excluded: Excluded::new(&request.excluded),
            drawn: Drawn::default(),
            bytes: Vec::new(),
            stop: None,
            kv: Vec::new(),
        }
    }

    fn push(&mut self, token: u32, bytes: &[u8], stop: &Stop) {
        self.drawn.ids.push(token);
        self.excluded.follow(token);
        let known = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let ended_by = |s: &String| {
            let from = (known + 1).saturating_sub(s.len());
            !s.is_empty() && self.bytes[from..].windows(s.len()).any(|w| w == s.as_bytes())
        };
        self.stop = if stop.tokens.contains(&token) {
            Some(StopReason::Token)
        } else if stop.strings.iter().any(ended_by) {
            Some(StopReason::String)
        } else {
            (self.drawn.ids.len() >= stop.max_new).then_some(StopReason::Length)
        };
    }
}
