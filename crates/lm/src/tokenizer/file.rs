//! Validates a `tokenizer.json` before the library sees it. The library trusts the file, and some settings would crash
//! the program or fill the memory at the first text that runs into them.

mod charsmap;

use serde_json::{Map, Value};

/// How vocabulary entries represent bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// One character per byte: Llama 3, Qwen, GPT-2.
    ByteLevel,
    /// Plain text, with a mark for spaces and `<0x0A>` for bytes without an entry: Llama 2, Mistral.
    Marked,
}

/// Limit on token ids: more than any real vocabulary has, and few enough to keep a list of.
pub(super) const LARGEST: usize = 1 << 22;

/// Stands for a space in a [`Spelling::Marked`] vocabulary.
const SPACE_MARK: char = '\u{2581}';

/// Limit on the factor by which normalization may lengthen a text. Real normalizers stay below 100.
const MOST_GROWTH: f64 = 1024.0;
/// Maximum number of steps in the normalizer, the pre-tokenizer or the decoder.
const MOST_STEPS: usize = 256;
/// Maximum size of a prefix or suffix that is added to a text or to each of its words, in bytes.
const MOST_AFFIX: usize = 256;

/// Checks the contents of a `tokenizer.json` and returns how its vocabulary spells bytes.
///
/// # Errors
/// A message that says what is wrong.
pub(super) fn check(text: &str) -> Result<Spelling, String> {
    let file: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
    let steps = |key: &str| steps(&file[key], key);
    let (normalizer, splits) = (steps("normalizer")?, steps("pre_tokenizer")?);
    let decoder = steps("decoder")?;
    let has = |steps: &[Step<'_>], kind: &str| steps.iter().any(|step| step.kind == kind);
    let known = matches!(file["model"]["type"].as_str(), None | Some("BPE" | "Unigram"));
    let spelling = if !known {
        None
    } else if has(&decoder, "ByteLevel") {
        Some(Spelling::ByteLevel)
    } else if has(&decoder, "ByteFallback") {
        Some(Spelling::Marked)
    } else {
        let spelled = has(&splits, "ByteLevel") || has(&normalizer, "ByteLevel");
        (decoder.is_empty() && spelled).then_some(Spelling::ByteLevel)
    };
    let spelling = spelling.ok_or(
        "only byte-level tokenizers (as of Llama 3, Qwen, GPT-2) and those that fall back to bytes (Llama 2, Mistral) \
         are supported",
    )?;
    let growth = growth(&[normalizer, splits].concat())?;
    if growth > MOST_GROWTH {
        return Err(format!(
            "its normalizer can make a text {growth:.0} times as long: {MOST_GROWTH:.0} is the limit"
        ));
    }
    match &file["model"]["vocab"] {
        Value::Object(vocab) => check_pairs(vocab, &file["model"])?,
        Value::Array(vocab) => check_pieces(vocab)?,
        _ => return Err("its model has no vocabulary".to_owned()),
    }
    Ok(spelling)
}

/// Checks a BPE vocabulary: ids must be unique, and every merge must produce an entry.
fn check_pairs(vocab: &Map<String, Value>, model: &Value) -> Result<(), String> {
    if vocab.is_empty() {
        return Err("its vocabulary is empty".to_owned());
    }
    let mut names = vec![None; vocab.len()];
    for (name, id) in vocab {
        let number = id.as_u64().and_then(|id| usize::try_from(id).ok());
        let number = number.filter(|&id| id < LARGEST);
        let number = number.ok_or_else(|| {
            format!("entry `{name}` has the number {id}: it must be below {LARGEST}")
        })?;
        if number >= names.len() {
            names.resize(number + 1, None);
        }
        if let Some(other) = names[number].replace(name) {
            return Err(format!("entries `{other}` and `{name}` have the same number {number}"));
        }
    }
    let affix = |key: &str| {
        let affix = model[key].as_str().unwrap_or_default();
        let fine = affix.len() <= MOST_AFFIX;
        fine.then_some(affix).ok_or_else(|| format!("{key} is longer than {MOST_AFFIX} bytes"))
    };
    let prefix = affix("continuing_subword_prefix")?;
    affix("end_of_word_suffix")?;
    let merges = model["merges"].as_array().map_or(&[][..], Vec::as_slice);
    match merges.iter().find(|merge| !is_merge(merge, prefix, vocab)) {
        Some(merge) => Err(format!("merge {merge} is not two entries that make a third")),
        None => Ok(()),
    }
}

/// Whether a merge joins two entries into a third one. The second loses its subword prefix.
fn is_merge(merge: &Value, prefix: &str, vocab: &Map<String, Value>) -> bool {
    let pair = match merge {
        // The library skips the first line of a `merges.txt`, so it may stand in this list too.
        Value::String(line) if line.starts_with("#version") => return true,
        Value::String(line) => line.split_once(' '),
        Value::Array(pair) => match &pair[..] {
            [Value::String(first), Value::String(second)] => {
                Some((first.as_str(), second.as_str()))
            }
            _ => None,
        },
        _ => None,
    };
    let joined = pair.and_then(|(first, second)| {
        let known = vocab.contains_key(first) && vocab.contains_key(second);
        known.then_some([first, second.strip_prefix(prefix)?].concat())
    });
    joined.is_some_and(|joined| vocab.contains_key(&joined))
}

/// Checks a unigram vocabulary, a list of pieces with scores.
fn check_pieces(vocab: &[Value]) -> Result<(), String> {
    if vocab.is_empty() {
        return Err("its vocabulary is empty".to_owned());
    }
    // An empty piece would match at the same place forever.
    match vocab.iter().position(|piece| piece[0].as_str().is_none_or(str::is_empty)) {
        Some(place) => Err(format!("entry {place} of its vocabulary has no text")),
        None => Ok(()),
    }
}

/// One step of the pipeline that a text goes through.
#[derive(Debug, Clone, Copy)]
struct Step<'a> {
    kind: &'a str,
    value: &'a Value,
}

