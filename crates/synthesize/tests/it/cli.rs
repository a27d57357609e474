//! The binary as it is called: exit codes, messages and files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use alphallm::{Ended, bytes, write_parts};
use dataset::{Dataset, Manifest};
use schema::CorpusText;

use crate::common::{
    AsArgument, first_part, preset, read_prompts, synthesize, truncate, world, write_prompts,
};

#[test]
fn world_writes_a_split_once() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("seeds");
    let run = |more: &str| {
        synthesize(
            &format!("world --split seeds {more}"),
            &[&"--config", &preset("world"), &"--out", &out],
        )
    };
    let said = run("").succeeds().to_owned();
    assert!(said.starts_with("prompts: 50 rows in 3 parts, written, "), "{said}");
    let rows = read_prompts(&out);
    assert!(rows.is_sorted_by_key(|row| &row.prompt_id) && rows.len() == 50);
    assert!(rows.iter().all(|row| row.answer.is_some() && row.split == "seeds" && row.round == 0));
    let before = bytes(&out);
    // Neither a second run nor another seed of the run changes the problems.
    for more in ["", "--seed 5"] {
        let said = run(more).succeeds().to_owned();
        assert!(said.contains("up to date") && said.contains("50"), "{said}");
        assert_eq!(bytes(&out), before);
    }
}

#[test]
fn splits_of_the_world_are_disjoint_and_differ_in_size() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ids, mut count) = (BTreeSet::new(), 0);
    for (split, expected) in
        [("seeds", 50), ("validation", 20), ("test", 30), ("ood-templates", 10), ("ood-chains", 10)]
    {
        let out = dir.path().join(split);
        synthesize("world", &[&"--split", &split, &"--config", &preset("world"), &"--out", &out])
            .succeeds();
        let rows = read_prompts(&out);
        assert_eq!(rows.len(), expected);
        count += expected;
        ids.extend(rows.into_iter().map(|row| row.prompt_id));
    }
    assert_eq!(ids.len(), count);
}

#[test]
fn a_count_of_another_split_changes_nothing_here() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("test");
    let run = |set: &str| {
        let set = format!("world --split test --set splits.{set}");
        synthesize(&set, &[&"--config", &preset("world"), &"--out", &out])
    };
    run("seeds=50").succeeds();
    assert!(run("seeds=60").succeeds().contains("up to date"));
    run("test=31").fails(64, &[&"another recipe", &"--force"]);
}

#[test]
fn corpus_is_text_without_answers_to_questions() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("corpus");
    let run = || synthesize("corpus --json", &[&"--config", &preset("corpus"), &"--out", &out]);
    let said: serde_json::Value = serde_json::from_str(run().succeeds()).unwrap();
    assert_eq!((&said["status"], &said["table"]), (&"written".into(), &"corpus".into()));
    let rows = Dataset::<CorpusText>::open(&out).unwrap().rows().unwrap();
    assert_eq!(said["rows"], rows.len());
    let of = |kind: &str| rows.iter().filter(|row| row.kind == kind).count();
    assert_eq!([of("arithmetic"), of("story"), of("question")], [300, 100, 50]);
    assert!(rows.iter().all(|row| !row.text.contains("####")));
    assert!(run().succeeds().contains("up to date"));
}

/// Writes seeds to `dir`, with answers given by `answer`.
fn seeds(dir: &Path, answer: impl Fn(usize) -> String) {
    write_prompts(dir, &world(20, answer));
}

#[test]
fn prompts_have_no_labels_and_come_out_the_same_twice() {
    let dir = tempfile::tempdir().unwrap();
    let [from, out, again] = ["seeds", "out", "again"].map(|name| dir.path().join(name));
    seeds(&from, |index| index.to_string());
    let run = |out: &PathBuf| {
        let more: [&dyn AsArgument; 6] =
            [&"--config", &preset("prompts"), &"--seeds", &from, &"--out", out];
        synthesize("prompts --seed 3 --round 1", &more)
    };
    let said = run(&out).succeeds().to_owned();
    assert!(
        said.contains("operator") && said.contains("mutate") && said.contains("fresh"),
        "{said}"
    );
    let rows = read_prompts(&out);
    assert_eq!(rows.len(), 60);
    assert!(rows.is_sorted_by_key(|row| &row.prompt_id));
    assert!(
        rows.iter().all(|row| row.answer.is_none() && row.solution.is_none() && row.round == 1)
    );
    let metrics = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    assert!(
        metrics.contains(r#""operator":"mutate""#) && metrics.contains(r#""kept":45"#),
        "{metrics}"
    );
    run(&again).succeeds();
    assert_eq!(bytes(&out), bytes(&again));
    let before = bytes(&out);
    assert!(run(&out).succeeds().contains("up to date"));
    assert_eq!(bytes(&out), before);
}

#[test]
fn prompts_do_not_depend_on_answers() {
    let dir = tempfile::tempdir().unwrap();
    let made = |name: &str, answer: &dyn Fn(usize) -> String| {
        let (from, out) = (dir.path().join(name).join("seeds"), dir.path().join(name).join("out"));
        seeds(&from, answer);
        synthesize(
            "prompts --round 1",
            &[&"--config", &preset("prompts"), &"--seeds", &from, &"--out", &out],
        )
        .succeeds();
        read_prompts(&out)
    };
    let honest = made("honest", &|index| index.to_string());
    let garbage = made("garbage", &|index| format!("\u{1f95a} {}", "x".repeat(index)));
    assert_eq!(honest, garbage);
}

#[test]
fn another_round_gives_other_prompts() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("seeds");
    seeds(&from, |_| "1".to_owned());
    let round = |round: &str| -> BTreeSet<String> {
        let out = dir.path().join(round);
        synthesize(
            "prompts",
            &[
                &"--round",
                &round,
                &"--config",
                &preset("prompts"),
                &"--seeds",
                &from,
                &"--out",
                &out,
            ],
        )
        .succeeds();
        read_prompts(&out).into_iter().map(|row| row.prompt_id).collect()
    };
    let common = round("1").intersection(&round("2")).count();
    assert!(common < 3, "{common} of 60 prompts are the same");
}

