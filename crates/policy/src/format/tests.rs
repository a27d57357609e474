//! Tests with chat templates like those of real models.

use super::*;

/// Qwen's style: a default system message, roles between marks.
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

/// Llama's style: the template writes the start-of-text token and trims contents.
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
    let example = WorkedExample { question: "1 + 1?".to_owned(), solution: "#### 2".to_owned() };
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
    let chat = Some(Chat::template(template));
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
    let text = rendered(&few_shot(Some(Chat::template(TURNS)))).unwrap();
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
    let format = PromptFormat { chat: Some(Chat::model()), ..PromptFormat::default() };
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
    for wide in [
        "{{ '{:>2000000000}'.format('x') }}",
        "{{ '{:.2000000000f}'.format(1.5) }}",
        "{{ '{:>99999999}{:>99999999}'.format('x', 'y') }}",
        "{{ ''.join([messages[0].content * 9000000] * 9999) }}",
        "{{ '%2000000000s' | format('x') }}",
    ] {
        refused(wide, "steps");
    }
    refused("{{ messages | tojson(indent=2000000000) }}", "indent");
    refused("{{ ([messages[0].content * 9000000] * 9999) | tojson }}", "tojson");
    refused("{{ 'x'.center(2000000000) }}", "padding");
    refused(&"x".repeat(1 << 17), "131072 bytes: 65536 is the limit");
}

/// Deeply nested expressions are either parsed or refused, without a stack overflow.
#[test]
fn deep_templates_are_no_harm() {
    let most = (1 << 16) - 64;
    let long = |part: &str| part.repeat(most / part.len());
    for part in ["-", "not ", "1+", "1~", "a."] {
        let error = chat(&format!("{{{{ {}1 }}}}", long(part))).unwrap_err();
        assert!(error.contains("an expression in it has more than 2048 bytes"), "{error}");
    }
    let told = format!(
        "{{{{ messages[0].content }}}}{{{{ 'it\\'s {} }}}}' | length }}}}",
        "- ".repeat(9999)
    );
    assert_eq!(chat(&told).unwrap(), "2 + 3?20006It is", "a text may be long");
    let repeated = |part: &str| part.repeat(2000 / part.len());
    for inner in [
        repeated("-") + "1",
        repeated("not ") + "1",
        "1".to_owned() + &repeated("+1"),
        "1".to_owned() + &repeated("**1"),
        "1".to_owned() + &repeated("~1"),
        "1".to_owned() + &repeated(" and 1"),
        "1".to_owned() + &repeated("<1"),
        "a".to_owned() + &repeated(".a"),
        "a".to_owned() + &repeated("[0]"),
        "1".to_owned() + &repeated("|abs"),
        "1".to_owned() + &repeated(" is odd"),
        "1".to_owned() + &repeated(" if 1 else 1"),
        repeated("("),
        repeated("["),
        repeated("{1:"),
        repeated("f("),
    ] {
        // The result does not matter here, only that there is one.
        drop(chat(&format!("{{{{ {inner} }}}}{{{{ messages[0].content }}}}")));
    }
    for blocks in [
        long("{% if 1 %}"),
        "{% if 0 %}".to_owned() + &"{% elif 0 %}".repeat(5000) + "{% endif %}",
        long("{% for a in b %}"),
        long("{% set a %}"),
        long("{{ 1 }}"),
    ] {
        drop(chat(&blocks));
    }
    let hundred = format!("{{{{ {}1 }}}}{{{{ messages[0].content }}}}", "- ".repeat(100));
    assert_eq!(chat(&hundred).unwrap(), "12 + 3?It is");
}

/// The template waits for the test itself, so it cannot be filled in before the time limit, however busy the machine is.
#[test]
fn a_template_that_takes_too_long_is_refused() {
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let wait = Value::from_function(move || wait.lock().unwrap().recv().is_ok());
    let values = context! { wait => wait };
    let filled = jinja::filled_within(std::time::Duration::ZERO, "{{ wait() }}", &values);
    assert_eq!(filled.unwrap_err(), "it does not come to an end in 0 seconds");
    drop(end);
}

