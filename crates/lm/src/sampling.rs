//! Chooses the next token from the logits.

use std::cmp::Ordering;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The lowest temperature. Logits that differ by 1e-4 are already told apart with certainty, and far below, the inverse of
/// the temperature is no longer a number in `f32`.
const COLDEST: f64 = 1e-6;

/// A sampling method.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Sampling {
    /// The most likely token; ties go to the lowest id.
    Greedy,
    /// Samples from `softmax(logits / temperature)`.
    Temperature {
        /// At least 1e-6; 1 is the model's own distribution.
        temperature: f64,
    },
    /// Samples from the `k` most likely tokens.
    TopK {
        /// At least 1e-6; 1 is the model's own distribution.
        temperature: f64,
        /// Number of tokens to choose from, at least 1.
        k: usize,
    },
    /// Samples from the smallest set of most likely tokens with a total probability of at least `p` (nucleus sampling).
    TopP {
        /// At least 1e-6; 1 is the model's own distribution.
        temperature: f64,
        /// Probability mass to choose from, in (0, 1].
        p: f64,
    },
}

impl Sampling {
    /// Checks that the parameters are in range.
    ///
    /// # Errors
    /// The message says which parameter is out of range.
    pub fn validate(&self) -> Result<(), String> {
        let temperature = |t: f64| {
            let fine = t.is_finite() && t >= COLDEST;
            fine.then_some(()).ok_or(format!(
                "temperature is {t}: it must be at least {COLDEST:e}, or use greedy"
            ))
        };
        match *self {
            Self::Greedy => Ok(()),
            Self::TopK { k: 0, .. } => Err("top-k is 0: it must be at least 1".to_owned()),
            Self::TopP { p, .. } if !(p > 0.0 && p <= 1.0) => {
                Err(format!("top-p is {p}: it must be in (0, 1]"))
            }
            Self::Temperature { temperature: t }
            | Self::TopK { temperature: t, .. }
            | Self::TopP { temperature: t, .. } => temperature(t),
        }
    }

    /// Chooses a token and returns it with its log-probability under the untempered model. `taken` lists shares of
    /// tokens' probabilities that earlier draws have used up (`Excluded::taken`).
    pub(crate) fn choose(
        &self,
        logits: &[f32],
        taken: &[(u32, f64)],
        rng: &mut ChaCha8Rng,
    ) -> (u32, f32) {
        let token = if taken.is_empty() {
            self.token(logits, rng)
        } else {
            self.token(&self.without(logits, taken), rng)
        };
        (token as u32, log_probability(logits, token, logits[argmax(logits)]))
    }

    /// The logits after removing the shares that are taken.
    fn without(&self, logits: &[f32], taken: &[(u32, f64)]) -> Vec<f32> {
        let mut left = std::collections::BTreeMap::<u32, f64>::new();
        for &(token, share) in taken {
            *left.entry(token).or_insert(1.0) -= share;
        }
        let mut logits = logits.to_vec();
        for (token, share) in left {
            // A tiny remainder of a used-up token is only rounding error.
            let share = if share > 1e-6 { share.ln() } else { f64::NEG_INFINITY };
            // Sampling divides by the temperature later, so that the probability is scaled by exactly the share that is
            // left.
            logits[token as usize] += (share * self.temperature()) as f32;
        }
        logits
    }

    fn temperature(&self) -> f64 {
        match *self {
            // Greedy decoding has no temperature; 1 compares what is left of the model's own probabilities.
            Self::Greedy => 1.0,
            Self::Temperature { temperature }
            | Self::TopK { temperature, .. }
            | Self::TopP { temperature, .. } => temperature,
        }
    }

    fn token(&self, logits: &[f32], rng: &mut ChaCha8Rng) -> usize {
        let best = argmax(logits);
        match *self {
            Self::Greedy => best,
            Self::Temperature { temperature } => {
                let weights = exponentials(logits, logits[best], temperature);
                draw(weighted(&weights), rng)
            }
            Self::TopK { temperature, k } => {
                let weights = exponentials(logits, logits[best], temperature);
                draw(largest(&weights, k).into_iter(), rng)
            }
            Self::TopP { temperature, p } => {
                let weights = exponentials(logits, logits[best], temperature);
                draw(nucleus(&weights, p).into_iter(), rng)
            }
        }
    }
}

