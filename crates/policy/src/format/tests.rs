//! Chats as models of the field have them, filled in.

use super::*;

/// The turns of Qwen's kind of template: a default system message, roles between marks.
const TURNS: &str = r"{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
{%- else %}
    {{- '<|im_start|>system\nBe helpful.<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role != 'system' %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}";

/// The turns of Llama's kind: the beginning of the text is the template's, and contents are trimmed.
const HEADERS: &str = "{{ bos_token }}{% for message in messages %}{{ '<|start|>' + message['role'] + '<|end|>\n\n' + \
     message['content'] | trim + eos_token }}{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\n\n' }}{% endif %}";

fn model() -> (Tokenizer, ModelConfig) {
    let special = ["<|bos|>", "<|eos|>"].map(str::to_owned);
    let tokenizer = Tokenizer::train(["How many?"].into_iter(), 270, &special).unwrap();
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": 270, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 1, "max_position_embeddings": 8, "rms_norm_eps": 1e-5,
        "bos_token_id": 0, "eos_token_id": [1, 0],
    });
    (tokenizer, serde_json::from_value(config).unwrap())
}

fn few_shot(chat: Option<Chat>) -> PromptFormat {
    let example = Solved { question: "1 + 1?".to_owned(), solution: "#### 2".to_owned() };
    PromptFormat {
        prefix: "Q: ".to_owned(),
        suffix: "\nA: ".to_owned(),
        system: "Calculate.".to_owned(),
        examples: vec![example],
        separator: "\n--\n".to_owned(),
        chat,
    }
}

fn rendered(format: &PromptFormat) -> Result<String, String> {
    let (tokenizer, config) = model();
    let prompt = format.prompt(&tokenizer, &config).map_err(|e| e.to_string())?;
    Ok(prompt.render("2 + 3?", "It is"))
}

fn chat(template: &str) -> Result<String, String> {
    let chat = Some(Chat::Template(template.to_owned()));
    rendered(&PromptFormat { chat, ..PromptFormat::default() })
}

#[test]
fn plain_text_has_its_examples_before_the_question() {
    let expected = "Calculate.Q: 1 + 1?\nA: #### 2\n--\nQ: 2 + 3?\nA: It is";
    assert_eq!(rendered(&few_shot(None)).unwrap(), expected);
    assert_eq!(rendered(&PromptFormat::default()).unwrap(), "2 + 3?It is");
    let (tokenizer, config) = model();
    let prompt = few_shot(None).prompt(&tokenizer, &config).unwrap();
    let shared = prompt.shared(&tokenizer).unwrap();
    assert_eq!(tokenizer.decode(&shared), "Calculate.Q: 1 + 1?\nA: #### 2\n--\nQ:");
    for question in ["How many?", " 3 + 4?", "?"] {
        let ids = tokenizer.encode(&prompt.render(question, "")).unwrap();
        assert!(ids.starts_with(&shared), "{question}");
    }
}

#[test]
fn a_chat_has_its_parts_as_messages() {
    let text = rendered(&few_shot(Some(Chat::Template(TURNS.to_owned())))).unwrap();
    let expected = "<|im_start|>system\nCalculate.<|im_end|>\n<|im_start|>user\nQ: 1 + 1?\nA: <|im_end|>\n\
                    <|im_start|>assistant\n#### 2<|im_end|>\n<|im_start|>user\nQ: 2 + 3?\nA: <|im_end|>\n\
                    <|im_start|>assistant\nIt is";
    assert_eq!(text, expected);
    let text = chat(HEADERS).unwrap();
    assert_eq!(
        text,
        "<|bos|><|start|>user<|end|>\n\n2 + 3?<|eos|><|start|>assistant<|end|>\n\nIt is"
    );
}

#[test]
fn the_models_own_template_is_used_and_missed() {
    let format = PromptFormat { chat: Some(Chat::Model), ..PromptFormat::default() };
    assert!(rendered(&format).unwrap_err().contains("the model has none"));
    let (tokenizer, config) = model();
    let tokenizer = tokenizer.with_chat_template(Some(TURNS.to_owned()));
    let text = format.prompt(&tokenizer, &config).unwrap().render("How many?", "");
    assert!(
        text.ends_with("<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"),
        "{text}"
    );
}

#[test]
fn pythons_methods_and_the_ways_of_the_field_work() {
    let template = "{% set ns = namespace(last='') %}{% for m in messages %}{% set ns.last = m['content'].strip() %}{% endfor %}\
                    {% if tools is defined and tools %}{{ raise_exception('no tools') }}{% endif %}\
                    {{ ns.last }}{{ messages[-1:] | length }}{{ 'a-b'.split('-')[1] }}{% if 'x'.startswith('x') %}!{% endif %}";
    assert_eq!(chat(template).unwrap(), "2 + 3?1b!It is");
}

#[test]
fn bad_templates_are_refused_with_the_reason() {
    let refused = |template: &str, why: &str| {
        let error = chat(template).unwrap_err();
        assert!(error.contains("chat template: ") && error.contains(why), "{template}: {error}");
    };
    refused("{% for m in messages %}{{ m.content }}", "syntax error");
    refused("nothing of the sort", "0 times");
    refused("{{ messages[0].content }}{{ messages[0].content }}", "2 times");
    refused("{{ raise_exception('roles must alternate') }}", "roles must alternate");
    refused(
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "steps",
    );
    refused("{% for i in range(99999) %}{{ 'a' * 1000 }}{% endfor %}", "bytes");
    refused("{{ 'a' * 100000000000 }}", "steps");
    refused(
        "{% set ns = namespace(s='a') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "steps",
    );
    refused("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion");
}
