//! Trips and fuel.

use crate::groups::{BILL, JOURNEY};
use crate::script::{Group, Topic, beat, template};

/// The car of person `o` has `r` liters of fuel.
const FUEL: Group = Group {
    tails: &[
        beat(
            "x: 5..40",
            &["Then {he} buys {x} liters of fuel.", "At a gas station {o} adds {x} liters."],
            &["Now the car has [r = r + x] liters."],
        ),
        beat(
            "k: 2..6, m: 2..8",
            &[
                "For {k} days, {he} uses {m} liters a day.",
                "{o} makes {k} trips that use {m} liters each.",
            ],
            &["That is [y = k * m] liters.", "The car has [r = r - y] liters left."],
        ),
        beat(
            "x: 2..20 below r",
            &["The next drive uses {x} liters.", "Then {o} uses {x} liters to drive home."],
            &["The car has [r = r - x] liters left."],
        ),
    ],
    ends: &[
        beat(
            "",
            &["How many liters does the car have now?", "How many liters of fuel are left?"],
            &[],
        ),
        beat(
            "v: 5..20",
            &[
                "It can go {v} kilometers with each liter. How many kilometers can {o} still drive?",
                "How many kilometers can {he} still drive at {v} kilometers per liter?",
            ],
            &["{o} can drive [r = r * v] kilometers."],
        ),
        beat(
            "g: r+5..r+60",
            &[
                "The tank of the car holds {g} liters. How many more liters fit in?",
                "How many liters are missing if the full tank holds {g} liters?",
            ],
            &["There is room for [r = g - r] more liters."],
        ),
    ],
};

pub(crate) const TOPIC: Topic = Topic {
    name: "travel",
    templates: &[
        template(
            "two legs",
            beat(
                "o: person, u: miles|kilometers, v: 20..70 by 5, k: 2..5, w: 20..70 by 5, n: 2..5",
                &[
                    "{o} drives for {k} hours at {v} {u} per hour and then for {n} hours at {w} {u} per hour.",
                    "On a trip {o} goes {v} {u} per hour for {k} hours. Then {he} goes {w} {u} per hour for {n} hours.",
                ],
                &[
                    "The first part is [x = k * v] {u}.",
                    "The second part is [y = n * w] {u}.",
                    "So far {o} has travelled [r = x + y] {u}.",
                ],
            ),
            &JOURNEY,
        ),
        template(
            "daily ride",
            beat(
                "o: person, u: miles|kilometers, k: 3..12, m: 3..20, x: 5..50",
                &[
                    "{o} rides {his} bike {m} {u} a day for {k} days. The day after that, {he} rides {x} {u}.",
                    "For {k} days, {o} walks {m} {u} each day, and on the day after that {x} {u}.",
                ],
                &[
                    "In {k} days {o} travels [y = k * m] {u}.",
                    "So far {o} has travelled [r = y + x] {u}.",
                ],
            ),
            &JOURNEY,
        ),
        template(
            "commute",
            beat(
                "o: person, u: miles|kilometers, m: 3..25, d: 2..9",
                &[
                    "{o} lives {m} {u} from work. {he} drives there and back on {d} days.",
                    "The way to school is {m} {u} long. On {d} days, {o} goes there and back.",
                ],
                &[
                    "There and back it is [y = m * 2] {u}.",
                    "So far {o} has travelled [r = y * d] {u}.",
                ],
            ),
            &JOURNEY,
        ),
        template(
            "hike",
            beat(
                "o: person, u: miles|kilometers, x: 4..30, y: 2..12 below x, z: 2..15",
                &[
                    "{o} hikes {x} {u} on Friday. On Saturday {he} hikes {y} {u} less than on Friday.",
                    "On Friday {o} walks {x} {u}, and on Saturday {he} walks {y} {u} less.",
                ],
                &[
                    "On Saturday {o} travels [z = x - y] {u}.",
                    "So far {o} has travelled [r = x + z] {u}.",
                ],
            ),
            &JOURNEY,
        ),
        template(
            "gas",
            beat(
                // `q` is never told. It makes the gallons a whole number.
                "o: person, v: 10..40 by 5, q: 3..15, g: v*q..v*q, m: 2..6",
                &[
                    "{o}'s car goes {v} miles on one gallon of gas. {he} drives {g} miles, and gas costs ${m} per gallon.",
                    "Gas costs ${m} per gallon, and a gallon is enough for {v} miles. {o} drives {g} miles.",
                ],
                &["{o} uses [y = g / v] gallons.", "The price is [r = y * m] dollars."],
            ),
            &BILL,
        ),
        template(
            "fuel tank",
            beat(
                "o: person, x: 30..90, k: 2..6, m: 2..9",
                &[
                    "{o}'s car has {x} liters of fuel. {he} drives {k} hours, and each hour uses {m} liters.",
                    "{o} starts a drive of {k} hours with {x} liters of fuel. The car uses {m} liters per hour.",
                ],
                &["The drive uses [y = k * m] liters.", "The car has [r = x - y] liters left."],
            ),
            &FUEL,
        ),
    ],
};
