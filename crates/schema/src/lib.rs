//! The tables that the stages exchange: row types, column names, versions.
//!
//! Every table is declared once, with `table!`, in the module of its name. The declaration generates the row type, the
//! names of its columns (`prompts::col::prompt_id`), its Arrow schema with the doc comments as field descriptions, and
//! `schemas/<table>.json`. Adding, removing or retyping a column requires a new version.
//!
//! There is no IO here. The crate converts rows to Arrow record batches and back, and refuses anything that does not fit
//! the declaration (wrong columns, nulls, numbers that are not finite, inconsistent rows). The error says where it is.

#[macro_use]
mod declare;

mod batch;
mod column;
mod error;
mod export;
mod table;

pub mod corpus;
pub mod critiques;
pub mod drafts;
pub mod evaluations;
pub mod labels;
pub mod nodes;
pub mod preferences;
pub mod prompts;
pub mod sft;
pub mod steps;
pub mod trajectories;

pub use batch::{check_columns, from_batch, to_batch, view_batch};
pub use column::{Column, Field};
pub use corpus::CorpusText;
pub use critiques::{Check, CriticModels, Critique};
pub use drafts::DraftRow;
pub use error::Error;
pub use evaluations::{Evaluation, Outcome};
pub use export::{all, describe, dictionary, type_name};
pub use labels::Label;
pub use nodes::NodeRow;
pub use preferences::Preference;
pub use prompts::{Prompt, Question};
pub use sft::{Message, SftExample};
pub use steps::Steps;
pub use table::{Table, View};
pub use trajectories::{TextOption, Trajectory};
