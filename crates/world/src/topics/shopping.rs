//! Buying and selling.

use crate::groups::{BILL, MONEY, STOCK, THINGS};
use crate::script::{Topic, beat, template};

pub(crate) const TOPIC: Topic = Topic {
    name: "shopping",
    templates: &[
        template(
            "bags",
            beat(
                "o: person, item: thing, c: container, x: 5..50, k: 2..9, m: 2..12",
                &[
                    "{o} has {x} {items}. {he} buys {k} {cs} with {m} {items} in each {c}.",
                    "{o} already has {x} {items}. At a store {he} buys {k} {cs} of {m} {items} each.",
                    "There are {x} {items} in {o}'s room. {he} gets {k} {cs} with {m} {items} per {c}.",
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
                    "{o} takes ${w} to a store and buys {a g}. Its price of ${x} is reduced by {p}%.",
                ],
                &[
                    "The discount is [d = x % p] dollars.",
                    "The {g} costs [y = x - d] dollars.",
                    "{o} has [r = w - y] dollars left.",
                ],
            ),
            &MONEY,
        ),
        template(
            "two goods",
            beat(
                "o: person, g: good, j: good, k: 2..9, m: 2..12, n: 2..9, z: 2..15",
                &[
                    "{o} buys {k} {gs} for ${m} each and {n} {js} for ${z} each.",
                    "At a store {o} takes {k} {gs} at ${m} each and {n} {js} at ${z} each.",
                    "{a g} costs ${m} and {a j} costs ${z}. {o} buys {k} {gs} and {n} {js}.",
                ],
                &[
                    "The {gs} cost [x = k * m] dollars.",
                    "The {js} cost [y = n * z] dollars.",
                    "The price is [r = x + y] dollars.",
                ],
            ),
            &BILL,
        ),
        template(
            "by weight",
            beat(
                "o: person, item: crop, k: 2..12, m: 2..9, x: 3..30",
                &[
                    "{o} buys {k} kilos of {items} at ${m} per kilo and some rice for ${x}.",
                    "A kilo of {items} costs ${m}. {o} buys {k} kilos of {items} and a cheese for ${x}.",
                ],
                &["The {items} cost [y = k * m] dollars.", "The price is [r = y + x] dollars."],
            ),
            &BILL,
        ),
        template(
            "dearer",
            beat(
                "o: person, g: good, j: good, x: 5..60, y: 2..30",
                &[
                    "{a g} costs ${x} and {a j} costs ${y} more than the {g}. {o} buys both.",
                    "{o} buys {a g} for ${x} and {a j} that is ${y} more expensive.",
                ],
                &["The {j} costs [z = x + y] dollars.", "The price is [r = x + z] dollars."],
            ),
            &BILL,
        ),
        template(
            "deal",
            beat(
                // `q` is never told. It makes `x` a multiple of `d`, so that the division is exact.
                "o: person, g: good, d: 2..6, q: 2..9, x: d*q..d*q, m: 3..20",
                &[
                    "{gs} are sold in sets of {d}, and a set costs ${m}. {o} buys {x} {gs}.",
                    "A store sells {d} {gs} together for ${m}. {o} needs {x} {gs} and buys them there.",
                ],
                &["{o} buys [y = x / d] sets.", "The price is [r = y * m] dollars."],
            ),
            &BILL,
        ),
        template(
            "store",
            beat(
                "item: good, place: =store, k: 3..12, m: 4..20, x: 5..60 below k*m",
                &[
                    "A store has {k} shelves with {m} {items} on each shelf. It sells {x} of the {items}.",
                    "There are {m} {items} on each of the {k} shelves of a store. Then {x} {items} are sold.",
                ],
                &[
                    "The shelves have [y = k * m] {items}.",
                    "The store has [r = y - x] {items} left.",
                ],
            ),
            &STOCK,
        ),
    ],
};
