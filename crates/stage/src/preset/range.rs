//! Refuses numbers that are too large for any setting.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::overlay::Problem;

/// Largest count or weight. Two of them can be multiplied without overflow, and with more a stage would never end.
const LARGEST: i64 = 10_000_000;
/// Largest number of tokens, which may limit a whole run, and largest number that is not a count.
const LARGEST_REAL: f64 = 1e12;

/// Refuses a number that is too large. `section` is the path of the table, with a final dot.
pub(super) fn in_range(section: &str, table: &DeTable<'_>) -> Result<(), Problem> {
    table.iter().try_for_each(|(name, value)| {
        value_in_range(&format!("{section}{}", name.get_ref()), value)
    })
}

fn value_in_range(key: &str, value: &Spanned<DeValue<'_>>) -> Result<(), Problem> {
    // Any number can be a seed, because only its bits matter.
    let free = key.ends_with("seed");
    let most = if key.ends_with("tokens") { LARGEST_REAL as i64 } else { LARGEST };
    let message = match value.get_ref() {
        DeValue::Integer(number) if !free => {
            match i64::from_str_radix(number.as_str(), number.radix()) {
                // Not `abs`, which overflows for the smallest `i64`.
                Ok(small) if small.unsigned_abs() <= most.unsigned_abs() => return Ok(()),
                _ => format!("{key} is {number}; the most is {most}"),
            }
        }
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_nan() || number.abs() > LARGEST_REAL => {
                format!("{key} is {number:e}; the most is {LARGEST_REAL:e}")
            }
            _ => return Ok(()),
        },
        DeValue::Array(values) => {
            return values.iter().try_for_each(|value| value_in_range(key, value));
        }
        DeValue::Table(table) => return in_range(&format!("{key}."), table),
        _ => return Ok(()),
    };
    Err(Problem { at: value.span(), message })
}
