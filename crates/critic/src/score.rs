//! Inference: solutions in, scores out.

use std::sync::Arc;

use lm::engine::ScoreRequest;
use lm::prefix::{PrefixCounts, scope_of};
use lm::{Engine, Prefixes};
use policy::{Policy, PromptFormat};

use crate::encode::Encoded;
use crate::words::{AnswerCache, WordCritic};
use crate::{CriticConfig, Encoder, Error, Head, Scores, Solution};

/// One model of the critic.
#[derive(Debug)]
struct Member {
    engine: Arc<Engine>,
    encoder: Encoder,
    /// The token prefix shared by all rows.
    shared: Vec<u32>,
    /// Its heads, in the order of their scores.
    heads: Vec<Head>,
}

/// The critics: one model for all heads, or several with different heads.
#[derive(Debug)]
pub struct Critic {
    members: Vec<Member>,
    readers: Vec<WordCritic>,
    config: CriticConfig,
}

/// The KV caches of a critic's models, and the answers of its critics in words.
#[derive(Debug, Default)]
pub struct Memory {
    members: Vec<Prefixes>,
    readers: Vec<(Prefixes, AnswerCache)>,
    cut: u64,
}

impl Memory {
    fn all(&self) -> impl Iterator<Item = &Prefixes> {
        self.members.iter().chain(self.readers.iter().map(|(prefixes, _)| prefixes))
    }

    /// Number of solutions so far that exceeded a model's context and were read only in part.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Tokens read and reused so far.
    pub fn counts(&self) -> PrefixCounts {
        let mut sum = PrefixCounts::default();
        for prefixes in self.all() {
            sum += prefixes.counts();
        }
        sum
    }

    /// Size of the cached keys, values and head outputs, in bytes.
    pub fn bytes(&self) -> usize {
        self.all().map(Prefixes::bytes).sum()
    }

    /// Size of the cache of one scope, in bytes.
    pub fn bytes_of(&self, scope: u64) -> usize {
        self.all().map(|prefixes| prefixes.bytes_of(scope)).sum()
    }

    /// Frees the cache of a scope, including answers in words. It is rebuilt when needed.
    pub fn forget(&mut self, scope: u64) {
        self.members.iter_mut().for_each(|prefixes| prefixes.forget(scope));
        for (prefixes, said) in &mut self.readers {
            prefixes.forget(scope);
            said.remove(&scope);
        }
    }
}

impl Critic {
    /// Builds a critic from models with scalar heads.
    ///
    /// # Errors
    /// [`Error::TwoHeads`] if two models have the same head, [`Error::Model`] if a mark is not a single token or the chat
    /// template cannot be rendered, [`Error::Unknown`] if a model has the head of a critic that does not exist.
    pub fn new(
        engines: Vec<Arc<Engine>>,
        format: &PromptFormat,
        config: &CriticConfig,
    ) -> Result<Self, Error> {
        let mut seen: Vec<Head> = Vec::new();
        let mut members = Vec::with_capacity(engines.len());
        for engine in engines {
            let heads = Head::all_of(&engine.config().scalar_heads)?;
            for &head in &heads {
                if seen.contains(&head) {
                    return Err(Error::TwoHeads(head));
                }
                seen.push(head);
            }
            let prompt = format.prompt(engine.tokenizer(), engine.config())?;
            let encoder = Encoder::new(engine.tokenizer(), &prompt, config)?;
            let shared = encoder.shared()?;
            members.push(Member { engine, encoder, shared, heads });
        }
        Ok(Self { members, readers: Vec::new(), config: config.clone() })
    }

    /// Adds a model that answers for some heads in words.
    ///
    /// # Errors
    /// [`Error::TwoHeads`] if one of the heads already exists, [`Error::Unasked`] if the configuration has no template
    /// for one.
    pub fn with_words(mut self, model: Arc<Policy>, heads: &[Head]) -> Result<Self, Error> {
        if let Some(&head) = heads.iter().find(|head| self.has(**head)) {
            return Err(Error::TwoHeads(head));
        }
        self.readers.push(WordCritic::new(model, heads, &self.config)?);
        Ok(self)
    }

