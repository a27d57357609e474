//! Chains of comparisons: each tail compares a new person with the previous one.

use crate::script::{Group, beat};

/// Person `l` has `r` of the noun `item`; person `o`, the first of the chain, has `s`.
pub(crate) const COMPARED: Group = Group {
    tails: &[
        beat(
            "q: person, x: 2..40",
            &["{q} has {x} more {items} than {l}.", "{q} owns {x} more of them than {l}."],
            &["{q} has [r = r + x] {items}."],
        )
        // The next tail compares with the person that was introduced last.
        .then("l: same q"),
        beat(
            "q: person, x: 2..40 below r",
            &["{q} has {x} fewer {items} than {l}.", "{q} owns {x} fewer of them than {l}."],
            &["{q} has [r = r - x] {items}."],
        )
        .then("l: same q"),
        beat(
            "q: person, t: times",
            &["{q} has {t} as many {items} as {l}.", "{q} owns {t} as many of them as {l}."],
            &["{q} has [r = r * t] {items}."],
        )
        .then("l: same q"),
        beat(
            "q: person",
            &["{q} has half as many {items} as {l}.", "{q} owns only half as many of them as {l}."],
            // Fails, and is drawn again, if `r` is odd.
            &["{q} has [r = r / 2] {items}."],
        )
        .then("l: same q"),
        beat(
            "q: person, x: 2..20, z: 2..20",
            &[
                "{q} had {x} {items} more than {l} and then got {z} more.",
                "{q} had {x} more of them than {l}, and then {q.he} found {z} more.",
            ],
            &["At first {q} had [y = r + x] {items}.", "Then {q} has [r = y + z] {items}."],
        )
        .then("l: same q"),
    ],
    ends: &[
        beat(
            "",
            &["How many {items} does {l} have?", "What is the number of {items} that {l} has?"],
            &[],
        ),
        beat(
            "",
            &[
                "How many {items} do {o} and {l} have together?",
                "Together, how many {items} do {l} and {o} have?",
            ],
            &["Together they have [r = s + r] {items}."],
        ),
        beat(
            "",
            &[
                "How many more {items} than {o} does {l} have?",
                "By how many {items} does {l} have more than {o}?",
            ],
            // Fails, and is drawn again, unless `l` has more than `o`.
            &["{l} has [r = r - s] more {items}."],
        ),
        beat(
            "x: 2..20 below r",
            &["{l} gives away {x} {items}. How many {items} does {l} have left?"],
            &["{l} has [r = r - x] {items} left."],
        ),
        beat(
            "d: divisor of r",
            &["{l} shares them equally among {d} friends. How many {items} does each friend get?"],
            &["Each friend gets [r = r / d] {items}."],
        ),
    ],
};

/// Person `l` is `r` years old; person `o`, the first of the chain, is `s`.
pub(crate) const AGES: Group = Group {
    tails: &[
        beat(
            "q: person, x: 2..25",
            &["{q} is {x} years older than {l}.", "{l} is {x} years younger than {q}."],
            &["{q} is [r = r + x] years old."],
        )
        .then("l: same q"),
        beat(
            "q: person, x: 2..25 below r",
            &["{q} is {x} years younger than {l}.", "{l} is {x} years older than {q}."],
            &["{q} is [r = r - x] years old."],
        )
        .then("l: same q"),
        beat(
            // `y` is never told. Nobody gets older than 100, because then its range is empty and the draw fails.
            "q: person, t: times, y: r*t..100",
            &["{q} is {t} as old as {l}.", "The age of {q} is {t} the age of {l}."],
            &["{q} is [r = r * t] years old."],
        )
        .then("l: same q"),
        beat(
            "q: person",
            &["{q} is half as old as {l}.", "{q} has only half the age of {l}."],
            &["{q} is [r = r / 2] years old."],
        )
        .then("l: same q"),
    ],
    ends: &[
        beat("", &["How old is {l}?", "What is the age of {l}?"], &[]),
        beat(
            "x: 2..30",
            &["How old will {l} be in {x} years?", "What will be the age of {l} in {x} years?"],
            &["In {x} years {l} will be [r = r + x] years old."],
        ),
        beat(
            "x: 2..20 below r",
            &["How old was {l} {x} years ago?", "What was the age of {l} {x} years ago?"],
            &["{x} years ago {l} was [r = r - x] years old."],
        ),
        beat(
            "",
            &["What is the sum of the ages of {o} and {l}?", "How old are {o} and {l} together?"],
            &["Together they are [r = s + r] years old."],
        ),
        beat(
            "",
            &["How many years older than {o} is {l}?", "By how many years is {l} older than {o}?"],
            // Fails, and is drawn again, unless `l` is older than `o`.
            &["{l} is [r = r - s] years older."],
        ),
    ],
};
