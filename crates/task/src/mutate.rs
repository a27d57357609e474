//! Mutation of questions.
use rand_chacha::ChaCha8Rng;
/// Placeholder while the interface settles.
pub fn mutate(_question: &str, _rng: &mut ChaCha8Rng) -> Option<String> {
    None
}