    /// The available heads.
    pub fn heads(&self) -> impl Iterator<Item = Head> {
        let of_members = self.members.iter().flat_map(|member| member.heads.iter().copied());
        of_members.chain(self.readers.iter().flat_map(WordCritic::heads))
    }

    /// Whether a head is available.
    pub fn has(&self, head: Head) -> bool {
        self.heads().any(|other| other == head)
    }

    /// Checks that the critic has a head.
    ///
    /// # Errors
    /// [`Error::MissingHead`] lists the available heads.
    pub fn require(&self, head: Head) -> Result<(), Error> {
        if self.has(head) {
            return Ok(());
        }
        let list: Vec<&str> = self.heads().map(Head::name).collect();
        Err(Error::MissingHead(head, list.join(", ")))
    }

    /// An empty cache for this critic.
    pub fn memory(&self) -> Memory {
        Memory {
            members: self.members.iter().map(|_| Prefixes::default()).collect(),
            readers: self.readers.iter().map(|_| Default::default()).collect(),
            cut: 0,
        }
    }

    /// Length of a question in tokens and the context length, for the model that has the least room left; `None` if no
    /// model's context is known.
    ///
    /// # Errors
    /// [`Error::Model`] or [`Error::Reader`] if a tokenizer fails.
    pub fn taken(&self, question: &str) -> Result<Option<(usize, usize)>, Error> {
        let mut all = Vec::new();
        for member in &self.members {
            all.push((member.encoder.encode(question, &[], false)?.ids.len(), member.context()));
        }
        for reader in &self.readers {
            all.extend(reader.taken(question, &self.config)?);
        }
        Ok(all.into_iter().min_by_key(|(tokens, context)| context.saturating_sub(*tokens)))
    }

    /// Scores every solution; results are in order. Solutions of one question share cached prefixes, within this call and
    /// with earlier calls with the same `memory`, which must come from [`Self::memory`]. A model reads as much of a
    /// solution as its context holds: options beyond that score 0, and so does the outcome.
    ///
    /// # Errors
    /// [`Error::Reader`] if a server fails.
    pub fn score(
        &self,
        solutions: &[Solution<'_>],
        memory: &mut Memory,
    ) -> Result<Vec<Scores>, Error> {
        let mut scores = vec![Scores::default(); solutions.len()];
        let mut cut = vec![false; solutions.len()];
        for (member, prefixes) in self.members.iter().zip(&mut memory.members) {
            member.score(solutions, (&mut scores[..], &mut cut[..]), prefixes)?;
        }
        for (reader, (prefixes, said)) in self.readers.iter().zip(&mut memory.readers) {
            let found = (&mut scores[..], &mut cut[..]);
            reader.score(solutions, found, &self.config, (prefixes, said))?;
        }
        memory.cut += cut.into_iter().filter(|&cut| cut).count() as u64;
        Ok(scores)
    }
}

impl Member {
    /// Context length in tokens.
    fn context(&self) -> usize {
        self.engine.config().max_position_embeddings
    }

