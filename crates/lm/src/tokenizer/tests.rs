//! Encoding and decoding, and hostile tokenizer files.

use serde_json::{Value, json};

use super::*;

const CORPUS: [&str; 3] = [
    "Tom has 12 + 5 = 17 apples.\nHe buys 3 bags with 40 apples each.\n#### 137",
    "Anna sells 26 eggs for $3 each. How much money does she make?",
    "17 + 25 = 42",
];

pub(crate) fn tokenizer() -> Tokenizer {
    let special = ["<|bos|>", "<|eos|>", "<|pad|>"].map(str::to_owned);
    Tokenizer::train(CORPUS.into_iter(), 300, &special).unwrap()
}

#[test]
fn any_text_survives_a_round_trip() {
    let tokenizer = tokenizer();
    for text in CORPUS.into_iter().chain(["naïve €5 — 数学\t\u{0}\u{7f} 12,345.67%", "", " \n\n "])
    {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids), text);
    }
}

#[test]
fn no_token_holds_two_digits_or_a_digit_and_anything_else() {
    let tokenizer = tokenizer();
    for id in 3..tokenizer.len() as u32 {
        let text = tokenizer.decode(&[id]);
        if text.contains(|c: char| c.is_ascii_digit()) {
            assert_eq!(text.chars().count(), 1, "{text:?}");
        }
    }
}

#[test]
fn special_tokens_are_one_id_and_no_text() {
    let tokenizer = tokenizer();
    let ids = tokenizer.encode("<|bos|>17").unwrap();
    assert_eq!(ids[0], 0);
    assert_eq!(tokenizer.decode(&ids), "17");
    assert_eq!(tokenizer.token(1).as_deref(), Some("<|eos|>"));
}

/// A tokenizer in the style of Llama 2: spaces are marks, a text starts with one, and characters without an entry become
/// bytes.
fn marked() -> Tokenizer {
    Tokenizer::from_json(&marked_json().to_string()).unwrap()
}

fn marked_json() -> Value {
    let special = ["<unk>", "<s>", "</s>"].map(str::to_owned);
    let bytes = (0..=255u8).map(|byte| format!("<0x{byte:02X}>"));
    let pieces = ["\u{2581}", "a", "b", "ab", "\u{2581}ab"].map(str::to_owned);
    let entries = special.iter().cloned().chain(bytes).chain(pieces).enumerate();
    let vocab: serde_json::Map<String, Value> =
        entries.map(|(id, entry)| (entry, id.into())).collect();
    let added = special.iter().enumerate().map(|(id, content)| {
        serde_json::json!({"id": id, "content": content, "special": true, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false})
    });
    serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u{2581}"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}]},
        "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>",
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
            "byte_fallback": true, "ignore_merges": false, "vocab": vocab,
            "merges": [["a", "b"], ["\u{2581}", "ab"]]},
    })
}

#[test]
fn vocabularies_of_marks_and_bytes_are_read() {
    let tokenizer = marked();
    let tokens = |ids: &[u32]| -> Vec<String> {
        ids.iter().map(|&id| tokenizer.token(id).unwrap()).collect()
    };
    let ids = tokenizer.encode("<s>ab ab\n\u{e9}</s>").unwrap();
    let expected = ["<s>", "\u{2581}ab", "\u{2581}ab", "<0x0A>", "<0xC3>", "<0xA9>", "</s>"];
    assert_eq!(tokens(&ids), expected);
    assert_eq!(tokenizer.decode(&ids), " ab ab\n\u{e9}", "the space is one of its own");
    let after = tokenizer.encode_after("ab\n ab").unwrap();
    assert_eq!(tokens(&after), ["ab", "<0x0A>", "\u{2581}ab"]);
    assert_eq!(tokenizer.decode(&after), "ab\n ab");
    let words = ["ab", " ab"].map(|word| tokenizer.word(word).unwrap());
    assert_eq!(tokens(&words), ["ab", "\u{2581}ab"]);
    let error = tokenizer.word("ab ab").unwrap_err().to_string();
    assert!(error.contains("`ab ab` is 2 tokens"), "{error}");
}

#[test]
fn other_kinds_of_tokenizers_are_refused() {
    let json = r#"{"model": {"type": "WordPiece"}, "decoder": {"type": "WordPiece"}}"#;
    let error = Tokenizer::from_json(json).unwrap_err().to_string();
    assert!(error.contains("only byte-level tokenizers"), "{error}");
    // A vocabulary entry that has the name of the decoder must not count as one.
    let json = r#"{"model": {"type": "BPE", "vocab": {"ByteLevel": 0}, "merges": []}, "decoder": {"type": "Fuse"}}"#;
    let error = Tokenizer::from_json(json).unwrap_err().to_string();
    assert!(error.contains("only byte-level tokenizers"), "{error}");
}

