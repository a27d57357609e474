//! Byte-level BPE: reads any text without unknowns, every digit a token of its own.

use std::path::Path;

use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::normalizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, TokenizerBuilder};

use crate::Error;

/// How text is cut before merging: words with the space before them, and the one between them and a
/// number; single digits; marks with the spaces around them (so that ` + ` is one token and a digit
/// never carries a space); line ends.
const PATTERN: &str = r" ?\p{L}+(?: (?=\p{N}))?|\p{N}| ?[^\s\p{L}\p{N}]+ ?|\n|\s";

/// A tokenizer as in a `tokenizer.json`.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The bytes of every token, by id; empty for special tokens.
    bytes: Vec<Vec<u8>>,
    /// Tokens that stand for nothing at the beginning of a text, of [`Spelling::Marked`] alone.
    opening: Vec<u32>,
    /// What its post-processor puts before a text.
    first: Option<u32>,
    chat_template: Option<String>,
}

/// How the entries of a vocabulary spell bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// A character for every byte: Llama 3, Qwen, GPT-2.
    ByteLevel,
    /// As text, with a mark for the space and `<0x0A>` for bytes that have no entry: Llama 2, Mistral.
    Marked,
}

/// The most tokens: more than any real vocabulary has, few enough to keep a list of.
const LARGEST: usize = 1 << 22;

/// What stands for a space in a vocabulary of [`Spelling::Marked`].
const SPACE_MARK: char = '\u{2581}';

impl Tokenizer {
    /// Trains on `texts`. The special tokens come first, in their order, from id 0.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when training fails.
    pub fn train<'a, I: Iterator<Item = &'a str> + Send>(
        texts: I,
        vocab_size: usize,
        special: &[String],
    ) -> Result<Self, Error> {
        let failed = |e: tokenizers::Error| Error::Tokenizer(e.to_string());
        let specials = || special.iter().map(|s| AddedToken::from(s.as_str(), true));
        let mut trainer = BpeTrainerBuilder::new()
            .show_progress(false)
            .vocab_size(vocab_size)
            .min_frequency(2)
            .special_tokens(specials().collect())
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let split = Split::new(
            SplitPattern::Regex(PATTERN.to_owned()),
            SplitDelimiterBehavior::Isolated,
            false,
        )
        .map_err(failed)?;
        let bytes = ByteLevel::new(false, true, false);
        let pre = Sequence::new(vec![
            PreTokenizerWrapper::Split(split),
            PreTokenizerWrapper::ByteLevel(bytes),
        ]);
        let mut inner = TokenizerBuilder::<
            BPE,
            tokenizers::NormalizerWrapper,
            Sequence,
            tokenizers::PostProcessorWrapper,
            ByteLevel,
        >::new()
        .with_model(BPE::default())
        .with_normalizer(None)
        .with_pre_tokenizer(Some(pre))
        .with_post_processor(None)
        .with_decoder(Some(bytes))
        .build()
        .map_err(failed)?;
        inner.train(&mut trainer, texts).map_err(failed)?;
        let json = inner.to_string(true).map_err(failed)?;
        Self::from_json(&json)
    }

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// Names the file when it is missing or malformed.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        Self::from_json(&text).map_err(|e| Error::malformed(path, e.to_string()))
    }

    fn from_json(text: &str) -> Result<Self, Error> {
        let spelling = if text.contains("\"ByteLevel\"") {
            Spelling::ByteLevel
        } else if text.contains("\"ByteFallback\"") {
            Spelling::Marked
        } else {
            let problem = "only byte-level tokenizers (as of Llama 3, Qwen, GPT-2) and those that fall back to bytes \
                           (Llama 2, Mistral) are supported";
            return Err(Error::Tokenizer(problem.to_owned()));
        };
        let inner: tokenizers::Tokenizer =
            text.parse().map_err(|e: tokenizers::Error| Error::Tokenizer(e.to_string()))?;
        // Numbers may have gaps: what counts is the largest.
        let count = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        if count > LARGEST {
            return Err(Error::Tokenizer(format!(
                "it has a token {}: {LARGEST} is the limit",
                count - 1
            )));
        }
        let added = inner.get_added_tokens_decoder();
        let bytes = (0..count as u32)
            .map(|id| match (added.get(&id), inner.id_to_token(id)) {
                (None, Some(token)) => spelling.bytes(&token),
                _ => Vec::new(),
            })
            .collect();
        let first = first(&inner);
        let mut tokenizer = Self { inner, bytes, opening: Vec::new(), first, chat_template: None };
        if spelling == Spelling::Marked {
            tokenizer.opening = tokenizer.encode(OPENING)?;
        }
        Ok(tokenizer)
    }

    /// The same with a chat template, in Jinja.
    #[must_use]
    pub fn with_chat_template(self, chat_template: Option<String>) -> Self {
        Self { chat_template, ..self }
    }

    /// The chat template that came with it.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// The text of the `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the library cannot write it.
    pub fn to_json(&self) -> Result<String, Error> {
        self.inner.to_string(true).map_err(|e| Error::Tokenizer(e.to_string()))
    }

    /// Entries of the vocabulary, special tokens included.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the vocabulary has no entry.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The ids of a text; special tokens are recognised by their text.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the library fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding =
            self.inner.encode(text, false).map_err(|e| Error::Tokenizer(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The ids of a text from its beginning: with the token that the post-processor puts before a text, as `transformers` and
    /// servers have it put, unless the text begins with it.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_whole(&self, text: &str) -> Result<Vec<u32>, Error> {
        let mut ids = self.encode(text)?;
        if let Some(first) = self.first.filter(|first| ids.first() != Some(first)) {
            ids.insert(0, first);
        }
        Ok(ids)
    }

    /// The ids of a text that comes after another: the same as [`Self::encode`] but for vocabularies that put a space
    /// before the first word of a text.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_after(&self, text: &str) -> Result<Vec<u32>, Error> {
        if self.opening.is_empty() {
            return self.encode(text);
        }
        let ids = self.encode(&[OPENING, text].concat())?;
        Ok(ids.strip_prefix(self.opening.as_slice()).map_or_else(|| ids.clone(), <[u32]>::to_vec))
    }

    /// The id of a word that comes after another text and is one token.
    ///
    /// # Errors
    /// [`Error::Config`] when it is more than one, or none.
    pub fn word(&self, text: &str) -> Result<u32, Error> {
        match self.encode_after(text)?.as_slice() {
            [id] => Ok(*id),
            ids => {
                let count = ids.len();
                let problem =
                    format!("`{text}` is {count} tokens of the tokenizer: it must be one");
                Err(Error::Config(problem))
            }
        }
    }

    /// The text of some ids, without special tokens. Bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.token_bytes(id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The bytes a token adds to a text; none for special tokens and unknown ids.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], Vec::as_slice)
    }

    /// The id of a token by its text.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The text of a token by its id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }
}

