//! The settings of a search, with the paper's symbols. Presets live in TOML files, not here: no
//! field has a default, so that a preset says everything it does. Unknown keys are refused.

use serde::{Deserialize, Serialize};

use crate::formula::{aggregate, leaf_score};

/// Largest real number a setting may hold; keeps every score of the tree far from overflow.
const LARGEST: f64 = 1e6;

/// The settings of one search. Published values are in the paper, Table 5.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How a child is chosen on the way down.
    pub selection: Selection,
    /// Exploration constant `c` of the selection, in [0, 1e6]; 0 is pure exploitation.
    pub exploration: f64,
    /// How a child of the root is chosen.
    pub root: RootSelection,
    /// `alpha` of the adaptive width: children allowed per unit of importance, in [0, 1e6].
    /// 0 turns adaptive width off: every node has `c_min` children.
    pub alpha: f64,
    /// How importance becomes allowed children.
    pub growth: Growth,
    /// `c_min(0)` and `c_max(0)`: the fewest and most children of the root.
    pub root_width: Width,
    /// `c_min(t)` and `c_max(t)` for `t > 0`: the same below the root.
    pub width: Width,
    /// Depth, in options, at which a path ends; at least 1. The last option is generated to the end
    /// of the solution. There is no "unlimited": a loop of options must end somewhere.
    pub max_depth: u32,
    /// Depth of the deepest nodes that may have more than one child; absent is no limit.
    pub split_depth: Option<u32>,
    /// What importance `I(s)` is measured on. Without effect when `alpha` is 0.
    pub importance: Importance,
    /// What happens to an option that nearly repeats a sibling.
    pub merge: Merge,
    /// The betas of the leaf score; 0 turns a critic off.
    pub weights: Weights,
    /// Fast rollouts per non-terminal leaf, `n` of the ORM term; 0 scores terminals only. Not asked
    /// for when the ORM is off.
    pub rollouts: u32,
    /// A leaf whose rollouts' ORM scores have a variance below this is settled: it may have one child, which is judged
    /// anew. Absent settles none. In (0, 1e6]; takes two rollouts at least.
    pub settled_variance: Option<f64>,
    /// How the PRM scores along a path become the one `PRM(s)` of its leaf.
    pub prm_aggregation: PrmAggregation,
    /// Sample the first child of every node at temperature 0; `false` samples them all.
    pub greedy_first_child: bool,
    /// When to stop.
    pub budget: Budget,
    /// Stop when no node is open; `false` goes on revisiting finished leaves until the budget ends, as
    /// the released code does: only visits change.
    pub stop_when_exhausted: bool,
    /// Ask for the first `c_min(0)` children of the root in one request. UCT has no say before the
    /// root is that wide, so the tree is the same; only the number of round trips changes.
    pub root_wave: bool,
    /// Simulations under way at once in this tree; at least 1, and 1 is the paper's search. More ask for
    /// the options of several leaves together, for fewer round trips on a single problem; each that is
    /// under way counts as a visit of score 0 to those selected after it (virtual loss), so the tree is
    /// another one.
    pub in_flight: u32,
}

/// The rule by which a child is chosen, given its visits `n`, its mean score `Q/n` and its parent's
/// visits `N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// `Q/n + c sqrt(ln N / n)`, the released code's form; the paper typesets `2 ln(N/n)` under the
    /// root.
    Uct,
    /// `Q/n + c P sqrt(N) / (1 + n)`, where the prior `P` is the policy's probability of the option
    /// among those of its siblings (`AlphaZero`'s rule). Not in the paper.
    Puct,
}

/// The rule at the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootSelection {
    /// That of all other nodes.
    Selection,
    /// Sequential halving, as at the root of Gumbel `AlphaZero` (Danihelka et al. 2022): in rounds of
    /// equally many simulations all children that are left get equally many visits, and the worse
    /// half is left out of the next. The noise of the original, by which it takes distinct actions from the
    /// policy, is here the policy's own sampling with repetitions merged. The simulations are
    /// shared out over `budget.nodes`, where given, or else `budget.simulations`. The width of
    /// the root must be fixed.
    SequentialHalving,
}

