//! The whole loop, with `make` and the real binaries, on the smoke preset.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use alphallm::{bytes, make, run, stage, write_rows};
use dataset::{Dataset, Manifest};
use schema::{Critique, Evaluation, NodeRow, Prompt, SftExample, Trajectory};

/// Asserts that two runs are the same to the byte, naming the first file that differs.
fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (bytes(a), bytes(b));
    let names =
        |files: &std::collections::BTreeMap<_, _>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    // Manifests contain the paths of their inputs, which differ with the run's folder.
    for (path, content) in &a {
        if path.extension().is_some_and(|e| e == "json" || e == "md") {
            continue;
        }
        assert!(content == &b[path], "{} differs", path.display());
    }
}

/// The stages `make` would run, in order.
fn planned(run_dir: &Path, arguments: &[&str]) -> Vec<String> {
    let plan = run(make(run_dir, &[&["-n"], arguments].concat()));
    let lines = plan.lines().filter_map(|line| line.split("/release/").nth(1));
    let words = |line: &str| {
        let mut words = line.split(' ');
        let stage = words.next().unwrap_or_default().to_owned();
        match words.next() {
            Some(sub) if !sub.starts_with('-') => format!("{stage} {sub}"),
            _ => stage,
        }
    };
    let tells = |stage: &String| stage == "evaluate compare" || stage == "report";
    lines.map(words).filter(|stage| !tells(stage)).collect()
}

#[test]
fn a_round_is_the_same_to_the_byte_however_it_was_interrupted_and_with_any_number_of_workers() {
    let dir = tempfile::tempdir().unwrap();
    let (calm, killed) = (dir.path().join("calm"), dir.path().join("killed"));
    let table = run(make(&calm, &["round", "WORKERS=1"]));
    for word in ["base", "control", "round 1", "greedy", "mcts-vote", "ood-chains"] {
        assert!(table.contains(word), "{word} is missing from:\n{table}");
    }

    // kill -9 of make and of the stage under it, repeatedly, at moments that match no boundary between stages.
    // `setsid` puts make and its stages into one process group, so that the kill reaches all of them.
    let mut kills = 0;
    for wait in [300, 900, 1500, 2300, 1900, 3100, 4300, 5100, 6700, 9100] {
        let mut group = std::process::Command::new("setsid");
        let inner = make(&killed, &["round", "WORKERS=2"]);
        group.arg("make").args(inner.get_args()).current_dir(alphallm::root());
        group.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = group.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        run({
            let mut kill = std::process::Command::new("kill");
            kill.args(["-KILL", "--", &format!("-{}", child.id())]);
            kill
        });
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills >= 3, "the round was over before it could be killed");
    run(make(&killed, &["round", "ROUND=1", "WORKERS=2"]));
    assert_same(&calm, &killed);

    a_report_shows_it(&calm);
    shards_make_the_same(&calm, dir.path());
    nothing_is_left_to_do_until_a_preset_changes(&calm);
    no_synthesized_prompt_has_an_answer(&calm);
    every_evaluation_is_there(&calm);
    a_control_makes_as_many_updates(&calm);
    an_arm_shares_what_it_does_not_change(&calm);
    decoders_are_compared_at_equal_tokens(&calm);
    picks_are_compared_on_stored_trees(&calm);
    results_have_tables_and_plots(&calm);
    pairs_are_learned_from_where_an_arm_says_so(&calm);
    a_second_round_builds_on_the_first(&calm);
    rounds_start_and_learn_as_told(&dir.path().join("base"));
}

/// The page is there without a call of its own, and has what the round made.
fn a_report_shows_it(run_dir: &Path) {
    let page = std::fs::read_to_string(run_dir.join("report.html")).unwrap();
    for text in [
        "percentage points over",
        // It is in a tree, and only if the filter's settings were recognized as those that were used.
        "\"kept\":false,\"why\":\"its prompt has enough better ones\"",
        "Dropped: ",
        "critique-label",
        "What changed in the settings?",
    ] {
        assert!(page.contains(text), "{text} is missing");
    }
    let dataset = Dataset::<Trajectory>::open(&run_dir.join("round-01/trajectories")).unwrap();
    let prompts: BTreeSet<String> =
        dataset.rows().unwrap().into_iter().map(|one| one.prompt_id).collect();
    for prompt in prompts {
        assert!(page.contains(&format!("id=\"tree-{prompt}\"")), "no tree of {prompt}");
    }
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "it needs a network");
}

