//! Where the template of a chat comes from, and what it is given.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A chat: in a preset `"model"`, the model's own template, or a table with a `template`, with `variables`, or with both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chat {
    /// The template, in Jinja. It sees `messages` (each with `role` and `content`), `add_generation_prompt`, `bos_token` and
    /// `eos_token`. Absent is the model's own: `chat_template.jinja` or `tokenizer_config.json` in its directory.
    pub template: Option<String>,
    /// What else it sees, such as `enable_thinking = false`.
    pub variables: BTreeMap<String, serde_json::Value>,
}

impl Chat {
    /// The model's own template.
    pub fn model() -> Self {
        Self::default()
    }

    /// This template.
    pub fn template(text: impl Into<String>) -> Self {
        Self { template: Some(text.into()), ..Self::default() }
    }
}

/// The model's own template, as a preset says it.
const MODEL: &str = "model";

/// A chat with settings, as a preset says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    variables: BTreeMap<String, serde_json::Value>,
}

/// As it was written, so that the settings of a dataset stay what they were.
impl Serialize for Chat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::model() {
            return serializer.serialize_str(MODEL);
        }
        let mut table = serializer.serialize_map(None)?;
        if let Some(template) = &self.template {
            table.serialize_entry("template", template)?;
        }
        if !self.variables.is_empty() {
            table.serialize_entry("variables", &self.variables)?;
        }
        table.end()
    }
}

impl<'de> Deserialize<'de> for Chat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Chat;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`\"model\"`, or a table with `template` or `variables`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Chat, E> {
        if text == MODEL {
            return Ok(Chat::model());
        }
        Err(E::custom(format!(
            "unknown chat `{text}`: it is `\"model\"`, or a table with `template` or `variables`"
        )))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Chat, A::Error> {
        let Table { template, variables } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Chat { template, variables })
    }
}
