//! Comparisons: more, fewer, times as many, older, younger.

use crate::groups::{AGES, COMPARED, THINGS};
use crate::script::{Topic, beat, template};

pub(crate) const TOPIC: Topic = Topic {
    name: "comparing",
    templates: &[
        template(
            "more than",
            beat(
                "o: person, l: person, item: thing, s: 5..80, x: 2..40",
                &[
                    "{o} has {s} {items}. {l} has {x} more {items} than {o}.",
                    "{l} has {x} more {items} than {o}, who has {s} {items}.",
                ],
                &["{l} has [r = s + x] {items}."],
            ),
            &COMPARED,
        ),
        template(
            "times as many",
            beat(
                "o: person, l: person, item: thing, s: 3..40, t: times",
                &[
                    "{o} has {s} {items}. {l} has {t} as many {items} as {o}.",
                    "{l} has {t} as many {items} as {o}, and {o} has {s} {items}.",
                ],
                &["{l} has [r = s * t] {items}."],
            ),
            &COMPARED,
        ),
        template(
            "half as many",
            beat(
                // `q` is never told. It makes `s` even.
                "o: person, l: person, item: thing, q: 4..50, s: q*2..q*2",
                &[
                    "{o} has {s} {items}. {l} has half as many {items} as {o}.",
                    "{l} has half as many {items} as {o}, who has {s}.",
                ],
                &["{l} has [r = s / 2] {items}."],
            ),
            &COMPARED,
        ),
        template(
            "older",
            beat(
                "o: person, l: person, s: 5..30, x: 2..25",
                &[
                    "{o} is {s} years old. {l} is {x} years older than {o}.",
                    "{l} is {x} years older than {o}, who is {s} years old.",
                ],
                &["{l} is [r = s + x] years old."],
            ),
            &AGES,
        ),
        template(
            "times as old",
            beat(
                "o: person, l: person, s: 4..20, t: times",
                &[
                    "{o} is {s} years old. {l} is {t} as old as {o}.",
                    "{l} is {t} as old as {o}, and {o} is {s}.",
                ],
                &["{l} is [r = s * t] years old."],
            ),
            &AGES,
        ),
        template(
            "twice",
            beat(
                "o: person, p: person, item: thing, x: 5..40, t: times",
                &[
                    "{p} has {x} {items}. {o} has {t} as many {items} as {p}.",
                    "{o} has {t} as many {items} as {p}, who has {x} of them.",
                ],
                &["{o} has [r = x * t] {items}."],
            ),
            &THINGS,
        ),
        template(
            "collecting",
            beat(
                "o: person, item: thing, x: 5..60, y: 2..40, day: Monday|Friday|Saturday",
                &[
                    "On {day} {o} collects {x} {items}. The next day {he} collects {y} more than on {day}.",
                    "{o} finds {x} {items} on {day}. The day after, {he} finds {y} more {items} than on {day}.",
                ],
                &["The next day {o} gets [z = x + y] {items}.", "{o} has [r = x + z] {items}."],
            ),
            &THINGS,
        ),
        template(
            "albums",
            beat(
                "o: person, item: keepsake, k: 2..9, m: 4..20, x: 2..40",
                &[
                    "{o} keeps {items} in {k} drawers with {m} {items} in each. {x} more {items} are on the table.",
                    "{o}'s {items} fill {k} drawers with {m} {items} each, and {he} has {x} more {items} in a bowl.",
                ],
                &["The drawers have [y = k * m] {items}.", "{o} has [r = y + x] {items}."],
            ),
            &THINGS,
        ),
    ],
};