/// Several processes make the parts of each output.
fn shards_make_the_same(calm: &Path, place: &Path) {
    for shards in [1, 2, 4, 7] {
        let shared = place.join(format!("shards-{shards}"));
        let given = format!("SHARDS={shards}");
        run(make(&shared, &["round", "ENGINE=local", "JOBS=2", &given]));
        // What models were asked for the prompts, before one process chose them.
        std::fs::remove_dir_all(shared.join("round-01/drafts")).unwrap();
        assert_same(calm, &shared);
        let metrics = shared.join("round-01/trajectories/metrics.jsonl");
        assert!(!dataset::MetricsLog::read(&metrics).unwrap().is_empty(), "gathered");
    }
}

fn a_control_makes_as_many_updates(run_dir: &Path) {
    let updates = |model: &str| {
        let text = std::fs::read(run_dir.join(model).join("training.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["updates"].as_u64().unwrap()
    };
    assert_eq!(updates("round-01/control"), updates("round-01/policy"));
}

/// `make results` on an existing round: audits, decoders, and problems from another seed of the world.
fn results_have_tables_and_plots(run_dir: &Path) {
    let dir = tempfile::tempdir().unwrap();
    // `make results` finds runs by the name `<preset>-seed<n>`, so link this one under such a name.
    std::os::unix::fs::symlink(run_dir, dir.path().join("smoke-seed0")).unwrap();
    let (runs, results) = (format!("RUNS={}", dir.path().display()), dir.path().join("results"));
    let out = format!("RESULTS={}", results.display());
    let tables = "TABLES=compare fresh";
    run(make(run_dir, &["results", "SEEDS=0", "ARMS=", tables, &runs, &out]));
    let report = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(results.join(name)).unwrap()).unwrap()
    };
    let whole = report("report.json");
    for part in ["splits", "made", "brought", "critics", "kept", "costs"] {
        assert!(!whole[part].as_array().unwrap().is_empty(), "{part}");
    }
    assert_eq!(whole["models"], serde_json::json!(["base", "control 1", "round 1"]));
    assert!(run_dir.join("round-01/audit-test/quality/quality.json").exists());
    assert_eq!(report("fresh/report.json")["models"], whole["models"]);
    assert!(results.join("rounds.alphallm-world.test.svg").exists());
    assert!(results.join("compare/report.md").exists());
    let questions = |split: &str| -> BTreeSet<String> {
        let rows = Dataset::<Prompt>::open(&run_dir.join(split)).unwrap().rows().unwrap();
        rows.into_iter().map(|row| row.prompt).collect()
    };
    assert!(questions("fresh-world/test").is_disjoint(&questions("world/test")));
}

/// `make compare` on an existing run: every decoder has its row and its costs.
/// The trees are made once; they are of problems that nothing is tested on.
fn picks_are_compared_on_stored_trees(run_dir: &Path) {
    let table = run(make(run_dir, &["pick"]));
    assert!(table.contains("vote orm p^0.25") && table.contains("any right one"), "{table}");
    let folder = run_dir.join("round-01/audit-validation");
    let text = std::fs::read_to_string(folder.join("picks.json")).unwrap();
    let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
    let trees = Dataset::<Trajectory>::open(&folder.join("trajectories")).unwrap();
    let asked: BTreeSet<String> =
        trees.rows().unwrap().into_iter().map(|one| one.prompt_id).collect();
    assert_eq!(figures["problems"], asked.len());
    assert!(planned(run_dir, &["pick"]).iter().all(|stage| stage == "evaluate pick"));
}

