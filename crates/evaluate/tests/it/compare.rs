//! `evaluate compare` from datasets to text and JSON: the pairs, the conclusions, and the refusals.

use std::path::Path;

use crate::support::{rows, write};
use clap::Parser;
use evaluate::compare::{self, CompareArgs, Comparison, Error, Row, render};
use schema::Outcome;
use stage::{Exit, Failure};

/// `n` problems from problem 0 on, the first `right` of them answered correctly.
fn greedy(split: &str, right: usize, n: usize) -> Vec<Outcome> {
    rows(split, "greedy", 0, &("x".repeat(right) + &".".repeat(n - right)))
}

fn model(label: &str, rows: Vec<Outcome>) -> (String, Vec<Outcome>) {
    (label.to_owned(), rows)
}

/// A control with 5 of 20 right, a base with 4 and a round 1 with 15; the search of round 1 has 8 of its first 10.
fn small() -> Vec<(String, Vec<Outcome>)> {
    let mut round = greedy("test", 15, 20);
    round.extend(rows("test", "mcts-vote", 0, "xxxxxxxx.."));
    vec![
        model("base", greedy("test", 4, 20)),
        model("control", greedy("test", 5, 20)),
        model("round 1", round),
    ]
}

fn find<'a>(found: &'a Comparison, model: &str, decoder: &str) -> &'a Row {
    let is_it = |row: &&Row| row.model == model && row.decoder == decoder;
    found.splits[0].rows.iter().find(is_it).unwrap()
}

fn refusal(models: &[(String, Vec<Outcome>)], against: &str) -> Error {
    compare::compare(models, against).unwrap_err()
}

#[test]
fn a_small_comparison_reads_like_this() {
    let found = compare::compare(&small(), "control").unwrap();
    let page = render(&found);
    assert_eq!(page, include_str!("../golden/compare.txt"));
    assert!(page.lines().all(|line| line.starts_with("- ") || line.len() <= 80), "{page}");
}

#[test]
fn pairs_are_by_problem_not_by_position() {
    let mut round = rows("test", "greedy", 0, "xxx.");
    round.reverse();
    let models = [model("a", rows("test", "greedy", 0, "xx..")), model("b", round)];
    let found = compare::compare(&models, "a").unwrap();
    let paired = find(&found, "b", "greedy").against_control.clone().unwrap();
    let pairs = paired.pairs;
    assert_eq!([pairs.both, pairs.first, pairs.second, pairs.neither], [2, 1, 0, 1]);
    assert_eq!((paired.n, paired.partial, paired.p), (4, false, 1.0));
    assert!((paired.points.estimate - 25.0).abs() < 1e-12);
}

#[test]
fn search_is_paired_with_greedy_of_its_own_model_only() {
    let found = compare::compare(&small(), "control").unwrap();
    let row = find(&found, "round 1", "mcts-vote");
    assert_eq!(row.against_control, None);
    let paired = row.against_greedy.clone().unwrap();
    assert_eq!((paired.n, paired.partial), (10, true));
    assert_eq!((paired.pairs.first, paired.pairs.second), (0, 2));
    assert_eq!((row.tokens, row.nodes), (Some(400.0), Some(20.5)));
    assert_eq!(find(&found, "round 1", "greedy").nodes, None);
    assert_eq!(find(&found, "control", "greedy").against_control, None);
}

