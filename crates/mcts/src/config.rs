//! The settings of a search, with the paper's symbols. Presets live in TOML files, not here: only
//! [`Released`] has defaults, so a preset spells out everything else. Unknown keys are refused.

use serde::{Deserialize, Serialize};

/// Largest real number a setting may hold; keeps every score of the tree far from overflow.
const LARGEST: f64 = 1e6;

/// The settings of one search. The paper's values are in its Table 5.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The rule by which `select` chooses a child on its way down.
    pub selection: Selection,
    /// Exploration constant `c` of the selection, in [0, 1e6]; 0 is pure exploitation.
    pub exploration: f64,
    /// The rule by which a child of the root is chosen.
    pub root: RootSelection,
    /// `alpha` of the adaptive width: children allowed per unit of importance, in [0, 1e6].
    /// 0 turns adaptive width off: every node has `c_min` children.
    pub alpha: f64,
    /// `c_min(0)` and `c_max(0)`: the fewest and most children of the root.
    pub root_width: Width,
    /// `c_min(t)` and `c_max(t)` for `t > 0`: the fewest and most children of every other node.
    pub width: Width,
    /// Depth, in options, at which a path ends; at least 1. The last option is generated to the end
    /// of the solution. There is no "unlimited", because a policy that repeats itself would never finish.
    pub max_depth: u32,
    /// Depth of the deepest nodes that may have more than one child; no limit if absent.
    pub split_depth: Option<u32>,
    /// How an option that nearly repeats a sibling is handled.
    pub merge: Merge,
    /// The betas of the leaf score; 0 turns a critic off.
    pub weights: Weights,
    /// Fast rollouts per non-terminal leaf, the `n` of the ORM term. With 0 the ORM scores terminals only.
    /// None are requested when the ORM is off.
    pub rollouts: u32,
    /// A leaf whose rollouts' ORM scores have a variance below this is settled: it may have only one child, which is
    /// then judged on its own rollouts. In (0, 1e6]; needs at least two rollouts. No leaf is settled if absent.
    pub settled_variance: Option<f64>,
    /// The limits at which the search stops.
    pub budget: Budget,
    /// Whether to request the first `c_min(0)` children of the root together. UCT has no say before the
    /// root is that wide, so the tree is the same; only the number of round trips changes.
    pub root_wave: bool,
    /// Simulations in flight at once in this tree; at least 1, and 1 is the paper's search. With more, the
    /// options of several leaves are requested together, which saves round trips on a single problem. Each
    /// simulation in flight counts as a visit of score 0 to those selected after it (virtual loss), so the
    /// tree differs from the sequential one.
    pub in_flight: u32,
    /// Choices of the released code. The section may be absent, and then has the values of [`Released::default`].
    #[serde(default)]
    pub released: Released,
}

/// Details that the paper leaves open, or that the released code does in another way. All shipped presets use the
/// defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Released {
    /// How importance is turned into a number of allowed children; by default the paper's `+ 1`, never shrinking.
    pub growth: Growth,
    /// The scores that importance `I(s)` is measured on; by default the value critic's. Has no effect when `alpha`
    /// is 0.
    pub importance: Importance,
    /// How the PRM scores along a path are combined into the `PRM(s)` of its leaf; by default the last one counts.
    pub prm_aggregation: PrmAggregation,
    /// Whether the first child of every node is sampled at temperature 0; by default it is, as in the released script.
    pub greedy_first_child: bool,
    /// Whether to stop when no node is open, which is the default. With `false` the search goes on revisiting finished
    /// leaves until the budget is used up, as the released code does; that changes visit counts only.
    pub stop_when_exhausted: bool,
}

impl Default for Released {
    fn default() -> Self {
        Self {
            growth: Growth { plus_one: true, may_shrink: false },
            importance: Importance::Value,
            prm_aggregation: PrmAggregation::Latest,
            greedy_first_child: true,
            stop_when_exhausted: true,
        }
    }
}

