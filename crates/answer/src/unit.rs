//! Units and counted things that may follow a number without being part of it.
//!
//! The text after a number is a unit if its head is a known unit, a plural or another word known to be counted, and if
//! no word in it says something else about the number (`squared`, `is`, `or`). A unit that scales is multiplied in:
//! `3 dozen` is 36, and `50 cents` is 0.5. Any other text is not a unit, so the answer is not a number.

use crate::rational::{CURRENCY, Rational, UNIT_LETTERS, scale};

/// Units that may be attached to their number without a blank, case-sensitive. Letter pairs that could be a product of
/// variables are left out.
const ATTACHED: &str = "mm cm dm km mg kg lb lbs oz in ft yd mi mph kph kmh rpm hr hrs min sec ms ml mL dL cL kL \
    deg rad sq Hz kHz MHz GHz eV keV MeV GeV kPa MPa hPa kN kJ MJ kW MW GW kWh Wh kV mV mA kB \
    KB MB GB TB mol USD EUR GBP INR JPY CNY CAD AUD Kg KG Km KM CM";

/// Other short units and counted nouns, case-sensitive, that need a blank before them.
const SHORT: &str = "nm ns fm Pa GPa Nm Ns Js dB mT nT mW Gy Sv Bq ppm ppb rev ng ton day yr yrs fps bpm cl dl gal qt pt cup tsp bar atm psi cal amp ohm lux bit usd eur gbp \
    inr jpy cny rmb cad aud nzd chf sgd hkd krw mxn brl zar sek nok dkk pln yen rs kr \
    pct kid man men ox gas tea ly dpi Hrs Hr Min Sec Ft cu ha Rs RMB CHF NZD SGD HKD KRW MXN BRL \
    INR SEK NOK DKK PLN TVs tvs CDs cds mo wk wks";

/// Longer units, in lower case, and counted nouns whose plural does not end in `s`.
const LONG: &str = "inch inches foot feet yard mile square cubic pound ounce tonne gram gramme kilogram meter \
    metre kilometer kilometre centimeter centimetre millimeter millimetre liter litre milliliter \
    millilitre second secs minute mins hour week month year century decade gallon quart pint tbsp \
    tablespoon teaspoon degree radian celsius fahrenheit kelvin torr mmhg kcal calorie joule \
    newton watt volt ampere kohm mole mmol molar coulomb farad henry tesla weber pascal hertz \
    lumen candela byte dollar bucks buck euro yuan rupee rupees peso franc krona krone unit units \
    percent person people folk child children woman women tooth teeth goose geese mouse mice sheep \
    fish deer moose oxen dice police cattle shrimp salmon trout aircraft spacecraft series species \
    staff crew money homework fruit rice water milk sugar flour juice coffee sand \
    soil paper bread meat beef candy pizza cake furniture equipment luggage parsec acre \
    hectare lightyear months kilometres dvds";

/// Words that say more about a number than what it counts, so that a text with one of them is not a unit.
const BANNED: &str = "is are was were be been being am not no nor never none neither and or but if then than because \
    since so as that which who whom whose what when where why how while whether though although \
    unless until maybe perhaps probably possibly approximately approx about around roughly nearly \
    almost wrong right correct incorrect false true invalid valid impossible unknown undefined error \
    mistake squared cubed factorial choose mod modulo modulus plus minus times divided multiplied \
    over under below above beyond between within without out off to into onto by half halves third \
    thirds fourth fourths quarter quarters fifth fifths sixth sixths seventh sevenths eighth eighths \
    ninth ninths tenth tenths hundredth hundredths thousandth thousandths first twelfth zero one two \
    three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundreds \
    thousands millions billions trillions tens january february march april may june july august \
    september october november december jan feb mar apr jun jul aug sep sept oct nov dec monday \
    tuesday wednesday thursday friday saturday sunday sundays mon tue tues wed thu thur thurs fri \
    sat sun you he she it we they me him us them has have had having does do did done can could will \
    would should might must get gets got make makes made equal equals give gives given need needs \
    say says said think thinks seem seems remains means also still instead actually really already \
    yet least most negative positive infinity infinite yes okay ok sorry wait oops hmm \
    thus hence therefore always across besides james charles thomas chris paris texas mars jones \
    lucas carlos nicholas douglas dennis francis louis tess jess alexis marcus travis curtis ross \
    elias silas atlas jonas andreas nicolas hans power exponent root prime decimal base pi sin cos \
    tan log ln exp sqrt pm noon midnight ratio remainder thousandfold double triple twice thrice \
    north south east west northeast northwest southeast southwest ago increase decrease \
    sometimes afterwards works fails lies";

/// Words after which the rest of the text says what the count is taken from.
const PREPOSITIONS: [&str; 12] =
    ["of", "per", "a", "an", "in", "for", "each", "every", "from", "on", "at", "with"];

