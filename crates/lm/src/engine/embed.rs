//! Whole-row outputs: the final hidden state, and next-token probabilities.

use super::read::job;
use super::{Engine, finite};
use crate::Error;
use crate::job::{JobKind, JobResult};
use crate::prefix::{Prefixes, ScopedRow};
use crate::requests::EmbedRequest;

impl Engine {
    /// Returns the final hidden state at the last token of every row, `[rows][hidden_size]`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a row beyond the context; [`Error::NotFinite`].
    pub fn embed(
        &self,
        rows: &[EmbedRequest],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let hidden = self.last_tokens(rows, &JobKind::Hidden, prefixes)?;
        prefixes.count(self.cost(rows.len(), 0));
        Ok(hidden)
    }

    /// Returns the probability of each of `tokens` as the next token of every row, `[rows][tokens]`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a row beyond the context; [`Error::NotFinite`].
    pub fn next_token(
        &self,
        rows: &[EmbedRequest],
        tokens: &[u32],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let next = self.last_tokens(rows, &JobKind::NextToken(tokens.into()), prefixes)?;
        prefixes.count(self.cost(rows.len(), rows.len()));
        Ok(next)
    }

    /// Reads all but the last token of each row into the cache, then runs the last tokens as jobs of one kind.
    fn last_tokens(
        &self,
        rows: &[EmbedRequest],
        kind: &JobKind,
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let limit = self.config.max_position_embeddings;
        self.check_lengths(rows.iter().map(|row| row.ids.len()), limit)?;
        let rows: Vec<ScopedRow<'_>> =
            rows.iter().map(|row| ScopedRow { scope: row.scope, ids: &row.ids }).collect();
        let cached = self.read_before(&rows, prefixes);
        let jobs = rows.iter().zip(&cached);
        let jobs = jobs.map(|(&row, cached)| job(row, cached, prefixes, kind.clone()));
        let done = self.scheduler.run(jobs.collect());
        let numbers: Vec<Vec<f32>> = done.into_iter().map(JobResult::into_numbers).collect();
        numbers.iter().try_for_each(|numbers| finite(numbers))?;
        Ok(numbers)
    }
}
