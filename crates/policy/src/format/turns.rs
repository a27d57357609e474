//! The prompt format exported as a chat template. Saved with a model, it lets another trainer turn conversations into
//! exactly the text that is learned here.

use super::PromptFormat;

/// Error message of the exported template for any other role.
const REFUSAL: &str =
    "there are turns of `user` and `assistant` alone in what this model has learned";

impl PromptFormat {
    /// The chat template to save with a model that is trained in this format. `own` is the template the model came with,
    /// `end` the text of the token that ends a solution.
    ///
    /// For a plain format, the template writes questions and solutions as they are learned here, and replaces the model's
    /// own. The system text and the examples come before the first question; later questions are separated like examples.
    /// For a chat, the result is the model's own template, or the preset's if it has none.
    pub fn chat_template(&self, own: Option<&str>, end: &str) -> Option<String> {
        match &self.chat {
            None => Some(self.turns(end)),
            Some(chat) => own.or(chat.template.as_deref()).map(str::to_owned),
        }
    }

    /// Strings are embedded as JSON literals, which Jinja reads unchanged.
    fn turns(&self, end: &str) -> String {
        let text = |parts: &[&str]| serde_json::Value::from(parts.concat()).to_string();
        let examples = self.solved();
        let first = text(&[&self.system, &examples, &self.prefix]);
        let later = text(&[&self.separator, &self.prefix]);
        let (after, end, refusal) = (text(&[&self.suffix]), text(&[end]), text(&[REFUSAL]));
        [
            "{%- for message in messages %}",
            "{%- if message['role'] == 'user' %}",
            &format!(
                "{{{{- ({first} if loop.first else {later}) + message['content'] + {after} }}}}"
            ),
            "{%- elif message['role'] == 'assistant' %}",
            &format!("{{{{- message['content'] + {end} }}}}"),
            "{%- else %}",
            &format!("{{{{- raise_exception({refusal}) }}}}"),
            "{%- endif %}",
            "{%- endfor %}",
        ]
        .join("\n")
    }
}

#[cfg(test)]
mod tests {
    use lm::{ModelConfig, Tokenizer};

    use super::*;
    use crate::format::{Chat, WorkedExample};

    fn model() -> (Tokenizer, ModelConfig) {
        let tokenizer = Tokenizer::train(["How many?"].into_iter(), 270, &["<|end|>".to_owned()]);
        let config = serde_json::json!({
            "model_type": "llama", "vocab_size": 270, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 1, "max_position_embeddings": 8, "rms_norm_eps": 1e-5, "eos_token_id": 0,
        });
        (tokenizer.unwrap(), serde_json::from_value(config).unwrap())
    }

    /// The prompt for `question`, followed by `written`.
    fn rendered(format: &PromptFormat, question: &str, written: &str) -> String {
        let (tokenizer, config) = model();
        format.prompt(&tokenizer, &config).unwrap().render(question, written)
    }

    /// A format full of characters that Jinja or JSON could misread.
    fn odd() -> PromptFormat {
        let solved = |question: &str, solution: &str| WorkedExample {
            question: question.to_owned(),
            solution: solution.to_owned(),
        };
        PromptFormat {
            prefix: " {{ Q }}: '".to_owned(),
            suffix: "\"\\n{% A %}:\r\n".to_owned(),
            system: "Größe 😀 \u{1}\t#}\n\n".to_owned(),
            examples: vec![solved("1 + 1?\n", "\\frac{1}{2}\n#### 2"), solved("{# 2 #}", "}}")],
            separator: "\n--\n".to_owned(),
            chat: None,
        }
    }

    #[test]
    fn a_conversation_becomes_the_text_that_is_learned() {
        for plain in [odd(), PromptFormat::default()] {
            let template = plain.chat_template(Some("the model's own"), "<|end|>").unwrap();
            let alone = PromptFormat {
                chat: Some(Chat::template(template)),
                separator: plain.separator.clone(),
                ..PromptFormat::default()
            };
            let question = "How many?  \n";
            assert_eq!(rendered(&alone, question, ""), rendered(&plain, question, ""));
            // A solved turn followed by a second question, built from a chat with one example.
            let example =
                WorkedExample { question: question.to_owned(), solution: " So 7.\n".to_owned() };
            let two = PromptFormat { examples: vec![example], ..alone };
            let next = [&plain.separator, &plain.prefix, "And?", &plain.suffix].concat();
            let learned = rendered(&plain, question, " So 7.\n<|end|>");
            assert_eq!(rendered(&two, "And?", ""), [learned, next].concat());
        }
    }

    #[test]
    fn other_turns_are_refused() {
        let template = odd().chat_template(None, "<|end|>").unwrap();
        let chat = PromptFormat {
            system: "Be brief.".to_owned(),
            chat: Some(Chat::template(template)),
            ..PromptFormat::default()
        };
        let (tokenizer, config) = model();
        let refused = chat.prompt(&tokenizer, &config).unwrap_err().to_string();
        assert!(refused.contains("`user` and `assistant` alone"), "{refused}");
    }

    #[test]
    fn a_chat_keeps_its_template() {
        let chat = |chat| PromptFormat { chat: Some(chat), ..odd() };
        let given = chat(Chat::template("given"));
        assert_eq!(given.chat_template(Some("own"), "").as_deref(), Some("own"));
        assert_eq!(given.chat_template(None, "").as_deref(), Some("given"));
        assert_eq!(chat(Chat::model()).chat_template(Some("own"), "").as_deref(), Some("own"));
        assert_eq!(chat(Chat::model()).chat_template(None, ""), None);
    }
}
