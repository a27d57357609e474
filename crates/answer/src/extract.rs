//! Finds the answer in a solution, and the point where the solution ends: the line of its first answer.
//!
//! A model that is not stopped carries on after its answer with another problem and another answer. So the first answer
//! counts, both for the code that stops and cuts a text and for the code that grades it. Not every mark announces an
//! answer: some models write `####` before headings. Anything a model writes while it thinks, `<think>...</think>`, is
//! not part of its solution.

use std::borrow::Cow;
use std::ops::Range;

/// The mark of the final answer, as in GSM8K: the last line of a solution is `#### 42`.
pub const ANSWER_MARK: &str = "####";

/// LaTeX commands that box the final answer where there is no mark, as in MATH: `\boxed{42}`.
const BOXES: [&str; 2] = ["\\boxed", "\\fbox"];

/// Opening and closing tags that models put around their thoughts.
const THOUGHTS: [[&str; 2]; 11] = [
    ["<think>", "</think>"],
    ["<THINK>", "</THINK>"],
    ["<thinking>", "</thinking>"],
    ["<thought>", "</thought>"],
    ["<reasoning>", "</reasoning>"],
    ["<reflection>", "</reflection>"],
    ["<scratchpad>", "</scratchpad>"],
    ["<seed:think>", "</seed:think>"],
    ["<|begin_of_thought|>", "<|end_of_thought|>"],
    ["\u{25c1}think\u{25b7}", "\u{25c1}/think\u{25b7}"],
    ["[THINK]", "[/THINK]"],
];

/// Words that open a heading whatever follows them: `#### Step 1: add`.
const HEADINGS: &str = "add analysis analyze apply approach calculate calculation calculations case check combine compare compute \
    consider convert count define derive determine divide estimate evaluate example explain explanation express find \
    formula given hint identify interpret let list method multiply note notes overview part phase plan problem proof \
    question reasoning rewrite section set simplify solve stage step steps strategy substitute subtract understand \
    verification verify write";

/// Words that open a heading only if nothing but words follows: `#### Final answer`, but not `#### Answer: 4`.
const TITLES: [&str; 8] =
    ["answer", "conclusion", "final", "result", "results", "solution", "summary", "total"];

/// Words that open an answer, however long the answer is.
const VERDICTS: [&str; 5] = ["yes", "no", "true", "false", "none"];

/// Words that open a heading in other languages.
const STEPS: [&str; 8] = [
    "Schritt",
    "\u{c9}tape",
    "Paso",
    "Passo",
    "\u{428}\u{430}\u{433}",
    "\u{6b65}\u{9aa4}",
    "\u{7b2c}\u{4e00}\u{6b65}",
    "\u{30b9}\u{30c6}\u{30c3}\u{30d7}",
];

/// Words that introduce the next action in a heading: `#### Next, subtract 3`, but not `#### Finally, 18`.
const ORDER: [&str; 11] = [
    "first", "firstly", "second", "secondly", "third", "next", "now", "then", "finally", "lastly",
    "last",
];

/// Words that show that a sentence states the answer.
const SAYING: [&str; 4] = ["is", "are", "answer", "equals"];

/// Most words in an answer that begins with a word, unless it is a sentence that states the answer.
const MOST_WORDS: usize = 4;

/// An answer found in a text.
struct Found {
    /// Position of the answer itself, in bytes.
    answer: Range<usize>,
    /// Start of the mark or box that announces the answer, in bytes.
    start: usize,
    /// End of whatever contains the answer, in bytes: the end of its line, or just after the closing brace.
    end: usize,
}

/// Returns the answer of a completion, trimmed: the text after [`ANSWER_MARK`] on the first line where that text is an
/// answer, or, if there is no such line, the contents of the first complete `\boxed{...}`. If one line has several
/// answers, the last one counts.
///
/// Returns `None` if there is neither; no other number in the text is ever taken for an answer. A mark before a heading
/// does not announce an answer, words alone after a mark give way to a box, and thoughts are ignored.
pub fn extract(completion: &str) -> Option<&str> {
    let (found, _) = answer_in(&shown(completion))?;
    completion.get(found.answer)
}

