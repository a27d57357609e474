//! Quantities that accumulate: distance, time, liquid, pages, height.

use crate::script::{Group, beat};

/// Person `o` has travelled `r` of the unit `u`, such as `miles`.
pub(crate) const JOURNEY: Group = Group {
    tails: &[
        beat(
            "x: 2..60",
            &["Then {he} travels {x} {u} more.", "After a break {o} travels another {x} {u}."],
            &["So far {o} has travelled [r = r + x] {u}."],
        ),
        beat(
            "k: 2..6, v: 10..60 by 5",
            &[
                "Then {he} travels for {k} hours at {v} {u} per hour.",
                "After that, {o} goes {v} {u} per hour for {k} hours.",
            ],
            &["This part is [y = k * v] {u}.", "So far {o} has travelled [r = r + y] {u}."],
        ),
        beat(
            "t: times",
            &[
                "In the next week {o} travels {t} that distance.",
                "After that, {he} travels {t} this distance.",
            ],
            &["This part is [y = r * t] {u}.", "So far {o} has travelled [r = r + y] {u}."],
        ),
        beat(
            "k: 2..7, m: 3..25",
            &[
                "For the next {k} days, {he} travels {m} {u} each day.",
                "Then {o} travels {m} {u} a day for {k} days.",
            ],
            &[
                "In {k} days {o} travels [y = k * m] {u}.",
                "So far {o} has travelled [r = r + y] {u}.",
            ],
        ),
        beat(
            "x: 2..40, z: 2..40",
            &["Then {he} goes {x} {u} by bus and {z} {u} by train."],
            &["This part is [y = x + z] {u}.", "So far {o} has travelled [r = r + y] {u}."],
        ),
    ],
    ends: &[
        beat("", &["How many {u} does {o} travel in total?", "How many {u} is that in all?"], &[]),
        beat(
            "g: r+5..r+200",
            &[
                "The whole way is {g} {u} long. How many {u} are left?",
                "{o} wants to travel {g} {u} in all. How many {u} are left to go?",
            ],
            &["There are [r = g - r] {u} left."],
        ),
        beat(
            "d: divisor of r",
            &[
                "After every {d} {u}, {he} takes a photo. How many photos does {o} take?",
                "All the way, {o} takes one photo for every {d} {u}. How many photos is that?",
            ],
            &["{o} takes [r = r / d] photos."],
        ),
        beat(
            "p: person, x: 2..60 below r",
            &[
                "{p} travels {x} {u} less than {o}. How many {u} does {p} travel?",
                "This is {x} {u} more than {p} travels. How many {u} does {p} travel?",
            ],
            &["{p} travels [r = r - x] {u}."],
        ),
        beat(
            "",
            &["Then {o} goes all the way back. How many {u} is the whole trip, there and back?"],
            &["There and back it is [r = r * 2] {u}."],
        ),
    ],
};

/// Person `o` has spent `r` minutes.
pub(crate) const MINUTES: Group = Group {
    tails: &[
        beat(
            "x: 5..60",
            &[
                "Then {he} rests for {x} minutes.",
                "After that, {o} reads for {x} minutes.",
                "Cleaning up takes {him} another {x} minutes.",
            ],
            &["So far it takes [r = r + x] minutes."],
        ),
        beat(
            "k: 2..9, m: 2..12",
            &[
                "Then {he} has {k} more things to do that take {m} minutes each.",
                "{k} other jobs take {m} minutes each.",
            ],
            &["These take [y = k * m] minutes.", "So far it takes [r = r + y] minutes."],
        ),
        beat(
            "x: 5..40, z: 5..40",
            &[
                "Then {he} cooks for {x} minutes and eats for {z} minutes.",
                "{o} then walks home in {x} minutes and takes a bath for {z} minutes.",
            ],
            &["This takes [y = x + z] minutes.", "So far it takes [r = r + y] minutes."],
        ),
        beat(
            "t: times",
            &["The next day it all takes {t} as long."],
            &["The next day it takes [y = r * t] minutes.", "So far it takes [r = r + y] minutes."],
        ),
        beat(
            "x: 2..20 below r",
            &["A friend helps, which saves {x} minutes.", "{o} works fast and saves {x} minutes."],
            &["Now it takes [r = r - x] minutes."],
        ),
    ],
    ends: &[
        beat(
            "",
            &["How many minutes does it take in total?", "How many minutes does {o} need in all?"],
            &[],
        ),
        beat(
            "g: r+5..r+120",
            &[
                "{o} has {g} minutes. How many minutes are left at the end?",
                "{his} bus leaves {g} minutes after {he} starts. How many minutes does {o} have left?",
            ],
            &["{o} has [r = g - r] minutes left."],
        ),
        beat(
            "p: person, x: 2..40 below r",
            &[
                "{p} needs {x} minutes less than {o} in all. How many minutes does {p} need?",
                "{p} is {x} minutes faster than {o}. How many minutes does {p} need?",
            ],
            &["{p} needs [r = r - x] minutes."],
        ),
        beat(
            "d: 2..7",
            &[
                "{o} does all this on {d} days. How many minutes is that in total?",
                "If {o} does the same on each of {d} days, how many minutes does it take in all?",
            ],
            &["In {d} days it takes [r = r * d] minutes."],
        ),
    ],
};

