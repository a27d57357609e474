//! Losses and their gradients, by micro-batch.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::tensor::Device;

use super::batches::by_length;
use super::config::PreferenceConfig;
use super::example::{Example, Pair};
use super::gradients::{Gradients, add, by_name, moved_to};
use super::layout::Layout;
use super::objective::{Backward, HiddenStates, PairLosses};
use super::places::Places;
use super::rows::{Rows, Unit};
use crate::rotary::Rotary;
use crate::tensors::values;
use crate::{Decoder, ModelConfig, Precision};

/// The results of a batch.
pub(super) struct BatchResults {
    /// Mean loss.
    pub(super) loss: f64,
    pub(super) gradients: Gradients,
    /// For each pair, the implicit reward of the chosen solution minus that of the rejected one.
    pub(super) rewards: Vec<f32>,
}

/// How losses are computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct LossConfig {
    /// Number of threads; at least one per device is used.
    pub(super) workers: usize,
    pub(super) gradient_checkpointing: bool,
    /// Type that factors of matrix products are rounded to where there are gradients.
    pub(super) precision: Precision,
    pub(super) preferences: Option<PreferenceConfig>,
}

/// Computes the losses of batches.
pub(super) struct Loss {
    rotary: Rotary,
    /// The devices; the first one holds the model being trained.
    devices: Vec<Device>,
    config: LossConfig,
}

impl Loss {
    pub(super) fn new(model: &ModelConfig, devices: &[Device], config: LossConfig) -> Self {
        Self { rotary: Rotary::new(model), devices: devices.to_vec(), config }
    }

