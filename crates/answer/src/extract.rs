//! Where the answer of a solution stands, and where a solution ends: at the line of its first answer.
//!
//! A model that is not stopped goes on after its answer, with another problem and another answer. So the first answer
//! counts, for whoever stops and cuts a text as for whoever grades it. Not every mark announces an answer: some models
//! write it before headings. What a model writes while it thinks, `<think>...</think>`, is no part of its solution.

use std::borrow::Cow;
use std::ops::Range;

/// The mark of the final answer, as in GSM8K: the last line of a solution is `#### 42`.
pub const ANSWER_MARK: &str = "####";

/// What the final answer is written in without a mark, as in MATH: `\boxed{42}`.
const BOXES: [&str; 2] = ["\\boxed", "\\fbox"];

/// What models put around their thoughts.
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

/// Words that open a heading, whatever follows them: `#### Step 1: add`.
const HEADINGS: &str = "add analysis analyze apply approach calculate calculation calculations case check combine compare compute \
    consider convert count define derive determine divide estimate evaluate example explain explanation express find \
    formula given hint identify interpret let list method multiply note notes overview part phase plan problem proof \
    question reasoning rewrite section set simplify solve stage step steps strategy substitute subtract understand \
    verification verify write";

/// Words that open a heading where no more than words follows them: `#### Final answer`, but not `#### Answer: 4`.
const TITLES: [&str; 8] =
    ["answer", "conclusion", "final", "result", "results", "solution", "summary", "total"];

/// Words that open an answer, however long it is.
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

/// Words that a heading puts before what is done next: `#### Next, subtract 3`, but not `#### Finally, 18`.
const ORDER: [&str; 11] = [
    "first", "firstly", "second", "secondly", "third", "next", "now", "then", "finally", "lastly",
    "last",
];

/// Words of a sentence that says the answer.
const SAYING: [&str; 4] = ["is", "are", "answer", "equals"];

/// An answer that begins with a word has at most so many, unless it is a sentence that says it.
const MOST_WORDS: usize = 4;

/// An answer in a text.
struct Found {
    /// Where it stands, in bytes.
    answer: Range<usize>,
    /// Where what announces it begins.
    start: usize,
    /// Where what holds it ends: its line, or the brace that closes it.
    end: usize,
}

/// The answer of a completion, trimmed: what follows [`ANSWER_MARK`] on the first line where that is an answer, or in a
/// completion without such a line what the first complete `\boxed{...}` holds. Of several on that line the last counts.
///
/// `None` where there is neither: no number elsewhere in the text is ever taken for an answer. A mark before a heading
/// announces none, nor does one before words alone where there is a box; thoughts have none.
pub fn extract(completion: &str) -> Option<&str> {
    let (found, _) = answer_in(&shown(completion))?;
    completion.get(found.answer)
}

/// What comes before the mark of the answer; all of it where there is none, or where the answer is in a box.
pub fn steps(completion: &str) -> &str {
    match answer_in(&shown(completion)) {
        Some((found, true)) => completion.get(..found.start).unwrap_or(completion),
        _ => completion,
    }
}

/// Where the answer of a completion begins, in bytes: its mark, or what a box holds.
pub fn start_of_answer(completion: &str) -> Option<usize> {
    answer_in(&shown(completion)).map(|(found, _)| found.start)
}

/// The answer of a text without its thoughts, and whether it stands after the mark.
fn answer_in(text: &str) -> Option<(Found, bool)> {
    let marked = marked(text, ANSWER_MARK);
    let certain = |found: &Found| text.get(found.answer.clone()).is_some_and(is_certain);
    match marked {
        Some(found) if certain(&found) => Some((found, true)),
        marked => match boxed(text) {
            Some(found) => Some((found, false)),
            None => marked.map(|found| (found, true)),
        },
    }
}

/// Where a solution is over, in bytes: after the line in which its first answer stands, as `mark` announces it. `None`
/// while that line goes on: digits may follow.
///
/// Of a mark that ends in an open brace it is the line of the brace that closes it: such an answer may be of several lines.
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

/// Where the mark stands, in bytes, of an answer whose line goes on: a text that was cut for its length there may lack
/// digits. What a brace closes is whole.
pub fn open_answer(text: &str, mark: &str) -> Option<usize> {
    let shown = shown(text);
    let found = if mark.ends_with('{') { None } else { marked(&shown, mark) }?;
    (!shown.get(found.end..)?.contains('\n')).then_some(found.start)
}