/// How many children importance earns, between the bounds of [`Width`]. Children are never taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// `floor(alpha I) + 1` children (the paper), or `floor(alpha I)` (the released code).
    pub plus_one: bool,
    /// Whether fewer are allowed again when importance falls (the paper's formula, applied anew), or an
    /// allowed number only ever grows (the released code).
    pub may_shrink: bool,
}

/// Bounds on the children of a node: `max(min, min(floor(alpha I) + 1, max))` are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Width {
    /// `c_min`, at least 1.
    pub min: u32,
    /// `c_max`, at least `min`.
    pub max: u32,
}

/// The importance `I(s)` of a node, which sets how many children it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Importance {
    /// `max_i |v(child_i) - v(s)|` on the value critic (paper §4.3). Asks for `v(root)`.
    Value,
    /// `max_i |Q_i/n_i - mean_j Q_j/n_j|` on backed-up scores (the released code).
    Total,
}

/// Grouping of near-duplicate siblings (paper §4.3, state merge).
///
/// The released code resamples and in the end keeps the most distant attempt, however close. Here a
/// duplicate never becomes a child: it is counted on the sibling it repeats, and resampling is
/// no simulation. A node whose every attempt is a duplicate is saturated: it keeps the children it
/// has, and the search goes on elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Merge {
    /// Every non-empty option becomes a child.
    Off,
    /// Fold an option into the nearest sibling closer than `threshold` edits. Terminal options
    /// are folded only when identical: `#### 18` and `#### 19` are one edit apart.
    EditDistance {
        /// Edits, in characters, from which two options count as different; at least 1, and 1 folds
        /// identical options only. The paper's best is 50: folding by it leaves a path of any policy whose lines are
        /// shorter, so its presets take [`Self::MostDistant`].
        threshold: u32,
        /// Further samples drawn after a duplicate before the node is saturated; 0 gives up at once.
        resamples: u32,
    },
    /// As `EditDistance`, for siblings whose similarity is above `threshold`: that is measured by whoever drives the
    /// search, by the cosine of hidden states or by a model's "yes" (Table 4a).
    Similarity {
        /// Similarity above which options count as the same, within 1e6 of 0; the paper's 0.7 for the cosine.
        threshold: f64,
        /// Further samples drawn after a duplicate before the node is saturated; 0 gives up at once.
        resamples: u32,
    },
    /// Options are drawn without replacement, so that there is nothing to merge: whoever samples excludes the children
    /// a node has. Equal texts of other tokens are folded. A node is saturated once little else is left to be drawn.
    Distinct {
        /// Probability of all options that are not among a node's children below which no more are drawn there; in
        /// (0, 1). It is the policy's own, at temperature 1.
        least_mass: f64,
    },
    /// The released code's: sample again while an option is closer than `threshold` to a sibling and is
    /// not terminal; then the attempt that is farthest from all siblings becomes a child, however close.
    MostDistant {
        /// Edits, in characters, from which an option is taken at once; at least 1.
        threshold: u32,
        /// Samples of one child at most (`--max_n_repeat`); at least 1, and 1 turns merging off.
        attempts: u32,
        /// A node whose child took so many attempts keeps the children it has, however important it becomes
        /// (`--stop_repeat_node_thres`).
        saturate_after: Option<u32>,
    },
}

/// `beta` of each critic in `s = beta_v v + beta_PRM PRM + beta_ORM mean(ORM)`, each in [0, 1e6].
/// At least one must be positive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// `beta_value`; 0 turns the value critic off.
    pub value: f64,
    /// `beta_PRM`; 0 turns the process reward model off.
    pub prm: f64,
    /// `beta_ORM`; 0 turns the outcome reward model, and with it the rollouts, off.
    pub orm: f64,
}

/// How the PRM scores of the options on a path are combined. Options without a score are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrmAggregation {
    /// The score of the last option (the paper).
    Latest,
    /// The mean over the path.
    Mean,
    /// The largest on the path.
    Max,
    /// The smallest on the path: a chain is as good as its worst option.
    Min,
}

