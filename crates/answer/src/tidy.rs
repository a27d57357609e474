//! Strips text around an answer that is not part of it, and normalises how digits are grouped.
//!
//! Every step removes something or reduces the number of ways to write it; none changes the meaning.

use crate::rational::{CURRENCY, strip_prefixes};

/// Tokens that end a text, besides those of the form `<|...|>`.
const ENDS: [&str; 13] = [
    "</s>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<bos>",
    "<end_of_turn>",
    "<end_of_text>",
    "<｜end▁of▁sentence｜>",
    "[/INST]",
    "[EOS]",
    "<EOS>",
    "<eot>",
    "</answer>",
];

/// Currency names and signs as written before a number.
const MONEY: [&str; 31] = [
    "US$", "AU$", "CA$", "NZ$", "HK$", "A$", "C$", "S$", "R$", "USD", "EUR", "GBP", "INR", "JPY",
    "CNY", "RMB", "CAD", "AUD", "NZD", "CHF", "SGD", "HKD", "KRW", "MXN", "BRL", "SEK", "NOK",
    "DKK", "PLN", "Rs.", "Rs",
];

/// Returns the answer by itself.
pub(crate) fn tidied(answer: &str) -> String {
    let mut text = shown(answer);
    // Layers nest (`**$5$**`), so peel until nothing comes off.
    loop {
        let inner = peeled(&text);
        if inner.len() == text.len() {
            return grouped(&text);
        }
        text = inner;
    }
}

/// Normalises blanks of any width to a space and full-width characters to ASCII, and drops everything from the first
/// end token on.
fn shown(answer: &str) -> String {
    let plain = |c: char| match c {
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(' '),
        '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => None,
        '！'..='～' => char::from_u32(u32::from(c) - 0xfee0),
        '⁄' => Some('/'),
        c => Some(c),
    };
    let end = ENDS.iter().filter_map(|end| answer.find(end)).chain(special(answer)).min();
    let text = answer.get(..end.unwrap_or(answer.len())).unwrap_or_default();
    // `<s>` alone begins a text, and is never part of an answer.
    let text = text.trim().trim_start_matches("<s>").trim_end_matches("<s>");
    let text = text.strip_prefix("<answer>").unwrap_or(text);
    let text: String = text.chars().filter_map(plain).collect();
    match text.trim().strip_prefix('~') {
        // `~18` means "about 18". Written as `≈` it is taken neither for a number nor for a TeX tie.
        Some(about) if !is_fingerprint(about) => format!("≈{about}"),
        _ => text.trim().to_owned(),
    }
}

/// Whether a text is the 16 hexadecimal digits that follow the tilde in a fingerprint key.
fn is_fingerprint(text: &str) -> bool {
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.get(..16).is_some_and(|digest| digest.bytes().all(digits))
}

