//! The parts that all binaries share: arguments, presets, device, logging, progress, errors, exit codes.
//!
//! Only this crate parses arguments, prints, logs and shows progress. Results
//! go to standard output; everything for a person watching goes to standard error. A stage's
//! `main.rs` is a single call of [`main`]. If its `run` fails, it returns a [`Failure`], which is printed once, here.
//!
//! The crate knows nothing of any particular stage: it has no table names, no hyperparameters, and no path but that
//! of the shipped presets, which tests read.

mod app;
mod args;
mod error;
mod metrics;
mod parts;
mod plain;
mod preset;
mod progress;
mod recipe;
mod sharing;
mod spent;
mod table;
mod tail;
mod terminal;
mod work;

pub use app::{main, main_of};
pub use args::{CacheLimit, Common, Compute, Device, Files, Inference};
pub use error::{Exit, Failure, ResultExt};
pub use metrics::{Metrics, Stopwatch};
pub use parts::{InParts, Part, Parts};
pub use preset::{Preset, load, merged, shipped};
pub use progress::Progress;
pub use recipe::config;
pub use sharing::{Shard, Sharing};
pub use spent::Spent;
pub use table::{print_json, print_table, render_table};
pub use tail::tail;
pub use work::{Plan, Work};
