//! The three critics as heads of models.

use std::fmt;
use std::str::FromStr;

use lm::ModelConfig;
use serde::{Deserialize, Serialize};

/// A name that is none of the three critics'.
#[derive(Debug, thiserror::Error)]
#[error("there is no critic `{0}`; there are value, prm and orm")]
pub struct UnknownHead(String);

/// A critic. A model may carry several of them as heads.
// In the order of their names, in which maps of them are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// Outcome reward model: whether the final answer is right.
    Orm,
    /// Process reward model: whether the last option is right.
    Prm,
    /// Value function: the probability that the final answer will be right, read after each option.
    Value,
}

impl Head {
    /// All three, in the order in which the paper has them.
    pub const ALL: [Self; 3] = [Self::Value, Self::Prm, Self::Orm];

    /// The name in presets, checkpoints and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Prm => "prm",
            Self::Orm => "orm",
        }
    }

    /// The index of this head among the scalar heads of a model; `None` if the model does not have it.
    pub(crate) fn index(self, config: &ModelConfig) -> Option<usize> {
        config.scalar_heads.iter().position(|head| head == self.name())
    }

    /// The heads that a checkpoint names.
    ///
    /// # Errors
    /// A name that is none of the three.
    pub fn all_of(names: &[String]) -> Result<Vec<Self>, UnknownHead> {
        names.iter().map(|name| name.parse()).collect()
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Head {
    type Err = UnknownHead;

    fn from_str(name: &str) -> Result<Self, UnknownHead> {
        let known = Self::ALL.into_iter().find(|head| head.name() == name);
        known.ok_or_else(|| UnknownHead(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_one_name_everywhere() {
        for head in Head::ALL {
            assert_eq!(head.to_string().parse::<Head>().unwrap(), head);
            assert_eq!(serde_json::to_string(&head).unwrap(), format!("\"{head}\""));
        }
        let error = Head::all_of(&["orm".to_owned(), "reward".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "there is no critic `reward`; there are value, prm and orm");
    }
}
