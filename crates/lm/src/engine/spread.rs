//! Splits rows into batches and runs them on the workers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Engine;
use crate::inference::{Inference, padded_new, padded_prefix};

/// Maximum tokens of a forward pass, including padding, on devices that are efficient only with large ones.
const PASS_TOKENS: usize = 16_384;
/// About how many tokens the CPU reads per pass: enough to make the matrix products efficient, few enough for its caches.
const CPU_PASS_TOKENS: usize = 1024;

/// How much of a row is cached, and how much of it a pass has to run through the model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Index of the row.
    pub(super) row: usize,
    /// Number of cached tokens.
    pub(super) cached: usize,
    /// Number of new tokens; 0 if the row is decoded token by token, for which nothing is padded.
    pub(super) new: usize,
}

impl Engine {
    /// Groups row indices into batches.
    pub(super) fn batches(&self, rows: &[Size]) -> Vec<Vec<usize>> {
        match self.model {
            Inference::Packed(_) => self.even_batches(rows),
            Inference::Padded(_) => self.padded_batches(rows),
        }
    }

    /// Batches with about the same number of new tokens, in order.
    fn even_batches(&self, rows: &[Size]) -> Vec<Vec<usize>> {
        let total: usize = rows.iter().map(|size| size.new).sum();
        let share = total.div_ceil(self.workers()).clamp(1, CPU_PASS_TOKENS);
        let (mut batches, mut tokens) = (Vec::<Vec<usize>>::new(), share);
        for &Size { row, new, .. } in rows {
            if tokens >= share || batches.last().is_some_and(|b| b.len() >= self.rows()) {
                batches.push(Vec::new());
                tokens = 0;
            }
            batches.last_mut().expect("the first row begins a batch").push(row);
            tokens += new;
        }
        batches
    }

    /// Batches of equal padded size, the longest first.
    pub(super) fn padded_batches(&self, rows: &[Size]) -> Vec<Vec<usize>> {
        let mut groups = BTreeMap::<(usize, usize), Vec<usize>>::new();
        for &Size { row, cached, new } in rows {
            groups.entry((padded_prefix(cached), padded_new(new))).or_default().push(row);
        }
        let most = |(cached, new): (usize, usize)| {
            (PASS_TOKENS / (cached + new).max(1)).clamp(1, self.options.rows.max(1))
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
        run: impl Fn(&Inference, &[usize]) -> Vec<T> + Sync,
    ) -> Vec<T> {
        let next = AtomicUsize::new(0);
        self.on_workers(batches.len(), |model| {
            let mut done = Vec::new();
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.extend(batch.iter().copied().zip(run(model, batch)));
            }
            done
        })
    }

    /// Calls `run` on up to `most` workers. Returns all results in row order.
    pub(super) fn on_workers<T: Send>(
        &self,
        most: usize,
        run: impl Fn(&Inference) -> Vec<(usize, T)> + Sync,
    ) -> Vec<T> {
        let done = Mutex::new(Vec::new());
        let work = |model: &Inference| {
            let results = run(model);
            done.lock().expect("no worker panics while it holds the lock").extend(results);
        };
        // Each thread runs whole batches, and no product is split. On two cores, burn's own threading slowed a step of decoding
        // 64 rows from 7.9 to 8.9 ms.
        std::thread::scope(|scope| {
            for worker in 1..self.workers().min(most) {
                // A clone shares the weights.
                let model = self.others.get(worker - 1).unwrap_or(&self.model).clone();
                let work = &work;
                scope.spawn(move || work(&model));
            }
            self.team.lead(|| work(&self.model));
        });
        let mut done = done.into_inner().expect("no worker panics while it holds the lock");
        // Workers finish in any order, and callers pair the results with their rows.
        done.sort_unstable_by_key(|&(row, _)| row);
        done.into_iter().map(|(_, result)| result).collect()
    }
}
