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

    /// The same up to a byte of its text. A token that goes on after it is cut, and counts as a whole.
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

    /// How many bytes were written before a byte of the text, in which some are U+FFFD.
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
