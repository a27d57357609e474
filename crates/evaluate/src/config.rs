//! The preset of `evaluate run`.

use std::collections::{BTreeMap, BTreeSet};

use decoding::{SampleConfig, SearchConfig, StepConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stage::{Failure, Preset};

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
    // Not written if empty, so that evaluations from before the key existed keep their digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    search_problems_of: BTreeMap<String, usize>,
    /// Problems of each split, the first by id, that are answered at all; all if absent.
    #[serde(default)]
    pub(crate) problems: Option<usize>,
    /// Other searches by name: the settings in which they differ from `tree.toml`, as written. They are part of the preset's
    /// identity; [`searches`] merges them.
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
}

/// The search and its variants, with what follows the names of their decoders.
pub(crate) fn searches(
    preset: &Preset<Config>,
    tree: &Preset<SearchConfig>,
) -> Result<Vec<(String, SearchConfig)>, Failure> {
    let variants = tree.with_each(preset, "variants")?;
    let named = variants.into_iter().map(|(name, search)| (format!("@{name}"), search));
    let searches: Vec<_> = [(String::new(), tree.value.clone())].into_iter().chain(named).collect();
    // A variant out of range is refused here, before any model is loaded.
    for (name, search) in &searches {
        let wrong = |e: decoding::Error| Failure::config(format!("search{name}: {e}"));
        search.validate().map_err(wrong)?;
    }
    Ok(searches)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_preset_is_read_and_in_range() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
        let names = ["evaluate", "results", "compare", "ablation", "tool", "fresh"];
        let mut seen = 0;
        for folder in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
            for path in names.map(|name| folder.join(name).with_extension("toml")) {
                if path.exists() {
                    let preset: Preset<Config> = stage::load(&path, &[]).unwrap();
                    preset.value.validate().unwrap();
                    let tree = stage::load(&folder.join("tree.toml"), &[]).unwrap();
                    searches(&preset, &tree).unwrap();
                    seen += 1;
                }
            }
        }
        assert!(seen >= 15, "{seen} files");
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

    /// The searches of the tree of `tiny` with one variant, `other`.
    fn with_variant(variant: &str) -> Result<Vec<(String, SearchConfig)>, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evaluate.toml");
        let text = "task = \"\"\nchunk_problems = 1\nsearch_problems = 1\n";
        std::fs::write(&path, format!("{text}{variant}")).unwrap();
        searches(&stage::load(&path, &[])?, &tree())
    }

    fn tree() -> Preset<SearchConfig> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
        stage::load(&root.join("tiny/tree.toml"), &[]).unwrap()
    }

    #[test]
    fn a_variant_is_laid_over_the_search() {
        let other = "[variants.other]\nrollouts_are_candidates = false\n\
                     [variants.other.mcts]\nmerge = \"off\"\nrollouts = 9\nbudget = { simulations = 7, nodes = 5 }\n";
        let mut expected = tree().value;
        expected.rollouts_are_candidates = false;
        expected.mcts.merge = serde_json::from_value("off".into()).unwrap();
        expected.mcts.rollouts = 9;
        // A table in braces is complete: there is no limit on tokens any more.
        let (budget, tree) = (&mut expected.mcts.budget, tree().value);
        (budget.simulations, budget.nodes, budget.tokens) = (7, Some(5), None);
        let searches = with_variant(other).unwrap();
        assert_eq!(searches, [(String::new(), tree), ("@other".to_owned(), expected)]);
    }

    #[test]
    fn a_wrong_variant_is_refused_where_it_stands() {
        for (wrong, says) in [
            ("[variants.other.mcts]\nwidth = 3\n", "evaluate.toml:5: invalid type: integer `3`"),
            ("[variants.other]\ndepth = 3\n", "evaluate.toml:5: unknown field `depth`"),
            (
                "[variants.other.mcts]\nmax_depth = 0\n",
                "search@other: search setting `max_depth` is 0",
            ),
            (
                "[variants]\nother = 1\n",
                "evaluate.toml:5: invalid type: integer `1`, expected a map",
            ),
        ] {
            let message = with_variant(wrong).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