/// Words that may stand in place of a unit, or after one.
const TAILS: [&str; 20] = [
    "left",
    "remaining",
    "total",
    "altogether",
    "each",
    "old",
    "long",
    "tall",
    "high",
    "wide",
    "deep",
    "away",
    "overall",
    "combined",
    "extra",
    "more",
    "only",
    "apiece",
    "less",
    "fewer",
];

/// Units of one capital letter. They need a blank before them; attached to a number, they are variables.
const CAPITALS: [&str; 10] = ["C", "J", "N", "W", "V", "A", "K", "F", "T", "H"];

/// Counters and units in Chinese, Japanese and Korean.
const COUNTERS: &str =
    "个個只隻本人名位岁歲天日年月周秒米克升度次张条件支辆棵朵头盒袋瓶杯页台座层元円圆块원명개";

/// Coins smaller than the currency unit, and their value in hundredths of it.
const MINOR: [(&str, i64); 11] = [
    ("cent", 1),
    ("cents", 1),
    ("¢", 1),
    ("pence", 1),
    ("penny", 1),
    ("pennies", 1),
    ("nickel", 5),
    ("nickels", 5),
    ("dime", 10),
    ("dimes", 10),
    ("paise", 1),
];

/// Longest text that is examined, in bytes.
const MAX_LENGTH: usize = 120;

/// The meaning of the text after a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// The factor that the number is multiplied by.
    pub(crate) factor: Rational,
    /// Whether the unit is a small coin of any currency.
    pub(crate) minor: bool,
}

/// How the text relates to its number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// Whether the number is one or less, so that the counted noun is singular.
    pub(crate) singular: bool,
    /// Whether a blank, a command or an exponent separates the text from its number.
    pub(crate) apart: bool,
}

/// Returns the meaning of `text` after a number; `None` if it is not a unit. The only LaTeX commands understood are
/// those in [`symbols`].
pub(crate) fn meaning(text: &str, place: Place) -> Option<Meaning> {
    let text = symbols(text);
    let text = text.trim().trim_end_matches(['.', ';', ',']).trim();
    let plain = Meaning { factor: Rational::integer(1), minor: false };
    if text.is_empty() {
        return Some(plain);
    }
    // Times of day stay text: `6 pm` is neither 6 nor `6 am`.
    let hour = text.to_lowercase().replace(' ', "");
    let hour = ["a.m", "p.m"].iter().any(|half| hour.starts_with(half));
    let goes_on = text.starts_with(['-', ',', '.', ')', '·', '⋅', '*', '×', '∙']);
    if text.len() > MAX_LENGTH || goes_on || hour || (text.starts_with('(') && !place.apart) {
        return None;
    }
    let words = words(text)?;
    let apart = place.apart || text.starts_with('/');
    // A number over a single letter is a quotient: `5/x`.
    if text.starts_with('/') && words.iter().all(|word| word.text.len() == 1) {
        return None;
    }
    let (words, factor) = scaled(&words)?;
    let factor = Meaning { factor, minor: false };
    if words.is_empty() {
        return Some(factor);
    }
    let coin = head(words, Place { apart, ..place })?;
    let coin = MINOR.iter().find(|(name, _)| *name == coin);
    let Some(&(_, cents)) = coin else { return Some(factor) };
    let factor = factor.factor.checked_mul(Rational::new(i128::from(cents), 100)?)?;
    Some(Meaning { factor, minor: true })
}

/// Replaces LaTeX commands for signs by the signs themselves.
fn symbols(text: &str) -> String {
    let plain = crate::latex::plain(text);
    let signs = [
        ("\\%", "%"),
        ("\\$", "$"),
        ("\\cdot", "·"),
        ("\\times", "·"),
        ("^{\\circ}", "°"),
        ("^\\circ", "°"),
        ("\\circ", "°"),
        ("^{°}", "°"),
        ("\\degree", "°"),
        ("\\mu", "µ"),
        ("\\Omega", "Ω"),
        ("\\cents", "¢"),
        ("\\cent", "¢"),
        ("(s)", "s"),
        ("(es)", "es"),
    ];
    let text = signs.iter().fold(plain, |text, (name, sign)| text.replace(name, sign));
    fraction(&text).unwrap_or(text)
}

/// Rewrites `\frac{m}{s}` as `m/s`.
fn fraction(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("\\frac{").or_else(|| text.split_once("\\dfrac{"))?;
    let (top, rest) = rest.split_once("}{")?;
    let (bottom, after) = rest.split_once('}')?;
    let plain = ![top, bottom].iter().any(|part| part.contains(['{', '}', ' ', '/']));
    plain.then(|| format!("{before}{top}/{bottom}{after}"))
}

