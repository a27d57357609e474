//! Progress that a run reports.

use super::state::State;

/// Metrics of a batch's preference pairs before the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preferred {
    /// Number of pairs.
    pub pairs: usize,
    /// Mean loss, without the chosen solutions' likelihood term; ln 2 at the start.
    pub loss: f64,
    /// Fraction of pairs whose chosen solution has the higher implicit reward.
    pub accuracy: f64,
}

impl Preferred {
    /// Computes the metrics from reward differences; `None` without pairs.
    pub(super) fn of(rewards: &[f32]) -> Option<Self> {
        let (pairs, rewards) = (rewards.len(), rewards.iter().map(|&reward| f64::from(reward)));
        // -ln sigmoid(r), written so that it does not overflow.
        let losses = rewards.clone().map(|r| (-r).max(0.0) + (-r.abs()).exp().ln_1p());
        let mean = |sum: f64| sum / pairs as f64;
        let (loss, accuracy) =
            (mean(losses.sum()), mean(rewards.filter(|&r| r > 0.0).count() as f64));
        (pairs > 0).then_some(Self { pairs, loss, accuracy })
    }
}

/// Progress reported to the caller.
#[derive(Debug)]
pub enum Event<'a> {
    /// An update is done.
    Update {
        /// Updates done so far.
        update: usize,
        /// Updates planned, unless the run stops early.
        total: usize,
        /// Mean loss of the batch.
        loss: f64,
        /// Learning rate of the update.
        rate: f64,
        /// Gradient norm before clipping.
        norm: f64,
        /// Tokens in the batch, without padding.
        tokens: usize,
        /// Metrics of the batch's preference pairs, if it has any.
        preferred: Option<Preferred>,
    },
    /// The validation loss was measured.
    Validated {
        /// Updates done so far.
        update: usize,
        /// Mean loss on the validation examples.
        loss: f64,
        /// Whether it is the lowest so far.
        best: bool,
    },
    /// A state to save, for resuming after an interruption.
    Save(&'a State),
}
