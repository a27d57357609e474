//! Byte-level BPE: reads any text without unknowns, every digit a token of its own.

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

use self::file::Spelling;
use crate::{Error, plain};

/// The most tokens: more than any real vocabulary has, few enough to keep a list of.
const LARGEST: usize = 1 << 22;

/// How text is cut before merging: words with the space before them, and the one between them and a
/// number; single digits; marks with the spaces around them (so that ` + ` is one token and a digit
/// never carries a space); line ends.
const PATTERN: &str = r" ?\p{L}+(?: (?=\p{N}))?|\p{N}| ?[^\s\p{L}\p{N}]+ ?|\n|\s";

/// A tokenizer as in a `tokenizer.json`.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    spelling: Spelling,
    /// The bytes of every token, by id; empty for special tokens.
    bytes: Vec<Vec<u8>>,
    /// Of [`OPENINGS`], those that a text in the middle is read after, with their tokens; none where a text begins as it
    /// goes on.
    openings: Vec<(&'static str, Vec<u32>)>,
    /// What its post-processor puts before a text.
    first: Option<u32>,
    chat_template: Option<String>,
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

    /// Notes what every token adds to a text.
    fn spell(&mut self) -> Result<(), Error> {
        // Numbers may have gaps: what counts is the largest.
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

    /// Notes what a text in the middle is read after, where it would begin with a space of its own or without its first.
    fn open(&mut self) -> Result<(), Error> {
        let openings = OPENINGS.map(|opening| self.encode(opening).map(|ids| (opening, ids)));
        let openings = openings.into_iter().collect::<Result<Vec<_>, _>>()?;
        // What is stripped from the beginning would take a part of the text with it.
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

    /// The same with more tokens that are no text; those that the vocabulary does not have are left out.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the library cannot tell them from others.
    pub(crate) fn with_special(mut self, tokens: &[String]) -> Result<Self, Error> {
        let added = self.inner.get_added_tokens_decoder();
        let special = |token: &String| {
            let id = self.id(token)?;
            let new = AddedToken::from(token.as_str(), true);
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

    /// Whether a token is one that has been added to the vocabulary.
    pub(crate) fn is_added(&self, token: &str) -> bool {
        self.inner.get_added_vocabulary().get_vocab().contains_key(token)
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
        let encoding = guarded(|| self.inner.encode(text, false))?;
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

    /// The ids of a text that comes after another: the same as [`Self::encode`] but for tokenizers that put a space
    /// before the first word of a text, or take one away.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_after(&self, text: &str) -> Result<Vec<u32>, Error> {
        for (opening, before) in &self.openings {
            let ids = self.encode(&[*opening, text].concat())?;
            // Where the two share a token, another opening may not.
            if let Some(ids) = ids.strip_prefix(before.as_slice()) {
                return Ok(ids.to_vec());
            }
        }
        self.encode(text)
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
    let ids = |special| {
        guarded(|| inner.encode("a", special)).map(|encoding| encoding.get_ids().to_vec()).ok()
    };
    let (plain, whole) = (ids(false)?, ids(true)?);
    let (first, rest) = whole.split_first()?;
    (plain.first() != Some(first) && rest.starts_with(&plain)).then_some(*first)
}

/// Put before a text to see its tokens in the middle of another.
const OPENINGS: [&str; 4] = ["\n", ".", "a", "0"];

/// Calls the library; where it panics, that is an error like any other.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, Error> {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
    let done =
        done.unwrap_or_else(|_| Err("its settings do not go together with this text".into()));
    done.map_err(|e| Error::Tokenizer(e.to_string()))
}

/// Turns off what `transformers` sets anew for every call, or what is meant for a training from nothing: cutting and
/// filling texts, and merges that are left out by chance. What is written says so, too.
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
