//! Row ids and per-row seeds, as hashes. They depend only on content, so that batch sizes, shards, retries and
//! resumed runs cannot change a result.

/// A hash of a sequence of values. The length of every text is hashed too, so that `["ab", "c"]` and `["a", "bc"]` differ.
pub(crate) struct Digest(blake3::Hasher);

impl Digest {
    /// Begins a hash. Different values of `purpose` give unrelated hashes of the same values.
    pub(crate) fn new(purpose: &str) -> Self {
        // Must not change: the ids and seeds of data that is already written come from it.
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

/// Returns the seed of the random numbers of one row. It does not depend on any other row, so the order of the work and
/// the choice of rows do not matter.
pub fn seed_for(run_seed: u64, stage: &str, round: i32, row_id: &str) -> u64 {
    let mut digest = Digest::new("seed");
    digest.number(run_seed).text(stage).text(&round.to_string()).text(row_id);
    u64::from_le_bytes(digest.half())
}

/// Maps the id of a row to a number in `[0, 1)`. A share of the rows, such as a split, is those below a bound; whether a row
/// is in it does not depend on the other rows. The id is hashed, so it need not come from [`row_id`].
pub fn place_of(row_id: &str) -> f64 {
    let hash = seed_for(0, "place", 0, row_id);
    // An f64 has 53 bits of precision, so every value is exact.
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns the id of a row: 32 hexadecimal digits of a hash of `parts`, which should be everything that identifies the
/// row.
pub fn row_id(parts: &[&str]) -> String {
    format!("{:032x}", row_hash(parts))
}

/// Returns [`row_id`] as a number.
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
