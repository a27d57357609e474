//! Runs the decoders and returns their answers and costs.

use std::time::Instant;

use decoding::{
    Candidate, Costed, Pick, Question, Searched, Searcher, StepConfig, StepMethod, StepSolutions,
    candidate,
};
use lm::Sampling;
use stage::Failure;

use crate::cost::DecodingCost;
use crate::decoder::Decoder;

/// The answers of decoders that share their work, each with the index of its question.
pub(crate) struct Decoded {
    pub(crate) group_cost: DecodingCost,
    pub(crate) answers: Vec<(usize, Answer)>,
}

/// An answer to a problem, not yet graded.
pub(crate) struct Answer {
    pub(crate) decoder: String,
    pub(crate) text: Option<String>,
    pub(crate) tokens: u64,
    pub(crate) nodes: Option<i32>,
    pub(crate) seed: Option<i64>,
}

/// The answers of a group of decoders to one question.
struct Answers {
    /// One text per decoder.
    texts: Vec<Option<String>>,
    tokens: u64,
    nodes: Option<i32>,
}

impl Answer {
    pub(crate) fn new(decoder: &str, text: Option<String>, tokens: u64) -> Self {
        Self { decoder: decoder.to_owned(), text, tokens, nodes: None, seed: None }
    }
}

impl Decoded {
    /// Runs a group of decoders and measures the time. `answers` returns its texts in the order of `decoders`.
    fn timed<T>(
        decoders: Vec<String>,
        problems: usize,
        decode: impl FnOnce() -> Result<Costed<T>, decoding::Error>,
        answers: impl Fn(&T) -> Answers,
    ) -> Result<Self, Failure> {
        let clock = Instant::now();
        let Costed { results, cost } = decode().map_err(Failure::from)?;
        let seconds = clock.elapsed().as_secs_f64();
        let named = |(at, found): (usize, &T)| {
            let Answers { texts, tokens, nodes } = answers(found);
            let each = decoders.iter().zip(texts);
            let answer = |(decoder, text): (&String, Option<String>)| {
                (at, Answer { nodes, ..Answer::new(decoder, text, tokens) })
            };
            each.map(answer).collect::<Vec<_>>()
        };
        let tokens = results.iter().map(|found| answers(found).tokens).sum();
        let answers = results.iter().enumerate().flat_map(named).collect();
        Ok(Self { group_cost: DecodingCost { decoders, problems, seconds, tokens, cost }, answers })
    }
}

/// Runs eta-MCTS and answers with each of the four picks. `name` is appended to their names.
pub(crate) fn by_tree(
    searcher: &Searcher,
    name: &str,
    questions: &[Question<'_>],
) -> Result<Decoded, Failure> {
    let text = |searched: &Searched, pick| {
        searched.picks.get(pick).map(|i| searched.solutions[i].text.clone())
    };
    let answers = |searched: &Searched| Answers {
        texts: Pick::ALL.map(|pick| text(searched, pick)).into(),
        tokens: searched.tokens,
        nodes: Some(searched.tree.tally().nodes as i32),
    };
    let names = Pick::ALL.map(|pick| format!("{}{name}", Decoder::Tree(pick)));
    Decoded::timed(names.into(), questions.len(), || searcher.search(questions), answers)
}

/// A way to pick one of several samples.
type PickSample = fn(&[Candidate]) -> Option<usize>;

/// Draws `count` samples per question and answers with each way to pick one of them.
pub(crate) fn by_samples(
    searcher: &Searcher,
    sampling: Sampling,
    count: u32,
    questions: &[Question<'_>],
) -> Result<Decoded, Failure> {
    // A single sample leaves nothing to pick from.
    let picks: Vec<(String, PickSample)> = if count == 1 {
        vec![(Decoder::Sampling.to_string(), candidate::best)]
    } else {
        let several: [(Decoder, PickSample); 4] = [
            (Decoder::SelfConsistency, candidate::majority),
            (Decoder::BestOfN, candidate::best),
            (Decoder::BestLeaf, candidate::best_leaf),
            (Decoder::OrmVote, candidate::weighted),
        ];
        several.map(|(decoder, pick)| (format!("{decoder}@{count}"), pick)).into()
    };
    let (names, picks): (Vec<String>, Vec<PickSample>) = picks.into_iter().unzip();
    let answers = |candidates: &Vec<Candidate>| Answers {
        texts: picks.iter().map(|pick| text_of(candidates, pick(candidates))).collect(),
        // A pick pays for every sample it chose from.
        tokens: candidates.iter().map(|c| u64::from(c.tokens)).sum(),
        nodes: None,
    };
    let decode = || searcher.independent_samples(questions, sampling, count);
    Decoded::timed(names, questions.len(), decode, answers)
}

/// Runs a step search and answers with the ORM-weighted vote over its solutions.
pub(crate) fn by_steps(
    searcher: &Searcher,
    config: &StepConfig,
    method: StepMethod,
    questions: &[Question<'_>],
) -> Result<Decoded, Failure> {
    let answers = |found: &StepSolutions| Answers {
        texts: vec![text_of(&found.candidates, candidate::weighted(&found.candidates))],
        tokens: found.tokens,
        nodes: Some(found.nodes as i32),
    };
    let decode = || searcher.steps(questions, config, method);
    let decoder = Decoder::Steps(method);
    Decoded::timed(vec![decoder.to_string()], questions.len(), decode, answers)
}

fn text_of(candidates: &[Candidate], pick: Option<usize>) -> Option<String> {
    pick.map(|i| candidates[i].text.clone())
}
