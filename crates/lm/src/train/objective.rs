//! The losses of rows, from their final hidden states.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, sigmoid};

use super::config::PreferenceConfig;
use super::example::{Example, HeadTarget, Measure, Pair};
use super::places::Places;
use super::rows::Rows;
use crate::tensors::{ids, tensor, values};
use crate::{Decoder, Precision, fused};

/// The final hidden states of some rows at the positions that need one, and the model that they are of.
pub(super) struct HiddenStates<'a> {
    pub(super) model: &'a Decoder,
    pub(super) precision: Precision,
    pub(super) places: Places,
    /// `[places, hidden_size]`.
    pub(super) hidden: Tensor<2>,
}

/// Results of some rows.
pub(super) struct Sums {
    /// The weighted sum of their losses, `[1]`.
    pub(super) loss: Tensor<1>,
    /// For each pair, the implicit reward of the chosen solution minus that of the rejected one, `[pairs]`.
    rewards: Option<Tensor<1>>,
}

/// The results of a backward pass.
pub(super) struct Backward {
    pub(super) loss: f64,
    pub(super) rewards: Vec<f32>,
    pub(super) gradients: burn::tensor::Gradients,
}

/// The negative log-likelihoods of the solutions of pairs, `[pairs]` each.
pub(super) struct PairLosses {
    pub(super) chosen: Tensor<1>,
    pub(super) rejected: Tensor<1>,
}

impl Sums {
    /// Divides the loss by `total`, and differentiates it.
    pub(super) fn backward(self, total: f32) -> Backward {
        let loss = self.loss / total;
        let value = f64::from(values(loss.clone())[0]);
        let rewards = self.rewards.map(values).unwrap_or_default();
        Backward { loss: value, rewards, gradients: loss.backward() }
    }
}

impl HiddenStates<'_> {
    /// The losses of the rows.
    pub(super) fn sums(&self, rows: &Rows<'_>, preferences: Option<PreferenceConfig>) -> Sums {
        let language = self.language(&rows.examples);
        let heads = self.scalar_heads(&rows.examples);
        let preferences = preferences.filter(|_| !rows.pairs.is_empty());
        let (pairs, rewards) =
            preferences.map(|preferences| self.preferences(rows, preferences)).unzip();
        let loss = [language, heads, pairs].into_iter().flatten().reduce(|a, b| a + b);
        // A loss without terms still has to be part of the graph, or there is nothing to differentiate.
        Sums { loss: loss.unwrap_or_else(|| self.hidden.clone().sum() * 0.0), rewards }
    }

    /// The negative log-likelihoods of the pairs' solutions.
    pub(super) fn pair_losses(&self, rows: &Rows<'_>) -> PairLosses {
        let (mut at, mut targets, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for solution in rows.solutions() {
            at.extend(solution.targets().map(|target| self.places.index(solution.row, target - 1)));
            lengths.push(solution.targets().len());
            targets.extend(&solution.ids[solution.targets()]);
        }
        let logits = self.model.logits(self.at(&at), self.precision);
        let losses = fused::cross_entropies(logits, &targets);
        let mut from = 0;
        let sums = lengths.into_iter().map(|length| {
            from += length;
            losses.clone().narrow(0, from - length, length).sum()
        });
        let sums: Tensor<2> = Tensor::cat(sums.collect(), 0).reshape([rows.pairs.len(), 2]);
        let [chosen, rejected] =
            [0, 1].map(|side| sums.clone().narrow(1, side, 1).reshape([rows.pairs.len()]));
        PairLosses { chosen, rejected }
    }

    /// The weighted sum of the pairs' losses, and their reward differences. A pair's loss is
    /// `-ln sigmoid(beta ((ln p(chosen) - ln p(rejected)) - (the same of the start)))`; the reward difference is the
    /// sigmoid's argument.
    fn preferences(&self, rows: &Rows<'_>, config: PreferenceConfig) -> (Tensor<1>, Tensor<1>) {
        let PairLosses { chosen, rejected } = self.pair_losses(rows);
        let column = |f: fn(&(&Pair, f32)) -> f32| self.column(rows.pairs.iter().map(f));
        let reference = column(|(_, reference)| *reference);
        let rewards = (rejected - chosen.clone() - reference).mul_scalar(config.beta);
        // A pair's loss is weighted by its number of chosen tokens. The mean over those tokens, so weighted, is just
        // their sum.
        let likelihood = chosen.mul_scalar(config.sft_weight);
        let losses = log_sigmoid(rewards.clone()).neg() * column(|(pair, _)| pair.weight());
        ((losses + likelihood).sum(), rewards)
    }

    /// Next-token cross-entropy. Logits are computed only at positions that have a target.
    fn language(&self, rows: &[&Example]) -> Option<Tensor<1>> {
        let (mut at, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (row, example) in rows.iter().enumerate() {
            for target in example.targets() {
                at.push(self.places.index(row, target - 1));
                targets.push(example.ids[target]);
                weights.push(example.weight);
            }
        }
        if at.is_empty() {
            return None;
        }
        Some(self.model.language_loss(self.at(&at), &targets, &weights, self.precision))
    }

    /// The weighted sum of the losses of the scalar heads, whose products are never rounded.
    fn scalar_heads(&self, rows: &[&Example]) -> Option<Tensor<1>> {
        let head = self.model.scalar_head.as_ref()?;
        let targets: Vec<(u32, &HeadTarget, f32)> = rows
            .iter()
            .enumerate()
            .flat_map(|(row, e)| {
                e.heads.iter().map(move |t| (self.places.index(row, t.at), t, e.weight))
            })
            .collect();
        if targets.is_empty() {
            return None;
        }
        let count = targets.len();
        let column =
            |f: &dyn Fn(&(u32, &HeadTarget, f32)) -> f32| self.column(targets.iter().map(f));
        let at: Vec<u32> = targets.iter().map(|t| t.0).collect();
        let which: Vec<u32> = targets.iter().map(|t| t.1.head as u32).collect();
        let scores = head.forward(self.at(&at), Precision::F32);
        let which = ids(&which, [count, 1], &self.hidden.device());
        let z = scores.gather(1, which).reshape([count]);
        let target = column(&|t| t.1.value);
        let squared = column(&|t| f32::from(u8::from(t.1.measure == Measure::Squared)) * t.2);
        let cross = column(&|t| f32::from(u8::from(t.1.measure == Measure::CrossEntropy)) * t.2);
        let off = sigmoid(z.clone()) - target.clone();
        // log_sigmoid is stable for large logits, where ln(sigmoid(z)) would be -inf.
        let entropy = (log_sigmoid(z.clone()) * target.clone()
            + log_sigmoid(z.neg()) * (target.neg() + 1.0))
            .neg();
        Some((off.clone() * off * squared + entropy * cross).sum())
    }

    /// The hidden states at some of the places.
    fn at(&self, places: &[u32]) -> Tensor<2> {
        self.hidden.clone().select(0, ids(places, [places.len()], &self.hidden.device()))
    }

    fn column(&self, values: impl Iterator<Item = f32>) -> Tensor<1> {
        let values: Vec<f32> = values.collect();
        let count = values.len();
        tensor(values, [count], &self.hidden.device())
    }
}
