//! The calculator: finds the arithmetic claims in a text and checks them, exactly and without executing anything.
//!
//! A claim is two neighbouring sides of an equals sign, in running text (`Tom has 12 + 5 = 17 apples`), in a chain
//! (`2 + 3 = 5 = 10 / 2`: each pair) or in a GSM8K annotation (`<<12+5=17>>`). The calculator understands `+ - * / ^`
//! with their usual precedence, `x × · ÷ −`, `times`, `divided by`, `equals`, parentheses, `2(3+4)`, thousands
//! separators, currency signs, decimals, `3e8`, mixed numbers, percentages (`20% of 50`), `1/2 of 48`, `1.5 million`,
//! `25k`, `8 packs of 5`, and units between operands, including `pieces of candy per box` and `M&Ms`.
//!
//! Rules:
//! - Checks are exact, but a claimed decimal with at least two digits after the point may be the rounded result:
//!   `10/3 = 3.33` holds, `10/3 = 3` and `10/3 = 3.3` fail.
//! - Output of programs that compute with doubles holds too: `11/18*162 = 99.00000000000001`. The sides may differ by
//!   less than a billionth of either; whole numbers below 2^53 must be equal.
//! - If an annotation has all the digits, the text after it may have fewer: `56/6 = <<56/6=9.333333333333334>>9`.
//! - A calculation that continues after its result counts as two: `2 + 3 = 5 * 4 = 20` holds.
//! - A claimed percentage may be meant either way: `5/20 = 25%` and `5/20*100 = 25%` both hold.
//! - Soundness comes before completeness: where a text may mean something else (variables, `half of 4 + 2`, a dangling
//!   operator, `60 minutes = 1 hour`) no claim is found. A claim that was found but cannot be decided (overflow,
//!   division by zero, `30 minutes * 4 = 2 hours`) has no computed value, and counts neither for nor against the text.
//!   The same goes for a claim that does not hold but may be right in its context: ranges (`10-12 people x 2 = 20-24`),
//!   remainders (`10 / 3 = 3 with 1 left over`), shares (`3/4 tank = 15 gallons`), rates
//!   (`24 eggs in 1 tray x 2 trays = 48`).
//! - Effort is bounded and linear in the length of the text: operands have at most 36 digits, sides 64 tokens, and
//!   parentheses nest 16 deep.

mod agree;
mod annotation;
mod claim;
mod context;
mod expression;
mod settle;
mod token;
mod unit;

pub use annotation::strip_annotations;

use crate::extract::extract;
use crate::grading::same;
use claim::Claim;

/// One arithmetic claim in a text, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The left side as written: `12 + 5`.
    pub expression: String,
    /// The right side as written: `17`.
    pub claimed: String,
    /// The exact value of the left side (canonical text of [`crate::Rational`]); `None` if it could not be decided.
    pub computed: Option<String>,
    /// Whether the claim holds. Never true without `computed`.
    pub ok: bool,
    /// Where the left side starts, in bytes of the text.
    pub start: usize,
}

/// The calculator's finding on a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// There are claims, and all that can be decided hold.
    Holds,
    /// At least one claim is wrong.
    Fails,
    /// No claim can be decided.
    Nothing,
}

/// Returns all claims in `step`, in order. Never panics; takes time linear in the length of the text.
///
/// An annotation and the sentence it annotates (`12 + 5 = <<12+5=17>>17`) are one claim if they agree.
pub fn check(step: &str) -> Vec<Check> {
    claim::find(step).into_iter().map(|claim| claim.check).collect()
}

/// Returns the finding on one option.
pub fn finding(step: &str) -> Finding {
    summary(check(step).iter().filter_map(outcome))
}

/// Returns the finding on a whole solution.
///
/// It holds if there is at least one claim, all of them hold, and the answer after the mark is the result of the last
/// one. It fails if a claim fails, or if the answer is missing or is not that result. Without a claim it is
/// [`Finding::Nothing`], whatever the answer.
pub fn verdict(completion: &str) -> Finding {
    // Not what follows the answer: a model that is not stopped goes on with another problem.
    let claims = claim::find(crate::extract::steps(completion));
    let answer = extract(completion).unwrap_or_default();
    let last = claims.iter().rfind(|claim| claim.check.computed.is_some());
    match (summary(claims.iter().filter_map(|claim| outcome(&claim.check))), last) {
        (Finding::Holds, Some(last)) if !is_result(last, answer) => Finding::Fails,
        (finding, _) => finding,
    }
}

/// Whether a claim holds; `None` if that could not be decided.
fn outcome(check: &Check) -> Option<bool> {
    check.computed.as_ref().map(|_| check.ok)
}

fn summary(outcomes: impl Iterator<Item = bool>) -> Finding {
    outcomes.fold(Finding::Nothing, |so_far, ok| {
        if ok && so_far != Finding::Fails { Finding::Holds } else { Finding::Fails }
    })
}

/// Whether `answer` is the result of the claim: exactly, or rounded as in the claim or in the text after it.
fn is_result(claim: &Claim, answer: &str) -> bool {
    let numbers = [claim.claimed, claim.shown].into_iter().flatten().map(|n| n.to_string());
    let texts = claim.check.computed.iter().cloned().chain([claim.check.claimed.clone()]);
    numbers.chain(texts).any(|result: String| same(&result, answer))
}
