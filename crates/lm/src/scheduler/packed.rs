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

/// Maximum number of tokens in a pass with drafts: one block of rows in the products. With fewer rows a product takes about as
/// long, since it waits for the weights.
const DRAFTED_PASS: usize = 12;

/// The rows that a worker runs.
pub(super) struct PackedWorker<'a> {
    decoder: &'a PackedDecoder,
    context: Context,
    /// The threads that share a pass.
    team: Team,
    rows: Vec<Running>,
    /// Cached and new keys and values of those rows.
    spans: Spans,
    /// `[tokens that need some, vocab_size]`. Kept from pass to pass: of a large vocabulary, clearing new memory would take
    /// as long as the product.
    logits: Vec<f32>,
}

/// A row, and how far it is.
struct Running {
    ticket: Ticket,
    /// The continuation so far, if the job is to generate one.
    row: Option<Row>,
    /// The tokens of the next pass.
    next: Vec<u32>,
}

/// Outputs of a pass for one row.
#[derive(Clone, Copy)]
struct Outputs<'a> {
    /// Final hidden states of its tokens, `[tokens, hidden_size]`.
    hidden: &'a [f32],
    /// Logits after its last tokens, `[tokens, vocab_size]`, as many as it needs.
    logits: &'a [f32],
}

impl Running {
    fn new(ticket: Ticket) -> Self {
        let row = match &ticket.job.kind {
            JobKind::Generate(request) => Some(Row::new(request.clone())),
            JobKind::Read { .. } | JobKind::Hidden | JobKind::NextToken(_) => None,
        };
        let next = ticket.job.tokens.clone();
        Self { ticket, row, next }
    }

    /// The number of last tokens that need logits.
    fn asked(&self) -> usize {
        match self.ticket.job.kind {
            JobKind::Generate(_) => self.next.len(),
            JobKind::NextToken(_) => 1,
            JobKind::Read { .. } | JobKind::Hidden => 0,
        }
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
            self.draft();
            let (hidden, new) = self.pass();
            self.write(&hidden, &new);
            finished = self.close(&hidden, &new);
        }
    }

    /// Adds drafts to the rows that are being written, if the pass has room for them.
    fn draft(&mut self) {
        let writing = self.rows.iter().filter(|running| running.row.is_some()).count();
        let reading = self.rows.iter().filter(|running| running.row.is_none());
        let tokens = writing + reading.map(|running| running.next.len()).sum::<usize>();
        let most = DRAFTED_PASS.saturating_sub(tokens) / writing.max(1);
        for (running, span) in self.rows.iter_mut().zip(&mut self.spans.rows) {
            if let Some(row) = &running.row {
                running.next = row.next(most, &self.context);
                span.expect(running.next.len());
            }
        }
    }

    /// Runs the tokens of all rows through the model. Returns their final hidden states, `[tokens, hidden_size]`, and
    /// where those of each row are.
    fn pass(&mut self) -> (Vec<f32>, Vec<Range<usize>>) {
        let tokens: Vec<u32> = self.rows.iter().flat_map(|row| &row.next).copied().collect();
        let mut from = 0;
        let range = |row: &Running| {
            let range = from..from + row.next.len();
            from = range.end;
            range
        };
        let new = self.rows.iter().map(range).collect();
        (self.decoder.pass(&tokens, &mut self.spans, &self.team), new)
    }

    /// Computes logits for the rows that need them, and chooses the next tokens of those that are being written.
    fn write(&mut self, hidden: &[f32], new: &[Range<usize>]) {
        let width = self.context.hidden_size;
        let last = self.rows.iter().zip(new).flat_map(|(row, new)| {
            hidden[(new.end - row.asked()) * width..new.end * width].iter().copied()
        });
        let last: Vec<f32> = last.collect();
        if last.is_empty() {
            self.logits.clear();
            return;
        }
        self.decoder.logits_into(&last, &mut self.logits, &self.team);
        let logits = each_logits(&self.rows, &self.logits, self.context.vocab_size);
        let rows = self.rows.iter_mut().zip(&mut self.spans.rows).zip(logits).collect();
        let context = &self.context;
        self.team.map(rows, |((running, span), logits)| {
            if let Some(row) = &mut running.row {
                let chosen = row.follow(&running.next, logits, context);
                span.take_back(running.next.len() - chosen);
            }
        });
    }

    /// Answers the finished rows and removes them. Returns their number. The others keep their order, because neighbours
    /// often share a prefix and can be attended together.
    fn close(&mut self, hidden: &[f32], new: &[Range<usize>]) -> usize {
        let rows = std::mem::take(&mut self.rows);
        let spans = std::mem::take(&mut self.spans.rows);
        let logits = std::mem::take(&mut self.logits);
        let each_logits = each_logits(&rows, &logits, self.context.vocab_size);
        let before = rows.len();
        for (((running, span), new), logits) in
            rows.into_iter().zip(spans).zip(new).zip(each_logits)
        {
            if running.is_open() {
                self.rows.push(running);
                self.spans.rows.push(span);
                continue;
            }
            let hidden = &hidden[new.start * self.context.hidden_size..];
            let hidden = &hidden[..new.len() * self.context.hidden_size];
            let Running { ticket, row, .. } = running;
            let outputs = Outputs { hidden, logits };
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

/// The logits of each row.
fn each_logits<'a>(rows: &[Running], logits: &'a [f32], vocab_size: usize) -> Vec<&'a [f32]> {
    let mut rest = logits;
    let of_row = |row: &Running| {
        let (own, others) = rest.split_at(row.asked() * vocab_size);
        rest = others;
        own
    };
    rows.iter().map(of_row).collect()
}
