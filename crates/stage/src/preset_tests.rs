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
    assert_eq!(nested, ":6: unknown key `search.widht`");
}

#[test]
fn a_key_of_set_that_nobody_knows_is_refused_with_the_file_it_was_looked_for_in() {
    for (set, unknown) in
        [("nmae=1", "unknown field `nmae`"), ("search.widht=1", "unknown key `search.widht`")]
    {
        let message = toy(TEXT, &[set]).unwrap_err().to_string();
        assert!(message.starts_with(&format!("`--set {set}`: {unknown}")), "{message}");
        assert!(message.ends_with("/toy.toml"), "{message}");
    }
}

#[test]
fn a_changed_type_is_refused() {
    for (set, wrong) in [
        ("search.width=wide", "invalid type: string \"wide\", expected usize"),
        ("search.width=1.5", "invalid type: floating point `1.5`, expected usize"),
        ("search=1", "invalid type: integer `1`, expected struct Search"),
        ("name.x=1", "invalid type: map, expected a string"),
    ] {
        let message = toy(TEXT, &[set]).unwrap_err().to_string();
        assert!(message.starts_with(&format!("`--set {set}`: {wrong}, in ")), "{message}");
    }
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
    let set = toy(TEXT, &["rate=-1e300"]).unwrap_err().to_string();
    assert!(set.starts_with("`--set rate=-1e300`: rate is -1e300; the most is"), "{set}");
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

/// Files by their names in a folder of their own.
fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// The preset `a/toy.toml` of these files; a refusal without the name of their folder.
fn extended(files: &[(&str, &str)]) -> Result<Toy, String> {
    let folder = written(files);
    let loaded = load(&folder.path().join("a/toy.toml"), &[]);
    let name = format!("{}/", folder.path().display());
    loaded.map(|preset| preset.value).map_err(|failure| failure.to_string().replace(&name, ""))
}

#[test]
fn a_file_holds_what_differs_from_its_base() {
    let files = [
        ("a/toy.toml", "extends = \"../b/toy.toml\"\n[search]\ndepth = 2\n"),
        ("b/toy.toml", "extends = \"../toy.toml\"\nrate = 0.5\n"),
        ("toy.toml", TEXT),
    ];
    let search = Search { width: 4, depth: Some(2) };
    assert_eq!(extended(&files), Ok(Toy { name: "a".into(), rate: 0.5, search }));
    let folder = written(&files);
    let preset = load::<Toy>(&folder.path().join("a/toy.toml"), &[]).unwrap();
    let whole = toy("name = \"a\"\nrate = 0.5\n[search]\nwidth = 4\ndepth = 2\n", &[]).unwrap();
    assert_eq!(preset.digest, whole.digest, "where a value stands is no part of the identity");
}

#[test]
fn a_section_is_merged_and_a_table_in_braces_replaces() {
    let base = ("b.toml", "name = \"a\"\nrate = 1\nsearch = { width = 4, depth = 3 }\n");
    let depth = |over: &str| {
        let text = format!("extends = \"../b.toml\"\n{over}\n");
        extended(&[("a/toy.toml", &text), base]).unwrap().search.depth
    };
    assert_eq!(depth("[search]\nwidth = 5"), Some(3));
    assert_eq!(depth("search.width = 5"), Some(3));
    assert_eq!(depth("search = { width = 5 }"), None);
    let set = |set: &str| toy(base.1, &[set]).unwrap().value.search.depth;
    assert_eq!((set("search.width=5"), set("search={ width = 5 }")), (Some(3), None));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Merge {
    Distinct { least_mass: f64 },
    EditDistance { threshold: u32 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Tree {
    merge: Merge,
}

#[test]
fn a_section_over_a_choice_is_refused_with_the_way_to_replace_it() {
    let base = ("b.toml", "merge = { distinct = { least_mass = 0.01 } }\n");
    let chosen = |over: &str, set: &[String]| {
        let text = format!("extends = \"../b.toml\"\n{over}\n");
        let folder = written(&[("a/toy.toml", &text), base]);
        let loaded = load::<Tree>(&folder.path().join("a/toy.toml"), set);
        let name = format!("{}/", folder.path().display());
        loaded.map(|preset| preset.value.merge).map_err(|e| e.to_string().replace(&name, ""))
    };
    let braces = "merge = { edit_distance = { threshold = 1 } }";
    assert_eq!(chosen(braces, &[]), Ok(Merge::EditDistance { threshold: 1 }));
    let says =
        "more than one choice where one is wanted: a section is added to what was set before";
    for over in ["[merge.edit_distance]\nthreshold = 1", "merge.edit_distance = { threshold = 1 }"]
    {
        let refused = chosen(over, &[]).unwrap_err();
        assert!(refused.starts_with(&format!("a/toy.toml:2: {says}")), "{refused}");
    }
    let refused = chosen("", &["merge.edit_distance.threshold=1".to_owned()]).unwrap_err();
    let place = "`--set merge.edit_distance.threshold=1`";
    assert!(refused.starts_with(&format!("{place}: {says}")), "{refused}");
}

#[test]
fn what_is_merged_over_another_preset_is_a_section() {
    let base = toy(TEXT, &[]).unwrap();
    let laid = |text: &str| {
        let folder = written(&[("x.toml", text)]);
        let others = load::<toml::Table>(&folder.path().join("x.toml"), &[]).unwrap();
        let name = format!("{}/", folder.path().display());
        base.with_each(&others, "variants").map_err(|e| e.to_string().replace(&name, ""))
    };
    let variants = laid("[variants.wide]\nsearch.width = 9\n[variants.same]\n").unwrap();
    let widths: Vec<(&str, usize)> =
        variants.iter().map(|(name, toy)| (name.as_str(), toy.search.width)).collect();
    assert_eq!(widths, [("same", 4), ("wide", 9)]);
    assert_eq!(laid("[others]\n").unwrap(), []);
    assert_eq!(laid("\nvariants = 1\n").unwrap_err(), "x.toml:2: `variants` is not a section");
    let one = laid("[variants]\nwide = 1\n").unwrap_err();
    assert_eq!(one, "x.toml:2: `variants.wide` is not a section");
}

#[test]
fn what_is_wrong_is_said_of_the_file_that_it_stands_in() {
    let over = ("a/toy.toml", "extends = \"../b.toml\"\n# Nothing here is wrong.\nrate = 2\n");
    let refused = |base: &str| extended(&[over, ("b.toml", base)]).unwrap_err();
    assert_eq!(refused(&format!("{TEXT}widht = 4")), "b.toml:6: unknown key `search.widht`");
    let typed = refused(&TEXT.replace("= 4", "= -4"));
    assert!(typed.starts_with("b.toml:5: invalid value: integer `-4`"), "{typed}");
    let syntax = refused("name = = 1");
    assert!(syntax.starts_with("b.toml:1: "), "{syntax}");
    let number = refused(&TEXT.replace("= 4", "= 4000000000"));
    assert!(number.starts_with("b.toml:5: search.width is 4000000000"), "{number}");
    // What is in neither file is missing in the one that was asked for.
    assert_eq!(refused("name = \"a\"\n"), "a/toy.toml: missing field `search`");
}

#[test]
fn a_base_that_is_not_there_is_named_with_the_file_that_names_it() {
    let missing = extended(&[("a/toy.toml", "\nextends = \"../b/toy.toml\"\n")]).unwrap_err();
    assert!(missing.starts_with("a/toy.toml:2: cannot read its base b/toy.toml: "), "{missing}");
    let wrong = extended(&[("a/toy.toml", "extends = 1\n")]).unwrap_err();
    assert_eq!(wrong, "a/toy.toml:1: `extends` takes the path of a file, in quotes");
}

#[test]
fn a_circle_is_refused_with_its_files() {
    let itself = extended(&[("a/toy.toml", "extends = \"toy.toml\"\n")]).unwrap_err();
    assert_eq!(itself, "a/toy.toml extends a/toy.toml: this is a circle");
    let files = [
        ("a/toy.toml", "extends = \"../b.toml\"\n"),
        ("b.toml", "extends = \"c.toml\"\n"),
        ("c.toml", "extends = \"b.toml\"\n"),
    ];
    assert_eq!(
        extended(&files).unwrap_err(),
        "b.toml extends c.toml extends b.toml: this is a circle"
    );
}

#[test]
fn settings_are_shown_with_where_they_come_from() {
    let folder =
        written(&[("a/toy.toml", "extends = \"../b.toml\"\nrate = 2\n"), ("b.toml", TEXT)]);
    let path = folder.path().join("a/toy.toml");
    let preset: Preset<Toy> = load(&path, &["search.width=6".to_owned()]).unwrap();
    let name = format!("{}/", folder.path().display());
    let shown = show("config", &preset).unwrap().replace(&name, "");
    assert_eq!(
        shown,
        "# --config a/toy.toml, which extends b.toml\nname = \"a\"  # b.toml:1\nrate = 2.0\n\n\
         [search]\nwidth = 6  # `--set search.width=6`\n\n"
    );
    assert_eq!(toml::from_str::<Toy>(&shown).unwrap(), preset.value);
}

/// The files of all presets and arms, with what they say.
fn every_file() -> Vec<(PathBuf, Vec<u8>)> {
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines")];
    let mut files = Vec::new();
    while let Some(folder) = left.pop() {
        for path in list(&folder).unwrap() {
            if path.is_dir() {
                left.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                files.push((path, bytes));
            }
        }
    }
    assert!(files.len() > 100, "{}", files.len());
    files
}

#[test]
fn no_shipped_file_is_a_copy_of_another() {
    let mut first = std::collections::BTreeMap::new();
    for (path, bytes) in every_file() {
        if let Some(other) = first.insert(bytes, path.clone()) {
            panic!("{} is {}: let it extend it", path.display(), other.display());
        }
    }
}

/// That each is typed is for the stages to test, by `shipped`.
#[test]
fn every_shipped_file_is_merged_and_shadows_no_other() {
    for (path, _) in every_file() {
        if path.extension().is_some_and(|end| end == "toml") {
            let table = merged(&path).unwrap();
            // `--set text.x=1` is for `--text`, whatever `--config` has.
            for word in ["config", "text", "tree"] {
                assert!(!table.contains_key(word), "{}: `{word}`", path.display());
            }
        }
    }
}