/// The rule for choosing a child from its visits `n`, its mean score `Q/n` and its parent's visits `N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// `Q/n + c sqrt(ln N / n)`, the released code's form. The paper typesets `2 ln(N/n)` under the
    /// root, most likely a slip for `2 ln N / n`; the factor 2 can go into `c`.
    Uct,
    /// `Q/n + c P sqrt(N) / (1 + n)` (`AlphaZero`'s rule), where the prior `P` is the policy's probability of the
    /// option, normalised over its siblings. Not in the paper.
    Puct,
}

/// The rule for choosing a child of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootSelection {
    /// The same rule as at every other node.
    Selection,
    /// Sequential halving, as at the root of Gumbel `AlphaZero` (Danihelka et al. 2022). All rounds have the same
    /// number of simulations, shared equally among the remaining children, and the worse half is dropped after
    /// each round. The original uses Gumbel noise to draw distinct actions; here they are sampled from the
    /// policy, with repetitions merged. The number of simulations to share out is the smaller of `budget.nodes`
    /// and `budget.simulations`. The width of the root must be fixed, since the schedule depends on it.
    SequentialHalving,
}

/// How many children a node's importance allows, within the bounds of [`Width`]. Existing children are never
/// removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// Whether `floor(alpha I) + 1` children are allowed (the paper) or `floor(alpha I)` (the released code).
    pub plus_one: bool,
    /// Whether the allowed number falls again when importance does (the paper's formula, reapplied). With
    /// `false` it only ever grows (the released code).
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
/// [`Self::MostDistant`] is the released code's way: resample, and in the end keep the most distant attempt,
/// however close. In all other modes that merge, a duplicate never becomes a child: it is counted on the sibling
/// it repeats, and drawing another sample is not a simulation. A node that brings only duplicates is saturated:
/// it keeps the children it has, and the search goes on elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Merge {
    /// Every non-empty option becomes a child.
    Off,
    /// Fold an option into the nearest sibling if that is closer than `threshold` edits. Terminal options
    /// are folded only when identical, because `#### 18` and `#### 19` are one edit apart.
    EditDistance {
        /// Edit distance, in characters, from which two options count as different; at least 1, and 1 folds only
        /// identical options. The paper's best is 50, but any two lines shorter than that are within 50 edits of
        /// each other, so folding by it turns the tree into a path. The paper's presets use [`Self::MostDistant`].
        threshold: u32,
        /// Further samples drawn after a duplicate before the node is saturated; 0 gives up at once.
        resamples: u32,
    },
    /// Like `EditDistance`, but folds into the sibling whose similarity is highest and above `threshold`. The driver
    /// measures it, as the cosine of hidden states or as a model's probability of "yes" (Table 4a).
    Similarity {
        /// Similarity above which options count as the same, in [-1e6, 1e6]. The paper has 0.7 for the cosine.
        threshold: f64,
        /// Further samples drawn after a duplicate before the node is saturated; 0 gives up at once.
        resamples: u32,
    },
    /// Options are drawn without replacement, so there is nothing to merge: the sampler excludes the children that a
    /// node has. Different tokens can still spell the same text, which is folded. A node is saturated once little
    /// probability is left to draw from.
    Distinct {
        /// The node is saturated once the probability of all options that are not yet its children falls below this;
        /// in (0, 1). Probabilities are the policy's at temperature 1.
        least_mass: f64,
    },
    /// The released code's way: sample again while an option is closer than `threshold` to a sibling and is
    /// not terminal. When the attempts are used up, the one farthest from its nearest sibling becomes a child, however
    /// close it is.
    MostDistant {
        /// Edit distance, in characters, from which an option is taken at once; at least 1.
        threshold: u32,
        /// Most samples drawn for one child (`--max_n_repeat`); at least 1, and 1 turns merging off.
        attempts: u32,
        /// A node whose child took this many attempts gets no further children, however important it becomes
        /// (`--stop_repeat_node_thres`); never, if absent.
        saturate_after: Option<u32>,
    },
}

