//! The chat setting of a preset: where the template comes from and which variables it sees.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The chat setting: `"model"` for the model's own template, or a table with a `template`, `variables` or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chat {
    /// The Jinja template. It sees `messages` (each with `role` and `content`), `add_generation_prompt`, `bos_token` and
    /// `eos_token`. Absent for the model's own, from `chat_template.jinja` or `tokenizer_config.json` in its directory.
    pub template: Option<String>,
    /// Extra template variables, such as `enable_thinking = false`.
    pub variables: BTreeMap<String, serde_json::Value>,
}

impl Chat {
    /// Uses the model's own template.
    pub fn model() -> Self {
        Self::default()
    }

    /// Uses the given template.
    pub fn template(text: impl Into<String>) -> Self {
        Self { template: Some(text.into()), ..Self::default() }
    }
}

/// The value that selects the model's own template.
const MODEL: &str = "model";

/// The table form of the setting.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    variables: BTreeMap<String, serde_json::Value>,
}

/// Serialized in the form it was written in, so that the recorded settings of a dataset do not change.
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