#[test]
fn prompts_avoid_what_they_are_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let [from, first, second] = ["seeds", "first", "second"].map(|name| dir.path().join(name));
    seeds(&from, |_| "1".to_owned());
    let common: [&dyn AsArgument; 4] = [&"--config", &preset("prompts"), &"--seeds", &from];
    synthesize("prompts", &[common.as_slice(), &[&"--out", &first]].concat()).succeeds();
    synthesize("prompts", &[common.as_slice(), &[&"--avoid", &first, &"--out", &second]].concat())
        .succeeds();
    let avoided: BTreeSet<String> =
        read_prompts(&first).into_iter().map(|row| row.prompt).collect();
    assert!(read_prompts(&second).iter().all(|row| !avoided.contains(&row.prompt)));
    let inputs = Manifest::read(&second).unwrap().recipe.inputs;
    assert_eq!(
        inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(),
        ["seeds", "avoid"]
    );
}

#[test]
fn a_dry_run_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("seeds");
    let run = synthesize(
        "world --split seeds --dry-run",
        &[&"--config", &preset("world"), &"--out", &out],
    );
    assert!(run.succeeds().contains("would be written"));
    assert!(!out.exists());
}

#[test]
fn wrong_presets_are_refused_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let [out, from, config] = ["out", "seeds", "wrong.toml"].map(|name| dir.path().join(name));
    seeds(&from, |_| "1".to_owned());
    let text = std::fs::read_to_string(preset("world")).unwrap();
    std::fs::write(&config, format!("world_sed = 1\n{text}")).unwrap();
    synthesize("world --split seeds", &[&"--config", &config, &"--out", &out])
        .fails(78, &[&"world_sed", &config.display()]);
    for (set, key) in [
        ("decontaminate.ngram=0", "`decontaminate.ngram`"),
        ("operators.mutate=-1", "`operators.mutate`"),
        ("operators.dream=1", "dream"),
        ("operators.rephrase=1", "[writing]"),
        ("curriculum={kept_parents=true,exploration=2.0}", "`curriculum.exploration`"),
        ("quality={well_posed=true,most_of_a_shape=2.0}", "`quality.most_of_a_shape`"),
        ("count=0", "`count`"),
        ("counts=1", "counts"),
    ] {
        synthesize(
            "prompts",
            &[&"--set", &set, &"--config", &preset("prompts"), &"--seeds", &from, &"--out", &out],
        )
        .fails(78, &[&key]);
    }
    synthesize("world --split training", &[&"--config", &preset("world"), &"--out", &out])
        .fails(64, &[&"training"]);
    assert!(!out.exists());
}

#[test]
fn missing_and_damaged_inputs_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let [from, out] = ["seeds", "out"].map(|name| dir.path().join(name));
    let run = || {
        synthesize("prompts", &[&"--config", &preset("prompts"), &"--seeds", &from, &"--out", &out])
    };
    run().fails(65, &[&from.display(), &"_MANIFEST.json"]);
    seeds(&from, |_| "1".to_owned());
    let part = first_part(&from);
    truncate(&part);
    run().fails(65, &[&part.display(), &"bytes instead of"]);
    assert!(!out.exists());
}