fn decoders_are_compared_at_equal_tokens(run_dir: &Path) {
    let table = run(make(run_dir, &["compare"]));
    for decoder in
        ["greedy", "sampling", "best-of-n@4", "best-leaf@4", "beam", "dvts", "rebase", "mcts-vote"]
    {
        assert!(table.contains(decoder), "{decoder} is missing from:\n{table}");
    }
    for column in ["vs rival", "its tokens", "through models", "GFLOP", "judged"] {
        assert!(table.contains(column), "no column `{column}` in:\n{table}");
    }
    // The last of its rows has generated tokens, nodes, tokens through models, operations, judgements and milliseconds.
    let costs = |variant: &str| -> Vec<f64> {
        let decoder = format!(" mcts-vote{variant} ");
        let compared = |line: &&str| line.starts_with("round 0") && line.contains(&decoder);
        let cells: Vec<&str> = table.lines().rfind(compared).unwrap().split_whitespace().collect();
        cells[cells.len() - 6..].iter().map(|cell| cell.parse().unwrap()).collect()
    };
    for variant in ["", "@large", "@cosine", "@judge", "@in-flight", "@settled"] {
        let costs = costs(variant);
        assert!(costs.iter().all(|cost| *cost > 0.0), "{variant}: {costs:?}");
    }
    assert!(
        costs("@settled")[0] < costs("")[0],
        "a search whose answer is settled goes on:\n{table}"
    );
    for rival in ["best-of-n@", "best-leaf@", "orm-vote@"] {
        let paired = |line: &str| line.contains(" mcts-") && line.contains(rival);
        assert!(table.lines().any(paired), "no search is paired with {rival} in:\n{table}");
    }
}

fn nothing_is_left_to_do_until_a_preset_changes(run_dir: &Path) {
    assert_eq!(planned(run_dir, &[]), Vec::<String>::new());
    let filter = ["-W", "pipelines/smoke/filter.toml"];
    let expected = ["filter", "finetune policy", "finetune policy", "evaluate run", "evaluate run"];
    let mut stages = planned(run_dir, &filter);
    stages.sort_by_key(|stage| expected.iter().position(|e| e == stage));
    assert_eq!(stages, expected);
    let next = planned(run_dir, &["round"]);
    assert!(
        next.contains(&"synthesize prompts".to_owned()),
        "`make round` plans round 2: {next:?}"
    );
    let refused = make(run_dir, &["-n", "SEED=1"]).output().unwrap();
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(message.contains("was made with PRESET=smoke SEED=0: give another RUN"), "{message}");
}

fn an_arm_shares_what_it_does_not_change(run_dir: &Path) {
    let of_arm = |arm: &str| planned(run_dir, &["measured", arm]);
    assert_eq!(of_arm("ARM=by-q"), ["filter", "finetune policy", "evaluate run"]);
    let mut searched = of_arm("ARM=reranked");
    searched.sort();
    let expected = [
        "critique calibrate",
        "critique score",
        "critique score",
        "evaluate run",
        "filter",
        "finetune policy",
        "search",
        "search",
    ];
    assert_eq!(searched, expected, "with the calibration on held-out problems");
    let unknown = make(run_dir, &["-n", "measured", "ARM=rerankd"]).output().unwrap();
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("ARM=rerankd"));
    run(make(run_dir, &["measured", "ARM=reranked"]));
    assert_eq!(of_arm("ARM=reranked"), Vec::<String>::new());
    assert_eq!(planned(run_dir, &[]), Vec::<String>::new(), "the preset's round is as it was");
    let found = run_dir.join("reranked/round-01/trajectories");
    let rows = Dataset::<Trajectory>::open(&found).unwrap().rows().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.decoder == "sample"));
}