/// Less common features that real models' templates use, with the output of `transformers`.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn constructs_of_real_templates_are_filled_in() {
    let question = "{{ messages[-1].content }}";
    let cases = [
        // The assistant's part of the text, which `transformers` marks for loss masking.
        (
            "{%- for m in messages %}\n{%- generation %}\n{{- m.content }}\n{%- endgeneration %}\n{%- endfor %}",
            "2 + 3?",
        ),
        ("{% generation %}[{% endgeneration %}{{ messages[0]['content'] }}", "[2 + 3?"),
        ("{%-generation-%} x {%-endgeneration-%} {{ messages[0]['content'] }}", "x2 + 3?"),
        (
            "{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%Y-%m-%d %-m %H:%M 100%%') }}|Q",
            "26 Jul 2024|2024-07-26 7 00:00 100%|2 + 3?",
        ),
        ("{% if strftime_now is defined %}!{% endif %}Q", "!2 + 3?"),
        (
            "{{ {'a': '<b>&\u{e9}', 'n': [1, 2.5, none, true]} | tojson }}Q",
            "{\"a\": \"<b>&\u{e9}\", \"n\": [1, 2.5, null, true]}2 + 3?",
        ),
        (
            "{{ {'b': 1, 'a': '\u{e9}'} | tojson(ensure_ascii=true, sort_keys=true) }}Q",
            "{\"a\": \"\\u00e9\", \"b\": 1}2 + 3?",
        ),
        ("{{ '\u{1f600}<' | tojson(ensure_ascii=False) }}Q", "\"\u{1f600}<\"2 + 3?"),
        (
            "{{ {'a': [1], 'b': {}} | tojson(indent=4) }}Q",
            "{\n    \"a\": [\n        1\n    ],\n    \"b\": {}\n}2 + 3?",
        ),
        ("{{ [1, 2] | tojson(separators=(',', ':')) }}Q", "[1,2]2 + 3?"),
        (
            "{{ '\u{e9}' | tojson(true) }}{{ '\u{e9}' | tojson(none) }}Q",
            "\"\\u00e9\"\"\u{e9}\"2 + 3?",
        ),
        (
            "{% for m in [1, 2, 3] %}{% if m == 2 %}{% continue %}{% endif %}{% if loop.last %}{% break %}{% endif %}{{ m }}{% endfor %}Q",
            "12 + 3?",
        ),
        (
            "{{ 'a</think>b'.split('</think>')[-1].lstrip('\n') }}{{ 'a.b.c'.rsplit('.', 1) | join('/') }}Q",
            "ba.b/c2 + 3?",
        ),
        (
            "{{ 'Abc'.removeprefix('A').removesuffix('c') }}{{ 'k=v'.partition('=')[2] }}Q",
            "bv2 + 3?",
        ),
        (
            "{% for m in messages[::-1] %}{{ m.role }}{% endfor %}{{ messages | length }}Q",
            "user12 + 3?",
        ),
        (
            "{% for m in messages | selectattr('role', 'equalto', 'user') | list %}{{ m.role }}{% endfor %}Q",
            "user2 + 3?",
        ),
        ("{% macro say(x, y='!') %}{{ x }}{{ y }}{% endmacro %}{{ say('a') }}Q", "a!2 + 3?"),
        (
            "{% set x %}a{% endset %}{{ x }}{{ none }}{{ true }}{{ [1, 'a'] }}Q",
            "aNoneTrue[1, 'a']2 + 3?",
        ),
        (
            "{{ tools is not defined or not tools }}{{ messages[0].content is string }}{{ messages[0] is mapping }}Q",
            "TrueTrueTrue2 + 3?",
        ),
        (
            "{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}{{ dict(a=1)['a'] }}{{ {'a': 2}.get('b', 3) }}Q",
            "a1132 + 3?",
        ),
        (
            "{{ '%s-%d' | format('a', 3) }}{{ 'a' ~ 1 }}{{ ' x ' | trim | upper | indent(2) }}Q",
            "a-3a1X2 + 3?",
        ),
    ];
    for (template, expected) in cases {
        let template = template
            .strip_suffix('Q')
            .map_or(template.to_owned(), |text| [text, question].concat());
        assert_eq!(chat(&template), Ok(format!("{expected}It is")), "{template}");
    }
}

