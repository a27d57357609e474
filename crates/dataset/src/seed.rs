//! Hashes that decide: row ids and per-row seeds. They depend on content alone, so that batches, shards, retries and
//! resumed runs cannot change a result.

/// A hash of a sequence of values, each with its length, so that moving a boundary changes it.
pub(crate) struct Digest(blake3::Hasher);

impl Digest {
    /// `purpose` keeps hashes for different uses apart.
    pub(crate) fn new(purpose: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(&format!("alphallm {purpose} 1")))
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
        self
    }

    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub(crate) fn hex(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }

    fn half<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.finalize_xof().fill(&mut bytes);
        bytes
    }
}

/// The seed of one row's randomness: the same whatever is done before, beside or instead of it.
pub fn seed_for(run_seed: u64, stage: &str, round: i32, row_id: &str) -> u64 {
    let mut digest = Digest::new("seed");
    digest.number(run_seed).text(stage).text(&round.to_string()).text(row_id);
    u64::from_le_bytes(digest.half())
}

/// Where a row stands in `[0, 1)`, by its id alone: a share of the rows is those below a bound, the same whatever the
/// rows are kept with. Ids that [`row_id`] did not make are hashed first.
pub fn place_of(row_id: &str) -> f64 {
    let hash = seed_for(0, "place", 0, row_id);
    // 53 bits: every value is exact.
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// The id of a row: 32 hexadecimal digits of a hash of `parts`, which should be all that makes the row what it is.
pub fn row_id(parts: &[&str]) -> String {
    format!("{:032x}", row_hash(parts))
}

/// [`row_id`] as a number.
pub(crate) fn row_hash(parts: &[&str]) -> u128 {
    let mut digest = Digest::new("row");
    for part in parts {
        digest.text(part);
    }
    u128::from_be_bytes(digest.half())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_do_not_change_between_releases() {
        assert_eq!(row_id(&["gsm8k", "What is 1+1?"]), "66c2f871978a9d11d264916f808740b2");
        assert_eq!(seed_for(7, "search", 1, "ab"), 4_218_946_583_048_135_530);
    }

    #[test]
    fn boundaries_between_parts_count() {
        assert_ne!(row_id(&["ab", "c"]), row_id(&["a", "bc"]));
        assert_ne!(row_id(&["ab"]), row_id(&["ab", ""]));
    }

    #[test]
    fn every_argument_changes_the_seed() {
        let seeds = [
            seed_for(1, "search", 1, "a"),
            seed_for(2, "search", 1, "a"),
            seed_for(1, "critique", 1, "a"),
            seed_for(1, "search", 2, "a"),
            seed_for(1, "search", 1, "b"),
        ];
        for (i, a) in seeds.iter().enumerate() {
            assert!(!seeds[i + 1..].contains(a), "seeds {seeds:?} repeat");
        }
    }
}
