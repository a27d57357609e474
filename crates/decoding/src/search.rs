//! Drives many trees at once: in every wave each tree says what it needs, and the needs of all go to
//! the models together.

use std::sync::Arc;

use critic::{Critic, Scores, Solution};
use dataset::seed_for;
use lm::Sampling;
use mcts::{Action, Evaluation, NodeId, Request, SampleRequest, Tree};
use policy::{Policy, StateRequest, Termination, TextOption};

use crate::memory::{Found, Memory};
use crate::similarity;
use crate::solutions::{solved, terminals};
use crate::{Error, Origin, Picks, SearchConfig, Solved};

/// A question to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The prompt's id, for messages.
    pub id: &'a str,
    /// The text.
    pub text: &'a str,
    /// Seed of everything random in its search.
    pub seed: u64,
}

/// A finished search.
#[derive(Debug)]
pub struct Searched {
    /// The tree.
    pub tree: Tree,
    /// The solutions found: terminals in order, then completed leaves, then rollouts.
    pub solved: Vec<Solved>,
    /// The answers picked, as indices of `solved`.
    pub picks: Picks,
    /// All tokens generated, completions included.
    pub tokens: u64,
}

/// The models of a search, ready.
#[derive(Debug)]
pub struct Searcher {
    pub(crate) policy: Arc<Policy>,
    pub(crate) fast_policy: Arc<Policy>,
    pub(crate) critic: Arc<Critic>,
    pub(crate) config: SearchConfig,
}

/// One search under way.
pub(crate) struct Run<'a> {
    pub(crate) question: Question<'a>,
    pub(crate) tree: Tree,
    pub(crate) rollouts: Vec<Solved>,
    pub(crate) tokens: u64,
}

/// A leaf that waits for its evaluation.
pub(crate) struct Leaf {
    pub(crate) run: usize,
    pub(crate) node: NodeId,
    pub(crate) options: Vec<String>,
    pub(crate) terminal: bool,
}

impl Searcher {
    /// Puts the models together.
    ///
    /// # Errors
    /// A setting out of range, or a critic without a head that the settings use.
    pub fn new(
        policy: Policy,
        fast_policy: Policy,
        critic: Critic,
        config: SearchConfig,
    ) -> Result<Self, Error> {
        let (policy, fast_policy) = (Arc::new(policy), Arc::new(fast_policy));
        let searcher = Self { policy, fast_policy, critic: Arc::new(critic), config };
        searcher.check()?;
        Ok(searcher)
    }

