//! Scripts: the data from which problems are generated.
//!
//! A problem is an opening, some tails that each add to the story, and an end with the question. All three are
//! [`Beat`]s: what to draw, what to say, and the solution steps that this makes possible. The number of steps is known
//! before anything is drawn.
//!
//! Drawing: comma-separated `name: kind`, in order, where kind is one of
//! - `5..50`, `20..90 by 5`, `r+5..r+90`, `2..60 below r` (at most `r - 2`), `20..200 for p` (so that `p` percent of it
//!   is whole);
//! - `percent`, `percent of r`, `fraction`, `fraction of r`, `divisor of r`, `times`;
//! - `person`, `thing`, or a noun class of the lexicon;
//! - `Monday|Friday`, `20|50`: one of these words or numbers; `=on the bus`: these words; `same q`: the contents of
//!   slot `q`.
//!
//! Saying: `{x}` is a slot, `{item}`/`{items}` a noun in singular or plural, `{a item}` a noun with its article.
//! `{he}`, `{him}` and `{his}` refer to the person in slot `o`, `{p.he}` to the one in `p`. Brackets compute a step:
//! `[y = k * m]` shows `4 * 5 = 20` and binds `y`; `[y = x % p]` is `p` percent of `x`. Sentences are capitalised when
//! a problem is put together.

/// A passage of a problem: its draws, its text (one of several phrasings) and its solution steps.
#[derive(Debug)]
pub(crate) struct Beat {
    pub(crate) draw: &'static str,
    pub(crate) say: &'static [&'static str],
    pub(crate) steps: &'static [&'static str],
    /// Draws made after the steps are computed, for slots that later beats use.
    pub(crate) after: &'static str,
}

impl Beat {
    /// Adds draws that are made after the steps.
    pub(crate) const fn then(self, after: &'static str) -> Self {
        Self { after, ..self }
    }
}

/// Tails and ends that fit the same situation.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) tails: &'static [Beat],
    pub(crate) ends: &'static [Beat],
}

/// One kind of problem.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    pub(crate) opening: Beat,
    pub(crate) group: &'static Group,
}

/// Templates about one topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    pub(crate) templates: &'static [Template],
}

/// Makes a beat. A function, because the field names of a struct literal would drown the text.
pub(crate) const fn beat(
    draw: &'static str,
    say: &'static [&'static str],
    steps: &'static [&'static str],
) -> Beat {
    Beat { draw, say, steps, after: "" }
}

/// Makes a template, for the same reason.
pub(crate) const fn template(name: &'static str, opening: Beat, group: &'static Group) -> Template {
    Template { name, opening, group }
}

/// Returns how many templates the topics have.
pub(crate) const fn count(topics: &[Topic]) -> usize {
    let (mut total, mut index) = (0, 0);
    while index < topics.len() {
        total += topics[index].templates.len();
        index += 1;
    }
    total
}

/// Returns the names of all templates, in order; `N` must be [`count`] of the same topics.
pub(crate) const fn names<const N: usize>(topics: &[Topic]) -> [&'static str; N] {
    // Plain loops here and in `count`, because iterators are not available in a `const fn`.
    let mut names = [""; N];
    let (mut next, mut index) = (0, 0);
    while index < topics.len() {
        let templates = topics[index].templates;
        let mut inner = 0;
        while inner < templates.len() {
            names[next] = templates[inner].name;
            next += 1;
            inner += 1;
        }
        index += 1;
    }
    names
}

#[cfg(test)]
mod tests {
    use crate::{lexicon, split, stories, topics};

    /// Returns all literal text in the scripts, without the slots.
    fn written() -> Vec<String> {
        let all =
            || topics::TRAINING.iter().chain(topics::UNSEEN).flat_map(|topic| topic.templates);
        let groups = all().flat_map(|of| of.group.tails.iter().chain(of.group.ends));
        let beats = all().map(|of| &of.opening).chain(groups).chain(stories::STORIES);
        let texts = beats.flat_map(|beat| beat.say.iter().chain(beat.steps).chain([&beat.draw]));
        let literal = |text: &&str| {
            text.split('{')
                .map(|part| part.split_once('}').map_or(part, |(_, after)| after))
                .collect()
        };
        texts.map(literal).collect()
    }

    #[test]
    fn no_script_writes_out_a_word_that_a_swap_may_change() {
        for text in written().iter().filter(|text| !text.contains(": ")) {
            let known: Vec<_> =
                split::words(text).filter(|word| lexicon::known(word).is_some()).collect();
            assert!(known.is_empty(), "{known:?} in {text}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = topics::TRAINING
            .iter()
            .chain(topics::UNSEEN)
            .flat_map(|topic| topic.templates)
            .map(|of| of.name)
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
