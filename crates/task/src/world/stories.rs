//! Stories: a statement or two and what follows from them, worked out. They cover the relations that the templates are made of.

use super::script::{Beat, beat};

/// All stories; the steps are told as sentences.
pub(super) const STORIES: &[Beat] = &[
    beat(
        "o: person, item: thing, x: 2..300, y: 2..90",
        &[
            "{o} has {x} {items} and gets {y} more.",
            "{o} has {x} {items}. {he} finds {y} more {items}.",
        ],
        &["Now {o} has [r = x + y] {items}."],
    ),
    beat(
        "o: person, item: thing, x: 5..300, y: 2..90 below x",
        &["{o} has {x} {items} and loses {y}.", "{o} has {x} {items} and gives away {y} of them."],
        &["{o} has [r = x - y] {items} left."],
    ),
    beat(
        "o: person, x: 5..300, y: 2..90 below x",
        &["{o} has ${x} and spends ${y}.", "{o} has ${x} and pays ${y} for lunch."],
        &["{o} has [r = x - y] dollars left."],
    ),
    beat(
        "o: person, x: 2..300, y: 2..90",
        &["{o} has ${x} and earns ${y}.", "{o} has ${x}. {his} father gives {him} ${y}."],
        &["Now {o} has [r = x + y] dollars."],
    ),
    beat(
        "item: thing, c: container, k: 2..20, m: 2..30",
        &[
            "There are {k} {cs} with {m} {items} in each {c}.",
            "A store has {k} {cs} of {m} {items} each.",
        ],
        &["The {cs} have [r = k * m] {items}."],
    ),
    beat(
        "o: person, item: thing, d: 2..12, r: 2..80, x: d*r..d*r",
        &["{o} shares {x} {items} equally among {d} friends."],
        &["Each of them gets [r = x / d] {items}."],
    ),
];
