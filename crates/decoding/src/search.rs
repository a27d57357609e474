//! The search loop of a tree: it says what it needs, and the models serve it.

use critic::Solution;
use dataset::seed_for;
use lm::Sampling;
use mcts::{Action, NodeId, Request, SampleRequest, Tree};
use policy::{Continuation, FinishReason, StateRequest, Termination};

use crate::active::{ActiveSearch, Leaf};
use crate::memory::{Costed, Memory};
use crate::similarity;
use crate::solutions::terminals;
use crate::{Error, Question, RolloutsBy, SearchProgress, Searched, Searcher};

/// A sample that a tree asked for.
enum Draw<'a> {
    /// Taken from an existing rollout, at no cost.
    Reused(Continuation),
    /// To be generated.
    New(StateRequest<'a>),
}

impl Searcher {
    /// Searches all questions; results are in order.
    ///
    /// # Errors
    /// [`Error::Tree`] names the prompt whose tree refused a score; an error of a model.
    pub fn search(&self, questions: &[Question<'_>]) -> Result<Costed<Searched>, Error> {
        self.search_watched(questions, &mut |_| {})
    }

    /// Searches all questions and reports progress to `watch`.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn search_watched(
        &self,
        questions: &[Question<'_>],
        watch: &mut dyn FnMut(SearchProgress),
    ) -> Result<Costed<Searched>, Error> {
        self.sampler.for_each_question(questions, watch, |work, question| {
            let tree = Tree::new(&self.config.mcts)?;
            let taken = self.sampler.policy.taken(question.text, "")?;
            let mut search = ActiveSearch { taken, ..ActiveSearch::new(question, tree) };
            while self.advance(&mut search, &mut work.memory)? {
                let nodes = u64::from(search.tree.tally().nodes);
                work.step(SearchProgress {
                    nodes,
                    tokens: search.tokens,
                    ..SearchProgress::default()
                });
            }
            let searched = self.finish(search, &mut work.memory)?;
            let nodes = u64::from(searched.tree.tally().nodes);
            work.step(SearchProgress {
                nodes,
                tokens: searched.tokens,
                ..SearchProgress::default()
            });
            Ok(searched)
        })
    }

    /// Serves the current request of a tree. Returns whether there was one.
    fn advance(&self, search: &mut ActiveSearch<'_>, memory: &mut Memory) -> Result<bool, Error> {
        match search.tree.request() {
            Request::ScoreRoot => self.score_root(search, memory)?,
            Request::Sample(wanted) => self.sample(search, &wanted, memory)?,
            Request::Evaluate { nodes, .. } => {
                let leaves: Vec<Leaf> = nodes.into_iter().map(|node| search.leaf(node)).collect();
                self.evaluate(search, &leaves, memory)?;
                self.settle(search);
            }
            Request::Done(_) => return Ok(false),
        }
        Ok(true)
    }

    /// Ends the search of a tree whose answer is settled.
    fn settle(&self, search: &mut ActiveSearch<'_>) {
        let Some(settled) = self.config.settled else { return };
        let terminals = terminals(search);
        let candidates = self.config.rollouts_are_candidates;
        let rollouts =
            if candidates { self.rollouts_beside(search, &terminals) } else { Vec::new() };
        let finished = terminals.iter().chain(&rollouts).filter(|s| s.finish.is_natural());
        let solutions: Vec<(&str, f64)> =
            finished.filter_map(|s| Some((s.answer.as_deref()?, s.outcome))).collect();
        if settled.holds(&solutions) {
            search.tree.settle();
        }
    }

    fn score_root(&self, search: &mut ActiveSearch<'_>, memory: &mut Memory) -> Result<(), Error> {
        let question = search.question.text;
        let root = Solution { question, options: Vec::new(), finished: false, branch: 0 };
        for scores in memory.judge(&self.sampler.critic, &[root])? {
            let told = search.tree.tell_root(f64::from(scores.root));
            told.map_err(|source| search.refused(source))?;
        }
        Ok(())
    }

    fn sample(
        &self,
        search: &mut ActiveSearch<'_>,
        wanted: &[SampleRequest],
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let draws = wanted.iter().flat_map(|wanted| self.draws(search, *wanted)).collect();
        let options = self.drawn(draws, memory)?;
        let each = |w: &SampleRequest| std::iter::repeat_n(w.node, w.count as usize);
        let nodes: Vec<NodeId> = wanted.iter().flat_map(each).collect();
        let actions = self.actions(search, &nodes, options)?;
        let similar = self.similar(search, &nodes, &actions, memory)?;
        // Samples that the tree will merge or discard were generated as well.
        search.tokens += actions.iter().map(|a| u64::from(a.cost)).sum::<u64>();
        let told = search
            .tree
            .tell_compared(actions, |node, new, old| similarity::lookup(&similar, node, new, old));
        told.map_err(|source| search.refused(source))
    }

    /// Turns the options drawn at `nodes` into the tree's actions.
    fn actions(
        &self,
        search: &mut ActiveSearch<'_>,
        nodes: &[NodeId],
        options: Vec<Continuation>,
    ) -> Result<Vec<Action>, Error> {
        let by_tokens = matches!(self.sampler.policy.config().termination, Termination::Tokens(_));
        let distinct = self.draws_distinct();
        let mut actions = Vec::with_capacity(options.len());
        for (&node, mut option) in nodes.iter().zip(options) {
            if distinct {
                search.draw(node, &option);
            }
            let cut = !option.finish.is_natural();
            // A server does not report its context here, but it writes nothing once the context is full.
            let nothing = cut && option.tokens == 0;
            let full =
                nothing || ((cut || !option.terminal) && self.is_full(search, node, &option)?);
            if full {
                (option.terminal, option.finish) = (true, FinishReason::Length);
                search.out_of_room += 1;
            }
            actions.push(action(option, by_tokens || full));
        }
        Ok(actions)
    }

    /// Whether the path to `node` plus `option` fills the policy's context, so that nothing can follow.
    fn is_full(
        &self,
        search: &ActiveSearch<'_>,
        node: NodeId,
        option: &Continuation,
    ) -> Result<bool, Error> {
        let Some(context) = self.sampler.policy.context() else { return Ok(false) };
        let written = [search.options(node).concat().as_str(), &option.text].concat();
        // A token is at least one byte, so a short path fits without being tokenized.
        if search.taken.is_some_and(|taken| taken + written.len() < context) {
            return Ok(false);
        }
        let taken = self.sampler.policy.taken(search.question.text, &written)?;
        Ok(taken.is_some_and(|taken| taken >= context))
    }

    fn draws_distinct(&self) -> bool {
        matches!(self.config.mcts.merge, mcts::Merge::Distinct { .. })
    }

    /// The samples that a node needs. Options from existing rollouts through the node come first.
    fn draws<'a>(&self, search: &ActiveSearch<'a>, wanted: SampleRequest) -> Vec<Draw<'a>> {
        let SampleRequest { node, count, first_attempt, greedy_first, to_end } = wanted;
        let written = search.options(node).concat();
        let drawn = search.drawn.get(&node).cloned().unwrap_or_default();
        let grown = self.config.rollouts_by == RolloutsBy::PolicyGrown;
        let passing = search.passing(node).filter(|_| grown);
        // Earlier attempts at this node have already used the first rollouts.
        let mut existing = passing.skip(first_attempt as usize);
        let most = (!to_end).then(|| self.sampler.policy.config().max_option_tokens);
        let draw = |i: u32| {
            let answered = |text: &str| self.sampler.policy.answered(text);
            let ready = existing.next().and_then(|r| r.option(&written, most, answered));
            if let Some(option) = ready {
                return Draw::Reused(option);
            }
            // The seed depends only on the question, the node and the attempt, so a tree does not depend on the batch
            // around it.
            let attempt = format!("{}/{}", node.index(), first_attempt + i);
            let greedy = greedy_first && i == 0;
            Draw::New(StateRequest {
                question: search.question.text,
                written: written.clone(),
                sampling: if greedy { Sampling::Greedy } else { self.config.option_sampling },
                to_end,
                keep: !to_end,
                excluded: drawn.clone(),
                seed: seed_for(search.question.seed, "option", 0, &attempt),
            })
        };
        (0..count).map(draw).collect()
    }

    /// Generates the open draws and returns all options in order.
    fn drawn(&self, draws: Vec<Draw<'_>>, memory: &mut Memory) -> Result<Vec<Continuation>, Error> {
        let (mut states, mut places) = (Vec::new(), Vec::new());
        for draw in draws {
            places.push(match draw {
                Draw::Reused(option) => Some(option),
                Draw::New(state) => {
                    states.push(state);
                    None
                }
            });
        }
        let mut written = self.sampler.policy.write(&states, &mut memory.policy)?.into_iter();
        Ok(places.into_iter().filter_map(|place| place.or_else(|| written.next())).collect())
    }
}

/// Converts an option to a tree action. A blank option is a failed sample, as in the released code, unless it
/// `may_be_blank`: a single token may well be a space or the end token, and nothing fits into a full context.
fn action(option: Continuation, may_be_blank: bool) -> Action {
    let failed = !may_be_blank && option.text.trim().is_empty();
    let logprob = option.logprob();
    Action {
        text: if failed { String::new() } else { option.text },
        tokens: option.parts.iter().map(|part| part.drawn.ids.len() as u32).sum(),
        cost: option.tokens,
        logprob,
        terminal: option.terminal && !failed,
        stop: option.finish.to_string(),
    }
}
