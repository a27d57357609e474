//! The positions whose final hidden state is needed.

use burn::tensor::{Device, Int, Tensor};

use super::layout::Layout;
use super::rows::Rows;
use crate::tensors::ids;

/// The positions whose final hidden state is needed. In the last block, the other tokens only serve as keys and values.
pub(super) struct Places {
    layout: Layout,
    /// Sorted places in the layout.
    places: Vec<usize>,
}

impl Places {
    pub(super) fn new(rows: &Rows<'_>, layout: Layout) -> Self {
        let examples = rows.examples.iter().enumerate().flat_map(|(row, example)| {
            let heads = example.heads.iter().map(|target| target.at);
            heads.chain(example.targets().map(|target| target - 1)).map(move |at| (row, at))
        });
        let solutions = rows
            .solutions()
            .flat_map(|solution| solution.targets().map(move |target| (solution.row, target - 1)));
        let mut places: Vec<usize> =
            examples.chain(solutions).map(|(row, at)| layout.place(row, at)).collect();
        places.sort_unstable();
        places.dedup();
        if places.is_empty() {
            // A batch that needs no hidden state still has a loss, of zero.
            places.push(0);
        }
        Self { layout, places }
    }

    /// The index of a position among the places.
    pub(super) fn index(&self, row: usize, at: usize) -> u32 {
        let place = self.layout.place(row, at);
        self.places.binary_search(&place).expect("every position with a target is a place") as u32
    }

    pub(super) fn tensor(&self, device: &Device) -> Tensor<1, Int> {
        let places: Vec<u32> = self.places.iter().map(|&place| place as u32).collect();
        ids(&places, [places.len()], device)
    }
}