/// The steps of one section of the file, with nested sequences flattened.
fn steps<'a>(value: &'a Value, part: &str) -> Result<Vec<Step<'a>>, String> {
    let (mut open, mut steps) = (vec![value], Vec::new());
    while let Some(value) = open.pop() {
        if value.is_null() {
            continue;
        }
        let kind = value["type"].as_str();
        let kind = kind.ok_or_else(|| format!("its {part} has a step without a type"))?;
        if kind == "Sequence" {
            let inner = ["normalizers", "pretokenizers", "decoders"];
            let inner = inner.into_iter().filter_map(|key| value[key].as_array());
            open.extend(inner.flatten().rev());
        } else {
            steps.push(Step { kind, value });
        }
        if open.len() + steps.len() > MOST_STEPS {
            return Err(format!("its {part} has more than {MOST_STEPS} steps"));
        }
    }
    Ok(steps)
}

impl<'a> Step<'a> {
    /// The largest factor by which this step can lengthen a part of a text.
    fn growth(&self) -> Result<f64, String> {
        Ok(match self.kind {
            "Replace" => {
                let content = self.content().len() as f64;
                match self.pattern() {
                    Some(pattern) if !pattern.is_empty() => content / pattern.len() as f64,
                    // A pattern that may match the empty string can match between any two characters.
                    _ => content + 1.0,
                }
            }
            "Precompiled" => charsmap::longest(self.value["precompiled_charsmap"].as_str())? as f64,
            "Prepend" if self.text("prepend").len() > MOST_AFFIX => {
                return Err(format!("it puts more than {MOST_AFFIX} bytes before a text"));
            }
            "FixedLength" if self.value["length"] == 0 => {
                return Err("it cuts texts into pieces of no length".to_owned());
            }
            // The longest compatibility decomposition is that of U+FDFA. The longest canonical ones triple the bytes.
            "NFKC" | "NFKD" => 11.0,
            "NFC" | "NFD" | "Lowercase" | "Bert" | "BertNormalizer" => 3.0,
            "Metaspace" => 4.0,
            "ByteLevel" => 2.0,
            _ => 1.0,
        }
        .max(1.0))
    }

    fn text(&self, key: &str) -> &'a str {
        self.value[key].as_str().unwrap_or_default()
    }

    fn content(&self) -> &'a str {
        self.text("content")
    }

    /// The text to be replaced, if it is literal and not a regex.
    fn pattern(&self) -> Option<&'a str> {
        self.value["pattern"]["String"].as_str()
    }

    /// Whether a later step may change this step's output.
    fn feeds(&self, later: &Self) -> bool {
        match (self.kind, later.kind, later.pattern()) {
            ("Replace", "Replace", Some(pattern)) => {
                pattern.is_empty() || pattern.chars().any(|c| self.content().contains(c))
            }
            _ => true,
        }
    }
}

/// The largest factor by which a text can grow. The factors of steps that feed each other multiply; others apply to
/// different parts.
fn growth(steps: &[Step<'_>]) -> Result<f64, String> {
    let mut most = vec![1.0_f64; steps.len()];
    for (i, step) in steps.iter().enumerate().rev() {
        let own = step.growth()?;
        let later = steps.iter().zip(&most).skip(i + 1);
        let later = later.filter(|(later, _)| own <= 1.0 || step.feeds(later));
        most[i] = own * later.map(|(_, &growth)| growth).fold(1.0, f64::max);
    }
    Ok(most.into_iter().fold(1.0, f64::max))
}

impl Spelling {
    /// The bytes that a vocabulary entry stands for.
    pub(super) fn bytes(self, token: &str) -> Vec<u8> {
        match self {
            Self::ByteLevel => byte_level(token),
            Self::Marked => {
                let hex = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
                let hex = hex.filter(|hex| hex.len() == 2);
                match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(byte) => vec![byte],
                    None => token.replace(SPACE_MARK, " ").into_bytes(),
                }
            }
        }
    }
}

/// Decodes the byte-level alphabet, in which printable characters stand for themselves and the other bytes are mapped, in
/// order, to characters from U+0100 on. A token with any other character stands for its own text.
fn byte_level(token: &str) -> Vec<u8> {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let byte = |c: char| {
        let code = c as u32;
        let shifted =
            || (0..=255u8).filter(|&b| !printable(b)).nth(code.checked_sub(256)? as usize);
        u8::try_from(code).ok().filter(|&byte| printable(byte)).or_else(shifted)
    };
    let bytes: Option<Vec<u8>> = token.chars().map(byte).collect();
    bytes.unwrap_or_else(|| token.as_bytes().to_vec())
}
