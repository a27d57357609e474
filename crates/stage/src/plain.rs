//! Escaping of untrusted text for a terminal.
//!
//! Ids, column names, paths, a server's answers and a trainer's names may contain sequences that move the cursor, change
//! the colours or title of the terminal, or reverse the direction of text, and so make a message seem to say something
//! else. Everything that is printed goes through here.

use std::borrow::Cow;
use std::fmt::Write;

/// Escapes every control character, for example as `\u{1b}`. Line breaks are escaped too.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    shown(text, is_control)
}

/// Like [`one_line`], but keeps line breaks.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    shown(text, |c| c != '\n' && is_control(c))
}

/// Like [`lines`], but for JSON: the characters are escaped in JSON's own way. They can only occur inside strings, so the
/// result is the same JSON value.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\n' && is_control(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !is_control(c) {
            out.push(c);
            continue;
        }
        // JSON has only escapes of four digits, so a character beyond them takes two.
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}").expect("a string takes any text");
        }
    }
    Cow::Owned(out)
}

fn shown(text: &str, obeyed: fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a terminal acts on a character instead of showing it: control characters (C0 and C1), line and paragraph
/// separators, marks of text direction, and zero-width characters. Tabs are included, since they break the columns of a
/// table.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        let hostile = "a\u{1b}]0;title\u{7}\u{9b}31m\r\u{202e}b\nc\td\u{7f}";
        assert_eq!(one_line(hostile), r"a\u{1b}]0;title\u{7}\u{9b}31m\r\u{202e}b\nc\td\u{7f}");
        assert_eq!(lines("a\n\u{1b}b\n"), "a\n\\u{1b}b\n");
        for plain in ["η-MCTS", "Größe 7 ± 2 %", "漢字 \\ \"quoted\"", ""] {
            assert!(matches!(one_line(plain), Cow::Borrowed(text) if text == plain));
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({"id": "a\u{1b}\u{9b}\u{202e}\u{e0041}\u{7f}\n"});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = json(&text);
        assert!(safe.is_ascii(), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
