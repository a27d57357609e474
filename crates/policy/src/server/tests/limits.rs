//! Tests of the limits of a server: unlisted words, overlong texts, unknown special tokens.

use super::*;

/// If one word is nearly certain, the other is not listed, but its probability is still not 0.
#[test]
fn no_word_is_impossible_for_not_being_shown() {
    let sure = r#"{"choices": [{"text": " True", "finish_reason": "length", "logprobs": {"tokens": [" True"],
        "token_logprobs": [0.0], "top_logprobs": [{" True": 0.0, "x": -30.0}]}}]}"#;
    let fake = spoiled(move |_, _| Reply::Whole(200, String::new(), sure.to_owned()));
    let policy = policy(fake.connect(None).unwrap(), Termination::Line);
    let choice = [Choice { question: "", text: "Q: Is it?".to_owned() }];
    for (yes, no) in [(" True", " False"), (" False", " True")] {
        let share =
            policy.choose(&choice, yes, no, &mut Prefixes::default()).unwrap()[0].yes as f32;
        assert!(share > 0.0 && share < 1.0, "{share}");
        assert_eq!(share > 0.5, yes == " True");
    }
}

/// Error responses for a prompt that exceeds the context.
const OVER: [&str; 6] = [
    r#"{"object": "error", "message": "This model's maximum context length is 64 tokens. However, you requested 70 tokens"}"#,
    r#"{"error": {"code": 400, "message": "the request exceeds the available context size, try increasing it", "type": "exceed_context_size_error"}}"#,
    r#"{"error": {"message": "Requested token count exceeds the model's maximum context length of 64 tokens."}}"#,
    r#"{"error": {"message": "The decoder prompt (length 70) is longer than the maximum model length of 64."}}"#,
    r#"{"error": "Input validation error: `inputs` must have less than 64 tokens. Given: 70", "error_type": "validation"}"#,
    r#"{"object": "error", "message": "max_tokens must be at least 1, got -6.", "code": 400}"#,
];

/// A row that does not fit is skipped and the others are written. It does not end the run.
#[test]
fn a_text_over_the_context_is_skipped() {
    for said in OVER {
        let fake = Fake::start(VLLM, move |asked, _, reply| {
            let long = asked.body["prompt"].as_str().is_some_and(|prompt| prompt.len() > 60);
            if long { Reply::Whole(400, String::new(), said.to_owned()) } else { reply }
        });
        let policy = policy(fake.connect(None).unwrap(), Termination::Line);
        let long = "It is so. ".repeat(9);
        let end = StateRequest { to_end: true, ..greedy(&long) };
        let written = write(&policy, &[greedy(""), greedy(&long), end]).unwrap();
        assert_eq!(written[0].text, "It is 4 + 5 = 9.\n");
        for (option, terminal) in written[1..].iter().zip([false, true]) {
            let found =
                (option.text.as_str(), option.finish.name(), option.tokens, option.terminal);
            assert_eq!(found, ("", "length", 0, terminal), "{said}");
        }
        let choices =
            [" ".repeat(99), "Is it?".to_owned()].map(|text| Choice { question: "", text });
        let weighed = policy.choose(&choices, " True", " False", &mut Prefixes::default()).unwrap();
        assert!(weighed[0].yes == 0.0 && weighed[1].yes > 0.5, "{weighed:?}");
    }
}