#[test]
fn a_preset_that_wants_the_policy_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let [from, out] = ["seeds", "out"].map(|name| dir.path().join(name));
    seeds(&from, |_| "1".to_owned());
    let difficulty =
        "difficulty={rollouts=4,sampling='greedy',agreement_at_least=0.5,agreement_at_most=0.9}";
    let more: [&dyn AsArgument; 8] =
        [&"--set", &difficulty, &"--config", &preset("prompts"), &"--seeds", &from, &"--out", &out];
    synthesize("prompts", &more).fails(64, &[&"--policy and --text"]);
    synthesize("prompts --policy nowhere", &more).fails(64, &[&"--text"]);
    assert!(!out.exists());
}

/// Calls a command that has the base write questions and the small policy try them.
fn authored(command: &str, seeds: &PathBuf, more: &[&dyn AsArgument]) -> Ended {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let [base, small, text] =
        ["data/base/policy", "data/base/fast_policy", "pipelines/smoke/text.toml"]
            .map(|path| root.join(path));
    let models: [&dyn AsArgument; 10] = [
        &"--config",
        &preset("authored"),
        &"--seeds",
        seeds,
        &"--policy",
        &small,
        &"--author",
        &base,
        &"--text",
        &text,
    ];
    synthesize(command, &[models.as_slice(), more].concat())
}

#[test]
fn the_base_writes_questions_that_go_on_as_the_seeds_begin() {
    let dir = tempfile::tempdir().unwrap();
    let [from, one, two] = ["seeds", "one", "two"].map(|name| dir.path().join(name));
    seeds(&from, |_| "1".to_owned());
    let write = |out: &PathBuf, workers: &str| {
        authored(&format!("prompts --workers {workers}"), &from, &[&"--out", out]).succeeds();
    };
    write(&one, "1");
    let begun: BTreeSet<Vec<String>> =
        read_prompts(&from).iter().map(|row| opening(&row.prompt)).collect();
    let rows = read_prompts(&one);
    assert_eq!(rows.len(), 12);
    for row in rows {
        assert!(
            begun.contains(&opening(&row.prompt)) && row.prompt.ends_with('?'),
            "{}",
            row.prompt
        );
        assert!(row.difficulty.is_some_and(|hard| [0.0, 0.5, 1.0].contains(&hard)), "{row:?}");
        assert_eq!((row.operator.as_deref(), row.parent_ids.len()), (Some("self_instruct"), 1));
    }
    let spent = dataset::MetricsLog::read(&one.join("metrics.jsonl")).unwrap().pop().unwrap();
    assert!(["tokens", "policy_tokens", "flops"].iter().all(|key| spent[*key].as_u64() > Some(0)));
    let inputs = Manifest::read(&one).unwrap().recipe.inputs;
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(names, ["seeds", "policy", "author"]);
    write(&two, "2");
    assert_eq!(bytes(&one), bytes(&two));
    // Neither model can solve anything, so no answer reaches its share and every attempt at a prompt is dropped.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let [base, text] =
        ["data/base/policy", "pipelines/smoke/text.toml"].map(|path| root.join(path));
    let more: [&dyn AsArgument; 8] =
        [&"--config", &preset("authored"), &"--seeds", &from, &"--policy", &base, &"--text", &text];
    let run = synthesize(
        "prompts --set difficulty.agreement_at_least=0.6",
        &[more.as_slice(), &[&"--out", &dir.path().join("hard")]].concat(),
    );
    run.fails(65, &[&"nothing new could be made"]);
}

#[test]
fn what_shards_asked_models_is_not_asked_again_and_changes_no_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let [from, drafts, alone, after] =
        ["seeds", "drafts", "alone", "after"].map(|name| dir.path().join(name));
    seeds(&from, |_| "1".to_owned());
    let run = |command: &str, more: &[&dyn AsArgument]| authored(command, &from, more);
    run("prompts", &[&"--out", &alone]).succeeds();
    run("drafts --status 2", &[&"--out", &drafts]).fails(75, &[&"nothing was begun"]);
    for ending in ["--plan", "--shard 0/2", "--shard 1/2"] {
        run(&format!("drafts {ending}"), &[&"--out", &drafts]).succeeds();
    }
    assert_eq!(run("drafts --status 2", &[&"--out", &drafts]).succeeds(), "\n");
    run("drafts --merge", &[&"--out", &drafts]).succeeds();
    run("prompts", &[&"--drafts", &drafts, &"--out", &after]).succeeds();
    assert_eq!(bytes(&alone), bytes(&after));
    let spent = dataset::MetricsLog::read(&after.join("metrics.jsonl")).unwrap().pop().unwrap();
    assert_eq!(spent["tokens"], 0, "all was known");
    let other = run("prompts --seed 1 --force", &[&"--drafts", &drafts, &"--out", &after]);
    other.fails(64, &[&drafts.display(), &"other settings or inputs"]);
}

