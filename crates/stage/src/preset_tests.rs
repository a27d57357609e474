//! The values that a preset accepts, and the error messages for those that it refuses.

use serde::Deserialize;

use super::*;
use crate::error::Exit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Toy {
    name: String,
    rate: f64,
    search: Search,
}

// Without `deny_unknown_fields`, as if someone had forgotten it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Search {
    width: usize,
    depth: Option<u32>,
}

const TEXT: &str = "name = \"a\"\nrate = 1\n\n[search]\nwidth = 4\n";

fn toy(text: &str, set: &[&str]) -> Result<Preset<Toy>, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.toml");
    std::fs::write(&path, text).unwrap();
    let set: Vec<String> = set.iter().map(ToString::to_string).collect();
    load(&path, &set)
}

/// Checks the exit code, and returns the part of the message after the name of the file.
fn refusal(text: &str, set: &[&str], exit: Exit) -> String {
    let failure = toy(text, set).unwrap_err();
    assert_eq!(failure.exit(), exit, "{failure}");
    let message = failure.to_string();
    message.split_once("/toy.toml").map_or(message.clone(), |(_, rest)| rest.to_owned())
}

#[test]
fn set_overrides_and_the_last_wins() {
    let set = ["search.width=5", "rate=0.5", "search.depth=3", "search.width=6", "name=b/c.json"];
    let value = toy(TEXT, &set).unwrap().value;
    let search = Search { width: 6, depth: Some(3) };
    assert_eq!(value, Toy { name: "b/c.json".into(), rate: 0.5, search });
}

#[test]
fn a_required_key_may_come_from_set_alone() {
    let value = toy("name = \"a\"\nrate = 1", &["search.width=2"]).unwrap().value;
    assert_eq!(value.search.width, 2);
}

#[test]
fn an_integer_stands_for_a_float() {
    assert!((toy(TEXT, &["rate=3"]).unwrap().value.rate - 3.0).abs() < f64::EPSILON);
}

#[test]
fn unknown_keys_are_refused_with_their_place() {
    let top = refusal(&format!("nmae = 1\n{TEXT}"), &[], Exit::Config);
    assert!(top.starts_with(":1: unknown field `nmae`"), "{top}");
    let nested = refusal(&format!("{TEXT}widht = 4"), &[], Exit::Config);
    assert_eq!(nested, ": unknown key `search.widht`");
    assert_eq!(refusal(TEXT, &["search.widht=1"], Exit::Config), ": unknown key `search.widht`");
}

#[test]
fn a_changed_type_is_refused() {
    assert_eq!(
        refusal(TEXT, &["search.width=wide"], Exit::Config),
        "`--set search.width=wide`: integer expected, got string"
    );
    assert_eq!(
        refusal(TEXT, &["search=1"], Exit::Config),
        "`--set search=1`: table expected, got integer"
    );
    assert_eq!(
        refusal(TEXT, &["name.x=1"], Exit::Config),
        "`--set name.x=1`: `name` is not a section"
    );
    let float = refusal(TEXT, &["search.width=1.5"], Exit::Config);
    assert!(float.contains("floating point `1.5`") && float.contains("search.width"), "{float}");
}

#[test]
fn a_number_for_a_text_is_refused_with_the_way_to_write_it() {
    let failure = toy(TEXT, &["name=7"]).unwrap_err();
    let mut out = Vec::new();
    failure.print("x", &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.ends_with("hint: quote it: --set 'name=\"7\"'\n"), "{text}");
    assert_eq!(toy(TEXT, &["name=\"7\""]).unwrap().value.name, "7");
}

#[test]
fn wrong_values_in_the_file_are_refused_with_their_line() {
    let typed = refusal(&TEXT.replace("= 4", "= -4"), &[], Exit::Config);
    assert!(typed.starts_with(":5: invalid value: integer `-4`"), "{typed}");
    let syntax = refusal("name = \"a\"\nrate = = 1", &[], Exit::Config);
    assert!(syntax.starts_with(":2: "), "{syntax}");
    let missing = refusal("name = \"a\"\nrate = 1", &[], Exit::Config);
    assert!(missing.contains("missing field `search`"), "{missing}");
}

#[test]
fn numbers_that_nothing_can_mean_are_refused_with_their_key() {
    for (text, key) in [
        (TEXT.replace("rate = 1", "rate = 1e308"), "rate is 1e308"),
        (TEXT.replace("rate = 1", "rate = inf"), "rate is inf"),
        (TEXT.replace("rate = 1", "rate = nan"), "rate is NaN"),
        (TEXT.replace("= 4", "= 9223372036854775807"), "search.width is 9223372036854775807"),
        (TEXT.replace("= 4", "= 4\ndepth = 4000000000"), "search.depth is 4000000000"),
    ] {
        let refused = refusal(&text, &[], Exit::Config);
        assert!(refused.contains(key) && refused.contains("the most is"), "{refused}");
    }
    assert!(refusal(TEXT, &["rate=-1e300"], Exit::Config).contains("rate is -1e300"));
}

#[test]
fn a_key_in_sections_without_end_is_refused() {
    let deep = format!("{}=1", vec!["a"; 50_000].join("."));
    assert!(refusal(TEXT, &[&deep], Exit::Usage).ends_with("is not key=value"));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_waited_for() {
    let device = load::<Toy>(Path::new("/dev/zero"), &[]).unwrap_err();
    assert_eq!(
        (device.exit(), device.to_string().as_str()),
        (Exit::Config, "cannot read preset /dev/zero: it is a device, not a file")
    );
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.toml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let piped = load::<Toy>(&pipe, &[]).unwrap_err().to_string();
    assert!(piped.ends_with("pipe.toml: it is a named pipe, not a file"), "{piped}");
    let folder = load::<Toy>(folder.path(), &[]).unwrap_err().to_string();
    assert!(folder.ends_with("it is a folder, not a file"), "{folder}");
}

#[test]
fn a_missing_file_is_named() {
    let failure = load::<Toy>(Path::new("/nowhere/toy.toml"), &[]).unwrap_err();
    assert_eq!(failure.exit(), Exit::Config);
    assert!(failure.to_string().starts_with("cannot read preset /nowhere/toy.toml: "));
}

#[test]
fn malformed_assignments_are_usage_errors() {
    for set in ["rate", "=1", "search.=1", ".width=1", "a..b=1", "name=\"x", "name=[1"] {
        let text = refusal(TEXT, &[set], Exit::Usage);
        assert_eq!(text, format!("`--set {set}` is not key=value"));
    }
}

#[test]
fn the_digest_is_of_values_not_of_text() {
    let plain = toy(TEXT, &[]).unwrap().digest;
    let other = "# why\nrate = 1.0\nsearch = { width = 4 }\nname = 'a'\n";
    assert_eq!(toy(other, &[]).unwrap().digest, plain);
    assert_eq!(toy(TEXT, &["search.width=4"]).unwrap().digest, plain);
    assert_ne!(toy(TEXT, &["search.width=5"]).unwrap().digest, plain);
    assert_eq!(plain.len(), 64);
}
