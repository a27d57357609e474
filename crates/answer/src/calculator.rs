//! The calculator: finds the arithmetic claims of a text and checks them, exactly and without executing anything.
//!
//! A claim is two neighbouring sides of an equals sign, in running text (`Tom has 12 + 5 = 17 apples`), in a chain
//! (`2 + 3 = 5 = 10 / 2`: each pair) or in a GSM8K annotation (`<<12+5=17>>`). Understood are `+ - * / ^` with their
//! usual precedence, `x × · ÷ −`, `times`, `divided by`, `equals`, parentheses, `2(3+4)`, thousands separators,
//! currency signs, decimals, `3e8`, mixed numbers, percentages (`20% of 50`), `1/2 of 48`, `1.5 million`, `25k`,
//! `8 packs of 5`, and units between operands, also such as `pieces of candy per box` and `M&Ms`.
//!
//! Rules:
//! - Exact, but a claimed decimal with at least two digits after the point may be the rounded result: `10/3 = 3.33`
//!   holds, `10/3 = 3` and `10/3 = 3.3` fail.
//! - What programs print that compute with doubles holds as well: `11/18*162 = 99.00000000000001`. The sides may differ
//!   by less than a billionth of either; whole numbers below 2^53 have to be equal.
//! - Where an annotation has the digits, the text behind it may have fewer: `56/6 = <<56/6=9.333333333333334>>9`.
//! - A sum that goes on behind its result is two: `2 + 3 = 5 * 4 = 20` holds.
//! - A claimed percentage may be meant either way: `5/20 = 25%` and `5/20*100 = 25%` hold.
//! - Sound before complete: where a text may mean something else (variables, `half of 4 + 2`, a dangling operator,
//!   `60 minutes = 1 hour`) no claim is found. A claim that was found and cannot be decided (overflow, division by
//!   zero, `30 minutes * 4 = 2 hours`) has no computed value; it counts neither for nor against the text. So it is with
//!   one that does not hold and may be right for what stands around it: ranges (`10-12 people x 2 = 20-24`), remainders
//!   (`10 / 3 = 3 with 1 left over`), shares (`3/4 tank = 15 gallons`), rates (`24 eggs in 1 tray x 2 trays = 48`).
//! - Bounded: the effort is linear in the text; operands have at most 36 digits, sides 64 tokens, parentheses
//!   nest 16 deep.

mod agree;
mod claim;
mod context;
mod expression;
mod settle;
mod token;
mod unit;

pub(crate) use token::annotation;

use crate::extract::extract;
use crate::grading::same;
use claim::Claim;

/// One arithmetic claim of a text, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The left side as written: `12 + 5`.
    pub expression: String,
    /// The right side as written: `17`.
    pub claimed: String,
    /// The exact value of the left side (canonical text of [`crate::Rational`]); `None` if it could not be decided.
    pub computed: Option<String>,
    /// True if the claim holds. Never true without `computed`.
    pub ok: bool,
    /// Where the left side starts, in bytes of the text.
    pub start: usize,
}

/// What the calculator has to say about a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// There are claims, and all that can be decided hold.
    Holds,
    /// Some claim is wrong.
    Fails,
    /// There is no claim that can be decided.
    Nothing,
}

/// All claims of `step`, in their order. Never panics; takes time linear in the text.
///
/// An annotation and the sentence it annotates (`12 + 5 = <<12+5=17>>17`) are one claim if they agree.
pub fn check(step: &str) -> Vec<Check> {
    claim::find(step).into_iter().map(|claim| claim.check).collect()
}

/// The finding on one option.
pub fn finding(step: &str) -> Finding {
    summary(check(step).iter().filter_map(outcome))
}

/// The finding on a whole solution.
///
/// It holds if its claims do, there is at least one, and the answer after the mark is the result of the last one.
/// It fails if a claim does, or if the answer is missing or is not that result. Without a claim there is nothing
/// to say, whatever the answer.
pub fn verdict(completion: &str) -> Finding {
    let claims = claim::find(crate::extract::steps(completion));
    let answer = extract(completion).unwrap_or_default();
    let last = claims.iter().rfind(|claim| claim.check.computed.is_some());
    match (summary(claims.iter().filter_map(|claim| outcome(&claim.check))), last) {
        (Finding::Holds, Some(last)) if !is_result(last, answer) => Finding::Fails,
        (finding, _) => finding,
    }
}

/// Whether a claim holds, if that could be decided.
fn outcome(check: &Check) -> Option<bool> {
    check.computed.as_ref().map(|_| check.ok)
}

fn summary(outcomes: impl Iterator<Item = bool>) -> Finding {
    outcomes.fold(Finding::Nothing, |so_far, ok| {
        if ok && so_far != Finding::Fails { Finding::Holds } else { Finding::Fails }
    })
}

/// True if `answer` is what the claim arrived at: exactly, or rounded as the claim or the text behind it has it.
fn is_result(claim: &Claim, answer: &str) -> bool {
    let numbers = [claim.claimed, claim.shown].into_iter().flatten().map(|n| n.to_string());
    let texts = claim.check.computed.iter().cloned().chain([claim.check.claimed.clone()]);
    numbers.chain(texts).any(|result: String| same(&result, answer))
}