/// The arm uses the pairs of the preset's own round, since they depend on nothing that the arm changes.
fn pairs_are_learned_from_where_an_arm_says_so(run_dir: &Path) {
    let arm = ["measured", "ARM=preferred"];
    assert_eq!(planned(run_dir, &arm), ["finetune policy", "evaluate run"]);
    let plan = run(make(run_dir, &[&["-n"], &arm[..]].concat()));
    let pairs = format!("--preferences {}/round-01/preferences", run_dir.display());
    assert!(plan.contains(&pairs), "`{pairs}` is not in {plan}");
    run(make(run_dir, &arm));
    let inputs = Manifest::read(&run_dir.join("preferred/round-01/policy")).unwrap().recipe.inputs;
    assert!(inputs.iter().any(|input| input.name == "preferences-0"), "{inputs:?}");
}

/// Another `make round`: backward prompts from what the first round found, and a policy that learns from both rounds.
fn a_second_round_builds_on_the_first(run_dir: &Path) {
    let table = run(make(run_dir, &["round"]));
    assert!(table.contains("round 2"), "{table}");
    let kept = Dataset::<SftExample>::open(&run_dir.join("round-01/sft")).unwrap().rows().unwrap();
    let found: BTreeSet<String> = kept.into_iter().map(|example| example.prompt_id).collect();
    let made = Dataset::<Prompt>::open(&run_dir.join("round-02/prompts")).unwrap().rows().unwrap();
    let backward: Vec<&Prompt> = made.iter().filter(|prompt| prompt.expected.is_some()).collect();
    assert!(!backward.is_empty());
    for prompt in backward {
        assert_eq!(prompt.operator.as_deref(), Some("backward"));
        assert!(prompt.parent_ids.iter().all(|parent| found.contains(parent)), "{prompt:?}");
    }
    let inputs = Manifest::read(&run_dir.join("round-02/policy")).unwrap().recipe.inputs;
    let kept = |name: &str| inputs.iter().any(|input| input.name == name);
    assert!(kept("sft-0") && kept("sft-1"), "{inputs:?}");
}

fn rounds_start_and_learn_as_told(run_dir: &Path) {
    let planned = |choice: &str| {
        let plan = run(make(run_dir, &["-n", "measured", "ROUND=2", choice]));
        let plan = plan.replace("\\\n", "");
        let learns =
            |line: &&str| line.contains("finetune policy") && line.contains("round-02/policy ");
        plan.lines().find(learns).unwrap().to_owned()
    };
    let says = |choice: &str| {
        let line = planned(choice);
        ["--init data/base/policy ", "round-01/sft ", "round-02/sft "]
            .map(|words| line.contains(words))
    };
    assert_eq!(says("START=previous"), [false, true, true]);
    assert_eq!(says("START=base"), [true, true, true]);
    assert_eq!(says("KEPT=last"), [false, false, true]);
}

fn no_synthesized_prompt_has_an_answer(run_dir: &Path) {
    let prompts =
        Dataset::<Prompt>::open(&run_dir.join("round-01/prompts")).unwrap().rows().unwrap();
    assert!(!prompts.is_empty());
    assert!(prompts.iter().all(|p| p.answer.is_none() && p.solution.is_none()));
}

fn every_evaluation_is_there(run_dir: &Path) {
    for model in ["round-00/evaluation", "round-01/evaluation", "round-01/control-evaluation"] {
        let rows = Dataset::<Evaluation>::open(&run_dir.join(model)).unwrap().rows().unwrap();
        for split in ["test", "ood-templates", "ood-chains"] {
            for decoder in ["greedy", "mcts-greedy", "mcts-global", "mcts-rerank", "mcts-vote"] {
                let some = rows.iter().any(|r| r.split == split && r.decoder == decoder);
                assert!(some, "{model} has no {decoder} answer on {split}");
            }
        }
    }
}

/// Copies a dataset of prompts, with every answer and solution replaced.
fn with_answers(from: &Path, to: &Path, answer: Option<&str>) {
    let mut rows = Dataset::<Prompt>::open(from).unwrap().rows().unwrap();
    for row in &mut rows {
        row.answer = answer.map(str::to_owned);
        row.solution = answer.map(|a| format!("It is {a}.\n#### {a}"));
    }
    write_rows(to, &rows);
}

