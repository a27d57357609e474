//! Losses and their gradients, micro-batch by micro-batch.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::{Device, Int, Tensor};

use super::batches::by_tokens;
use super::{Example, Measure, Training};
use crate::model::{self, Past, Rotary};
use crate::weights::{Path, values};
use crate::{Decoder, fused};

/// Gradients by parameter name, flattened.
pub(super) type Gradients = BTreeMap<String, Tensor<1>>;

/// Computes losses of batches.
pub(super) struct Loss {
    rotary: Rotary,
    hidden_size: usize,
    heads: usize,
    device: Device,
    workers: usize,
    by_block: bool,
}

impl Loss {
    pub(super) fn new(training: &Training<'_>, device: &Device) -> Self {
        let config = &training.checkpoint.config;
        Self {
            rotary: Rotary::new(config),
            hidden_size: config.hidden_size,
            heads: config.scalar_heads.len(),
            device: device.clone(),
            workers: training.workers,
            by_block: training.config.gradient_checkpointing,
        }
    }

    /// The mean loss of a batch and its gradients, summed over `parts` micro-batches in order.
    pub(super) fn gradients(
        &self,
        model: &Decoder,
        batch: &[&Example],
        parts: usize,
    ) -> (f64, Gradients) {
        let total = weight(batch.iter().copied());
        // Every part gets rows of all lengths, so the parts cost the same.
        let parts: Vec<Vec<&Example>> = (0..parts.min(batch.len()))
            .map(|part| batch.iter().skip(part).step_by(parts).copied().collect())
            .collect();
        let results = self.spread(model, &parts, |model, part| {
            if self.by_block {
                return self.gradients_by_block(model, part, total);
            }
            let model = model.clone().train();
            let device = self.device.clone().autodiff();
            let loss = self.sum(&model, part, &device) / total;
            let value = f64::from(values(loss.clone())[0]);
            (value, by_name(&model, loss.backward()))
        });
        let mut results = results.into_iter();
        let mut sum = results.next().expect("a batch has at least one part");
        for (value, gradients) in results {
            sum.0 += value;
            add(&mut sum.1, gradients);
        }
        sum
    }

