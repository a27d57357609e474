//! The models of a stage that searches: a policy, a fast policy and critics.

use std::collections::BTreeMap;
use std::sync::Arc;

use critic::quality::{Bar, Quality};
use critic::{Critic, Head};
use dataset::Input;
use policy::Policy;
use stage::Failure;

use crate::{AnyModel, Error, ModelAt, Runtime, TextConfig};

/// Role of the fast policy.
const FAST: &str = "fast-policy";

/// The models of a search.
#[derive(Debug)]
pub struct Models {
    /// The policy.
    pub policy: AnyModel,
    /// The fast policy, if it is a different model.
    fast_policy: Option<AnyModel>,
    /// The models with the critics' heads, and those asked in words.
    pub critics: Vec<AnyModel>,
}

impl Models {
    /// All models, none of which is loaded yet. A fast policy at the policy's path is the policy.
    ///
    /// # Errors
    /// As [`AnyModel::at`].
    pub fn at(
        policy: &ModelAt,
        fast_policy: &ModelAt,
        critics: &[ModelAt],
        runtime: &Runtime,
    ) -> Result<Self, Failure> {
        let critics = critics_at(critics, runtime)?;
        Ok(Self {
            policy: AnyModel::at("policy", policy, runtime)?,
            fast_policy: (fast_policy != policy)
                .then(|| AnyModel::at(FAST, fast_policy, runtime))
                .transpose()?,
            critics,
        })
    }

    /// The recipe entries.
    pub fn inputs(&self) -> Vec<Input> {
        let policy = self.policy.input().clone();
        let fast = match &self.fast_policy {
            Some(fast) => fast.input().clone(),
            // The recipe has an entry for the fast policy even if it is the policy itself.
            None => Input { name: FAST.to_owned(), ..policy.clone() },
        };
        let critics = self.critics.iter().map(|critic| critic.input().clone());
        [policy, fast].into_iter().chain(critics).collect()
    }

    /// The policy and the fast policy; the same object if they are one model.
    ///
    /// # Errors
    /// As [`AnyModel::policy`].
    pub fn policies(&self, text: &TextConfig) -> Result<[Arc<Policy>; 2], Failure> {
        let policy = Arc::new(self.policy.policy(text)?);
        let fast = match &self.fast_policy {
            Some(fast) => Arc::new(fast.policy(text)?),
            None => policy.clone(),
        };
        Ok([policy, fast])
    }

    /// Checks the critics' measured quality against the preset's bars. A head that was never measured fails.
    ///
    /// # Errors
    /// Exit 65, with the figures that miss their bar.
    pub fn require(&self, bars: &BTreeMap<Head, Bar>) -> Result<(), Failure> {
        let mut measured = BTreeMap::<String, Quality>::new();
        for model in &self.critics {
            // Nothing is known about the quality of a served model.
            if let AnyModel::Model(model) = model {
                measured.extend(model.quality()?);
            }
        }
        let missed = |(head, bar): (&Head, &Bar)| match measured.get(head.name()) {
            Some(quality) => bar.missed(quality).map(|missed| format!("{head}: {missed}")),
            None => Some(format!("{head}: was never measured")),
        };
        let missed: Vec<String> = bars.iter().filter_map(missed).collect();
        if missed.is_empty() {
            return Ok(());
        }
        let message = format!("the critics are below the preset's bar: {}", missed.join("; "));
        Err(Failure::data(message)
            .hint("give them more labels, or search all the same with --weak-critics (SEARCH_FLAGS of make)"))
    }

    /// The critics combined into one.
    ///
    /// # Errors
    /// Exit 65 if two models have the same head or a mark is not a single token.
    pub fn critic(&self, text: &TextConfig) -> Result<Critic, Failure> {
        critic(&self.critics, text)
    }
}

/// Combines models into one critic.
///
/// # Errors
/// Exit 65 if two models have the same head, a mark is not a single token, or a model has no heads.
pub fn critic(models: &[AnyModel], text: &TextConfig) -> Result<Critic, Failure> {
    let (mut engines, mut in_words) = (Vec::new(), Vec::new());
    for model in models {
        match model.with_heads()? {
            Some(engine) => engines.push(engine.clone()),
            None => in_words.push(model),
        }
    }
    let critic = Critic::new(engines, &text.policy.format, &text.critic);
    let mut critic = critic.map_err(Error::from)?;
    for model in in_words {
        let heads = model.heads(text)?;
        if heads.is_empty() {
            let label = model.label();
            return Err(Failure::data(format!("critic {label}: the model has no heads"))
                .hint("say in [critic.words] of text.toml how it is asked, or train it"));
        }
        let policy = Arc::new(model.policy(text)?);
        critic = critic.with_words(policy, &heads).map_err(Error::from)?;
    }
    Ok(critic)
}

/// Hash of the critics' contents and of the text settings. Two critics with the same hash give the same scores, up to
/// rounding.
///
/// # Errors
/// Fails if the settings cannot be written as JSON.
pub fn critics_id(models: &[AnyModel], text: &TextConfig) -> Result<String, Failure> {
    let contents: Vec<&str> = models.iter().map(|model| model.input().content.as_str()).collect();
    Ok(dataset::digest_of(&(contents, text))?)
}

/// The critics, none of which is loaded yet.
///
/// # Errors
/// As [`AnyModel::at`]; also exit 65 if a server does not return the log-probabilities that scoring in words needs.
pub fn critics_at(critics: &[ModelAt], runtime: &Runtime) -> Result<Vec<AnyModel>, Failure> {
    let one = |(i, at): (usize, &ModelAt)| {
        let critic = AnyModel::at(&format!("critic-{i}"), at, runtime)?;
        if let AnyModel::Server(servers, _) = &critic {
            servers.require_likeliest().map_err(Error::from)?;
        }
        Ok(critic)
    };
    critics.iter().enumerate().map(one).collect()
}
