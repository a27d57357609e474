//! Runs the decoders and returns their answers and costs.

use std::time::Instant;

use decoding::{
    Candidate, Costed, Head, Pick, Question, SampleBudget, Sampled, Sampler, SearchConfig,
    SearchProgress, Searched, Searcher, StepConfig, StepMethod, StepSolutions, candidate,
};
use policy::Continuation;
use stage::{Failure, Progress};

use crate::cost::DecodingCost;
use crate::decoder::Decoder;

/// Questions to decode, and the progress of their part.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) questions: &'a [Question<'a>],
    pub(crate) progress: &'a Progress,
}

type Watch<'a> = &'a mut dyn FnMut(SearchProgress);

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
        asked: Asked<'_>,
        decode: impl FnOnce(&[Question<'_>], Watch<'_>) -> Result<Costed<T>, decoding::Error>,
        answers: impl Fn(&T) -> Answers,
    ) -> Result<Self, Failure> {
        let Asked { questions, progress } = asked;
        let (clock, problems) = (Instant::now(), questions.len());
        let mut watch = |now: SearchProgress| {
            let pace = now.tokens as f64 / clock.elapsed().as_secs_f64();
            let (decoder, done) = (&decoders[0], now.done);
            progress.message(format!("{decoder} {done}/{problems}, {pace:.0} tokens/s"));
        };
        let Costed { results, cost } = decode(questions, &mut watch).map_err(Failure::from)?;
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

/// Answers greedily.
pub(crate) fn greedily(sampler: &Sampler, asked: Asked<'_>) -> Result<Decoded, Failure> {
    let answers = |option: &Continuation| Answers {
        texts: vec![Some(option.text.clone())],
        tokens: u64::from(option.tokens),
        nodes: None,
    };
    let decode = |questions: &[Question<'_>], watch: Watch<'_>| sampler.greedy(questions, watch);
    Decoded::timed(vec![Decoder::Greedy.to_string()], asked, decode, answers)
}

/// Runs eta-MCTS and answers with each of the four picks. `name` is appended to their names.
pub(crate) fn by_tree(
    searcher: &Searcher,
    name: &str,
    asked: Asked<'_>,
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
    let decode =
        |questions: &[Question<'_>], watch: Watch<'_>| searcher.search_watched(questions, watch);
    Decoded::timed(names.into(), asked, decode, answers)
}

/// A way to pick one of several samples.
type PickSample = fn(&[Candidate]) -> Option<usize>;

/// Draws samples and answers with each way to pick one of them that the critics allow. The best leaf
/// is judged by the weights of a search.
pub(crate) fn by_samples(
    sampler: &Sampler,
    search: Option<&SearchConfig>,
    budget: &SampleBudget,
    asked: Asked<'_>,
) -> Result<Decoded, Failure> {
    let count = budget.count;
    let judged = sampler.critic().heads().any(|head| head == Head::Orm);
    // A single sample leaves nothing to pick from.
    let picks: Vec<(String, PickSample)> = if count == 1 {
        vec![(Decoder::Sampling.to_string(), candidate::best)]
    } else {
        let several: [(bool, Decoder, PickSample); 4] = [
            (true, Decoder::SelfConsistency, candidate::majority),
            (judged, Decoder::BestOfN, candidate::best),
            (judged && search.is_some(), Decoder::BestLeaf, candidate::best_leaf),
            (judged, Decoder::OrmVote, candidate::weighted),
        ];
        let possible = several.into_iter().filter(|(possible, ..)| *possible);
        possible.map(|(_, decoder, pick)| (format!("{decoder}@{count}"), pick)).collect()
    };
    let (names, picks): (Vec<String>, Vec<PickSample>) = picks.into_iter().unzip();
    let answers = |sampled: &Sampled| {
        let candidates: Vec<Candidate> =
            sampled.samples.iter().map(|sample| sample.candidate.clone()).collect();
        Answers {
            texts: picks.iter().map(|pick| text_of(&candidates, pick(&candidates))).collect(),
            // A pick pays for every sample it chose from.
            tokens: sampled.tokens,
            nodes: None,
        }
    };
    let leaves = search.map(|search| &search.mcts);
    let decode = |questions: &[Question<'_>], watch: Watch<'_>| {
        sampler.samples(questions, budget, leaves, watch)
    };
    Decoded::timed(names, asked, decode, answers)
}

/// Runs a step search and answers with the ORM-weighted vote over its solutions.
pub(crate) fn by_steps(
    sampler: &Sampler,
    config: &StepConfig,
    method: StepMethod,
    asked: Asked<'_>,
) -> Result<Decoded, Failure> {
    let answers = |found: &StepSolutions| Answers {
        texts: vec![text_of(&found.candidates, candidate::weighted(&found.candidates))],
        tokens: found.tokens,
        nodes: Some(found.nodes as i32),
    };
    let decode = |questions: &[Question<'_>], watch: Watch<'_>| {
        sampler.steps(questions, config, method, watch)
    };
    Decoded::timed(vec![Decoder::Steps(method).to_string()], asked, decode, answers)
}

fn text_of(candidates: &[Candidate], pick: Option<usize>) -> Option<String> {
    pick.map(|i| candidates[i].text.clone())
}
