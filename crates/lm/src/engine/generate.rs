//! Generation: reads the prompts, then decodes.

use std::sync::Arc;

use super::{Engine, finite};
use crate::Error;
use crate::job::{Generated, Job, JobKind};
use crate::prefix::{CachedPrefix, Prefixes, Read, ScopedRow};
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
        let job = |(request, prefix): (&GenerationRequest, &CachedPrefix)| Job {
            before: prefixes.pieces(prefix),
            tokens: request.prompt.last().copied().into_iter().collect(),
            kind: JobKind::Generate(Arc::new(request.clone())),
        };
        let done = self.scheduler.run(requests.iter().zip(&cached).map(job).collect());
        let mut generations = Vec::with_capacity(requests.len());
        for (request, done) in requests.iter().zip(done) {
            let Generated { generation, kv } = done.into_generated();
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
                prefixes.insert(row, from, Read::new(kv, Vec::new()));
            }
            generations.push(generation);
        }
        Ok(generations)
    }
}
