//! eta-MCTS over options (`AlphaLLM`, arXiv 2404.12253, §4.3): one tree per prompt, as a state machine.
//!
//! A [`Tree`] never calls a model. It says what it needs next ([`Tree::request`]: score the root,
//! sample options at a node, evaluate new leaves) and is told the answer (`tell_*`), until it
//! returns [`Request::Done`]. The driver decides where the answers come from, and can run thousands of
//! trees at once and batch all their requests into one forward pass.
//!
//! The crate knows nothing of models, token ids, files, clocks or random numbers, so the same
//! answers always give the same tree, node for node. Answers that do not fit the request (a wrong count, a
//! score that is not a finite number) are refused with a [`TellError`] and leave the tree unchanged.
//!
//! One simulation is `select` (walk down by UCT or PUCT), `expand` (place one sampled option), evaluation
//! by the driver, and `backup` (add the leaf's score to every ancestor). Deviations from the
//! paper and its released code are documented where they occur: [`Merge`], [`Importance`], [`Width`].

mod answer;
mod config;
mod formula;
mod machine;
mod merge;
mod node;
mod pending;
mod request;
mod tell;
mod tree;
mod verbs;

pub use answer::{best_leaf, greedy_leaf, rerank, weighted_vote};
pub use config::{
    Budget, Config, ConfigError, Growth, Importance, Merge, PrmAggregation, Released,
    RootSelection, Selection, Weights, Width,
};
pub use node::{Action, Evaluation, Node, NodeId};
pub use request::{Request, SampleRequest, StopReason, TellError};
pub use tree::{Snapshot, Tally, Tree};