/// Returns the text before the answer mark, or all of it if there is no mark or the answer is in a box.
pub fn steps(completion: &str) -> &str {
    match answer_in(&shown(completion)) {
        Some((found, true)) => completion.get(..found.start).unwrap_or(completion),
        _ => completion,
    }
}

/// Returns where the answer of a completion begins, in bytes: at its mark, or at the contents of the box.
pub fn start_of_answer(completion: &str) -> Option<usize> {
    answer_in(&shown(completion)).map(|(found, _)| found.start)
}

/// Finds the answer in a text whose thoughts are blanked out, and whether it follows the mark (rather than being in a
/// box).
fn answer_in(text: &str) -> Option<(Found, bool)> {
    let marked = marked(text, ANSWER_MARK);
    // A marked answer that could still be a heading, such as `#### Day 1`, gives way to a box. Without a box it is the
    // best there is, so it is taken after all.
    let certain = |found: &Found| text.get(found.answer.clone()).is_some_and(is_certain);
    match marked {
        Some(found) if certain(&found) => Some((found, true)),
        marked => match boxed(text) {
            Some(found) => Some((found, false)),
            None => marked.map(|found| (found, true)),
        },
    }
}

/// Returns where a solution is over, in bytes: after the line that holds its first answer, as announced by `mark`.
/// `None` while that line is unfinished, because more digits may follow.
///
/// If the mark ends in an open brace, the line of the matching closing brace counts instead, since such an answer can
/// span several lines.
pub fn end_of_answer(text: &str, mark: &str) -> Option<usize> {
    let shown = shown(text);
    let found = match mark.strip_suffix('{') {
        Some(name) if BOXES.contains(&name.trim_end()) => boxed(&shown),
        Some(_) => braced(&shown, mark),
        None => marked(&shown, mark),
    };
    let end = found?.end;
    let rest = shown.get(end..)?.find('\n')?;
    Some(end + rest + 1)
}

/// Returns where the mark of an unfinished answer stands, in bytes. If the text was cut there for its length, digits
/// may be missing. `None` if the answer is complete; an answer in closed braces always is.
pub fn open_answer(text: &str, mark: &str) -> Option<usize> {
    let shown = shown(text);
    let found = if mark.ends_with('{') { None } else { marked(&shown, mark) }?;
    (!shown.get(found.end..)?.contains('\n')).then_some(found.start)
}

/// Returns the tag of a thought that the text opens and does not close, if there is one.
pub fn open_thought(text: &str) -> Option<&'static str> {
    let open = |[open, close]: &[&'static str; 2]| {
        let at = text.rfind(open)?;
        (text.rfind(close).is_none_or(|closed| closed < at)).then_some(*open)
    };
    THOUGHTS.iter().find_map(open)
}

/// Returns the closing tag that belongs to this opening tag.
pub fn closes_thought(open: &str) -> Option<&'static str> {
    THOUGHTS.iter().find(|[known, _]| *known == open).map(|[_, close]| *close)
}

/// Returns the text with its thoughts replaced by blanks, byte for byte, so that positions stay valid. The text before
/// a closing tag without an opening one is blanked too, because there the prompt opened the thought.
pub fn shown(text: &str) -> Cow<'_, str> {
    let hidden: Vec<Range<usize>> = THOUGHTS.iter().flat_map(|tags| thoughts(text, tags)).collect();
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.as_bytes().to_vec();
    for range in hidden {
        bytes[range].fill(b' ');
    }
    // Ranges start and end at tags, so only whole characters were blanked and this is still UTF-8.
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn thoughts(text: &str, [open, close]: &[&str; 2]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut from, mut at) = (None, 0);
    let first = text.find(close);
    if first.is_some_and(|end| text.find(open).is_none_or(|start| start > end)) {
        // A closing tag without an opening one: the prompt opened the thought.
        from = Some(0);
    }
    while let Some(rest) = text.get(at..) {
        let Some(start) = from.take().or_else(|| rest.find(open).map(|start| at + start)) else {
            break;
        };
        let end = text.get(start..).and_then(|rest| rest.find(close));
        // An unclosed thought runs to the end of the text.
        let end = end.map_or(text.len(), |end| start + end + close.len());
        found.push(start..end);
        at = end;
    }
    found
}

