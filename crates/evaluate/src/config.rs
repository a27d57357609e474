//! The preset of `evaluate run`.

use std::collections::{BTreeMap, BTreeSet};

use decoding::{SampleConfig, SearchConfig, StepConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stage::Failure;

/// The preset's `evaluate.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Name of the task in the results.
    pub(crate) task: String,
    /// Problems per part of the output.
    pub(crate) chunk_problems: usize,
    /// Problems of each split, the first by id, that every decoder answers; the rest are answered greedily only. 0 for
    /// none.
    pub(crate) search_problems: usize,
    /// The same for single splits, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    search_problems_of: BTreeMap<String, usize>,
    /// Problems of each split, the first by id, that are answered at all; all if absent.
    #[serde(default)]
    pub(crate) problems: Option<usize>,
    /// Other searches by name: keys that replace those of `tree.toml`; within `mcts` they are replaced one by one.
    #[serde(default)]
    variants: BTreeMap<String, Map<String, Value>>,
    /// Independent samples to compare the search with; none if absent.
    #[serde(default)]
    pub(crate) sample: Option<SampleConfig>,
    /// Step searches to compare the search with; none if absent.
    #[serde(default)]
    pub(crate) steps: Option<StepConfig>,
}

impl Config {
    pub(crate) fn validate(&self) -> Result<(), Failure> {
        self.sample.as_ref().map_or(Ok(()), SampleConfig::validate).map_err(Failure::from)?;
        self.steps.as_ref().map_or(Ok(()), StepConfig::validate).map_err(Failure::from)
    }

    /// How many problems of a split every decoder answers; the rest are answered greedily only.
    pub(crate) fn searched(&self, split: &str) -> usize {
        self.search_problems_of.get(split).copied().unwrap_or(self.search_problems)
    }

    /// The splits in `search_problems_of` that are not in `splits`.
    pub(crate) fn unknown_splits(&self, splits: &BTreeSet<String>) -> Vec<&str> {
        let own = self.search_problems_of.keys().filter(|split| !splits.contains(*split));
        own.map(String::as_str).collect()
    }

    /// The search and its variants, each with the suffix of its decoders' names.
    ///
    /// # Errors
    /// Unknown keys and values out of range, with the name of the variant.
    pub(crate) fn searches(
        &self,
        tree: &SearchConfig,
    ) -> Result<Vec<(String, SearchConfig)>, Failure> {
        let mut searches = vec![(String::new(), tree.clone())];
        for (name, keys) in &self.variants {
            let wrong = |e: serde_json::Error| Failure::config(format!("variants.{name}: {e}"));
            let mut search = serde_json::to_value(tree).map_err(Failure::bug)?;
            replace(&mut search, keys);
            searches.push((format!("@{name}"), serde_json::from_value(search).map_err(wrong)?));
        }
        for (name, search) in &searches {
            let wrong = |e: decoding::Error| Failure::config(format!("search{name}: {e}"));
            search.validate().map_err(wrong)?;
        }
        Ok(searches)
    }
}

/// Replaces keys of a search, within `mcts` one by one.
fn replace(search: &mut Value, keys: &Map<String, Value>) {
    for (key, value) in keys {
        match (key.as_str(), value, search.get_mut("mcts")) {
            ("mcts", Value::Object(inner), Some(mcts)) => {
                for (key, value) in inner {
                    mcts[key] = value.clone();
                }
            }
            _ => search[key] = value.clone(),
        }
    }
    // Only merging by a threshold uses `similarity`, and a variant with another merge cannot remove the key: TOML has
    // no null.
    if search["mcts"]["merge"].get("similarity").is_none() {
        search["similarity"] = Value::Null;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_read_and_in_range() {
        let names = ["evaluate", "results", "compare", "ablation", "tool", "fresh"]
            .map(|name| format!("{name}.toml"));
        let values: Vec<Config> =
            stage::shipped(|name| names.iter().any(|known| known == name)).unwrap();
        assert!(values.len() >= 7, "{} files", values.len());
        let trees: Vec<SearchConfig> = stage::shipped(|name| name == "tree.toml").unwrap();
        for value in values {
            value.validate().unwrap();
            for tree in &trees {
                value.searches(tree).unwrap();
            }
        }
    }

    #[test]
    fn a_split_can_have_its_own_number_of_searched_problems() {
        let text = r#"{
            "task": "", "chunk_problems": 1, "search_problems": 2, "search_problems_of": { "test": 5, "tset": 7 }
        }"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(["test", "ood-chains"].map(|split| config.searched(split)), [5, 2]);
        let splits = ["test", "ood-chains"].map(str::to_owned).into();
        assert_eq!(config.unknown_splits(&splits), ["tset"]);
    }

    #[test]
    fn a_variant_replaces_single_keys_and_is_refused_by_name() {
        let tree = stage::shipped::<SearchConfig>(|name| name == "tree.toml").unwrap().remove(0);
        let config = |variant: Value| Config {
            task: String::new(),
            chunk_problems: 1,
            search_problems: 1,
            search_problems_of: BTreeMap::new(),
            problems: None,
            variants: serde_json::from_value(serde_json::json!({ "other": variant })).unwrap(),
            sample: None,
            steps: None,
        };
        let variant = serde_json::json!({
            "rollouts_are_candidates": true, "mcts": { "merge": "off", "rollouts": 9 },
        });
        let searches = config(variant).searches(&tree).unwrap();
        let mut expected = serde_json::to_value(&tree).unwrap();
        expected["rollouts_are_candidates"] = true.into();
        (expected["mcts"]["merge"], expected["mcts"]["rollouts"]) = ("off".into(), 9.into());
        let expected = serde_json::from_value(expected).unwrap();
        assert_eq!(searches, [(String::new(), tree.clone()), ("@other".to_owned(), expected)]);
        for (wrong, says) in [
            (serde_json::json!({ "mcts": { "width": 3 } }), "variants.other"),
            (serde_json::json!({ "depth": 3 }), "unknown field `depth`"),
            (serde_json::json!({ "mcts": { "max_depth": 0 } }), "`max_depth` is 0"),
        ] {
            let message = config(wrong).searches(&tree).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
