//! Templates with `{name}` placeholders.

/// Replaces every `{name}` by its text. Inserted text is not expanded again, and braces around unknown names are left as
/// they are.
pub fn filled(template: &str, places: &[(&str, &str)]) -> String {
    let (mut text, mut rest) = (String::with_capacity(template.len()), template);
    while let Some((before, after)) = rest.split_once('{') {
        text += before;
        let place = after.split_once('}').and_then(|(name, after)| {
            let place = places.iter().find(|(known, _)| *known == name);
            place.map(|(_, value)| (*value, after))
        });
        let (value, after) = place.unwrap_or(("{", after));
        text += value;
        rest = after;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once() {
        let places = [("question", "2 {option}?"), ("option", "4")];
        assert_eq!(filled("Q: {question}\nA: {option}{", &places), "Q: 2 {option}?\nA: 4{");
        assert_eq!(filled("{x} {{option}} {question", &places), "{x} {4} {question");
        assert_eq!(filled("", &places), "");
    }
}