/// The token that a post-processor puts before a text; none where it puts none, or several.
fn first(inner: &tokenizers::Tokenizer) -> Option<u32> {
    let ids = |special| inner.encode("a", special).map(|encoding| encoding.get_ids().to_vec()).ok();
    let (plain, whole) = (ids(false)?, ids(true)?);
    let (first, rest) = whole.split_first()?;
    (plain.first() != Some(first) && rest.starts_with(&plain)).then_some(*first)
}

/// Put before a text to see its tokens in the middle of another: a line end is a token by itself.
const OPENING: &str = "\n";

impl Spelling {
    /// The bytes that an entry of the vocabulary stands for.
    fn bytes(self, token: &str) -> Vec<u8> {
        match self {
            Self::ByteLevel => token_bytes(token),
            Self::Marked => {
                let hex = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
                match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(byte) => vec![byte],
                    None => token.replace(SPACE_MARK, " ").into_bytes(),
                }
            }
        }
    }
}

/// Undoes the byte-level alphabet, in which printable characters stand for themselves and the other
/// bytes are characters from U+0100 on, in order.
fn token_bytes(token: &str) -> Vec<u8> {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    token
        .chars()
        .flat_map(|c| {
            let code = c as u32;
            let shifted = code
                .checked_sub(256)
                .and_then(|n| (0..=255u8).filter(|&b| !printable(b)).nth(n as usize));
            match (u8::try_from(code), shifted) {
                (Ok(byte), _) if printable(byte) => vec![byte],
                (_, Some(byte)) => vec![byte],
                // Not in the alphabet (another kind of vocabulary): the text stands for itself.
                _ => c.to_string().into_bytes(),
            }
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
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
        for text in
            CORPUS.into_iter().chain(["naïve €5 — 数学\t\u{0}\u{7f} 12,345.67%", "", " \n\n "])
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

    /// A vocabulary as Llama 2 has it: spaces are marks, a text begins with one, and what has no entry is its bytes.
    fn marked() -> Tokenizer {
        let special = ["<unk>", "<s>", "</s>"].map(str::to_owned);
        let bytes = (0..=255u8).map(|byte| format!("<0x{byte:02X}>"));
        let pieces = ["\u{2581}", "a", "b", "ab", "\u{2581}ab"].map(str::to_owned);
        let entries = special.iter().cloned().chain(bytes).chain(pieces).enumerate();
        let vocab: serde_json::Map<String, serde_json::Value> =
            entries.map(|(id, entry)| (entry, id.into())).collect();
        let added = special.iter().enumerate().map(|(id, content)| {
            serde_json::json!({"id": id, "content": content, "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false})
        });
        let json = serde_json::json!({
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
        });
        Tokenizer::from_json(&json.to_string()).unwrap()
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
    fn a_text_begins_with_what_the_post_processor_puts_there() {
        let mut json: serde_json::Value =
            serde_json::from_str(&marked().to_json().unwrap()).unwrap();
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
    }

    #[test]
    fn other_kinds_of_tokenizers_are_refused() {
        let json = r#"{"model": {"type": "WordPiece"}, "decoder": {"type": "WordPiece"}}"#;
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
}
