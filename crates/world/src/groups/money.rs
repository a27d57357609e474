//! Situations in which a person has money, or has to pay.

use crate::script::{Group, beat};

/// Person `o` has `r` dollars.
pub(crate) const MONEY: Group = Group {
    tails: &[
        beat(
            "x: 2..60 below r",
            &[
                "Then {o} spends ${x} on lunch.",
                "{he} pays ${x} for a haircut.",
                "After that, {he} spends ${x} at a fair.",
            ],
            &["{o} has [r = r - x] dollars left."],
        ),
        beat(
            "x: 5..80",
            &[
                "Later {o} earns ${x} by washing cars.",
                "{his} grandmother gives {him} ${x}.",
                "{o} also gets ${x} from {his} father.",
            ],
            &["Now {o} has [r = r + x] dollars."],
        ),
        beat(
            // The cost has no bound: if it is too high, the second step fails and the numbers are drawn again.
            "g: good, k: 2..8, m: 2..15",
            &[
                "{he} then buys {k} {gs} for ${m} each.",
                "{o} buys {k} {gs} at a price of ${m} each.",
                "Then {he} buys {k} {gs}, which cost ${m} each.",
            ],
            &["The {gs} cost [y = k * m] dollars.", "{o} has [r = r - y] dollars left."],
        ),
        beat(
            "f: fraction of r",
            &[
                "{o} spends {f} of the money on food.",
                "{he} gives {f} of the money to {his} sister.",
            ],
            &["{f} of the money is [y = r / f] dollars.", "{o} has [r = r - y] dollars left."],
        ),
        beat(
            "k: 2..9, m: 5..15",
            &[
                "{he} works {k} hours for ${m} per hour.",
                "Then {o} works for {k} hours and earns ${m} per hour.",
                "On the weekend {o} babysits for {k} hours at ${m} an hour.",
            ],
            &["{o} earns [y = k * m] dollars.", "Now {o} has [r = r + y] dollars."],
        ),
        beat(
            "p: percent of r",
            &[
                "Then {o} gives {p}% of the money to charity.",
                "{he} spends {p}% of the money on books.",
            ],
            &["{p}% of the money is [y = r % p] dollars.", "{o} has [r = r - y] dollars left."],
        ),
        beat(
            "k: 2..9, m: 2..15",
            &[
                "For the next {k} weeks, {he} saves ${m} a week.",
                "Then {o} saves ${m} every week for {k} weeks.",
            ],
            &["In {k} weeks {o} saves [y = k * m] dollars.", "Now {o} has [r = r + y] dollars."],
        ),
        beat(
            "g: good, x: 3..40, z: 3..40",
            &[
                "{he} buys {a g} for ${x} and a book for ${z}.",
                "{o} pays ${x} for {a g} and ${z} for a ticket.",
            ],
            &["The two things cost [y = x + z] dollars.", "{o} has [r = r - y] dollars left."],
        ),
        beat(
            "t: times",
            &[
                "A year later {he} has {t} as much money as before.",
                "After some months {o} has {t} as much money as before.",
            ],
            &["Now {o} has [r = r * t] dollars."],
        ),
    ],
    ends: &[
        beat(
            "",
            &["How much money does {o} have now?", "How many dollars does {o} have now?"],
            &[],
        ),
        beat(
            "",
            &[
                "How much money does {o} have in the end?",
                "In the end, how many dollars does {he} have?",
            ],
            &[],
        ),
        beat(
            "d: divisor of r",
            &[
                "{he} shares all the money equally among {d} children. How many dollars does each child get?",
                "{o} divides the money equally among {d} clubs. How much money does each club get?",
            ],
            &["Each of them gets [r = r / d] dollars."],
        ),
        beat(
            "x: 10..90",
            &[
                "{o} needs ${x} more to buy a bike. How much does the bike cost?",
                "To buy a bike, {he} needs ${x} more than {he} has now. What is the price of the bike?",
            ],
            &["The bike costs [r = r + x] dollars."],
        ),
        beat(
            "g: r+3..r+90",
            &[
                "{o} wants to buy a phone for ${g}. How much more money does {he} need?",
                "A ticket to a concert costs ${g}. How many more dollars does {o} need for it?",
            ],
            &["{o} needs [r = g - r] more dollars."],
        ),
        beat(
            "p: person, x: 2..60 below r",
            &[
                "{p} has ${x} less than {o} has now. How much money does {p} have?",
                "Now {p} has ${x} less than {o}. How many dollars does {p} have?",
            ],
            &["{p} has [r = r - x] dollars."],
        ),
        beat(
            "p: person, x: 2..60",
            &[
                "{p} has ${x} more than {o} has now. How much money do they have together?",
                "Now {p} has ${x} more than {o}. How much money do {o} and {p} have together?",
            ],
            &["{p} has [y = r + x] dollars.", "Together they have [r = r + y] dollars."],
        ),
    ],
};