/// Limits of a search. It stops at the first one reached; all but `tokens` are never exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Simulations, at least 1: evaluated leaves plus revisits of finished ones. Duplicates and blank
    /// samples are none. A revisit asks no model, so to budget model calls limit `nodes` and leave
    /// ten times as many simulations, the released code's cap.
    pub simulations: u32,
    /// Finished solutions to go on for when the simulations are used up, for ten times as many at most
    /// (`--min_terminals`); absent is none.
    pub min_terminals: Option<u32>,
    /// Nodes besides the root (the paper's "#rollouts"); absent is no limit.
    pub nodes: Option<u32>,
    /// Finished solutions in the tree; absent is no limit.
    pub terminals: Option<u32>,
    /// Generated tokens: options, merged ones too, and what evaluations report; absent is no limit.
    /// Looked at before each sample, so what the last simulation generates may go over it.
    pub tokens: Option<u64>,
}

/// A setting that cannot be searched with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("search setting `{field}` {problem}")]
pub struct ConfigError {
    /// The key, as written in a preset.
    pub field: &'static str,
    /// What is wrong with it, to be read after the key.
    pub problem: &'static str,
}

impl Config {
    /// What a solution with these scores is worth as a leaf: `s = beta_v v + beta_PRM PRM + beta_ORM ORM`, for whoever has
    /// solutions and no tree. `path` are the process rewards of its options, first option first; a missing part adds nothing.
    pub fn leaf_score(&self, value: Option<f64>, path: &[Option<f64>], orm: Option<f64>) -> f64 {
        leaf_score(self.weights, value, aggregate(self.prm_aggregation, path), orm)
    }

