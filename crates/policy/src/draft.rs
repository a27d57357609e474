//! Text in the making: tokens, however they were written.

use lm::Drawn;
use lm::engine::StopReason;

/// What has been written of an option.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) drawn: Drawn,
    /// The bytes of every token; none for the end.
    pub(crate) bytes: Vec<Vec<u8>>,
    /// Why it stopped; nothing before anything is written.
    pub(crate) stop: Option<StopReason>,
}

impl Draft {
    /// Goes on with what was written after it.
    pub(crate) fn extend(&mut self, more: Self) {
        self.drawn.ids.extend(more.drawn.ids);
        self.drawn.logprobs.extend(more.drawn.logprobs);
        self.bytes.extend(more.bytes);
        self.stop = more.stop;
    }

    /// How many tokens it has.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The whole text. Bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn text(&self) -> String {
        text(&self.bytes)
    }

    /// The text, `count` tokens at a time; more where a character has bytes of several tokens.
    pub(crate) fn cut(&self, count: usize) -> Vec<String> {
        let (mut parts, mut from) = (Vec::new(), 0);
        for to in 1..=self.bytes.len() {
            let text = text(&self.bytes[from..to]);
            let whole = to - from >= count && !text.ends_with(char::REPLACEMENT_CHARACTER);
            // The end of the text has none of its own.
            if whole || (to == self.bytes.len() && !text.is_empty()) {
                parts.push(text);
                from = to;
            }
        }
        parts
    }
}

fn text(bytes: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&bytes.concat()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let bytes = [&b"ab"[..], b"\xc3", b"\xa9", b"c", b""].map(<[u8]>::to_vec).to_vec();
        let draft = Draft { bytes, ..Draft::default() };
        assert_eq!(draft.cut(1), ["ab", "\u{e9}", "c", ""], "the end may be an option of its own");
        assert_eq!(draft.cut(2), ["ab\u{e9}", "c"]);
        assert_eq!((draft.text().as_str(), draft.len()), ("ab\u{e9}c", 5));
    }
}