/// Finds the answer on the first line where the mark announces one.
fn marked(text: &str, mark: &str) -> Option<Found> {
    // An empty mark is found everywhere, and the loop below would not advance.
    if mark.is_empty() {
        return None;
    }
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(mark)) {
        let start = from + at + mark.len();
        let line = text.get(start..)?;
        let end = start + line.find('\n').unwrap_or(line.len());
        let answer = last_of_line(text, start..end, mark);
        match answer.filter(|answer| !text.get(answer.clone()).is_some_and(is_heading)) {
            Some(answer) => return Some(Found { answer, start: from + at, end }),
            // A heading, or nothing after the mark: go on with the next line.
            None => from = end,
        }
    }
    None
}

/// Returns the text after the last mark of a line that has any text after it. A line may end in another mark, as in
/// `#### 17 ####`, so trailing marks are skipped.
fn last_of_line(text: &str, line: Range<usize>, mark: &str) -> Option<Range<usize>> {
    let sign = mark.chars().next().filter(|&sign| mark.chars().all(|c| c == sign));
    let (mut start, mut last) = (line.start, None);
    for piece in text.get(line)?.split(mark) {
        // `#####` counts as a mark too.
        let signs = piece.len() - sign.map_or(piece, |sign| piece.trim_start_matches(sign)).len();
        let piece_start = start + signs;
        start += piece.len() + mark.len();
        let answer = trimmed(text, piece_start..start - mark.len());
        last = answer.or(last);
    }
    last
}

/// Shrinks a range to exclude the whitespace around its text; `None` if nothing remains.
fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let inside = text.get(range.clone())?;
    let start = range.start + inside.len() - inside.trim_start().len();
    let inside = inside.trim();
    (!inside.is_empty()).then(|| start..start + inside.len())
}

/// Whether the text after a mark is a heading rather than an answer.
fn is_heading(line: &str) -> bool {
    let line = line.trim_matches(|c: char| matches!(c, '*' | '_' | '#' | '`') || c.is_whitespace());
    let words = words_of(line);
    if line.ends_with([':', '\u{ff1a}'])
        || (words.is_empty() && !has_value(line) && !line.contains(is_sign))
    {
        return true;
    }
    let mut opening = words.iter().map(String::as_str).skip_while(|word| is_article(word));
    let (first, second) = (opening.next().unwrap_or(""), opening.next());
    let step = STEPS.iter().any(|step| line.starts_with(step));
    if HEADINGS.split(' ').any(|word| word == first) || step || is_listed(line) {
        return true;
    }
    let long = words.len() > MOST_WORDS;
    // An activity, such as `Adding 3 and 4`.
    let doing = second.is_some()
        && first.len() > 5
        && first.ends_with("ing")
        && !["nothing", "remaining"].contains(&first);
    if has_value(line) {
        let value_first = !line.starts_with(char::is_alphabetic);
        let heads = long || doing || is_ordered(&words);
        return heads && !says(&words) && !value_first && !line.contains(['=', ':', '\\']);
    }
    if VERDICTS.contains(&first) {
        return false;
    }
    let title = TITLES.contains(&first) && !line.contains([':', '=']);
    title || doing || long || is_ordered(&words)
}

/// Whether the words begin with `first`, `next` or the like and then say what is done.
fn is_ordered(words: &[String]) -> bool {
    let [order, then, _, ..] = words else { return false };
    ORDER.contains(&order.as_str()) && then.starts_with(char::is_alphabetic)
}

/// Whether the words form a sentence that states the answer.
fn says(words: &[String]) -> bool {
    words.iter().any(|word| SAYING.contains(&word.as_str()))
}

/// Whether the text after a mark is an answer even if there is also a box: it has a value, and no words before that
/// value except words that state it. `#### Day 1` may be a heading.
fn is_certain(answer: &str) -> bool {
    let bare = answer.trim_start_matches(['*', '_', '`']);
    let word: Vec<char> = bare.chars().take_while(|c| c.is_alphabetic()).collect();
    let worded = word.len() > 1 && word.iter().any(|c| c.is_lowercase());
    has_value(answer) && (!worded || says(&words_of(answer)) || answer.contains('='))
}

