//! Rates of work: machines, workers, repairs.

use crate::groups::{MINUTES, STOCK};
use crate::script::{Topic, beat, template};

pub(crate) const TOPIC: Topic = Topic {
    name: "work",
    templates: &[
        template(
            "factory",
            beat(
                "item: good, place: =factory, k: 4..20, m: 3..12, x: 5..60",
                &[
                    "A factory makes {k} {items} per hour and works for {m} hours. It already had {x} {items}.",
                    "A factory has {x} {items} and makes {k} more each hour for {m} hours.",
                ],
                &[
                    "In {m} hours it makes [y = k * m] {items}.",
                    "The factory has [r = y + x] {items}.",
                ],
            ),
            &STOCK,
        ),
        template(
            "machines",
            beat(
                "item: good, place: =factory, n: 2..6, k: 3..12, m: 2..9",
                &[
                    "A factory has {n} machines that make {k} {items} per hour each. They run for {m} hours.",
                    "Each of the {n} machines in a factory makes {k} {items} per hour. All of them run for {m} hours.",
                ],
                &[
                    "The machines make [y = n * k] {items} per hour.",
                    "The factory has [r = y * m] {items}.",
                ],
            ),
            &STOCK,
        ),
        template(
            "workers",
            beat(
                "item: good, place: workshop|studio, n: 3..12, k: 3..15, x: 2..12",
                &[
                    "In a {place}, {n} workers make {k} {items} each, but {x} of the {items} are broken.",
                    "{n} workers in a {place} make {k} {items} each. {x} of the {items} are bad and thrown away.",
                ],
                &[
                    "The workers make [y = n * k] {items}.",
                    "The {place} has [r = y - x] {items} left.",
                ],
            ),
            &STOCK,
        ),
        template(
            "repairs",
            beat(
                "o: person, a: repairs bikes|paints doors|cleans windows, k: 2..9, m: 5..30, n: 2..5, z: 5..20",
                &[
                    "{o} {a}. The first {k} take {m} minutes each, and {n} more take {z} minutes each.",
                    "{o} {a}. {k} of them need {m} minutes each and {n} others need {z} minutes each.",
                ],
                &[
                    "The first ones take [x = k * m] minutes.",
                    "The others take [y = n * z] minutes.",
                    "So far it takes [r = x + y] minutes.",
                ],
            ),
            &MINUTES,
        ),
        template(
            "morning",
            beat(
                "o: person, x: 5..30, y: 5..30, t: times",
                &[
                    "{o} takes {x} minutes to shower and {t} as long to have breakfast. {he} needs {y} minutes to dress.",
                    "In the morning {o} showers for {x} minutes and dresses for {y} minutes. Breakfast takes {him} {t} as long as the shower.",
                ],
                &[
                    "Breakfast takes [z = x * t] minutes.",
                    "Shower and breakfast take [u = x + z] minutes.",
                    "So far it takes [r = u + y] minutes.",
                ],
            ),
            &MINUTES,
        ),
    ],
};
