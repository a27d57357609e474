//! The calculator: finds the arithmetic claims of a text and checks them, exactly and without executing anything.
//!
//! A claim is two neighbouring sides of an equals sign, in running text (`Tom has 12 + 5 = 17 apples`), in a chain
//! (`2 + 3 = 5 = 10 / 2`: each pair) or in a GSM8K annotation (`<<12+5=17>>`). Understood are `+ - * / ^` with their
//! usual precedence, `x × · ÷ −`, `times`, `divided by`, parentheses, `2(3+4)`, thousands separators, currency
//! signs, decimals, mixed numbers, percentages (`20% of 50`), `1/2 of 48`, `1.5 million`, and units between operands.
//!
//! Rules:
//! - Exact, but a claimed decimal with at least two digits after the point may be the rounded result: `10/3 = 3.33`
//!   holds, `10/3 = 3` and `10/3 = 3.3` fail.
//! - A claimed percentage may be meant either way: `5/20 = 25%` and `5/20*100 = 25%` hold.
//! - Sound before complete: where a text may mean something else (variables, `half of 4 + 2`, a dangling operator,
//!   `60 minutes = 1 hour`) no claim is found. A claim that was found and cannot be decided (overflow, division by
//!   zero, `30 minutes * 4 = 2 hours`) has no computed value; it counts neither for nor against the text.
//! - Bounded: the effort is linear in the text; operands have at most 36 digits, sides 64 tokens, parentheses
//!   nest 16 deep.

mod claim;
mod expression;
mod settle;
mod token;
mod unit;

pub(crate) use token::annotation;

use crate::answer::same;
use crate::extract::extract;

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
    claim::find(step)
}

/// The finding on one option.
pub fn finding(step: &str) -> Finding {
    summary(&check(step))
}

/// The finding on a whole solution.
///
/// It holds if its claims do, there is at least one, and the answer after the mark is the result of the last one.
/// It fails if a claim does, or if the answer is missing or is not that result. Without a claim there is nothing
/// to say, whatever the answer.
pub fn verdict(completion: &str) -> Finding {
    let checks = check(crate::extract::steps(completion));
    let answer = extract(completion).unwrap_or_default();
    match (summary(&checks), checks.iter().rfind(|check| check.computed.is_some())) {
        (Finding::Holds, Some(last)) if !is_result(last, answer) => Finding::Fails,
        (finding, _) => finding,
    }
}

fn summary(checks: &[Check]) -> Finding {
    let decided = || checks.iter().filter(|check| check.computed.is_some());
    if decided().count() == 0 {
        return Finding::Nothing;
    }
    if decided().all(|check| check.ok) { Finding::Holds } else { Finding::Fails }
}

/// True if `answer` is what the claim arrived at: exactly, or rounded as the claim has it.
fn is_result(check: &Check, answer: &str) -> bool {
    same(&check.claimed, answer) || check.computed.as_ref().is_some_and(|text| same(text, answer))
}
