//! What every binary shares: arguments, presets, device, logging, progress, errors, exit codes.
//!
//! This crate owns the terminal: it alone parses arguments, prints, logs and shows progress. Results
//! go to standard output; everything meant for a person watching goes to standard error. A stage's
//! `main.rs` is one call of [`main`]; its `run` returns a [`Failure`], which is printed once, here.
//!
//! It refuses to know any stage: it holds no paths, no table names and no hyperparameters.

mod app;
mod args;
mod error;
mod metrics;
mod plain;
mod preset;
mod progress;
mod recipe;
mod table;
mod tail;
mod terminal;

pub use app::main;
pub use args::{Common, Device, Files};
pub use error::{Exit, Failure, ResultExt};
pub use metrics::{Metrics, Stopwatch};
pub use preset::{Preset, load, merged, shipped};
pub use progress::Progress;
pub use recipe::recipe;
pub use table::{print_json, print_table, render_table};
pub use tail::tail;
