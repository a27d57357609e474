//! The four ways to pick a final answer from a searched tree (paper §4.3, and the released code). The paper does
//! not say which its tables use, so all four are here.
//!
//! The leaf that is picked may be unfinished; completing it is up to the driver, as is asking the ORM.

use crate::formula::argmax;
use crate::node::{Node, NodeId};
use crate::tree::Tree;

/// Follows the best mean score `Q/n` from the root down to a leaf. `None` if nothing has been
/// evaluated. The first wins a tie, here and below.
pub fn greedy_leaf(tree: &Tree) -> Option<NodeId> {
    let best_child = |id: &NodeId| argmax(tree.children(*id).filter_map(rated));
    std::iter::successors(best_child(&NodeId::ROOT), best_child).last()
}

/// Returns the leaf with the best mean score in the whole tree, finished or not: the paper's choice for
/// training data. `None` if nothing has been evaluated.
pub fn best_leaf(tree: &Tree) -> Option<NodeId> {
    argmax(tree.leaves().filter_map(rated))
}

/// Returns the candidate with the best ORM score. NaN scores are skipped; `None` if nothing is left.
pub fn rerank<T: Copy>(candidates: &[(T, f64)]) -> Option<T> {
    argmax(candidates.iter().copied())
}

/// Returns the answer with the largest sum of weights, where each candidate votes for its answer with its ORM
/// score. NaN weights do not vote. The caller leaves out candidates without an answer.
pub fn weighted_vote<'a>(candidates: &[(&'a str, f64)]) -> Option<&'a str> {
    let mut sums: Vec<(&str, f64)> = Vec::new(); // In order of appearance, for ties.
    for &(answer, weight) in candidates.iter().filter(|(_, weight)| !weight.is_nan()) {
        match sums.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, sum)) => *sum += weight,
            None => sums.push((answer, weight)),
        }
    }
    argmax(sums.into_iter())
}

/// Pairs a node with its mean score, if it has been visited.
fn rated((id, node): (NodeId, &Node)) -> Option<(NodeId, f64)> {
    Some((id, node.mean()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rerank_takes_the_best_and_the_first_of_equals() {
        assert_eq!(rerank(&[(7, 0.2), (8, 0.9), (9, 0.9)]), Some(8));
        assert_eq!(rerank(&[(7, f64::NAN), (8, -1.0)]), Some(8));
        assert_eq!(rerank::<usize>(&[]), None);
    }

    #[test]
    fn vote_sums_over_equal_answers() {
        assert_eq!(weighted_vote(&[("18", 0.4), ("20", 0.7), ("18", 0.4)]), Some("18"));
        assert_eq!(weighted_vote(&[("20", 0.5), ("18", 0.5)]), Some("20"), "the first of equals");
        assert_eq!(weighted_vote(&[("18", f64::NAN), ("20", 0.1)]), Some("20"));
        assert_eq!(weighted_vote(&[]), None);
    }
}