/// The `v`, such as `tank`, has `r` liters of the liquid in slot `water`.
pub(crate) const LITERS: Group = Group {
    tails: &[
        beat(
            "k: 2..12, m: 2..12",
            &[
                "Then {m} liters of {water} flow in each minute for {k} minutes.",
                "A pump then adds {m} liters per minute for {k} minutes.",
            ],
            &["In {k} minutes [y = k * m] liters flow in.", "Now the {v} has [r = r + y] liters."],
        ),
        beat(
            "x: 2..60 below r",
            &["Then {x} liters leak out.", "After that, {x} liters are taken out."],
            &["The {v} has [r = r - x] liters left."],
        ),
        beat(
            "k: 2..9, m: 2..12",
            &[
                "For {k} days, {m} liters are used each day.",
                "A family uses {m} liters a day for {k} days.",
            ],
            &["In {k} days [y = k * m] liters are used.", "The {v} has [r = r - y] liters left."],
        ),
        beat(
            "f: fraction of r",
            &["Then {f} of the {water} is used.", "Then {f} of the {water} is sold."],
            &["{f} of the {water} is [y = r / f] liters.", "The {v} has [r = r - y] liters left."],
        ),
        beat(
            "x: 5..80",
            &["Someone pours in {x} liters more.", "The next day {x} liters are added."],
            &["Now the {v} has [r = r + x] liters."],
        ),
        beat(
            "p: percent of r",
            &["Then {p}% of the {water} is lost.", "Then {p}% of the {water} is taken out."],
            &["{p}% of the {water} is [y = r % p] liters.", "The {v} has [r = r - y] liters left."],
        ),
    ],
    ends: &[
        beat(
            "",
            &[
                "How many liters are in the {v} now?",
                "How many liters of {water} does the {v} have now?",
            ],
            &[],
        ),
        beat(
            "d: divisor of r",
            &[
                "All the {water} in the {v} is poured into bottles of {d} liters. How many bottles are filled?",
                "Someone puts all the {water} from the {v} into bottles of {d} liters. How many bottles are needed?",
            ],
            &["The {water} fills [r = r / d] bottles."],
        ),
        beat(
            "g: r+5..r+100",
            &[
                "The full {v} holds {g} liters. How many liters are missing?",
                "There is room for {g} liters in the {v}. How many more liters fit in?",
            ],
            &["There is room for [r = g - r] more liters."],
        ),
        beat(
            "m: 2..6",
            &[
                "All the {water} in the {v} is sold at ${m} per liter. How many dollars is that?",
                "A liter costs ${m}. How many dollars is the {water} in the {v} worth now?",
            ],
            &["The price is [r = r * m] dollars."],
        ),
        beat(
            "d: divisor of r",
            &["{d} families share all the {water} equally. How many liters does each family get?"],
            &["Each family gets [r = r / d] liters."],
        ),
    ],
};

