//! `evaluate report` from datasets to markdown, JSON and plots: means over seeds, pairs, and refusals.

mod plots;

use std::path::Path;

use crate::support::{rows, write};
use clap::Parser;
use evaluate::compare::Reason;
use evaluate::report::{
    Error, Lone, ModelRun, Pair, Report, ReportArgs, Request, SeedRun, StageCost, markdown, plots,
    report, run,
};
use stage::{Exit, Failure};

/// A run whose problems differ from those of other seeds.
fn of(seed: usize, model: &str, decoders: &[(&str, &str)]) -> ModelRun {
    let rows = decoders.iter().flat_map(|(name, right)| rows("test", name, 100 * seed, right));
    ModelRun { seed: seed.to_string(), model: model.to_owned(), rows: rows.collect() }
}

/// Three seeds: greedy on ten problems each, and the vote of round 1 on the first five.
///
/// Round 1 gains 20, 30 and 10 points over control 1, and removes 2, 3 and 1 of its 6, 5 and 8 errors. Pooled, 7
/// problems are right for round 1 only and 1 for control 1 only.
fn small() -> Vec<ModelRun> {
    vec![
        of(0, "base", &[("greedy", "xxx.......")]),
        of(0, "control 1", &[("greedy", "xxxx......")]),
        of(0, "round 1", &[("greedy", "xxx.xxx..."), ("mcts-vote", "xxxxx")]),
        of(1, "base", &[("greedy", "xxxx......")]),
        of(1, "control 1", &[("greedy", "xxxxx.....")]),
        of(1, "round 1", &[("greedy", "xxxxxxxx.."), ("mcts-vote", "xxxxx")]),
        of(2, "base", &[("greedy", "xxxxx.....")]),
        of(2, "control 1", &[("greedy", "xx........")]),
        of(2, "round 1", &[("greedy", "xxx......."), ("mcts-vote", "xxxx.")]),
    ]
}

fn pair(model: &str, against: &str) -> Pair {
    Pair { model: model.to_owned(), against: against.to_owned() }
}

fn request() -> Request {
    Request { pairs: vec![pair("round 1", "control 1")], ..Request::default() }
}

fn reported(runs: &[ModelRun]) -> Report {
    report(runs, &request()).unwrap()
}

fn refusal(runs: &[ModelRun], request: &Request) -> (String, Exit) {
    let error: Error = report(runs, request).unwrap_err();
    (error.to_string(), Failure::from(error).exit())
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
}

