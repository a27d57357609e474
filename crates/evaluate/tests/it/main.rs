//! Measurements, comparisons of models and reports over seeds, from datasets to text, JSON and plots.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod compare;
mod report;
mod run;
mod support;
