//! Food that a person made or grew, and goods in stock.

use crate::script::{Group, beat};

/// Person `o` has `r` of the noun `item`, which gets eaten.
pub(crate) const PRODUCE: Group = Group {
    tails: &[
        beat(
            "x: 2..30 below r",
            &[
                "{his} family eats {x} of the {items}.",
                "{o} uses {x} {items} for dinner.",
                "{o} and {his} friends eat {x} {items}.",
            ],
            &["There are [r = r - x] {items} left."],
        ),
        beat(
            "x: 2..50 below r",
            &[
                "{o} sells {x} {items} at the market.",
                "In the morning {o} sells {x} of the {items}.",
            ],
            &["There are [r = r - x] {items} left."],
        ),
        beat(
            "x: 2..50",
            &[
                "A neighbor brings {x} more {items}.",
                "{o} gets {x} more {items} from {his} grandfather.",
            ],
            &["Now there are [r = r + x] {items}."],
        ),
        beat(
            "p: percent of r",
            &[
                "{p}% of the {items} are bad, so {o} throws them away.",
                "{o} gives {p}% of the {items} to a kitchen for the poor.",
            ],
            &["{p}% of the {items} is [y = r % p].", "There are [r = r - y] {items} left."],
        ),
        beat(
            "f: fraction of r",
            &[
                "{o} gives {f} of the {items} to {his} parents.",
                "{o} sells {f} of the {items} to a store.",
            ],
            &["{f} of the {items} is [y = r / f].", "There are [r = r - y] {items} left."],
        ),
        beat(
            "k: 2..8, m: 2..9",
            &[
                "{o} gives {m} {items} to each of {k} neighbors.",
                "{k} guests come and each of them eats {m} {items}.",
            ],
            &["They get [y = k * m] {items}.", "There are [r = r - y] {items} left."],
        ),
        beat(
            "c: container, k: 2..8, m: 2..10",
            &[
                "{o} sells {k} {cs} with {m} {items} in each {c}.",
                "A cook buys {k} {cs} of {m} {items} each from {him}.",
            ],
            &["The {cs} have [y = k * m] {items}.", "There are [r = r - y] {items} left."],
        ),
    ],
    ends: &[
        beat("", &["How many {items} are left?", "How many {items} does {o} have left?"], &[]),
        beat(
            "",
            &["How many {items} does {o} have now?", "How many {items} are there in the end?"],
            &[],
        ),
        beat(
            "c: container, d: divisor of r",
            &[
                "{o} puts {d} {items} into each {c}. How many {cs} does {he} fill?",
                "{o} puts all of them into {cs} of {d}. How many {cs} are there?",
            ],
            &["{o} fills [r = r / d] {cs}."],
        ),
        beat(
            "c: container, d: divisor of r, m: 2..9",
            &[
                "{o} puts all the {items} into {cs} of {d} and sells each {c} for ${m}. How many dollars does {he} get?",
                "All the {items} that {o} has now are sold in {cs} of {d} at ${m} per {c}. How much money does {o} get?",
            ],
            &["{o} fills [y = r / d] {cs}.", "{o} gets [r = y * m] dollars."],
        ),
        beat(
            "m: 2..6",
            &[
                "{o} sells all the {items} that {he} has now for ${m} each. How many dollars does {he} get?",
                "All the {items} that {o} has now are sold for ${m} each. How much money does {he} get?",
            ],
            &["{o} gets [r = r * m] dollars."],
        ),
        beat(
            "d: divisor of r",
            &[
                "All the {items} that {o} has now are shared equally by {d} people. How many {items} does each of them get?",
                "{o} divides all of them equally among {d} friends. How many {items} does each friend get?",
            ],
            &["Each of them gets [r = r / d] {items}."],
        ),
    ],
};

/// The `place`, such as `store`, has `r` of the noun `item` in stock.
pub(crate) const STOCK: Group = Group {
    tails: &[
        beat(
            "x: 5..90 below r",
            &[
                "On Monday the {place} sells {x} {items}.",
                "Then the {place} sends {x} {items} to a school.",
            ],
            &["The {place} has [r = r - x] {items} left."],
        ),
        beat(
            "x: 5..90",
            &["Then {x} more {items} arrive.", "A truck brings {x} more {items}."],
            &["Now the {place} has [r = r + x] {items}."],
        ),
        beat(
            "k: 2..9, m: 3..15",
            &[
                "After that, {k} customers order {m} {items} each and get them.",
                "For {k} days, the {place} sells {m} {items} a day.",
            ],
            &["That is [y = k * m] {items}.", "The {place} has [r = r - y] {items} left."],
        ),
        beat(
            "c: container, k: 2..9, m: 4..12",
            &[
                "A delivery of {k} {cs} with {m} {items} in each {c} comes in.",
                "Then the {place} gets {k} {cs} of {m} {items} each.",
            ],
            &["The {cs} have [y = k * m] {items}.", "Now the {place} has [r = r + y] {items}."],
        ),
        beat(
            "p: percent of r",
            &[
                "{p}% of the {items} are broken and thrown away.",
                "In one week {p}% of the {items} are sold.",
            ],
            &["{p}% of the {items} is [y = r % p].", "The {place} has [r = r - y] {items} left."],
        ),
        beat(
            "f: fraction of r",
            &[
                "Then {f} of the {items} are sold.",
                "The {place} sends {f} of the {items} to another town.",
            ],
            &["{f} of the {items} is [y = r / f].", "The {place} has [r = r - y] {items} left."],
        ),
    ],
    ends: &[
        beat(
            "",
            &[
                "How many {items} does the {place} have now?",
                "How many {items} are in the {place} in the end?",
            ],
            &[],
        ),
        beat(
            "d: divisor of r",
            &[
                "The {items} are placed on {d} shelves, equally many on each. How many {items} are on a shelf?",
                "A worker divides the {items} equally among {d} shelves. How many {items} does each shelf hold?",
            ],
            &["Each shelf has [r = r / d] {items}."],
        ),
        beat(
            "c: container, d: divisor of r",
            &[
                "A worker puts them into {cs} of {d}. How many {cs} are there?",
                "They are stored in {cs} with {d} {items} in each. How many {cs} does the {place} need?",
            ],
            &["There are [r = r / d] {cs}."],
        ),
        beat(
            "m: 2..9",
            &[
                "All the {items} that the {place} has now are sold for ${m} each. How many dollars does it get?",
                "The {place} then sells all the {items} that it has for ${m} each. How much money does it make?",
            ],
            &["The {place} gets [r = r * m] dollars."],
        ),
        beat(
            "g: r+5..r+90",
            &[
                "The {place} should have {g} {items}. How many {items} are missing?",
                "There is space for {g} {items} in the {place}. How many more would fit?",
            ],
            &["There is space for [r = g - r] more {items}."],
        ),
    ],
};
