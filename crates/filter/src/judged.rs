//! Trajectories paired one to one with their critiques.

use std::collections::BTreeMap;

use schema::{Critique, Trajectory};
use stage::Failure;

/// A trajectory and its critique.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) trajectory: Trajectory,
    pub(crate) critique: Critique,
}

/// Pairs trajectories and critiques by id, and sorts the pairs by prompt id and trajectory id. Refuses a trajectory without
/// a critique, a critique without a trajectory, and a pair that disagrees on the prompt or on the number of steps.
pub(crate) fn pair(
    mut trajectories: Vec<Trajectory>,
    critiques: Vec<Critique>,
) -> Result<Vec<Judged>, Failure> {
    // `by_prompt` joins neighbours only.
    trajectories.sort_by(|a, b| {
        a.prompt_id.cmp(&b.prompt_id).then_with(|| a.trajectory_id.cmp(&b.trajectory_id))
    });
    // Not a HashMap: which leftover the error names must not depend on the process.
    let mut critiques: BTreeMap<String, Critique> =
        critiques.into_iter().map(|one| (one.trajectory_id.clone(), one)).collect();
    let mut judged = Vec::with_capacity(trajectories.len());
    for trajectory in trajectories {
        let Some(critique) = critiques.remove(&trajectory.trajectory_id) else {
            let message = format!("trajectory {} has no critique", trajectory.trajectory_id);
            let failure = Failure::data(message);
            return Err(failure.hint("run critique again on these trajectories"));
        };
        alike(&trajectory, &critique)?;
        judged.push(Judged { trajectory, critique });
    }
    if let Some(id) = critiques.keys().next() {
        let failure = Failure::data(format!("the critique of {id} has no trajectory"));
        return Err(failure.hint("these critiques are of other trajectories"));
    }
    Ok(judged)
}

/// Splits pairs that are sorted by prompt into those of one prompt each.
pub(crate) fn by_prompt(judged: &[Judged]) -> impl Iterator<Item = &[Judged]> {
    judged.chunk_by(|a, b| a.trajectory.prompt_id == b.trajectory.prompt_id)
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

#[cfg(test)]
pub(crate) mod fixtures;

#[cfg(test)]
mod tests {
    use super::fixtures::{critique, trajectory};
    use super::*;

    fn refused(trajectories: Vec<Trajectory>, critiques: Vec<Critique>) -> String {
        let failure = pair(trajectories, critiques).unwrap_err();
        assert_eq!(failure.exit(), stage::Exit::Data);
        failure.to_string()
    }

    #[test]
    fn pairs_are_found_in_any_order() {
        let ids = ["a", "b", "c"];
        let trajectories = ids.map(|id| trajectory("p", id)).to_vec();
        let critiques = ids.iter().rev().map(|id| critique("p", id, 0.5)).collect();
        let pairs = pair(trajectories, critiques).unwrap();
        let found: Vec<_> = pairs.iter().map(|one| one.trajectory.trajectory_id.as_str()).collect();
        assert_eq!(found, ids);
        assert!(pairs.iter().all(|one| one.trajectory.trajectory_id == one.critique.trajectory_id));
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
        assert!(pair(Vec::new(), Vec::new()).unwrap().is_empty());
    }
}
