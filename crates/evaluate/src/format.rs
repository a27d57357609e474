//! Formats numbers, the same way in every table.

use crate::stats::SIGNIFICANT;

/// Placeholder for a missing number.
pub(crate) fn none() -> String {
    "-".to_owned()
}

/// A number with one decimal.
pub(crate) fn one(value: Option<f64>) -> String {
    value.map_or_else(none, |value| format!("{value:.1}"))
}

/// A range, with one decimal.
pub(crate) fn range(low: f64, high: f64) -> String {
    format!("{low:.1} to {high:.1}")
}

/// A range of differences, with signs.
pub(crate) fn signed_range(low: f64, high: f64) -> String {
    format!("{low:+.1} to {high:+.1}")
}

/// A p-value with as many digits as needed to tell on which side of [`SIGNIFICANT`] it is.
pub(crate) fn p_value(p: f64) -> String {
    let rounded = format!("{p:.3}");
    match p {
        _ if p < 1e-9 => "<1e-9".to_owned(),
        _ if p < 1e-3 => format!("{p:.0e}"),
        _ if rounded == format!("{SIGNIFICANT:.3}") => format!("{p:.4}"),
        _ => rounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p_value_is_short_and_says_whether_it_is_significant() {
        let cases = [
            (1.0, "1.000"),
            (0.453_1, "0.453"),
            (0.050_4, "0.0504"),
            (0.049_6, "0.0496"),
            (0.003, "0.003"),
            (0.000_31, "3e-4"),
            (0.0, "<1e-9"),
        ];
        for (p, text) in cases {
            assert_eq!(p_value(p), text);
        }
    }
}
