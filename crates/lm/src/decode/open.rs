//! Decoding on the CPU: rows of any length, each started as soon as there is room.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Row, Written};
use crate::engine::{Engine, GenerationRequest};
use crate::prefix::{Known, Prefixes};
use crate::spans::{Kv, Span, Spans};
use crate::tensors::values;

/// Block size for the keys and values of new tokens, in tokens.
const BLOCK: usize = 32;

/// The waiting rows, which workers take in order.
pub(crate) struct Queue<'a> {
    rows: Vec<(&'a GenerationRequest, &'a Known)>,
    next: AtomicUsize,
}

impl<'a> Queue<'a> {
    pub(crate) fn new(rows: Vec<(&'a GenerationRequest, &'a Known)>) -> Self {
        Self { rows, next: AtomicUsize::new(0) }
    }

    fn next(&self) -> Option<(usize, &'a GenerationRequest, &'a Known)> {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        self.rows.get(place).map(|&(request, known)| (place, request, known))
    }
}

/// The rows that one worker is decoding.
pub(crate) struct Open<'a> {
    engine: &'a Engine,
    prefixes: &'a Prefixes,
    /// Maximum number of rows at once.
    most: usize,
    /// Rows with their index in the queue.
    rows: Vec<(usize, Row<'a>)>,
    /// Cached and new keys and values of those rows.
    spans: Spans<'a>,
}

impl<'a> Open<'a> {
    pub(crate) fn new(engine: &'a Engine, prefixes: &'a Prefixes, most: usize) -> Self {
        let spans = Spans::new(Vec::new(), engine.shape, BLOCK);
        Self { engine, prefixes, most, rows: Vec::new(), spans }
    }

    /// Decodes until the queue is empty. Returns the results with their index in the queue.
    pub(crate) fn run(mut self, queue: &Queue<'a>) -> Vec<(usize, Written)> {
        let mut done = Vec::new();
        loop {
            while self.rows.len() < self.most
                && let Some((place, request, known)) = queue.next()
            {
                self.rows.push((place, Row::new(request)));
                let pieces = self.prefixes.pieces(known);
                self.spans.rows.push(Span::joined(pieces, BLOCK, self.engine.shape));
            }
            if self.rows.is_empty() {
                return done;
            }
            let logits = self.step();
            let vocabulary = self.engine.config.vocab_size;
            for ((_, row), logits) in self.rows.iter_mut().zip(logits.chunks(vocabulary)) {
                row.choose(logits, self.engine);
            }
            self.close(&mut done);
        }
    }

    /// Feeds one token per row. Returns the logits, `[rows, vocab_size]`.
    fn step(&mut self) -> Vec<f32> {
        let tokens: Vec<u32> = self.rows.iter().map(|(_, row)| row.last()).collect();
        let hidden = self.engine.pass(&tokens, &mut self.spans);
        values(self.engine.output.forward(hidden))
    }

    /// Removes finished rows. The others keep their order, because neighbours often share a prefix and can be attended
    /// together.
    fn close(&mut self, done: &mut Vec<(usize, Written)>) {
        let rows = std::mem::take(&mut self.rows);
        let spans = std::mem::take(&mut self.spans.rows);
        for ((place, row), span) in rows.into_iter().zip(spans) {
            if row.stop.is_none() {
                self.rows.push((place, row));
                self.spans.rows.push(span);
                continue;
            }
            let kept = if row.request.keep { row.drawn.ids.len() } else { 0 };
            let kv = if kept > 0 { span.kept(kept, self.engine.shape) } else { Kv::default() };
            done.push((place, row.written(kv)));
        }
    }
}