/// A word of a unit.
#[derive(Clone, Debug)]
struct Word {
    text: String,
    /// Whether it has an exponent, as in `cm^2`.
    raised: bool,
    /// Whether a product or quotient sign stands before it.
    joined: bool,
}

/// Splits a text into words at blanks and signs, with exponents taken off. `None` if it has other signs or digits.
fn words(text: &str) -> Option<Vec<Word>> {
    let mut found: Vec<Word> = Vec::new();
    let (mut joined, mut before) = (false, None);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..)?;
        if is_letter(first) {
            let len = rest.find(|c: char| !is_letter(c)).unwrap_or(rest.len());
            let text = rest.get(..len)?.to_owned();
            found.push(Word { text, raised: false, joined: std::mem::take(&mut joined) });
            before = Some(first);
            rest = rest.get(len..)?;
            let (exponent, after) = exponent(rest);
            if exponent {
                found.last_mut()?.raised = true;
                rest = after;
            }
            continue;
        }
        match first {
            '%' | '°' | '\'' | '"' | '′' | '″' | '’' | '”' | '¢' => {
                found.push(Word { text: first.to_string(), raised: false, joined: false });
            }
            '/' | '·' | '⋅' | '*' | '×' | '∙' => joined = true,
            c if CURRENCY.contains(&c) => {
                found.push(Word { text: "$".to_owned(), raised: false, joined: false });
            }
            '-' if before.is_some_and(is_letter) && after.starts_with(is_letter) => {}
            c if c.is_whitespace() || "().".contains(c) => {}
            _ => return None,
        }
        before = Some(first);
        rest = after;
    }
    Some(found)
}

fn is_letter(c: char) -> bool {
    (c.is_alphabetic() && !"ªº".contains(c)) || matches!(c, 'µ' | 'Ω')
}

/// Whether the text begins with an exponent, and the rest after it.
fn exponent(text: &str) -> (bool, &str) {
    let raised = |c: char| "⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹".contains(c);
    if text.starts_with(raised) {
        return (true, text.trim_start_matches(raised));
    }
    let Some(power) = text.strip_prefix('^') else {
        // An exponent without a caret, as in `ft2`.
        let after = text.strip_prefix(['2', '3']);
        let ends = after.filter(|after| !after.starts_with(|c: char| c.is_ascii_digit()));
        return ends.map_or((false, text), |after| (true, after));
    };
    let (open, digits) = match power.trim_start().strip_prefix('{') {
        Some(digits) => (true, digits),
        None => (false, power.trim_start()),
    };
    let digits = digits.trim_start().trim_start_matches(['-', '+', '−']);
    let after = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let found = after.len() < digits.len();
    let after = after.trim_start();
    match after.strip_prefix('}') {
        Some(after) if open && found => (true, after),
        None if !open && found => (true, after),
        _ => (false, text),
    }
}

/// Strips leading scale words (`dozen`, `million`) and returns the rest with the factor they multiply by.
fn scaled(words: &[Word]) -> Option<(&[Word], Rational)> {
    let (mut words, mut factor) = (words, Rational::integer(1));
    while let [first, rest @ ..] = words {
        let by = match first.text.to_lowercase().as_str() {
            "dozen" | "dozens" => Some(Rational::integer(12)),
            word => scale(word),
        };
        let Some(by) = by else { break };
        factor = factor.checked_mul(by)?;
        words = rest;
    }
    Some((words, factor))
}

/// Returns the small coin that is counted, or an empty string for any other unit; `None` if the words are not a unit.
fn head(words: &[Word], place: Place) -> Option<&'static str> {
    let lower: Vec<String> = words.iter().map(|word| word.text.to_lowercase()).collect();
    let squares = |at: usize| {
        let after_unit = at > 0 && words.get(at - 1).is_some_and(|word| is_known(&word.text, true));
        matches!(lower.get(at).map(String::as_str), Some("squared" | "cubed")) && after_unit
    };
    let banned = |at: usize, word: &str| contains(BANNED, word) && !squares(at);
    // A single letter that is not a unit is a variable.
    let variable = |word: &Word| {
        let letter =
            word.text.len() == 1 && word.text.starts_with(|c: char| c.is_ascii_alphabetic());
        letter && !word.text.eq_ignore_ascii_case("a") && !is_unit_letter(&word.text)
    };
    let refused = lower.iter().enumerate().any(|(at, word)| banned(at, word));
    if refused || words.len() > 8 || words.iter().any(variable) {
        return None;
    }
    if let Some(known) = letters(words, place) {
        return known.then_some("");
    }
    for (at, (word, text)) in words.iter().zip(&lower).enumerate() {
        let follows = words.get(at + 1).is_some();
        let preposition = PREPOSITIONS.contains(&text.as_str()) && follows && !word.raised;
        if at == 0
            && (TAILS.contains(&text.as_str()) || (preposition && may_begin(text, &lower, place)))
        {
            return Some("");
        }
        let capital = place.apart && CAPITALS.contains(&word.text.as_str());
        let apostrophe = at > 0 && ["'", "’"].contains(&text.as_str());
        let known = is_known(&word.text, place.apart) && !apostrophe;
        // An attached word needs one letter more to pass for a plural, because short attached letters may be variables.
        let plural = is_plural(text) && text.chars().count() >= if place.apart { 4 } else { 5 };
        let unit = known || capital || plural;
        if !preposition && (unit || (place.singular && place.apart && is_singular(text))) {
            let coin = MINOR.iter().map(|(name, _)| *name).find(|name| name == text);
            return (at < 4).then_some(coin.unwrap_or_default());
        }
        if word.raised || word.joined || preposition || text.chars().count() < 3 {
            return None;
        }
    }
    None
}

