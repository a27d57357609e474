//! The pretraining corpus: arithmetic, stories, and questions without answers.
//!
//! It stands in for the knowledge that a language model already has before it sees any solution. None of it pairs a
//! question with a solution.

use super::split::Split;
use super::teller::{Teller, capitalise, gcd, pick};
use super::{TEMPLATES, derived, draw, stories};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// The number of texts of each kind in a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorpusMix {
    /// Lines from [`arithmetic_line`].
    pub arithmetic: usize,
    /// Texts from [`story`].
    pub stories: usize,
    /// Questions of [`Split::Pretraining`], without their answers.
    pub questions: usize,
}

/// Returns the texts of a pretraining corpus, shuffled, as `(kind, text)` with kind `arithmetic`, `story` or
/// `question`. Questions may repeat. The generator of each text is derived from the seed, its kind and its index.
#[must_use]
pub fn corpus(mix: CorpusMix, seed: u64) -> Vec<(&'static str, String)> {
    let arithmetic = |rng: &mut ChaCha8Rng| ("arithmetic", arithmetic_line(rng));
    let tale = |rng: &mut ChaCha8Rng| ("story", story(rng));
    let question = |rng: &mut ChaCha8Rng| {
        ("question", draw(Split::Pretraining, TEMPLATES.len(), rng).question)
    };
    // Kinds from 100 on, so that no generator is shared with `draw_many`, whose kinds are the splits.
    let mut texts = Vec::new();
    texts
        .extend((0..mix.arithmetic).map(|index| arithmetic(&mut derived(seed, 100, index as u64))));
    texts.extend((0..mix.stories).map(|index| tale(&mut derived(seed, 101, index as u64))));
    texts.extend((0..mix.questions).map(|index| question(&mut derived(seed, 102, index as u64))));
    texts.shuffle(&mut derived(seed, 103, 0));
    texts
}

/// Returns a short text of computed sentences: `Tom has 12 apples and gets 5 more. Now Tom has 12 + 5 = 17 apples.`
pub fn story(rng: &mut ChaCha8Rng) -> String {
    loop {
        // A draw fails if a result is not whole or out of range. The loop then draws another story.
        let told = pick(rng, stories::STORIES).and_then(|beat| {
            let mut teller = Teller::new(rng);
            teller.tell(beat)?;
            Some(format!("{} {}", capitalise(&teller.text.join(" ")), teller.steps.join(" ")))
        });
        if let Some(text) = told {
            return text;
        }
    }
}

/// Returns a correct line of arithmetic with whole numbers from 1 to 999: `37 + 45 = 82`, `60 * 25 / 100 = 15`.
/// Two-digit numbers, multiplication tables and their inverses are the most frequent; carries, borrows and three digits
/// all occur.
pub fn arithmetic_line(rng: &mut ChaCha8Rng) -> String {
    loop {
        let line = match rng.random_range(0..100) {
            0..29 => sum(rng),
            29..58 => difference(rng),
            58..78 => product(rng),
            78..94 => quotient(rng),
            _ => percentage(rng),
        };
        if let Some(line) = line {
            return line;
        }
    }
}

/// Draws an upper bound for the terms of a sum. Small bounds are as likely as large ones, so small sums are frequent.
fn bound(rng: &mut ChaCha8Rng) -> i64 {
    [20, 60, 100, 200, 400, 999][rng.random_range(0..6)]
}

fn sum(rng: &mut ChaCha8Rng) -> Option<String> {
    let (left, right) = (bound(rng), bound(rng));
    let (left, right) = (rng.random_range(1..=left), rng.random_range(1..=right));
    // No problem has a number above 999 either.
    (left + right < 1000).then(|| format!("{left} + {right} = {}", left + right))
}

fn difference(rng: &mut ChaCha8Rng) -> Option<String> {
    let (left, right) = (bound(rng), bound(rng));
    let (left, right) = (rng.random_range(2..=left), rng.random_range(1..=right));
    (left > right).then(|| format!("{left} - {right} = {}", left - right))
}

/// Draws two factors, one of them small, in either order.
fn factors(rng: &mut ChaCha8Rng) -> (i64, i64) {
    let most = [9, 12, 20, 50, 100, 250][rng.random_range(0..6)];
    let (left, right) = (rng.random_range(2..=most), rng.random_range(2..=12));
    if rng.random_bool(0.5) { (left, right) } else { (right, left) }
}

fn product(rng: &mut ChaCha8Rng) -> Option<String> {
    let (left, right) = factors(rng);
    (left * right < 1000).then(|| format!("{left} * {right} = {}", left * right))
}

fn quotient(rng: &mut ChaCha8Rng) -> Option<String> {
    let (left, right) = factors(rng);
    // From the product, so that the quotient is whole.
    (left * right < 1000).then(|| format!("{} / {right} = {left}", left * right))
}

fn percentage(rng: &mut ChaCha8Rng) -> Option<String> {
    let percent = *pick(rng, &[5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90])?;
    // Only of multiples of this is the percentage a whole number.
    let unit = 100 / gcd(100, percent);
    let most = [100, 240, 500][rng.random_range(0..3)];
    let whole = unit * rng.random_range(1..=most / unit);
    Some(format!("{whole} * {percent} / 100 = {}", whole * percent / 100))
}