/// What opens the thought that a text leaves open, if it does.
pub fn open_thought(text: &str) -> Option<&'static str> {
    let open = |[open, close]: &[&'static str; 2]| {
        let at = text.rfind(open)?;
        (text.rfind(close).is_none_or(|closed| closed < at)).then_some(*open)
    };
    THOUGHTS.iter().find_map(open)
}

/// What closes the thought that this opens.
pub fn closes_thought(open: &str) -> Option<&'static str> {
    THOUGHTS.iter().find(|[known, _]| *known == open).map(|[_, close]| *close)
}

/// The text with blanks for its thoughts, so that every byte stays in its place. What stands before the end of a thought
/// that begins nowhere is one, too: the prompt began it.
pub fn shown(text: &str) -> Cow<'_, str> {
    let hidden: Vec<Range<usize>> = THOUGHTS.iter().flat_map(|tags| thoughts(text, tags)).collect();
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.as_bytes().to_vec();
    for range in hidden {
        bytes[range].fill(b' ');
    }
    // Only whole characters were blanked.
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn thoughts(text: &str, [open, close]: &[&str; 2]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut from, mut at) = (None, 0);
    let first = text.find(close);
    if first.is_some_and(|end| text.find(open).is_none_or(|start| start > end)) {
        from = Some(0);
    }
    while let Some(rest) = text.get(at..) {
        let Some(start) = from.take().or_else(|| rest.find(open).map(|start| at + start)) else {
            break;
        };
        let end = text.get(start..).and_then(|rest| rest.find(close));
        let end = end.map_or(text.len(), |end| start + end + close.len());
        found.push(start..end);
        at = end;
    }
    found
}

/// The answer on the first line where the mark announces one.
fn marked(text: &str, mark: &str) -> Option<Found> {
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
            None => from = end,
        }
    }
    None
}

/// What follows the last mark of a line that is followed by anything: a line may be closed by another mark.
fn last_of_line(text: &str, line: Range<usize>, mark: &str) -> Option<Range<usize>> {
    let sign = mark.chars().next().filter(|&sign| mark.chars().all(|c| c == sign));
    let (mut start, mut last) = (line.start, None);
    for piece in text.get(line)?.split(mark) {
        // `#####` is a mark, too.
        let signs = piece.len() - sign.map_or(piece, |sign| piece.trim_start_matches(sign)).len();
        let piece_start = start + signs;
        start += piece.len() + mark.len();
        let answer = trimmed(text, piece_start..start - mark.len());
        last = answer.or(last);
    }
    last
}

/// The range without the space around it; `None` if that is all.
fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let inside = text.get(range.clone())?;
    let start = range.start + inside.len() - inside.trim_start().len();
    let inside = inside.trim();
    (!inside.is_empty()).then(|| start..start + inside.len())
}

/// Whether what follows a mark is the heading of what comes next.
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

/// Whether the words begin with what comes first or next, and what is done then.
fn is_ordered(words: &[String]) -> bool {
    let [order, then, _, ..] = words else { return false };
    ORDER.contains(&order.as_str()) && then.starts_with(char::is_alphabetic)
}

/// Whether the words are of a sentence that says the answer.
fn says(words: &[String]) -> bool {
    words.iter().any(|word| SAYING.contains(&word.as_str()))
}

/// Whether what follows a mark is an answer even where there is a box: it has a value, and no words before that but those
/// which say it. `#### Day 1` may be a heading.
fn is_certain(answer: &str) -> bool {
    let bare = answer.trim_start_matches(['*', '_', '`']);
    let word: Vec<char> = bare.chars().take_while(|c| c.is_alphabetic()).collect();
    let worded = word.len() > 1 && word.iter().any(|c| c.is_lowercase());
    has_value(answer) && (!worded || says(&words_of(answer)) || answer.contains('='))
}

/// The words of a text, in small letters.
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

/// A character that says something by itself.
fn is_sign(c: char) -> bool {
    !c.is_ascii() && !c.is_whitespace()
}

/// Whether a text has a number or mathematics in it.
fn has_value(text: &str) -> bool {
    text.chars().any(|c| c.is_numeric() || matches!(c, '\\' | '$' | '=' | '^' | '<' | '>' | '+'))
}

