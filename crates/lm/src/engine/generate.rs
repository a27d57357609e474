//! Generation: reads the prompts, then decodes.

use super::spread::Size;
use super::{Engine, finite};
use crate::Error;
use crate::decode::{Context, Decoded, PackedBatch, PaddedBatch, Queue, Waiting};
use crate::inference::Inference;
use crate::prefix::{Prefixes, Read, ScopedRow};
use crate::requests::{Generation, GenerationRequest};

impl Engine {
    /// Continues every prompt. Returns the generations in the order of the requests.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a prompt that leaves no room for a new token; [`Error::NotFinite`].
    pub fn generate(
        &self,
        requests: &[GenerationRequest],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Generation>, Error> {
        let limit = self.config.max_position_embeddings;
        self.check_lengths(requests.iter().map(|r| r.prompt.len()), limit - 1)?;
        // Read all but the last prompt token, which is the first that decoding runs through the model.
        let rows: Vec<ScopedRow<'_>> =
            requests.iter().map(|r| ScopedRow { scope: r.scope, ids: &r.prompt }).collect();
        let cached = self.read_before(&rows, prefixes);
        let waiting = requests.iter().zip(&cached);
        let waiting = waiting
            .map(|(request, prefix)| Waiting { request, before: prefixes.pieces(prefix) })
            .collect();
        let decoded = self.decode(waiting);
        let mut generations = Vec::with_capacity(requests.len());
        for (request, Decoded { generation, kv }) in requests.iter().zip(decoded) {
            finite(&generation.drawn.logprobs)?;
            let new = generation.drawn.ids.len();
            prefixes.count(self.cost(new, new));
            // A cached token needs its scalar heads too, and generation does not compute them, so only models without
            // heads are cached.
            if let Some(kv) = kv.filter(|_| self.config.scalar_heads.is_empty()) {
                let (_, read) =
                    generation.drawn.ids.split_last().expect("a generation has a token");
                let ids = &[request.prompt.as_slice(), read].concat();
                let row = ScopedRow { scope: request.scope, ids };
                let from = request.prompt.len().saturating_sub(1);
                prefixes.insert(row, from, Read { kv, heads: Vec::new() });
            }
            generations.push(generation);
        }
        Ok(generations)
    }

    /// Decodes the waiting rows on the workers, in their order.
    fn decode(&self, waiting: Vec<Waiting<'_>>) -> Vec<Decoded> {
        let count = waiting.len();
        // Even shares keep the workers equally busy.
        let most = count.div_ceil(self.workers()).min(self.rows()).max(1);
        let (batches, workers) = match self.model {
            // Workers take one row after the other.
            Inference::Packed(_) => {
                ((0..count).map(|row| vec![row]).collect(), count.div_ceil(most))
            }
            Inference::Padded(_) => {
                let size = |(row, waiting): (usize, &Waiting<'_>)| Size {
                    row,
                    cached: waiting.cached(),
                    new: 0,
                };
                let sizes: Vec<Size> = waiting.iter().enumerate().map(size).collect();
                let batches = self.padded_batches(&sizes);
                let workers = batches.len();
                (batches, workers)
            }
        };
        let queue = Queue::new(waiting, batches);
        let context = Context {
            tokenizer: &self.tokenizer,
            limit: self.config.max_position_embeddings,
            vocab_size: self.config.vocab_size,
        };
        self.on_workers(workers, |model| match model {
            Inference::Packed(decoder) => {
                PackedBatch::new(decoder, context, (most, &self.team)).run(&queue)
            }
            Inference::Padded(decoder) => PaddedBatch::run_all(decoder, context, &queue),
        })
    }
}
