//! Numbers as people write them in answers, with their units.

use crate::rational::{Rational, denominator, exponent, scan, strip_prefixes};
use crate::unit::{self, Place};

impl Rational {
    /// Reads a number as people write answers; `None` if the text is not exactly one number.
    ///
    /// Understood are signs (also `−`), thousands separators in groups of three (`1,234`, never `1,23`), currency signs
    /// before or after, decimals, `a/b`, mixed `1 1/2` and `1½`, `3e8`, `1.5 million`, a final period, markup
    /// (`**17**`, `\$5`), and units (`17 apples`, `5 m/s`), but no other words. A percent sign is a unit too, as in
    /// GSM8K: `25%` is 25, not 0.25. `50 cents` is 0.5.
    pub fn parse(text: &str) -> Option<Self> {
        let markup = |c: char| c.is_whitespace() || matches!(c, '*' | '`' | '_' | '\\');
        let (negative, rest) = strip_prefixes(text.trim_matches(markup))?;
        let literal = scan(rest)?;
        let mut value = literal.value?;
        let mut rest = rest.get(literal.len..)?;
        let mut apart = false;
        if let Some((exponent, len)) = exponent(rest) {
            value = value.checked_mul(Self::integer(10).power(exponent.into())?)?;
            rest = rest.get(len..)?;
            apart = true;
        } else if let Some((denominator, after)) = denominator(rest.trim_start()) {
            value = value.checked_div(denominator)?;
            rest = after;
        }
        let value = if negative { value.negated() } else { value };
        value.checked_mul(unit::meaning(rest, value.place(rest, apart))?.factor)
    }

    /// Describes how the text after this number relates to it, for reading a unit.
    pub(crate) fn place(self, text: &str, apart: bool) -> Place {
        let size = if self.is_negative() { self.negated() } else { self };
        let apart = apart || text.starts_with(|c: char| c.is_whitespace() || "~\\".contains(c));
        Place { singular: size <= Self::integer(1), apart }
    }
}
