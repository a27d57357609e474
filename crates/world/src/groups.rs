//! Situations that many templates share, with the tails and ends that fit them.
//!
//! A tail finds the running value in slot `r` and leaves the new one there. It may bind any slot except those that its
//! group documents. A tail never shows `r`, because that would give away an intermediate result.

mod compare;
mod measures;
mod money;
mod people;
mod produce;
mod things;

pub(super) use compare::{AGES, COMPARED};
pub(super) use measures::{HEIGHT, JOURNEY, LITERS, MINUTES, PAGES};
pub(super) use money::{BILL, MONEY};
pub(super) use people::{CROWD, POINTS};
pub(super) use produce::{PRODUCE, STOCK};
pub(super) use things::THINGS;
