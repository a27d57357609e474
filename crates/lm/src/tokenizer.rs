//! Byte-level BPE. Reads any text without unknown tokens; every digit is a token of its own.

mod file;

use std::path::Path;

use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::normalizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, TokenizerBuilder};

use self::file::{LARGEST, Spelling};
use crate::{Error, plain};

/// How text is split before merging. Pieces are: a word with the space before it, and the space after it if a number
/// follows; a single digit; punctuation with the spaces around it, so that ` + ` is one token and a digit never carries a
/// space; a line break.
// With a number's space in the word before it, and 1600 entries instead of 900, the rows of 1987 labels went from 248 193
// tokens to 199 065 (docs/METHODS.md).
const PATTERN: &str = r" ?\p{L}+(?: (?=\p{N}))?|\p{N}| ?[^\s\p{L}\p{N}]+ ?|\n|\s";

/// A tokenizer loaded from a `tokenizer.json`.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    spelling: Spelling,
    /// The bytes of every token, by id; empty for special tokens.
    bytes: Vec<Vec<u8>>,
    /// The usable [`OPENINGS`] with their tokens, for encoding a text as a continuation. Empty for tokenizers that encode
    /// a text the same at the start and in the middle.
    openings: Vec<(&'static str, Vec<u32>)>,
    /// The token that the post-processor puts before a text, such as a bos token.
    first: Option<u32>,
    chat_template: Option<String>,
}

impl Tokenizer {
    /// Trains a tokenizer on `texts`. The special tokens get the first ids, in their order, from 0.
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
            // Every byte is an entry, also one that the corpus lacks: no text has an unknown token.
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let split = Split::new(
            SplitPattern::Regex(PATTERN.to_owned()),
            SplitDelimiterBehavior::Isolated,
            false,
        )
        .map_err(failed)?;
        // No regex of its own, since `PATTERN` has split the text already, and no added space.
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
        // Through the text of the file, so that a trained tokenizer passes the same checks as a loaded one.
        let json = inner.to_string(true).map_err(failed)?;
        Self::from_json(&json)
    }

    /// Loads a `tokenizer.json`.
    ///
    /// # Errors
    /// The error names the file, if it is missing or malformed.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = plain::text(path, plain::LARGE)?;
        Self::from_json(&text).map_err(|e| Error::malformed(path, e.to_string()))
    }

    fn from_json(text: &str) -> Result<Self, Error> {
        let spelling = file::check(text).map_err(Error::Tokenizer)?;
        let mut inner = guarded(|| text.parse::<tokenizers::Tokenizer>())?;
        for_single_texts(&mut inner)?;
        let (first, bytes, openings) = (first(&inner), Vec::new(), Vec::new());
        let mut tokenizer = Self { inner, spelling, bytes, openings, first, chat_template: None };
        tokenizer.spell()?;
        if let Some(first) = first.filter(|&first| first as usize >= tokenizer.len()) {
            let problem = format!(
                "its post-processor puts the token {first} before a text, and there is none of that number"
            );
            return Err(Error::Tokenizer(problem));
        }
        tokenizer.open()?;
        Ok(tokenizer)
    }

    /// Tabulates the bytes of every token.
    fn spell(&mut self) -> Result<(), Error> {
        // Ids may have gaps, so we need the largest one, not their number.
        let largest = self.inner.get_vocab(true).into_values().max();
        let count = largest.map_or(0, |id| id as usize + 1);
        if count > LARGEST {
            let problem = format!("it has a token {}: {LARGEST} is the limit", count - 1);
            return Err(Error::Tokenizer(problem));
        }
        let added = self.inner.get_added_vocabulary();
        self.bytes = (0..count as u32)
            .map(|id| {
                let token = added.simple_id_to_token(id).or_else(|| self.inner.id_to_token(id));
                let shown = token.filter(|token| !added.is_special_token(token));
                shown.map_or_else(Vec::new, |token| self.spelling.bytes(&token))
            })
            .collect();
        Ok(())
    }

    /// Finds the openings to use, if the tokenizer adds or strips a space at the start of a text.
    fn open(&mut self) -> Result<(), Error> {
        let openings = OPENINGS.map(|opening| self.encode(opening).map(|ids| (opening, ids)));
        let openings = openings.into_iter().collect::<Result<Vec<_>, _>>()?;
        // An opening that the tokenizer strips as leading space would take part of the text with it.
        self.openings = openings.into_iter().filter(|(_, ids)| !ids.is_empty()).collect();
        let mut same = true;
        for text in ["a", " a"] {
            same &= self.encode(text)? == self.encode_after(text)?;
        }
        if same {
            self.openings.clear();
        }
        Ok(())
    }

    /// Marks more tokens as special. Tokens that are not in the vocabulary are skipped.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the library fails to add them.
    pub(crate) fn with_special(mut self, tokens: &[String]) -> Result<Self, Error> {
        let added = self.inner.get_added_tokens_decoder();
        let special = |token: &String| {
            let id = self.id(token)?;
            let new = AddedToken::from(token.as_str(), true);
            // A known token keeps its other settings, such as whether it strips the spaces around it.
            let known = added.get(&id).cloned().map(|known| known.special(true));
            (!self.inner.get_added_vocabulary().is_special_token(token))
                .then(|| known.unwrap_or(new))
        };
        let special: Vec<AddedToken> = tokens.iter().filter_map(special).collect();
        if special.is_empty() {
            return Ok(self);
        }
        guarded(|| self.inner.add_special_tokens(special))?;
        self.spell()?;
        Ok(self)
    }

    /// Whether a token is one of the added tokens, outside of the model's vocabulary proper.
    pub(crate) fn is_added(&self, token: &str) -> bool {
        self.inner.get_added_vocabulary().get_vocab().contains_key(token)
    }

    /// Sets the chat template, in Jinja.
    #[must_use]
    pub fn with_chat_template(self, chat_template: Option<String>) -> Self {
        Self { chat_template, ..self }
    }

    /// The chat template that came with the tokenizer.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// Serializes the tokenizer as `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the library cannot serialize it.
    pub fn to_json(&self) -> Result<String, Error> {
        self.inner.to_string(true).map_err(|e| Error::Tokenizer(e.to_string()))
    }

    /// Size of the vocabulary, including special tokens and gaps: the largest id plus one.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the vocabulary is empty.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Encodes a text. Special tokens in it are recognized.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the library fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        // Without the post-processor: the preset's format says what stands around a text.
        let encoding = guarded(|| self.inner.encode(text, false))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Encodes a text from its start, with the token that the post-processor puts first, unless the text already begins
    /// with it. `transformers` and inference servers do the same.
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

    /// Encodes a text that continues another. Differs from [`Self::encode`] only for tokenizers that add a space before
    /// the first word of a text, or strip one.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_after(&self, text: &str) -> Result<Vec<u32>, Error> {
        for (opening, before) in &self.openings {
            let ids = self.encode(&[*opening, text].concat())?;
            // This opening may have merged with the text into one token; another one may not.
            if let Some(ids) = ids.strip_prefix(before.as_slice()) {
                return Ok(ids.to_vec());
            }
        }
        self.encode(text)
    }

    /// The id of a word that continues another text and is a single token.
    ///
    /// # Errors
    /// [`Error::Config`] when it is several tokens, or none.
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

    /// Decodes ids to text, without special tokens. Invalid UTF-8 becomes U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.token_bytes(id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The bytes a token adds to a text; empty for special tokens and unknown ids.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], Vec::as_slice)
    }

    /// Looks up a token's id by its text.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Looks up a token's text by its id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }
}