/// Returns where the first `<|...|>` stands.
fn special(text: &str) -> Option<usize> {
    let named = |&(at, _): &(usize, &str)| {
        let inside = text.get(at + 2..).and_then(|after| after.split_once("|>"));
        inside.is_some_and(|(name, _)| {
            name.len() >= 3 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
    };
    // Limited, because each `<|` makes `named` scan the rest of the text.
    text.match_indices("<|").take(16).find(named).map(|(at, _)| at)
}

/// Removes one layer: emphasis, quotes, math delimiters, an announcement, an option letter or a currency.
fn peeled(text: &str) -> String {
    let text = text.trim();
    let layers = [unquoted, undelimited, announced, option, currency];
    let inner = emphasis(text).or_else(|| layers.iter().find_map(|layer| layer(text)));
    match inner {
        // Only if the text got shorter, or the loop in `tidied` might not end.
        Some(inner) if inner.len() < text.len() && !inner.trim().is_empty() => {
            inner.trim().to_owned()
        }
        _ => text.to_owned(),
    }
}

/// Removes emphasis from the start of a text: `**73**`, `**Answer:** 73`.
fn emphasis(text: &str) -> Option<String> {
    let marks = ["***", "**", "__", "*", "_", "`", "<b>", "<strong>"];
    let open = marks.iter().find(|mark| text.starts_with(**mark))?;
    let close = match *open {
        "<b>" => "</b>",
        "<strong>" => "</strong>",
        mark => mark,
    };
    let (inside, after) = text.strip_prefix(open)?.split_once(close)?;
    let ends = !after.starts_with(|c: char| c.is_alphanumeric() || c == '*' || c == '_');
    (ends && !inside.trim().is_empty()).then(|| format!("{inside}{after}"))
}

fn unquoted(text: &str) -> Option<String> {
    let pairs = [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’'), ('«', '»'), ('「', '」')];
    let inner = |&(open, close): &(char, char)| {
        let inner = text.strip_prefix(open)?.trim_end_matches('.').strip_suffix(close)?;
        (!inner.contains([open, close])).then(|| inner.to_owned())
    };
    pairs.iter().find_map(inner)
}

fn undelimited(text: &str) -> Option<String> {
    let pairs = [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")];
    let inner = |&(open, close): &(&str, &str)| {
        let inner = text.strip_prefix(open)?.trim_end_matches('.').strip_suffix(close)?;
        (!inner.ends_with('\\') && !inner.contains(open)).then(|| inner.to_owned())
    };
    pairs.iter().find_map(inner)
}

/// Returns the text after `The answer is`, `Final answer:` and the like.
fn announced(text: &str) -> Option<String> {
    let mut rest = text;
    for words in [
        &["so", "thus", "therefore", "hence", "and"][..],
        &["the", "my", "our"],
        &["final", "correct", "right"],
    ] {
        rest = words.iter().find_map(|word| word_off(rest, word)).unwrap_or(rest);
        rest = rest.trim_start_matches([',', ' ']);
    }
    let nouns = ["answer", "ans", "option", "choice", "result", "solution", "total"];
    let noun = nouns.iter().find_map(|noun| Some((*noun, word_off(rest, noun)?)))?;
    let (noun, rest) = noun;
    if ["option", "choice"].contains(&noun) && is_letter(rest) {
        return Some(rest.to_owned());
    }
    // The emphasis may close before or after the colon: `**Answer:** 73`, `Answer**: 73`.
    let rest = rest.trim_start_matches(['*', '_', ' ']);
    let after = word_off(rest, "is equal to").or_else(|| word_off(rest, "is"));
    let after = after.or_else(|| rest.strip_prefix([':', '=']))?;
    let after = after.trim_start_matches([':', ' ']);
    // `Answer:** 73`. Emphasis that belongs to the answer itself stays.
    Some(after.strip_prefix("** ").unwrap_or(after).to_owned())
}

/// Whether a text is the letter of an option: `C`, `(C)`.
fn is_letter(text: &str) -> bool {
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    inner.len() == 1 && inner.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Strips a leading word, ignoring case, and returns the rest.
fn word_off<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = (text.get(..word.len())?, text.get(word.len()..)?);
    let ends = !rest.starts_with(char::is_alphanumeric);
    (ends && first.eq_ignore_ascii_case(word)).then(|| rest.trim_start())
}

/// Returns the text of an option without its letter: `(C) 5`, `\textbf{(C) }5`, `C. 5`. `None` if another option letter
/// follows, because then there are several answers.
fn option(text: &str) -> Option<String> {
    let commands =
        ["\\textbf{", "\\text{", "\\mathrm{", "\\mathbf{", "\\mbox{", "\\textrm{", "\\bf{"];
    let command = commands.iter().find_map(|command| text.strip_prefix(command));
    let body = command.unwrap_or(text);
    let (open, body) = match body.strip_prefix('(') {
        Some(body) => (true, body),
        None => (false, body),
    };
    let letter = body.chars().next().filter(|c| matches!(c, 'A'..='J' | 'a'..='j'))?;
    let body = body.get(1..)?;
    let close = body.chars().next().filter(|c| *c == ')' || (!open && ".:".contains(*c)))?;
    let rest = body.get(1..)?;
    let rest = match command {
        Some(_) => rest.trim_start().strip_prefix('}')?,
        None => rest.strip_prefix(':').unwrap_or(rest),
    };
    let said = unspaced(rest);
    let apart = command.is_some() || said.len() < rest.len();
    let sign = |c: char| c.is_ascii_digit() || "$\\-−.√π".contains(c) || CURRENCY.contains(&c);
    let words = open && letter.is_ascii_uppercase() && said.starts_with(char::is_alphabetic);
    let follows = said.starts_with(sign) || words;
    (apart && follows && !operates(said) && !is_one_of_several(said, open, close))
        .then(|| said.to_owned())
}

/// Strips leading blanks, as typed or in LaTeX.
fn unspaced(text: &str) -> &str {
    let text = text.trim_start_matches([' ', '~', ':']);
    let spaces = ["\\ ", "\\,", "\\;", "\\quad", "\\qquad"];
    spaces.iter().find_map(|space| text.strip_prefix(space)).unwrap_or(text).trim_start()
}

/// Whether a text continues the expression or sentence of the letter before it: `(A) - 5`, `(A) or B`.
fn operates(text: &str) -> bool {
    let signs =
        ["\\cdot", "\\times", "\\cup", "\\cap", "\\le", "\\ge", "\\ne", "\\pm", "\\div", "\\in"];
    let words = ["and", "or", "but", "not", "only", "is", "nor", "plus"];
    let subtracts =
        text.starts_with(['-', '−']) && text.chars().nth(1).is_none_or(char::is_whitespace);
    let first = text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    subtracts || signs.iter().any(|sign| text.starts_with(sign)) || words.contains(&first)
}

/// Whether another letter in the same style follows: `(a) 5 (b) 6`.
fn is_one_of_several(text: &str, open: bool, close: char) -> bool {
    let mut letters = ('A'..='J').chain('a'..='j');
    let begins =
        |letter: char| if open { format!("({letter}{close}") } else { format!(" {letter}{close}") };
    letters.any(|letter| text.contains(&begins(letter)))
}

/// Removes the name of a currency before a number.
fn currency(text: &str) -> Option<String> {
    let (sign, rest) = match text.strip_prefix(['-', '−']) {
        Some(rest) => ("-", rest.trim_start()),
        None => ("", text),
    };
    let off = |name: &&str| {
        let first = rest.get(..name.len())?;
        first.eq_ignore_ascii_case(name).then(|| rest.get(name.len()..))?
    };
    // The first match wins, so `Rs.` stands before `Rs`.
    let after = MONEY.iter().find_map(off)?.trim_start();
    let (_, number) = strip_prefixes(after)?;
    let digits = number.trim_start_matches('.').starts_with(|c: char| c.is_ascii_digit());
    digits.then(|| format!("{sign}{after}"))
}

/// Rewrites the numbers of a text without digit groups and with a decimal point, where the role of each comma and point
/// is certain: `1 000`, `1'000`, `1.000.000`, `1.000,5`, `1{,}5` and `2,50 €`.
fn grouped(text: &str) -> String {
    if let Some(price) = priced(text) {
        return price;
    }
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut open) = (text, 0i32);
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_digit() {
            let begins = !(before.is_alphanumeric() || "._^,'’".contains(before));
            let (number, len) = plain_number(rest, begins, open > 0);
            out.push_str(&number);
            rest = rest.get(len..).unwrap_or_default();
            before = '0';
            continue;
        }
        match first {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open -= 1,
            _ => {}
        }
        out.push(first);
        // A blank after a subscript or a command does not start a new number: `\log_2 128` is not 2128.
        before = if first == ' ' && before == '0' { '.' } else { first };
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    out
}

/// Returns the number at the start of a text, in plain digits if its groups are certain, and its length in the text.
fn plain_number(text: &str, begins: bool, inside: bool) -> (String, usize) {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let first = digits(text);
    let head = text.get(..first).unwrap_or_default();
    let as_is = (head.to_owned(), first);
    let after = text.get(first..).unwrap_or_default();
    if let Some(decimals) = after.strip_prefix("{,}") {
        let len = digits(decimals);
        return match decimals.get(..len) {
            Some(part) if len > 0 && len != 3 => (format!("{head}.{part}"), first + 3 + len),
            _ => as_is,
        };
    }
    // With three digits after it, `{,}` is a thousands separator, as in `1{,}000`, and handled elsewhere.
    let Some(separator) = after.chars().next().filter(|c| " '’_.".contains(*c)) else {
        return as_is;
    };
    if !begins || first > 3 || head.starts_with('0') {
        return as_is;
    }
    let (mut number, mut rest, mut groups) = (head.to_owned(), after, 0);
    while let Some(group) = rest.strip_prefix(separator).filter(|group| digits(group) == 3) {
        number.push_str(group.get(..3).unwrap_or_default());
        rest = group.get(3..).unwrap_or_default();
        groups += 1;
    }
    let len = |rest: &str| text.len() - rest.len();
    let comma =
        rest.strip_prefix(',').filter(|_| !inside && groups > 0 && matches!(separator, '.' | ' '));
    if let Some(decimals) = comma {
        let count = digits(decimals);
        let tail = decimals.get(count..).unwrap_or_default();
        let ends = !tail.starts_with([',', '.']) || digits(tail.get(1..).unwrap_or_default()) == 0;
        if count > 0 && ends {
            let part = decimals.get(..count).unwrap_or_default();
            return (format!("{number}.{part}"), len(tail));
        }
    }
    let fraction = rest.starts_with(['/', '_', '^', '\'', '’']);
    // One point alone is a decimal point (`1.234`), so points group digits only if there are at least two.
    let certain = if separator == '.' { groups > 1 } else { groups > 0 };
    if certain && !fraction { (number, len(rest)) } else { as_is }
}

/// Reads a price with a decimal comma: exactly two digits after the comma, and a currency.
fn priced(text: &str) -> Option<String> {
    let (negative, number) = strip_prefixes(text)?;
    let names = ["EUR", "euros", "Euros", "euro", "Euro"];
    let tail = number.trim_end_matches(['.', ' ']);
    let amount = names.iter().find_map(|name| tail.strip_suffix(name));
    let amount = amount.or_else(|| tail.strip_suffix(CURRENCY)).unwrap_or(tail).trim_end();
    let money = amount.len() < tail.len() || text.contains(CURRENCY);
    let (whole, cents) = amount.split_once(',')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let sign = if negative { "-" } else { "" };
    let price = money && digits(whole) && digits(cents) && cents.len() == 2;
    // More than one `$` means math mode, where the comma separates list items.
    let list = text.matches('$').count() > 1;
    (price && !list).then(|| format!("{sign}{whole}.{cents}"))
}
