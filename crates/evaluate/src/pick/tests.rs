//! Picks of small trees, whose figures can be counted by hand.

use schema::{Check, Critique, NodeRow, Prompt, TextOption, Trajectory};

use super::figures::Figures;
use super::judges::Judge;
use super::program::Program;
use super::rules::Rule;
use super::solutions::Solutions;

/// A solution: the problem, the answer, its outcome reward, its log-probability, and its leaf.
type Made = (&'static str, &'static str, f32, f32, i32);

fn trajectory((problem, answer, _, logprob, leaf): Made, at: usize) -> Trajectory {
    let option = TextOption {
        text: format!("#### {answer}"),
        logprob: Some(logprob),
        tokens: 4,
        ..TextOption::default()
    };
    Trajectory {
        trajectory_id: format!("t{at}"),
        prompt_id: problem.to_owned(),
        prompt: "How many?".to_owned(),
        completion: format!("It is {at}.\n#### {answer}"),
        answer: Some(answer.to_owned()),
        options: vec![option],
        rank: i32::try_from(at).unwrap(),
        tokens: 4,
        logprob: Some(logprob),
        leaf_id: Some(leaf),
        decoder: "rollout".to_owned(),
        finished: true,
        ..Trajectory::default()
    }
}

fn critique(made: Made, at: usize) -> Critique {
    let check = Check { computed: Some("1".into()), ok: at.is_multiple_of(2), ..Check::default() };
    Critique {
        trajectory_id: format!("t{at}"),
        prompt_id: made.0.to_owned(),
        outcome_reward: made.2,
        values: vec![0.5, made.2],
        process_rewards: vec![0.9, 0.2],
        checks: vec![check],
        ..Critique::default()
    }
}

fn problem(id: &str, answer: Option<&str>) -> Prompt {
    Prompt { prompt_id: id.to_owned(), answer: answer.map(str::to_owned), ..Prompt::default() }
}

/// A tree whose nodes have options of these lengths.
fn tree(id: &str, tokens: &[i32]) -> Vec<NodeRow> {
    let node = |(at, tokens): (usize, &i32)| NodeRow {
        prompt_id: id.to_owned(),
        node_id: i32::try_from(at).unwrap(),
        tokens: *tokens,
        ..NodeRow::default()
    };
    tokens.iter().enumerate().map(node).collect()
}

/// In `a` the best judged solution is wrong and the vote is right. In `b` it is the other way round, unless the vote also weighs by
/// the probability. In `c` nothing is right.
const MADE: [Made; 7] = [
    ("a", "1", 0.5, -1.0, 1),
    ("a", "1", 0.5, -1.0, 2),
    ("a", "9", 0.8, -1.0, 3),
    ("b", "2", 0.7, -0.1, 1),
    ("b", "8", 0.4, -9.0, 1),
    ("b", "8", 0.4, -9.0, 2),
    ("c", "7", 0.9, -1.0, 1),
];

fn read(problems: &[Prompt], nodes: Option<&[NodeRow]>) -> Result<Solutions, stage::Failure> {
    // Tables come part by part, in any order.
    let trajectories = (0..MADE.len()).rev().map(|at| trajectory(MADE[at], at));
    let critiques = (0..MADE.len()).map(|at| critique(MADE[at], at));
    Solutions::of(trajectories.collect(), critiques.collect(), problems, nodes)
}

fn problems() -> [Prompt; 3] {
    [problem("a", Some("1")), problem("b", Some("2")), problem("c", Some("3"))]
}

fn figures(nodes: Option<&[NodeRow]>) -> serde_json::Value {
    let solutions = read(&problems(), nodes).unwrap();
    let judges = Judge::of_tables(&solutions);
    let rules = Rule::all(&judges, 0.25);
    let figures = Figures::of(&solutions, &judges, &rules, "vote orm").unwrap();
    serde_json::to_value(figures).unwrap()
}

fn of_rule<'a>(figures: &'a serde_json::Value, rule: &str) -> &'a serde_json::Value {
    let rules = figures["rules"].as_array().unwrap();
    rules.iter().find(|one| one["rule"] == rule).unwrap()
}

