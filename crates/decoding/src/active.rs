//! A search in progress: a tree with everything that its policies have written for it.

use std::collections::BTreeMap;

use lm::Drawn;
use mcts::{NodeId, Tree};
use policy::{Continuation, FinishReason};

use crate::{Error, Question, TreeSolution};

/// A search in progress.
pub(crate) struct ActiveSearch<'a> {
    pub(crate) question: Question<'a>,
    pub(crate) tree: Tree,
    pub(crate) rollouts: Vec<TreeSolution>,
    /// The draws at each node, for sampling without replacement.
    pub(crate) drawn: BTreeMap<NodeId, Vec<Drawn>>,
    pub(crate) tokens: u64,
    /// Length of the question's prompt in tokens; `None` if the policy's tokenizer is not available here.
    pub(crate) taken: Option<usize>,
    pub(crate) out_of_room: u32,
}

/// A leaf to evaluate.
pub(crate) struct Leaf {
    pub(crate) node: NodeId,
    pub(crate) options: Vec<String>,
    pub(crate) terminal: bool,
    /// Whether it is a terminal that ended by itself rather than at the length limit.
    pub(crate) finished: bool,
}

impl<'a> ActiveSearch<'a> {
    pub(crate) fn new(question: Question<'a>, tree: Tree) -> Self {
        Self {
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
    pub(crate) fn draw(&mut self, node: NodeId, option: &Continuation) {
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

    /// Why the option of a node ended; `None` for the root.
    pub(crate) fn finish(&self, node: NodeId) -> Option<FinishReason> {
        let action = self.tree.node(node).action.as_ref()?;
        Some(action.stop.parse().expect("it was written by `action`, as the name of a reason"))
    }

    /// The error for a value that the tree does not take.
    pub(crate) fn refused(&self, source: mcts::TellError) -> Error {
        Error::Tree { prompt: self.question.id.to_owned(), source }
    }

    /// A leaf to evaluate.
    pub(crate) fn leaf(&self, node: NodeId) -> Leaf {
        let terminal = self.tree.node(node).terminal;
        let ended = self.finish(node).is_some_and(FinishReason::is_natural);
        Leaf { node, options: self.options(node), terminal, finished: terminal && ended }
    }
}

impl Leaf {
    /// The options on the path to the leaf, followed by the options of `rest`.
    pub(crate) fn continued(&self, rest: &Continuation) -> Vec<String> {
        self.options.iter().cloned().chain(rest.texts()).collect()
    }
}
