//! The inputs, read prompt by prompt.
//!
//! Only one part of the trajectories and one of the critiques are in memory at a time. This relies on how they are written:
//! `synthesize` sorts prompts by id, `search` keeps that order and writes all trajectories of a prompt to the same part, and
//! `critique score` writes one part per part of the trajectories. Inputs that are written differently are refused.

use dataset::{Dataset, Input};
use schema::{Critique, Prompt, Question, Trajectory};
use stage::Failure;

use crate::args::Args;
use crate::asked::{Asked, Prompts};
use crate::judged::{Judged, by_prompt, pair};

/// A prompt that was searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Searched<'a> {
    /// All its trajectories with their critiques; at least one.
    pub(crate) judged: &'a [Judged],
    /// The prompt itself; `None` unless the prompts were given.
    pub(crate) asked: Option<&'a Asked>,
}

/// The datasets that the stage reads.
pub(crate) struct Inputs {
    trajectories: Dataset<Trajectory>,
    critiques: Dataset<Critique>,
    prompts: Option<Prompts>,
    /// All of these, as the recipe of the outputs lists them.
    pub(crate) listed: Vec<Input>,
}

impl Inputs {
    /// Opens and verifies the inputs, and reads the prompts.
    pub(crate) fn open(args: &Args) -> Result<Self, Failure> {
        // The smallest first: if it is not there, nobody waits for the keys of ten million trajectories to be told so.
        let prompts = args.prompts.as_deref().map(Dataset::<Prompt>::open).transpose()?;
        let trajectories = Dataset::<Trajectory>::open(&args.trajectories)?;
        let critiques = Dataset::<Critique>::open(&args.critiques)?;
        let mut listed = vec![trajectories.input("trajectories"), critiques.input("critiques")];
        listed.extend(prompts.iter().map(|prompts| prompts.input("prompts")));
        // A view that lacks the label columns, so that no gold answer can decide anything here.
        let questions = prompts.map(|prompts| prompts.view::<Question>()).transpose()?;
        let prompts = questions.map(Prompts::new);
        let (parts, judged) = (trajectories.parts(), critiques.parts());
        if parts != judged {
            let message = format!("trajectories have {parts} parts, but their critiques {judged}");
            let failure = Failure::data(message).within(args.critiques.display());
            return Err(failure.hint("run critique again on these trajectories"));
        }
        Ok(Self { trajectories, critiques, prompts, listed })
    }

    /// Whether the prompts were given.
    pub(crate) fn have_prompts(&self) -> bool {
        self.prompts.is_some()
    }

    /// Calls `take` for every prompt that has a trajectory, in the order of the prompt ids.
    pub(crate) fn for_each_prompt(
        &self,
        mut take: impl FnMut(&Searched<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut last: Option<String> = None;
        for part in 0..self.trajectories.parts() {
            let judged = self.part(part)?;
            let (Some(first), Some(end)) = (judged.first(), judged.last()) else { continue };
            self.expect_order(part, last.as_deref(), &first.trajectory.prompt_id)?;
            last = Some(end.trajectory.prompt_id.clone());
            for judged in by_prompt(&judged) {
                let prompts = self.prompts.as_ref();
                let asked = prompts.map(|all| all.of(&judged[0].trajectory)).transpose()?;
                take(&Searched { judged, asked })?;
            }
        }
        Ok(())
    }

    /// Reads and pairs the rows of one part.
    fn part(&self, index: usize) -> Result<Vec<Judged>, Failure> {
        let (trajectories, critiques) =
            (self.trajectories.part_rows(index)?, self.critiques.part_rows(index)?);
        let place = self.critiques.dir().display();
        pair(trajectories, critiques).map_err(|failure| failure.within(place))
    }

    /// Refuses a part whose `first` prompt does not come after the `last` one of the parts before.
    fn expect_order(&self, part: usize, last: Option<&str>, first: &str) -> Result<(), Failure> {
        // Equal ids are refused too: a prompt that reaches over two parts would be chosen from twice.
        let Some(last) = last.filter(|last| *last >= first) else { return Ok(()) };
        let message = format!("part {part} has prompt {first}, but an earlier part has {last}");
        let failure = Failure::data(message).within(self.trajectories.dir().display());
        Err(failure.hint("search prompts that are sorted by id, as `synthesize` writes them"))
    }
}
