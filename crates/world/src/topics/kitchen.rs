//! Baking, cooking and parties.

use crate::groups::{BILL, PRODUCE};
use crate::script::{Group, Topic, beat, template};

/// Person `o` has `r` grams of `food`, such as `flour`.
const GRAMS: Group = Group {
    tails: &[
        beat(
            "x: 10..90 by 5",
            &["Then {he} buys {x} grams more.", "{o} finds another {x} grams in the kitchen."],
            &["Now {o} has [r = r + x] grams."],
        ),
        beat(
            "k: 2..6, m: 10..60 by 5",
            &[
                "{he} uses {m} grams a day for {k} days.",
                "Then {o} makes {k} cakes that need {m} grams each.",
            ],
            &["That is [y = k * m] grams.", "{o} has [r = r - y] grams left."],
        ),
        beat(
            "f: fraction of r",
            &["Then {o} uses {f} of the {food}.", "{he} gives {f} of the {food} to a neighbor."],
            &["{f} of the {food} is [y = r / f] grams.", "{o} has [r = r - y] grams left."],
        ),
        beat(
            "x: 5..80 below r",
            &["{o} spills {x} grams.", "A mouse eats {x} grams of it."],
            &["{o} has [r = r - x] grams left."],
        ),
    ],
    ends: &[
        beat("", &["How many grams of {food} does {o} have now?", "How many grams are left?"], &[]),
        beat(
            "d: divisor of r",
            &[
                "{o} puts all of the {food} into {d} cups equally. How many grams are in each cup?",
                "{he} divides the {food} equally among {d} cups. How many grams does each cup have?",
            ],
            &["Each cup has [r = r / d] grams."],
        ),
        beat(
            "g: r+10..r+200",
            &[
                "For a big cake {he} needs {g} grams. How many grams are missing?",
                "{o} wants to have {g} grams of {food}. How many more grams does {he} need?",
            ],
            &["{o} needs [r = g - r] more grams."],
        ),
    ],
};

pub(crate) const TOPIC: Topic = Topic {
    name: "kitchen",
    templates: &[
        template(
            "trays",
            beat(
                "o: person, item: pastry, k: 2..9, m: 4..15, x: 2..20 below k*m",
                &[
                    "{o} bakes {k} trays of {items} with {m} {items} on each tray. The dog eats {x} of them.",
                    "{o} makes {items}. {he} fills {k} trays with {m} {items} each, but {x} of them burn.",
                ],
                &["{o} makes [y = k * m] {items}.", "There are [r = y - x] {items} left."],
            ),
            &PRODUCE,
        ),
        template(
            "baking days",
            beat(
                "o: person, item: pastry, x: 10..60, t: times",
                &[
                    "{o} bakes {x} {items} on Monday and {t} as many on Tuesday.",
                    "On Monday {o} makes {x} {items}. On Tuesday {he} makes {t} as many as on Monday.",
                ],
                &["On Tuesday {o} makes [y = x * t] {items}.", "There are [r = x + y] {items}."],
            ),
            &PRODUCE,
        ),
        template(
            "batches",
            beat(
                "o: person, item: pastry, k: 2..9, m: 6..24, n: 2..6",
                &[
                    "One batch is {m} {items}. {o} bakes {k} batches in the morning and {n} batches at night.",
                    "{o} bakes {k} batches of {items} and later {n} more batches. Each batch is {m} {items}.",
                ],
                &["{o} bakes [y = k + n] batches.", "There are [r = y * m] {items}."],
            ),
            &PRODUCE,
        ),
        template(
            "flour",
            beat(
                "o: person, food: flour|sugar|butter, x: 200..900 by 10, k: 2..9, m: 10..80 by 5",
                &[
                    "{o} has {x} grams of {food}. {he} bakes {k} cakes and needs {m} grams of {food} for each.",
                    "Each cake needs {m} grams of {food}. {o} has {x} grams of {food} and bakes {k} cakes.",
                ],
                &["The cakes need [y = k * m] grams.", "{o} has [r = x - y] grams left."],
            ),
            &GRAMS,
        ),
        template(
            "meals",
            beat(
                "o: person, k: 2..8, m: 6..20, n: 2..8, z: 2..6",
                &[
                    "At a restaurant {o} orders {k} meals for ${m} each and {n} drinks for ${z} each.",
                    "{o} invites friends and orders {k} meals at ${m} each and {n} drinks at ${z} each.",
                ],
                &[
                    "The meals cost [x = k * m] dollars.",
                    "The drinks cost [y = n * z] dollars.",
                    "The price is [r = x + y] dollars.",
                ],
            ),
            &BILL,
        ),
    ],
};