/// Splits a text into lower-case words.
fn words_of(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '\u{2019}')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn is_article(word: &str) -> bool {
    matches!(
        word,
        "the" | "a" | "our" | "my" | "let's" | "now" | "first" | "second" | "then" | "finally"
    )
}

/// Whether a character carries meaning by itself: anything outside ASCII that is not whitespace.
fn is_sign(c: char) -> bool {
    !c.is_ascii() && !c.is_whitespace()
}

/// Whether a text contains a number or mathematics.
fn has_value(text: &str) -> bool {
    text.chars().any(|c| c.is_numeric() || matches!(c, '\\' | '$' | '=' | '^' | '<' | '>' | '+'))
}

/// Whether a line is a numbered list item with words: `1. Understand the problem`.
fn is_listed(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let text = rest.strip_prefix(['.', ')', ':']);
    let words = text.filter(|text| rest.len() < line.len() && text.starts_with([' ', '*']));
    words.is_some_and(|words| {
        words.trim_start_matches([' ', '*', '_']).starts_with(char::is_alphabetic)
    })
}

/// Returns the contents of a box on the first line where a box closes; of several on that line, the one that begins
/// last. It takes one pass over the text, however the braces nest.
fn boxed(text: &str) -> Option<Found> {
    let bare = BOXES.iter().flat_map(|name| bare_boxes(text, name));
    let bare = bare.map(|answer| Found { start: answer.start, end: answer.end, answer });
    let all: Vec<Found> = closed(text, is_box).chain(bare).collect();
    let first = all.iter().map(|found| found.end).min()?;
    let end = first + text.get(first..)?.find('\n').unwrap_or(text.len());
    all.into_iter().filter(|found| found.end <= end).max_by_key(|found| found.answer.start)
}

/// Returns the contents of the first brace opened by `mark`, once that brace is closed.
fn braced(text: &str, mark: &str) -> Option<Found> {
    let name = mark.strip_suffix('{')?;
    closed(text, |before| before.ends_with(name)).next()
}

/// Returns the non-empty contents of braces whose preceding text satisfies `opens`, in the order in which they close.
fn closed(text: &str, opens: impl Fn(&str) -> bool) -> impl Iterator<Item = Found> {
    let (mut open, mut escaped) = (Vec::new(), false);
    // Bytes are enough: in UTF-8 no part of a longer character looks like a brace or a backslash.
    text.bytes().enumerate().filter_map(move |(at, byte)| {
        let mut found = None;
        match byte {
            b'{' if !escaped => open.push(at + 1),
            b'}' if !escaped => {
                let start = open.pop();
                found = start.filter(|start| text.get(..start - 1).is_some_and(&opens));
            }
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
        let start = found?;
        let answer = trimmed(text, start..at)?;
        Some(Found { answer, start, end: at + 1 })
    })
}

fn is_box(before: &str) -> bool {
    let before = before.trim_end_matches(' ');
    BOXES.iter().any(|name| before.ends_with(name))
}

/// Finds answers in boxes without braces: `\boxed 5`.
fn bare_boxes<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut next = 0;
    let pieces = text.split(name).enumerate().map(move |(i, piece)| {
        let start = next;
        next += piece.len() + name.len();
        (i, start, piece)
    });
    pieces.filter(|(i, ..)| *i > 0).filter_map(|(_, start, piece)| {
        let answer = piece.trim_start_matches(' ');
        let start = start + piece.len() - answer.len();
        let end = answer.find(|c: char| c.is_whitespace() || c == '$').unwrap_or(answer.len());
        let answer = answer.get(..end)?.trim_end_matches(['.', ',']);
        let follows = !answer.is_empty() && !answer.starts_with(|c: char| "{}\\".contains(c));
        (follows && !answer.starts_with(char::is_alphabetic)).then(|| start..start + answer.len())
    })
}

#[cfg(test)]
mod tests;