/// Whether a line is numbered as in a list, with words: `1. Understand the problem`.
fn is_listed(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let text = rest.strip_prefix(['.', ')', ':']);
    let words = text.filter(|text| rest.len() < line.len() && text.starts_with([' ', '*']));
    words.is_some_and(|words| {
        words.trim_start_matches([' ', '*', '_']).starts_with(char::is_alphabetic)
    })
}

/// What a box holds on the first line where one closes: that which begins last there. In one pass, whatever the braces.
fn boxed(text: &str) -> Option<Found> {
    let bare = BOXES.iter().flat_map(|name| bare_boxes(text, name));
    let bare = bare.map(|answer| Found { start: answer.start, end: answer.end, answer });
    let all: Vec<Found> = closed(text, is_box).chain(bare).collect();
    let first = all.iter().map(|found| found.end).min()?;
    let end = first + text.get(first..)?.find('\n').unwrap_or(text.len());
    all.into_iter().filter(|found| found.end <= end).max_by_key(|found| found.answer.start)
}

/// What the first mark that ends in an open brace holds, once that is closed.
fn braced(text: &str, mark: &str) -> Option<Found> {
    let name = mark.strip_suffix('{')?;
    closed(text, |before| before.ends_with(name)).next()
}

/// What stands between braces, if it is anything, where `opens` holds of what is before them; in the order in which they
/// close.
fn closed(text: &str, opens: impl Fn(&str) -> bool) -> impl Iterator<Item = Found> {
    let (mut open, mut escaped) = (Vec::new(), false);
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

/// The answers in boxes without braces: `\boxed 5`.
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
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_is_the_solutions() {
        let cases = [
            ("2 + 2 = 4\n#### 4\n\nQuestion: And 5?\nAnswer:\n#### 5", Some("4")),
            ("#### 17\nNo.\n#### 16", Some("17")),
            ("#### 17\n####", Some("17")),
            ("####\n#### 17", Some("17")),
            ("#### 17 ####", Some("17")),
            ("#### a #### b", Some("b")),
            ("##### 17", Some("17")),
            ("\\boxed{4}\n\\boxed{5}", Some("4")),
            ("First \\boxed{4}, no: \\boxed{5}\n\\boxed{6}", Some("5")),
            ("It is \\boxed 4.\nor \\boxed{5}", Some("4")),
            ("Put it within \\boxed{}.\n\\boxed{5}", Some("5")),
            ("\\boxed{4}\n#### 5", Some("5")),
        ];
        for (completion, answer) in cases {
            assert_eq!(extract(completion), answer, "{completion}");
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn a_heading_announces_no_answer() {
        for heading in [
            "Step 1: add",
            "**Step 1: Add the apples**",
            "Step 1",
            "Part 2",
            "Solution",
            "Solution:",
            "Final Answer",
            "The final answer:",
            "1. Understand the problem",
            "2) Add 3 and 4",
            "Calculate 3 * 4",
            "Adding the two",
            "The number of apples that are left",
            "Cost of 3 shirts at $5 each",
            "First, we add them",
            "Next, subtract 3",
            "Finally, add 3 and 4",
            "Now we have 3 + 4",
            "Adding 3 and 4",
            "Subtract 3",
            "Schritt 1: addieren",
            "\u{6b65}\u{9aa4}1\u{ff1a}\u{52a0}",
            "",
        ] {
            for (rest, answer) in [("#### 4", "4"), ("So it is \\boxed{4}.", "4")] {
                let text = format!("#### {heading}\n2 + 2 = 4\n{rest}");
                assert_eq!(extract(&text), Some(answer), "{text}");
            }
            assert_eq!(end_of_answer(&format!("#### {heading}\n"), "####"), None, "{heading}");
        }
        for answer in [
            "4",
            "Yes",
            "No, she does not have enough of it",
            "The red one",
            "Answer: 4",
            "The final answer is 4 apples",
            "4 apples and 3 of the big pears",
            "Remaining apples: 4",
            "Finally, 4",
            "Day 4",
            "$4",
            "x",
            "\u{221e}",
        ] {
            assert_eq!(extract(&format!("#### {answer}\n#### 5")), Some(answer));
        }
        assert_eq!(
            extract("#### Both sides doubled\nso \\boxed{4}"),
            Some("4"),
            "words before a box"
        );
        for (line, answer) in [
            ("Day 1", "4"),
            ("Monday: 3 + 1", "4"),
            ("The answer is 5", "The answer is 5"),
            ("USD 5", "USD 5"),
            ("x = 5", "x = 5"),
        ] {
            let text = format!("#### {line}\nso \\boxed{{4}}");
            assert_eq!(extract(&text), Some(answer), "{text}");
        }
    }

    #[test]
    fn thoughts_are_no_part_of_a_solution() {
        let cases = [
            ("<think>\n#### 3\n</think>\n#### 4", Some("4")),
            ("Well.\n#### 3\n</think>\n2 + 2\n#### 4", Some("4")),
            ("<think>\n\\boxed{3}\n</think>\nIt is \\boxed{4}.", Some("4")),
            ("<think>\n#### 3", None),
            ("[THINK]#### 3\n[/THINK]#### 4", Some("4")),
            ("\u{25c1}think\u{25b7}#### 3\n\u{25c1}/think\u{25b7}#### 4", Some("4")),
            ("<|begin_of_thought|>#### 3\n<|end_of_thought|>#### 4", Some("4")),
            ("#### 4\n<think>\n#### 3\n</think>\n#### 5", Some("4")),
            ("#### <think>hm</think> 4 \u{20ac}", Some("4 \u{20ac}")),
        ];
        for (completion, answer) in cases {
            assert_eq!(extract(completion), answer, "{completion}");
        }
        assert_eq!(end_of_answer("<think>\n#### 3\n", "####"), None);
        assert_eq!(open_thought("a<think>\n"), Some("<think>"));
        assert_eq!(open_thought("<think>\n</think>"), None);
        assert_eq!(closes_thought("<think>"), Some("</think>"));
    }

    #[test]
    fn the_steps_are_what_comes_before_the_answer() {
        assert_eq!(
            steps("#### Step 1: add\n1 + 1 = 2\n#### 2\nso"),
            "#### Step 1: add\n1 + 1 = 2\n"
        );
        assert_eq!(
            steps("#### Step 1: add\nIt is \\boxed{2}."),
            "#### Step 1: add\nIt is \\boxed{2}."
        );
        assert_eq!(steps("It is 2."), "It is 2.");
    }

    #[test]
    fn an_answer_whose_line_goes_on_may_lack_digits() {
        assert_eq!(open_answer("So.\n#### 1", "####"), Some(4));
        assert_eq!(open_answer("So.\n#### 1\n", "####"), None);
        assert_eq!(open_answer("#### Step 1: add\n1 +", "####"), None);
        assert_eq!(open_answer("\\boxed{1}", "\\boxed{"), None);
    }

    #[test]
    fn a_solution_ends_with_the_line_of_its_answer() {
        let cases = [
            ("####", "It is 5.\n", None),
            ("####", "#### 1", None),
            ("####", "So.\n#### 18\nNow", Some("So.\n#### 18\n")),
            ("####", "#### 18\r\nNow", Some("#### 18\r\n")),
            (
                "####",
                "#### Step 1: add\n1 + 1\n#### 2\n\n",
                Some("#### Step 1: add\n1 + 1\n#### 2\n"),
            ),
            ("\\boxed{", "It is $\\boxed{\\frac{1}{2}}$.", None),
            (
                "\\boxed{",
                "It is $\\boxed{\\frac{1}{2}}$.\nSo",
                Some("It is $\\boxed{\\frac{1}{2}}$.\n"),
            ),
            ("\\boxed{", "\\boxed{\\begin{pmatrix}1\n", None),
            ("\\boxed{", "\\boxed{a\n\\}b}\nc", Some("\\boxed{a\n\\}b}\n")),
            ("\\boxed{", "Put it in \\boxed{}.\n", None),
            ("answer{", "answer{\n1\n}\n\n", Some("answer{\n1\n}\n")),
            ("The answer is", "The answer is 5.\nQ", Some("The answer is 5.\n")),
        ];
        for (mark, text, whole) in cases {
            let found = end_of_answer(text, mark).and_then(|end| text.get(..end));
            assert_eq!(found, whole, "{mark} in {text}");
        }
    }
}
