//! Earning money.

use crate::groups::MONEY;
use crate::script::{Topic, beat, template};

pub(crate) const TOPIC: Topic = Topic {
    name: "wages",
    templates: &[
        template(
            "hourly",
            beat(
                "o: person, m: 6..20, k: 2..8, d: 2..6",
                &[
                    "{o} earns ${m} per hour. {he} works {k} hours a day for {d} days.",
                    "{o} works {k} hours a day and is paid ${m} per hour. {he} works for {d} days.",
                    "For {d} days, {o} works {k} hours each day at ${m} an hour.",
                ],
                &["{o} earns [y = m * k] dollars per day.", "{o} has [r = y * d] dollars."],
            ),
            &MONEY,
        ),
        template(
            "overtime",
            beat(
                "o: person, m: 6..15, k: 4..12, n: 2..6, z: 10..25",
                &[
                    "{o} works {k} hours for ${m} per hour and then {n} hours of overtime for ${z} per hour.",
                    "{o} earns ${m} per hour, and ${z} per hour for overtime. {he} works {k} normal hours and {n} hours of overtime.",
                ],
                &[
                    "The normal hours bring [x = k * m] dollars.",
                    "The overtime brings [y = n * z] dollars.",
                    "{o} has [r = x + y] dollars.",
                ],
            ),
            &MONEY,
        ),
        template(
            "pieces",
            beat(
                "o: person, g: good, k: 5..20, m: 2..9, x: 5..60",
                &[
                    "{o} makes {k} {gs} and sells them for ${m} each. The material cost {him} ${x}.",
                    "For the material, {o} pays ${x}. Then {he} makes {k} {gs} and sells each of them for ${m}.",
                ],
                &["The {gs} bring [y = k * m] dollars.", "{o} has [r = y - x] dollars left."],
            ),
            &MONEY,
        ),
        template(
            "tips",
            beat(
                "o: person, k: 3..9, m: 7..15, x: 5..60",
                &[
                    "{o} works in a cafe for {k} hours at ${m} per hour. {he} also gets ${x} in tips.",
                    "As a waiter, {o} earns ${m} an hour and works {k} hours. Tips bring {him} ${x} more.",
                ],
                &["{o} earns [y = k * m] dollars.", "{o} has [r = y + x] dollars."],
            ),
            &MONEY,
        ),
        template(
            "two jobs",
            beat(
                "o: person, k: 2..9, m: 5..15, n: 2..9, z: 5..15, a: mowing lawns|washing windows|walking dogs, b: babysitting|painting fences|teaching the piano",
                &[
                    "{o} spends {k} hours {a} at ${m} per hour and {n} hours {b} at ${z} per hour.",
                    "{o} gets ${m} per hour for {a} and ${z} per hour for {b}. {he} spends {k} hours {a} and {n} hours {b}.",
                ],
                &[
                    "For {a} {o} gets [x = k * m] dollars.",
                    "For {b} {o} gets [y = n * z] dollars.",
                    "{o} has [r = x + y] dollars.",
                ],
            ),
            &MONEY,
        ),
    ],
};
