//! Tells a script: fills its slots by drawing, renders its text and computes its steps.
//!
//! A bad draw never panics: if there is no valid value the result is `None`, and the caller draws again.

use super::lexicon::{self, Noun, PEOPLE, Person};
use super::script::Beat;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The largest number that may appear anywhere in a problem.
const LARGEST: i64 = 999;
/// The smallest number drawn or computed. From 2 on, every noun after a number is a plural.
const SMALLEST: i64 = 2;
const PERCENTS: &[i64] = &[10, 20, 25, 30, 40, 50, 60, 75, 80];
const FRACTIONS: &[(&str, i64)] = &[("half", 2), ("a third", 3), ("a quarter", 4), ("a fifth", 5)];
const TIMES: &[(&str, i64)] = &[("twice", 2), ("3 times", 3), ("4 times", 4), ("5 times", 5)];

/// The contents of a slot.
#[derive(Clone, Copy)]
enum Slot {
    Number(i64),
    /// A number that is said in words, as `half` is said for 2.
    Said(&'static str, i64),
    Word(&'static str),
    Person(&'static Person),
    Noun(&'static Noun),
}

/// A problem while it is being told.
pub(crate) struct Teller<'a> {
    rng: &'a mut ChaCha8Rng,
    slots: Vec<(&'static str, Slot)>,
    pub(crate) text: Vec<String>,
    pub(crate) steps: Vec<String>,
    pub(crate) last: i64,
}

impl<'a> Teller<'a> {
    /// Starts an empty problem.
    pub(crate) fn new(rng: &'a mut ChaCha8Rng) -> Self {
        Self { rng, slots: Vec::new(), text: Vec::new(), steps: Vec::new(), last: 0 }
    }

    /// Draws, renders and computes one beat; `None` if the draw makes it invalid.
    pub(crate) fn tell(&mut self, beat: &Beat) -> Option<()> {
        self.draw(beat.draw)?;
        let say = *pick(self.rng, beat.say)?;
        let said = self.render(say)?;
        self.text.push(said);
        for step in beat.steps {
            let line = self.render(step)?;
            self.steps.push(capitalise(&line));
        }
        self.draw(beat.after)
    }

    /// Fills the slots of a list of draws.
    fn draw(&mut self, draws: &'static str) -> Option<()> {
        for draw in draws.split(',').map(str::trim).filter(|draw| !draw.is_empty()) {
            let (name, kind) = draw.split_once(": ")?;
            let slot = self.drawn(kind)?;
            self.bind(name, slot);
        }
        Some(())
    }

    /// Draws a value of a kind.
    fn drawn(&mut self, kind: &'static str) -> Option<Slot> {
        if let Some((low, rest)) = kind.split_once("..") {
            return self.number(low, rest).map(Slot::Number);
        }
        if kind.contains('|') {
            let words: Vec<_> = kind.split('|').collect();
            return pick(self.rng, &words).map(|word| Slot::Word(word));
        }
        if let Some(words) = kind.strip_prefix('=') {
            return Some(Slot::Word(words));
        }
        if let Some(other) = kind.strip_prefix("same ") {
            return self.slot(other);
        }
        let (kind, of) = match kind.split_once(" of ") {
            Some((kind, of)) => (kind, Some(self.value(of)?)),
            None => (kind, None),
        };
        match kind {
            "person" => self.person().map(Slot::Person),
            "thing" => {
                let kind = if self.rng.random_bool(0.7) { "keepsake" } else { "fruit" };
                self.noun(kind)
            }
            "percent" => {
                let whole = |percent: &&i64| of.is_none_or(|of| of * **percent % 100 == 0);
                let percents: Vec<_> = PERCENTS.iter().filter(whole).collect();
                pick(self.rng, &percents).map(|percent| Slot::Number(**percent))
            }
            "fraction" => self.said(FRACTIONS, of),
            "times" => self.said(TIMES, None),
            "divisor" => {
                let of = of?;
                // The quotient is going to be computed, so it has to be in range as well.
                let fits = |d: &i64| of % d == 0 && of / d >= SMALLEST;
                let divisors: Vec<_> = (2..=12).filter(fits).collect();
                pick(self.rng, &divisors).map(|divisor| Slot::Number(*divisor))
            }
            class => self.noun(class),
        }
    }

    /// Draws a number from `low..high by step | below limit | for percent`.
    fn number(&mut self, low: &str, rest: &str) -> Option<i64> {
        let mut words = rest.split(' ');
        let mut high = self.value(words.next()?)?;
        let mut step = 1;
        if let Some(word) = words.next() {
            let value = self.value(words.next()?)?;
            match word {
                "by" => step = value,
                // By `SMALLEST`, so that the difference is in range too.
                "below" => high = high.min(value - 2),
                "for" => step = 100 / gcd(100, value),
                _ => return None,
            }
        }
        let low = (self.value(low)?.max(SMALLEST) + step - 1) / step;
        let high = high.min(LARGEST) / step;
        (low <= high).then(|| self.rng.random_range(low..=high) * step)
    }

    /// Draws one of the numbers that have a word, such that it divides `of`.
    fn said(&mut self, words: &'static [(&str, i64)], of: Option<i64>) -> Option<Slot> {
        let fits = |(_, value): &&(_, i64)| of.is_none_or(|of| of % value == 0);
        let words: Vec<_> = words.iter().filter(fits).collect();
        pick(self.rng, &words).map(|(text, value)| Slot::Said(text, *value))
    }

    /// Draws a person who is not in the problem yet.
    fn person(&mut self) -> Option<&'static Person> {
        // Drawing again ends soon: a problem has only a few of the people.
        let person = pick(self.rng, PEOPLE.as_slice())?;
        self.absent(person.name).then_some(person).or_else(|| self.person())
    }

    /// Draws a noun that is not in the problem yet.
    fn noun(&mut self, kind: &str) -> Option<Slot> {
        let nouns = lexicon::class(kind)?.nouns.iter();
        let absent: Vec<_> = nouns.filter(|noun| self.absent(noun.one)).collect();
        pick(self.rng, &absent).map(|noun| Slot::Noun(noun))
    }

    /// Whether no slot holds the person with this name or the noun with this singular.
    fn absent(&self, word: &str) -> bool {
        !self.slots.iter().any(|(_, slot)| slot.is(word))
    }

    /// Sets a slot. The old value stays behind the new one, so that no person or noun is drawn twice.
    fn bind(&mut self, name: &'static str, slot: Slot) {
        self.slots.push((name, slot));
    }

    fn slot(&self, name: &str) -> Option<Slot> {
        // The latest value first: every tail binds `r` again.
        self.slots.iter().rev().find(|(bound, _)| *bound == name).map(|(_, slot)| *slot)
    }

    /// Renders a script as text: computed brackets first, then slots, because a bracket may bind a slot that the text
    /// shows.
    pub(crate) fn render(&mut self, script: &'static str) -> Option<String> {
        let computed = expand(script, ('[', ']'), |formula| self.compute(formula))?;
        expand(&computed, ('{', '}'), |key| Some(self.show(key)))
    }

    /// Returns the text of a slot. An unknown slot stays visible, so that the tests find it.
    fn show(&self, key: &str) -> String {
        let (holder, form) = key.split_once('.').unwrap_or(("o", key));
        if let Some(Slot::Person(person)) = self.slot(holder)
            && let Some(pronoun) = person.pronoun(form)
        {
            return pronoun.to_owned();
        }
        let plural = key.strip_suffix('s').and_then(|one| self.slot(one));
        let article = key.strip_prefix("a ").and_then(|one| self.slot(one));
        match (self.slot(key), plural, article) {
            (Some(Slot::Number(number)), ..) => number.to_string(),
            (Some(Slot::Said(word, _) | Slot::Word(word)), ..) => word.to_owned(),
            (Some(Slot::Person(person)), ..) => person.name.to_owned(),
            (Some(Slot::Noun(noun)), ..) => noun.one.to_owned(),
            (_, Some(Slot::Noun(noun)), _) => noun.many.to_owned(),
            (.., Some(Slot::Noun(noun))) => format!("{} {}", noun.article(), noun.one),
            _ => format!("{{{key}}}"),
        }
    }

    /// Computes `y = k * m`, binds `y` and returns the equation.
    fn compute(&mut self, formula: &'static str) -> Option<String> {
        let (name, expression) = formula.split_once(" = ")?;
        let mut words = expression.split(' ');
        let (left, sign, right) = (words.next()?, words.next()?, words.next()?);
        let (left, right) = (self.value(left)?, self.value(right)?);
        let result = match sign {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" => divided(left, right)?,
            "%" => divided(left * right, 100)?,
            _ => return None,
        };
        // Checked for every step, so that no intermediate result is negative, or 1 before a plural.
        if !(SMALLEST..=LARGEST).contains(&result) {
            return None;
        }
        self.bind(name, Slot::Number(result));
        self.last = result;
        Some(match sign {
            // In the form that percentages have in the corpus, too (`percentage` in text.rs).
            "%" => format!("{left} * {right} / 100 = {result}"),
            _ => format!("{left} {sign} {right} = {result}"),
        })
    }

    /// Returns the value of a sum of products of numbers and slots, such as `k*m+5`.
    fn value(&self, expression: &str) -> Option<i64> {
        // Split at the last sign, so that differences associate to the left.
        if let Some(at) = expression.rfind(['+', '-']) {
            let (left, right) = expression.split_at(at);
            let left = self.value(left)?;
            return match right.strip_prefix('+') {
                Some(right) => Some(left + self.value(right)?),
                None => Some(left - self.value(right.strip_prefix('-')?)?),
            };
        }
        if let Some((left, right)) = expression.split_once('*') {
            return Some(self.value(left)? * self.value(right)?);
        }
        match self.slot(expression) {
            Some(Slot::Number(value) | Slot::Said(_, value)) => Some(value),
            // One of several words may be a number: the bills of `5|10` dollars.
            Some(Slot::Word(word)) => word.parse().ok(),
            _ => expression.parse().ok(),
        }
    }
}

impl Slot {
    /// Whether the slot holds the person with this name or the noun with this singular.
    fn is(self, word: &str) -> bool {
        match self {
            Self::Person(person) => person.name == word,
            Self::Noun(noun) => noun.one == word,
            _ => false,
        }
    }
}

/// Replaces the text between the delimiters.
fn expand<'t>(
    text: &'t str,
    (open, close): (char, char),
    mut replace: impl FnMut(&'t str) -> Option<String>,
) -> Option<String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(open) {
        let (inside, after) = after.split_once(close)?;
        out.push_str(before);
        out.push_str(&replace(inside)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Capitalises the first letter of each sentence.
pub(crate) fn capitalise(text: &str) -> String {
    let mut starts = true;
    let capital = |letter: char| {
        let shown = if starts { letter.to_ascii_uppercase() } else { letter };
        // The point of `5.5` starts nothing, because a digit follows it.
        starts = matches!(letter, '.' | '?' | '!') || starts && letter == ' ';
        shown
    };
    text.chars().map(capital).collect()
}

/// Draws one item; `None` if there are none.
pub(crate) fn pick<'t, T>(rng: &mut ChaCha8Rng, from: &'t [T]) -> Option<&'t T> {
    (!from.is_empty()).then(|| &from[rng.random_range(0..from.len())])
}

/// Returns the exact quotient; `None` if there is a remainder or the divisor is zero.
fn divided(left: i64, right: i64) -> Option<i64> {
    (right != 0 && left % right == 0).then(|| left / right)
}

/// Returns the greatest common divisor.
pub(crate) fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn told(beat: &Beat) -> Option<(String, Vec<String>)> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut teller = Teller::new(&mut rng);
        teller.tell(beat)?;
        Some((teller.text.join(" "), teller.steps))
    }

    use crate::script::beat as script;

    #[test]
    fn draws_depend_on_what_was_drawn_before() {
        let beat = script(
            "x: 7..7, y: x*2+1..15, z: 2..90 below 4",
            &["{x} {y} {z}"],
            &["[r = y - x] it."],
        );
        assert_eq!(told(&beat), Some(("7 15 2".into(), vec!["15 - 7 = 8 it.".into()])));
    }

    #[test]
    fn a_percentage_is_shown_as_a_product_over_a_hundred() {
        let beat = script("x: 60..60, p: 25..25", &["go"], &["it is [y = x % p]."]);
        assert_eq!(told(&beat).unwrap().1, ["It is 60 * 25 / 100 = 15."]);
    }

    #[test]
    fn what_is_not_whole_or_not_in_range_is_refused() {
        for step in [&["[r = x / 3]"], &["[r = x - x]"], &["[r = x * 200]"], &["[r = x % 33]"]] {
            assert_eq!(told(&script("x: 10..10", &["go"], step)), None);
        }
        assert_eq!(told(&script("x: 9..5", &["go"], &[])), None);
    }

    #[test]
    fn an_unknown_slot_stays_visible() {
        assert_eq!(told(&script("", &["{who} goes"], &[])).unwrap().0, "{who} goes");
    }

    #[test]
    fn sentences_are_capitalised() {
        assert_eq!(capitalise("he is 5.5. she goes. why?"), "He is 5.5. She goes. Why?");
    }
}
