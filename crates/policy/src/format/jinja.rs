//! Rendering of chat templates as `transformers` does it, with limits on time and memory, since templates come with
//! untrusted models.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value};

use super::{json, methods};

/// Most steps a template may take: far more than a chat of a hundred messages needs.
const FUEL: u64 = 1_000_000;
/// Longest output of a template, in bytes.
pub(super) const MOST_BYTES: usize = 1 << 20;
/// Longest template, in bytes: several times the longest that models ship with.
const LONGEST: usize = 1 << 16;
/// Longest expression, in bytes without its string literals: parse time grows with the cube of the length.
const LONGEST_CODE: usize = 1 << 11;
/// Stack of the thread that parses a template, in bytes. Expressions and chains of conditions can nest as deep as they
/// are long, and each level takes stack. Unused pages are never committed.
const STACK: usize = 1 << 28;
/// Time limit. The step count alone is no bound: concatenating two lists is a single step.
const PATIENCE: Duration = Duration::from_secs(30);

/// Renders a template. The error says what is wrong with it.
pub(super) fn filled(template: &str, values: &Value) -> Result<String, String> {
    filled_within(PATIENCE, template, values)
}

pub(super) fn filled_within(
    patience: Duration,
    template: &str,
    values: &Value,
) -> Result<String, String> {
    // Both lengths are checked before parsing, which fuel does not bound.
    if template.len() > LONGEST {
        return Err(format!("it has {} bytes: {LONGEST} is the limit", template.len()));
    }
    if code(template) > LONGEST_CODE {
        return Err(format!(
            "an expression in it has more than {LONGEST_CODE} bytes without its texts"
        ));
    }
    let (template, values) = (template.to_owned(), values.clone());
    let (sender, filled) = mpsc::channel();
    // The receiver is gone if rendering timed out.
    let fill = move || drop(sender.send(fill(&template, &values)));
    // A separate thread for the large stack, and so that the caller can stop waiting.
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(fill);
    thread.map_err(|error| format!("there is no room to read it: {error}"))?;
    match filled.recv_timeout(patience) {
        Ok(filled) => filled,
        Err(RecvTimeoutError::Timeout) => {
            Err(format!("it does not come to an end in {} seconds", patience.as_secs()))
        }
        Err(RecvTimeoutError::Disconnected) => Err("it cannot be read".to_owned()),
    }
}

fn fill(template: &str, values: &Value) -> Result<String, String> {
    let environment = environment();
    let template = known_statements(template);
    let template = environment.template_from_str(&template).map_err(|e| told(&e))?;
    let mut text = Bounded(Vec::new());
    template.render_captured_to(values.clone(), &mut text).map_err(|e| told(&e))?;
    String::from_utf8(text.0).map_err(|e| e.to_string())
}

/// Length of the longest expression or statement in a template, in bytes without string literals.
fn code(template: &str) -> usize {
    let (mut longest, mut rest) = (0, template);
    while let Some(at) = ["{{", "{%"].iter().filter_map(|open| rest.find(open)).min() {
        let mut bytes = rest.bytes().enumerate().skip(at + 2);
        let (mut quote, mut count, mut last) = (None, 0, 0);
        let end = bytes.find(|&(_, byte)| {
            let closes = quote.is_none() && byte == b'}' && matches!(last, b'}' | b'%');
            match quote {
                Some(open) if byte == open && last != b'\\' => quote = None,
                None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
                None => count += 1,
                Some(_) => {}
            }
            // An escaped backslash does not escape the next character.
            last = if last == b'\\' && byte == b'\\' { 0 } else { byte };
            closes
        });
        longest = longest.max(count);
        rest = end.and_then(|(end, _)| rest.get(end + 1..)).unwrap_or("");
    }
    longest
}

/// Set up like in `transformers`: `trim_blocks` and `lstrip_blocks`, Python's string methods, and `raise_exception`.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the marks of blocks are Jinja's own"));
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(methods::call);
    environment.add_filter("tojson", json::tojson);
    let raise = |message: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    };
    environment.add_function("raise_exception", raise);
    environment.add_function("strftime_now", |format: String| strftime(&format));
    environment
}

/// Replaces `{% generation %}`, which `transformers` uses to mask the loss, by a condition that always holds. The text
/// inside stays, and whitespace control around the tag works as before.
fn known_statements(template: &str) -> String {
    let (mut text, mut rest) = (String::with_capacity(template.len()), template);
    while let Some((before, after)) = rest.split_once("{%") {
        text += before;
        text += "{%";
        rest = after;
        let Some((tag, _)) = after.split_once("%}") else { break };
        let name = tag.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        let stands_for = match name {
            "generation" => "if true",
            "endgeneration" => "endif",
            _ => continue,
        };
        text += &tag.replacen(name, stands_for, 1);
        rest = after.get(tag.len()..).unwrap_or("");
    }
    text + rest
}

/// Formats a fixed date, midnight of 26 July 2024, so that the prompt is reproducible. Llama's templates use this date if
/// there is no clock.
fn strftime(format: &str) -> String {
    let (mut text, mut rest) = (String::new(), format);
    while let Some((before, after)) = rest.split_once('%') {
        text += before;
        let directive = after.strip_prefix(['-', '#']).unwrap_or(after);
        let padded = directive.len() == after.len();
        let Some(letter) = directive.chars().next() else {
            return text + "%" + after;
        };
        let date = of_date(letter);
        match date {
            // `%-m` drops the zero padding, as in Python.
            Some(date) if !padded && date.len() > 1 => text += date.trim_start_matches('0'),
            Some(date) => text += date,
            None => {
                text.push('%');
                text += after.get(..after.len() - directive.len()).unwrap_or("");
                text.push(letter);
            }
        }
        rest = directive.get(letter.len_utf8()..).unwrap_or("");
    }
    text + rest
}

fn of_date(letter: char) -> Option<&'static str> {
    Some(match letter {
        'a' => "Fri",
        'A' => "Friday",
        'b' | 'h' => "Jul",
        'B' => "July",
        'c' => "Fri Jul 26 00:00:00 2024",
        'd' | 'e' => "26",
        'D' | 'x' => "07/26/24",
        'f' => "000000",
        'F' => "2024-07-26",
        'G' | 'Y' => "2024",
        'H' | 'M' | 'S' => "00",
        'I' => "12",
        'j' => "208",
        'm' => "07",
        'n' => "\n",
        'p' => "AM",
        'R' => "00:00",
        't' => "\t",
        'T' | 'X' => "00:00:00",
        'u' | 'w' => "5",
        'U' => "29",
        'V' | 'W' => "30",
        'y' => "24",
        'z' | 'Z' => "",
        '%' => "%",
        _ => return None,
    })
}

fn told(error: &Error) -> String {
    let line = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("it does not come to an end in {FUEL} steps"),
        (ErrorKind::WriteFailure, _) => format!("it writes more than {MOST_BYTES} bytes"),
        (kind, Some(detail)) => format!("{kind}: {detail}{line}"),
        (kind, None) => format!("{kind}{line}"),
    }
}

/// A buffer that refuses to grow beyond `MOST_BYTES`.
pub(super) struct Bounded(pub(super) Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
