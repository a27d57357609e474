//! Saving money.

use crate::groups::MONEY;
use crate::script::{Group, Topic, beat, template};

/// Person `o` still needs `r` dollars.
const GOAL: Group = Group {
    tails: &[
        beat(
            "x: 5..60 below r",
            &["{his} parents give {him} ${x} for it.", "For {his} birthday {he} gets ${x}."],
            &["{o} still needs [r = r - x] dollars."],
        ),
        beat(
            "x: 5..40",
            &["Then the price goes up by ${x}.", "{o} spends ${x} of {his} savings on food."],
            &["{o} still needs [r = r + x] dollars."],
        ),
        beat(
            "k: 2..6, m: 3..12",
            &[
                "{he} earns ${m} an hour for {k} hours.",
                "Then {o} works {k} hours at ${m} per hour.",
            ],
            &["{o} earns [y = k * m] dollars.", "{o} still needs [r = r - y] dollars."],
        ),
    ],
    ends: &[
        beat(
            "",
            &["How many dollars does {o} still need?", "How much more money does {o} need?"],
            &[],
        ),
        beat(
            "d: divisor of r",
            &[
                "{he} saves ${d} a week from now on. How many weeks does {o} need?",
                "How many weeks does it take if {o} saves ${d} every week?",
            ],
            &["{o} needs [r = r / d] weeks."],
        ),
        beat(
            "d: divisor of r",
            &[
                "{o} wants to save the rest in {d} weeks. How many dollars per week is that?",
                "How much must {o} save per week to have the rest in {d} weeks?",
            ],
            &["{o} must save [r = r / d] dollars per week."],
        ),
    ],
};

pub(crate) const TOPIC: Topic = Topic {
    name: "saving",
    templates: &[
        template(
            "weekly",
            beat(
                "o: person, x: 10..90, m: 3..20, k: 3..12",
                &[
                    "{o} has ${x} in the bank. {he} saves ${m} every week for {k} weeks.",
                    "{o} saves ${m} a week for {k} weeks. Before that, {he} already had ${x}.",
                    "There is ${x} in {o}'s bank account. For {k} weeks, {he} puts ${m} a week into it.",
                ],
                &["{o} saves [y = m * k] dollars.", "{o} has [r = x + y] dollars."],
            ),
            &MONEY,
        ),
        template(
            "gifts",
            beat(
                "o: person, x: 10..80, y: 5..60, z: 5..60",
                &[
                    "{o} gets ${x} from {his} mother, ${y} from {his} uncle and ${z} from {his} aunt.",
                    "For {his} birthday {o} gets ${x} from {his} mother, ${y} from {his} uncle and ${z} from {his} aunt.",
                ],
                &[
                    "The mother and the uncle give [u = x + y] dollars.",
                    "{o} has [r = u + z] dollars.",
                ],
            ),
            &MONEY,
        ),
        template(
            "bills",
            beat(
                "o: person, a: 5|10, b: 20|50, k: 2..9, n: 2..9",
                &[
                    "{o} has {k} bills of ${a} and {n} bills of ${b}.",
                    "In {o}'s wallet there are {k} bills of ${a} each and {n} bills of ${b} each.",
                ],
                &[
                    "The {a} dollar bills are [x = k * a] dollars.",
                    "The {b} dollar bills are [y = n * b] dollars.",
                    "{o} has [r = x + y] dollars.",
                ],
            ),
            &MONEY,
        ),
        template(
            "three months",
            beat(
                "o: person, x: 5..40, t: times, y: 2..20",
                &[
                    "{o} saves ${x} in March and {t} as much in April. In May {he} saves ${y}.",
                    "In March {o} saves ${x}. In April {he} saves {t} as much as in March, and in May ${y}.",
                ],
                &[
                    "In April {o} saves [z = x * t] dollars.",
                    "In March and April {o} saves [u = x + z] dollars.",
                    "{o} has [r = u + y] dollars.",
                ],
            ),
            &MONEY,
        ),
        template(
            "goal",
            beat(
                "o: person, g: 100..300 by 5, m: 3..15, k: 2..9",
                &[
                    "{o} wants to buy a bike for ${g}. So far {he} has saved ${m} a week for {k} weeks.",
                    "A bike costs ${g}. For {k} weeks, {o} has saved ${m} every week to buy it.",
                ],
                &["{o} has saved [y = m * k] dollars.", "{o} still needs [r = g - y] dollars."],
            ),
            &GOAL,
        ),
        template(
            "part of the price",
            beat(
                "o: person, p: percent, g: 60..300 for p",
                &[
                    "{o} wants to buy a phone that costs ${g}. {he} has {p}% of the money.",
                    "A phone costs ${g}, and {o} has saved {p}% of the price.",
                ],
                &["{o} has [y = g % p] dollars.", "{o} still needs [r = g - y] dollars."],
            ),
            &GOAL,
        ),
    ],
};
