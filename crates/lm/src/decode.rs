//! Decoding: generates one token at a time for the rows of a batch.
//!
//! On the CPU, a new row takes the place of one that has finished ([`PackedBatch`]). Other devices need tensors of a fixed
//! shape, so there a batch is decoded until all of its rows have finished ([`PaddedBatch`]).

mod packed;
mod padded;
mod queue;
mod row;

pub(crate) use self::packed::PackedBatch;
pub(crate) use self::padded::PaddedBatch;
pub(crate) use self::queue::{Queue, Waiting};
pub(crate) use self::row::{Context, Decoded};
