//! The rewrite table of a sentencepiece normalizer: a trie over bytes in a double array, whose leaves are offsets into
//! the replacement texts.

use std::collections::BTreeSet;

use base64::Engine as _;

/// The longest replacement for one match in the table, in bytes.
///
/// # Errors
/// A table that points outside of itself for any input: the library would panic on a text that follows such a path.
pub(super) fn longest(table: Option<&str>) -> Result<usize, String> {
    let broken = |what: &str| format!("the table of its normalizer is broken: {what}");
    let table = table.ok_or_else(|| broken("there is none"))?;
    let table = base64::engine::general_purpose::STANDARD.decode(table);
    let table = table.map_err(|e| broken(&e.to_string()))?;
    let (length, rest) = table.split_at_checked(4).ok_or_else(|| broken("it is cut short"))?;
    let length = unit(length) / 4 * 4;
    let (trie, texts) = rest.split_at_checked(length).ok_or_else(|| broken("it is cut short"))?;
    let texts = std::str::from_utf8(texts).map_err(|e| broken(&e.to_string()))?;
    let trie: Vec<usize> = trie.chunks_exact(4).map(unit).collect();
    Trie(trie).longest(texts).ok_or_else(|| broken("it points outside of itself"))
}

fn unit(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number, &byte| (number << 8) | usize::from(byte))
}

struct Trie(Vec<usize>);

impl Trie {
    /// The longest replacement at any leaf; `None` if some path or leaf points out of bounds.
    fn longest(&self, texts: &str) -> Option<usize> {
        let root = offset(*self.0.first()?);
        let (mut seen, mut open, mut longest) = (BTreeSet::from([root]), vec![root], 0);
        while let Some(node) = open.pop() {
            for byte in 1..=255 {
                let place = node ^ byte;
                let unit = *self.0.get(place)?;
                if label(unit) != byte {
                    continue;
                }
                let next = place ^ offset(unit);
                if has_leaf(unit) {
                    let from = self.0.get(next)? & ((1 << 31) - 1);
                    let text = texts.get(from..)?;
                    longest = longest.max(text.find('\0').unwrap_or(text.len()));
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        Some(longest)
    }
}

// Bits of a unit in the double array: the label in the low byte, a leaf flag in bit 8, the offset from bit 10 on, which
// is shifted by another 8 bits if bit 9 is set.
fn has_leaf(unit: usize) -> bool {
    (unit >> 8) & 1 == 1
}

fn label(unit: usize) -> usize {
    unit & ((1 << 31) | 0xFF)
}

fn offset(unit: usize) -> usize {
    (unit >> 10) << ((unit & (1 << 9)) >> 6)
}