/// Person `o` has read `r` pages.
pub(crate) const PAGES: Group = Group {
    tails: &[
        beat(
            "x: 2..60",
            &["On the weekend {he} reads {x} more pages.", "Then {o} reads another {x} pages."],
            &["So far {o} has read [r = r + x] pages."],
        ),
        beat(
            "k: 2..9, m: 4..25",
            &[
                "For the next {k} days, {o} reads {m} pages a day.",
                "Then {he} reads {m} pages every evening for {k} evenings.",
            ],
            &["In {k} days {o} reads [y = k * m] pages.", "So far {o} has read [r = r + y] pages."],
        ),
        beat(
            "x: 2..30, z: 2..30",
            &["Then {he} reads {x} pages in the morning and {z} pages at night."],
            &["That day {o} reads [y = x + z] pages.", "So far {o} has read [r = r + y] pages."],
        ),
        beat(
            "t: times",
            &["In the next month {o} reads {t} as many pages as so far."],
            &[
                "In that month {o} reads [y = r * t] pages.",
                "So far {o} has read [r = r + y] pages.",
            ],
        ),
    ],
    ends: &[
        beat(
            "",
            &["How many pages does {o} read in total?", "How many pages has {o} read in all?"],
            &[],
        ),
        beat(
            "g: r+5..r+150",
            &[
                "The book has {g} pages. How many pages are left?",
                "{o} wants to read {g} pages. How many pages does {he} still have to read?",
            ],
            &["There are [r = g - r] pages left."],
        ),
        beat(
            // A range of one number: what is left of the book takes exactly `k` days.
            "d: 2..12, k: 2..12, g: r+d*k..r+d*k",
            &[
                "The book has {g} pages, and {he} reads the others at {d} pages a day. How many more days does {o} need?",
                "There are {g} pages in all. How many more days does {o} need at {d} pages a day?",
            ],
            &["There are [y = g - r] pages left.", "{o} needs [r = y / d] days."],
        ),
        beat(
            "p: person, x: 2..50 below r",
            &["{p} reads {x} fewer pages than {o}. How many pages does {p} read?"],
            &["{p} reads [r = r - x] pages."],
        ),
        beat(
            "p: person, t: times",
            &["{p} reads {t} as many pages as {o}. How many pages does {p} read?"],
            &["{p} reads [r = r * t] pages."],
        ),
    ],
};

/// The `v`, such as `tree`, is `r` centimeters tall.
pub(crate) const HEIGHT: Group = Group {
    tails: &[
        beat(
            "k: 2..9, m: 2..9",
            &[
                "In the next {k} weeks, it grows {m} centimeters a week.",
                "Then it grows {m} centimeters per week for {k} weeks.",
            ],
            &[
                "In {k} weeks it grows [y = k * m] centimeters.",
                "Now it is [r = r + y] centimeters tall.",
            ],
        ),
        beat(
            "x: 2..40",
            &[
                "After rain it grows {x} centimeters more.",
                "In summer it grows another {x} centimeters.",
            ],
            &["Now it is [r = r + x] centimeters tall."],
        ),
        beat(
            "x: 2..30 below r",
            &[
                "Then the gardener cuts off {x} centimeters.",
                "A storm breaks off the top {x} centimeters.",
            ],
            &["Now it is [r = r - x] centimeters tall."],
        ),
        beat(
            "t: times",
            &["A year later the {v} is {t} as tall.", "After a year it is {t} as tall as before."],
            &["Now it is [r = r * t] centimeters tall."],
        ),
        beat(
            "p: percent of r",
            &["Then it grows by {p}%.", "In spring it becomes {p}% taller."],
            &["It grows by [y = r % p] centimeters.", "Now it is [r = r + y] centimeters tall."],
        ),
    ],
    ends: &[
        beat(
            "",
            &[
                "How many centimeters tall is the {v} now?",
                "How tall is the {v} now, in centimeters?",
            ],
            &[],
        ),
        beat(
            "x: 2..60 below r",
            &[
                "Another {v} is {x} centimeters shorter. How many centimeters tall is the other one?",
            ],
            &["The other one is [r = r - x] centimeters tall."],
        ),
        beat(
            "x: 2..60",
            &["Another {v} is {x} centimeters taller. How many centimeters tall is the other one?"],
            &["The other one is [r = r + x] centimeters tall."],
        ),
        beat(
            "g: r+5..r+90",
            &[
                "How many more centimeters must the {v} grow to be {g} centimeters tall?",
                "It should become {g} centimeters tall. How many more centimeters must the {v} grow?",
            ],
            &["The {v} needs [r = g - r] more centimeters."],
        ),
        beat(
            // A range of one number: growing takes exactly `k` months.
            "d: 2..9, k: 2..9, g: r+d*k..r+d*k",
            &[
                "From now on it grows {d} centimeters a month. After how many months will it be {g} centimeters tall?",
            ],
            &["The {v} needs [y = g - r] more centimeters.", "That takes [r = y / d] months."],
        ),
    ],
};
