//! Losses and their gradients, by micro-batch.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::{Device, Int, Tensor};

use super::batches::by_length;
use super::rows::{Rows, Unit};
use super::{Example, Measure, Pair, PreferenceConfig, Training};
use crate::mask;
use crate::model::Past;
use crate::rotary::Rotary;
use crate::tensors::{ids, tensor, values};
use crate::weights::Path;
use crate::{Decoder, Precision, fused};

/// Flattened gradients by parameter name.
pub(super) type Gradients = BTreeMap<String, Tensor<1>>;

/// The results of a batch.
pub(super) struct Found {
    /// Mean loss.
    pub(super) loss: f64,
    pub(super) gradients: Gradients,
    /// For each pair, the implicit reward of the chosen solution minus that of the rejected one.
    pub(super) rewards: Vec<f32>,
}

/// Results of some rows: the weighted sum of their losses, `[1]`, and their [`Found::rewards`].
struct Sums {
    loss: Tensor<1>,
    rewards: Option<Tensor<1>>,
}

/// Computes the losses of batches.
pub(super) struct Loss {
    rotary: Rotary,
    heads: usize,
    /// The devices; the first one holds the model being trained.
    devices: Vec<Device>,
    workers: usize,
    by_block: bool,
    precision: Precision,
    preferences: Option<PreferenceConfig>,
}

impl Loss {
    pub(super) fn new(training: &Training<'_>, devices: &[Device]) -> Self {
        let config = &training.checkpoint.config;
        Self {
            rotary: Rotary::new(config),
            heads: config.scalar_heads.len(),
            devices: devices.to_vec(),
            workers: training.workers.max(devices.len()),
            by_block: training.config.gradient_checkpointing,
            precision: training.config.precision,
            preferences: training.preferences.map(|preferences| preferences.config),
        }
    }