    /// The same models with other settings.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with(&self, config: SearchConfig) -> Result<Self, Error> {
        let (policy, fast_policy) = (Arc::clone(&self.policy), Arc::clone(&self.fast_policy));
        let searcher = Self { policy, fast_policy, critic: Arc::clone(&self.critic), config };
        searcher.check()?;
        Ok(searcher)
    }

    fn check(&self) -> Result<(), Error> {
        let config = &self.config;
        config.validate()?;
        let weights = config.mcts.weights;
        let by_value = config.mcts.importance == mcts::Importance::Value && config.mcts.alpha > 0.0;
        for (needed, head) in [
            (weights.value > 0.0 || by_value, critic::VALUE),
            (weights.prm > 0.0, critic::PRM),
            (true, critic::ORM), // The final answer is picked by it.
        ] {
            if needed {
                self.critic.require(head)?;
            }
        }
        Ok(())
    }

    /// How it searches.
    pub fn config(&self) -> &SearchConfig {
        &self.config
    }

    /// The policy that is searched with.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The critic, for those who judge more than the search did.
    pub fn critic(&self) -> &Critic {
        &self.critic
    }

    /// Whether the models' contexts hold a question and the deepest path below it.
    ///
    /// # Errors
    /// [`Error::Run`] when the tokenizer fails.
    pub fn fits(&self, question: &str) -> Result<bool, Error> {
        let config = self.policy.config();
        // Every option may be cut at its longest, with a mark for the critic after each.
        let options = self.config.mcts.max_depth as usize * (config.max_option_tokens + 1);
        let tokens = options + config.max_solution_tokens;
        Ok(self.policy.fits(question, tokens)? && self.fast_policy.fits(question, tokens)?)
    }

    /// Searches all questions.
    ///
    /// # Errors
    /// [`Error::Tree`] names the prompt whose tree refused a score.
    pub fn search(&self, questions: &[Question<'_>]) -> Result<Found<Searched>, Error> {
        let mut runs = Vec::with_capacity(questions.len());
        for &question in questions {
            let tree = Tree::new(&self.config.mcts)?;
            runs.push(Run { question, tree, rollouts: Vec::new(), tokens: 0 });
        }
        let mut memory = Memory::new(&self.critic);
        while self.wave(&mut runs, &mut memory)? {}
        let found = self.finish(runs, &mut memory)?;
        Ok(Found { found, cost: memory.cost() })
    }

    /// Answers what every tree asks; tells whether any asked.
    fn wave(&self, runs: &mut [Run<'_>], memory: &mut Memory) -> Result<bool, Error> {
        let (mut roots, mut samples, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
        let mut asked = false;
        for (index, run) in runs.iter().enumerate() {
            let request = run.tree.request();
            asked |= !matches!(request, Request::Done(_));
            match request {
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
        Ok(asked)
    }

    /// Ends the searches whose answer is settled, of those that were just evaluated.
    fn settle(&self, runs: &mut [Run<'_>], leaves: &[Leaf]) {
        let Some(settled) = self.config.settled else { return };
        let mut evaluated: Vec<usize> = leaves.iter().map(|leaf| leaf.run).collect();
        evaluated.dedup();
        for index in evaluated {
            let run = &mut runs[index];
            let terminals = terminals(run);
            let candidates = self.config.rollouts_are_candidates;
            let rollouts = run.rollouts.iter().filter(|_| candidates);
            let finished = terminals.iter().chain(rollouts).filter(|s| s.finished);
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
        let mut states = Vec::new();
        for (index, wanted) in asked {
            for wanted in wanted {
                states.extend(self.states(&runs[*index], *wanted));
            }
        }
        let mut options = self.policy.write(&states, &mut memory.policy)?.into_iter();
        let nodes: Vec<(usize, Vec<NodeId>)> = asked
            .iter()
            .map(|(index, wanted)| {
                let each = |w: &SampleRequest| std::iter::repeat_n(w.node, w.count as usize);
                (*index, wanted.iter().flat_map(each).collect())
            })
            .collect();
        let by_tokens = matches!(self.policy.config().termination, Termination::Tokens(_));
        let action = |option| action(option, by_tokens);
        let actions: Vec<Vec<Action>> = nodes
            .iter()
            .map(|(_, nodes)| options.by_ref().take(nodes.len()).map(action).collect())
            .collect();
        let similar = self.similar(runs, &nodes, &actions, memory)?;
        for ((index, _), actions) in asked.iter().zip(actions) {
            let run = &mut runs[*index];
            run.tokens += actions.iter().map(|a| u64::from(a.tokens)).sum::<u64>();
            let similar = similar.get(index);
            let told = run.tree.tell_compared(actions, |node, new, old| {
                similarity::lookup(similar, node, new, old)
            });
            told.map_err(|source| refused(&run.question, source))?;
        }
        Ok(())
    }

    /// The states that are to be continued, once for every sample wanted.
    fn states<'a>(&self, run: &Run<'a>, wanted: SampleRequest) -> Vec<StateRequest<'a>> {
        let SampleRequest { node, count, first_attempt, greedy_first, to_end } = wanted;
        let written = run.options(node).concat();
        let state = |i: u32| {
            let attempt = format!("{}/{}", node.index(), first_attempt + i);
            let greedy = greedy_first && i == 0;
            StateRequest {
                question: run.question.text,
                written: written.clone(),
                sampling: if greedy { Sampling::Greedy } else { self.config.option_sampling },
                to_end,
                seed: seed_for(run.question.seed, "option", 0, &attempt),
            }
        };
        (0..count).map(state).collect()
    }

    /// Fast rollouts of the leaves that are not terminal, then the critics on leaves and rollouts.
    fn evaluate(
        &self,
        runs: &mut [Run<'_>],
        leaves: &[Leaf],
        memory: &mut Memory,
    ) -> Result<(), Error> {
        if leaves.is_empty() {
            return Ok(());
        }
        let weights = self.config.mcts.weights;
        let count = if weights.orm > 0.0 { self.config.mcts.rollouts } else { 0 };
        let rollouts = self.roll_out(runs, leaves, count, memory)?;
        let rolled: Vec<bool> = leaves.iter().map(|leaf| !leaf.terminal && count > 0).collect();
        let question = |leaf: &Leaf| runs[leaf.run].question.text;
        let alone = leaves.iter().zip(&rolled).filter(|(_, rolled)| !**rolled).map(|(leaf, _)| {
            let options = leaf.options.clone();
            let branch = options.len();
            Solution { question: question(leaf), options, finished: leaf.terminal, branch }
        });
        let continued = rollouts.iter().map(|(leaf, option)| {
            let leaf = &leaves[*leaf];
            let options = leaf.continued(option);
            let branch = leaf.options.len();
            Solution { question: question(leaf), options, finished: true, branch }
        });
        let solutions: Vec<Solution<'_>> = continued.chain(alone).collect();
        let scores = memory.judge(&self.critic, &solutions)?;
        let (continued, alone) = scores.split_at(rollouts.len());
        // A critic reads from left to right: what it says of a leaf stands in its reading of the
        // leaf's rollout, so the leaf is not read again.
        let first = |i: usize| &continued[rollouts.partition_point(|(leaf, _)| *leaf < i)];
        let mut alone = alone.iter();
        let mut evaluations: Vec<Evaluation> = leaves
            .iter()
            .enumerate()
            .map(|(i, leaf)| {
                evaluation(leaf, if rolled[i] { Some(first(i)) } else { alone.next() })
            })
            .collect();
        for ((leaf, option), scores) in rollouts.into_iter().zip(continued) {
            let evaluation = &mut evaluations[leaf];
            let solved = solved(Origin::Rollout, &leaves[leaf], &option, scores);
            evaluation.orm.push(solved.outcome);
            evaluation.tokens += u64::from(solved.rest_tokens);
            runs[leaves[leaf].run].rollouts.push(solved);
        }
        tell_evaluations(runs, leaves, evaluations)
    }

    /// `count` completions by the fast policy of every leaf that is not terminal, with the leaf.
    fn roll_out(
        &self,
        runs: &[Run<'_>],
        leaves: &[Leaf],
        count: u32,
        memory: &mut Memory,
    ) -> Result<Vec<(usize, TextOption)>, Error> {
        let open = leaves.iter().enumerate().filter(|(_, leaf)| !leaf.terminal);
        let wanted: Vec<(usize, u32)> =
            open.flat_map(|(i, _)| (0..count).map(move |n| (i, n))).collect();
        let states: Vec<StateRequest<'_>> = wanted
            .iter()
            .map(|&(i, n)| {
                let (leaf, question) = (&leaves[i], runs[leaves[i].run].question);
                StateRequest {
                    question: question.text,
                    written: leaf.options.concat(),
                    sampling: self.config.rollout_sampling,
                    to_end: true,
                    seed: seed_for(
                        question.seed,
                        "rollout",
                        0,
                        &format!("{}/{n}", leaf.node.index()),
                    ),
                }
            })
            .collect();
        let options = self.fast_policy.write(&states, &mut memory.fast_policy)?;
        Ok(wanted.into_iter().map(|(leaf, _)| leaf).zip(options).collect())
    }
}

impl Leaf {
    /// The options to the leaf and those written after it.
    pub(crate) fn continued(&self, rest: &TextOption) -> Vec<String> {
        self.options.iter().chain(&rest.parts).cloned().collect()
    }
}

impl Run<'_> {
    /// The texts of the options from the root to a node.
    pub(crate) fn options(&self, node: NodeId) -> Vec<String> {
        self.tree.path(node).into_iter().map(|id| self.tree.node(id).text().to_owned()).collect()
    }

    pub(crate) fn leaf(&self, index: usize, node: NodeId) -> Leaf {
        let terminal = self.tree.node(node).terminal;
        Leaf { run: index, node, options: self.options(node), terminal }
    }
}

/// An option as the tree takes it. An empty line is a failed sample, as for the released code; a token may well be a
/// space, or the end alone.
fn action(option: TextOption, by_tokens: bool) -> Action {
    let failed = !by_tokens && option.text.trim().is_empty();
    Action {
        text: if failed { String::new() } else { option.text },
        tokens: option.tokens,
        logprob: option.logprob,
        terminal: option.terminal && !failed,
        stop: option.stop.to_owned(),
    }
}

/// What the critics say of a leaf itself: its last option, and the outcome of a terminal. A solution
/// without an answer cannot be right, whatever the critic makes of it.
fn evaluation(leaf: &Leaf, scores: Option<&Scores>) -> Evaluation {
    let Some(scores) = scores else { return Evaluation::default() };
    let last = leaf.options.len().checked_sub(1);
    let at = |scores: &[f32]| last.and_then(|i| scores.get(i)).copied().map(f64::from);
    let answered = task::extract(&leaf.options.concat()).is_some();
    let outcome = scores.outcome.filter(|_| leaf.terminal).map(f64::from);
    Evaluation {
        value: at(&scores.values),
        prm: at(&scores.process),
        orm: outcome.map(|outcome| if answered { outcome } else { 0.0 }).into_iter().collect(),
        tokens: 0,
    }
}

/// Hands the evaluations, in the order of the leaves, to the trees they belong to.
fn tell_evaluations(
    runs: &mut [Run<'_>],
    leaves: &[Leaf],
    evaluations: Vec<Evaluation>,
) -> Result<(), Error> {
    let mut evaluations = leaves.iter().zip(evaluations).peekable();
    while let Some((leaf, first)) = evaluations.next() {
        let mut told = vec![first];
        while let Some((_, next)) = evaluations.next_if(|(other, _)| other.run == leaf.run) {
            told.push(next);
        }
        let run = &mut runs[leaf.run];
        let answer = run.tree.tell_evaluations(told);
        answer.map_err(|source| refused(&run.question, source))?;
    }
    Ok(())
}

fn refused(question: &Question<'_>, source: mcts::TellError) -> Error {
    Error::Tree { prompt: question.id.to_owned(), source }
}
