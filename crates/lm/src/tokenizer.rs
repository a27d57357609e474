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
}

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
        // Other kinds (SentencePiece) write spaces and bytes in ways of their own.
        if !text.contains("\"ByteLevel\"") {
            let problem = "only byte-level tokenizers are supported (as of Llama 3, Qwen, GPT-2)";
            return Err(Error::Tokenizer(problem.to_owned()));
        }
        let inner: tokenizers::Tokenizer =
            text.parse().map_err(|e: tokenizers::Error| Error::Tokenizer(e.to_string()))?;
        let count = inner.get_vocab_size(true);
        let added = inner.get_added_tokens_decoder();
        let bytes = (0..count as u32)
            .map(|id| match (added.get(&id), inner.id_to_token(id)) {
                (None, Some(token)) => token_bytes(&token),
                _ => Vec::new(),
            })
            .collect();
        Ok(Self { inner, bytes })
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

    /// The text of some ids, without special tokens. Bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.token_bytes(id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The text of some ids, `count` at a time; more where a character has bytes of several tokens.
    pub fn cut(&self, ids: &[u32], count: usize) -> Vec<String> {
        let (mut parts, mut from) = (Vec::new(), 0);
        for to in 1..=ids.len() {
            let text = self.decode(&ids[from..to]);
            let whole = to - from >= count && !text.ends_with(char::REPLACEMENT_CHARACTER);
            // The end of the text has none of its own.
            if whole || (to == ids.len() && !text.is_empty()) {
                parts.push(text);
                from = to;
            }
        }
        parts
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
