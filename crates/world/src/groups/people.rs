//! People at a place, and people who score points.

use crate::script::{Group, beat};

/// There are `r` of `who` (a plural) at the place in slot `at`, such as `on the bus`.
pub(crate) const CROWD: Group = Group {
    tails: &[
        beat(
            "x: 2..50",
            &[
                "Then {x} more {who} arrive.",
                "A little later {x} more {who} come.",
                "{x} more {who} join them.",
            ],
            &["Now there are [r = r + x] {who}."],
        ),
        beat(
            "x: 2..50 below r",
            &[
                "Then {x} {who} leave.",
                "After an hour {x} of the {who} go home.",
                "Soon {x} {who} leave.",
            ],
            &["There are [r = r - x] {who} left."],
        ),
        beat(
            "k: 2..8, m: 2..9",
            &[
                "Then {k} groups of {m} {who} arrive.",
                "Later {k} more groups come, with {m} {who} in each group.",
            ],
            &["The groups have [y = k * m] {who}.", "Now there are [r = r + y] {who}."],
        ),
        beat(
            "f: fraction of r",
            &["Then {f} of the {who} leave.", "After lunch {f} of the {who} go home."],
            &["{f} of the {who} is [y = r / f].", "There are [r = r - y] {who} left."],
        ),
        beat(
            "p: percent of r",
            &["Then {p}% of the {who} leave.", "In the evening {p}% of the {who} go home."],
            &["{p}% of the {who} is [y = r % p].", "There are [r = r - y] {who} left."],
        ),
        beat(
            "x: 2..30, z: 2..30 below r",
            &[
                "Then {z} {who} leave and {x} others arrive.",
                "After that, {z} {who} go away and {x} new {who} come.",
            ],
            &["There are [y = r - z] {who} left.", "Now there are [r = y + x] {who}."],
        ),
    ],
    ends: &[
        beat(
            "",
            &[
                "How many {who} are {at} now?",
                "How many {who} are now {at}?",
                "In the end, how many {who} are {at}?",
            ],
            &[],
        ),
        beat(
            "d: divisor of r",
            &[
                "The {who} form groups of {d}. How many groups are there?",
                "All of the {who} stand in groups of {d}. How many groups are there?",
            ],
            &["There are [r = r / d] groups."],
        ),
        beat(
            "d: divisor of r",
            &[
                "The {who} form {d} equal groups. How many {who} are in each group?",
                "All of the {who} are divided into {d} equal groups. How many {who} does each group have?",
            ],
            &["Each group has [r = r / d] {who}."],
        ),
        beat(
            "m: 2..9",
            &[
                "Each of the {who} who are now {at} pays ${m}. How many dollars do they pay in total?",
                "Now each of the {who} {at} pays ${m}. How much money do they pay together?",
            ],
            &["They pay [r = r * m] dollars."],
        ),
        beat(
            "g: r+2..r+50",
            &[
                "There is room for {g} {who} {at}. How many more can come?",
                "At most {g} {who} can be {at}. How many more {who} can come?",
            ],
            &["There is room for [r = g - r] more {who}."],
        ),
    ],
};

/// Person `o` has `r` points in a game.
pub(crate) const POINTS: Group = Group {
    tails: &[
        beat(
            "x: 2..40",
            &["In the next round {o} scores {x} points.", "Then {he} scores {x} more points."],
            &["Now {o} has [r = r + x] points."],
        ),
        beat(
            "x: 2..20 below r",
            &["Then {o} loses {x} points.", "For a mistake {he} loses {x} points."],
            &["{o} has [r = r - x] points left."],
        ),
        beat(
            "k: 2..9, m: 2..9",
            &[
                "After that, {he} wins {k} rounds and gets {m} points for each.",
                "{o} then answers {k} questions for {m} points each.",
            ],
            &["{o} gets [y = k * m] points.", "Now {o} has [r = r + y] points."],
        ),
        beat(
            "t: times",
            &[
                "A bonus then gives {him} {t} as many points as before.",
                "At the next level {o} has {t} as many points as before.",
            ],
            &["Now {o} has [r = r * t] points."],
        ),
        beat(
            "f: fraction of r",
            &["Then {o} loses {f} of the points.", "By bad luck {he} loses {f} of all the points."],
            &["{f} of the points is [y = r / f].", "{o} has [r = r - y] points left."],
        ),
        beat(
            "x: 2..20, z: 2..20",
            &[
                "The next two rounds give {him} {x} and {z} points.",
                "{o} then gets {x} points and {z} points more.",
            ],
            &["That is [y = x + z] points.", "Now {o} has [r = r + y] points."],
        ),
    ],
    ends: &[
        beat(
            "",
            &["How many points does {o} have now?", "How many points does {o} have in the end?"],
            &[],
        ),
        beat(
            "g: r+2..r+60",
            &[
                "{o} wants to reach {g} points. How many more points does {he} need?",
                "To win, {o} needs {g} points. How many points are missing?",
            ],
            &["{o} needs [r = g - r] more points."],
        ),
        beat(
            "p: person, x: 2..40 below r",
            &[
                "{p} has {x} fewer points than {o}. How many points does {p} have?",
                "{o} is {x} points ahead of {p}. How many points does {p} have?",
            ],
            &["{p} has [r = r - x] points."],
        ),
        beat(
            "p: person, x: 2..40",
            &[
                "{p} has {x} more points than {o}. How many points do they have together?",
                "{p} is {x} points ahead of {o}. How many points do {o} and {p} have together?",
            ],
            &["{p} has [y = r + x] points.", "Together they have [r = r + y] points."],
        ),
        beat(
            "d: divisor of r",
            &[
                "{he} gets a prize for every {d} points. How many prizes does {o} get?",
                "Every {d} points can be traded for one prize. How many prizes can {o} get?",
            ],
            &["{o} gets [r = r / d] prizes."],
        ),
    ],
};