    /// Checks every range written at the fields; the first problem found is returned.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check_reals()?;
        self.check_counts()?;
        let weights = self.weights;
        check("weights", weights.value + weights.prm + weights.orm > 0.0, "are all 0")?;
        // Without a value critic this importance is always 0, and alpha would silently do nothing.
        let unmeasured = self.asks_root_value() && weights.value == 0.0;
        check(
            "importance",
            !unmeasured,
            "is `value` but weights.value is 0: use `total`, or alpha = 0",
        )
    }

    /// Settings that are in range, but with which a tree can never be what another setting asks for. Such a search runs,
    /// and finds less than it seems to be told to.
    pub fn contradictions(&self) -> Vec<ConfigError> {
        let Budget { simulations, min_terminals, nodes, terminals, .. } = self.budget;
        let most =
            if min_terminals.is_some() { simulations.saturating_mul(10) } else { simulations };
        let least = self.root_width.min;
        let all = [
            (
                "budget.nodes",
                nodes.is_some_and(|nodes| nodes < least),
                "is below root_width.min: no root has c_min(0) children",
            ),
            (
                "budget.simulations",
                most < least,
                "is below root_width.min: no root has c_min(0) children",
            ),
            (
                "budget.terminals",
                terminals.zip(min_terminals).is_some_and(|(limit, least)| limit < least),
                "is below budget.min_terminals, which is never reached",
            ),
            (
                "budget.nodes",
                nodes.is_some_and(|nodes| nodes > most),
                "is above budget.simulations, and a simulation makes one node at most: it is never reached",
            ),
            (
                "budget.nodes",
                nodes.is_some_and(|nodes| nodes > self.most_nodes()),
                "is more than widths, max_depth and split_depth have room for: it is never reached",
            ),
            (
                "merge.most_distant.saturate_after",
                matches!(self.merge, Merge::MostDistant { saturate_after: Some(1), .. }),
                "is 1: every node keeps its first child alone, and the tree is a path",
            ),
            (
                "settled_variance",
                self.settled_variance.is_some() && self.weights.orm == 0.0,
                "needs rollouts, and weights.orm = 0 leaves them out",
            ),
        ];
        let found = all.into_iter().filter(|(_, found, _)| *found);
        found.map(|(field, _, problem)| ConfigError { field, problem }).collect()
    }

    /// Nodes of a tree in which every node is as wide as it may be, down to a depth that no solution has.
    fn most_nodes(&self) -> u32 {
        let widest = |depth| {
            let Width { min, max } = self.width_at(depth);
            if self.alpha > 0.0 { max } else { min }
        };
        let levels = (0..self.max_depth.min(1000)).scan(1_u32, |level, depth| {
            *level = level.saturating_mul(widest(depth));
            Some(*level)
        });
        levels.fold(0, u32::saturating_add)
    }

    /// Whether importance compares children with `v(root)`, so that the root must be scored.
    pub(crate) fn asks_root_value(&self) -> bool {
        self.importance == Importance::Value && self.alpha > 0.0
    }

    /// The bounds that hold at `depth`; 0 is the root.
    pub(crate) fn width_at(&self, depth: u32) -> Width {
        if self.split_depth.is_some_and(|deepest| depth > deepest) {
            Width { min: 1, max: 1 }
        } else if depth == 0 {
            self.root_width
        } else {
            self.width
        }
    }

    fn check_reals(&self) -> Result<(), ConfigError> {
        let reals = [
            ("exploration", self.exploration),
            ("alpha", self.alpha),
            ("weights.value", self.weights.value),
            ("weights.prm", self.weights.prm),
            ("weights.orm", self.weights.orm),
        ];
        reals.into_iter().try_for_each(|(field, real)| {
            check(field, (0.0..=LARGEST).contains(&real), "is not a number in [0, 1e6]")
        })?;
        let settled = self.settled_variance.is_none_or(|x| x > 0.0 && x <= LARGEST);
        check("settled_variance", settled, "is not in (0, 1e6]; leave it out to settle none")?;
        let several = self.settled_variance.is_none() || self.rollouts >= 2;
        check("settled_variance", several, "needs 2 rollouts at least: one has no variance")
    }

    fn check_counts(&self) -> Result<(), ConfigError> {
        for (field, width) in [("root_width", self.root_width), ("width", self.width)] {
            check(field, width.min >= 1, "has min 0; a node needs a child to be searched")?;
            check(field, width.min <= width.max, "has min above max")?;
        }
        check("max_depth", self.max_depth >= 1, "is 0")?;
        check("in_flight", self.in_flight >= 1, "is 0; 1 is one simulation after the other")?;
        if self.root == RootSelection::SequentialHalving {
            let fixed = self.root_width.min == self.root_width.max;
            check("root", fixed, "is `sequential_halving`, but root_width has min below max")?;
            let known = self.budget.tokens.is_none() || self.budget.nodes.is_some();
            let unknown = "is `sequential_halving`, but budget.tokens without budget.nodes does not say what to share out";
            check("root", known, unknown)?;
        }
        match self.merge {
            Merge::Off => {}
            Merge::EditDistance { threshold, .. } => {
                let problem = "is 0; `off` turns merging off";
                check("merge.edit_distance.threshold", threshold >= 1, problem)?;
            }
            Merge::Similarity { threshold, .. } => {
                let problem = "is not a number within 1e6 of 0";
                let holds = (-LARGEST..=LARGEST).contains(&threshold);
                check("merge.similarity.threshold", holds, problem)?;
            }
            Merge::Distinct { least_mass } => {
                let within = least_mass > 0.0 && least_mass < 1.0;
                check("merge.distinct.least_mass", within, "is not in (0, 1)")?;
                let single = "is true, but `distinct` draws one option after the other";
                check("root_wave", !self.root_wave, single)?;
                check("in_flight", self.in_flight == 1, "is above 1, but `distinct` is for 1")?;
            }
            Merge::MostDistant { threshold, attempts, saturate_after } => {
                let never = "is 0; leave it out for never";
                check("merge.most_distant.threshold", threshold >= 1, "is 0; it takes an edit")?;
                let single = "is true, but `most_distant` asks for one option at a time";
                check("root_wave", !self.root_wave, single)?;
                check("in_flight", self.in_flight == 1, "is above 1, but `most_distant` is for 1")?;
                check("merge.most_distant.attempts", attempts >= 1, "is 0; 1 takes any option")?;
                check("merge.most_distant.saturate_after", saturate_after != Some(0), never)?;
            }
        }
        let Budget { simulations, min_terminals, nodes, terminals, tokens } = self.budget;
        check("budget.min_terminals", min_terminals != Some(0), "is 0; leave it out for none")?;
        check("budget.simulations", simulations >= 1, "is 0")?;
        check("budget.nodes", nodes != Some(0), "is 0; leave it out for no limit")?;
        check("budget.terminals", terminals != Some(0), "is 0; leave it out for no limit")?;
        check("budget.tokens", tokens != Some(0), "is 0; leave it out for no limit")
    }
}

fn check(field: &'static str, holds: bool, problem: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError { field, problem }) }
}
