//! The search loop. Many trees advance together: in each wave every tree says what it needs, and the models serve all of
//! them in one batch.

use critic::Solution;
use dataset::seed_for;
use lm::Sampling;
use mcts::{Action, NodeId, Request, SampleRequest, Tree};
use policy::{Continuation, FinishReason, StateRequest, Termination};

use crate::active::{ActiveSearch, Leaf};
use crate::memory::{Costed, Memory};
use crate::pool::Pool;
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

    /// Searches all questions and reports progress to `watch` after every wave.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn search_watched(
        &self,
        questions: &[Question<'_>],
        watch: &mut dyn FnMut(SearchProgress),
    ) -> Result<Costed<Searched>, Error> {
        let mut memory = Memory::new(&self.critic);
        let mut pool = Pool::new(self.kv_bytes);
        for (index, &question) in questions.iter().enumerate() {
            let search = ActiveSearch::new(index, question, Tree::new(&self.config.mcts)?);
            pool.wait(ActiveSearch { taken: self.policy.taken(question.text, "")?, ..search });
        }
        let mut results: Vec<(usize, Searched)> = Vec::with_capacity(questions.len());
        loop {
            pool.admit();
            if pool.open.is_empty() {
                break;
            }
            self.wave(&mut pool.open, &mut memory)?;
            let done = pool.close();
            let indices: Vec<(usize, &str)> =
                done.iter().map(|search| (search.index, search.question.text)).collect();
            let searched = self.finish(done, &mut memory)?;
            // Before anything is freed, to catch the peak.
            memory.measure();
            for ((index, question), searched) in indices.into_iter().zip(searched) {
                memory.forget(question);
                results.push((index, searched));
            }
            pool.make_room(&mut memory);
            watch(progress(&results, &pool, &memory));
        }
        // Trees finish in any order.
        results.sort_unstable_by_key(|&(index, _)| index);
        let results = results.into_iter().map(|(_, searched)| searched).collect();
        Ok(Costed { results, cost: memory.cost() })
    }

    /// Serves the current request of every tree.
    fn wave(&self, searches: &mut [ActiveSearch<'_>], memory: &mut Memory) -> Result<(), Error> {
        let (mut roots, mut samples, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
        for (index, search) in searches.iter().enumerate() {
            match search.tree.request() {
                // Requests are grouped by kind, so that each model sees one large batch per wave.
                Request::ScoreRoot => roots.push(index),
                Request::Sample(wanted) => samples.push((index, wanted)),
                Request::Evaluate { nodes, .. } => {
                    leaves.extend(nodes.into_iter().map(|node| search.leaf(index, node)));
                }
                Request::Done(_) => {}
            }
        }
        self.score_roots(searches, &roots, memory)?;
        self.sample(searches, &samples, memory)?;
        self.evaluate(searches, &leaves, memory)?;
        self.settle(searches, &leaves);
        Ok(())
    }

    /// Ends the search of every tree whose answer is settled, among the trees with leaves in this wave.
    fn settle(&self, searches: &mut [ActiveSearch<'_>], leaves: &[Leaf]) {
        let Some(settled) = self.config.settled else { return };
        let mut evaluated: Vec<usize> = leaves.iter().map(|leaf| leaf.search).collect();
        // Leaves are in order of their searches, so duplicates are adjacent.
        evaluated.dedup();
        for index in evaluated {
            let search = &mut searches[index];
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
    }

    fn score_roots(
        &self,
        searches: &mut [ActiveSearch<'_>],
        roots: &[usize],
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let solutions: Vec<Solution<'_>> = roots
            .iter()
            .map(|&index| {
                let question = searches[index].question.text;
                Solution { question, options: Vec::new(), finished: false, branch: 0 }
            })
            .collect();
        for (&index, scores) in roots.iter().zip(memory.judge(&self.critic, &solutions)?) {
            let search = &mut searches[index];
            let told = search.tree.tell_root(f64::from(scores.root));
            told.map_err(|source| search.refused(source))?;
        }
        Ok(())
    }

    fn sample(
        &self,
        searches: &mut [ActiveSearch<'_>],
        asked: &[(usize, Vec<SampleRequest>)],
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let mut draws = Vec::new();
        for (index, wanted) in asked {
            for wanted in wanted {
                draws.extend(self.draws(&searches[*index], *wanted));
            }
        }
        let mut options = self.drawn(draws, memory)?.into_iter();
        let nodes: Vec<(usize, Vec<NodeId>)> = asked
            .iter()
            .map(|(index, wanted)| {
                let each = |w: &SampleRequest| std::iter::repeat_n(w.node, w.count as usize);
                (*index, wanted.iter().flat_map(each).collect())
            })
            .collect();
        let mut actions: Vec<Vec<Action>> = Vec::with_capacity(nodes.len());
        for (index, nodes) in &nodes {
            let options: Vec<Continuation> = options.by_ref().take(nodes.len()).collect();
            actions.push(self.actions(&mut searches[*index], nodes, options)?);
        }
        let similar = self.similar(searches, &nodes, &actions, memory)?;
        for ((index, _), actions) in asked.iter().zip(actions) {
            let search = &mut searches[*index];
            // Samples that the tree will merge or discard were generated as well.
            search.tokens += actions.iter().map(|a| u64::from(a.cost)).sum::<u64>();
            let similar = similar.get(index);
            let told = search.tree.tell_compared(actions, |node, new, old| {
                similarity::lookup(similar, node, new, old)
            });
            told.map_err(|source| search.refused(source))?;
        }
        Ok(())
    }

    /// Turns the options drawn at `nodes` into the tree's actions.
    fn actions(
        &self,
        search: &mut ActiveSearch<'_>,
        nodes: &[NodeId],
        options: Vec<Continuation>,
    ) -> Result<Vec<Action>, Error> {
        let by_tokens = matches!(self.policy.config().termination, Termination::Tokens(_));
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
        let Some(context) = self.policy.context() else { return Ok(false) };
        let written = [search.options(node).concat().as_str(), &option.text].concat();
        // A token is at least one byte, so a short path fits without being tokenized.
        if search.taken.is_some_and(|taken| taken + written.len() < context) {
            return Ok(false);
        }
        let taken = self.policy.taken(search.question.text, &written)?;
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
        let most = (!to_end).then(|| self.policy.config().max_option_tokens);
        let draw = |i: u32| {
            let answered = |text: &str| self.policy.answered(text);
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
        let mut written = self.policy.write(&states, &mut memory.policy)?.into_iter();
        Ok(places.into_iter().filter_map(|place| place.or_else(|| written.next())).collect())
    }
}

fn progress(finished: &[(usize, Searched)], pool: &Pool<'_>, memory: &Memory) -> SearchProgress {
    let done = finished.iter().map(|(_, searched)| (&searched.tree, searched.tokens));
    let open = pool.searches().map(|search| (&search.tree, search.tokens));
    let mut progress =
        SearchProgress { done: finished.len(), cost: memory.cost(), ..SearchProgress::default() };
    for (tree, tokens) in done.chain(open) {
        progress.nodes += u64::from(tree.tally().nodes);
        progress.tokens += tokens;
    }
    progress
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
