//! State merge: finds the sibling that an option repeats, by edit distance in characters or by a similarity that
//! the driver measures (paper §4.3, Table 4a).

use rapidfuzz::distance::levenshtein;

use crate::config::Merge;
use crate::formula::argmax;
use crate::node::{Action, NodeId};
use crate::tree::Tree;

/// Measures how similar a new option of a node is to that of a sibling.
pub(crate) type Similarity<'a> = dyn Fn(NodeId, &Action, &Action) -> f64 + 'a;

/// Returns the child of `parent` that `action` repeats: the nearest one closer than the
/// threshold, the first in a tie.
///
/// An unfinished option never repeats a finished solution. Two finished ones
/// must be identical, since one edit in the final number makes a different answer.
pub(crate) fn repeated(
    tree: &Tree,
    parent: NodeId,
    action: &Action,
    similarity: &Similarity<'_>,
) -> Option<NodeId> {
    match tree.config.merge {
        Merge::Off | Merge::MostDistant { .. } => None,
        // Options differ in their tokens, but different tokens can still spell the same text.
        Merge::Distinct { .. } => closest(tree, parent, action, 0),
        // Closer than the threshold is at most one edit less.
        Merge::EditDistance { threshold, .. } => {
            closest(tree, parent, action, threshold.saturating_sub(1) as usize)
        }
        // No similarity can tell whether two finished solutions have the same answer, but equal texts have.
        Merge::Similarity { .. } if action.terminal => closest(tree, parent, action, 0),
        Merge::Similarity { threshold, .. } => {
            let open = tree.children(parent).filter(|(_, sibling)| !sibling.terminal);
            let compared = open.filter_map(|(id, sibling)| {
                Some((id, similarity(parent, action, sibling.action.as_ref()?)))
            });
            argmax(compared.filter(|(_, similarity)| *similarity > threshold))
        }
    }
}

/// Returns the nearest child within `most` edits.
fn closest(tree: &Tree, parent: NodeId, action: &Action, most: usize) -> Option<NodeId> {
    let text = compared(&action.text);
    let mut nearest = None;
    // The largest distance that would still be an improvement. It shrinks with every find, which lets the
    // distance computation give up early on all other siblings.
    let mut cutoff = if action.terminal { 0 } else { most };
    let like = tree.children(parent).filter(|(_, sibling)| sibling.terminal == action.terminal);
    for (id, sibling) in like {
        let Some(distance) = edits_up_to(cutoff, text, compared(sibling.text())) else { continue };
        nearest = Some(id);
        if distance == 0 {
            break;
        }
        cutoff = distance - 1;
    }
    nearest
}

/// Returns the nearest sibling of `action` with its distance, the first in a tie; `None` without
/// siblings.
pub(crate) fn nearest(tree: &Tree, parent: NodeId, action: &Action) -> Option<(NodeId, usize)> {
    let text = compared(&action.text);
    let mut nearest: Option<(NodeId, usize)> = None;
    for (id, sibling) in tree.children(parent) {
        let cutoff = nearest.map_or(usize::MAX, |(_, distance)| distance.saturating_sub(1));
        let closer = nearest.is_none_or(|(_, distance)| distance > 0);
        if let Some(distance) =
            edits_up_to(cutoff, text, compared(sibling.text())).filter(|_| closer)
        {
            nearest = Some((id, distance));
        }
    }
    nearest
}

/// Strips surrounding whitespace, which makes no different step. Text that is all whitespace is kept, so that two
/// such options are compared too.
fn compared(text: &str) -> &str {
    if text.trim().is_empty() { text } else { text.trim() }
}

/// Returns the Levenshtein distance in characters; `None` above `cutoff`.
fn edits_up_to(cutoff: usize, left: &str, right: &str) -> Option<usize> {
    let args = levenshtein::Args::default().score_cutoff(cutoff);
    levenshtein::distance_with_args(left.chars(), right.chars(), &args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_characters_not_bytes() {
        assert_eq!(edits_up_to(9, "kitten", "sitting"), Some(3));
        assert_eq!(edits_up_to(9, "5 × 3", "5 x 3"), Some(1));
        assert_eq!(edits_up_to(2, "kitten", "sitting"), None);
        assert_eq!(edits_up_to(3, "", "abc"), Some(3));
        // Longer than a machine word, where the bit-parallel algorithm has to work in blocks.
        let long = "abcdefghij".repeat(20);
        assert_eq!(edits_up_to(5, &long, &long.replacen('c', "xy", 2)), Some(4));
        assert_eq!(edits_up_to(0, &long, &long), Some(0));
    }
}
