//! A run of the search: prompts to rows, and the counters of it.

use std::time::Instant;

use dataset::seed_for;
use decoding::{Fitting, Question, SampleBudget, SearchProgress, Searcher};
use schema::prompts;
use stage::{Common, Failure, Progress};

use crate::estimate::{self, Estimate, Pilot};
use crate::outputs::Rows;
use crate::rows::{self, Source};
use crate::totals::{self, Totals};
use crate::{Args, Config};

/// The models and counters of a run.
pub(crate) struct Session<'a> {
    common: &'a Common,
    searcher: Searcher,
    source: Source,
    fitting: Fitting,
    keep: usize,
    samples: Option<SampleBudget>,
    /// Counts and costs of this run, without earlier ones.
    pub(crate) totals: Totals,
    /// Tokens and nodes of each prompt, as far as it was searched.
    by_prompt: Vec<(f64, f64)>,
    begun: Instant,
}

impl<'a> Session<'a> {
    /// Creates a session for these prompts.
    ///
    /// # Errors
    /// If most of them are too long for one of the models (65).
    pub(crate) fn new(
        searcher: Searcher,
        source: Source,
        config: &Config,
        common: &'a Common,
        prompts: &[prompts::Question],
    ) -> Result<Self, Failure> {
        let each = prompts.iter().map(|prompt| (prompt.prompt_id.as_str(), prompt.prompt.as_str()));
        let fitting = searcher.fitting(each).map_err(Failure::from)?;
        fitting.require("prompts")?;
        Ok(Self {
            common,
            searcher,
            source,
            fitting,
            keep: config.trajectories_per_prompt,
            samples: config.samples,
            totals: Totals::default(),
            by_prompt: Vec::new(),
            begun: Instant::now(),
        })
    }

    /// Whether the run has used up the time or the tokens of its arguments.
    pub(crate) fn is_over(&self, args: &Args) -> bool {
        args.stop_after.is_some_and(|seconds| self.begun.elapsed().as_secs() >= seconds)
            || args.stop_after_tokens.is_some_and(|tokens| self.totals.tokens >= tokens)
    }

    /// Searches or samples the prompts of one part, and advances the progress after every wave of model calls.
    pub(crate) fn part(
        &mut self,
        prompts: &[prompts::Question],
        progress: &Progress,
    ) -> Result<Rows, Failure> {
        let (before, begun, mut shown) = (self.totals.progress(), self.begun, 0);
        self.rows(prompts, &mut |now| {
            progress.message(totals::pace(before + now, begun.elapsed().as_secs_f64()));
            progress.add((now.done - shown) as u64);
            shown = now.done;
        })
    }

    /// Searches or samples prompts.
    fn rows(
        &mut self,
        prompts: &[prompts::Question],
        watch: &mut dyn FnMut(SearchProgress),
    ) -> Result<Rows, Failure> {
        let (round, run_seed) = (self.common.round, self.common.seed);
        let mut questions = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            // The seed comes from the prompt's id and not from its position, so parts can be searched in any order.
            let seed = seed_for(run_seed, "search", round, &prompt.prompt_id);
            if self.fitting.holds(&prompt.prompt_id) {
                questions.push(Question { id: &prompt.prompt_id, text: &prompt.prompt, seed });
            } else {
                self.totals.too_long += 1;
            }
        }
        let rows = match self.samples {
            Some(budget) => self.sample(&questions, &budget, watch),
            None => self.search(&questions, watch),
        };
        self.totals.prompts += prompts.len();
        rows.map_err(Failure::from)
    }

    /// Searches the trees of `questions`.
    fn search(
        &mut self,
        questions: &[Question<'_>],
        watch: &mut dyn FnMut(SearchProgress),
    ) -> Result<Rows, decoding::Error> {
        let searched = self.searcher.search_watched(questions, watch)?;
        self.totals.cost += searched.cost;
        let config = &self.searcher.config().mcts;
        let mut all = Rows::default();
        for (question, searched) in questions.iter().zip(&searched.results) {
            self.totals.add_tree(searched, config);
            self.by_prompt.push((searched.tokens as f64, f64::from(searched.tree.tally().nodes)));
            all.nodes.extend(rows::nodes(question, &searched.tree, self.source.round));
            let rows = rows::trajectories(&self.source, question, searched, self.keep);
            all.trajectories.extend(rows);
        }
        Ok(all)
    }

    /// Draws independent samples of `questions`; they have no nodes.
    fn sample(
        &mut self,
        questions: &[Question<'_>],
        budget: &SampleBudget,
        watch: &mut dyn FnMut(SearchProgress),
    ) -> Result<Rows, decoding::Error> {
        let leaves = &self.searcher.config().mcts;
        let sampled = self.searcher.sampler().samples(questions, budget, Some(leaves), watch)?;
        self.totals.cost += sampled.cost;
        let mut all = Rows::default();
        for (question, sampled) in questions.iter().zip(&sampled.results) {
            self.totals.add_samples(sampled);
            self.by_prompt.push((sampled.tokens as f64, 0.0));
            let rows = rows::samples(&self.source, question, &sampled.samples, self.keep);
            all.trajectories.extend(rows);
        }
        Ok(all)
    }

    /// Warns of what kept trees from growing or cut solutions short, and prints the summary.
    pub(crate) fn summarize(&self) -> Result<(), Failure> {
        self.warn();
        self.totals.print(self.common.json, self.samples.is_some())
    }

    fn warn(&self) {
        for warning in self.totals.warnings(&self.searcher.config().mcts) {
            tracing::warn!("{warning}");
        }
    }

    /// Searches `pilot` of the prompts, and prints what all of them would take.
    pub(crate) fn estimate(
        mut self,
        prompts: &[prompts::Question],
        pilot: usize,
        seconds_per_prompt: Option<f64>,
    ) -> Result<(), Failure> {
        let chosen = estimate::chosen(prompts.len(), pilot);
        let some: Vec<prompts::Question> = chosen.iter().map(|&i| prompts[i].clone()).collect();
        let clock = Instant::now();
        let rows = self.rows(&some, &mut |_| {})?;
        let mut used = Pilot { elapsed: clock.elapsed(), ..Pilot::default() };
        used.bytes = estimate::size(&rows.nodes, &rows.trajectories)?;
        (used.tokens, used.nodes) = self.by_prompt.iter().copied().unzip();
        // Prompts that are too long have no entry: they cost nothing, but count when the pilot is scaled up.
        used.tokens.resize(some.len(), 0.0);
        used.nodes.resize(some.len(), 0.0);
        self.warn();
        let estimate = Estimate::of(&used, prompts.len(), seconds_per_prompt);
        let budget = if self.samples.is_some() { "samples.tokens" } else { "budget.tokens" };
        estimate.print(self.common.json, budget)
    }
}