#[test]
fn a_chat_may_set_variables_of_its_template() {
    let read = |text: &str| serde_json::from_str::<Chat>(text);
    let thinking = "{{ messages[0].content }}{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}";
    let own = read(r#"{"variables": {"enable_thinking": false}}"#).unwrap();
    assert_eq!(own.template, None, "the model's own");
    let with = Chat { template: Some(thinking.to_owned()), ..own };
    let format = PromptFormat { chat: Some(with.clone()), ..PromptFormat::default() };
    assert_eq!(rendered(&format).unwrap(), "2 + 3?<think>\n\n</think>\n\nIt is");
    assert_eq!(chat(thinking).unwrap(), "2 + 3?It is");
    for (chat, text) in [
        (Chat::model(), r#""model""#),
        (Chat::template("x"), r#"{"template":"x"}"#),
        (
            with,
            &*format!(
                r#"{{"template":{},"variables":{{"enable_thinking":false}}}}"#,
                serde_json::json!(thinking)
            ),
        ),
    ] {
        assert_eq!(serde_json::to_string(&chat).unwrap(), text, "as presets have it");
        assert_eq!(read(text).unwrap(), chat);
    }
    assert!(read(r#""modell""#).unwrap_err().to_string().contains("unknown chat `modell`"));
    assert!(read(r#"{"templates": ""}"#).unwrap_err().to_string().contains("templates"));
}

#[test]
fn a_turn_ends_as_the_template_ends_it() {
    let special = ["<|bos|>", "<|eos|>", "<|im_end|>"].map(str::to_owned);
    let tokenizer = Tokenizer::train(["How many? User"].into_iter(), 270, &special).unwrap();
    let (_, config) = model();
    let of = |template: &str| {
        let chat = Some(Chat::template(template));
        let prompt =
            PromptFormat { chat, ..PromptFormat::default() }.prompt(&tokenizer, &config).unwrap();
        (prompt.turn_end(&tokenizer, &config).unwrap(), prompt.ends(&tokenizer, &config))
    };
    assert_eq!(config.end_tokens(), [1, 0]);
    assert_eq!(of(TURNS), (2, vec![1, 0, 2]), "not the first of the configuration's");
    assert_eq!(of(HEADERS), (1, vec![1, 0]), "eos_token is");
    assert_eq!(
        of("{% for m in messages %}{{ m.content }} {{ bos_token }}{% endfor %}").0,
        0,
        "after a space"
    );
    assert_eq!(
        of("{% for m in messages %}{{ m.content }}\nUser: {% endfor %}").0,
        1,
        "no token at all"
    );
    let plain = PromptFormat::default().prompt(&tokenizer, &config).unwrap();
    assert_eq!(plain.turn_end(&tokenizer, &config), Some(1));
}

#[test]
fn a_thought_that_the_template_opens_is_closed_in_what_is_learned() {
    let of = |opening: &str| {
        let chat = Chat::template(format!("{{{{ messages[0].content }}}}{opening}"));
        let format = PromptFormat { chat: Some(chat), ..PromptFormat::default() };
        let (tokenizer, config) = model();
        format.prompt(&tokenizer, &config).unwrap()
    };
    let thinks = of("<think>\n");
    let text = thinks.render("1 + 1?", &thinks.learned("#### 2"));
    assert_eq!(text, "1 + 1?<think>\n\n</think>\n\n#### 2");
    assert_eq!(thinks.learned("Hm.\n</think>\n#### 2"), "Hm.\n</think>\n#### 2", "it has its own");
    assert_eq!(of("<think>").learned("#### 2"), "\n\n</think>\n\n#### 2");
    assert_eq!(of("<think>\n\n</think>\n\n").learned("#### 2"), "#### 2");
    assert_eq!(of("Answer:").learned("#### 2"), "#### 2");
}

#[test]
fn a_special_token_that_the_model_lacks_is_named() {
    let format =
        |prefix: &str| PromptFormat { prefix: prefix.to_owned(), ..PromptFormat::default() };
    rendered(&format("<|bos|>a <| b |> c")).unwrap();
    for (mark, has) in [("<|user|>", "<|bos|> <|eos|>"), ("<s>", "<|bos|>")] {
        let error = rendered(&format(mark)).unwrap_err();
        let named =
            error.contains(&format!("`policy.format.prefix`: `{mark}` is no token of the model"));
        assert!(named && error.contains(has), "{error}");
    }
    let suffix = PromptFormat { suffix: "<|answer|>".to_owned(), ..PromptFormat::default() };
    assert!(rendered(&suffix).unwrap_err().contains("policy.format.suffix"));
}
