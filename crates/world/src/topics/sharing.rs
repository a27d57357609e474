//! Parts of a whole: fractions, percentages, equal shares.

use crate::groups::{STOCK, THINGS};
use crate::script::{Group, Topic, beat, template};

/// `r` of the noun `item` have the color in slot `last`; the whole is `x`.
const COLORS: Group = Group {
    tails: &[
        beat(
            "z: 2..30 below r",
            &["{z} of the {last} ones are lost."],
            &["There are [r = r - z] {last} {items} left."],
        ),
        beat(
            "z: 2..40",
            &["Then {z} more {last} {items} are added.", "{o} gets {z} more {last} ones."],
            &["Now there are [r = r + z] {last} {items}."],
        ),
        beat(
            "f: fraction of r",
            &["{o} gives away {f} of the {last} ones."],
            &[
                "{f} of the {last} {items} is [y = r / f].",
                "There are [r = r - y] {last} {items} left.",
            ],
        ),
    ],
    ends: &[
        beat(
            "",
            &["How many {last} {items} are there now?", "How many {last} {items} does {o} have?"],
            &[],
        ),
        beat(
            "d: divisor of r",
            &[
                "{he} shares the {last} {items} equally among {d} friends. How many does each friend get?",
            ],
            &["Each friend gets [r = r / d] {items}."],
        ),
        beat(
            "m: 2..6",
            &["A {last} one sells for ${m}. How many dollars are all the {last} {items} worth?"],
            &["They are worth [r = r * m] dollars."],
        ),
    ],
};

pub(crate) const TOPIC: Topic = Topic {
    name: "sharing",
    templates: &[
        template(
            "fraction away",
            beat(
                "o: person, item: thing, x: 12..150, f: fraction of x",
                &[
                    "{o} has {x} {items}. {he} gives {f} of them to {his} sister.",
                    "From {his} {x} {items}, {o} gives {f} to {his} best friend.",
                ],
                &["{f} of the {items} is [y = x / f].", "{o} has [r = x - y] {items} left."],
            ),
            &THINGS,
        ),
        template(
            "percent away",
            beat(
                "o: person, item: thing, p: percent, x: 20..200 for p",
                &[
                    "{o} has {x} {items}. {p}% of them are old, and {he} throws them away.",
                    "{o} owns {x} {items} and sells {p}% of them.",
                ],
                &["{p}% of the {items} is [y = x % p].", "{o} has [r = x - y] {items} left."],
            ),
            &THINGS,
        ),
        template(
            "equal shares",
            beat(
                // `x` is never told: it is the share of each child, and makes the division exact.
                "o: person, item: thing, d: 2..8, x: 3..30, w: d*x..d*x, y: 2..30",
                &[
                    "{o} has {y} {items}. Then {w} other {items} are divided equally among {d} children, and {o} is one of them.",
                    "{d} children share {w} {items} equally. {o} is one of them and already had {y} {items}.",
                ],
                &["Each of them gets [z = w / d] {items}.", "{o} has [r = y + z] {items}."],
            ),
            &THINGS,
        ),
        template(
            "crates",
            beat(
                "item: thing, place: store|school|hotel, c: container, k: 3..12, m: 4..15, f: fraction of k*m",
                &[
                    "A {place} gets {k} {cs} with {m} {items} in each {c}. {f} of the {items} are sent back.",
                    "{k} {cs} of {m} {items} each arrive at a {place}, and {f} of the {items} are given away.",
                ],
                &[
                    "The {cs} have [x = k * m] {items}.",
                    "{f} of the {items} is [y = x / f].",
                    "The {place} has [r = x - y] {items} left.",
                ],
            ),
            &STOCK,
        ),
        template(
            "three colors",
            beat(
                "o: person, item: keepsake, x: 20..120, f: fraction of x, y: 2..40 below x, last: green|yellow|white",
                &[
                    "{o} has {x} {items}. {f} of them are red, {y} are blue and the others are {last}.",
                    "Of {o}'s {x} {items}, {f} are red, {y} are blue and all the others are {last}.",
                ],
                &[
                    "{f} of the {items} is [z = x / f].",
                    "There are [u = x - z] {items} that are not red.",
                    "There are [r = u - y] {last} {items}.",
                ],
            ),
            &COLORS,
        ),
        template(
            "two colors",
            beat(
                "o: person, item: keepsake, p: percent, x: 20..200 for p, last: green|yellow|white",
                &[
                    "{p}% of {o}'s {x} {items} are red and the others are {last}.",
                    "{o} has {x} {items}. {p}% of them are red, and all the others are {last}.",
                ],
                &["{p}% of the {items} is [z = x % p].", "There are [r = x - z] {last} {items}."],
            ),
            &COLORS,
        ),
    ],
};
