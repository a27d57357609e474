//! A tree that grows along its rollouts: the text that the policy wrote from one node to the end also serves the nodes
//! below.

use mcts::NodeId;
use policy::{Continuation, FinishReason, Part};

use crate::active::ActiveSearch;
use crate::{Origin, TreeSolution};

/// A rollout that passes through a node.
#[derive(Clone, Copy)]
pub(crate) struct Passing<'a> {
    rollout: &'a TreeSolution,
    /// Index of the rollout's option after the node.
    at: usize,
}

impl ActiveSearch<'_> {
    /// The rollouts that started at the node or at an ancestor, and pass through the node and continue beyond it, in
    /// order.
    pub(crate) fn passing(&self, node: NodeId) -> impl Iterator<Item = Passing<'_>> {
        let path = self.tree.path(node);
        self.rollouts.iter().filter_map(move |rollout| {
            let from = path.iter().position(|id| *id == rollout.leaf)? + 1;
            let after = path[from..].iter().map(|id| self.tree.node(*id).text());
            let at = path.len() - from;
            // Compared option by option, since the same text may have been split differently.
            let same = rollout.rest.iter().take(at).map(|part| part.text.as_str()).eq(after);
            (same && at < rollout.rest.len()).then_some(Passing { rollout, at })
        })
    }

    /// Whether the node and all its ancestors are first children.
    pub(crate) fn is_first(&self, node: NodeId) -> bool {
        self.tree.path(node).into_iter().all(|id| {
            let parent = self.tree.node(id).parent;
            parent.is_none_or(|parent| self.tree.node(parent).children.first() == Some(&id))
        })
    }

    /// The rollouts that the tree does not already have as a solution, either as a whole or up to an answer after which
    /// the rollout continues.
    pub(crate) fn rollouts_beside<'r>(
        &'r self,
        solutions: &'r [TreeSolution],
    ) -> impl Iterator<Item = &'r TreeSolution> {
        let ends = |rollout: &TreeSolution, solution: &TreeSolution| {
            let (whole, part) = (rollout.text.as_str(), solution.text.as_str());
            // A tree's solution ends with the line of its answer, and the rollout may go on after it. Without the line's end,
            // `#### 1` would also count as the beginning of `#### 18`.
            whole == part || (part.ends_with('\n') && whole.starts_with(part))
        };
        self.rollouts
            .iter()
            .filter(move |rollout| !solutions.iter().any(|solution| ends(rollout, solution)))
    }
}

