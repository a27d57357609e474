//! Splits rows into batches and runs them on the workers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Engine;

/// New tokens of a row are padded to a multiple of this.
pub(super) const NEW_BUCKET: usize = 16;
/// Maximum tokens of a forward pass, including padding, on devices that are efficient only with large ones.
const PASS_TOKENS: usize = 16_384;
/// About how many tokens the CPU reads per pass: enough to make the matrix products efficient, few enough for its caches.
const CPU_PASS_TOKENS: usize = 1024;

impl Engine {
    /// Groups row indices into batches by their cached columns and new tokens.
    pub(super) fn batches(
        &self,
        rows: impl Iterator<Item = (usize, (usize, usize))>,
    ) -> Vec<Vec<usize>> {
        if self.on_cpu() { self.even_batches(rows) } else { self.padded_batches(rows) }
    }

    /// Batches with about the same number of new tokens, in order.
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

    /// Batches of equal padded size, the longest first.
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
            // The longest batches first, so that no worker starts a long one when the others are done.
            .rev()
            .flat_map(|(size, rows)| {
                rows.chunks(most(size)).map(<[usize]>::to_vec).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Runs the batches on the workers. Returns the results in row order.
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

    /// Calls `run` on up to `most` workers. Returns all results in row order.
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

    /// A copy of the engine for another thread. The weights are shared.
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
