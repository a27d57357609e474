//! Finds the end of the number at the start of an answer, in any notation.

use crate::rational::{exponent, scan, strip_prefixes};

/// Returns the length of the number in bytes: sign and currency, digits, and the power of ten of scientific notation.
pub(crate) fn numeral(text: &str) -> Option<usize> {
    let (_, number) = strip_prefixes(text)?;
    let literal = scan(number)?;
    let mut rest = number.get(literal.len..)?;
    // `10^8` is a number that a unit may follow. Any other power is left to the expression.
    let ten = number.get(..literal.len) == Some("10");
    if let Some((_, len)) = exponent(rest) {
        rest = rest.get(len..)?;
    } else if let Some(after) = power(rest).filter(|_| ten) {
        rest = after;
    } else {
        rest = denominator(rest).unwrap_or(rest);
        rest = power_of_ten(rest).unwrap_or(rest);
    }
    Some(text.len() - rest.len())
}

/// Skips digits and returns the rest; `None` if there are none.
fn digits(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < text.len()).then_some(rest)
}

/// Skips the denominator of a fraction as typed.
fn denominator(text: &str) -> Option<&str> {
    digits(text.trim_start().strip_prefix('/')?.trim_start())
}

/// Skips `\times 10^{8}`, as typed or in LaTeX.
fn power_of_ten(text: &str) -> Option<&str> {
    let after = times(text)?;
    let ten = ["10", "{10}"].iter().find_map(|ten| after.strip_prefix(ten))?;
    power(ten.trim_start())
}

/// Skips an exponent, as typed or in LaTeX.
fn power(text: &str) -> Option<&str> {
    let raised = |c: char| "⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹".contains(c);
    if text.starts_with(raised) {
        return Some(text.trim_start_matches(raised));
    }
    let exponent = text.strip_prefix('^').or_else(|| text.strip_prefix("**"))?.trim_start();
    let (open, inside) = match exponent.strip_prefix('{').or_else(|| exponent.strip_prefix('(')) {
        Some(inside) => (true, inside.trim_start()),
        None => (false, exponent),
    };
    let rest = digits(inside.trim_start_matches(['-', '−', '+']).trim_start())?;
    if open { rest.trim_start().strip_prefix(['}', ')']) } else { Some(rest) }
}

/// Skips a multiplication sign and the blanks around it.
fn times(text: &str) -> Option<&str> {
    let blank = |text: &str| -> usize {
        let spaces = [" ", "\\,", "\\;", "\\!", "\\ ", "~"];
        let mut rest = text;
        while let Some(after) = spaces.iter().find_map(|space| rest.strip_prefix(space)) {
            rest = after;
        }
        text.len() - rest.len()
    };
    let text = text.get(blank(text)..)?;
    let signs = ["\\times", "\\cdot", "\\*", "x", "X", "×", "·", "*", "⋅", "∗"];
    let after = signs.iter().find_map(|sign| text.strip_prefix(sign))?;
    after.get(blank(after)..)
}
