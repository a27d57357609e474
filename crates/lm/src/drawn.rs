//! Sampling without replacement: what was drawn for a prompt is not drawn for it again.
//!
//! A draw takes its probability away from every token on its way, so that the next one follows the model's distribution
//! given that it is none of them (the incremental scheme of Shi, Bieber and Singh, 2020).

/// Tokens that a model has written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drawn {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Their log-probabilities under the untempered model, in nats, one for each.
    pub logprobs: Vec<f32>,
}

/// The draws that a row may still turn out to repeat.
#[derive(Debug)]
pub(crate) struct Excluded<'a> {
    draws: Vec<&'a Drawn>,
    /// Tokens that the row has in common with all of them.
    common: usize,
}

impl Drawn {
    /// Log-probability of the whole, in nats.
    pub fn logprob(&self) -> f32 {
        self.logprobs.iter().sum()
    }

    /// All of some, one after the other.
    pub fn joined(parts: &[&Self]) -> Self {
        let mut all = Self::default();
        for Self { ids, logprobs } in parts.iter().copied() {
            all.ids.extend(ids);
            all.logprobs.extend(logprobs);
        }
        all
    }

    /// The tokens from `at` on.
    #[must_use]
    pub fn after(&self, at: usize) -> Self {
        Self { ids: self.ids[at..].to_vec(), logprobs: self.logprobs[at..].to_vec() }
    }
}

impl<'a> Excluded<'a> {
    pub(crate) fn new(draws: &'a [Drawn]) -> Self {
        Self { draws: draws.iter().collect(), common: 0 }
    }

    /// Next tokens, each with the share of its probability that draws have taken, in [0, 1]: once a
    /// token ends a draw, all of it. One token may come more than once; the shares then add up.
    pub(crate) fn taken(&self) -> Vec<(u32, f64)> {
        let next = |draw: &&Drawn| {
            let token = *draw.ids.get(self.common)?;
            let rest: f32 = draw.logprobs.get(self.common + 1..)?.iter().sum();
            Some((token, f64::from(rest).exp()))
        };
        self.draws.iter().filter_map(next).collect()
    }

    /// The row goes on with a token.
    pub(crate) fn follow(&mut self, token: u32) {
        self.draws.retain(|draw| draw.ids.get(self.common) == Some(&token));
        self.common += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_takes_its_probability_from_every_token_on_its_way() {
        let draw = |ids: &[u32], shares: &[f32]| Drawn {
            ids: ids.to_vec(),
            logprobs: shares.iter().map(|p| p.ln()).collect(),
        };
        let draws = [draw(&[5, 6, 7], &[0.5, 0.4, 0.5]), draw(&[5, 8], &[0.5, 0.25])];
        let mut excluded = Excluded::new(&draws);
        let taken = |excluded: &Excluded<'_>| -> Vec<(u32, f64)> {
            let round = |share: f64| (share * 1e4).round() / 1e4;
            excluded.taken().into_iter().map(|(token, share)| (token, round(share))).collect()
        };
        assert_eq!(taken(&excluded), [(5, 0.2), (5, 0.25)]);
        excluded.follow(5);
        assert_eq!(taken(&excluded), [(6, 0.5), (8, 1.0)], "8 would end the second again");
        excluded.follow(6);
        assert_eq!(taken(&excluded), [(7, 1.0)]);
        excluded.follow(9);
        assert!(taken(&excluded).is_empty());
        assert!((draws[0].logprob() - 0.1f32.ln()).abs() < 1e-6);
        assert_eq!(draws[0].after(1).ids, [6, 7]);
    }
}
