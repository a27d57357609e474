//! Similarity of sibling options for the state merge: cosine of the policy's hidden states, or the policy's own judgement
//! (AlphaLLM Table 4a).

use std::collections::BTreeMap;

use mcts::{Action, NodeId};
use policy::Choice;
use policy::template::filled;

use crate::active::ActiveSearch;
use crate::memory::Memory;
use crate::{Error, Searcher, Similarity};

/// Similarities by node, new option and sibling.
pub(crate) type Similar = BTreeMap<(NodeId, String, String), f64>;

/// The new options of a node with the options they are compared with.
struct Family {
    node: NodeId,
    before: String,
    /// The children's options, then the new ones in order of attempt, without duplicates.
    all: Vec<String>,
    /// Number of leading entries that belong to children.
    old: usize,
}

impl Family {
    /// Pairs each new option with every option before it.
    fn pairs(&self) -> impl Iterator<Item = (&Self, &String, &String)> {
        let new = self.old..self.all.len();
        new.flat_map(move |at| self.all[..at].iter().map(move |old| (self, &self.all[at], old)))
    }
}

impl Searcher {
    /// Computes all similarities that the tree may ask for when it receives `actions`, which were drawn at `nodes`.
    pub(crate) fn similar(
        &self,
        search: &ActiveSearch<'_>,
        nodes: &[NodeId],
        actions: &[Action],
        memory: &mut Memory,
    ) -> Result<Similar, Error> {
        let Some(similarity) = &self.config.similarity else { return Ok(Similar::new()) };
        // Measured before the tree decides, so that all pairs go to the model in one batch. Pairs with an option that is then
        // folded are measured in vain.
        let families = families(search, nodes, actions);
        let pairs: Vec<(&Family, &String, &String)> =
            families.iter().flat_map(Family::pairs).collect();
        let question = search.question.text;
        let measured = match similarity {
            Similarity::Cosine => self.cosines(question, &families, &pairs, memory)?,
            Similarity::Judge { template, yes, no } => {
                let choices: Vec<Choice<'_>> = pairs
                    .iter()
                    .map(|(family, new, old)| {
                        let places = [
                            ("question", question),
                            ("written", &family.before),
                            ("new", new.trim()),
                            ("old", old.trim()),
                        ];
                        let text = filled(template, &places);
                        Choice { question, text }
                    })
                    .collect();
                let weighed = self.sampler.policy.choose(&choices, yes, no, &mut memory.policy)?;
                weighed.into_iter().map(|weighed| weighed.yes).collect()
            }
        };
        let key = |(family, new, old): (&Family, &String, &String)| {
            (family.node, new.clone(), old.clone())
        };
        Ok(pairs.into_iter().map(key).zip(measured).collect())
    }

    fn cosines(
        &self,
        question: &str,
        families: &[Family],
        pairs: &[(&Family, &String, &String)],
        memory: &mut Memory,
    ) -> Result<Vec<f64>, Error> {
        let mut places = BTreeMap::new();
        let mut states = Vec::new();
        for family in families {
            for text in &family.all {
                places.insert((family.node, text), states.len());
                states.push((question, [family.before.as_str(), text].concat()));
            }
        }
        let hidden = self.sampler.policy.embed(&states, &mut memory.policy)?;
        let at = |family: &Family, text| &hidden[places[&(family.node, text)]];
        Ok(pairs
            .iter()
            .map(|(family, new, old)| cosine(at(family, new), at(family, old)))
            .collect())
    }
}

/// Collects the new unfinished options of each node. Finished options are left out: a merge only compares options of one
/// kind.
fn families(search: &ActiveSearch<'_>, nodes: &[NodeId], actions: &[Action]) -> Vec<Family> {
    let mut new = BTreeMap::<NodeId, Vec<&str>>::new();
    for (node, action) in nodes.iter().zip(actions).filter(|(_, action)| !action.terminal) {
        new.entry(*node).or_default().push(&action.text);
    }
    let family = |(node, new): (NodeId, Vec<&str>)| {
        let children = search.tree.node(node).children.iter();
        let children = children.map(|&child| search.tree.node(child));
        let unfinished = children.filter(|child| !child.terminal);
        let mut all: Vec<String> = unfinished.map(|child| child.text().to_owned()).collect();
        let old = all.len();
        for text in new {
            if !all.iter().any(|known| known == text) {
                all.push(text.to_owned());
            }
        }
        Family { node, before: search.options(node).concat(), all, old }
    };
    new.into_iter().map(family).collect()
}

/// The similarity as the tree sees it: infinite for equal texts, minus infinity for pairs that were not measured.
pub(crate) fn lookup(similar: &Similar, node: NodeId, new: &Action, old: &Action) -> f64 {
    if new.text == old.text {
        return f64::INFINITY;
    }
    let key = (node, new.text.clone(), old.text.clone());
    similar.get(&key).copied().unwrap_or(f64::NEG_INFINITY)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    // The lower bound avoids 0 / 0 for a zero vector.
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::cosine;

    #[test]
    fn cosines_by_hand() {
        assert!((cosine(&[1.0, 0.0], &[1.0, 1.0]) - 0.5_f64.sqrt()).abs() < 1e-9);
        assert!((cosine(&[2.0, 1.0], &[4.0, 2.0]) - 1.0).abs() < 1e-9);
        assert!((cosine(&[1.0, 0.0], &[-3.0, 0.0]) + 1.0).abs() < 1e-9);
        assert!(cosine(&[0.0], &[1.0]).abs() < 1e-9, "no direction, no similarity");
    }
}
