//! Searches, samples and step searches with small untrained models: what they find, what they cost, what must not matter.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod grown;
mod models;
mod room;
mod samples;
mod steps;