    /// The mean loss of a batch and its gradients, summed in order over `parts` micro-batches.
    pub(super) fn gradients(&self, model: &Decoder, batch: &[Unit<'_>], parts: usize) -> Found {
        let total = weight(batch);
        // Deal the rows out in turn: each part gets a mix of lengths, so all parts cost about the same.
        let parts: Vec<Rows<'_>> = (0..parts.min(batch.len()))
            .map(|part| batch.iter().skip(part).step_by(parts).copied().collect())
            .collect();
        let model = &model.clone().rounded(self.precision);
        let results = self.spread(model, &parts, |model, device, part| {
            let found = if self.by_block {
                self.gradients_by_block(model, device, part, total)
            } else {
                self.gradients_at_once(model, device, part, total)
            };
            found.moved_to(&self.devices[0])
        });
        let mut results = results.into_iter();
        let mut sum = results.next().expect("a batch has at least one part");
        for found in results {
            sum.loss += found.loss;
            add(&mut sum.gradients, found.gradients);
            sum.rewards.extend(found.rewards);
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
    ) -> Found {
        let model = model.clone().train();
        let (loss, rewards, back) =
            self.sums(&model, rows, &device.clone().autodiff()).backward(total);
        Found { loss, gradients: by_name(&model, back), rewards }
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
    ) -> Found {
        let (tokens, time) = Self::tokens(rows, device);
        let places: Vec<usize> = (0..time).collect();
        let mask = mask::causal(time, device);
        let positions = self.rotary.at(&places, 1, device);
        let mut x = model.model.embed_tokens.forward(tokens.clone());
        let mut inputs = Vec::with_capacity(model.model.layers.len());
        for (layer, block) in model.but_last().iter().enumerate() {
            inputs.push(x.clone());
            x = block.forward(x, &positions, (&mut Past::Nothing(&mask), layer));
        }
        let learning = model.clone().train();
        let device = device.clone().autodiff();
        let (mask, positions) = (mask::causal(time, &device), self.rotary.at(&places, 1, &device));
        let x = x.autodiff().require_grad();
        let places = Places::of(rows, time);
        let hidden = learning.last_at(x.clone(), &positions, &mask, places.tensor(&device));
        let (loss, rewards, back) =
            self.of_hidden(&learning, &hidden, rows, &places).backward(total);
        let mut gradient = x.grad(&back).unwrap_or_else(|| x.inner().zeros_like());
        let mut gradients = by_name(&learning, back);
        for (layer, input) in inputs.into_iter().enumerate().rev() {
            let x = input.autodiff().require_grad();
            let past = (&mut Past::Nothing(&mask), layer);
            // The gradient of `sum(y * g)` with respect to the input is `g` propagated back through the block.
            let y = learning.model.layers[layer].forward(x.clone(), &positions, past);
            let back = (y * gradient.autodiff()).sum().backward();
            gradient = x.grad(&back).expect("a block passes its input on");
            add(&mut gradients, by_name(&learning, back));
        }
        let embedding = &learning.model.embed_tokens;
        if embedding.weight.val().is_require_grad() {
            let y = embedding.forward(tokens.autodiff());
            let back = (y * gradient.autodiff()).sum().backward();
            add(&mut gradients, by_name(&learning, back));
        }
        Found { loss, gradients, rewards }
    }

    /// The mean loss over examples, without gradients.
    pub(super) fn mean(&self, model: &Decoder, examples: &[Example], batch_tokens: usize) -> f64 {
        let units: Vec<Unit<'_>> = examples.iter().map(Unit::Example).collect();
        let (_, batches) = to_read(&units, batch_tokens);
        let sums = self.spread(model, &batches, |model, device, rows| {
            f64::from(values(self.sums(model, rows, device).loss)[0])
        });
        sums.iter().sum::<f64>() / f64::from(weight(&units))
    }

    /// The model's margin for each pair, `ln p(chosen) - ln p(rejected)`, without gradients.
    pub(super) fn margins(&self, model: &Decoder, pairs: &[Pair], batch_tokens: usize) -> Vec<f32> {
        let units: Vec<Unit<'_>> = pairs.iter().map(|pair| Unit::Pair(pair, 0.0)).collect();
        let (order, batches) = to_read(&units, batch_tokens);
        let found = self.spread(model, &batches, |model, device, rows| {
            let (hidden, places) = self.hidden(model, rows, device);
            let [chosen, rejected] = surprise(model, &hidden, rows, &places);
            values(rejected - chosen)
        });
        let mut margins = vec![0.0; pairs.len()];
        for (pair, margin) in order.into_iter().zip(found.concat()) {
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
        std::thread::scope(|scope| {
            let run = &run;
            for worker in 1..self.workers.min(parts.len()) {
                let (model, at) = (model.clone(), worker % self.devices.len());
                let device = &self.devices[at];
                scope.spawn(move || match at {
                    0 => run(&model, device),
                    _ => run(&model.to_device(device), device),
                });
            }
            run(model, &self.devices[0]);
        });
        let done = done.into_inner().expect("no worker panics while it holds the lock");
        done.into_values().collect()
    }

    /// The losses of some rows.
    fn sums(&self, model: &Decoder, rows: &Rows<'_>, device: &Device) -> Sums {
        let (hidden, places) = self.hidden(model, rows, device);
        self.of_hidden(model, &hidden, rows, &places)
    }

    /// The final hidden states at the positions that need one, `[places, hidden_size]`.
    fn hidden(&self, model: &Decoder, rows: &Rows<'_>, device: &Device) -> (Tensor<2>, Places) {
        let (tokens, time) = Self::tokens(rows, device);
        let positions = self.rotary.at(&(0..time).collect::<Vec<_>>(), 1, device);
        let mask = mask::causal(time, device);
        let places = Places::of(rows, time);
        let wanted = places.tensor(device);
        (model.hidden_at(tokens, &positions, &mask, wanted), places)
    }

    /// The tokens of some rows, padded to the longest, and that length.
    fn tokens(rows: &Rows<'_>, device: &Device) -> (Tensor<2, Int>, usize) {
        let rows = rows.ids();
        let time = rows.iter().map(|ids| ids.len()).max().unwrap_or(1);
        let mut tokens = vec![0; rows.len() * time];
        for (slot, ids) in tokens.chunks_mut(time).zip(&rows) {
            slot[..ids.len()].copy_from_slice(ids);
        }
        (ids(&tokens, [rows.len(), time], device), time)
    }

    /// The losses of some rows, given their final hidden states at the selected places, `[places, hidden_size]`.
    fn of_hidden(
        &self,
        model: &Decoder,
        hidden: &Tensor<2>,
        rows: &Rows<'_>,
        places: &Places,
    ) -> Sums {
        let language = language(model, hidden, &rows.examples, places);
        let heads = self.scalar_heads(model, hidden, &rows.examples, places);
        let (pairs, rewards) = self.preferences(model, hidden, rows, places).unzip();
        let loss = [language, heads, pairs].into_iter().flatten().reduce(|a, b| a + b);
        Sums { loss: loss.unwrap_or_else(|| hidden.clone().sum() * 0.0), rewards }
    }

    /// The weighted sum of the pairs' losses, and their reward differences. A pair's loss is
    /// `-ln sigmoid(beta ((ln p(chosen) - ln p(rejected)) - (the same of the start)))`; the reward difference is the
    /// sigmoid's argument.
    fn preferences(
        &self,
        model: &Decoder,
        hidden: &Tensor<2>,
        rows: &Rows<'_>,
        places: &Places,
    ) -> Option<(Tensor<1>, Tensor<1>)> {
        let how = self.preferences.filter(|_| !rows.pairs.is_empty())?;
        let [chosen, rejected] = surprise(model, hidden, rows, places);
        let column = |f: fn(&(&Pair, f32)) -> f32| {
            let values = rows.pairs.iter().map(f).collect();
            tensor::<1>(values, [rows.pairs.len()], &hidden.device())
        };
        let reference = column(|(_, reference)| *reference);
        let rewards = (rejected - chosen.clone() - reference).mul_scalar(how.beta);
        // A pair's loss is weighted by its number of chosen tokens. The mean over those tokens, so weighted, is just
        // their sum.
        let likelihood = chosen.mul_scalar(how.sft_weight);
        let losses = log_sigmoid(rewards.clone()).neg() * column(|(pair, _)| pair.weight());
        Some(((losses + likelihood).sum(), rewards))
    }

    fn scalar_heads(
        &self,
        model: &Decoder,
        hidden: &Tensor<2>,
        rows: &[&Example],
        places: &Places,
    ) -> Option<Tensor<1>> {
        let head = model.scalar_head.as_ref()?;
        let targets: Vec<_> = rows
            .iter()
            .enumerate()
            .flat_map(|(row, e)| {
                e.heads.iter().map(move |t| (places.index(row, t.at), t, e.weight))
            })
            .collect();
        if targets.is_empty() {
            return None;
        }
        let (count, device) = (targets.len(), hidden.device());
        let column = |f: &dyn Fn(&(u32, &super::HeadTarget, f32)) -> f32| {
            tensor(targets.iter().map(f).collect(), [count], &device)
        };
        let at: Vec<u32> = targets.iter().map(|t| t.0).collect();
        let which: Vec<u32> = targets.iter().map(|t| t.1.head as u32).collect();
        debug_assert!(which.iter().all(|&h| (h as usize) < self.heads));
        let scores = head.forward(hidden.clone().select(0, ids(&at, [count], &device)));
        let z = scores.gather(1, ids(&which, [count, 1], &device)).reshape([count]);
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
}

/// The positions whose final hidden state is needed. In the last block, the other tokens only serve as keys and values.
struct Places {
    time: usize,
    /// Sorted indices into the flattened rows, each `time` tokens long.
    places: Vec<usize>,
}

impl Places {
    fn of(rows: &Rows<'_>, time: usize) -> Self {
        let examples = rows.examples.iter().enumerate().flat_map(|(row, example)| {
            let heads = example.heads.iter().map(|target| target.at);
            heads.chain(example.targets().map(|target| target - 1)).map(move |at| (row, at))
        });
        let solutions = rows
            .solutions()
            .flat_map(|(row, (from, ids))| (from..ids.len()).map(move |target| (row, target - 1)));
        let mut places: Vec<usize> =
            examples.chain(solutions).map(|(row, at)| row * time + at).collect();
        places.sort_unstable();
        places.dedup();
        if places.is_empty() {
            // A batch that needs no hidden state still has a loss, of zero.
            places.push(0);
        }
        Self { time, places }
    }

    /// The index of a position among the places.
    fn index(&self, row: usize, at: usize) -> u32 {
        let place = row * self.time + at;
        self.places.binary_search(&place).expect("what is compared is wanted") as u32
    }

    fn tensor(&self, device: &Device) -> Tensor<1, Int> {
        let places: Vec<u32> = self.places.iter().map(|&place| place as u32).collect();
        ids(&places, [places.len()], device)
    }
}

impl Found {
    /// Moves the gradients to another device.
    fn moved_to(self, device: &Device) -> Self {
        let moved = |(name, gradient): (String, Tensor<1>)| (name, gradient.to_device(device));
        Self { gradients: self.gradients.into_iter().map(moved).collect(), ..self }
    }
}

impl Sums {
    /// The loss divided by `total`, the rewards, and the gradients of that loss.
    fn backward(self, total: f32) -> (f64, Vec<f32>, burn::tensor::Gradients) {
        let loss = self.loss / total;
        let value = f64::from(values(loss.clone())[0]);
        (value, self.rewards.map(values).unwrap_or_default(), loss.backward())
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

/// The negative log-probabilities of the chosen and of the rejected solutions, `[pairs]` each.
fn surprise(
    model: &Decoder,
    hidden: &Tensor<2>,
    rows: &Rows<'_>,
    places: &Places,
) -> [Tensor<1>; 2] {
    let (mut at, mut targets, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for (row, (from, ids)) in rows.solutions() {
        at.extend((from..ids.len()).map(|target| places.index(row, target - 1)));
        lengths.push(ids.len() - from);
        targets.extend(&ids[from..]);
    }
    let at = ids(&at, [at.len()], &hidden.device());
    let losses = fused::cross_entropies(model.logits(hidden.clone().select(0, at)), &targets);
    let mut from = 0;
    let sums = lengths.into_iter().map(|length| {
        from += length;
        losses.clone().narrow(0, from - length, length).sum()
    });
    let sums: Tensor<2> = Tensor::cat(sums.collect(), 0).reshape([rows.pairs.len(), 2]);
    [0, 1].map(|side| sums.clone().narrow(1, side, 1).reshape([rows.pairs.len()]))
}

/// Next-token cross-entropy. Logits are computed only at positions that have a target.
fn language(
    model: &Decoder,
    hidden: &Tensor<2>,
    rows: &[&Example],
    places: &Places,
) -> Option<Tensor<1>> {
    let (mut at, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for (row, example) in rows.iter().enumerate() {
        for target in example.targets() {
            at.push(places.index(row, target - 1));
            targets.push(example.ids[target]);
            weights.push(example.weight);
        }
    }
    if at.is_empty() {
        return None;
    }
    let at: Tensor<1, Int> = ids(&at, [at.len()], &hidden.device());
    Some(model.language_loss(hidden.clone().select(0, at), &targets, &weights))
}

/// The total weight by which a batch's loss is divided; never 0.
fn weight(units: &[Unit<'_>]) -> f32 {
    units.iter().map(|unit| unit.weight()).sum::<f32>().max(f32::MIN_POSITIVE)
}

/// Adds gradients by name.
fn add(all: &mut Gradients, more: Gradients) {
    for (name, gradient) in more {
        let sum = match all.remove(&name) {
            Some(before) => before + gradient,
            None => gradient,
        };
        all.insert(name, sum);
    }
}

/// The gradients by parameter name, for the parameters that have one.
pub(super) fn by_name(model: &Decoder, back: burn::tensor::Gradients) -> Gradients {
    struct Namer {
        path: Path,
        gradients: GradientsParams,
        named: Gradients,
    }
    impl ModuleVisitor for Namer {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                self.named.insert(self.path.name(), gradient.flatten(0, D - 1));
            }
        }
    }
    let gradients = GradientsParams::from_grads(back, model);
    let mut namer = Namer { path: Path::default(), gradients, named: Gradients::new() };
    model.visit(&mut namer);
    namer.named
}