/// Panics unless the document's tags are properly nested and its texts are escaped.
fn check_xml(document: &str) {
    let mut open = Vec::new();
    for piece in document.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
        for entity in tag.split('&').skip(1).chain(text.split('&').skip(1)) {
            let known = ["amp;", "lt;", "gt;", "quot;"];
            assert!(known.iter().any(|known| entity.starts_with(known)), "&{entity}");
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_small_report_reads_like_this() {
    let found = reported(&small());
    assert_eq!(markdown(&found, &plots(&found)), include_str!("../golden/report.md"));
}

#[test]
fn costs_are_those_of_stages_with_a_model() {
    let search = StageCost {
        stage: "round-01/trajectories".to_owned(),
        seeds: 3,
        seconds: 151.6,
        generated: 1_134_838.0,
        through_models: 2_663_284.0,
        trained: 0.0,
        tflop: 4.676,
    };
    let filter = StageCost {
        stage: "round-01/sft".to_owned(),
        generated: 0.0,
        through_models: 0.0,
        ..search
    };
    let found = Report { costs: vec![search, filter], ..reported(&small()) };
    let page = markdown(&found, &[]);
    let row = "| round-01/trajectories | 3 | 152 | 1134838 | 2663284 | 0 | 4.68 |";
    assert!(page.contains("## Costs") && page.contains(row), "{page}");
    assert!(!page.contains("round-01/sft"), "{page}");
}

#[test]
fn a_pair_has_its_mean_over_seeds_and_all_seeds_pooled() {
    let found = reported(&small());
    let versus = &found.splits[0].decoders[0].pairs[0];
    let seeds: Vec<_> = versus.seeds.iter().map(|it| (it.seed.as_str(), it.paired.n)).collect();
    assert_eq!(seeds, [("0", 10), ("1", 10), ("2", 10)]);
    // The exact test by hand: 2 (1 + 4) / 2⁴, 2 / 2³, and 2 / 2, which is cut to 1.
    for (seed, p) in versus.seeds.iter().zip([0.625, 0.25, 1.0]) {
        close(seed.paired.p, p);
    }
    let gains = versus.seeds.iter().map(|seed| seed.paired.points.estimate);
    for (gain, expected) in gains.zip([20.0, 30.0, 10.0]) {
        close(gain, expected);
    }
    close(versus.gain.mean, 20.0);
    let [low, high] = versus.gain.interval.unwrap();
    close(low, -4.841_377);
    close(high, 44.841_377);
    let removed = versus.error_removed.unwrap();
    close(removed.mean, (100.0 / 3.0 + 60.0 + 12.5) / 3.0);
    let pairs = versus.pooled.pairs;
    assert_eq!([pairs.both, pairs.first, pairs.second, pairs.neither], [10, 7, 1, 12]);
    // 2 (1 + 8) / 2⁸.
    close(versus.pooled.p, 18.0 / 256.0);
    close(versus.pooled.points.estimate, 20.0);
    assert!(!versus.shares_problems() && !versus.pooled.partial);
    close(versus.p_by_problem, versus.pooled.p);
}

#[test]
fn a_model_has_its_mean_over_seeds_and_what_it_costs() {
    let found = reported(&small());
    let [greedy, vote] = &found.splits[0].decoders[..] else { panic!("two decoders") };
    let round = &greedy.models[2];
    close(round.accuracy.mean, 170.0 / 3.0);
    // The standard deviation of 60, 80 and 30 is √(1900 / 3) = 25.166.
    close(round.accuracy.interval.unwrap()[0], 170.0 / 3.0 - 62.516_095);
    assert_eq!((round.tokens, round.nodes), (Some(40.0), None));
    assert_eq!(vote.models.len(), 1, "no other model has it");
    assert_eq!((vote.models[0].tokens, vote.models[0].nodes), (Some(400.0), Some(20.4)));
    assert!(vote.pairs.is_empty(), "control 1 has no vote");
    let [search] = &found.splits[0].against_greedy[..] else { panic!("one search") };
    assert_eq!(
        (search.this.decoder.as_str(), search.other.decoder.as_str()),
        ("mcts-vote", "greedy")
    );
    close(search.gain.mean, 40.0 / 3.0);
    assert_eq!(search.error_removed, None, "greedy of seed 1 has no error on these problems");
    assert!(search.pooled.partial && search.pooled.n == 15);
}

#[test]
fn one_seed_has_no_interval_over_seeds_and_the_pair_is_its_own_pool() {
    let found = reported(&small()[..3]);
    let versus = &found.splits[0].decoders[0].pairs[0];
    assert_eq!((versus.gain.interval, versus.pooled.n), (None, 10));
    assert_eq!(versus.pooled, versus.seeds[0].paired);
    let page = markdown(&found, &[]);
    assert!(page.contains("\n| mean | +20.0 | - |  |  | 33.3 |\n"), "{page}");
}

#[test]
fn json_has_the_same_and_a_seed_beside_its_numbers() {
    let found = serde_json::to_value(reported(&small())).unwrap();
    assert_eq!(found["seeds"], serde_json::json!(["0", "1", "2"]));
    assert_eq!(found["models"], serde_json::json!(["base", "control 1", "round 1"]));
    let greedy = &found["splits"][0]["decoders"][0];
    assert_eq!(greedy["models"][1]["seeds"][2]["correct"], 2);
    let versus = &greedy["pairs"][0];
    assert_eq!(
        (&versus["this"]["model"], &versus["other"]["model"]),
        (&"round 1".into(), &"control 1".into())
    );
    close(versus["seeds"][1]["p"].as_f64().unwrap(), 0.25);
    assert_eq!((&versus["seeds"][1]["seed"], &versus["seeds"][1]["n"]), (&"1".into(), &10.into()));
    assert_eq!(versus["pooled"]["pairs"]["first"], 7);
}

#[test]
fn seeds_that_share_problems_are_tested_by_problem() {
    let of_both =
        |run: ModelRun| ["0", "1"].map(|seed| ModelRun { seed: seed.to_owned(), ..run.clone() });
    let runs: Vec<ModelRun> = small().into_iter().skip(1).take(2).flat_map(of_both).collect();
    let found = reported(&runs);
    let versus = &found.splits[0].decoders[0].pairs[0];
    assert!(versus.shares_problems() && versus.problems == 10 && versus.pooled.n == 20);
    // Six of eight pairs give 2 (1 + 8 + 28) / 2⁸; as three of four problems they give 2 (1 + 4) / 2⁴.
    close(versus.pooled.p, 74.0 / 256.0);
    close(versus.p_by_problem, 0.625);
    let page = markdown(&found, &[]);
    assert!(page.contains("\n| by problem |  |  | 0.625 | 10 |  |\n"), "{page}");
}

#[test]
fn only_the_splits_asked_for_are_reported() {
    let mut runs = small();
    for run in &mut runs {
        run.rows.extend(rows("ood-chains", "greedy", 0, "x."));
    }
    assert_eq!(reported(&runs).splits.len(), 2);
    let only = Request { splits: vec!["ood-chains".to_owned()], ..request() };
    let splits = report(&runs, &only).unwrap().splits;
    assert_eq!((splits.len(), splits[0].split.as_str()), (1, "ood-chains"));
    // Seeds may differ in the splits that are left out.
    runs[8].rows.retain(|row| row.split == "ood-chains");
    report(&runs, &only).unwrap();
}

#[test]
fn a_folder_given_twice_is_refused_under_any_path() {
    let folder = tempfile::tempdir().unwrap();
    let dir = write(&folder.path().join("one"), &rows("test", "greedy", 0, "x."));
    let again = format!("{dir}/../one");
    let out = folder.path().join("out").display().to_string();
    let (first, second) = (format!("0:base={dir}"), format!("1:base={again}"));
    let refused = command(&["--run", &first, "--run", &second, "--out", &out]).unwrap_err();
    let says =
        format!("--run '1:base={again}': '0:base' is the same folder: give each evaluation once");
    assert_eq!((refused.to_string(), refused.exit()), (says, Exit::Usage));
    assert!(!Path::new(&out).exists(), "nothing is written");
}

#[test]
fn any_name_can_be_shown() {
    let run = of(0, "a<b & \"c|d\"", &[("greedy", "x.")]);
    let found = report(&[run], &Request::default()).unwrap();
    let plots = plots(&found);
    for plot in &plots {
        check_xml(&plot.svg);
    }
    assert!(plots[0].svg.contains("a&lt;b &amp; &quot;c|d&quot;"));
    assert!(markdown(&found, &plots).contains("\n### a&lt;b &amp; \"c\\|d\"\n"));
}

#[test]
fn names_that_are_none_are_refused() {
    let with = |request: Request| refusal(&small(), &request);
    let unknown = with(Request { pairs: vec![pair("round 2", "base")], ..request() });
    let says = "--pair 'round 2=base': no run is of `round 2`; there are base, control 1, round 1";
    assert_eq!(unknown, (says.to_owned(), Exit::Usage));
    let (message, _) = with(Request { curves: vec!["x".to_owned()], ..request() });
    assert!(message.starts_with("--curve 'x': no run is of `x`"), "{message}");
    let (message, exit) = with(Request { splits: vec!["train".to_owned()], ..request() });
    assert_eq!(message, "--split train: no run was measured on it; there are test");
    assert_eq!(exit, Exit::Usage);
    let (message, _) = with(Request { pairs: vec![pair("base", "base")], ..request() });
    assert_eq!(message, "--pair 'base=base' compares a model with itself: name another");
}

#[test]
fn a_seed_without_what_others_have_is_refused() {
    let mut runs = small();
    let last = runs.pop().unwrap();
    let lacks = "seed 2 has no run of `round 1`, seed 0 has one: give --run '2:round 1=DIR', or leave `round 1` out \
                 of every seed";
    assert_eq!(refusal(&runs, &request()), (lacks.to_owned(), Exit::Usage));
    let mut twice = small();
    twice.push(last.clone());
    let (message, _) = refusal(&twice, &request());
    assert_eq!(message, "seed 2 has two runs of `round 1`: name one of them otherwise");
    runs.push(ModelRun { rows: rows("ood-chains", "greedy", 0, "x"), ..last.clone() });
    let (message, exit) = refusal(&runs, &request());
    let start = "`round 1` of seed 2 was not measured on world test, that of seed 0 was: ";
    assert!(message.starts_with(start), "{message}");
    assert_eq!(exit, Exit::Data);
    runs.pop();
    runs.push(ModelRun { rows: rows("test", "greedy", 200, "xxx......."), ..last });
    let (message, _) = refusal(&runs, &request());
    let start = "`round 1` of seed 2 was not measured on world test with mcts-vote, that of seed 0";
    assert!(message.starts_with(start), "{message}");
    assert_eq!(
        refusal(&[], &Request::default()),
        ("there is no run to report".to_owned(), Exit::Usage)
    );
}

#[test]
fn what_cannot_be_paired_is_refused_by_model_and_seed() {
    let mut other = small();
    other[3].rows.clear();
    let (message, _) = refusal(&other, &request());
    assert_eq!(message, "`base, seed 1` has no measurements");
    let mut runs = small();
    for run in runs.iter_mut().filter(|run| run.model == "control 1") {
        for row in &mut run.rows {
            row.decoder = "sampling".into();
        }
    }
    let (message, exit) = refusal(&runs, &request());
    assert!(message.starts_with("--pair 'round 1=control 1': no split was measured"), "{message}");
    assert_eq!(exit, Exit::Data);
    let mut runs = small();
    for row in &mut runs[4].rows {
        row.target = "43".into();
    }
    let (message, _) = refusal(&runs, &request());
    assert!(message.contains("`43` in `control 1, seed 1` (greedy)"), "{message}");
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    report: ReportArgs,
}

fn command(words: &[&str]) -> Result<(), Failure> {
    run(Command::try_parse_from(["report"].iter().chain(words)).unwrap().report)
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    let mut files: Vec<_> = entries.map(read).collect();
    files.sort();
    files
}

#[test]
fn the_command_reads_datasets_and_writes_the_same_bytes_again() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = |run: ModelRun| {
        let dir = write(&folder.path().join(&run.seed).join(&run.model), &run.rows);
        format!("{}:{}={dir}", run.seed, run.model)
    };
    let runs: Vec<String> = small().into_iter().map(dataset).collect();
    let out = folder.path().join("new/results");
    let out_name = out.display().to_string();
    let mut words: Vec<&str> = runs.iter().flat_map(|run| ["--run", run]).collect();
    words.extend(["--pair", "round 1=control 1", "--out", &out_name]);
    command(&words).unwrap();
    let first = files(&out);
    let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    let expected =
        ["report.json", "report.md", "rounds.world.test.svg", "tokens.world.test.round_201.svg"];
    assert_eq!(names, expected);
    assert_eq!(first[1].1, include_bytes!("../golden/report.md"));
    let json = serde_json::to_string(&reported(&small())).unwrap() + "\n";
    assert_eq!(first[0].1, json.into_bytes());
    command(&[&words[..], &["--json"]].concat()).unwrap();
    assert_eq!(files(&out), first);
}

/// Two seeds, each with an evaluation, a critic's figures and an audit.
#[test]
fn critics_and_filters_have_a_row_for_each_seed_and_their_mean() {
    let folder = tempfile::tempdir().unwrap();
    let mut words = Vec::new();
    for (seed, head, right) in [(0, "orm", 60), (1, "value", 80)] {
        let run = folder.path().join(seed.to_string());
        let file = |path: &str, text: String| {
            dataset::write_file(&run.join(path), text.as_bytes()).unwrap();
        };
        let counts = r#""problems": 200, "kept": 50, "examples": 80"#;
        file("round-01/audit-test/audit.json", format!(r#"{{{counts}, "right": {right}}}"#));
        let figures = r#""count": 9, "base_rate": 0.5, "auc": 0.75, "ece": 0.1, "precision": 1.0, "recall": 0.0"#;
        file("round-00/critics/all/quality.json", format!(r#"{{"{head}": {{{figures}}}}}"#));
        let dir = write(&run.join("round-00/evaluation"), &rows("test", "greedy", 0, "x."));
        words.extend([
            format!("--run={seed}:base={dir}"),
            format!("--folder={seed}={}", run.display()),
        ]);
    }
    let out = folder.path().join("report");
    words.push(format!("--out={}", out.display()));
    command(&words.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    for row in [
        "| round-00/critics/all | orm | 0 | 9 | 0.500 | 0.750 | - | - | 0.100 | 1.000 | 0.000 |",
        "| round-00/critics/all | value | mean |  |  | 0.750 | - | - | 0.100 | 1.000 | 0.000 |",
        "| round-01/audit-test | 0 | 200 | 50 | 25.0 | 80 | 60 | 75.0 |",
        "| round-01/audit-test | mean |  |  | 25.0 |  |  | 87.5 |",
    ] {
        assert!(page.contains(row), "{row} is not in {page}");
    }
}

#[test]
fn a_run_is_a_seed_a_model_and_a_folder() {
    let run: SeedRun = "0:round 1=a:b=c".parse().unwrap();
    assert_eq!((run.seed.as_str(), run.model.label.as_str()), ("0", "round 1"));
    assert_eq!(run.model.dir, Path::new("a:b=c"));
    for bad in ["base=dir", "base=C:/x=y", ":a=b", "0:=b", "0:a=", "0:a"] {
        assert_eq!(bad.parse::<SeedRun>(), Err(format!("`{bad}` is not SEED:MODEL=DIR")));
    }
    for bad in ["a", "a=", "=b"] {
        assert_eq!(bad.parse::<Pair>(), Err(format!("`{bad}` is not MODEL=OTHER")));
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    let missing = command(&["--run", &format!("0:a={dir}"), "--out", &dir]).unwrap_err();
    assert_eq!(missing.exit(), Exit::Data);
    assert!(missing.to_string().contains(&dir), "{missing}");
}

/// Four samples generate fewer tokens than the search, eight as many. Of the 4 and 3 errors of eight samples, the vote
/// removes 2 and 1. That best-of-n is right most often must not matter to a vote.
#[test]
fn of_one_model_decoders_stand_below_each_other_and_searches_beside_their_rivals() {
    let of = |seed: usize, four: &str, eight: &str, vote: &str| {
        let decoders = [
            ("best-of-n@8", "xxxxx"),
            ("orm-vote@4", four),
            ("orm-vote@8", eight),
            ("mcts-greedy", "....."),
            ("mcts-vote", vote),
        ];
        let mut run = of(seed, "round 0", &decoders);
        let few = run.rows.iter_mut().filter(|row| row.decoder == "orm-vote@4");
        few.for_each(|row| row.tokens = Some(200));
        run
    };
    let runs = [of(0, "xxxxx", "x....", "xxx.."), of(1, "xxxxx", "xx...", "xx..x")];
    let found = report(&runs, &Request::default()).unwrap();
    let split = &found.splits[0];
    assert!(split.against_greedy.is_empty(), "there is none");
    let [search] = &split.against_rival[..] else { panic!("one search") };
    assert_eq!(
        (search.this.decoder.as_str(), search.other.decoder.as_str()),
        ("mcts-vote", "orm-vote@8")
    );
    close(search.gain.mean, 30.0);
    let lone = |all: &[Lone]| {
        let one = |it: &Lone| (it.side.decoder.clone(), it.lacking.reason);
        all.iter().map(one).collect::<Vec<_>>()
    };
    let leaf = ("mcts-greedy".to_owned(), Reason::Unmeasured);
    assert_eq!(lone(&split.without_rival), std::slice::from_ref(&leaf));
    assert!(split.against_twice.is_empty());
    assert_eq!(lone(&split.without_twice), [leaf, ("mcts-vote".to_owned(), Reason::Cheaper)]);
    let page = markdown(&found, &[]);
    for line in [
        "| decoder | seed 0 | seed 1 | mean | 95 % interval | problems | tokens | nodes |",
        "| orm-vote@4 | 100.0 | 100.0 | 100.0 | 100.0 to 100.0 | 5 | 200.0 | 20.4 |",
        "| round 0 | mcts-vote | orm-vote@8 | +30.0 | -97.1 to +157.1 | 0.250 | 10 | 41.7 |",
        "Without a rival with as many tokens: mcts-greedy (no best-leaf was measured).",
        "Without a rival with twice as many tokens: mcts-vote (every orm-vote generates fewer tokens).",
    ] {
        assert!(page.contains(&format!("\n{line}\n")), "{line} is missing from:\n{page}");
    }
}
