//! Lengths and areas.

use crate::script::{Group, Topic, beat, template};

/// A fence needs `r` meters for the `v`, such as `garden`.
const FENCE: Group = Group {
    tails: &[
        beat(
            "x: 2..12 below r",
            &[
                "A gate of {x} meters needs no fence.",
                "On {x} meters there is a wall, so no fence is needed there.",
            ],
            &["The fence is [r = r - x] meters long."],
        ),
        beat(
            "x: 5..40",
            &[
                "Another {x} meters of fence are needed for a path.",
                "For the dog {o} needs {x} meters of fence more.",
            ],
            &["Now the fence is [r = r + x] meters long."],
        ),
        beat(
            "k: 2..5, z: 5..15",
            &["There are also {k} small beds that need {z} meters of fence each."],
            &["The beds need [y = k * z] meters.", "Now the fence is [r = r + y] meters long."],
        ),
    ],
    ends: &[
        beat(
            "",
            &["How many meters of fence does {o} need?", "How long is the fence, in meters?"],
            &[],
        ),
        beat(
            "m: 2..9",
            &[
                "A meter of fence costs ${m}. How much does the fence cost?",
                "How many dollars is the fence at ${m} per meter?",
            ],
            &["The fence costs [r = r * m] dollars."],
        ),
        beat(
            "d: divisor of r",
            &[
                "The fence comes in pieces of {d} meters. How many pieces does {o} need?",
                "{o} buys the fence in pieces of {d} meters. How many pieces is that?",
            ],
            &["{o} needs [r = r / d] pieces."],
        ),
        beat(
            "w: 5..60 below r",
            &["{o} already has {w} meters of fence. How many more meters does {he} need?"],
            &["{o} needs [r = r - w] more meters."],
        ),
    ],
};

/// An area of `r` square meters.
const AREA: Group = Group {
    tails: &[
        beat(
            "n: 2..6, z: 2..6",
            &[
                "A part that is {n} meters long and {z} meters wide is left out.",
                "{o} leaves out a corner of {n} by {z} meters.",
            ],
            &[
                "The part left out is [y = n * z] square meters.",
                "The area is [r = r - y] square meters.",
            ],
        ),
        beat(
            "x: 5..50",
            &["{he} adds another {x} square meters.", "Later {x} square meters are added."],
            &["Now the area is [r = r + x] square meters."],
        ),
        beat(
            "x: 2..40 below r",
            &[
                "A path takes {x} square meters away.",
                "{o} does not count the {x} square meters of a pond.",
            ],
            &["The area is [r = r - x] square meters."],
        ),
        beat(
            "f: fraction of r",
            &[
                "{o} sells {f} of the area.",
                "{f} of the area belongs to a neighbor and does not count.",
            ],
            &[
                "{f} of the area is [y = r / f] square meters.",
                "The area is [r = r - y] square meters.",
            ],
        ),
    ],
    ends: &[
        beat(
            "",
            &[
                "How many square meters is the area in the end?",
                "How large is the area now, in square meters?",
            ],
            &[],
        ),
        beat(
            "m: 2..7",
            &[
                "Grass costs ${m} per square meter. How much does {o} pay to cover the area?",
                "{o} covers the area with grass for ${m} per square meter. How many dollars does {he} pay?",
            ],
            &["{o} pays [r = r * m] dollars."],
        ),
        beat(
            "d: divisor of r",
            &[
                "{he} divides the area into {d} equal parts. How many square meters is each part?",
                "{o} splits the area into {d} equal parts. How large is each part, in square meters?",
            ],
            &["Each part is [r = r / d] square meters."],
        ),
    ],
};

pub(crate) const TOPIC: Topic = Topic {
    name: "geometry",
    templates: &[
        template(
            "fence",
            beat(
                "o: person, v: garden|field|yard, x: 6..50, y: 3..40",
                &[
                    "{o} builds a fence around a {v} that is {x} meters long and {y} meters wide.",
                    "{o}'s {v} is {x} meters long and {y} meters wide. {he} puts a fence all around it.",
                ],
                &[
                    "Length and width are [z = x + y] meters.",
                    "The fence is [r = z * 2] meters long.",
                ],
            ),
            &FENCE,
        ),
        template(
            "square fence",
            beat(
                "o: person, v: garden|field|yard, x: 5..60",
                &[
                    "{o} builds a fence around a square {v} with sides of {x} meters.",
                    "Each side of {o}'s square {v} is {x} meters long. {he} puts a fence all around it.",
                ],
                &["The fence is [r = x * 4] meters long."],
            ),
            &FENCE,
        ),
        template(
            "area",
            beat(
                "o: person, v: garden|field|lawn, x: 5..30, y: 3..12",
                &[
                    "{o} has a {v} that is {x} meters long and {y} meters wide.",
                    "{o}'s {v} is {x} meters long and {y} meters wide.",
                ],
                &["The area is [r = x * y] square meters."],
            ),
            &AREA,
        ),
        template(
            "two areas",
            beat(
                "o: person, x: 4..20, y: 3..12, n: 4..20, z: 3..9",
                &[
                    "{o} has two lawns. One is {x} by {y} meters and the other is {n} by {z} meters.",
                    "{o} owns a lawn of {x} by {y} meters and a lawn of {n} by {z} meters.",
                ],
                &[
                    "The first lawn is [u = x * y] square meters.",
                    "The second lawn is [w = n * z] square meters.",
                    "The area is [r = u + w] square meters.",
                ],
            ),
            &AREA,
        ),
    ],
};
