//! Whole-row outputs: the final hidden state, and next-token probabilities.

use burn::tensor::activation::softmax;

use super::{Engine, Wanted, finite, known_columns};
use crate::Error;
use crate::prefix::{Known, Prefixes};
use crate::tensors::{tensor, values};

/// A row to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedRequest {
    /// The tokens, at least one.
    pub ids: Vec<u32>,
    /// Scope of the row's cached prefix, shared with related rows ([`crate::prefix::scope_of`]).
    pub scope: u64,
}

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
        let before: Vec<_> = rows.iter().map(|row| (row.scope, row.ids.as_slice())).collect();
        let known = self.read_before(&before, prefixes);
        let batches = self.batches(known.iter().map(|k| (known_columns(k), 1)).enumerate());
        prefixes.count(self.passed(rows.len(), 0));
        let width = self.config.hidden_size;
        let hidden = self.spread(&batches, |engine, batch| {
            // Only the last token is new, and it is not cached.
            let last =
                |&row: &usize| Wanted { scope: rows[row].scope, ids: &rows[row].ids, keep: 0 };
            let wanted: Vec<Wanted<'_>> = batch.iter().map(last).collect();
            let known = batch.iter().map(|&row| &known[row]);
            let batch: Vec<(&Wanted<'_>, &Known)> = wanted.iter().zip(known).collect();
            let (hidden, _) = engine.forward(&batch, prefixes);
            values(hidden).chunks(width).map(<[f32]>::to_vec).collect()
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
        prefixes.count(self.passed(0, rows.len()));
        let (count, width) = (hidden.len(), self.config.hidden_size);
        if count == 0 {
            return Ok(Vec::new());
        }
        let hidden = tensor(hidden.concat(), [count, width], &self.device);
        let shares = values(softmax(self.output.forward(hidden), 1));
        finite(&shares)?;
        let chosen = |row: &[f32]| tokens.iter().map(|&token| row[token as usize]).collect();
        Ok(shares.chunks(self.config.vocab_size).map(chosen).collect())
    }
}