#[test]
fn what_is_written_reads_back_the_same() {
    let tokenizer = tokenizer();
    let json = tokenizer.to_json().unwrap();
    let again = Tokenizer::from_json(&json).unwrap();
    assert_eq!(again.to_json().unwrap(), json);
    let ids = |t: &Tokenizer| t.encode(CORPUS[0]).unwrap();
    assert_eq!(ids(&again), ids(&tokenizer));
}

/// An added token as in a `tokenizer.json`.
fn added(id: usize, content: &str, special: bool, normalized: bool) -> Value {
    json!({"id": id, "content": content, "special": special, "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": normalized})
}

/// The trained tokenizer's file after a change.
fn changed(change: impl FnOnce(&mut Value)) -> Result<Tokenizer, Error> {
    let mut json: Value = serde_json::from_str(&tokenizer().to_json().unwrap()).unwrap();
    change(&mut json);
    Tokenizer::from_json(&json.to_string())
}

fn with_added(tokens: &[(&str, bool)]) -> Tokenizer {
    let first = tokenizer().len();
    let tokens = tokens.iter().zip(first..);
    let tokens = tokens.map(|(&(content, special), id)| added(id, content, special, false));
    let add = |json: &mut Value| json["added_tokens"].as_array_mut().unwrap().extend(tokens);
    changed(add).unwrap()
}

/// The expected texts are those of `transformers` 5.24 with `skip_special_tokens=True`.
#[test]
fn added_tokens_that_are_not_special_are_text() {
    let tokens = [
        ("<think>", false),
        ("</think>", false),
        ("<tool_call>", false),
        ("<|my tok|>", false),
        ("\u{65e5}\u{120}", false),
        ("<|im_end|>", true),
    ];
    let tokenizer = with_added(&tokens);
    for (content, special) in tokens {
        let id = tokenizer.id(content).unwrap();
        let expected = if special { "" } else { content };
        assert_eq!(tokenizer.decode(&[id]), expected, "{content}");
        assert_eq!(tokenizer.token_bytes(id), expected.as_bytes());
    }
    let text = "<think>\n12 + 5\n</think>7<tool_call>";
    let ids = tokenizer.encode(&[text, "<|im_end|>"].concat()).unwrap();
    assert_eq!(tokenizer.decode(&ids), text);
    let again = tokenizer.encode(&tokenizer.decode(&ids)).unwrap();
    assert_eq!(again, ids[..ids.len() - 1], "a text that is read again has the same tokens");
    let saved = Tokenizer::from_json(&tokenizer.to_json().unwrap()).unwrap();
    assert_eq!(saved.decode(&ids), text);
}

/// The expected text is that of `tokenizers` 0.23, which decodes an added token to its normalized form.
#[test]
fn added_tokens_of_marked_vocabularies_are_text_as_well() {
    let mut json = marked_json();
    let first = json["model"]["vocab"].as_object().unwrap().len();
    let tokens = [added(first, "<think>", false, false), added(first + 1, "</think>", false, true)];
    json["added_tokens"].as_array_mut().unwrap().extend(tokens);
    let tokenizer = Tokenizer::from_json(&json.to_string()).unwrap();
    let id = |token: &str| tokenizer.id(token).unwrap();
    let ids = [id("ab"), id("<think>"), id("<0x0A>"), id("</think>"), id("b")];
    assert_eq!(tokenizer.decode(&ids), "ab<think>\n </think>b");
}