#[test]
fn a_gain_a_loss_and_search_that_wins_are_said() {
    let mut better = greedy("test", 10, 40);
    better.extend(rows("test", "mcts-vote", 0, &"x".repeat(40)));
    let mut worse = greedy("test", 30, 40);
    worse.extend(rows("test", "mcts-vote", 0, &".".repeat(40)));
    let models = [model("control", worse), model("new", better)];
    let found = compare::compare(&models, "control").unwrap();
    let said = &found.splits[0].conclusion;
    let starts = [
        "greedy: new loses 50.0 points to control (-6",
        "mcts-vote: new gains 100.0 points over control (",
        "control: mcts-vote is worse than greedy by 75.0 points (",
        "new: mcts-vote beats greedy by 75.0 points (",
        "no rival at equal tokens: mcts-vote (no orm-vote was measured)",
        "in short: search beats greedy in 1 of 2: new (mcts-vote); loses to greedy in 1 of 2: control (mcts-vote)",
    ];
    assert_eq!(said.len(), starts.len());
    for (sentence, start) in said.iter().zip(starts) {
        assert!(sentence.starts_with(start), "{sentence}");
    }
}

/// `orm-vote@4` has 100 tokens, `@8` 200 and `@16` 400. A vote of 150 tokens is compared with `@8`, however good
/// best-of-n is; the best by ORM with best-of-n, and a leaf of the tree with `best-leaf`, at the same number of
/// samples.
#[test]
fn a_search_is_compared_with_samples_that_are_picked_from_in_its_way_at_equal_tokens() {
    let mut all = greedy("test", 4, 10);
    let mut samples = |kind: &str, right: [&str; 3]| {
        for (count, right) in [4, 8, 16].into_iter().zip(right) {
            let answers = rows("test", &format!("{kind}@{count}"), 0, right);
            let priced = |row| Outcome { tokens: Some(25 * count), ..row };
            all.extend(answers.into_iter().map(priced));
        }
    };
    samples("best-of-n", ["xxxx......", "xxxxx.....", "xxxxxxxxxx"]);
    samples("best-leaf", ["x.........", "xx........", "xxx......."]);
    samples("orm-vote", ["xxxx......", "xxxxxxx...", "xxxxxxxxx."]);
    samples("self-consistency", [".........."; 3]);
    let mut search = |decoder: &str, tokens: i32, right: &str| {
        let priced = |row| Outcome { tokens: Some(tokens), ..row };
        all.extend(rows("test", decoder, 0, right).into_iter().map(priced));
    };
    search("mcts-vote", 150, "xxxxxx....");
    search("mcts-rerank", 150, "xxxxxx....");
    search("mcts-greedy", 150, "xxxxxx....");
    search("mcts-global@large", 201, "xxxxxx....");
    search("beam", 400, "x.........");
    search("dvts", 401, "xxxx......");
    let found = compare::compare(&[model("a", all)], "a").unwrap();
    let against = |decoder: &str| {
        let rival = find(&found, "a", decoder).against_rival.clone();
        rival.map(|it| (it.decoder, it.tokens, it.paired.pairs.first, it.paired.pairs.second))
    };
    let pair = |rival: &str, tokens, first, second| Some((rival.to_owned(), tokens, first, second));
    assert_eq!(against("mcts-vote"), pair("orm-vote@8", 200.0, 0, 1), "best-of-n@8 has one less");
    assert_eq!(against("mcts-rerank"), pair("best-of-n@8", 200.0, 1, 0));
    assert_eq!(against("mcts-greedy"), pair("best-leaf@8", 200.0, 4, 0));
    assert_eq!(against("mcts-global@large"), pair("best-leaf@16", 400.0, 3, 0));
    assert_eq!(against("beam"), pair("orm-vote@16", 400.0, 0, 8), "as many tokens are enough");
    for nobody in ["dvts", "greedy", "orm-vote@8", "best-of-n@4", "self-consistency@16"] {
        assert_eq!(against(nobody), None, "{nobody}");
    }
    let lacking = find(&found, "a", "dvts").lacking.unwrap();
    assert_eq!(lacking.to_string(), "every orm-vote generates fewer tokens");
    assert_eq!(find(&found, "a", "orm-vote@8").lacking, None, "samples need no rival");
    let said = &found.splits[0].conclusion;
    let has = |sentence: &str| assert!(said.iter().any(|it| it.starts_with(sentence)), "{said:?}");
    has("a: beam is worse than orm-vote@16 (400 tokens) by 80.0 points (");
    has("no rival at equal tokens: dvts (every orm-vote generates fewer tokens)");
    has("in short: search does not beat its rival at equal tokens, nor lose to it");
    let page = render(&found);
    assert!(page.contains("rival         its tokens  vs rival"), "{page}");
    let decoders: Vec<&str> = found.splits[0].rows.iter().map(|row| row.decoder.as_str()).collect();
    let order =
        ["self-consistency@16", "best-of-n@4", "best-of-n@8", "best-of-n@16", "best-leaf@4"];
    assert_eq!(decoders[3..8], order);
    assert_eq!(
        decoders[13..],
        ["beam", "dvts", "mcts-greedy", "mcts-global@large", "mcts-rerank", "mcts-vote"]
    );
}

