//! School, reading and homework.

use crate::groups::{CROWD, MINUTES, PAGES, POINTS};
use crate::script::{Topic, beat, template};

pub(crate) const TOPIC: Topic = Topic {
    name: "school",
    templates: &[
        template(
            "daily pages",
            beat(
                "o: person, k: 2..9, m: 5..30, x: 5..40",
                &[
                    "{o} reads {m} pages a day for {k} days. The day after, {he} reads {x} pages.",
                    "For {k} days, {o} reads {m} pages of a book each day, and then {x} pages in one day.",
                ],
                &[
                    "In {k} days {o} reads [y = k * m] pages.",
                    "So far {o} has read [r = y + x] pages.",
                ],
            ),
            &PAGES,
        ),
        template(
            "chapters",
            beat(
                "o: person, k: 2..9, m: 8..25, x: 2..15 below k*m",
                &[
                    "A book has chapters of {m} pages. {o} reads {k} chapters but skips {x} pages.",
                    "{o} starts a book in which every chapter has {m} pages. {he} gets through {k} chapters but leaves out {x} pages.",
                ],
                &["The chapters have [y = k * m] pages.", "So far {o} has read [r = y - x] pages."],
            ),
            &PAGES,
        ),
        template(
            "two evenings",
            beat(
                "o: person, x: 8..40, t: times",
                &[
                    "{o} reads {x} pages on Monday and {t} as many on Tuesday.",
                    "On Monday {o} reads {x} pages of a book. On Tuesday {he} reads {t} as many pages as on Monday.",
                ],
                &[
                    "On Tuesday {o} reads [y = x * t] pages.",
                    "So far {o} has read [r = x + y] pages.",
                ],
            ),
            &PAGES,
        ),
        template(
            "homework",
            beat(
                "o: person, k: 3..12, m: 2..9, x: 5..40",
                &[
                    "{o} solves {k} math problems that take {m} minutes each. {his} essay takes {x} minutes.",
                    "For homework {o} writes an essay in {x} minutes and solves {k} problems in {m} minutes each.",
                ],
                &["The problems take [y = k * m] minutes.", "So far it takes [r = y + x] minutes."],
            ),
            &MINUTES,
        ),
        template(
            "quiz",
            beat(
                "o: person, k: 4..15, m: 2..9, n: 2..6, z: 2..4",
                &[
                    "In a quiz {o} gets {m} points for a right answer and loses {z} points for a wrong one. {he} has {k} right and {n} wrong answers.",
                    "{o} gives {k} right and {n} wrong answers in a quiz. A right answer brings {m} points, and a wrong one costs {z} points.",
                ],
                &[
                    "The right answers bring [x = k * m] points.",
                    "The wrong answers cost [y = n * z] points.",
                    "{o} has [r = x - y] points.",
                ],
            ),
            &POINTS,
        ),
        template(
            "classes",
            beat(
                "at: =in the yard, who: =students, k: 2..6, m: 12..30, p: percent of k*m",
                &[
                    "A school has {k} classes with {m} students each. {p}% of the students play in the yard.",
                    "There are {k} classes of {m} students in a school, and {p}% of all the students are in the yard.",
                ],
                &["The school has [y = k * m] students.", "{p}% of the students is [r = y % p]."],
            ),
            &CROWD,
        ),
        template(
            "boys and girls",
            beat(
                "at: =in the room, who: =students, x: 8..40, y: 2..12",
                &[
                    "The students in a room are {x} girls and some boys. There are {y} more boys than girls.",
                    "There are only students in a room. {x} of them are girls, and there are {y} more boys than girls.",
                ],
                &["There are [z = x + y] boys.", "There are [r = x + z] {who}."],
            ),
            &CROWD,
        ),
    ],
};