/// The token that the post-processor puts before a text; `None` if there is none, or several.
fn first(inner: &tokenizers::Tokenizer) -> Option<u32> {
    let ids = |special| {
        guarded(|| inner.encode("a", special)).map(|encoding| encoding.get_ids().to_vec()).ok()
    };
    let (plain, whole) = (ids(false)?, ids(true)?);
    let (first, rest) = whole.split_first()?;
    (plain.first() != Some(first) && rest.starts_with(&plain)).then_some(*first)
}

/// Texts to put before another, to see how it is encoded as a continuation.
const OPENINGS: [&str; 4] = ["\n", ".", "a", "0"];

/// Calls the library and turns its panics into errors. Some combinations of settings, which come from untrusted files,
/// make it panic.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, Error> {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
    let done =
        done.unwrap_or_else(|_| Err("its settings do not go together with this text".into()));
    done.map_err(|e| Error::Tokenizer(e.to_string()))
}

/// Turns off truncation, padding and merge dropout. The first two are for batches, and `transformers` sets them on every
/// call; dropout is for training from scratch. A saved tokenizer has them off, too.
fn for_single_texts(inner: &mut tokenizers::Tokenizer) -> Result<(), Error> {
    guarded(|| inner.with_truncation(None).map(|_| ()))?;
    inner.with_padding(None);
    if let ModelWrapper::BPE(model) = inner.get_model()
        && model.dropout.is_some()
    {
        let mut model = model.clone();
        model.dropout = None;
        inner.with_model(model);
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
