//! Stories: a statement or two and what follows from them, with the result computed. They cover the relations that the
//! templates are made of.

use super::script::{Beat, beat};

/// All stories; their steps are told as sentences.
pub(super) const STORIES: &[Beat] = &[
    beat(
        "o: person, item: thing, x: 2..300, y: 2..90",
        &[
            "{o} has {x} {items} and gets {y} more.",
            "{o} has {x} {items}. {he} finds {y} more {items}.",
            "{o} has {x} {items} and {his} aunt gives {him} {y} more.",
        ],
        &["Now {o} has [r = x + y] {items}."],
    ),
    beat(
        "o: person, item: thing, x: 5..300, y: 2..90 below x",
        &[
            "{o} has {x} {items} and loses {y}.",
            "{o} has {x} {items} and gives away {y} of them.",
            "{o} has {x} {items}. {he} sells {y} {items}.",
        ],
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
            "Somebody has {k} {cs} of {m} {items} each.",
            "There are {k} {cs} with {m} {items} per {c}.",
        ],
        &["The {cs} have [r = k * m] {items}."],
    ),
    beat(
        "o: person, item: thing, d: 2..12, q: 2..60, x: d*q..d*q",
        &[
            "{o} shares {x} {items} equally among {d} friends.",
            "{d} children divide {x} {items} equally.",
        ],
        &["Each of them gets [r = x / d] {items}."],
    ),
    beat(
        "o: person, item: thing, c: container, d: 2..12, q: 2..60, x: d*q..d*q",
        &[
            "{o} has {x} {items} and puts {d} of them into each {c}.",
            "{o} puts {x} {items} into {cs} of {d}.",
        ],
        &["{o} fills [r = x / d] {cs}."],
    ),
    beat(
        "o: person, item: thing, c: container, d: 2..12, q: 2..60, x: d*q..d*q",
        &[
            "{o} puts {x} {items} equally into {d} {cs}.",
            "{o} divides {x} {items} equally among {d} {cs}.",
        ],
        &["Each {c} has [r = x / d] {items}."],
    ),
    beat(
        "o: person, l: person, item: thing, x: 2..300, y: 2..60",
        &["{o} has {x} {items}. {l} has {y} more {items} than {o}."],
        &["{l} has [r = x + y] {items}."],
    ),
    beat(
        "o: person, l: person, item: thing, x: 2..200, y: 2..60 below x",
        &["{o} has {x} {items}. {l} has {y} fewer {items} than {o}."],
        &["{l} has [r = x - y] {items}."],
    ),
    beat(
        "o: person, l: person, item: thing, x: 2..120, t: times",
        &["{o} has {x} {items}. {l} has {t} as many {items} as {o}."],
        &["{l} has [y = x * t] {items}.", "Together they have [r = x + y] {items}."],
    ),
    beat(
        "o: person, l: person, item: thing, x: 4..200",
        &["{o} has {x} {items}. {l} has half as many {items} as {o}."],
        &["{l} has [r = x / 2] {items}."],
    ),
    beat(
        "o: person, item: thing, x: 4..300, f: fraction of x",
        &["{o} gives away {f} of {his} {x} {items}.", "{o} has {x} {items} and sells {f} of them."],
        &["{f} of the {items} is [y = x / f].", "{o} has [r = x - y] {items} left."],
    ),
    beat(
        "o: person, item: thing, p: percent, x: 10..300 for p",
        &[
            "{o} gives away {p}% of {his} {x} {items}.",
            "{o} has {x} {items} and sells {p}% of them.",
        ],
        &["{p}% of the {items} is [y = x % p].", "{o} has [r = x - y] {items} left."],
    ),
    beat(
        "o: person, g: good, p: percent, x: 10..200 for p",
        &[
            "{a g} costs ${x}, and there is a discount of {p}%.",
            "{o} buys {a g} of ${x} for {p}% off.",
        ],
        &["The discount is [y = x % p] dollars.", "The {g} costs [r = x - y] dollars."],
    ),
    beat(
        "o: person, g: good, k: 2..20, m: 2..30",
        &["{o} buys {k} {gs} for ${m} each.", "{o} needs {k} {gs}, which cost ${m} each."],
        &["The {gs} cost [r = k * m] dollars."],
    ),
    beat(
        "o: person, g: good, k: 2..20, m: 2..30",
        &["{o} sells {k} {gs} for ${m} each.", "{o} has {k} {gs} and gets ${m} for each of them."],
        &["{o} gets [r = k * m] dollars."],
    ),
    beat(
        "o: person, g: good, x: 2..90, w: x+2..x+60",
        &["{a g} costs ${x}, and {o} pays with ${w}.", "{o} pays for {a g} of ${x} with ${w}."],
        &["The change is [r = w - x] dollars."],
    ),
    beat(
        "o: person, k: 2..12, m: 3..40",
        &[
            "{o} works {k} hours for ${m} per hour.",
            "{o} earns ${m} an hour and works for {k} hours.",
        ],
        &["{o} earns [r = k * m] dollars."],
    ),
    beat(
        "o: person, k: 2..15, m: 2..40",
        &["{o} saves ${m} a week for {k} weeks.", "For {k} weeks, {o} saves ${m} every week."],
        &["In {k} weeks {o} saves [r = k * m] dollars."],
    ),
    beat(
        "o: person, x: 5..200, g: x+2..x+100",
        &["{o} has ${x} and wants to buy a phone for ${g}.", "{o} has ${x}. A bike costs ${g}."],
        &["{o} needs [r = g - x] more dollars."],
    ),
    beat(
        "o: person, l: person, x: 4..70, y: 2..40",
        &["{o} is {x} years old. {l} is {y} years older than {o}."],
        &["{l} is [r = x + y] years old."],
    ),
    beat(
        "o: person, l: person, x: 6..70, y: 2..40 below x, n: 2..30",
        &["{o} is {x} years old. {l} is {y} years younger than {o}."],
        &["{l} is [u = x - y] years old.", "In {n} years {l} will be [r = u + n] years old."],
    ),
    beat(
        "o: person, u: miles|kilometers, k: 2..9, v: 4..80",
        &[
            "{o} travels for {k} hours at {v} {u} per hour.",
            "For {k} hours, {o} goes {v} {u} per hour.",
        ],
        &["This part is [r = k * v] {u}."],
    ),
    beat(
        "o: person, u: miles|kilometers, x: 5..200, g: x+5..x+200",
        &["{o} has travelled {x} {u} of a way that is {g} {u} long."],
        &["There are [r = g - x] {u} left."],
    ),
    beat(
        "o: person, x: 5..200, y: 5..90, g: x+y+5..x+y+200",
        &["{o} works for {x} minutes and then rests for {y} minutes. {he} has {g} minutes in all."],
        &["So far it takes [u = x + y] minutes.", "{o} has [r = g - u] minutes left."],
    ),
    beat(
        "o: person, k: 2..12, m: 2..40, g: k*m+5..k*m+200",
        &["{o} reads {m} pages a day for {k} days.", "For {k} days, {o} reads {m} pages each day."],
        &["In {k} days {o} reads [y = k * m] pages."],
    ),
    beat(
        "o: person, x: 2..200, g: x+5..x+200",
        &["{o} has read {x} pages of a book that has {g} pages."],
        &["There are [r = g - x] pages left."],
    ),
    beat(
        "v: tank|barrel|pool, x: 5..200, k: 2..12, m: 2..15",
        &["A {v} has {x} liters, and {m} liters flow in each minute for {k} minutes."],
        &["In {k} minutes [y = k * m] liters flow in.", "Now the {v} has [r = x + y] liters."],
    ),
    beat(
        "who: people|students|visitors, x: 5..200, y: 2..90",
        &["There are {x} {who}, and {y} more {who} arrive."],
        &["Now there are [r = x + y] {who}."],
    ),
    beat(
        "who: people|students|visitors, x: 5..200, y: 2..90 below x",
        &["There are {x} {who}, and {y} of them leave.", "There are {x} {who}. {y} {who} go home."],
        &["There are [r = x - y] {who} left."],
    ),
    beat(
        "who: people|students|visitors, d: 2..12, q: 2..30, x: d*q..d*q",
        &["{x} {who} form groups of {d}.", "There are {x} {who}, who stand in groups of {d}."],
        &["There are [r = x / d] groups."],
    ),
    beat(
        "o: person, item: crop, k: 2..20, m: 2..25",
        &["{o} grows {k} rows with {m} {items} in each row."],
        &["The rows have [r = k * m] {items}."],
    ),
    beat(
        "o: person, k: 2..20, m: 2..12",
        &[
            "{o} wins {k} rounds and gets {m} points for each.",
            "{o} answers {k} questions for {m} points each.",
        ],
        &["{o} gets [r = k * m] points."],
    ),
    beat(
        "v: garden|field|yard, x: 4..60, y: 3..40",
        &["A {v} is {x} meters long and {y} meters wide, with a fence all around it."],
        &["Length and width are [z = x + y] meters.", "The fence is [r = z * 2] meters long."],
    ),
    beat(
        "v: garden|field|lawn, x: 4..60, y: 3..12",
        &["A {v} is {x} meters long and {y} meters wide."],
        &["The area is [r = x * y] square meters."],
    ),
    beat(
        "v: tree|vine|bush, x: 5..100, m: 2..12, k: 2..12",
        &["A {v} of {x} centimeters grows {m} centimeters a week for {k} weeks."],
        &[
            "In {k} weeks it grows [y = k * m] centimeters.",
            "Now it is [r = x + y] centimeters tall.",
        ],
    ),
    beat(
        "place: factory|workshop|store, item: good, k: 2..20, m: 2..12, x: 5..200",
        &["A {place} gets {k} {items} per hour for {m} hours. It already had {x} {items}."],
        &["In {m} hours it gets [y = k * m] {items}.", "The {place} has [r = y + x] {items}."],
    ),
    beat(
        "o: person, v: 5..40, q: 2..15, g: v*q..v*q",
        &["{o} drives {g} miles, and a gallon of gas is enough for {v} miles."],
        &["{o} uses [r = g / v] gallons."],
    ),
];