    /// The loss of a micro-batch and its gradients with the memory of one block: forwards without a history, keeping what
    /// goes into every block; then backwards from the loss, block by block, each computed once more.
    fn gradients_by_block(
        &self,
        model: &Decoder,
        rows: &[&Example],
        total: f32,
    ) -> (f64, Gradients) {
        let (tokens, time) = Self::tokens(rows, &self.device);
        let places: Vec<usize> = (0..time).collect();
        let mask = model::causal_mask(time, &self.device);
        let positions = self.rotary.at(&places, 1, &self.device);
        let mut x = model.model.embed_tokens.forward(tokens.clone());
        let mut inputs = Vec::with_capacity(model.model.layers.len());
        for (layer, block) in model.model.layers.iter().enumerate() {
            inputs.push(x.clone());
            x = block.forward(x, &positions, (&mut Past::Nothing(&mask), layer));
        }
        let learning = model.clone().train();
        let device = self.device.clone().autodiff();
        let (mask, positions) =
            (model::causal_mask(time, &device), self.rotary.at(&places, 1, &device));
        let x = x.autodiff().require_grad();
        let hidden = model::normed(&learning.model.norm, x.clone());
        let loss = self.of_hidden(&learning, hidden, rows, time) / total;
        let value = f64::from(values(loss.clone())[0]);
        let back = loss.backward();
        let mut gradient = x.grad(&back).unwrap_or_else(|| x.inner().zeros_like());
        let mut gradients = by_name(&learning, back);
        for (layer, input) in inputs.into_iter().enumerate().rev() {
            let x = input.autodiff().require_grad();
            let past = (&mut Past::Nothing(&mask), layer);
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
        (value, gradients)
    }

    /// The mean loss of many examples, without gradients.
    pub(super) fn mean(&self, model: &Decoder, examples: &[Example], batch_tokens: usize) -> f64 {
        let mut order: Vec<usize> = (0..examples.len()).collect();
        order.sort_by_key(|&i| examples[i].ids.len());
        let batches: Vec<Vec<&Example>> =
            by_tokens(&order, |i| examples[i].ids.len(), batch_tokens.max(4096))
                .into_iter()
                .map(|batch| batch.into_iter().map(|i| &examples[i]).collect())
                .collect();
        let sums = self.spread(model, &batches, |model, batch| {
            f64::from(values(self.sum(model, batch, &self.device))[0])
        });
        sums.iter().sum::<f64>() / f64::from(weight(examples.iter()))
    }

    /// Runs `work` on every part, on the workers, and gives the results in order.
    fn spread<T: Send>(
        &self,
        model: &Decoder,
        parts: &[Vec<&Example>],
        work: impl Fn(&Decoder, &[&Example]) -> T + Sync,
    ) -> Vec<T> {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let run = |model: &Decoder| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(part) = parts.get(index) else { break };
                let result = work(model, part);
                done.lock()
                    .expect("no worker panics while it holds the lock")
                    .insert(index, result);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.workers.min(parts.len()) {
                let model = model.clone();
                scope.spawn(move || run(&model));
            }
            run(model);
        });
        let done = done.into_inner().expect("no worker panics while it holds the lock");
        done.into_values().collect()
    }

    /// The sum of the weighted losses of some rows, a tensor of one element.
    fn sum(&self, model: &Decoder, rows: &[&Example], device: &Device) -> Tensor<1> {
        let (tokens, time) = Self::tokens(rows, device);
        let positions = self.rotary.at(&(0..time).collect::<Vec<_>>(), 1, device);
        let mask = model::causal_mask(time, device);
        let hidden = model.hidden(tokens, &positions, &mut Past::Nothing(&mask));
        self.of_hidden(model, hidden, rows, time)
    }

    /// The tokens of some rows, padded to the longest, and how long that is.
    fn tokens(rows: &[&Example], device: &Device) -> (Tensor<2, Int>, usize) {
        let time = rows.iter().map(|e| e.ids.len()).max().unwrap_or(1);
        let mut tokens = vec![0; rows.len() * time];
        for (slot, row) in tokens.chunks_mut(time).zip(rows) {
            slot[..row.ids.len()].copy_from_slice(&row.ids);
        }
        (model::ids(&tokens, [rows.len(), time], device), time)
    }

    /// The sum of the weighted losses of rows whose last hidden states are `[rows, time, hidden_size]`.
    fn of_hidden(
        &self,
        model: &Decoder,
        hidden: Tensor<3>,
        rows: &[&Example],
        time: usize,
    ) -> Tensor<1> {
        let hidden = hidden.reshape([rows.len() * time, self.hidden_size]);
        let language = language(model, &hidden, rows, time);
        let heads = self.scalar_heads(model, &hidden, rows, time);
        match (language, heads) {
            (Some(a), Some(b)) => a + b,
            (Some(loss), None) | (None, Some(loss)) => loss,
            (None, None) => hidden.sum() * 0.0,
        }
    }

    fn scalar_heads(
        &self,
        model: &Decoder,
        hidden: &Tensor<2>,
        rows: &[&Example],
        time: usize,
    ) -> Option<Tensor<1>> {
        let head = model.scalar_head.as_ref()?;
        let targets: Vec<_> = rows
            .iter()
            .enumerate()
            .flat_map(|(row, e)| e.heads.iter().map(move |t| (row * time + t.at, t, e.weight)))
            .collect();
        if targets.is_empty() {
            return None;
        }
        let (count, device) = (targets.len(), hidden.device());
        let column = |f: &dyn Fn(&(usize, &super::HeadTarget, f32)) -> f32| {
            model::tensor(targets.iter().map(f).collect(), [count], &device)
        };
        let at: Vec<u32> = targets.iter().map(|t| t.0 as u32).collect();
        let which: Vec<u32> = targets.iter().map(|t| t.1.head as u32).collect();
        debug_assert!(which.iter().all(|&h| (h as usize) < self.heads));
        let scores = head.forward(hidden.clone().select(0, model::ids(&at, [count], &device)));
        let z = scores.gather(1, model::ids(&which, [count, 1], &device)).reshape([count]);
        let target = column(&|t| t.1.value);
        let squared = column(&|t| f32::from(u8::from(t.1.measure == Measure::Squared)) * t.2);
        let cross = column(&|t| f32::from(u8::from(t.1.measure == Measure::CrossEntropy)) * t.2);
        let off = sigmoid(z.clone()) - target.clone();
        let entropy = (log_sigmoid(z.clone()) * target.clone()
            + log_sigmoid(z.neg()) * (target.neg() + 1.0))
            .neg();
        Some((off.clone() * off * squared + entropy * cross).sum())
    }
}

/// Cross-entropy of the next tokens, only where there is a target: the scores of the other
/// positions are never computed.
fn language(
    model: &Decoder,
    hidden: &Tensor<2>,
    rows: &[&Example],
    time: usize,
) -> Option<Tensor<1>> {
    let (mut at, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for (row, example) in rows.iter().enumerate() {
        let Some(from) = example.targets_from else { continue };
        for target in from.max(1)..example.ids.len() {
            at.push((row * time + target - 1) as u32);
            targets.push(example.ids[target]);
            weights.push(example.weight);
        }
    }
    if at.is_empty() {
        return None;
    }
    let at: Tensor<1, Int> = model::ids(&at, [at.len()], &hidden.device());
    let logits = model.logits(hidden.clone().select(0, at));
    Some(fused::cross_entropy(logits, &targets, &weights))
}

/// What a mean is taken over: weighted target tokens plus weighted head targets.
fn weight<'a, I: Iterator<Item = &'a Example>>(rows: I) -> f32 {
    let of = |e: &Example| {
        let tokens = e.targets_from.map_or(0, |from| e.ids.len().saturating_sub(from.max(1)));
        (tokens + e.heads.len()) as f32 * e.weight
    };
    rows.map(of).sum::<f32>().max(f32::MIN_POSITIVE)
}

/// Adds gradients to others, name by name.
fn add(all: &mut Gradients, more: Gradients) {
    for (name, gradient) in more {
        let sum = match all.remove(&name) {
            Some(before) => before + gradient,
            None => gradient,
        };
        all.insert(name, sum);
    }
}

/// The gradients of the parameters that have one.
fn by_name(model: &Decoder, back: burn::tensor::Gradients) -> Gradients {
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