/// Person `o` has to pay a price of `r` dollars.
pub(crate) const BILL: Group = Group {
    tails: &[
        beat(
            "h: good, x: 3..40",
            &[
                "{he} also takes {a h} for ${x}.",
                "{o} adds {a h} that costs ${x}.",
                "There is also {a h} for ${x}, which {he} takes.",
            ],
            &["Now the price is [r = r + x] dollars."],
        ),
        beat(
            "x: 2..20 below r",
            &[
                "A coupon takes ${x} off the price.",
                "{o} has a voucher for ${x} off the whole price.",
            ],
            &["Now the price is [r = r - x] dollars."],
        ),
        beat(
            "p: percent of r",
            &[
                "As a member, {he} gets {p}% off the whole price.",
                "There is a discount of {p}% on everything.",
            ],
            &["The discount is [y = r % p] dollars.", "Now the price is [r = r - y] dollars."],
        ),
        beat(
            "h: good, k: 2..6, m: 2..12",
            &["{o} also buys {k} {hs} at ${m} each.", "Then {he} takes {k} {hs} for ${m} each."],
            &["The {hs} cost [y = k * m] dollars.", "Now the price is [r = r + y] dollars."],
        ),
        beat(
            "x: 2..15",
            &["The delivery costs ${x}.", "{he} also leaves a tip of ${x}."],
            &["Now the price is [r = r + x] dollars."],
        ),
    ],
    ends: &[
        beat(
            "",
            &[
                "How much does {o} pay in total?",
                "How many dollars does {o} pay?",
                "What is the total price?",
            ],
            &[],
        ),
        beat(
            // From `r+2`, because a difference of 1 is out of range.
            "w: r+2..r+60",
            &[
                "{he} pays with ${w}. How much change does {he} get?",
                "{o} hands over ${w}. How many dollars does {he} get back?",
            ],
            &["The change is [r = w - r] dollars."],
        ),
        beat(
            "w: r+2..r+90",
            &[
                "{o} came with ${w}. How much money is left after paying?",
                "Before that, {o} had ${w}. How many dollars does {he} have left?",
            ],
            &["{o} has [r = w - r] dollars left."],
        ),
        beat(
            "d: divisor of r",
            &[
                "{d} people share the price equally. How much does each of them pay?",
                "The price is shared equally by {d} people. How many dollars does each one pay?",
            ],
            &["Each person pays [r = r / d] dollars."],
        ),
        beat(
            "p: person, t: times",
            &[
                "{p} pays {t} as much as {o}. How much does {p} pay?",
                "At another place {p} pays {t} as much as {o}. How many dollars does {p} pay?",
            ],
            &["{p} pays [r = r * t] dollars."],
        ),
        beat(
            "w: 2..60 below r",
            &[
                "{his} mother pays ${w} of it. How much does {o} have to pay?",
                "{o} has only ${w}. How many more dollars does {he} need?",
            ],
            &["{o} needs [r = r - w] more dollars."],
        ),
    ],
};