/// The lowest index of the largest logit.
fn argmax(logits: &[f32]) -> usize {
    let highest = kernels::max(logits);
    logits.iter().position(|&logit| logit >= highest).unwrap_or(0)
}

fn exponentials(logits: &[f32], highest: f32, temperature: f64) -> Vec<f32> {
    kernels::exponentials(logits, highest, (1.0 / temperature) as f32)
}

/// Tokens with their weights.
fn weighted(weights: &[f32]) -> impl Iterator<Item = (usize, f64)> + Clone {
    weights.iter().map(|&w| f64::from(w)).enumerate()
}

/// The more likely token first; ties go to the lower id.
fn likelier(a: &(usize, f64), b: &(usize, f64)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The `k` most likely tokens, the most likely first.
fn largest(weights: &[f32], k: usize) -> Vec<(usize, f64)> {
    let mut tokens: Vec<(usize, f64)> = weighted(weights).collect();
    // Sorting a vocabulary of 150 thousand tokens would take longer than a pass through a small model.
    if k < tokens.len() {
        tokens.select_nth_unstable_by(k, likelier);
        tokens.truncate(k);
    }
    tokens.sort_unstable_by(likelier);
    tokens
}

/// The smallest set of most likely tokens with a share of at least `p`, the most likely first.
fn nucleus(weights: &[f32], p: f64) -> Vec<(usize, f64)> {
    let total: f64 = weighted(weights).map(|(_, w)| w).sum();
    // All tokens below this weight have less than a share of 1 - p together, so the set is among the others.
    let least = (1.0 - p) * total / weights.len() as f64;
    let mut tokens: Vec<(usize, f64)> = weighted(weights).filter(|&(_, w)| w >= least).collect();
    tokens.sort_unstable_by(likelier);
    let mut held = 0.0;
    let kept = tokens.iter().take_while(|&&(_, w)| {
        let open = held < p * total;
        held += w;
        open
    });
    let kept = kept.count();
    tokens.truncate(kept);
    tokens
}

fn draw(weights: impl Iterator<Item = (usize, f64)> + Clone, rng: &mut ChaCha8Rng) -> usize {
    let total: f64 = weights.clone().map(|(_, w)| w).sum();
    let mut left = rng.random::<f64>() * total;
    let mut last = 0;
    for (token, weight) in weights {
        // Never draw a token of weight zero, not even when rounding leaves a remainder.
        if weight > 0.0 {
            last = token;
            if left < weight {
                break;
            }
        }
        left -= weight;
    }
    last
}

fn log_probability(logits: &[f32], token: usize, highest: f32) -> f32 {
    logits[token] - highest - kernels::sum_of_exponentials(logits, highest).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// Whether `count` of 10,000 draws is close to the expected share.
    fn near(count: usize, share: f64) -> bool {
        (count as f64 / 10_000.0 - share).abs() < 0.02
    }

    fn counts(sampling: Sampling) -> [usize; 4] {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln(), f32::NEG_INFINITY];
        let mut counts = [0; 4];
        for _ in 0..10_000 {
            counts[sampling.choose(&logits, &[], &mut rng).0 as usize] += 1;
        }
        counts
    }

    #[test]
    fn each_way_draws_from_its_own_distribution() {
        let [a, b, c, never] = counts(Sampling::Temperature { temperature: 1.0 });
        assert!(near(a, 0.5) && near(b, 0.3) && near(c, 0.2) && never == 0);
        let [a, b, c, _] = counts(Sampling::TopK { temperature: 1.0, k: 2 });
        assert!(near(a, 0.625) && near(b, 0.375) && c == 0);
        // 0.5 alone is short of 0.7, so the second token is included and the third is not.
        let [a, b, c, _] = counts(Sampling::TopP { temperature: 1.0, p: 0.7 });
        assert!(near(a, 0.625) && near(b, 0.375) && c == 0);
        // 0.5, 0.3 and 0.2 squared and normalized: the first is 25 / 38.
        let [a, ..] = counts(Sampling::Temperature { temperature: 0.5 });
        assert!(near(a, 25.0 / 38.0));
        assert_eq!(counts(Sampling::Greedy), [10_000, 0, 0, 0]);
    }

    /// Half of the first token's probability is taken, in two parts, and all of the second's.
    #[test]
    fn what_is_taken_is_not_drawn() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let taken = [(0, 0.3), (1, 1.0), (0, 0.2)];
        let mut draw = |sampling: Sampling| {
            let mut counts = [0; 3];
            for _ in 0..10_000 {
                let (token, logprob) = sampling.choose(&logits, &taken, &mut rng);
                assert!((logprob - logits[token as usize]).abs() < 1e-5, "that of the model");
                counts[token as usize] += 1;
            }
            counts
        };
        let [a, b, _] = draw(Sampling::Temperature { temperature: 1.0 });
        assert!(b == 0 && near(a, 25.0 / 45.0), "{a} {b}");
        let [a, b, _] = draw(Sampling::TopP { temperature: 2.0, p: 1.0 });
        let (half, fifth) = (0.5 * 0.5f64.sqrt(), 0.2f64.sqrt());
        assert!(b == 0 && near(a, half / (half + fifth)), "{a} {b}");
        assert_eq!(draw(Sampling::Greedy), [10_000, 0, 0], "half of the half is still the most");
        let (token, _) = Sampling::Greedy.choose(&logits, &[(0, 0.9), (1, 0.9)], &mut rng);
        assert_eq!(token, 2);
    }

    /// Against sorting the whole vocabulary.
    #[test]
    fn the_likeliest_tokens_are_found_without_sorting_all() {
        let weights: Vec<f32> =
            (0..997).map(|i: usize| ((i * 613 % 101) as f32 / 8.0 - 12.0).exp()).collect();
        let mut sorted: Vec<(usize, f64)> = weighted(&weights).collect();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
        for k in [1, 7, 100, 996, 997, 2000] {
            assert_eq!(largest(&weights, k), sorted[..k.min(997)]);
        }
        let total: f64 = sorted.iter().map(|&(_, w)| w).sum();
        for p in [0.01, 0.5, 0.9, 0.999, 1.0] {
            let kept = nucleus(&weights, p);
            assert_eq!(kept, sorted[..kept.len()]);
            let share = |count: usize| sorted[..count].iter().map(|&(_, w)| w).sum::<f64>() / total;
            assert!(share(kept.len()) > p - 1e-9 && share(kept.len() - 1) < p + 1e-9, "{p}");
        }
    }

    #[test]
    fn the_log_probability_is_that_of_the_untempered_model() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let logits = [0.25f32.ln(), 0.75f32.ln()];
        let (token, logprob) =
            Sampling::TopK { temperature: 0.1, k: 1 }.choose(&logits, &[], &mut rng);
        assert_eq!(token, 1);
        assert!((logprob - 0.75f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn the_coldest_draw_is_of_the_likeliest_token() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let coldest = Sampling::Temperature { temperature: COLDEST };
        coldest.validate().unwrap();
        let logits = [f32::NEG_INFINITY, -1e4, 1.9999, 2.0];
        assert!((0..100).all(|_| coldest.choose(&logits, &[], &mut rng).0 == 3));
    }

    #[test]
    fn ranges_are_checked() {
        for (bad, word) in [
            (Sampling::Temperature { temperature: 0.0 }, "temperature"),
            (Sampling::Temperature { temperature: f64::NAN }, "temperature"),
            (Sampling::TopP { temperature: 1e-40, p: 1.0 }, "at least 1e-6, or use greedy"),
            (Sampling::TopK { temperature: 1.0, k: 0 }, "top-k"),
            (Sampling::TopP { temperature: 1.0, p: 1.5 }, "top-p"),
        ] {
            assert!(bad.validate().unwrap_err().contains(word));
        }
    }
}