#[test]
fn no_stage_of_a_round_can_tell_what_the_answers_are() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    let make_world = |split: &str| {
        let mut command = stage("synthesize");
        command.args([
            "world",
            "--config",
            "pipelines/smoke/world.toml",
            "--split",
            split,
            "--out",
        ]);
        command.arg(world.join(split));
        run(command);
    };
    make_world("seeds");
    make_world("validation");
    make_world("test");
    let trees = |answer: Option<&str>| {
        let base = dir.path().join(answer.unwrap_or("none"));
        // Search and filter the test problems themselves: with wrong answers, and with none.
        with_answers(&world.join("seeds"), &base.join("seeds"), answer);
        with_answers(&world.join("test"), &base.join("test"), answer);
        imagine_search_and_filter(&base)
    };
    let blind = trees(None);
    assert!(!blind.1.is_empty());
    assert_eq!(trees(Some("7")), blind);
}

/// Imagines prompts from `seeds`, and searches and filters `test`.
fn imagine_search_and_filter(base: &Path) -> (Vec<Prompt>, Vec<Trajectory>, Vec<SftExample>) {
    // The critics always learn from the true seeds, whatever answers `base` has.
    let world = base.parent().unwrap().join("world");
    let world = world.display().to_string();
    let command = |line: &str| {
        let line = line.replace("{world}", &world).replace("{}", &base.display().to_string());
        let mut words = line.split_whitespace();
        let mut command = stage(words.next().unwrap());
        command.args(words.map(|word| word.replace("smoke/", "pipelines/smoke/")));
        command
    };
    let call = |line: &str| run(command(line));
    let models = "--text smoke/text.toml --policy data/base/policy";
    call(&format!(
        "synthesize prompts --config smoke/prompts.toml {models} --seeds {{}}/seeds --avoid {{}}/test --out {{}}/prompts"
    ));
    call(&format!(
        "critique label --config smoke/label.toml {models} --seeds {{world}}/seeds --held-out {{world}}/validation --allow-one-class --out {{}}/labels"
    ));
    call(
        "finetune critic --config smoke/critic-all.toml --text smoke/text.toml --init data/base/policy \
         --labels {}/labels --allow-one-class --out {}/critic",
    );
    let search = format!(
        "search --config smoke/search.toml {models} --tree smoke/tree.toml --fast-policy data/base/policy --critic {{}}/critic \
         --prompts {{}}/test --out-trajectories {{}}/trajectories --out-nodes {{}}/nodes"
    );
    // A search whose tokens are used up stops before its next part, and the same command resumes there.
    let stopped = command(&format!("{search} --stop-after-tokens 1")).output().unwrap();
    let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert_eq!(stopped.status.code(), Some(75), "{said}");
    assert!(said.contains("stopped before part 1 of 2"), "{said}");
    call(&search);
    samples_instead_of_trees(base, |line: &str| call(&line.replace("{models}", models)));
    call(&format!(
        "search --config smoke/search.toml {models} --tree smoke/tree.toml --fast-policy data/base/policy --critic {{}}/critic \
         --prompts {{world}}/validation --out-trajectories {{}}/held-out --out-nodes {{}}/held-out-nodes"
    ));
    call(
        "critique score --config smoke/critique.toml --text smoke/text.toml --critic {}/critic \
         --trajectories {}/held-out --out {}/held-out-critiques",
    );
    call(
        "critique calibrate --config smoke/confidence.toml --trajectories {}/held-out \
         --critiques {}/held-out-critiques --problems {world}/validation --allow-one-class --out {}/confidence",
    );
    call(
        "critique score --config smoke/critique.toml --text smoke/text.toml --critic {}/critic \
         --confidence {}/confidence --trajectories {}/trajectories --out {}/critiques",
    );
    read_again_says_the_same(base, call);
    call(
        "filter --config smoke/filter.toml --prompts {}/test --trajectories {}/trajectories --critiques {}/critiques \
         --out-sft {}/sft --out-preferences {}/preferences --out-steps {}/steps",
    );
    let open = |name: &str| base.join(name);
    (
        Dataset::open(&open("prompts")).unwrap().rows().unwrap(),
        Dataset::open(&open("trajectories")).unwrap().rows().unwrap(),
        Dataset::open(&open("sft")).unwrap().rows().unwrap(),
    )
}

