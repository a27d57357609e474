//! The format as a chat template, for other programs: with it in a model's directory, a trainer makes of a conversation
//! the text that is learned from here.

use super::PromptFormat;

/// What a template says of a turn that nothing was learned about.
const REFUSAL: &str =
    "there are turns of `user` and `assistant` alone in what this model has learned";

impl PromptFormat {
    /// The chat template that belongs into the directory of a model that learns in this format; `own` is the one that it
    /// has, and `end` the text of the token that ends a solution.
    ///
    /// Of a plain format it is one that writes a question and its solution as they are learned, whatever the model had: with
    /// the preset's system text and examples before the first question. Further questions follow as examples do. Of a chat it
    /// is the model's own, or else the preset's.
    pub fn chat_template(&self, own: Option<&str>, end: &str) -> Option<String> {
        match &self.chat {
            None => Some(self.turns(end)),
            Some(chat) => own.or(chat.template.as_deref()).map(str::to_owned),
        }
    }

    /// Texts stand in it as JSON has them, which is how Jinja reads them.
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
    use crate::format::{Chat, Solved};

    fn model() -> (Tokenizer, ModelConfig) {
        let tokenizer = Tokenizer::train(["How many?"].into_iter(), 270, &["<|end|>".to_owned()]);
        let config = serde_json::json!({
            "model_type": "llama", "vocab_size": 270, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 1, "max_position_embeddings": 8, "rms_norm_eps": 1e-5, "eos_token_id": 0,
        });
        (tokenizer.unwrap(), serde_json::from_value(config).unwrap())
    }

    /// The text that a question is put into, with `written` behind it.
    fn rendered(format: &PromptFormat, question: &str, written: &str) -> String {
        let (tokenizer, config) = model();
        format.prompt(&tokenizer, &config).unwrap().render(question, written)
    }

    /// A format of everything that Jinja might take for its own.
    fn odd() -> PromptFormat {
        let solved = |question: &str, solution: &str| Solved {
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
            // With a solution and another question behind it, which a chat has its examples for.
            let example = Solved { question: question.to_owned(), solution: " So 7.\n".to_owned() };
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