#[test]
fn the_context_of_a_server_is_read_where_it_says_it() {
    let fake = Fake::start(VLLM, |asked, _, reply| match reply {
        Reply::Whole(status, header, body) => {
            let mut body: Value = serde_json::from_str(&body).unwrap();
            let words = asked.body["prompt"].as_str().map_or(0, |text| text.split(' ').count());
            if asked.path == "/v1/models" {
                body["data"][0]["max_model_len"] = 40.into();
            } else if words + asked.body["max_tokens"].as_u64().unwrap() as usize > 40 {
                return Reply::Whole(400, header, OVER[0].to_owned());
            }
            body["usage"]["prompt_tokens"] = words.into();
            Reply::Whole(status, header, body.to_string())
        }
        other => other,
    });
    let config = PolicyConfig { max_solution_tokens: 39, ..config(Termination::Line) };
    let policy = Policy::served(fake.connect(None).unwrap(), config).unwrap();
    let asked = fake.asked().len();
    assert!(policy.fits("4 + 5?", 20).unwrap());
    assert_eq!(fake.asked().len(), asked, "there are fewer bytes than tokens have room");
    // With the format around it the prompt has 37 words, which are tokens here.
    let question = "4 +  5?".replace("  ", &" ".repeat(34));
    assert!(policy.fits(&question, 2).unwrap());
    assert!(!policy.fits(&question, 9).unwrap());
    // There is less room than the longest solution needs: the request is shortened to fit.
    let end = StateRequest { to_end: true, ..greedy("") };
    assert_eq!(write(&policy, &[end]).unwrap()[0].text, "It is 4 + 5 = 9.\n#### 9");
    assert_eq!(fake.asked().last().unwrap().body["max_tokens"], 36);
}

/// A server that reports its context only when it refuses a prompt gets a second request with a smaller `max_tokens`.
#[test]
fn the_context_of_a_server_is_read_where_it_refuses_a_text() {
    let fake = Fake::start(VLLM, |asked, _, reply| match reply {
        Reply::Whole(status, header, body) if asked.body["prompt"].is_string() => {
            let words = asked.body["prompt"].as_str().map_or(0, |text| text.split(' ').count());
            if words + asked.body["max_tokens"].as_u64().unwrap() as usize > 64 {
                return Reply::Whole(400, header, OVER[0].to_owned());
            }
            let mut body: Value = serde_json::from_str(&body).unwrap();
            body["usage"]["prompt_tokens"] = words.into();
            Reply::Whole(status, header, body.to_string())
        }
        other => other,
    });
    let config = PolicyConfig { max_solution_tokens: 63, ..config(Termination::Line) };
    let policy = Policy::served(fake.connect(None).unwrap(), config).unwrap();
    let end = StateRequest { to_end: true, ..greedy("") };
    assert_eq!(write(&policy, &[end]).unwrap()[0].text, "It is 4 + 5 = 9.\n#### 9");
    assert_eq!(fake.asked().last().unwrap().body["max_tokens"], 60);
}

/// Server messages are printed to a terminal.
#[test]
fn what_a_server_says_does_nothing_to_a_terminal() {
    let red = Reply::Whole(404, String::new(), "\u{1b}[31mno such\u{7} model".to_owned());
    let fake = spoiled(move |_, _| red.clone());
    let policy = policy(fake.connect(None).unwrap(), Termination::Line);
    let said = write(&policy, &[greedy("")]).unwrap_err().to_string();
    assert!(said.ends_with("\\u{1b}[31mno such\\u{7} model"), "{said:?}");
}

/// A special token that the served model lacks would be tokenized as plain text. The prompt's token count shows it.
#[test]
fn a_special_token_that_the_server_reads_as_text_is_refused() {
    let counting = |of_mark: u64| {
        Fake::start(VLLM, move |asked, _, reply| match reply {
            Reply::Whole(status, header, body) => {
                let mut body: Value = serde_json::from_str(&body).unwrap();
                let marks =
                    asked.body["prompt"].as_str().map_or(0, |text| text.matches("<|").count());
                body["usage"]["prompt_tokens"] = (1 + of_mark * marks as u64).into();
                Reply::Whole(status, header, body.to_string())
            }
            other => other,
        })
    };
    let served = |of_mark, prefix: &str| {
        let format = PromptFormat { prefix: prefix.to_owned(), ..PromptFormat::default() };
        let config = PolicyConfig { format, ..config(Termination::Line) };
        Policy::served(counting(of_mark).connect(None).unwrap(), config)
    };
    served(1, "<|bos|>Q: ").unwrap();
    let error = served(5, "<|bos|>Q: ").unwrap_err().to_string();
    let named = error.contains("`policy.format.prefix`: `<|bos|>` is no token of its model");
    assert!(named && error.contains("5 tokens"), "{error}");
}
