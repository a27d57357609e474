//! The templates, a file per topic.

mod shopping;
mod unseen;

use super::script::Topic;

/// What every split but the one of unseen templates draws from.
pub(super) const TRAINING: &[Topic] = &[shopping::TOPIC];

/// Templates of the same kind with other structures and wordings, for one split only.
pub(super) const UNSEEN: &[Topic] = &[unseen::TOPIC];
