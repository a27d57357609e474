//! Trajectories paired one to one with their critiques.

use std::collections::BTreeMap;

use polars::prelude::{Column, DataFrame, PolarsError};
use schema::{Critique, Question, Trajectory};
use stage::Failure;

use crate::frame::{self, CRITIQUE, FORETOLD, TRAJECTORY};

/// All trajectories and their critiques.
pub(crate) struct Judged {
    pub(crate) trajectories: Vec<Trajectory>,
    pub(crate) critiques: Vec<Critique>,
    /// One row per pair.
    pub(crate) frame: DataFrame,
    /// The operator that made each prompt, or its source if no operator did; empty unless the prompts were given.
    pub(crate) operators: BTreeMap<String, String>,
}

impl Judged {
    /// Pairs trajectories and critiques by id. Refuses a trajectory without a critique, a critique without a trajectory,
    /// and a pair that disagrees on the prompt or on the number of steps.
    pub(crate) fn new(
        trajectories: Vec<Trajectory>,
        critiques: Vec<Critique>,
    ) -> Result<Self, Failure> {
        let left = frame::of_trajectories(&trajectories).map_err(bug)?;
        let right = frame::of_critiques(&critiques).map_err(bug)?;
        if let Some(id) = frame::unpaired(&left, &right).map_err(bug)? {
            let failure = Failure::data(format!("trajectory {id} has no critique"));
            return Err(failure.hint("run critique again on these trajectories"));
        }
        if let Some(id) = frame::unpaired(&right, &left).map_err(bug)? {
            let failure = Failure::data(format!("the critique of {id} has no trajectory"));
            return Err(failure.hint("these critiques are of other trajectories"));
        }
        let frame = frame::paired(&left, &right).map_err(bug)?;
        let judged = Self { frame, trajectories, critiques, operators: BTreeMap::new() };
        judged.pairs()?.into_iter().try_for_each(|(t, c)| alike(t, c))?;
        Ok(judged)
    }

    /// Adds the prompts: their operators, and whether each answer agrees with the one expected of its prompt. Refuses a
    /// trajectory whose prompt is not among them.
    pub(crate) fn asked(mut self, prompts: &[Question]) -> Result<Self, Failure> {
        let by_id: BTreeMap<&str, &Question> =
            prompts.iter().map(|prompt| (prompt.prompt_id.as_str(), prompt)).collect();
        let foretold = |(trajectory, _): (&Trajectory, &Critique)| {
            let (id, prompt) = (&trajectory.trajectory_id, &trajectory.prompt_id);
            let Some(of) = by_id.get(prompt.as_str()) else {
                let message = format!(
                    "trajectory {id} is of prompt {prompt}, which is not among the prompts"
                );
                return Err(Failure::data(message).hint("give the prompts that were searched"));
            };
            Ok(match (&of.expected, &trajectory.answer) {
                // Only backward questions have an expected answer.
                (None, _) => true,
                (Some(expected), Some(answer)) => answer::same(answer, expected),
                (Some(_), None) => false,
            })
        };
        let foretold: Vec<bool> =
            self.pairs()?.into_iter().map(foretold).collect::<Result<_, _>>()?;
        self.frame.with_column(Column::new(FORETOLD.into(), foretold)).map_err(bug)?;
        let operator = |prompt: &Question| {
            let operator = prompt.operator.clone().unwrap_or_else(|| prompt.source.clone());
            (prompt.prompt_id.clone(), operator)
        };
        self.operators = prompts.iter().map(operator).collect();
        Ok(self)
    }

    fn pairs(&self) -> Result<Vec<(&Trajectory, &Critique)>, Failure> {
        let of = |name| -> Result<Vec<usize>, PolarsError> {
            Ok(self.frame.column(name)?.u32()?.iter().flatten().map(|at| at as usize).collect())
        };
        let (trajectories, critiques) = (of(TRAJECTORY).map_err(bug)?, of(CRITIQUE).map_err(bug)?);
        let pairs = trajectories.into_iter().zip(critiques);
        Ok(pairs.map(|(t, c)| (&self.trajectories[t], &self.critiques[c])).collect())
    }
}

fn alike(trajectory: &Trajectory, critique: &Critique) -> Result<(), Failure> {
    let (id, prompt, of) = (&trajectory.trajectory_id, &trajectory.prompt_id, &critique.prompt_id);
    if prompt != of {
        let message = format!("trajectory {id} is of prompt {prompt}, but its critique of {of}");
        return Err(Failure::data(message));
    }
    let (options, rewards) = (trajectory.options.len(), critique.process_rewards.len());
    if options != rewards {
        let message = format!("trajectory {id} has {options} options, but its critique {rewards}");
        return Err(Failure::data(message));
    }
    Ok(())
}

/// An error of polars is a bug of ours: the frames it works on were built here.
pub(crate) fn bug(error: PolarsError) -> Failure {
    Failure::bug(error)
}

#[cfg(test)]
pub(crate) mod fixtures;

#[cfg(test)]
mod tests {
    use super::fixtures::{critique, trajectory};
    use super::*;

    fn refused(trajectories: Vec<Trajectory>, critiques: Vec<Critique>) -> String {
        let failure = Judged::new(trajectories, critiques).err().unwrap();
        assert_eq!(failure.exit(), stage::Exit::Data);
        failure.to_string()
    }

    #[test]
    fn pairs_are_found_in_any_order() {
        let ids = ["a", "b", "c"];
        let trajectories = ids.map(|id| trajectory("p", id)).to_vec();
        let critiques = ids.iter().rev().map(|id| critique("p", id, 0.5)).collect();
        let judged = Judged::new(trajectories, critiques).unwrap();
        let pairs = judged.pairs().unwrap();
        let found: Vec<_> = pairs.iter().map(|(t, _)| t.trajectory_id.as_str()).collect();
        assert_eq!(found, ids);
        assert!(pairs.iter().all(|(t, c)| t.trajectory_id == c.trajectory_id));
    }

    #[test]
    fn what_has_no_counterpart_is_refused_by_its_id() {
        let (t, c) = (trajectory("p", "a"), critique("p", "a", 0.5));
        let more = vec![t.clone(), trajectory("p", "z"), trajectory("p", "lost")];
        assert!(refused(more, vec![c.clone()]).contains("trajectory lost has no critique"));
        let more = vec![c.clone(), critique("p", "stray", 0.5)];
        assert!(refused(vec![t.clone()], more).contains("critique of stray has no trajectory"));
        assert!(refused(Vec::new(), vec![c]).contains("critique of a"));
        assert!(refused(vec![t], Vec::new()).contains("trajectory a"));
    }

    #[test]
    fn a_critique_of_another_prompt_or_length_is_refused() {
        let (t, c) = (trajectory("p", "a"), critique("p", "a", 0.5));
        let other = Critique { prompt_id: "other".into(), ..c.clone() };
        assert!(refused(vec![t.clone()], vec![other]).contains("critique of other"));
        let longer = Critique { process_rewards: vec![0.0; 5], ..c };
        assert!(refused(vec![t], vec![longer]).contains("but its critique 5"));
    }

    #[test]
    fn nothing_is_something_to_judge_too() {
        assert_eq!(Judged::new(Vec::new(), Vec::new()).unwrap().frame.height(), 0);
    }
}