/// With only best-of-n measured, a vote has no rival: comparing it with best-of-n would not be like with like.
#[test]
fn where_there_is_no_like_none_is_taken_and_it_is_said() {
    let mut all = greedy("test", 4, 10);
    for decoder in ["best-of-n@4", "mcts-vote", "mcts-greedy", "mcts-rerank"] {
        all.extend(rows("test", decoder, 0, "xxxxx....."));
    }
    let found = compare::compare(&[model("a", all)], "a").unwrap();
    let rival = |decoder| find(&found, "a", decoder).against_rival.clone().map(|it| it.decoder);
    let rivals = ["mcts-vote", "mcts-greedy", "mcts-rerank"].map(rival);
    assert_eq!(rivals, [None, None, Some("best-of-n@4".to_owned())]);
    let says = "no rival at equal tokens: mcts-greedy (no best-leaf was measured); mcts-vote (no orm-vote was measured)";
    let said = &found.splits[0].conclusion;
    assert!(said.iter().any(|sentence| sentence == says), "{said:?}");
}

#[test]
fn splits_and_decoders_have_a_fixed_order_and_models_that_of_the_caller() {
    let mut all = Vec::new();
    for split in ["zoo", "ood-chains", "extra", "ood-templates", "test"] {
        for decoder in ["mcts-vote", "other", "mcts-greedy", "greedy"] {
            all.extend(rows(split, decoder, 0, "x."));
        }
    }
    let models = [model("z", all.clone()), model("a", all)];
    let found = compare::compare(&models, "a").unwrap();
    let splits: Vec<&str> = found.splits.iter().map(|split| split.split.as_str()).collect();
    assert_eq!(splits, ["test", "ood-templates", "ood-chains", "extra", "zoo"]);
    let names = |row: &Row| format!("{} {}", row.model, row.decoder);
    let order: Vec<String> = found.splits[0].rows.iter().map(names).collect();
    let decoders = ["greedy", "mcts-greedy", "mcts-vote", "other"];
    let expected: Vec<String> =
        ["z", "a"].iter().flat_map(|m| decoders.map(|d| format!("{m} {d}"))).collect();
    assert_eq!(order, expected);
}

#[test]
fn other_problems_are_refused_with_both_names_and_the_counts() {
    let models = [
        model("control", rows("test", "greedy", 0, "xxxx")),
        model("round 1", rows("test", "greedy", 2, "xxx")),
    ];
    let error = refusal(&models, "control");
    assert_eq!(
        error.to_string(),
        "world test: `round 1` (greedy) answered 3 problems and `control` (greedy) answered 4, of which only 2 are the \
         same: measure them on the same problems"
    );
    assert_eq!(Failure::from(error).exit(), Exit::Data);
}

#[test]
fn another_gold_answer_is_another_problem() {
    let mut other = greedy("test", 1, 2);
    other[1].target = "43".into();
    let error = refusal(&[model("a", greedy("test", 1, 2)), model("b", other)], "a");
    assert_eq!(
        error.to_string(),
        "problem p001 has the gold answer `43` in `b` (greedy) and `42` in `a` (greedy): these are not the same problems"
    );
}

