//! The worker of the CPU: rows of any length, each started as soon as there is room.

use std::ops::Range;

use kernels::Team;
use kernels::spans::{Span, Spans};

use super::row::{Context, Row};
use super::{Share, Ticket};
use crate::inference::PackedDecoder;
use crate::job::{JobKind, JobResult};
use crate::prefix::Read;

/// Block size for the keys and values of new tokens, in tokens.
const BLOCK: usize = 32;
/// About how many tokens a pass reads: enough to make the matrix products efficient, few enough for the caches, and so
/// that the rows being written do not wait long.
const PASS_TOKENS: usize = 1024;

/// The rows that a worker runs.
pub(super) struct PackedWorker<'a> {
    decoder: &'a PackedDecoder,
    context: Context,
    /// The threads that share a pass.
    team: Team,
    rows: Vec<Running>,
    /// Cached and new keys and values of those rows.
    spans: Spans,
    /// `[rows that need some, vocab_size]`. Kept from pass to pass: of a large vocabulary, clearing new memory would take
    /// as long as the product.
    logits: Vec<f32>,
}

/// A row, and how far it is.
struct Running {
    ticket: Ticket,
    /// The continuation so far, if the job is to generate one.
    row: Option<Row>,
}

/// Outputs of a pass for one row.
#[derive(Clone, Copy)]
struct Outputs<'a> {
    /// Final hidden states of its tokens, `[tokens, hidden_size]`.
    hidden: &'a [f32],
    /// Logits after its last token, `[vocab_size]`, if it needs them.
    logits: &'a [f32],
}

impl Running {
    fn new(ticket: Ticket) -> Self {
        let row = match &ticket.job.kind {
            JobKind::Generate(request) => Some(Row::new(request.clone())),
            JobKind::Read { .. } | JobKind::Hidden | JobKind::NextToken(_) => None,
        };
        Self { ticket, row }
    }

    /// The tokens of the next pass.
    fn tokens(&self) -> &[u32] {
        match &self.row {
            Some(row) => row.last(),
            None => &self.ticket.job.tokens,
        }
    }

    fn needs_logits(&self) -> bool {
        matches!(self.ticket.job.kind, JobKind::NextToken(_) | JobKind::Generate(_))
    }

    fn is_open(&self) -> bool {
        self.row.as_ref().is_some_and(Row::is_open)
    }
}

impl<'a> PackedWorker<'a> {
    pub(super) fn new(decoder: &'a PackedDecoder, context: Context, team: Team) -> Self {
        let spans = Spans::new(Vec::new(), BLOCK);
        Self { decoder, context, team, rows: Vec::new(), spans, logits: Vec::new() }
    }

    /// Runs jobs until there are no more to come.
    pub(super) fn run(mut self, share: &Share) {
        let mut finished = 0;
        while let Some(tickets) = share.take(finished, self.rows.len(), PASS_TOKENS) {
            for ticket in tickets {
                let running = Running::new(ticket);
                let (shape, job) = (self.decoder.kv_shape(), &running.ticket.job);
                let before = job.before.clone();
                self.spans.rows.push(match running.row {
                    Some(_) => Span::decoding(shape, before, BLOCK),
                    None => Span::reading(shape, before, job.tokens.len()),
                });
                self.rows.push(running);
            }
            let (hidden, new) = self.pass();
            self.write(&hidden, &new);
            finished = self.close(&hidden, &new);
        }
    }

    /// Runs the tokens of all rows through the model. Returns their final hidden states, `[tokens, hidden_size]`, and
    /// where those of each row are.
    fn pass(&mut self) -> (Vec<f32>, Vec<Range<usize>>) {
        let tokens: Vec<u32> = self.rows.iter().flat_map(Running::tokens).copied().collect();
        let mut from = 0;
        let range = |row: &Running| {
            let range = from..from + row.tokens().len();
            from = range.end;
            range
        };
        let new = self.rows.iter().map(range).collect();
        (self.decoder.pass(&tokens, &mut self.spans, &self.team), new)
    }

    /// Computes logits for the rows that need them, and chooses the next tokens of those that are being written.
    fn write(&mut self, hidden: &[f32], new: &[Range<usize>]) {
        let width = self.context.hidden_size;
        let needing = self.rows.iter().zip(new).filter(|(row, _)| row.needs_logits());
        let last: Vec<f32> = needing
            .flat_map(|(_, new)| &hidden[(new.end - 1) * width..][..width])
            .copied()
            .collect();
        self.logits.clear();
        if last.is_empty() {
            return;
        }
        self.decoder.logits_into(&last, &mut self.logits, &self.team);
        let rows = self.rows.iter_mut().filter(|row| row.needs_logits());
        let rows = rows.zip(self.logits.chunks(self.context.vocab_size));
        let rows = rows.filter_map(|(row, logits)| Some((row.row.as_mut()?, logits))).collect();
        let context = &self.context;
        self.team.map(rows, |(row, logits)| row.choose(logits, context));
    }

    /// Answers the finished rows and removes them. Returns their number. The others keep their order, because neighbours
    /// often share a prefix and can be attended together.
    fn close(&mut self, hidden: &[f32], new: &[Range<usize>]) -> usize {
        let rows = std::mem::take(&mut self.rows);
        let spans = std::mem::take(&mut self.spans.rows);
        let logits = std::mem::take(&mut self.logits);
        let mut each_logits = logits.chunks(self.context.vocab_size);
        let before = rows.len();
        for ((running, span), new) in rows.into_iter().zip(spans).zip(new) {
            let logits = if running.needs_logits() { each_logits.next() } else { None };
            if running.is_open() {
                self.rows.push(running);
                self.spans.rows.push(span);
                continue;
            }
            let hidden = &hidden[new.start * self.context.hidden_size..];
            let hidden = &hidden[..new.len() * self.context.hidden_size];
            let Running { ticket, row } = running;
            let outputs = Outputs { hidden, logits: logits.unwrap_or_default() };
            let result = self.result(&ticket.job.kind, row, &span, outputs);
            ticket.answer(result);
        }
        self.logits = logits;
        before - self.rows.len()
    }

    fn result(
        &self,
        kind: &JobKind,
        row: Option<Row>,
        span: &Span,
        outputs: Outputs<'_>,
    ) -> JobResult {
        let Outputs { hidden, logits } = outputs;
        match (kind, row) {
            (_, Some(row)) => {
                let kv = row.kept().map(|tokens| span.kept(tokens));
                JobResult::Generated(row.generated(kv))
            }
            (JobKind::Read { keep }, None) => {
                let heads = self.decoder.scalar_heads(hidden);
                JobResult::Read(Read::new(span.kept(*keep), heads))
            }
            (JobKind::NextToken(tokens), None) => {
                JobResult::NextToken(self.context.probabilities(logits, tokens))
            }
            (JobKind::Hidden | JobKind::Generate(_), None) => {
                let last = hidden.len() - self.context.hidden_size;
                JobResult::Hidden(hidden[last..].to_vec())
            }
        }
    }
}