/// The `beta` of each critic in `s = beta_v v + beta_PRM PRM + beta_ORM mean(ORM)`, each in [0, 1e6].
/// At least one must be positive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// `beta_v`; 0 turns the value critic off.
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
    /// The largest score on the path.
    Max,
    /// The smallest score on the path: a chain is as good as its worst option.
    Min,
}

/// Limits of a search, which stops at the first one reached. `tokens` may be exceeded by the last simulation, and
/// `simulations` while `min_terminals` is not met; the others are never exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Simulations, at least 1: evaluated leaves plus revisits of finished ones. Duplicates and blank
    /// samples do not count. A revisit calls no model, so to budget model calls, limit `nodes` and allow
    /// ten times as many simulations, the released code's cap.
    pub simulations: u32,
    /// Finished solutions to wait for once the simulations are used up (`--min_terminals`), for at most ten times
    /// as many simulations; none if absent.
    pub min_terminals: Option<u32>,
    /// Nodes besides the root (the paper's "#rollouts"); no limit if absent.
    pub nodes: Option<u32>,
    /// Finished solutions in the tree; no limit if absent.
    pub terminals: Option<u32>,
    /// Generated tokens: those of all options, merged ones included, and those that evaluations report; no limit
    /// if absent. Checked before each request for samples, so the last simulation may go over it.
    pub tokens: Option<u64>,
}

/// A setting that no search can run with, or, from [`Config::contradictions`], that defeats another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("search setting `{field}` {problem}")]
pub struct ConfigError {
    /// The key, as it is written in a preset.
    pub field: &'static str,
    /// The problem, phrased to follow the key in a sentence.
    pub problem: &'static str,
}

impl Config {
    /// Checks every range documented on the fields, and returns the first problem as an error.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check_reals()?;
        self.check_counts()?;
        let weights = self.weights;
        check("weights", weights.value + weights.prm + weights.orm > 0.0, "are all 0")?;
        // Without a value critic this importance is always 0, and alpha would silently do nothing.
        let unmeasured = self.asks_root_value() && weights.value == 0.0;
        check(
            "released.importance",
            !unmeasured,
            "is `value` but weights.value is 0: use `total`, or alpha = 0",
        )
    }

    /// Returns the settings that are in range but keep a tree from ever reaching what another setting asks for. Such a
    /// search runs, but finds less than its settings suggest.
    pub fn contradictions(&self) -> Vec<ConfigError> {
        let Budget { simulations, min_terminals, nodes, terminals, .. } = self.budget;
        // The search waits for terminals for at most ten times the simulations, as in the released code.
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

    /// Returns the number of nodes of a tree in which every node is as wide as it may be.
    fn most_nodes(&self) -> u32 {
        let widest = |depth| {
            let Width { min, max } = self.width_at(depth);
            if self.alpha > 0.0 { max } else { min }
        };
        // `max_depth` may be anything. After so many levels the count has saturated, or each level is as wide as the last.
        let walked = self.max_depth.min(1000);
        let (mut level, mut nodes) = (1_u32, 0_u32);
        for depth in 0..walked {
            level = level.saturating_mul(widest(depth));
            nodes = nodes.saturating_add(level);
        }
        nodes.saturating_add(level.saturating_mul(self.max_depth - walked))
    }

    /// Whether importance compares children with `v(s)`, in which case the root has to be scored too.
    pub(crate) fn asks_root_value(&self) -> bool {
        self.released.importance == Importance::Value && self.alpha > 0.0
    }

    /// Returns the bounds that hold at `depth`; 0 is the root.
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
                // The sampler has to know every option drawn at the node before it draws the next one.
                let single = "is true, but `distinct` draws one option after the other";
                check("root_wave", !self.root_wave, single)?;
                check("in_flight", self.in_flight == 1, "is above 1, but `distinct` is for 1")?;
            }
            Merge::MostDistant { threshold, attempts, saturate_after } => {
                let never = "is 0; leave it out for never";
                check("merge.most_distant.threshold", threshold >= 1, "is 0; it takes an edit")?;
                // An attempt is compared with the children before it, so these must exist already.
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
