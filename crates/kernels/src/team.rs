//! Threads that share one job.
//!
//! A model that fits the caches runs best with a thread per batch, each with all weights to itself. One that does not is
//! limited by reading its weights from memory: there, all threads work on the same product, so that each weight is read
//! once per step and not once per thread.

use std::sync::Arc;

use rayon::ThreadPool;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// Values from which an elementwise pass is shared. Handing out fewer takes longer than the pass.
const LEAST: usize = 1 << 15;

/// A number of threads that share the parts of a job. What is computed does not depend on their number.
#[derive(Debug, Clone)]
pub struct Team(Option<Arc<ThreadPool>>);

impl Team {
    /// Only the calling thread.
    pub fn alone() -> Self {
        Self(None)
    }

    /// `threads` threads, at least 1.
    ///
    /// # Panics
    /// Panics if the system refuses to start them.
    pub fn of(threads: usize) -> Self {
        if threads < 2 {
            return Self::alone();
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        Self(Some(Arc::new(pool.expect("the system starts threads"))))
    }

    /// Number of threads.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// Runs `work` as one of the threads. Called from outside, every [`Self::map`] would wake a sleeping thread and put
    /// the caller to sleep; within, the caller takes parts of the job itself.
    pub fn lead<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.0 {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Runs every part of a job, on whatever thread is free. Returns the results in the order of the parts.
    pub fn map<T: Send, R: Send>(
        &self,
        parts: Vec<T>,
        run: impl Fn(T) -> R + Sync + Send,
    ) -> Vec<R> {
        match &self.0 {
            Some(pool) if parts.len() > 1 => {
                pool.install(|| parts.into_par_iter().map(run).collect())
            }
            _ => parts.into_iter().map(run).collect(),
        }
    }

    /// [`Self::map`] with something that a thread keeps from part to part, such as buffers.
    pub fn map_init<T: Send, R: Send, W>(
        &self,
        parts: Vec<T>,
        init: impl Fn() -> W + Sync + Send,
        run: impl Fn(&mut W, T) -> R + Sync + Send,
    ) -> Vec<R> {
        match &self.0 {
            Some(pool) if parts.len() > 1 => {
                pool.install(|| parts.into_par_iter().map_init(init, run).collect())
            }
            _ => {
                let mut kept = init();
                parts.into_iter().map(|part| run(&mut kept, part)).collect()
            }
        }
    }

    /// Runs a function on rows of `width` values and the rows of `from` beside them.
    pub fn update_rows(
        &self,
        rows: &mut [f32],
        from: &[f32],
        width: usize,
        run: impl Fn(&mut [f32], &[f32]) + Sync + Send,
    ) {
        let pieces = if rows.len() < LEAST { 1 } else { self.pieces(rows.len() / width) };
        if pieces == 1 {
            return run(rows, from);
        }
        let size = (rows.len() / width).div_ceil(pieces) * width;
        let parts = rows.chunks_mut(size).zip(from.chunks(size)).collect();
        self.map(parts, |(rows, from)| run(rows, from));
    }

    /// The number of pieces to cut a job of `units` equal units into: a few per thread, so that one that is interrupted
    /// does not hold up the others.
    pub(crate) fn pieces(&self, units: usize) -> usize {
        const PER_THREAD: usize = 4;
        if self.size() == 1 { 1 } else { (PER_THREAD * self.size()).min(units).max(1) }
    }
}
