//! Buying and selling.

use crate::world::groups::{MONEY, THINGS};
use crate::world::script::{Topic, beat, template};

pub(super) const TOPIC: Topic = Topic {
    name: "shopping",
    templates: &[
        template(
            "bags",
            beat(
                "o: person, item: thing, c: container, x: 5..50, k: 2..9, m: 2..12",
                &[
                    "{o} has {x} {items}. {he} buys {k} {cs} with {m} {items} in each {c}.",
                    "{o} already has {x} {items}. At a store {he} buys {k} {cs} of {m} {items} each.",
                    "There are {x} {items} on the desk of {o}. {he} gets {k} {cs} with {m} {items} per {c}.",
                ],
                &["The {cs} have [y = k * m] {items}.", "{o} has [r = x + y] {items}."],
            ),
            &THINGS,
        ),
        template(
            "purse",
            beat(
                "o: person, g: good, k: 2..7, m: 2..15, x: k*m+5..k*m+90",
                &[
                    "{o} has ${x}. {he} buys {k} {gs} that cost ${m} each.",
                    "{o} goes to a store with ${x} and buys {k} {gs} for ${m} each.",
                    "With ${x} in {his} wallet, {o} buys {k} {gs} at ${m} each.",
                ],
                &["The {gs} cost [y = k * m] dollars.", "{o} has [r = x - y] dollars left."],
            ),
            &MONEY,
        ),
        template(
            "sale",
            beat(
                "o: person, g: good, p: percent, x: 20..120 for p, w: x..x+90",
                &[
                    "{o} has ${w}. {he} buys {a g} that costs ${x} but is on sale for {p}% off.",
                    "{a g} costs ${x}, but today there is a discount of {p}%. {o} has ${w} and buys it.",
                ],
                &[
                    "The discount is [d = x % p] dollars.",
                    "The {g} costs [y = x - d] dollars.",
                    "{o} has [r = w - y] dollars left.",
                ],
            ),
            &MONEY,
        ),
    ],
};