    /// The mean loss of a batch and its gradients, summed in order over `parts` micro-batches.
    pub(super) fn gradients(
        &self,
        model: &Decoder,
        batch: &[Unit<'_>],
        parts: usize,
    ) -> BatchResults {
        // The weight of the whole batch: parts divided by it need only be added.
        let total = weight(batch);
        // Deal the rows out in turn: each part gets a mix of lengths, so all parts cost about the same.
        let parts: Vec<Rows<'_>> = (0..parts.min(batch.len()))
            .map(|part| batch.iter().skip(part).step_by(parts).copied().collect())
            .collect();
        let results = self.spread(model, &parts, |model, device, part| {
            let results = if self.config.gradient_checkpointing {
                self.gradients_by_block(model, device, part, total)
            } else {
                self.gradients_at_once(model, device, part, total)
            };
            BatchResults { gradients: moved_to(results.gradients, &self.devices[0]), ..results }
        });
        let mut results = results.into_iter();
        let mut sum = results.next().expect("a batch has at least one part");
        for part in results {
            sum.loss += part.loss;
            add(&mut sum.gradients, part.gradients);
            sum.rewards.extend(part.rewards);
        }
        sum
    }

    /// The loss of a micro-batch and its gradients.
    fn gradients_at_once(
        &self,
        model: &Decoder,
        device: &Device,
        rows: &Rows<'_>,
        total: f32,
    ) -> BatchResults {
        let model = model.clone().train();
        let states = self.hidden(&model, rows, &device.clone().autodiff(), self.config.precision);
        let Backward { loss, rewards, gradients } =
            states.sums(rows, self.config.preferences).backward(total);
        BatchResults { loss, gradients: by_name(&model, gradients), rewards }
    }

    /// The loss of a micro-batch and its gradients, with gradient checkpointing. The forward pass keeps only the input of
    /// each block. The backward pass then recomputes the blocks one at a time, from the last, so that it holds the
    /// activations of a single block.
    fn gradients_by_block(
        &self,
        model: &Decoder,
        device: &Device,
        rows: &Rows<'_>,
        total: f32,
    ) -> BatchResults {
        let precision = self.config.precision;
        let layout = Layout::new(rows, device);
        let tokens = layout.tensor(device);
        let mut pass = model.whole_rows(&self.rotary, &layout.rows, precision, device);
        let mut x = model.embedded(tokens.clone());
        let mut inputs = Vec::with_capacity(model.model.layers.len());
        for (layer, block) in model.but_last().iter().enumerate() {
            inputs.push(x.clone());
            x = block.forward(x, &mut pass, layer);
        }
        let tracked = model.clone().train();
        let device = device.clone().autodiff();
        let mut pass = tracked.whole_rows(&self.rotary, &layout.rows, precision, &device);
        let x = x.autodiff().require_grad();
        let places = Places::new(rows, layout);
        let hidden = tracked.last_at(x.clone(), &mut pass, places.tensor(&device));
        let states = HiddenStates { model: &tracked, precision, places, hidden };
        let Backward { loss, rewards, gradients: back } =
            states.sums(rows, self.config.preferences).backward(total);
        let mut gradient = x.grad(&back).unwrap_or_else(|| x.inner().zeros_like());
        let mut gradients = by_name(&tracked, back);
        for (layer, input) in inputs.into_iter().enumerate().rev() {
            let x = input.autodiff().require_grad();
            // The gradient of `sum(y * g)` with respect to the input is `g` propagated back through the block.
            let y = tracked.model.layers[layer].forward(x.clone(), &mut pass, layer);
            let back = (y * gradient.autodiff()).sum().backward();
            gradient = x.grad(&back).expect("a block passes its input on");
            add(&mut gradients, by_name(&tracked, back));
        }
        let embedding = &tracked.model.embed_tokens;
        // With adapters it is frozen, and its gradient would be wasted work.
        if embedding.weight.val().is_require_grad() {
            let y = tracked.embedded(tokens.autodiff());
            let back = (y * gradient.autodiff()).sum().backward();
            add(&mut gradients, by_name(&tracked, back));
        }
        BatchResults { loss, gradients, rewards }
    }

    /// The mean loss over examples, without gradients and without rounding.
    pub(super) fn mean(&self, model: &Decoder, examples: &[Example], batch_tokens: usize) -> f64 {
        let units: Vec<Unit<'_>> = examples.iter().map(Unit::Example).collect();
        let (_, batches) = to_read(&units, batch_tokens);
        let sums = self.spread(model, &batches, |model, device, rows| {
            let states = self.hidden(model, rows, device, Precision::F32);
            f64::from(values(states.sums(rows, self.config.preferences).loss)[0])
        });
        sums.iter().sum::<f64>() / f64::from(weight(&units))
    }

    /// The model's margin for each pair, `ln p(chosen) - ln p(rejected)`, without gradients and without rounding.
    pub(super) fn margins(&self, model: &Decoder, pairs: &[Pair], batch_tokens: usize) -> Vec<f32> {
        let units: Vec<Unit<'_>> = pairs.iter().map(|pair| Unit::Pair(pair, 0.0)).collect();
        let (order, batches) = to_read(&units, batch_tokens);
        let ordered = self.spread(model, &batches, |model, device, rows| {
            let states = self.hidden(model, rows, device, Precision::F32);
            let PairLosses { chosen, rejected } = states.pair_losses(rows);
            values(rejected - chosen)
        });
        let mut margins = vec![0.0; pairs.len()];
        for (pair, margin) in order.into_iter().zip(ordered.concat()) {
            margins[pair] = margin;
        }
        margins
    }

    /// Runs `work` on every part, with the workers assigned to the devices in turn. Returns the results in order.
    fn spread<T: Send>(
        &self,
        model: &Decoder,
        parts: &[Rows<'_>],
        work: impl Fn(&Decoder, &Device, &Rows<'_>) -> T + Sync,
    ) -> Vec<T> {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let run = |model: &Decoder, device: &Device| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(part) = parts.get(index) else { break };
                let result = work(model, device, part);
                done.lock()
                    .expect("no worker panics while it holds the lock")
                    .insert(index, result);
            }
        };
        let workers = self.config.workers.max(self.devices.len());
        std::thread::scope(|scope| {
            let run = &run;
            for worker in 1..workers.min(parts.len()) {
                let (model, at) = (model.clone(), worker % self.devices.len());
                let device = &self.devices[at];
                scope.spawn(move || match at {
                    0 => run(&model, device),
                    // Copied for every batch, since the last update has changed the weights.
                    _ => run(&model.to_device(device), device),
                });
            }
            run(model, &self.devices[0]);
        });
        let done = done.into_inner().expect("no worker panics while it holds the lock");
        done.into_values().collect()
    }

    /// Runs some rows through a model that is on `device`.
    fn hidden<'a>(
        &self,
        model: &'a Decoder,
        rows: &Rows<'_>,
        device: &Device,
        precision: Precision,
    ) -> HiddenStates<'a> {
        let layout = Layout::new(rows, device);
        let mut pass = model.whole_rows(&self.rotary, &layout.rows, precision, device);
        let tokens = layout.tensor(device);
        let places = Places::new(rows, layout);
        let hidden = model.hidden_at(tokens, &mut pass, places.tensor(device));
        HiddenStates { model, precision, places, hidden }
    }
}

/// The order in which to read units without gradients, and the batches in that order.
fn to_read<'a>(units: &[Unit<'a>], batch_tokens: usize) -> (Vec<usize>, Vec<Rows<'a>>) {
    let mut order: Vec<usize> = (0..units.len()).collect();
    // Without gradients no activations are kept, so batches can be larger than in training.
    let batches = by_length(&mut order, units, batch_tokens.max(4096)).into_iter();
    let rows = batches.map(|batch| batch.into_iter().map(|i| units[i]).collect()).collect();
    (order, rows)
}

/// The total weight by which a batch's loss is divided; never 0.
fn weight(units: &[Unit<'_>]) -> f32 {
    // If all weights are 0, the loss is 0 and not NaN.
    units.iter().map(|unit| unit.weight()).sum::<f32>().max(f32::MIN_POSITIVE)
}
