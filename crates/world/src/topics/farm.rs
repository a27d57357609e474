//! Farms and gardens.

use crate::groups::{HEIGHT, LITERS, PRODUCE};
use crate::script::{Topic, beat, template};

pub(crate) const TOPIC: Topic = Topic {
    name: "farm",
    templates: &[
        template(
            "hens",
            beat(
                "o: person, item: laid, k: 3..12, m: 2..7, d: 2..8",
                &[
                    "{o} has {k} hens. Each hen lays {m} {items} per week. {he} collects the {items} for {d} weeks.",
                    "{o}'s {k} hens lay {m} {items} each per week. {he} keeps all the {items} of {d} weeks.",
                ],
                &[
                    "The hens lay [y = k * m] {items} per week.",
                    "In {d} weeks there are [r = y * d] {items}.",
                ],
            ),
            &PRODUCE,
        ),
        template(
            "rows",
            beat(
                "o: person, item: crop, k: 3..15, m: 4..20, x: 2..25 below k*m",
                &[
                    "{o} grows {k} rows of {items} with {m} {items} in each row. {x} of them are eaten by rabbits.",
                    "In {o}'s garden there are {k} rows with {m} {items} each. Rabbits eat {x} of the {items}.",
                ],
                &["The rows have [y = k * m] {items}.", "There are [r = y - x] {items} left."],
            ),
            &PRODUCE,
        ),
        template(
            "trees",
            beat(
                "o: person, item: fruit, k: 3..12, m: 5..30",
                &[
                    "{o} has {k} fruit trees and picks {m} {items} from each tree.",
                    "{o} picks fruit. Each of the {k} trees gives {him} {m} {items}.",
                ],
                &["The trees give [r = k * m] {items}."],
            ),
            &PRODUCE,
        ),
        template(
            "two fields",
            beat(
                "o: person, item: crop, x: 20..150, y: 5..60 below x",
                &[
                    "{o} harvests {x} {items} from one field and {y} fewer from another field.",
                    "One of {o}'s fields gives {x} {items}, and the other field gives {y} fewer.",
                ],
                &["The other field gives [z = x - y] {items}.", "There are [r = x + z] {items}."],
            ),
            &PRODUCE,
        ),
        template(
            "milk",
            beat(
                "v: =tank, water: =milk, k: 3..12, m: 4..15, d: 2..6",
                &[
                    "A farm has {k} cows that give {m} liters of milk a day each. The milk of {d} days is kept in a tank.",
                    "Each of the {k} cows on a farm gives {m} liters of milk per day. A tank holds the milk of {d} days.",
                ],
                &["The cows give [y = k * m] liters a day.", "The {v} has [r = y * d] liters."],
            ),
            &LITERS,
        ),
        template(
            "water tank",
            beat(
                "v: tank|barrel|pool, water: =water, x: 20..200, k: 2..15, d: 2..9",
                &[
                    "A {v} has {x} liters of water. A pump adds {k} liters per minute for {d} minutes.",
                    "There are {x} liters of water in a {v}. For {d} minutes, {k} liters per minute flow in.",
                ],
                &["The pump adds [y = k * d] liters.", "The {v} has [r = x + y] liters."],
            ),
            &LITERS,
        ),
        template(
            "growing",
            beat(
                "v: tree|vine|bush, x: 5..60, m: 2..9, k: 2..10",
                &[
                    "A {v} is {x} centimeters tall. It grows {m} centimeters each month for {k} months.",
                    "{k} months ago a {v} was {x} centimeters tall. Since then it has grown {m} centimeters per month.",
                ],
                &[
                    "In {k} months it grows [y = k * m] centimeters.",
                    "Now it is [r = x + y] centimeters tall.",
                ],
            ),
            &HEIGHT,
        ),
    ],
};
