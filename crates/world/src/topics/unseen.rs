//! Held-out templates: no model ever trains on them.

use crate::groups::{BILL, CROWD, MINUTES, MONEY, PAGES, PRODUCE, STOCK, THINGS};
use crate::script::{Topic, beat, template};

// The openings are new. Tails and ends are those of the other topics.
pub(crate) const TOPIC: Topic = Topic {
    name: "unseen",
    templates: &[
        template(
            "two drawers",
            beat(
                "o: person, item: thing, x: 10..80, z: 3..30 below x",
                &[
                    "{o} keeps {his} {items} in two drawers. One drawer holds {x} {items} and the other holds {z} fewer.",
                    "There are {x} {items} in {o}'s upper drawer, and {z} fewer in the lower one.",
                ],
                &["The other drawer has [y = x - z] {items}.", "{o} has [r = x + y] {items}."],
            ),
            &THINGS,
        ),
        template(
            "stall",
            beat(
                "o: person, g: good, j: good, k: 2..9, m: 2..12, n: 2..9, z: 2..12",
                &[
                    "At a stall {o} sells {k} {gs} for ${m} each and {n} {js} for ${z} each.",
                    "{o} has a stall and sells {k} {gs} and {n} {js}. {he} gets ${m} per {g} and ${z} per {j}.",
                ],
                &[
                    "The {gs} bring [x = k * m] dollars.",
                    "The {js} bring [y = n * z] dollars.",
                    "{o} has [r = x + y] dollars.",
                ],
            ),
            &MONEY,
        ),
        template(
            "lesson",
            beat(
                "o: person, k: 2..8, m: 10..30 by 5, x: 5..20",
                &[
                    "{o} plays {k} songs on the piano. Each song lasts {m} minutes, and tuning takes {x} minutes.",
                    "{o}'s piano lesson starts with {x} minutes of scales. Then come {k} songs of {m} minutes each.",
                ],
                &["The songs take [y = k * m] minutes.", "So far it takes [r = x + y] minutes."],
            ),
            &MINUTES,
        ),
        template(
            "lending",
            beat(
                "item: good, place: =warehouse, x: 40..200, f: fraction of x, z: 5..60",
                &[
                    "A warehouse holds {x} {items}. It lends {f} of them to a fair and buys {z} new ones.",
                    "Out of {x} {items} in a warehouse, {f} are lent to a fair. Then {z} new ones are bought.",
                ],
                &[
                    "{f} of the {items} is [y = x / f].",
                    "The warehouse has [u = x - y] {items} left.",
                    "Now the warehouse has [r = u + z] {items}.",
                ],
            ),
            &STOCK,
        ),
        template(
            "wedding",
            beat(
                "at: =at the wedding, who: =guests, k: 4..15, m: 4..10, x: 2..12 below k*m",
                &[
                    "For a wedding, {k} tables with {m} chairs each are set up. {x} chairs stay empty.",
                    "A wedding has {k} tables for {m} guests each, but {x} of the guests do not come.",
                ],
                &["The tables have [y = k * m] chairs.", "There are [r = y - x] {who}."],
            ),
            &CROWD,
        ),
        template(
            "fruit stand",
            beat(
                "o: person, item: fruit, x: 10..60, y: 10..60, z: 2..30",
                &[
                    "{o} picked {x} {items} on one hill, {y} on another hill and {z} by the river.",
                    "By the river {o} picked {z} {items}. On two hills {he} picked {x} and {y} more.",
                ],
                &["On the hills {o} picked [u = x + y] {items}.", "There are [r = u + z] {items}."],
            ),
            &PRODUCE,
        ),
        template(
            "hotel",
            beat(
                "o: person, k: 2..7, m: 30..90 by 5, x: 5..40",
                &[
                    "{o} stays in a hotel for {k} nights at ${m} per night. Breakfast costs ${x} for the whole stay.",
                    "A night in a hotel costs ${m}. {o} stays {k} nights and pays ${x} for breakfast.",
                ],
                &["The nights cost [y = k * m] dollars.", "The price is [r = y + x] dollars."],
            ),
            &BILL,
        ),
        template(
            "magazines",
            beat(
                "o: person, k: 2..9, m: 2..9, x: 10..60",
                &[
                    "{o} reads {k} magazines with {m} articles each. Every article is 2 pages long, and {o} also reads {x} pages of a novel.",
                ],
                &[
                    "The magazines have [u = k * m] articles.",
                    "The articles have [y = u * 2] pages.",
                    "So far {o} has read [r = y + x] pages.",
                ],
            ),
            &PAGES,
        ),
    ],
};