impl Passing<'_> {
    /// Whether the rollout ended by itself.
    pub(crate) fn finished(&self) -> bool {
        self.rollout.finish.is_natural()
    }

    /// The rollout's outcome reward.
    pub(crate) fn outcome(&self) -> f64 {
        self.rollout.outcome
    }

    /// The rollout's option after the node, as if drawn there at no cost. With `most` (a limit in tokens) it is a single
    /// option; without it, the whole rest. `None` if the option exceeds the limit, or if it is the end of a rollout that
    /// was cut. `answered` says whether a solution contains its answer.
    pub(crate) fn option(
        &self,
        written: &str,
        most: Option<usize>,
        answered: impl Fn(&str) -> bool,
    ) -> Option<Continuation> {
        let rest = &self.rollout.rest[self.at..];
        let parts: Vec<Part> = if most.is_none() { rest.to_vec() } else { rest[..1].to_vec() };
        if most.is_some_and(|most| parts[0].drawn.ids.len() > most) {
            return None;
        }
        let last = parts.len() == rest.len();
        let text: String = parts.iter().map(|part| part.text.as_str()).collect();
        let (terminal, finish) = match last {
            _ if answered(&[written, &text].concat()) => (true, FinishReason::Answer),
            // The last option of a cut rollout is incomplete.
            true if !self.finished() => return None,
            true => (true, FinishReason::End),
            false => (false, FinishReason::Termination),
        };
        Some(Continuation { text, parts, tokens: 0, terminal, finish })
    }

    /// The rollout as the completion of the node.
    pub(crate) fn completes(&self, node: NodeId) -> TreeSolution {
        let mut whole = self.rollout.clone();
        whole.rest.drain(..self.at);
        for scores in [&mut whole.values, &mut whole.process] {
            // The scores are empty if the critic lacks the head.
            scores.drain(..self.at.min(scores.len()));
        }
        TreeSolution { origin: Origin::Completed, leaf: node, cost: 0, ..whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{action, config, part, solution};
    use mcts::{Config, Evaluation, Tree};

    fn tell(search: &mut ActiveSearch<'_>, text: &str, terminal: bool) {
        search.tree.tell_samples(vec![action(text, terminal)]).unwrap();
        let worth = Evaluation { value: Some(0.5), ..Evaluation::default() };
        search.tree.tell_evaluations(vec![worth]).unwrap();
    }

    /// A tree of one node with two rollouts: one that reaches an answer, and one that was cut.
    fn search() -> ActiveSearch<'static> {
        let width = mcts::Width { min: 1, max: 1 };
        let config = Config { root_width: width, width, root_wave: false, ..config(9) };
        let mut search = ActiveSearch::new(
            crate::Question { id: "a", text: "", seed: 0 },
            Tree::new(&config).unwrap(),
        );
        tell(&mut search, "one\n", false);
        let leaf = search.tree.leaves().next().unwrap().0;
        let rollout = |texts: &[&str], finish| TreeSolution {
            rest: texts.iter().map(|text| part(text, -0.5)).collect(),
            text: ["one\n", &texts.concat()].concat(),
            finish,
            ..solution(Origin::Rollout, leaf, Some("5"), 0.25)
        };
        search.rollouts = vec![
            rollout(&["two\n", "#### 5"], FinishReason::End),
            rollout(&["2\n"], FinishReason::Length),
        ];
        search
    }

    fn leaf(search: &ActiveSearch<'_>) -> NodeId {
        search.tree.leaves().last().unwrap().0
    }

    fn options(search: &ActiveSearch<'_>, most: Option<usize>) -> Vec<Option<Continuation>> {
        let never = |_: &str| false;
        search.passing(leaf(search)).map(|rollout| rollout.option("", most, never)).collect()
    }

    #[test]
    fn a_rollout_serves_every_node_on_its_way() {
        let mut search = search();
        let two = options(&search, Some(9))[0].clone().unwrap();
        assert_eq!((two.text.as_str(), two.tokens, two.terminal), ("two\n", 0, false));
        assert!((two.logprob() - -0.5).abs() < 1e-6);
        assert_eq!(options(&search, Some(0))[0], None, "it would have been cut");
        assert_eq!(options(&search, Some(9))[1], None, "it ends where it was cut");
        let rest = options(&search, None)[0].clone().unwrap();
        assert_eq!(
            (rest.text.as_str(), rest.finish, rest.terminal),
            ("two\n#### 5", FinishReason::End, true)
        );
        tell(&mut search, "two\n", false);
        let end = options(&search, Some(9));
        assert_eq!(end.len(), 1, "the other goes elsewhere");
        assert_eq!(end[0].as_ref().map(|o| (o.text.as_str(), o.terminal)), Some(("#### 5", true)));
    }

    #[test]
    fn an_answer_ends_a_solution_wherever_it_stands() {
        let search = search();
        let rollout = search.passing(leaf(&search)).next().unwrap();
        let option = rollout.option("one\n", Some(9), |text| text == "one\ntwo\n").unwrap();
        assert_eq!((option.terminal, option.finish), (true, FinishReason::Answer));
    }

    /// A rollout that continues after the answer at which the tree ended a solution is not counted either. A longer
    /// answer is a different solution.
    #[test]
    fn a_solution_counts_once() {
        let mut search = search();
        tell(&mut search, "two\n", false);
        let completed = search.passing(leaf(&search)).next().unwrap().completes(leaf(&search));
        assert_eq!((completed.rest.len(), completed.cost, completed.outcome), (1, 0, 0.25));
        let beside = |solutions: &[TreeSolution]| search.rollouts_beside(solutions).count();
        assert_eq!(beside(&[]), 2);
        assert_eq!(beside(std::slice::from_ref(&completed)), 1);
        let said = |text: &str| TreeSolution { text: text.to_owned(), ..completed.clone() };
        assert_eq!(beside(&[said("one\ntwo\n")]), 1);
        assert_eq!(beside(&[said("one\ntwo\n#### ")]), 2);
    }

    /// A node whose text is only a prefix of a rollout's option is not on the rollout's path.
    #[test]
    fn a_way_is_one_of_options() {
        let mut search = search();
        tell(&mut search, "tw", false);
        assert_eq!(search.passing(leaf(&search)).count(), 0);
    }

    #[test]
    fn the_way_of_first_children_is_known() {
        let mut search = search();
        assert!(search.is_first(leaf(&search)));
        let width = mcts::Width { min: 2, max: 2 };
        search.tree =
            Tree::new(&Config { root_width: width, root_wave: false, ..config(9) }).unwrap();
        tell(&mut search, "one\n", false);
        tell(&mut search, "another\n", false);
        let firsts: Vec<bool> = search.tree.leaves().map(|(id, _)| search.is_first(id)).collect();
        assert_eq!(firsts, [true, false]);
    }
}
