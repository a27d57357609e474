//! The search loop. Many trees advance together: in each wave every tree says what it needs, and the models serve all of
//! them in one batch.

use std::collections::BTreeMap;

use critic::Solution;
use dataset::seed_for;
use lm::{Drawn, Sampling};
use mcts::{Action, NodeId, Request, SampleRequest, Tree};
use policy::{StateRequest, Termination, TextOption, ended};

use crate::leaves::Leaf;
use crate::memory::{Cost, Found, Memory};
use crate::pool::Pool;
use crate::similarity;
use crate::solutions::terminals;
use crate::{Error, Picks, RolloutsBy, Searcher, Solved};

/// A question to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The prompt's id, for error messages.
    pub id: &'a str,
    /// The question's text.
    pub text: &'a str,
    /// Seed of all random draws in its search.
    pub seed: u64,
}

/// A finished search.
#[derive(Debug)]
pub struct Searched {
    /// The tree.
    pub tree: Tree,
    /// The solutions found: terminals in tree order, then completed leaves, then rollouts.
    pub solved: Vec<Solved>,
    /// The picked solutions, as indices into `solved`.
    pub picks: Picks,
    /// Tokens generated in total, including completions.
    pub tokens: u64,
    /// Number of paths that ended because the policy's context was full.
    pub out_of_room: u32,
}

/// Progress of a batch of questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Finished questions.
    pub done: usize,
    /// Nodes in all trees.
    pub nodes: u64,
    /// Independent samples drawn for all questions.
    pub samples: u64,
    /// Tokens generated.
    pub tokens: u64,
    /// Model cost so far.
    pub cost: Cost,
}

impl std::ops::Add for Pulse {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        let mut cost = self.cost;
        cost += more.cost;
        Self {
            done: self.done + more.done,
            nodes: self.nodes + more.nodes,
            samples: self.samples + more.samples,
            tokens: self.tokens + more.tokens,
            cost,
        }
    }
}

/// A search in progress.
pub(crate) struct Run<'a> {
    /// Index of its question.
    pub(crate) place: usize,
    pub(crate) question: Question<'a>,
    pub(crate) tree: Tree,
    pub(crate) rollouts: Vec<Solved>,
    /// The draws at each node, for sampling without replacement.
    drawn: BTreeMap<NodeId, Vec<Drawn>>,
    pub(crate) tokens: u64,
    /// Length of the question's prompt in tokens; `None` if the policy's tokenizer is not available here.
    taken: Option<usize>,
    pub(crate) out_of_room: u32,
}

/// A sample that a tree asked for.
enum Draw<'a> {
    /// Taken from an existing rollout, at no cost.
    AtHand(TextOption),
    /// To be generated.
    Open(StateRequest<'a>),
}

