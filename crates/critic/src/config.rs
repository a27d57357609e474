//! The settings of the critics: what they read.

use std::collections::BTreeMap;

use answer::Finding;
use serde::{Deserialize, Serialize};

use crate::Head;

/// The `[critic]` section of `text.toml`: how critics are told the calculator's findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriticConfig {
    /// Marks that follow an option, with the finding for that option.
    pub option: Marks,
    /// Marks that follow the last option of a finished solution instead, with the finding for the whole solution.
    pub solution: Marks,
    /// Templates and answers of critics in words, by head.
    #[serde(default)]
    pub words: BTreeMap<Head, Words>,
}

/// The marks for the calculator's three findings, one token each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    /// Every claim holds.
    pub holds: String,
    /// At least one claim fails.
    pub fails: String,
    /// There is nothing to check.
    pub nothing: String,
}

/// The `[critic.words.<head>]` section of `text.toml`: the template and the two answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// The text the model reads. Placeholders: `{question}`, `{before}` (the options before the last), `{option}` (the
    /// last option), `{solution}` (all options) and `{finding}` (the mark with the calculator's finding for the last
    /// option, or for the whole of a finished solution).
    pub template: String,
    /// The positive answer, a single token: the state is promising, the option is good or the answer is right.
    pub yes: String,
    /// The negative answer, a single token.
    pub no: String,
}

impl CriticConfig {
    /// Readable marks that are all different, for solutions of which the critic's actual marks are not known.
    pub fn plain() -> Self {
        let marks = |of: &str| Marks {
            holds: format!("{of} holds"),
            fails: format!("{of} fails"),
            nothing: format!("{of} has nothing"),
        };
        Self { option: marks("option"), solution: marks("solution"), words: BTreeMap::new() }
    }
}

impl Marks {
    /// The mark of a finding.
    pub(crate) fn of(&self, finding: Finding) -> &str {
        match finding {
            Finding::Holds => &self.holds,
            Finding::Fails => &self.fails,
            Finding::Nothing => &self.nothing,
        }
    }
}
