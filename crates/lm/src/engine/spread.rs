//! Batches, and the workers that they are spread over.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Engine;

/// What a row reads is padded to a multiple of this many tokens.
pub(super) const NEW_BUCKET: usize = 16;
/// The most tokens, padding included, of one forward pass on a device that wants large ones.
const PASS_TOKENS: usize = 16_384;
/// About so many tokens are read in one pass on the CPU: enough for its products, few enough for its caches.
const CPU_PASS_TOKENS: usize = 1024;

impl Engine {
    /// Indices of rows in batches, by their known columns and their new tokens.
    pub(super) fn batches(
        &self,
        rows: impl Iterator<Item = (usize, (usize, usize))>,
    ) -> Vec<Vec<usize>> {
        if self.on_cpu() { self.even_batches(rows) } else { self.padded_batches(rows) }
    }

    /// Batches of about as many new tokens, in order.
    fn even_batches(&self, rows: impl Iterator<Item = (usize, (usize, usize))>) -> Vec<Vec<usize>> {
        let rows: Vec<(usize, usize)> = rows.map(|(row, (_, new))| (row, new)).collect();
        let total: usize = rows.iter().map(|(_, new)| new).sum();
        let share = total.div_ceil(self.options.workers.max(1)).clamp(1, CPU_PASS_TOKENS);
        let (mut batches, mut tokens) = (Vec::<Vec<usize>>::new(), share);
        for (row, new) in rows {
            if tokens >= share || batches.last().is_some_and(|b| b.len() >= self.options.rows) {
                batches.push(Vec::new());
                tokens = 0;
            }
            batches.last_mut().expect("the first row begins a batch").push(row);
            tokens += new;
        }
        batches
    }

    /// Batches of one size each, the longest first.
    fn padded_batches(
        &self,
        rows: impl Iterator<Item = (usize, (usize, usize))>,
    ) -> Vec<Vec<usize>> {
        let mut groups = BTreeMap::<(usize, usize), Vec<usize>>::new();
        for (row, (known, new)) in rows {
            groups.entry((known, new.next_multiple_of(NEW_BUCKET))).or_default().push(row);
        }
        let most = |(known, new): (usize, usize)| {
            (PASS_TOKENS / (known + new).max(1)).clamp(1, self.options.rows.max(1))
        };
        groups
            .into_iter()
            .rev()
            .flat_map(|(size, rows)| {
                rows.chunks(most(size)).map(<[usize]>::to_vec).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Runs the batches on the workers and puts the results back in order.
    pub(super) fn spread<T: Send>(
        &self,
        batches: &[Vec<usize>],
        run: impl Fn(&Self, &[usize]) -> Vec<T> + Sync,
    ) -> Vec<T> {
        let next = AtomicUsize::new(0);
        self.on_workers(batches.len(), |engine| {
            let mut done = Vec::new();
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.extend(batch.iter().copied().zip(run(engine, batch)));
            }
            done
        })
    }

    /// Runs something on as many workers as there is work for, and puts the results of all in order.
    pub(super) fn on_workers<T: Send>(
        &self,
        most: usize,
        run: impl Fn(&Self) -> Vec<(usize, T)> + Sync,
    ) -> Vec<T> {
        let done = Mutex::new(Vec::new());
        let work = |engine: &Self| {
            let results = run(engine);
            done.lock().expect("no worker panics while it holds the lock").extend(results);
        };
        std::thread::scope(|scope| {
            for worker in 1..self.options.workers.min(most) {
                let engine = self.others.get(worker - 1).unwrap_or(self);
                let (replica, work) = (engine.replica(), &work);
                scope.spawn(move || work(&replica));
            }
            work(self);
        });
        let mut done = done.into_inner().expect("no worker panics while it holds the lock");
        done.sort_unstable_by_key(|&(row, _)| row);
        done.into_iter().map(|(_, result)| result).collect()
    }

    /// The same model for another thread; the weights are shared.
    fn replica(&self) -> Self {
        Self {
            config: self.config.clone(),
            decoder: self.decoder.clone(),
            output: self.output.clone(),
            tokenizer: self.tokenizer.clone(),
            rotary: self.rotary.clone(),
            shape: self.shape,
            device: self.device.clone(),
            options: self.options,
            others: Vec::new(),
        }
    }
}