/// `transformers` sets truncation and padding on every call, and merge dropout is for training from scratch.
#[test]
fn what_is_set_for_batches_is_not_obeyed_and_not_kept() {
    let text = CORPUS.concat();
    let expected = tokenizer().encode(&text).unwrap();
    let cut =
        json!({"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0});
    let filled = json!({"strategy": {"Fixed": 999}, "direction": "Left", "pad_to_multiple_of": null,
        "pad_id": 2, "pad_type_id": 0, "pad_token": "<|pad|>"});
    let tokenizer = changed(|json| {
        json["truncation"] = cut;
        json["padding"] = filled;
        json["model"]["dropout"] = json!(0.5);
    });
    let tokenizer = tokenizer.unwrap();
    for _ in 0..20 {
        assert_eq!(tokenizer.encode(&text).unwrap(), expected);
        assert_eq!(tokenizer.encode_after(&text).unwrap(), expected);
    }
    let written: Value = serde_json::from_str(&tokenizer.to_json().unwrap()).unwrap();
    for set in [&written["truncation"], &written["padding"], &written["model"]["dropout"]] {
        assert!(set.is_null(), "{set}");
    }
}

/// The prompt format says where a text starts, so the post-processor must not add a bos token as well.
#[test]
fn what_post_processors_add_is_not_added() {
    let expected = tokenizer().encode(CORPUS[0]).unwrap();
    let tokenizer = changed(|json| {
        json["post_processor"] = json!({"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<|bos|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<|bos|>": {"id": "<|bos|>", "ids": [0], "tokens": ["<|bos|>"]}}});
    });
    assert_eq!(tokenizer.unwrap().encode(CORPUS[0]).unwrap(), expected);
}

/// A tokenizer that adds a space at the start of a text, or strips it, must not do so in the middle.
#[test]
fn a_text_in_the_middle_is_read_as_it_is() {
    let spaced = changed(|json| {
        json["pre_tokenizer"] = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    });
    let spaced = spaced.unwrap();
    assert_eq!(spaced.decode(&spaced.encode("ab").unwrap()), " ab");
    let stripped = changed(|json| {
        json["normalizer"] = json!({"type": "Strip", "strip_left": true, "strip_right": false});
    });
    let stripped = stripped.unwrap();
    assert_eq!(stripped.decode(&stripped.encode(" ab").unwrap()), "ab");
    for tokenizer in [&spaced, &tokenizer(), &marked()] {
        for text in ["ab", " ab", "\nab", "\n\nab 12", "", "a b"] {
            let ids = tokenizer.encode_after(text).unwrap();
            assert_eq!(tokenizer.decode(&ids), text, "{text:?}");
        }
    }
    for text in ["ab", " ab", "a b"] {
        let ids = stripped.encode_after(text).unwrap();
        assert_eq!(stripped.decode(&ids), text, "{text:?}");
    }
}

/// Two line breaks are one token here, so an opening must not merge with the text.
#[test]
fn an_opening_that_joins_the_text_is_not_taken() {
    let tokenizer = changed(|json| {
        json["pre_tokenizer"] = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": false});
        let vocab = json["model"]["vocab"].as_object_mut().unwrap();
        let next = vocab.len();
        vocab.insert("\u{10a}\u{10a}".to_owned(), next.into());
        json["model"]["merges"] = json!([["\u{10a}", "\u{10a}"]]);
    });
    let tokenizer = tokenizer.unwrap();
    let ids = tokenizer.encode_after("\nab").unwrap();
    assert_eq!(tokenizer.decode(&ids), "\nab");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn a_hostile_file_is_refused_and_the_reason_said() {
    type Change = (&'static str, &'static str, Value);
    let doubled = |pattern: Value| {
        let one = json!({"type": "Replace", "pattern": pattern, "content": "aa"});
        json!({"type": "Sequence", "normalizers": vec![one; 40]})
    };
    let nested = |kind: &str, key: &str, inner: Value| json!({"type": kind, key: inner});
    let table = |bytes: &[u8]| {
        use base64::Engine as _;
        let table = base64::engine::general_purpose::STANDARD.encode(bytes);
        json!({"type": "Precompiled", "precompiled_charsmap": table})
    };
    let changes: Vec<Change> = vec![
        ("/normalizer", "times as long", doubled(json!({"String": "a"}))),
        ("/normalizer", "times as long", doubled(json!({"Regex": "a"}))),
        ("/normalizer", "times as long", doubled(json!({"String": ""}))),
        (
            "/normalizer",
            "times as long",
            json!({"type": "Replace", "pattern": {"String": "a"}, "content": "b".repeat(5000)}),
        ),
        (
            "/normalizer",
            "more than 256 bytes before",
            json!({"type": "Prepend", "prepend": "b".repeat(5000)}),
        ),
        (
            "/pre_tokenizer",
            "times as long",
            nested("Sequence", "pretokenizers", json!(vec![json!({"type": "ByteLevel"}); 40])),
        ),
        (
            "/pre_tokenizer",
            "more than 256 steps",
            nested("Sequence", "pretokenizers", json!(vec![json!({"type": "Whitespace"}); 400])),
        ),
        ("/pre_tokenizer", "no length", json!({"type": "FixedLength", "length": 0})),
        ("/normalizer", "without a type", json!({"normalizers": []})),
        ("/normalizer", "cut short", table(&[])),
        ("/normalizer", "cut short", table(&[0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4])),
        ("/normalizer", "outside of itself", table(&[0, 0, 0, 0, b'a'])),
        ("/normalizer", "outside of itself", table(&[4, 0, 0, 0, 7, 7, 7, 7, b'a'])),
        ("/normalizer", "utf-8", table(&[0, 0, 0, 0, 0xFF])),
        (
            "/normalizer",
            "broken",
            json!({"type": "Precompiled", "precompiled_charsmap": "no base64!"}),
        ),
        ("/model/vocab", "vocabulary is empty", json!({})),
        ("/model/vocab", "no vocabulary", json!(7)),
        ("/model/vocab", "the same number 1", json!({"a": 0, "b": 1, "c": 1})),
        ("/model/vocab", "must be below", json!({"a": 4_294_967_295_u32})),
        ("/model/vocab", "must be below", json!({"a": -1})),
        ("/model/merges", "is not two entries that make a third", json!([["a", "Q"]])),
        ("/model/merges", "is not two entries that make a third", json!(["a nowhere"])),
        ("/model/merges", "is not two entries that make a third", json!([["a"]])),
        ("/model/continuing_subword_prefix", "that make a third", json!("##########")),
        ("/model/continuing_subword_prefix", "longer than 256", json!("#".repeat(1000))),
        ("/model/end_of_word_suffix", "longer than 256", json!("#".repeat(1000))),
        ("/model/dropout", "ropout", json!(7.0)),
        ("/model/type", "only byte-level", json!("WordPiece")),
    ];
    for (place, expected, value) in changes {
        let shown = value.to_string().chars().take(80).collect::<String>();
        let result = changed(|json| *json.pointer_mut(place).unwrap() = value);
        let error = result.map(|_| ()).expect_err(&shown).to_string();
        assert!(error.contains(expected), "{place} {shown}: {error}");
    }
    let deep = "[".repeat(100_000);
    assert!(Tokenizer::from_json(&deep).unwrap_err().to_string().contains("not JSON"));
}

/// Many real files have replacements that do not feed each other. Their growth factors must not be multiplied.
#[test]
fn many_replacements_that_do_not_meet_are_taken() {
    let tokenizer = changed(|json| {
        let wide = |c: char| char::from_u32(c as u32 + 0xFEE0).unwrap().to_string();
        let one = |c: char| json!({"type": "Replace", "pattern": {"String": c.to_string()}, "content": wide(c)});
        let all: Vec<Value> = ('A'..='Z').map(one).collect();
        json["normalizer"] = json!({"type": "Sequence", "normalizers": all});
    });
    let tokenizer = tokenizer.unwrap();
    assert_eq!(tokenizer.decode(&tokenizer.encode("aB").unwrap()), "a\u{ff22}");
}

/// A table with a single leaf, as sentencepiece writes it: `a` becomes `bc`.
#[test]
fn a_table_of_rewrites_is_followed() {
    use base64::Engine as _;
    let mut units = [0_u32; 512];
    units[usize::from(b'a')] = u32::from(b'a') | (1 << 8) | (256 << 10);
    let mut table = (units.len() as u32 * 4).to_le_bytes().to_vec();
    table.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    table.extend(b"bc\0");
    let encoded = |table: &[u8]| base64::engine::general_purpose::STANDARD.encode(table);
    let with = |table: &[u8]| {
        let table = encoded(table);
        changed(|json| {
            json["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": table});
        })
    };
    let tokenizer = with(&table).unwrap();
    assert_eq!(tokenizer.decode(&tokenizer.encode("xax").unwrap()), "xbcx");
    // The leaf points past the texts.
    let leaf = 4 + 4 * (usize::from(b'a') ^ 256);
    table[leaf] = 200;
    let error = with(&table).unwrap_err().to_string();
    assert!(error.contains("outside of itself"), "{error}");
}

/// With any byte flipped, the file either loads or is refused; nothing panics, not even on a later text.
#[test]
fn a_flipped_byte_never_ends_the_program() {
    let json = marked_json().to_string().into_bytes();
    for at in (0..json.len()).step_by(3) {
        let mut json = json.clone();
        json[at] ^= 1 << (at % 7);
        let Ok(json) = String::from_utf8(json) else { continue };
        if let Ok(tokenizer) = Tokenizer::from_json(&json) {
            let ids = tokenizer.encode("<s>ab \u{e9}").unwrap_or_default();
            tokenizer.decode(&ids);
        }
    }
}

#[test]
fn a_text_begins_with_what_the_post_processor_puts_there() {
    let mut json: Value = serde_json::from_str(&marked().to_json().unwrap()).unwrap();
    json["post_processor"] = serde_json::json!({"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}});
    let adding = Tokenizer::from_json(&json.to_string()).unwrap();
    let ids = adding.encode("ab").unwrap();
    assert_eq!(adding.encode_whole("ab").unwrap(), [&[1][..], &ids].concat());
    assert_eq!(adding.encode_whole("<s>ab").unwrap(), adding.encode("<s>ab").unwrap(), "once");
    assert_eq!(adding.encode_whole("").unwrap(), [1]);
    assert_eq!(marked().encode_whole("ab").unwrap(), ids, "where none is put, none is");
    // The model has no token with this id.
    json["post_processor"]["special_tokens"]["<s>"]["ids"] = json!([100_000]);
    let error = Tokenizer::from_json(&json.to_string()).unwrap_err().to_string();
    assert!(error.contains("token 100000"), "{error}");
}