    /// Scores every solution, and sets `cut` for those that exceed the context.
    fn score(
        &self,
        solutions: &[Solution<'_>],
        (scores, cut): (&mut [Scores], &mut [bool]),
        prefixes: &mut Prefixes,
    ) -> Result<(), Error> {
        let (mut requests, mut places) = (Vec::new(), Vec::new());
        for (place, solution) in solutions.iter().enumerate() {
            let Encoded { mut ids, root, marks } =
                self.encoder.encode(solution.question, &solution.options, solution.finished)?;
            let at: Vec<usize> = std::iter::once(root).chain(marks).collect();
            // Attention is causal, so the scores within the context do not depend on the options beyond it.
            let read = at.partition_point(|&at| at < self.context());
            // Or-ed over the models: a solution that two of them could not read in full counts once.
            cut[place] |= read < at.len();
            if read > 0 {
                // Tokens after the last position that is read cannot change any score.
                ids.truncate(at[read - 1] + 1);
                // Other solutions share at most the prefix up to the branch point, so only that is cached.
                let keep = at[solution.branch.min(read - 1)] + 1;
                let scope = scope_of(solution.question);
                requests.push(ScoreRequest { ids, at: at[..read].to_vec(), scope, keep });
                places.push(place);
            }
        }
        if !requests.is_empty() {
            self.engine.read_shared(&self.shared, prefixes);
        }
        let mut read = vec![Vec::new(); solutions.len()];
        for (place, said) in places.into_iter().zip(self.engine.score(&requests, prefixes)?) {
            read[place] = said;
        }
        for ((scores, solution), read) in scores.iter_mut().zip(solutions).zip(read) {
            self.tell(scores, solution, &read);
        }
        Ok(())
    }

    /// Writes the scores read after the question and after each option. Options that were not read score 0.
    fn tell(&self, scores: &mut Scores, solution: &Solution<'_>, read: &[Vec<f32>]) {
        let options = solution.options.len();
        let at = |place: usize, head: usize| read.get(place).map_or(0.0, |heads| heads[head]);
        let column = |head: usize| (1..=options).map(|place| at(place, head)).collect();
        for (index, head) in self.heads.iter().enumerate() {
            match head {
                Head::Value => {
                    scores.root = at(0, index);
                    scores.values = column(index);
                }
                Head::Prm => scores.process = column(index),
                Head::Orm if solution.finished && options > 0 => {
                    scores.outcome = Some(at(options, index));
                }
                // An unfinished solution has no outcome.
                Head::Orm => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lm::engine::EngineOptions;
    use lm::{Checkpoint, Precision, device};

    use super::*;
    use crate::encode::tests::{config, tokenizer};

    fn critic(context: usize) -> Critic {
        let model = serde_json::json!({
            "scalar_heads": Head::ALL,
            "model_type": "llama", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2, "max_position_embeddings": context, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 1,
        });
        let model = serde_json::from_value(model).unwrap();
        let checkpoint = Checkpoint::fresh(model, tokenizer(), 1, &device::cpu()).unwrap();
        let options = EngineOptions { workers: 1, rows: 8 };
        let engine = Engine::new(&checkpoint, &[device::cpu()], Precision::F32, options);
        Critic::new(vec![Arc::new(engine)], &PromptFormat::default(), &config()).unwrap()
    }

    #[test]
    fn what_a_context_does_not_hold_is_worth_nothing_and_the_rest_what_it_was() {
        let options: Vec<String> =
            (0..4).map(|n| format!("2 + {n} = {} apples.\n", n + 2)).collect();
        let solution = Solution { question: "How many?", options, finished: true, branch: 2 };
        let score = |context| {
            let critic = critic(context);
            let mut memory = critic.memory();
            let scores =
                critic.score(std::slice::from_ref(&solution), &mut memory).unwrap().remove(0);
            (scores, memory.cut())
        };
        let long = critic(256);
        let encoder = &long.members[0].encoder;
        let Encoded { root, marks, .. } =
            encoder.encode(solution.question, &solution.options, true).unwrap();
        let (whole, cut) = score(256);
        assert_eq!((whole.values.len(), whole.process.len(), cut), (4, 4, 0));
        assert!(whole.outcome.unwrap() > 0.0);
        assert_eq!(score(marks[3] + 1), (whole.clone(), 0), "exactly full");
        for (read, &context) in marks.iter().enumerate() {
            let (scores, cut) = score(context);
            assert_eq!((cut, scores.outcome), (1, Some(0.0)));
            assert!((scores.root - whole.root).abs() < 1e-6);
            for (short, long) in
                [(&scores.values, &whole.values), (&scores.process, &whole.process)]
            {
                assert_eq!(short.len(), 4);
                assert!(short[..read].iter().zip(&long[..read]).all(|(a, b)| (a - b).abs() < 1e-6));
                assert!(short[read..].iter().all(|score| *score == 0.0), "{short:?}");
            }
        }
        let (nothing, cut) = score(root);
        assert_eq!((nothing.root, nothing.values, cut), (0.0, vec![0.0; 4], 1));
        assert_eq!(long.taken(solution.question).unwrap(), Some((root + 1, 256)));
    }
}
