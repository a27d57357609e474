//! Templates of chats, as `transformers` fills them in, and within bounds: they come with models from anywhere.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value};

use super::{json, methods};

/// Operations that a template may take: far more than a chat of a hundred messages needs.
const FUEL: u64 = 1_000_000;
/// The longest text that a template may make, in bytes.
pub(super) const MOST_BYTES: usize = 1 << 20;
/// The longest template, in bytes: several times the longest that models come with.
const LONGEST: usize = 1 << 16;
/// The longest expression, in bytes without its texts: reading takes time by the power of three of it.
const LONGEST_CODE: usize = 1 << 11;
/// The stack on which a template is read. An expression and a chain of conditions may nest as deep as they are long, and each
/// level takes some of it; what is not used is not taken.
const STACK: usize = 1 << 28;
/// The longest that a template may take: not all that it does counts as steps. A list of lists is counted in one.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a template makes of some values; the error says what is wrong with it.
pub(super) fn filled(template: &str, values: &Value) -> Result<String, String> {
    filled_within(PATIENCE, template, values)
}

pub(super) fn filled_within(
    patience: Duration,
    template: &str,
    values: &Value,
) -> Result<String, String> {
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
    // Nobody listens any more where it took too long.
    let fill = move || drop(sender.send(fill(&template, &values)));
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

/// The bytes of the longest expression or statement of a template, without those in quotes.
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
            // A backslash that is itself escaped escapes nothing.
            last = if last == b'\\' && byte == b'\\' { 0 } else { byte };
            closes
        });
        longest = longest.max(count);
        rest = end.and_then(|(end, _)| rest.get(end + 1..)).unwrap_or("");
    }
    longest
}

/// As `transformers` sets it up: blocks take the line end after them and the spaces before them with them, Python's
/// methods of strings are there, and a template may refuse its messages.
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

/// The template without the statement of `transformers` that says which part of a text the assistant has written: what is in
/// it stays. It becomes a condition that holds, so that spaces around it are treated as before.
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

/// The date of `strftime_now`, always the same so that a text is: midnight of 26 July 2024, which Llama's templates take
/// where there is no clock.
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
            // As Python without the padding: `%-m`.
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

/// A text that does not grow without end.
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
