//! People who arrive and leave.

use crate::groups::{BILL, CROWD};
use crate::script::{Topic, beat, template};

pub(crate) const TOPIC: Topic = Topic {
    name: "people",
    templates: &[
        template(
            "bus",
            beat(
                "v: bus|train|boat, at: =on board, who: =people, x: 10..60, y: 2..30 below x, z: 2..30",
                &[
                    "A {v} starts with {x} people. At the first stop {y} people get off and {z} people get on.",
                    "There are {x} people on a {v}. At a stop {y} of them get off and {z} new people get on.",
                ],
                &["There are [u = x - y] {who} left.", "Now there are [r = u + z] {who}."],
            ),
            &CROWD,
        ),
        template(
            "theater",
            beat(
                "h: theater|cinema|circus, at: =in the hall, who: =people, k: 4..15, m: 5..20, x: 2..40 below k*m",
                &[
                    "The hall of a {h} has {k} rows with {m} seats in each row. People sit on all seats but {x}.",
                    "In the hall of a {h} there are {k} rows of {m} seats. {x} seats are empty, and people sit on all the others.",
                ],
                &["The rows have [y = k * m] seats.", "There are [r = y - x] {who}."],
            ),
            &CROWD,
        ),
        template(
            "trip by bus",
            beat(
                "at: =on the trip, who: =students, k: 2..6, m: 12..40, x: 2..12",
                &[
                    "For a school trip, {k} buses take {m} students each, and {x} students come by car.",
                    "On a school trip there are {k} buses with {m} students in each and {x} students in cars.",
                ],
                &["The buses take [y = k * m] students.", "There are [r = y + x] {who}."],
            ),
            &CROWD,
        ),
        template(
            "visitors",
            beat(
                "w: museum|zoo|park, at: =there, who: =visitors, x: 10..90, t: times",
                &[
                    "In the morning {x} visitors come to a {w}. In the afternoon {t} as many come, and everybody stays.",
                    "A {w} gets {x} visitors before noon and {t} as many after noon. Nobody has left yet.",
                ],
                &["In the afternoon [y = x * t] {who} come.", "There are [r = x + y] {who}."],
            ),
            &CROWD,
        ),
        template(
            "club",
            beat(
                // Without a step of its own, so `r` is told here instead of computed.
                "w: club|choir|camp, at: =in it, who: =members, r: 20..200",
                &["A {w} has {r} members.", "There are {r} members in a {w}."],
                &[],
            ),
            &CROWD,
        ),
        template(
            "tickets",
            beat(
                "o: person, k: 2..6, m: 8..25, n: 2..9, z: 2..12",
                &[
                    "{o} buys {k} tickets for adults at ${m} each and {n} tickets for children at ${z} each.",
                    "A ticket costs ${m} for adults and ${z} for children. {o} pays for {k} adults and {n} children.",
                ],
                &[
                    "The adults cost [x = k * m] dollars.",
                    "The children cost [y = n * z] dollars.",
                    "The price is [r = x + y] dollars.",
                ],
            ),
            &BILL,
        ),
    ],
};
