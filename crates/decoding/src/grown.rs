//! A tree that grows along its rollouts: what the policy wrote to the end from one node serves the nodes below it.

use mcts::NodeId;
use policy::{Part, TextOption};

use crate::search::Run;
use crate::{Origin, Solved};

/// A rollout that passes through a node.
#[derive(Clone, Copy)]
pub(crate) struct Passing<'a> {
    rollout: &'a Solved,
    /// Which of its options comes after the node.
    at: usize,
}

impl Run<'_> {
    /// The rollouts that were written above a node, or at it, and go on from it, in order.
    pub(crate) fn passing(&self, node: NodeId) -> impl Iterator<Item = Passing<'_>> {
        let path = self.tree.path(node);
        self.rollouts.iter().filter_map(move |rollout| {
            let from = path.iter().position(|id| *id == rollout.leaf)? + 1;
            let after = path[from..].iter().map(|id| self.tree.node(*id).text());
            let at = path.len() - from;
            let same = rollout.rest.iter().take(at).map(|part| part.text.as_str()).eq(after);
            (same && at < rollout.rest.len()).then_some(Passing { rollout, at })
        })
    }

    /// Whether a node and all above it are the first children of their parents.
    pub(crate) fn is_first(&self, node: NodeId) -> bool {
        self.tree.path(node).into_iter().all(|id| {
            let parent = self.tree.node(id).parent;
            parent.is_none_or(|parent| self.tree.node(parent).children.first() == Some(&id))
        })
    }

    /// The rollouts that are not among some solutions of the tree: neither as a whole, nor up to an answer after which
    /// they go on.
    pub(crate) fn rollouts_beside<'r>(
        &'r self,
        solutions: &'r [Solved],
    ) -> impl Iterator<Item = &'r Solved> {
        let ends = |rollout: &Solved, solution: &Solved| {
            let (whole, part) = (rollout.text.as_str(), solution.text.as_str());
            whole == part || (part.ends_with('\n') && whole.starts_with(part))
        };
        self.rollouts
            .iter()
            .filter(move |rollout| !solutions.iter().any(|solution| ends(rollout, solution)))
    }
}