/// Whether a unit may begin with this preposition: `$5 per hour`, `20 a day`, `18 in total`. But `3 of a kind` is not
/// 3, and neither is `3 in 10`.
fn may_begin(preposition: &str, words: &[String], place: Place) -> bool {
    match preposition {
        // Only a part of one thing: `1/2 of the cake`.
        "of" => place.singular,
        "per" | "a" | "an" | "each" | "every" => true,
        "in" => matches!(words.get(1).map(String::as_str), Some("total" | "all")),
        _ => false,
    }
}

/// Whether a unit made only of single letters is valid; `None` if it has longer words.
fn letters(words: &[Word], place: Place) -> Option<bool> {
    let single = |word: &Word| word.text.len() == 1 && word.text.is_ascii();
    let alphabetic = |word: &Word| word.text.starts_with(|c: char| c.is_ascii_alphabetic());
    if !words.iter().all(|word| single(word) && alphabetic(word)) {
        return None;
    }
    let small = |word: &Word| word.text.starts_with(UNIT_LETTERS);
    let capital = |word: &Word| place.apart && CAPITALS.contains(&word.text.as_str());
    let known = words.iter().all(|word| small(word) || capital(word));
    let raised = words.iter().any(|word| word.raised);
    let metres = words.first().is_some_and(|word| word.text == "m");
    let units = match words {
        // `6s^2` is a surface area, not 6 square seconds.
        [_] => !raised || (place.apart && metres),
        // Letters side by side are a product of variables, unless they are clearly units: `N m`, `m s^-1`.
        [first, ..] if place.apart => {
            raised || capital(first) || words.iter().any(|word| word.joined)
        }
        _ => words.iter().any(|word| word.joined) && (metres || !raised),
    };
    Some(known && units)
}

fn is_unit_letter(letter: &str) -> bool {
    letter.starts_with(UNIT_LETTERS) || CAPITALS.contains(&letter)
}

fn contains(list: &str, word: &str) -> bool {
    let mut entries = list.split_ascii_whitespace();
    entries.any(|entry| entry == word)
}

fn is_known(word: &str, apart: bool) -> bool {
    let sign = ["%", "°", "'", "\"", "′", "″", "’", "”", "¢", "$", "Ω", "µ"].contains(&word);
    let letter = word.chars().count() == 1 && word.starts_with(UNIT_LETTERS);
    let lower = word.to_lowercase();
    let mut small = ["µ", "μ"].iter().filter_map(|prefix| word.strip_prefix(prefix));
    let small = small.any(|unit| ["m", "s", "g", "C", "F", "A", "V", "l", "L"].contains(&unit));
    let minor = MINOR.iter().any(|(name, _)| *name == lower);
    let short = contains(ATTACHED, word) || (apart && contains(SHORT, word));
    let ohm = word.ends_with('Ω') && word.chars().count() <= 2;
    sign || letter || ohm || small || minor || short || contains(LONG, &lower) || is_counter(word)
}

fn is_counter(word: &str) -> bool {
    let money = [
        "美元", "欧元", "日元", "小时", "分钟", "公里", "千米", "厘米", "公斤", "千克", "块钱",
        "度数",
    ];
    let mut letters = word.chars();
    let single = letters.next().is_some_and(|c| COUNTERS.contains(c)) && letters.next().is_none();
    single || money.contains(&word)
}

/// Whether a word looks like a plural noun.
fn is_plural(word: &str) -> bool {
    let ends = |end: &str| word.ends_with(end);
    let regular = ends("s") && !ends("ss") && !ends("us") && !ends("is");
    let irregular = word.len() > 5
        && ["men", "children", "people", "fish", "feet", "teeth"].iter().any(|end| ends(end));
    word.chars().all(char::is_alphabetic) && (regular || irregular)
}

/// Whether a word may be a singular noun: any word too long to be a product of variables.
fn is_singular(word: &str) -> bool {
    word.len() >= 4 && word.is_ascii() && !crate::latex::is_name(word)
}

#[cfg(test)]
mod tests;
