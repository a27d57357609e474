//! Decoding on the CPU: rows of any length, each started as soon as there is room.

use kernels::Team;
use kernels::spans::{Span, Spans};

use super::queue::Queue;
use super::row::{Context, Decoded, Row};
use crate::inference::PackedDecoder;

/// Block size for the keys and values of new tokens, in tokens.
const BLOCK: usize = 32;

/// The rows that one worker is decoding.
pub(crate) struct PackedBatch<'a> {
    decoder: &'a PackedDecoder,
    context: Context<'a>,
    /// Maximum number of rows at once.
    most: usize,
    /// The threads that share a step.
    team: &'a Team,
    /// Rows with their index in the queue.
    rows: Vec<(usize, Row<'a>)>,
    /// Cached and new keys and values of those rows.
    spans: Spans<'a>,
}

impl<'a> PackedBatch<'a> {
    pub(crate) fn new(
        decoder: &'a PackedDecoder,
        context: Context<'a>,
        (most, team): (usize, &'a Team),
    ) -> Self {
        let spans = Spans::new(Vec::new(), BLOCK);
        Self { decoder, context, most, team, rows: Vec::new(), spans }
    }

    /// Decodes until the queue is empty. Returns the results with their index in the queue.
    pub(crate) fn run(mut self, queue: &'a Queue<'a>) -> Vec<(usize, Decoded)> {
        let mut done = Vec::new();
        let mut logits = Vec::new();
        loop {
            while self.rows.len() < self.most
                && let Some(batch) = queue.next()
            {
                for (index, waiting) in batch {
                    self.rows.push((index, Row::new(waiting.request)));
                    let (shape, before) = (self.decoder.kv_shape(), waiting.before.clone());
                    self.spans.rows.push(Span::decoding(shape, before, BLOCK));
                }
            }
            if self.rows.is_empty() {
                return done;
            }
            self.step(&mut logits);
            let logits = logits.chunks(self.context.vocab_size);
            let rows = self.rows.iter_mut().zip(logits).collect();
            let context = self.context;
            self.team.map(rows, |((_, row), logits)| row.choose(logits, context));
            self.close(&mut done);
        }
    }

    /// Runs one token per row, and writes the logits, `[rows, vocab_size]`.
    fn step(&mut self, logits: &mut Vec<f32>) {
        let tokens: Vec<u32> = self.rows.iter().map(|(_, row)| row.last()).collect();
        let hidden = self.decoder.pass(&tokens, &mut self.spans, self.team);
        self.decoder.logits_into(&hidden, logits, self.team);
    }

    /// Removes finished rows. The others keep their order, because neighbours often share a prefix and can be attended
    /// together.
    fn close(&mut self, done: &mut Vec<(usize, Decoded)>) {
        let rows = std::mem::take(&mut self.rows);
        let spans = std::mem::take(&mut self.spans.rows);
        for ((index, row), span) in rows.into_iter().zip(spans) {
            if row.is_open() {
                self.rows.push((index, row));
                self.spans.rows.push(span);
                continue;
            }
            let kv = row.kept().map(|tokens| span.kept(tokens));
            done.push((index, row.decoded(kv)));
        }
    }
}