/// A critique reuses the scores of a search with the same critics, and computes them anew for trajectories that name no
/// critics. Both agree up to rounding.
fn read_again_says_the_same(base: &Path, call: impl Fn(&str) -> String) {
    let mut rows: Vec<Trajectory> =
        Dataset::open(&base.join("trajectories")).unwrap().rows().unwrap();
    for row in &mut rows {
        row.critics = None;
    }
    write_rows(&base.join("anonymous"), &rows);
    let critiques = |of: &str| {
        let out = call(&format!(
            "critique score --json --force --config smoke/critique.toml --text smoke/text.toml --critic {{}}/critic \
             --confidence {{}}/confidence --trajectories {{}}/{of} --out {{}}/{of}-critiques"
        ));
        let totals: serde_json::Value = serde_json::from_str(&out).unwrap();
        let critiques = Dataset::<Critique>::open(&base.join(format!("{of}-critiques"))).unwrap();
        (totals["judged_before"].as_u64().unwrap(), critiques.rows().unwrap())
    };
    let ((some, taken), (none, read)) = (critiques("trajectories"), critiques("anonymous"));
    assert_eq!((some, none), (rows.len() as u64, 0));
    let scores = |critique: &Critique| {
        let lists = [critique.values.as_slice(), &critique.process_rewards];
        [lists.concat(), vec![critique.outcome_reward, critique.score]].concat()
    };
    for (taken, read) in taken.iter().zip(&read) {
        let (taken, read) = (scores(taken), scores(read));
        assert_eq!(taken.len(), read.len());
        let same = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
        assert!(taken.iter().zip(&read).all(same), "{taken:?} and {read:?}");
    }
}

/// Samples instead of trees on the same prompts: the same bytes for any number of workers, best first, and no nodes. With a
/// limit on tokens, the first samples are kept.
fn samples_instead_of_trees(base: &Path, call: impl Fn(&str) -> String) {
    let sample = |name: &str, more: &str| -> Vec<Trajectory> {
        call(&format!(
            "search --config smoke/search.toml {{models}} --tree smoke/tree.toml --fast-policy data/base/policy \
             --critic {{}}/critic --prompts {{}}/test --set samples.count=3 \
             --set samples.sampling.temperature.temperature=1.0 {more} \
             --out-trajectories {{}}/{name} --out-nodes {{}}/{name}-nodes"
        ));
        let nodes = Dataset::<NodeRow>::open(&base.join(format!("{name}-nodes"))).unwrap();
        let trajectories = Dataset::<Trajectory>::open(&base.join(name)).unwrap();
        assert_eq!((nodes.len(), nodes.parts()), (0, trajectories.parts()));
        trajectories.rows().unwrap()
    };
    let rows = sample("samples", "--workers 1");
    assert_eq!(sample("samples-again", "--workers 2"), rows);
    assert_same(&base.join("samples"), &base.join("samples-again"));
    assert_same(&base.join("samples-nodes"), &base.join("samples-again-nodes"));
    for rows in rows.chunk_by(|a, b| a.prompt_id == b.prompt_id) {
        assert_eq!(rows.iter().map(|row| row.rank).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(rows.is_sorted_by(|a, b| a.reward >= b.reward));
        for row in rows {
            assert_eq!((row.decoder.as_str(), row.leaf_id, row.q), ("sample", None, None));
            let options = || row.options.iter();
            assert_eq!(options().map(|o| o.text.as_str()).collect::<String>(), row.completion);
            assert!(options().all(|o| o.node_id.is_none() && o.visits == 0 && o.prm.is_some()));
        }
    }
    let few = sample("few-samples", "--set samples.tokens=1");
    assert!(!few.is_empty() && few.len() * 3 == rows.len(), "one of each prompt");
    assert!(few.iter().all(|one| rows.iter().any(|row| row.trajectory_id == one.trajectory_id)));
}
