//! Whole-row outputs: the final hidden state, and next-token probabilities.

use super::read::pending;
use super::rows::ReadRequest;
use super::spread::Size;
use super::{Engine, finite};
use crate::Error;
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
        let limit = self.config.max_position_embeddings;
        self.check_lengths(rows.iter().map(|row| row.ids.len()), limit)?;
        let rows: Vec<ScopedRow<'_>> =
            rows.iter().map(|row| ScopedRow { scope: row.scope, ids: &row.ids }).collect();
        let cached = self.read_before(&rows, prefixes);
        prefixes.count(self.cost(rows.len(), 0));
        let size = |(row, cached): (usize, usize)| Size { row, cached, new: 1 };
        let sizes: Vec<Size> =
            cached.iter().map(|prefix| prefix.tokens).enumerate().map(size).collect();
        let hidden = self.spread(&self.batches(&sizes), |model, batch| {
            // Only the last token is new, and it is not cached.
            let row = |&row: &usize| {
                pending(ReadRequest { row: rows[row], keep: 0 }, &cached[row], prefixes)
            };
            let hidden = model.hidden(&batch.iter().map(row).collect::<Vec<_>>(), &self.team);
            hidden.chunks(self.config.hidden_size).map(<[f32]>::to_vec).collect()
        });
        hidden.iter().try_for_each(|state| finite(state))?;
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
        let hidden = self.embed(rows, prefixes)?;
        prefixes.count(self.cost(0, rows.len()));
        if hidden.is_empty() {
            return Ok(Vec::new());
        }
        let probabilities = self.model.probabilities(hidden.concat(), &self.team);
        finite(&probabilities)?;
        let chosen = |row: &[f32]| tokens.iter().map(|&token| row[token as usize]).collect();
        Ok(probabilities.chunks(self.config.vocab_size).map(chosen).collect())
    }
}
