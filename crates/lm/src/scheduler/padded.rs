//! The worker of devices that need tensors of a fixed shape: it runs jobs of the same padded size, one batch after the
//! other.

use kernels::Kv;

use super::batch::PaddedBatch;
use super::row::Context;
use super::{Share, Ticket};
use crate::inference::{PaddedDecoder, padded_new, padded_prefix};
use crate::job::{Job, JobKind, JobResult};
use crate::prefix::Read;
use crate::tensors::values;

/// Maximum tokens of a forward pass, including padding.
const PASS_TOKENS: usize = 16_384;

/// The jobs of one device.
pub(super) struct PaddedWorker<'a> {
    decoder: &'a PaddedDecoder,
    context: Context,
}

/// The columns that a job takes, of its cached and of its new tokens. A row that is written has its columns one by one.
fn columns(job: &Job) -> (usize, usize) {
    let new = if is_generation(job) { 0 } else { job.tokens.len() };
    (padded_prefix(job.cached()), padded_new(new))
}

fn is_generation(job: &Job) -> bool {
    matches!(job.kind, JobKind::Generate(_))
}

impl<'a> PaddedWorker<'a> {
    pub(super) fn new(decoder: &'a PaddedDecoder, context: Context) -> Self {
        Self { decoder, context }
    }

    /// Runs jobs until there are no more to come.
    pub(super) fn run(self, share: &Share) {
        let like =
            |a: &Job, b: &Job| is_generation(a) == is_generation(b) && columns(a) == columns(b);
        let most = |job: &Job| {
            let (cached, new) = columns(job);
            (PASS_TOKENS / (cached + new).max(1)).max(1)
        };
        let mut finished = 0;
        while let Some(tickets) = share.take_like(finished, like, most) {
            finished = tickets.len();
            let jobs: Vec<&Job> = tickets.iter().map(|ticket| &ticket.job).collect();
            let done = if jobs.first().is_some_and(|job| is_generation(job)) {
                let written = PaddedBatch::new(self.decoder, &self.context, &jobs).run();
                written.into_iter().map(JobResult::Generated).collect()
            } else {
                self.read(&jobs)
            };
            for (ticket, done) in tickets.iter().zip(done) {
                Ticket::answer(ticket, done);
            }
        }
    }

    /// One forward pass over the new tokens of the jobs.
    fn read(&self, jobs: &[&Job]) -> Vec<JobResult> {
        let (hidden, kept) = self.decoder.forward(jobs);
        let width = self.context.hidden_size;
        let heads = self.decoder.scalar_heads(hidden.clone());
        let tokens: usize = jobs.iter().map(|job| job.tokens.len()).sum();
        let count = heads.len() / tokens.max(1);
        let hidden = values(hidden);
        let mut from = 0;
        let done = |(job, kv): (&&Job, Kv)| {
            let to = from + job.tokens.len();
            let last = &hidden[(to - 1) * width..to * width];
            let done = match &job.kind {
                JobKind::Read { .. } => {
                    JobResult::Read(Read::new(kv, heads[from * count..to * count].to_vec()))
                }
                JobKind::NextToken(tokens) => {
                    let logits = self.decoder.logits(self.decoder.upload(last.to_vec()));
                    JobResult::NextToken(self.context.probabilities(&values(logits), tokens))
                }
                JobKind::Hidden | JobKind::Generate(_) => JobResult::Hidden(last.to_vec()),
            };
            from = to;
            done
        };
        jobs.iter().zip(kept).map(done).collect()
    }
}