#[test]
fn what_a_model_writes_has_the_questions_it_was_shown_for_parents() {
    let dir = tempfile::tempdir().unwrap();
    let [from, out] = ["seeds", "out"].map(|name| dir.path().join(name));
    seeds(&from, |_| "1".to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let [base, text] =
        ["data/base/policy", "pipelines/smoke/text.toml"].map(|path| root.join(path));
    let texts = "writing.texts={rephrase='{question} {opening}',deepen='{question} {opening}',widen='{examples} '}";
    let more: [&dyn AsArgument; 12] = [
        &"--set",
        &texts,
        &"--config",
        &preset("authored"),
        &"--seeds",
        &from,
        &"--policy",
        &base,
        &"--text",
        &text,
        &"--out",
        &out,
    ];
    let operators = "operators={rephrase=1,deepen=1,widen=1}";
    synthesize(&format!("prompts --set {operators} --set writing.examples=2"), &more).succeeds();
    let seeds: BTreeSet<String> =
        read_prompts(&from).into_iter().map(|row| row.prompt_id).collect();
    let rows = read_prompts(&out);
    for (operator, parents) in [("rephrase", 1), ("deepen", 1), ("widen", 2)] {
        let of = |row: &&schema::Prompt| row.operator.as_deref() == Some(operator);
        let made: Vec<&schema::Prompt> = rows.iter().filter(of).collect();
        assert!(!made.is_empty(), "{operator}");
        for row in made {
            assert_eq!(row.parent_ids.len(), parents, "{row:?}");
            assert!(row.parent_ids.iter().all(|id| seeds.contains(id)), "{row:?}");
        }
    }
}

/// The first two words.
fn opening(text: &str) -> Vec<String> {
    text.split_whitespace().take(2).map(str::to_owned).collect()
}

#[test]
fn earlier_rounds_decide_where_a_preset_looks_back() {
    let dir = tempfile::tempdir().unwrap();
    let [from, first, kept, second, third] =
        ["seeds", "first", "kept", "second", "third"].map(|name| dir.path().join(name));
    seeds(&from, |_| "1".to_owned());
    let common: [&dyn AsArgument; 4] = [&"--config", &preset("prompts"), &"--seeds", &from];
    synthesize("prompts --round 1", &[common.as_slice(), &[&"--out", &first]].concat()).succeeds();
    // Every mutated prompt was solved, and no other.
    let solved = |prompt: schema::Prompt| schema::SftExample {
        prompt: vec![schema::Message::user(&prompt.prompt)],
        completion: vec![schema::Message::assistant("So it is 7.\n#### 7")],
        example_id: dataset::row_id(&[&prompt.prompt_id]),
        trajectory_id: prompt.prompt_id.clone(),
        prompt_id: prompt.prompt_id,
        ..schema::SftExample::default()
    };
    let made = read_prompts(&first).into_iter();
    let mutated = made.filter(|prompt| prompt.operator.as_deref() == Some("mutate"));
    write_parts(&kept, &mutated.map(solved).collect::<Vec<_>>(), 2);
    let look_back = |out: &PathBuf, set: &str| {
        let rounds: [&dyn AsArgument; 6] = [&"--earlier", &first, &"--kept", &kept, &"--out", out];
        let words = format!("prompts --round 2 {set}");
        synthesize(&words, &[common.as_slice(), &rounds].concat()).succeeds();
        let inputs = Manifest::read(out).unwrap().recipe.inputs;
        (read_prompts(out), inputs.into_iter().map(|input| input.name).collect::<Vec<_>>())
    };
    let (rows, inputs) = look_back(
        &second,
        "--set curriculum={kept_parents=true,exploration=0.2} --set operators.backward=1",
    );
    assert_eq!(inputs, ["seeds", "earlier", "kept"]);
    let of = |operator: &str| {
        rows.iter().filter(|row| row.operator.as_deref() == Some(operator)).count()
    };
    // Shares 0.75, 0.25 and 1 of 2, with payoffs 1, 0 and, for the one never tried, 0.5.
    assert_eq!([of("mutate"), of("fresh"), of("backward")], [33, 2, 25]);
    assert!(
        rows.iter()
            .all(|row| row.expected.is_some() == (row.operator.as_deref() == Some("backward")))
    );
    // A preset that does not look back does not depend on earlier rounds.
    assert_eq!(look_back(&third, "").1, ["seeds"]);
}

#[test]
fn seeds_that_give_nothing_are_an_error_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let [from, out] = ["seeds", "out"].map(|name| dir.path().join(name));
    let [mut row] = <[_; 1]>::try_from(world(1, |_| "1".to_owned())).unwrap();
    row.prompt = "Nothing can be changed here.".to_owned();
    write_prompts(&from, &[row]);
    let more: [&dyn AsArgument; 6] =
        [&"--config", &preset("prompts"), &"--seeds", &from, &"--out", &out];
    synthesize("prompts --set operators.fresh=0", &more)
        .fails(65, &[&from.display(), &"nothing new", &"hint: raise `attempts`"]);
}