impl Passing<'_> {
    /// Whether the whole ended by itself.
    pub(crate) fn finished(&self) -> bool {
        self.rollout.finished
    }

    /// The outcome reward of the whole.
    pub(crate) fn outcome(&self) -> f64 {
        self.rollout.outcome
    }

    /// The option after the node as if it had just been drawn there, for no tokens, or all of the rest without a limit of
    /// tokens; none if the rollout was cut for its length before the end of that, or the option would have been.
    /// `answered` says whether a solution has its answer.
    pub(crate) fn option(
        &self,
        written: &str,
        most: Option<usize>,
        answered: impl Fn(&str) -> bool,
    ) -> Option<TextOption> {
        let rest = &self.rollout.rest[self.at..];
        let parts: Vec<Part> = if most.is_none() { rest.to_vec() } else { rest[..1].to_vec() };
        if most.is_some_and(|most| parts[0].drawn.ids.len() > most) {
            return None;
        }
        let last = parts.len() == rest.len();
        let text: String = parts.iter().map(|part| part.text.as_str()).collect();
        let (terminal, stop) = match last {
            _ if answered(&[written, &text].concat()) => (true, "answer"),
            true if !self.rollout.finished => return None,
            true => (true, "end"),
            false => (false, "termination"),
        };
        Some(TextOption { text, parts, tokens: 0, terminal, stop })
    }

    /// The whole, as the completion of the node.
    pub(crate) fn completes(&self, node: NodeId) -> Solved {
        let mut whole = self.rollout.clone();
        whole.rest.drain(..self.at);
        for scores in [&mut whole.values, &mut whole.process] {
            scores.drain(..self.at.min(scores.len()));
        }
        Solved { origin: Origin::Completed, leaf: node, cost: 0, ..whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{action, config, part, solved};
    use mcts::{Config, Evaluation, Tree};

    fn tell(run: &mut Run<'_>, text: &str, terminal: bool) {
        run.tree.tell_samples(vec![action(text, terminal)]).unwrap();
        let worth = Evaluation { value: Some(0.5), ..Evaluation::default() };
        run.tree.tell_evaluations(vec![worth]).unwrap();
    }

    /// A tree of one node, with the way from there to an answer and another way that was cut.
    fn run() -> Run<'static> {
        let width = mcts::Width { min: 1, max: 1 };
        let config = Config { root_width: width, width, root_wave: false, ..config(9) };
        let mut run = Run::new(
            0,
            crate::Question { id: "a", text: "", seed: 0 },
            Tree::new(&config).unwrap(),
        );
        tell(&mut run, "one\n", false);
        let leaf = run.tree.leaves().next().unwrap().0;
        let rollout = |texts: &[&str], finished| Solved {
            rest: texts.iter().map(|text| part(text, -0.5)).collect(),
            text: ["one\n", &texts.concat()].concat(),
            finished,
            ..solved(Origin::Rollout, leaf, Some("5"), 0.25)
        };
        run.rollouts = vec![rollout(&["two\n", "#### 5"], true), rollout(&["2\n"], false)];
        run
    }

    fn leaf(run: &Run<'_>) -> NodeId {
        run.tree.leaves().last().unwrap().0
    }

    fn options(run: &Run<'_>, most: Option<usize>) -> Vec<Option<TextOption>> {
        let never = |_: &str| false;
        run.passing(leaf(run)).map(|rollout| rollout.option("", most, never)).collect()
    }

    #[test]
    fn a_rollout_serves_every_node_on_its_way() {
        let mut run = run();
        let two = options(&run, Some(9))[0].clone().unwrap();
        assert_eq!((two.text.as_str(), two.tokens, two.terminal), ("two\n", 0, false));
        assert!((two.logprob() - -0.5).abs() < 1e-6);
        assert_eq!(options(&run, Some(0))[0], None, "it would have been cut");
        assert_eq!(options(&run, Some(9))[1], None, "it ends where it was cut");
        let rest = options(&run, None)[0].clone().unwrap();
        assert_eq!((rest.text.as_str(), rest.stop, rest.terminal), ("two\n#### 5", "end", true));
        tell(&mut run, "two\n", false);
        let end = options(&run, Some(9));
        assert_eq!(end.len(), 1, "the other goes elsewhere");
        assert_eq!(end[0].as_ref().map(|o| (o.text.as_str(), o.terminal)), Some(("#### 5", true)));
    }

    #[test]
    fn an_answer_ends_a_solution_wherever_it_stands() {
        let run = run();
        let rollout = run.passing(leaf(&run)).next().unwrap();
        let option = rollout.option("one\n", Some(9), |text| text == "one\ntwo\n").unwrap();
        assert_eq!((option.terminal, option.stop), (true, "answer"));
    }

    /// Nor is one that goes on where the tree ended a solution, at its answer; a longer answer is another one.
    #[test]
    fn a_solution_counts_once() {
        let mut run = run();
        tell(&mut run, "two\n", false);
        let completed = run.passing(leaf(&run)).next().unwrap().completes(leaf(&run));
        assert_eq!((completed.rest.len(), completed.cost, completed.outcome), (1, 0, 0.25));
        let beside = |solutions: &[Solved]| run.rollouts_beside(solutions).count();
        assert_eq!(beside(&[]), 2);
        assert_eq!(beside(std::slice::from_ref(&completed)), 1);
        let said = |text: &str| Solved { text: text.to_owned(), ..completed.clone() };
        assert_eq!(beside(&[said("one\ntwo\n")]), 1);
        assert_eq!(beside(&[said("one\ntwo\n#### ")]), 2);
    }

    /// A node whose text only begins as an option of a rollout does is not on its way.
    #[test]
    fn a_way_is_one_of_options() {
        let mut run = run();
        tell(&mut run, "tw", false);
        assert_eq!(run.passing(leaf(&run)).count(), 0);
    }

    #[test]
    fn the_way_of_first_children_is_known() {
        let mut run = run();
        assert!(run.is_first(leaf(&run)));
        let width = mcts::Width { min: 2, max: 2 };
        run.tree = Tree::new(&Config { root_width: width, root_wave: false, ..config(9) }).unwrap();
        tell(&mut run, "one\n", false);
        tell(&mut run, "another\n", false);
        let firsts: Vec<bool> = run.tree.leaves().map(|(id, _)| run.is_first(id)).collect();
        assert_eq!(firsts, [true, false]);
    }
}
