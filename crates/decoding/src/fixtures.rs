//! Fixtures for the tests of several modules.

use lm::Drawn;
use mcts::{Action, Config, NodeId};
use policy::{FinishReason, Part};

use crate::{Origin, TreeSolution};

/// A search with two children at every node, scored by the value alone.
pub(crate) fn config(simulations: u32) -> Config {
    let width = mcts::Width { min: 2, max: 2 };
    Config {
        selection: mcts::Selection::Uct,
        exploration: 1.0,
        root: mcts::RootSelection::Selection,
        alpha: 0.0,
        root_width: width,
        width,
        max_depth: 3,
        split_depth: None,
        merge: mcts::Merge::Off,
        weights: mcts::Weights { value: 1.0, prm: 0.0, orm: 0.0 },
        rollouts: 0,
        settled_variance: None,
        budget: mcts::Budget {
            simulations,
            min_terminals: None,
            nodes: None,
            terminals: None,
            tokens: None,
        },
        root_wave: true,
        in_flight: 1,
        released: mcts::Released {
            importance: mcts::Importance::Total,
            greedy_first_child: false,
            ..mcts::Released::default()
        },
    }
}

pub(crate) fn action(text: &str, terminal: bool) -> Action {
    let stop = if terminal { FinishReason::End } else { FinishReason::Termination }.to_string();
    Action { text: text.to_owned(), tokens: 3, cost: 3, logprob: -1.0, terminal, stop }
}

/// A part with a single token.
pub(crate) fn part(text: &str, logprob: f32) -> Part {
    Part { text: text.to_owned(), drawn: Drawn { ids: vec![3], logprobs: vec![logprob] } }
}

pub(crate) fn solution(
    origin: Origin,
    leaf: NodeId,
    answer: Option<&str>,
    outcome: f64,
) -> TreeSolution {
    TreeSolution {
        origin,
        leaf,
        rest: Vec::new(),
        values: Vec::new(),
        process: Vec::new(),
        cost: 0,
        text: String::new(),
        answer: answer.map(str::to_owned),
        outcome,
        finish: FinishReason::End,
    }
}
