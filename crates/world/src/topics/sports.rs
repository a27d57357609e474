//! Games and training.

use crate::groups::{JOURNEY, MINUTES, POINTS};
use crate::script::{Topic, beat, template};

pub(crate) const TOPIC: Topic = Topic {
    name: "sports",
    templates: &[
        template(
            "shots",
            beat(
                "o: person, k: 3..15, n: 2..12",
                &[
                    "{o} makes {k} shots worth 2 points each and {n} shots worth 3 points each.",
                    "In a game, {o} makes {k} shots for 2 points and {n} shots for 3 points.",
                ],
                &[
                    "The 2 point shots bring [x = k * 2] points.",
                    "The 3 point shots bring [y = n * 3] points.",
                    "{o} has [r = x + y] points.",
                ],
            ),
            &POINTS,
        ),
        template(
            "two games",
            beat(
                "o: person, x: 8..60, y: 2..30",
                &[
                    "{o} scores {x} points in one game and {y} more than that in the next game.",
                    "In the first game {o} gets {x} points. In the second game {he} gets {y} points more.",
                ],
                &["In the second game {o} gets [z = x + y] points.", "{o} has [r = x + z] points."],
            ),
            &POINTS,
        ),
        template(
            "worse game",
            beat(
                "o: person, x: 10..80, f: fraction of x",
                &[
                    "{o} gets {x} points in a game. In the next one {he} gets only {f} of that number.",
                    "{o} scores {x} points on Saturday and {f} of that number on Sunday.",
                ],
                &["{f} of the points is [z = x / f].", "{o} has [r = x + z] points."],
            ),
            &POINTS,
        ),
        template(
            "laps",
            beat(
                "o: person, u: =meters, k: 2..9, m: 20..60 by 10, n: 2..6",
                &[
                    "A lap is {m} meters. {o} swims {k} laps in the morning and {n} laps in the evening.",
                    "{o} swims in a pool where one lap is {m} meters. {he} does {k} laps and then {n} more.",
                ],
                &["{o} does [y = k + n] laps.", "So far {o} has travelled [r = y * m] {u}."],
            ),
            &JOURNEY,
        ),
        template(
            "training",
            beat(
                "o: person, k: 2..7, m: 10..60 by 5, x: 5..50",
                &[
                    "{o} trains {m} minutes a day for {k} days, and then {x} minutes on one more day.",
                    "For {k} days, {o} practices {m} minutes each day. Then {he} practices {x} minutes more.",
                ],
                &[
                    "In {k} days it takes [y = k * m] minutes.",
                    "So far it takes [r = y + x] minutes.",
                ],
            ),
            &MINUTES,
        ),
    ],
};
