//! The fixed order of splits and decoders: the known ones first, then others by name.

use crate::decoder::Decoder;

const SPLITS: [&str; 3] = ["test", "ood-templates", "ood-chains"];

/// A name that sorts by its place in a list, ignoring any part after an `@`. Names that are not in the list come last.
/// Names at the same place sort by the number after the `@`, then by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank<'a> {
    // Compared field by field in this order. The name comes last, so that two variants are never equal.
    place: usize,
    /// The number after an `@`, so that 4 samples sort before 16; 0 if there is none.
    number: usize,
    name: &'a str,
}

impl<'a> Rank<'a> {
    /// The rank of a split.
    pub(crate) fn split(name: &'a str) -> Self {
        Self::within(&SPLITS, name)
    }

    /// The rank of a decoder.
    pub(crate) fn decoder(name: &'a str) -> Self {
        Self::within(&Decoder::ALL.map(Decoder::name), name)
    }

    /// The name.
    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    fn within(list: &[&str], name: &'a str) -> Self {
        let (kind, variant) = name.split_once('@').unwrap_or((name, ""));
        let place = list.iter().position(|known| *known == kind).unwrap_or(list.len());
        Self { place, number: variant.parse().unwrap_or(0), name }
    }
}