#[test]
fn a_rule_is_measured_by_what_it_finds_of_what_is_there() {
    let figures = figures(None);
    assert_eq!((&figures["problems"], &figures["covered"]), (&3.into(), &2.into()));
    let right = |rule| of_rule(&figures, rule)["right"].as_u64().unwrap();
    assert_eq!(right("best orm"), 1, "that of b");
    assert_eq!(right("vote"), 1, "that of a");
    assert_eq!(right("vote orm"), 1, "that of a: in b 0.8 outweighs 0.7");
    assert_eq!(right("vote orm p^0.25"), 2);
    assert_eq!(right("best likelihood"), 2, "the first of a wins the tie");
    assert_eq!(of_rule(&figures, "vote orm p^0.25")["of_covered"], 100.0);
    let pairs = &of_rule(&figures, "best orm")["paired"]["pairs"];
    assert_eq!(
        (&pairs["first"], &pairs["second"], &pairs["neither"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert!(of_rule(&figures, "vote orm")["paired"].is_null());
    let orm = &figures["judges"]["orm"];
    assert_eq!(orm["count"], 7);
    assert_eq!(orm["within_prompt"], 0.5, "two pairs of a are ranked wrongly, two of b rightly");
    assert!(figures["judges"].get("confidence").is_none(), "no critique has one");
}

#[test]
fn picks_of_a_smaller_tree_know_no_later_solutions() {
    // The right ones of `a` are there after 10 and 20 tokens, the wrong one after 40; the right one of `b` after 30.
    let nodes = [tree("a", &[0, 10, 10, 20]), tree("b", &[0, 30, 10]), tree("c", &[0, 5])].concat();
    let figures = figures(Some(&nodes));
    let at = |rule: &str, figure: &str| -> Vec<u64> {
        let budgets = of_rule(&figures, rule)["by_budget"].as_array().unwrap();
        budgets.iter().map(|budget| budget[figure].as_u64().unwrap()).collect()
    };
    assert_eq!(at("best orm", "tokens"), [10, 20, 30, 40]);
    assert_eq!(at("best orm", "right"), [1, 1, 2, 1], "at last the wrong one of a is judged best");
    assert_eq!(at("best orm", "covered"), [1, 1, 2, 2]);
}

#[test]
fn what_cannot_be_graded_is_refused() {
    let said = |problems: &[Prompt]| read(problems, None).unwrap_err().to_string();
    assert!(said(&[problem("a", Some("1"))]).contains("problem b of trajectory"));
    assert!(said(&[problem("a", None)]).contains("problem a of trajectory"));
    let lost = Solutions::of(vec![trajectory(MADE[0], 0)], Vec::new(), &problems(), None);
    assert!(lost.unwrap_err().to_string().contains("trajectory t0 has no critique"));
    let solutions = read(&problems(), None).unwrap();
    let judges = Judge::of_tables(&solutions);
    let rules = Rule::all(&judges, 0.0);
    let unknown = Figures::of(&solutions, &judges, &rules, "best guess").unwrap_err();
    assert!(unknown.to_string().contains("the rules are best orm, best value"), "{unknown}");
}

#[test]
fn a_program_is_a_judge() {
    let solutions = read(&problems(), None).unwrap();
    let judged = |command: &str| {
        let program: Program = format!("mine={command}").parse().unwrap();
        program.judge(&solutions, &[])
    };
    // Scores are by id, in whatever order they come.
    let by_id = r#"sed -E 's/.*"id":"t([0-9])".*/{"id":"t\1","score":-\1.5}/' | sort"#;
    let scores = judged(by_id).unwrap();
    let ids = solutions.all.iter().map(|one| one.trajectory.trajectory_id.clone());
    for (id, score) in ids.zip(scores) {
        assert_eq!(format!("t{score}"), format!("{}.5", id.replace('t', "t-")));
    }
    for (command, problem) in [
        ("cat", "line 1 of its output"),
        ("echo x; exit 3", "line 1 of its output"),
        ("exit 3", "ended with exit status: 3"),
        ("head -n 1 > /dev/null; exit 0", "7 of 7 solutions have no score"),
        ("echo '{\"id\":\"x\",\"score\":1}'", "there is no solution x"),
        ("echo '{\"id\":\"t1\",\"score\":1}'; echo '{\"id\":\"t1\",\"score\":1}'", "line 2"),
        ("echo '{\"id\":\"t1\",\"score\":null}'", "line 1 of its output"),
    ] {
        let said = judged(command).unwrap_err().to_string();
        assert!(said.contains("--critic mine") && said.contains(problem), "{command}: {said}");
    }
    for bad in ["mine", "=cat", "my judge=cat", "mine= "] {
        assert!(bad.parse::<Program>().is_err(), "{bad}");
    }
}

#[test]
fn a_judge_below_zero_is_no_weight() {
    let solutions = read(&problems(), None).unwrap();
    let judges = [Judge { name: "mine".to_owned(), scores: vec![-1.0; solutions.all.len()] }];
    let names: Vec<String> = Rule::all(&judges, 0.5).iter().map(Rule::name).collect();
    assert_eq!(names, ["best mine", "vote", "vote p^0.5"]);
}
