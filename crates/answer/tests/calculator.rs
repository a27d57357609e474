//! The calculator: which claims it finds, and whether it judges them correctly.

use answer::{Check, Finding, check, finding, verdict};

/// (text, its claims as `expression = claimed [computed] ok|wrong|unknown`)
const CLAIMS: &[(&str, &[&str])] = &[
    // Running text and units.
    ("Tom has 12 + 5 = 17 apples", &["12 + 5 = 17 apples [17] ok"]),
    ("Tom has 12 + 5 = 18 apples.", &["12 + 5 = 18 apples [17] wrong"]),
    ("3*4=12", &["3*4 = 12 [12] ok"]),
    ("$5.50 x 3 = $16.50", &["$5.50 x 3 = $16.50 [16.5] ok"]),
    ("3x4=12", &["3x4 = 12 [12] ok"]),
    ("10 * 2 = 20 pages.* 9 = 153", &["10 * 2 = 20 pages [20] ok"]),
    ("60 * 25 / 100 = 15", &["60 * 25 / 100 = 15 [15] ok"]),
    ("3 boxes * 4 apples = 12 apples", &["3 boxes * 4 apples = 12 apples [12] ok"]),
    ("He works 8 hours a day * 5 days = 40 hours", &["8 hours a day * 5 days = 40 hours [40] ok"]),
    ("$5/hour * 3 hours = $15", &["$5/hour * 3 hours = $15 [15] ok"]),
    ("5 (big) + 3 (small) = 8", &["5 (big) + 3 (small = 8 [8] ok"]),
    ("so 3 + 4 = 7 and 4 + 2 = 7", &["3 + 4 = 7 [7] ok", "4 + 2 = 7 [6] wrong"]),
    ("1. 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("1) 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("- 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("Step 2: 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("In 2020, 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("**3 + 4 = 7**", &["3 + 4 = 7 [7] ok"]),
    ("total = 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("It grows by 8 * 75 / 100 = 6 cm", &["8 * 75 / 100 = 6 cm [6] ok"]),
    ("a 30-minute walk + 10 minutes = 41", &["30-minute walk + 10 minutes = 41 [40] wrong"]),
    ("30-minute + 10-minute = 40 minutes", &["30-minute + 10-minute = 40 minutes [40] ok"]),
    // Signs and precedence.
    ("2 + 3 * 4 = 14", &["2 + 3 * 4 = 14 [14] ok"]),
    ("(2 + 3) * 4 = 20", &["(2 + 3) * 4 = 20 [20] ok"]),
    ("2(3+4) = 14", &["2(3+4) = 14 [14] ok"]),
    ("10 - 3 - 2 = 5", &["10 - 3 - 2 = 5 [5] ok"]),
    ("100 / 5 / 2 = 10", &["100 / 5 / 2 = 10 [10] ok"]),
    ("-3 + 5 = 2", &["-3 + 5 = 2 [2] ok"]),
    ("3 - -5 = 8", &["3 - -5 = 8 [8] ok"]),
    ("3 * (-2) = -6", &["3 * (-2) = -6 [-6] ok"]),
    ("6 × 7 = 42", &["6 × 7 = 42 [42] ok"]),
    ("42 ÷ 6 = 7", &["42 ÷ 6 = 7 [7] ok"]),
    ("9 − 4 = 5", &["9 − 4 = 5 [5] ok"]),
    ("2^3 = 8", &["2^3 = 8 [8] ok"]),
    ("2 ** 3 = 8", &["2 ** 3 = 8 [8] ok"]),
    ("-2^2 = -4", &["-2^2 = -4 [-4] ok"]),
    ("3 \\times 4 = 12", &["3 \\times 4 = 12 [12] ok"]),
    ("3 times 4 = 12", &["3 times 4 = 12 [12] ok"]),
    ("12 divided by 4 = 3", &["12 divided by 4 = 3 [3] ok"]),
    ("3 plus 4 minus 2 = 5", &["3 plus 4 minus 2 = 5 [5] ok"]),
    // Numbers.
    ("1,234 + 1 = 1,235", &["1,234 + 1 = 1,235 [1235] ok"]),
    ("0.1 + 0.2 = 0.3", &["0.1 + 0.2 = 0.3 [0.3] ok"]),
    (".5 * 4 = 2", &[".5 * 4 = 2 [2] ok"]),
    ("1 1/2 + 1 = 2 1/2", &["1 1/2 + 1 = 2 1/2 [2.5] ok"]),
    ("1/3 + 1/3 = 2/3", &["1/3 + 1/3 = 2/3 [2/3] ok"]),
    ("1.5 million + 1 = 1,500,001", &["1.5 million + 1 = 1,500,001 [1500001] ok"]),
    ("10 million / 3 = 3.33 million", &["10 million / 3 = 3.33 million [10000000/3] ok"]),
    ("25k * 2 = 50k", &["25k * 2 = 50k [50000] ok"]),
    ("25k * 2 = 50,000", &["25k * 2 = 50,000 [50000] ok"]),
    ("25K + 30K = 60K", &["25K + 30K = 60K [55000] wrong"]),
    ("25k * 2 = 60,000", &["25k * 2 = 60,000 [50000] wrong"]),
    ("25k * 2 = 50", &["25k * 2 = 50 [?] unknown"]),
    ("3k + 2 = 8", &["3k + 2 = 8 [?] unknown"]),
    ("$1.5M + $0.5M = $2M", &["$1.5M + $0.5M = $2M [2000000] ok"]),
    ("$2m - $500k = $1.5m", &["$2m - $500k = $1.5m [1500000] ok"]),
    ("2 kg + 3 kg = 5 kg", &["2 kg + 3 kg = 5 kg [5] ok"]),
    ("3e3 + 1 = 3001", &["3e3 + 1 = 3001 [3001] ok"]),
    ("3e3 + 1 = 3002", &["3e3 + 1 = 3002 [3001] wrong"]),
    ("1.5E-2 * 2 = 0.03", &["1.5E-2 * 2 = 0.03 [0.03] ok"]),
    ("2 / 3 * 1e5 = 6.67e+4", &["2 / 3 * 1e5 = 6.67e+4 [200000/3] ok"]),
    ("1e99 + 1 = 2", &["1e99 + 1 = 2 [?] unknown"]),
    ("2'500 * 2 = 5'000", &[]),
    // Words for operators.
    ("3 + 4 equals 7", &["3 + 4 = 7 [7] ok"]),
    ("3 times 4 equals 13", &["3 times 4 = 13 [12] wrong"]),
    ("5 + 5 is equal to 10 apples", &["5 + 5 = 10 apples [10] ok"]),
    ("5 + 5 equals to 11", &["5 + 5 = 11 [10] wrong"]),
    ("3 and 4 + 1 equal 5", &["4 + 1 = 5 [5] ok"]),
    ("The total equals 3 * 4 = 12", &["3 * 4 = 12 [12] ok"]),
    ("12 / 3 equal parts = 4", &["12 / 3 equal parts = 4 [4] ok"]),
    ("Tom equals nobody", &[]),
    // Units with inner words and signs.
    (
        "3 boxes * 12 pieces of candy per box = 36",
        &["3 boxes * 12 pieces of candy per box = 36 [36] ok"],
    ),
    (
        "3 boxes * 12 pieces of candy per box = 38 pieces of candy",
        &["3 boxes * 12 pieces of candy per box = 38 pieces of candy [36] wrong"],
    ),
    ("2 bags * 50 M&Ms = 100 M&Ms", &["2 bags * 50 M&Ms = 100 M&Ms [100] ok"]),
    ("2 bags * 50 M&Ms = 110 M&Ms", &["2 bags * 50 M&Ms = 110 M&Ms [100] wrong"]),
    ("4 tubs of Ben & Jerry's * $5 = $25", &["4 tubs of Ben & Jerry's * $5 = $25 [20] wrong"]),
    ("5 lbs. * 3 = 16", &["5 lbs. * 3 = 16 [15] wrong"]),
    ("2 cans of Dr. Pepper * 3 = 7", &["2 cans of Dr. Pepper * 3 = 7 [6] wrong"]),
    // Percentages and shares.
    ("20% of 50 = 10", &["20% of 50 = 10 [10] ok"]),
    ("20% of the 50 students = 11", &["20% of the 50 students = 11 [10] wrong"]),
    ("25% * 80 = 20", &["25% * 80 = 20 [20] ok"]),
    ("20% * 50 = 1000", &["20% * 50 = 1000 [10] wrong"]),
    ("20 per cent of 50 = 10", &["20 per cent of 50 = 10 [10] ok"]),
    ("100% - 30% = 70", &["100% - 30% = 70 [0.7] ok"]),
    ("15 out of 20 * 100 = 75", &["15 out of 20 * 100 = 75 [75] ok"]),
    ("8 packs of 5 bags * $4/pack = $160", &["8 packs of 5 bags * $4/pack = $160 [160] ok"]),
    ("He buys 8 packs of 5 bags * $4 = $20", &["5 bags * $4 = $20 [20] ok"]),
    ("1/2 of 48 = 24", &["1/2 of 48 = 24 [24] ok"]),
    ("5 / 20 = 25%", &["5 / 20 = 25% [0.25] ok"]),
    ("5 / 20 * 100 = 25%", &["5 / 20 * 100 = 25% [25] ok"]),
    ("5 / 20 = 26%", &["5 / 20 = 26% [0.25] wrong"]),
    ("100% - 30% = 70%", &["100% - 30% = 70% [0.7] ok"]),
    ("100 - 30% = 70%", &["100 - 30% = 70% [99.7] ok"]),
    ("50 - 20% = 40", &["50 - 20% = 40 [?] unknown"]),
    // Rounding counts from two digits after the point.
    ("10 / 3 = 3.33", &["10 / 3 = 3.33 [10/3] ok"]),
    ("20 / 3 = 6.67", &["20 / 3 = 6.67 [20/3] ok"]),
    ("20 / 3 = 6.66", &["20 / 3 = 6.66 [20/3] wrong"]),
    ("10 / 3 = 3.3", &["10 / 3 = 3.3 [10/3] wrong"]),
    ("10 / 3 = 3", &["10 / 3 = 3 [10/3] wrong"]),
    ("1 / 3 = 33%", &["1 / 3 = 33% [1/3] ok"]),
    // Chains: every pair is a claim, and a calculation that continues after its result counts as two.
    ("2+3=5*4=20", &["2+3 = 5 [5] ok", "5*4 = 20 [20] ok"]),
    ("10 / 3 = 3.33 * 2 = 6.66", &["10 / 3 = 3.33 [10/3] ok", "3.33 * 2 = 6.66 [6.66] ok"]),
    ("2+3=6*4=24", &["2+3 = 6*4 [5] wrong", "6*4 = 24 [24] ok"]),
    ("2+3=5*4", &["2+3 = 5*4 [5] wrong"]),
    ("2 + 3 = 5 = 10 / 2", &["2 + 3 = 5 [5] ok", "5 = 10 / 2 [5] ok"]),
    ("48 / 2 = 24 = 25", &["48 / 2 = 24 [24] ok", "24 = 25 [24] wrong"]),
    ("12 = 3 * 4", &["12 = 3 * 4 [12] ok"]),
    // Annotations.
    ("56 / 6 = <<56/6=9.333333333333334>>9 oranges", &["56/6 = 9.333333333333334 [28/3] ok"]),
    ("5 / 2 = <<5/2=2.5>>3 bags", &["5/2 = 2.5 [2.5] ok"]),
    ("5 / 2 = <<5/2=2.5>>4 bags", &["5 / 2 = 4 bags [2.5] wrong", "5/2 = 2.5 [2.5] ok"]),
    ("12 + 5 = <<12+5=17>>18", &["12 + 5 = 18 [17] wrong", "12+5 = 17 [17] ok"]),
    ("45 / 9 = <<45/9=5>>5 x 2 = <<5*2=10>>10", &["45/9 = 5 [5] ok", "5*2 = 10 [10] ok"]),
    ("<<3-5=2>>2", &["3-5 = 2 [-2] wrong"]),
    ("16 - 3 - 4 = <<16-3-4=9>>9 duck eggs", &["16-3-4 = 9 [9] ok"]),
    ("She earned 50 / 2 = $<<50/2=25>>25.", &["50/2 = 25 [25] ok"]),
    ("5 + 3 = <<5+3=9>>9", &["5+3 = 9 [8] wrong"]),
    ("5 + 4 = <<5+3=8>>8", &["5 + 4 = 8 [9] wrong", "5+3 = 8 [8] ok"]),
    ("it is <<7=7>>7", &["7 = 7 [7] ok"]),
    ("<<560//10=56>>", &["560//10 = 56 [56] ok"]),
    ("<<+7+3=10>>", &["+7+3 = 10 [10] ok"]),
    ("<<x+1=2>>", &["x+1 = 2 [?] unknown"]),
    ("1 << 3 >> 2", &[]),
    // Found, but undecidable.
    ("30 minutes * 4 = 2 hours", &["30 minutes * 4 = 2 hours [?] unknown"]),
    ("5 / 0 = 5", &["5 / 0 = 5 [?] unknown"]),
    ("10^60 = 5", &["10^60 = 5 [?] unknown"]),
    ("25 / 1/3 = 75", &["25 / 1/3 = 75 [?] unknown"]),
    ("2 * 10 = $20 million", &["2 * 10 = $20 million [?] unknown"]),
    // Not a claim.
    ("60 minutes = 1 hour", &[]),
    ("1 box = 3 * 4 apples", &[]),
    ("20% = 10 students", &[]),
    ("x = 5", &[]),
    ("x + 5 = 12", &[]),
    ("2x + 3 = 7", &[]),
    ("3 + 4 = x", &[]),
    ("3 + 4 = 2 * x", &[]),
    ("3 + 4 =", &[]),
    ("= 7", &[]),
    ("half of 4 + 2 = 3", &[]),
    ("twice 3 + 4 = 14", &[]),
    ("5 more than 3 + 4 = 12", &[]),
    ("1/3 of the trip = 20 miles", &[]),
    ("10 / 3 = 3 remainder 1", &[]),
    ("4 / 3 = 1 and 1/3", &[]),
    ("1 + 2 + ... + 10 = 55", &[]),
    ("5! + 3 = 123", &[]),
    ("√16 + 3 = 7", &[]),
    ("3 + 4 >= 7", &[]),
    ("at 3:30 + 2 = 5:30", &[]),
    ("version 1.2.3 + 1 = 2", &[]),
    ("10 - cost of 3 * 2 = 4", &[]),
    ("nothing to see here", &[]),
    ("", &[]),
];

/// Results as programs that compute with doubles print them.
const DOUBLES: &[&str] = &[
    "2/3*10=6.666666666666666",
    "11/18*162=99.00000000000001",
    "50 / 6 = 8.333333333333334 cookies",
    "4.20+9.45+1.35=14.999999999999998",
    "0.06*60=3.5999999999999996",
    "0.25 - 0.20 = 0.04999999999999999",
    "1000-83.33333333333333=916.6666666666666",
    "210 photos / 0.14285714285714285 photos per day = 1470 days",
    "2.3333333333333335 days * 84 holes = 196.0 days",
    "80 / 26.666666666666668 = 3 trucks",
    "300/1.6666666666666667=180.0",
    "0.9523809523809523 x 2 = 1.9047619047619047",
    "7 - 2.3333333333333335 = 4.66666666666666645 fries",
    "9-2/3=8.333333333333334",
    "6/11-5/11=0.09090909090909088",
    "2.5/3-1/2=0.33333333333333337",
    "20000/7=2857.1428571428573",
    "100 / 0.30 = 333.33333333333337",
    "33/30*100=110.00000000000001",
    "0.1 + 0.2 - 0.3 = 5.551115123125783e-17",
    "10000000.1 - 10000000 = 0.09999999962747097",
    "1/3 = 33.333333333333336%",
    "9007199254740992 + 1 = 9007199254740992",
];

#[test]
fn rounded_doubles_hold() {
    for text in DOUBLES {
        assert_eq!(finding(text), Finding::Holds, "{text}: {:?}", check(text));
    }
}

#[test]
fn what_no_double_explains_is_wrong() {
    let texts = [
        "2/3*10=6.67666666666666",
        "2/3*10=6.666667666666666",
        "11/18*162=99.0001",
        "0.1+0.2=0.300001",
        "1000000000 + 1 = 1000000000",
        "123456789012 * 3 = 370370367037",
        "12345678901 + 1 = 12345678901",
        "123456789012345 / 1000000000000 = 123.5",
    ];
    for text in texts {
        assert_eq!(finding(text), Finding::Fails, "{text}: {:?}", check(text));
    }
}

/// Texts whose claims are right in their context, or may be, so that none of them may fail.
const CONTEXTS: &[&str] = &[
    // Part of a product.
    "8 packs of 5 bags * $4/pack = $160",
    "8 packs of 5 bags * $4/pack = $32",
    "There are 24 eggs in 1 tray x 2 trays = 48 eggs.",
    "She pays $5 for 2 pens x 6 pens = $15",
    "He was late 5+1=6 times $5 on average.",
    "The average of 3 + 5 = 4",
    "two 20 x 3 = 120",
    "x divided by 2 + 3 = 8",
    "The sum of 3 and 4 + 5 = 12",
    "floor(10/3) = 3",
    "log 10 * 2 = 2",
    "5 ft 10 in + 2 in = 6 ft",
    "30 min * 4 = 2 hr",
    "one-third of 30 + 2 = 12",
    "2 + 3 times the number of apples = 17",
    "5 squared + 2 = 27",
    "3 halves + 2 = 3.5",
    "2 to the power of 3 + 1 = 9",
    "10 mod 3 + 2 = 3",
    // Shares of something.
    "1/4 container = 60/4 = 15 pints",
    "3/4 tank = 15 gallons",
    "3 / 4 tank = 15 gallons",
    "3/4 = 15 gallons",
    "3/2 tanks = 30 gallons",
    "1/4 as much money as before = $400/4 = $100.0",
    "25% = 60/4 = 15 pints",
    "100% / 4 = 25",
    // Remainders and rounding.
    "10 / 3 = 3 with 1 left over",
    "10 / 3 = 3, with 1 left over",
    "10 / 3 = 3 (remainder 1)",
    "10 / 3 = 3 R 1",
    "10 / 3 = 3r1",
    "10 / 3 = 3 R1",
    "10 / 3 = 3 rem 1",
    "90 / 60 = 1 hour 30 minutes",
    "100 / 60 = 1 hour and 40 minutes",
    "17 / 5 = 3 full boxes",
    "10 / 4 = 3 (rounded up)",
    "10 / 3 = 3.3 when rounded",
    "Rounded to the nearest hundred, 613 * 2 = 1200",
    "9 / 2 = 4 and a half",
    // Ranges.
    "10-12 people x 2 = 20-24",
    "10–12 people x 2 = 20–24",
    "10 - 12 people x 2 = 20 - 24",
    "10 to 12 people x 2 = 20 to 24",
    "$10-$12 * 2 = $20-$24",
    "pages 10-15 = 6",
    "years 2020 - 2023 = 4 years",
    // Other notations.
    "-360 * 30 = --10800",
    "#1 = 5 + 3 = 8",
    "11 am + 3 hours = 2 pm",
    "2 kg 500 g + 600 g = 3 kg 100 g",
    "14 / 1 / 4 = 14 * 4 = 56",
    "14, 400 / 80 = 180 pages",
    "1 cheese +1 meat *+1 vegetable = 3 choices",
    "He can buy 17 pounds of apple because20-3 = 17",
    // Part of a larger calculation.
    "She has 3/3 - 2/3 = 1/3 of $150 left.",
    "There are 10 pages per day on day 1 * 2 = 20 pages",
    "They add 20 + 10 decorations to the 29 + 24 decorations already up = 83",
    "10% of the $400 + $1580 = $1980",
    "The shop loses 5 thousand dollars a day, so it loses 5 * 3 = $15,000",
    "Every 1% is equal to $7500/75% = $100",
    "2/5 is equal to 12.8 hectares, so 1/5 is equal to 12.8/2 = 6.4 hectares",
    "Multiplying by 100/75 gives the total = (100/75)*$4500 = $6000",
    // Equations.
    "1(60-Losses) -2(Losses) = -30",
    "3 bags of leaves / 15 minutes = 8 bags of leaves / Y.",
];

#[test]
fn what_may_be_right_in_its_context_is_not_wrong() {
    for text in CONTEXTS {
        assert_ne!(finding(text), Finding::Fails, "{text}: {:?}", check(text));
    }
}

#[test]
fn a_context_like_these_does_not_excuse_what_is_wrong() {
    let texts = [
        "8 boxes * $4/pack = $36",
        "There are 24 eggs and he has 2 trays x 3 = 7",
        "He was late 5+1=7 times $5 on average.",
        "He went 3 + 2 = 6 times",
        "3/4 tank = 0.8 tank",
        "48/2 students = 25 students",
        "10/3 boxes = 4 boxes",
        "20/100 = 2",
        "10 / 3 = 3",
        "10 / 3 = 4 with 1 left over",
        "10 / 5 = 3 with 1 left over",
        "15-10 = 6",
        "16-3-4 = 10",
        "10 - 12 = 2",
        "613 * 2 = 1400, rounded",
        "day 2: 3 + 4 = 8",
        "7 / 2 = 3 apples left",
        "17/2 = 8.2 dollars left",
        "In the fourth round, there are 27 x 3 = 80 families.",
        "The project is estimated to take 1500/15 = 1000 days",
        "That is an average of 56 / 4 = 4 skips per round",
        "3 hills * 2 times per hill = 5 times",
        "There are 50/5 = 20 sets of 5 devices",
        "The $10 bills amount to $10 x 4 = $41",
        "The price went up from $30 to $30+$10 = $39",
        "The cheese is $6.00 for a total of 1+3+6 = $17.00",
        "They rest for 2*30 = 10 minutes or 1 hour",
        "She saved $210 / $350 = 3.60 or 60% of it",
        "In the second half he drives 4 * 85 = 380 kilometers.",
        "They ran over 3 days - 1 day = 1 day",
        "She hikes 2 times/day * 125 miles = 240 miles",
        "40 blocks + 20 blocks = 600 blocks of type B",
        "$320 / $20/hr = 15 hours",
        "In 9 days 9 * 7 = 64 liters are used",
        "44 hours - 40 hours = 40 hours of overtime in the first week",
        "$3 / 2 sandwiches = $1.1/sandwich",
        "The drive takes 6 / 12 = 18 minutes.",
        "She moved two spots ahead, 6-2=<<6-2=6>>6th place",
        "<<2+3=5*4=5>>5",
    ];
    for text in texts {
        assert_eq!(finding(text), Finding::Fails, "{text}: {:?}", check(text));
    }
}

fn written(check: &Check) -> String {
    let Check { expression, claimed, computed, ok, .. } = check;
    let state = match (computed, ok) {
        (None, _) => "unknown",
        (_, true) => "ok",
        _ => "wrong",
    };
    format!("{expression} = {claimed} [{}] {state}", computed.as_deref().unwrap_or("?"))
}

#[test]
fn claims_are_found_and_checked() {
    let mut wrong = Vec::new();
    for &(text, claims) in CLAIMS {
        let found: Vec<String> = check(text).iter().map(written).collect();
        if found != claims {
            wrong.push(format!("{text:?}: {found:?}, expected {claims:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_claim_says_where_it_starts() {
    let text = "Così: 3 + 4 = <<3+4=7>>7, poi $7 * 2 = 15";
    for claim in check(text) {
        assert!(text.get(claim.start..).unwrap().starts_with(&claim.expression), "{claim:?}");
    }
    assert_eq!(check(text).len(), 2);
}

#[test]
fn findings_ignore_what_cannot_be_decided() {
    let cases = [
        ("3 + 4 = 7", Finding::Holds),
        ("3 + 4 = 7, 5 / 0 = 1", Finding::Holds),
        ("3 + 4 = 7, 3 + 4 = 8", Finding::Fails),
        ("5 / 0 = 1", Finding::Nothing),
        ("no sums", Finding::Nothing),
    ];
    for (step, expected) in cases {
        assert_eq!(finding(step), expected, "{step:?}");
    }
}

#[test]
fn a_solution_must_arrive_where_its_sums_do() {
    let cases = [
        ("3 + 4 = 7\n7 * 2 = 14\n#### 14", Finding::Holds),
        ("3 + 4 = 7\n7 * 2 = $14\n#### $14.00", Finding::Holds),
        ("10 / 3 = 3.33\n#### 3.33", Finding::Holds),
        ("10 / 3 = 3.33\n#### 10/3", Finding::Holds),
        ("10 / 3 = <<10/3=3.3333333333333335>>3 left\n#### 3", Finding::Holds),
        ("10 / 3 = <<10/3=3.3333333333333335>>3 left\n#### 4", Finding::Fails),
        ("0.06 * 60 = <<0.06*60=3.5999999999999996>>3.6\n#### 3.6", Finding::Holds),
        ("3 + 4 = 7\n7 * 2 = 14\n#### 7", Finding::Fails),
        ("3 + 4 = 8\n7 * 2 = 14\n#### 14", Finding::Fails),
        ("3 + 4 = 7", Finding::Fails),
        ("3 + 4 = 7\n####", Finding::Fails),
        ("It is seven.\n#### 7", Finding::Nothing),
        ("#### 3 + 4 = 7", Finding::Nothing),
        ("", Finding::Nothing),
    ];
    for (completion, expected) in cases {
        assert_eq!(verdict(completion), expected, "{completion:?}");
    }
}

#[test]
fn hostile_texts_are_read_in_bounded_effort() {
    let texts = [
        "(".repeat(100_000) + "1=1",
        "-".repeat(100_000) + "1=1",
        "1+".repeat(100_000) + "1=1",
        "1=".repeat(100_000),
        "<<".repeat(100_000),
        "<<1=1>>".repeat(20_000),
        "9".repeat(100_000) + "+1=2",
        "2^".repeat(100_000) + "2=2",
        "(a b ".repeat(50_000),
        "1 + 1 apples of the ".repeat(20_000) + "= 2",
    ];
    for text in texts {
        assert_eq!(verdict(&text), verdict(&text));
    }
}

#[test]
fn a_side_that_is_too_long_is_not_read_in_part() {
    let long = vec!["1"; 40].join(" + ");
    assert_eq!(check(&format!("{long} = 40")), []);
    assert_eq!(check(&format!("2 * 20 = {long}")), []);
    let fits = vec!["1"; 30].join(" + ");
    assert_eq!(finding(&format!("{fits} = 30 = {fits}")), Finding::Holds);
}

#[test]
fn deep_but_reasonable_nesting_is_read() {
    let text = format!("{}1 + 1{} = 2", "(".repeat(12), ")".repeat(12));
    assert_eq!(finding(&text), Finding::Holds);
}
