//! Situations in which a person collects things.

use crate::script::{Group, beat};

/// Person `o` has `r` of the noun `item`, which does not get used up.
pub(crate) const THINGS: Group = Group {
    tails: &[
        beat(
            "x: 2..60 below r",
            &[
                "Then {o} gives {x} {items} to a friend.",
                "{he} gives {x} of the {items} to {his} cousin.",
                "After that, {o} hands {x} {items} to a neighbor.",
            ],
            &["{o} has [r = r - x] {items} left."],
        ),
        beat(
            "x: 2..60",
            &[
                "Later {o} finds {x} more {items}.",
                "{his} aunt gives {him} {x} more {items}.",
                "The next day {he} gets {x} more {items}.",
            ],
            &["Now {o} has [r = r + x] {items}."],
        ),
        beat(
            "c: container, k: 2..9, m: 2..12",
            &[
                "{he} then buys {k} {cs} with {m} {items} in each {c}.",
                "{o} also gets {k} {cs} of {m} {items} each.",
                "{his} uncle gives {him} {k} {cs} with {m} {items} per {c}.",
            ],
            &["The {cs} have [y = k * m] {items}.", "Now {o} has [r = r + y] {items}."],
        ),
        beat(
            "f: fraction of r",
            &[
                "Then {o} gives {f} of the {items} to {his} brother.",
                "{he} gives {f} of all the {items} to a school.",
            ],
            &["{f} of the {items} is [y = r / f].", "{o} has [r = r - y] {items} left."],
        ),
        beat(
            "t: times",
            &[
                "A month later {o} has {t} as many {items} as before.",
                "After a year {he} has {t} as many {items} as before.",
            ],
            &["Now {o} has [r = r * t] {items}."],
        ),
        beat(
            "k: 2..9, m: 2..9",
            &[
                "{he} gives {m} {items} to each of {k} friends.",
                "{o} meets {k} friends and gives each of them {m} {items}.",
            ],
            &["The friends get [y = k * m] {items}.", "{o} has [r = r - y] {items} left."],
        ),
        beat(
            "x: 2..50 below r",
            &[
                "{o} sells {x} {items} at a market.",
                "Then {he} loses {x} of the {items}.",
                "{o} throws away {x} {items} that are damaged.",
            ],
            &["{o} has [r = r - x] {items} left."],
        ),
        beat(
            "p: person, q: person, x: 2..40, z: 2..40",
            &[
                "{p} gives {him} {x} {items} and {q} gives {him} {z} {items}.",
                "Then {o} gets {x} {items} from {p} and {z} {items} from {q}.",
            ],
            &["{p} and {q} give [y = x + z] {items}.", "Now {o} has [r = r + y] {items}."],
        ),
        beat(
            "k: 2..9, m: 2..12",
            &[
                "Every day for {k} days, {he} collects {m} more {items}.",
                "Over the next {k} days {o} gets {m} more {items} each day.",
            ],
            &["In {k} days {o} gets [y = k * m] {items}.", "Now {o} has [r = r + y] {items}."],
        ),
        beat(
            "p: percent of r",
            &[
                "{he} gives {p}% of the {items} to {his} sister.",
                "Then {o} sells {p}% of the {items}.",
            ],
            &["{p}% of the {items} is [y = r % p].", "{o} has [r = r - y] {items} left."],
        ),
    ],
    ends: &[
        beat("", &["How many {items} does {o} have now?", "How many {items} does {o} have?"], &[]),
        beat(
            "",
            &[
                "How many {items} does {o} have in the end?",
                "In the end, how many {items} does {he} have?",
            ],
            &[],
        ),
        beat(
            "c: container, d: divisor of r",
            &[
                "{he} puts all of the {items} equally into {d} {cs}. How many {items} are in each {c}?",
                "{o} divides the {items} equally among {d} {cs}. How many {items} does each {c} have?",
            ],
            &["Each {c} has [r = r / d] {items}."],
        ),
        beat(
            "c: container, d: divisor of r",
            &[
                "{he} puts all of the {items} into {cs} of {d}. How many {cs} does {o} fill?",
                "{o} puts {d} {items} into each {c}. How many {cs} does {he} need for all of them?",
            ],
            &["{o} fills [r = r / d] {cs}."],
        ),
        beat(
            "p: person, x: 2..50",
            &[
                "{p} has {x} more {items} than {o} has now. How many {items} does {p} have?",
                "Now {p} has {x} more {items} than {o}. How many {items} does {p} have?",
            ],
            &["{p} has [r = r + x] {items}."],
        ),
        beat(
            "p: person, x: 2..50 below r",
            &[
                "{p} has {x} fewer {items} than {o} has now. How many {items} does {p} have?",
                "Now {p} has {x} fewer {items} than {o}. How many {items} does {p} have?",
            ],
            &["{p} has [r = r - x] {items}."],
        ),
        beat(
            "p: person, t: times",
            &[
                "{p} has {t} as many {items} as {o} has now. How many {items} do they have together?",
                "Now {p} has {t} as many {items} as {o}. How many {items} do {o} and {p} have together?",
            ],
            &["{p} has [y = r * t] {items}.", "Together they have [r = r + y] {items}."],
        ),
        beat(
            "m: 2..9",
            &[
                "{o} sells all of the {items} for ${m} each. How much money does {he} get?",
                "How many dollars does {o} get if {he} sells all of them for ${m} each?",
            ],
            &["{o} gets [r = r * m] dollars."],
        ),
        beat(
            "g: r+2..r+60",
            &[
                "{o} wants to have {g} {items}. How many more {items} does {he} need?",
                "How many more {items} does {o} need to have {g} of them?",
            ],
            &["{o} needs [r = g - r] more {items}."],
        ),
    ],
};
