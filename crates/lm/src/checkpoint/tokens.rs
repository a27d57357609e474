//! Settings of tokens in the files beside the weights: which are special, which end a text, and the chat template.

use std::path::Path;

use super::files::{CHAT_TEMPLATE_FILE, GENERATION_FILE, TOKENIZER_CONFIG_FILE};
use crate::config::EndTokens;
use crate::{Error, Tokenizer, plain};

/// End tokens from `generation_config.json`: instruction-tuned models list theirs there, not in `config.json`.
pub(super) fn more_end_tokens(dir: &Path) -> Result<Vec<u32>, Error> {
    #[derive(serde::Deserialize)]
    struct Generation {
        #[serde(default)]
        eos_token_id: Option<EndTokens>,
    }
    let path = dir.join(GENERATION_FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = plain::bytes(&path, plain::SMALL)?;
    let generation: Generation = serde_json::from_slice(&text)
        .map_err(|e| Error::malformed(&path, format!("eos_token_id cannot be read: {e}")))?;
    Ok(generation.eos_token_id.map_or_else(Vec::new, |tokens| tokens.all().to_vec()))
}

/// The contents of `tokenizer_config.json`, null if there is no such file.
pub(super) struct TokenizerSettings(serde_json::Value);

impl TokenizerSettings {
    pub(super) fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(TOKENIZER_CONFIG_FILE);
        if !path.exists() {
            return Ok(Self(serde_json::Value::Null));
        }
        let text = plain::bytes(&path, plain::SMALL)?;
        let settings = serde_json::from_slice(&text);
        settings.map(Self).map_err(|e| Error::malformed(&path, format!("not JSON: {e}")))
    }

    /// The text of a token, given as a plain string or as an object with settings.
    pub(super) fn token(&self, key: &str) -> Option<&str> {
        content(&self.0[key])
    }

    /// The tokens that transformers treats as special: those with a role such as bos or pad, those flagged as special,
    /// and listed extra tokens unless `tokenizer.json` itself added them (then its own flag decides).
    pub(super) fn special(&self, tokenizer: &Tokenizer) -> Vec<String> {
        let parts = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"];
        let parts = parts.iter().filter_map(|part| self.token(&format!("{part}_token")));
        let flagged = self.0["added_tokens_decoder"].as_object().into_iter().flatten();
        let flagged = flagged.filter(|(_, token)| token["special"] == true);
        let flagged = flagged.filter_map(|(_, token)| content(token));
        let lists = ["additional_special_tokens", "extra_special_tokens"];
        let listed = lists.iter().flat_map(|&key| match &self.0[key] {
            serde_json::Value::Array(tokens) => tokens.iter().collect(),
            serde_json::Value::Object(tokens) => tokens.values().collect(),
            _ => Vec::new(),
        });
        let listed = listed.filter_map(content).filter(|token| !tokenizer.is_added(token));
        parts.chain(flagged).chain(listed).map(str::to_owned).collect()
    }

    /// The chat template, if there is one: `chat_template.jinja` first, else the entry in this file, and of several the
    /// one named `default`.
    pub(super) fn chat_template(&self, dir: &Path) -> Result<Option<String>, Error> {
        let path = dir.join(CHAT_TEMPLATE_FILE);
        if path.exists() {
            return plain::text(&path, plain::SMALL).map(Some);
        }
        let named = |all: &Vec<serde_json::Value>| {
            all.iter().find(|one| one["name"] == "default").map(|one| one["template"].clone())
        };
        let template = &self.0["chat_template"];
        let template = template.as_array().map_or_else(|| Some(template.clone()), named);
        Ok(template.and_then(|template| template.as_str().map(str::to_owned)))
    }
}

/// The text of a token that is a string, or an object with a `content` key.
fn content(token: &serde_json::Value) -> Option<&str> {
    token.as_str().or_else(|| token["content"].as_str())
}