impl Searcher {
    /// Searches all questions; results are in order.
    ///
    /// # Errors
    /// [`Error::Tree`] names the prompt whose tree refused a score; an error of a model.
    pub fn search(&self, questions: &[Question<'_>]) -> Result<Found<Searched>, Error> {
        self.search_watched(questions, &mut |_| {})
    }

    /// Searches all questions and reports progress to `watch` after every wave.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn search_watched(
        &self,
        questions: &[Question<'_>],
        watch: &mut dyn FnMut(Pulse),
    ) -> Result<Found<Searched>, Error> {
        let mut memory = Memory::new(&self.critic);
        let mut pool = Pool::new(self.kept_at_most);
        for (place, &question) in questions.iter().enumerate() {
            let run = Run::new(place, question, Tree::new(&self.config.mcts)?);
            pool.wait(Run { taken: self.policy.taken(question.text, "")?, ..run });
        }
        let mut found: Vec<(usize, Searched)> = Vec::with_capacity(questions.len());
        loop {
            pool.admit();
            if pool.open.is_empty() {
                break;
            }
            self.wave(&mut pool.open, &mut memory)?;
            let done = pool.close();
            let places: Vec<(usize, &str)> =
                done.iter().map(|run| (run.place, run.question.text)).collect();
            let searched = self.finish(done, &mut memory)?;
            // Before anything is freed, to catch the peak.
            memory.measure();
            for ((place, question), searched) in places.into_iter().zip(searched) {
                memory.forget(question);
                found.push((place, searched));
            }
            pool.make_room(&mut memory);
            watch(pulse(&found, &pool, &memory));
        }
        // Trees finish in any order.
        found.sort_unstable_by_key(|&(place, _)| place);
        let found = found.into_iter().map(|(_, searched)| searched).collect();
        Ok(Found { found, cost: memory.cost() })
    }

    /// Serves the current request of every tree.
    fn wave(&self, runs: &mut [Run<'_>], memory: &mut Memory) -> Result<(), Error> {
        let (mut roots, mut samples, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
        for (index, run) in runs.iter().enumerate() {
            match run.tree.request() {
                // Requests are grouped by kind, so that each model sees one large batch per wave.
                Request::ScoreRoot => roots.push(index),
                Request::Sample(wanted) => samples.push((index, wanted)),
                Request::Evaluate { nodes, .. } => {
                    leaves.extend(nodes.into_iter().map(|node| run.leaf(index, node)));
                }
                Request::Done(_) => {}
            }
        }
        self.score_roots(runs, &roots, memory)?;
        self.sample(runs, &samples, memory)?;
        self.evaluate(runs, &leaves, memory)?;
        self.settle(runs, &leaves);
        Ok(())
    }

    /// Ends the search of every tree whose answer is settled, among the trees with leaves in this wave.
    fn settle(&self, runs: &mut [Run<'_>], leaves: &[Leaf]) {
        let Some(settled) = self.config.settled else { return };
        let mut evaluated: Vec<usize> = leaves.iter().map(|leaf| leaf.run).collect();
        // Leaves are in order of their runs, so duplicates are adjacent.
        evaluated.dedup();
        for index in evaluated {
            let run = &mut runs[index];
            let terminals = terminals(run);
            let candidates = self.config.rollouts_are_candidates;
            let rollouts =
                if candidates { self.rollouts_beside(run, &terminals) } else { Vec::new() };
            let finished = terminals.iter().chain(&rollouts).filter(|s| s.finished);
            let solutions: Vec<(&str, f64)> =
                finished.filter_map(|s| Some((s.answer.as_deref()?, s.outcome))).collect();
            if settled.holds(&solutions) {
                run.tree.settle();
            }
        }
    }

    fn score_roots(
        &self,
        runs: &mut [Run<'_>],
        roots: &[usize],
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let solutions: Vec<Solution<'_>> = roots
            .iter()
            .map(|&index| {
                let question = runs[index].question.text;
                Solution { question, options: Vec::new(), finished: false, branch: 0 }
            })
            .collect();
        for (&index, scores) in roots.iter().zip(memory.judge(&self.critic, &solutions)?) {
            let run = &mut runs[index];
            let told = run.tree.tell_root(f64::from(scores.root));
            told.map_err(|source| refused(&run.question, source))?;
        }
        Ok(())
    }

    fn sample(
        &self,
        runs: &mut [Run<'_>],
        asked: &[(usize, Vec<SampleRequest>)],
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let mut draws = Vec::new();
        for (index, wanted) in asked {
            for wanted in wanted {
                draws.extend(self.draws(&runs[*index], *wanted));
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
            let options: Vec<TextOption> = options.by_ref().take(nodes.len()).collect();
            actions.push(self.actions(&mut runs[*index], nodes, options)?);
        }
        let similar = self.similar(runs, &nodes, &actions, memory)?;
        for ((index, _), actions) in asked.iter().zip(actions) {
            let run = &mut runs[*index];
            // Samples that the tree will merge or discard were generated as well.
            run.tokens += actions.iter().map(|a| u64::from(a.cost)).sum::<u64>();
            let similar = similar.get(index);
            let told = run.tree.tell_compared(actions, |node, new, old| {
                similarity::lookup(similar, node, new, old)
            });
            told.map_err(|source| refused(&run.question, source))?;
        }
        Ok(())
    }

    /// Turns the options drawn at `nodes` into the tree's actions.
    fn actions(
        &self,
        run: &mut Run<'_>,
        nodes: &[NodeId],
        options: Vec<TextOption>,
    ) -> Result<Vec<Action>, Error> {
        let by_tokens = matches!(self.policy.config().termination, Termination::Tokens(_));
        let distinct = self.draws_distinct();
        let mut actions = Vec::with_capacity(options.len());
        for (&node, mut option) in nodes.iter().zip(options) {
            if distinct {
                run.draw(node, &option);
            }
            let cut = !ended(option.stop);
            // A server does not report its context here, but it writes nothing once the context is full.
            let nothing = cut && option.tokens == 0;
            let full =
                nothing || ((cut || !option.terminal) && self.is_full(run, node, &option)?);
            if full {
                (option.terminal, option.stop) = (true, "length");
                run.out_of_room += 1;
            }
            actions.push(action(option, by_tokens || full));
        }
        Ok(actions)
    }

    /// Whether the path to `node` plus `option` fills the policy's context, so that nothing can follow.
    fn is_full(&self, run: &Run<'_>, node: NodeId, option: &TextOption) -> Result<bool, Error> {
        let Some(context) = self.policy.context() else { return Ok(false) };
        let written = [run.options(node).concat().as_str(), &option.text].concat();
        // A token is at least one byte, so a short path fits without being tokenized.
        if run.taken.is_some_and(|taken| taken + written.len() < context) {
            return Ok(false);
        }
        let taken = self.policy.taken(run.question.text, &written)?;
        Ok(taken.is_some_and(|taken| taken >= context))
    }

    fn draws_distinct(&self) -> bool {
        matches!(self.config.mcts.merge, mcts::Merge::Distinct { .. })
    }

    /// The samples that a node needs. Options from existing rollouts through the node come first.
    fn draws<'a>(&self, run: &Run<'a>, wanted: SampleRequest) -> Vec<Draw<'a>> {
        let SampleRequest { node, count, first_attempt, greedy_first, to_end } = wanted;
        let written = run.options(node).concat();
        let drawn = run.drawn.get(&node).cloned().unwrap_or_default();
        let grown = self.config.rollouts_by == RolloutsBy::PolicyGrown;
        let passing = run.passing(node).filter(|_| grown);
        // Earlier attempts at this node have already used the first rollouts.
        let mut at_hand = passing.skip(first_attempt as usize);
        let most = (!to_end).then(|| self.policy.config().max_option_tokens);
        let draw = |i: u32| {
            let answered = |text: &str| self.policy.answered(text);
            let ready = at_hand.next().and_then(|r| r.option(&written, most, answered));
            if let Some(option) = ready {
                return Draw::AtHand(option);
            }
            // The seed depends only on the question, the node and the attempt, so a tree does not depend on the batch
            // around it.
            let attempt = format!("{}/{}", node.index(), first_attempt + i);
            let greedy = greedy_first && i == 0;
            Draw::Open(StateRequest {
                question: run.question.text,
                written: written.clone(),
                sampling: if greedy { Sampling::Greedy } else { self.config.option_sampling },
                to_end,
                keep: !to_end,
                excluded: drawn.clone(),
                seed: seed_for(run.question.seed, "option", 0, &attempt),
            })
        };
        (0..count).map(draw).collect()
    }

    /// Generates the open draws and returns all options in order.
    fn drawn(&self, draws: Vec<Draw<'_>>, memory: &mut Memory) -> Result<Vec<TextOption>, Error> {
        let (mut states, mut places) = (Vec::new(), Vec::new());
        for draw in draws {
            places.push(match draw {
                Draw::AtHand(option) => Some(option),
                Draw::Open(state) => {
                    states.push(state);
                    None
                }
            });
        }
        let mut written = self.policy.write(&states, &mut memory.policy)?.into_iter();
        Ok(places.into_iter().filter_map(|place| place.or_else(|| written.next())).collect())
    }
}

impl<'a> Run<'a> {
    pub(crate) fn new(place: usize, question: Question<'a>, tree: Tree) -> Self {
        Self {
            place,
            question,
            tree,
            rollouts: Vec::new(),
            drawn: BTreeMap::new(),
            tokens: 0,
            taken: None,
            out_of_room: 0,
        }
    }

    /// Records a draw at a node. Two rollouts may begin with the same option, which is recorded once.
    fn draw(&mut self, node: NodeId, option: &TextOption) {
        let parts: Vec<&Drawn> = option.parts.iter().map(|part| &part.drawn).collect();
        let (drawn, all) = (Drawn::joined(&parts), self.drawn.entry(node).or_default());
        // The draw is empty if the model began another problem at once: none of its tokens were kept.
        if !drawn.ids.is_empty() && all.iter().all(|other| other.ids != drawn.ids) {
            all.push(drawn);
        }
    }

    /// The texts of the options on the path from the root to a node.
    pub(crate) fn options(&self, node: NodeId) -> Vec<String> {
        self.tree.path(node).into_iter().map(|id| self.tree.node(id).text().to_owned()).collect()
    }

    pub(crate) fn leaf(&self, index: usize, node: NodeId) -> Leaf {
        let terminal = self.tree.node(node).terminal;
        let ended = self.tree.node(node).action.as_ref().is_some_and(|action| ended(&action.stop));
        Leaf {
            run: index,
            node,
            options: self.options(node),
            terminal,
            finished: terminal && ended,
        }
    }
}

fn pulse(found: &[(usize, Searched)], pool: &Pool<'_>, memory: &Memory) -> Pulse {
    let done = found.iter().map(|(_, searched)| (&searched.tree, searched.tokens));
    let open = pool.runs().map(|run| (&run.tree, run.tokens));
    let mut pulse = Pulse { done: found.len(), cost: memory.cost(), ..Pulse::default() };
    for (tree, tokens) in done.chain(open) {
        pulse.nodes += u64::from(tree.tally().nodes);
        pulse.tokens += tokens;
    }
    pulse
}

/// Converts an option to a tree action. A blank option is a failed sample, as in the released code, unless it
/// `may_be_blank`: a single token may well be a space or the end token, and nothing fits into a full context.
fn action(option: TextOption, may_be_blank: bool) -> Action {
    let failed = !may_be_blank && option.text.trim().is_empty();
    let logprob = option.logprob();
    Action {
        text: if failed { String::new() } else { option.text },
        tokens: option.parts.iter().map(|part| part.drawn.ids.len() as u32).sum(),
        cost: option.tokens,
        logprob,
        terminal: option.terminal && !failed,
        stop: option.stop.to_owned(),
    }
}

pub(crate) fn refused(question: &Question<'_>, source: mcts::TellError) -> Error {
    Error::Tree { prompt: question.id.to_owned(), source }
}
