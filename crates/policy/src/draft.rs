//! Generated tokens and their text, wherever the model runs.

use lm::Drawn;
use lm::engine::StopReason;

/// An option in progress.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) drawn: Drawn,
    /// The bytes of each token; empty for the end token.
    pub(crate) bytes: Vec<Vec<u8>>,
    /// The stop reason; `None` before anything is written.
    pub(crate) stop: Option<StopReason>,
}

impl Draft {
    /// Appends tokens; the stop reason is replaced.
    pub(crate) fn extend(&mut self, more: Self) {
        self.drawn.ids.extend(more.drawn.ids);
        self.drawn.logprobs.extend(more.drawn.logprobs);
        self.bytes.extend(more.bytes);
        self.stop = more.stop;
    }

    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The text. Invalid UTF-8 becomes U+FFFD.
    pub(crate) fn text(&self) -> String {
        text(&self.bytes)
    }

    /// The draft up to byte `at` of its text. A token that crosses the boundary loses its tail but is still counted.
    pub(crate) fn until(&self, at: usize) -> Self {
        let (mut left, mut until) =
            (self.bytes_before(at), Self { stop: self.stop, ..Self::default() });
        for (place, bytes) in self.bytes.iter().enumerate() {
            if left == 0 {
                break;
            }
            let taken = bytes.len().min(left);
            left -= taken;
            until.bytes.push(bytes[..taken].to_vec());
            until.drawn.ids.push(self.drawn.ids[place]);
            until.drawn.logprobs.push(self.drawn.logprobs[place]);
        }
        until
    }

    /// Converts an offset in the text to an offset in the raw bytes. They differ where invalid bytes were replaced by
    /// U+FFFD.
    fn bytes_before(&self, at: usize) -> usize {
        let bytes = self.bytes.concat();
        let (mut written, mut shown) = (0, 0);
        for chunk in bytes.utf8_chunks() {
            let valid = chunk.valid().len();
            if at <= shown + valid {
                return written + at - shown;
            }
            written += valid + chunk.invalid().len();
            shown += valid + char::REPLACEMENT_CHARACTER.len_utf8();
        }
        written
    }

    /// Splits the text into groups of `count` tokens. A group is longer if a character spans several tokens.
    pub(crate) fn cut(&self, count: usize) -> Vec<String> {
        let (mut parts, mut from) = (Vec::new(), 0);
        for to in 1..=self.bytes.len() {
            let text = text(&self.bytes[from..to]);
            let whole = to - from >= count && !text.ends_with(char::REPLACEMENT_CHARACTER);
            // The end token has no text and makes no group of its own.
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
    fn a_cut_keeps_tokens_and_text_together() {
        let bytes = [&b"a\xff"[..], b"", b"b\n\n", b"c"].map(<[u8]>::to_vec).to_vec();
        let drawn = Drawn { ids: vec![1, 2, 3, 4], logprobs: vec![-1.0, -2.0, -3.0, -4.0] };
        let draft = Draft { bytes, drawn, stop: Some(StopReason::Length) };
        let at = draft.text().find('\n').unwrap() + 1;
        let until = draft.until(at);
        assert_eq!((until.text().as_str(), until.stop), ("a\u{fffd}b\n", draft.stop));
        assert_eq!(
            (until.drawn.ids, until.drawn.logprobs),
            (vec![1, 2, 3], vec![-1.0, -2.0, -3.0])
        );
        assert_eq!(draft.until(draft.text().len()).text(), draft.text());
        assert_eq!(draft.until(0).len(), 0);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let bytes = [&b"ab"[..], b"\xc3", b"\xa9", b"c", b""].map(<[u8]>::to_vec).to_vec();
        let draft = Draft { bytes, ..Draft::default() };
        assert_eq!(draft.cut(1), ["ab", "\u{e9}", "c", ""], "the end may be an option of its own");
        assert_eq!(draft.cut(2), ["ab\u{e9}", "c"]);
        assert_eq!((draft.text().as_str(), draft.len()), ("ab\u{e9}c", 5));
    }
}