#[test]
fn two_answers_to_a_problem_are_refused() {
    let mut twice = greedy("test", 1, 2);
    twice.push(twice[0].clone());
    let error = refusal(&[model("a", twice)], "a");
    assert!(
        error.to_string().starts_with("`a` has more than one answer to problem p000"),
        "{error}"
    );
}

#[test]
fn labels_that_do_not_tell_models_apart_are_refused() {
    let one = || greedy("test", 1, 2);
    assert_eq!(refusal(&[], "a"), Error::NoModels);
    let same = refusal(&[model("a", one()), model("a", one())], "a");
    assert_eq!(same.to_string(), "two models are labelled `a`");
    let unknown = refusal(&[model("a", one()), model("b", one())], "c");
    assert_eq!(unknown.to_string(), "no model is labelled `c`; there are a, b");
    assert_eq!(Failure::from(unknown).exit(), Exit::Usage);
    assert_eq!(refusal(&[model("a", vec![])], "a"), Error::NoRows { label: "a".into() });
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    compare: CompareArgs,
}

fn run(words: &[&str]) -> Result<(), Failure> {
    let command = Command::try_parse_from(["compare"].iter().chain(words)).unwrap();
    compare::run(command.compare)
}

#[test]
fn the_command_reads_datasets_and_writes_the_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let dirs: Vec<String> =
        small().iter().map(|(label, rows)| write(&folder.path().join(label), rows)).collect();
    let labels = ["base", "control", "round 1"];
    let runs: Vec<String> =
        labels.iter().zip(&dirs).map(|(label, dir)| format!("{label}={dir}")).collect();
    let out = folder.path().join("new/folder/comparison.json");
    let out_name = out.display().to_string();
    let mut words: Vec<&str> = runs.iter().flat_map(|run| ["--run", run]).collect();
    words.extend(["--out", &out_name]);
    run(&words).unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    // `control` is the default because of its label, although it is not the first.
    let expected = compare::compare(&small(), "control").unwrap();
    assert_eq!(text, serde_json::to_string_pretty(&expected).unwrap() + "\n");
    // Writing over an existing file leaves nothing else behind.
    run(&[&words[..], &["--json"]].concat()).unwrap();
    assert_eq!(std::fs::read_dir(out.parent().unwrap()).unwrap().count(), 1);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), text);
}

#[test]
fn the_command_refuses_what_is_no_evaluation_and_what_is_no_label() {
    let folder = tempfile::tempdir().unwrap();
    let missing = run(&["--run", &format!("a={}", folder.path().display())]).unwrap_err();
    assert_eq!(missing.exit(), Exit::Data);
    let empty = write(&folder.path().join("empty"), &[]);
    assert_eq!(run(&["--run", &format!("a={empty}")]).unwrap_err().exit(), Exit::Data);
    for bad in ["a", "=dir", "a=", " =dir"] {
        assert!(Command::try_parse_from(["compare", "--run", bad]).is_err(), "{bad}");
    }
    assert!(Command::try_parse_from(["compare"]).is_err());
    let run: compare::Labelled = "round 1=a=b".parse().unwrap();
    assert_eq!((run.label.as_str(), run.dir.as_path()), ("round 1", Path::new("a=b")));
}

#[test]
fn a_file_that_cannot_be_written_is_an_io_failure() {
    let folder = tempfile::tempdir().unwrap();
    let dir = write(&folder.path().join("a"), &greedy("test", 1, 2));
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    let run_of =
        |out: &Path| run(&["--run", &format!("a={dir}"), "--out", &out.display().to_string()]);
    let error = run_of(&taken).unwrap_err();
    assert_eq!(error.exit(), Exit::Io);
    assert!(error.to_string().contains("taken"), "{error}");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(run_of(Path::new("/")).unwrap_err().exit(), Exit::Usage);
}
