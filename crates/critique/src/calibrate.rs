//! `critique calibrate`: fits P(correct) to outcome reward and agreement after a search, on searched problems with known
//! answers that no model has learned from.
//!
//! If the critiques already have a confidence, nothing is fitted; that confidence is evaluated instead.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use critic::confidence::{Confidence, Evidence, FILE};
use critic::quality::{self, Judged, Quality, measure};
use critic::{Classes, CriticConfig};
use dataset::Dataset;
use schema::{Critique, Prompt, Trajectory};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Plan, Preset};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// Trajectories that a search found for the problems.
    #[arg(long)]
    trajectories: PathBuf,
    /// The critiques that `critique score` wrote for them.
    #[arg(long)]
    critiques: PathBuf,
    /// The problems, with their answers. Neither the policy nor the critics may have learned from them.
    #[arg(long)]
    problems: PathBuf,
    /// Output folder for the calibration.
    #[arg(long)]
    out: PathBuf,
    /// Fit even if all solutions are right, or none is. The confidence then says the same of every solution.
    #[arg(long)]
    allow_one_class: bool,
}

/// The preset's `confidence.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Folds for the figures: each group of problems is judged by a fit on the others; at least 2.
    folds: usize,
    /// The ridge penalty: weight of half the sum of squared parameters; above 0.
    ridge: f64,
}

/// A solution that can be right, because it has an end and an answer.
struct GradedSolution<'a> {
    problem: &'a str,
    options: Vec<String>,
    evidence: Evidence,
    /// The confidence in its critique, if there is one.
    given: Option<f32>,
    right: bool,
}

/// The names of the measured scores.
const CONFIDENCE: &str = "confidence";
const OUTCOME: &str = "outcome";
const AGREEMENT: &str = "agreement";

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let preset: Preset<Config> = args.common.preset()?;
    let config = &preset.value;
    config.validate()?;
    let trajectories = Dataset::<Trajectory>::open(&args.trajectories)?.require_rows()?;
    let critiques = Dataset::<Critique>::open(&args.critiques)?;
    let problems = Dataset::<Prompt>::open(&args.problems)?.require_rows()?;
    let plan = Plan {
        tool: "critique-calibrate",
        common: &args.common,
        settings: config,
        inputs: vec![
            trajectories.input("trajectories"),
            critiques.input("critiques"),
            problems.input("problems"),
        ],
    };
    let (trajectories, critiques, problems) =
        (trajectories.rows()?, critiques.rows()?, problems.rows()?);
    let solved = solved(&trajectories, &critiques, &problems)?;
    let would = format_args!("fit the confidence to {} solutions", solved.len());
    let Some(work) = plan.unless_dry(would)? else { return Ok(()) };
    let Some(work) = work.unless_done(&args.out)? else { return Ok(()) };
    let given = given(&solved);
    let judged: Vec<(Evidence, bool)> = solved.iter().map(|s| (s.evidence, s.right)).collect();
    let pretty = |value: serde_json::Result<Vec<u8>>| value.map_err(Failure::bug);
    // One class spoils a fit. A confidence that is only measured stays what it is, so then it is a warning.
    both_classes(&solved, given.is_some() || args.allow_one_class)?;
    // Begun only now: solutions of one class leave no begun folder and, with --force, cost no old calibration.
    let Some(output) = work.files(&args.out)? else { return Ok(()) };
    if given.is_none() {
        let confidence = Confidence::fit(&judged, config.ridge);
        output.write(FILE, &pretty(serde_json::to_vec_pretty(&confidence))?)?;
    }
    let chances = given.unwrap_or_else(|| cross_fitted(&solved, &judged, config));
    let figures = figures(&solved, &chances);
    output.write(quality::FILE, &pretty(serde_json::to_vec_pretty(&figures))?)?;
    output.commit()?;
    if args.common.json {
        return stage::print_json(&figures);
    }
    let rows: Vec<Vec<String>> = figures.iter().map(|(name, q)| q.cells(name)).collect();
    stage::print_table("solutions of the search, on held-out problems", &quality::COLUMNS, &rows)
}

/// Warns if the solutions are all right, or all wrong, or nearly so: a fit to those gives every solution the same
/// confidence, and the figures mean nothing. All of one class is an error unless `allowed`.
fn both_classes(solved: &[GradedSolution<'_>], allowed: bool) -> Result<(), Failure> {
    const SOLUTIONS: &str = "solutions that the search found";
    let classes: Classes = solved.iter().map(|one| one.right).collect();
    if let Some(rare) = classes.rare(SOLUTIONS) {
        tracing::warn!("{rare}: the figures, and a confidence, rest on few of them");
    }
    let Some(alike) = classes.alike(SOLUTIONS) else { return Ok(()) };
    let message = format!("{alike}: a confidence that is fitted to them says one thing of all");
    if allowed {
        tracing::warn!("{message}");
        return Ok(());
    }
    Err(Failure::data(message).hint(
        "search more problems, or with a policy and critics that are right more (or less) often; --allow-one-class \
         (ONE_CLASS=1 of make) goes on all the same",
    ))
}

/// The solutions that can be right, one for each distinct text of a problem.
fn solved<'a>(
    trajectories: &'a [Trajectory],
    critiques: &[Critique],
    problems: &[Prompt],
) -> Result<Vec<GradedSolution<'a>>, Failure> {
    let critiques: BTreeMap<&str, &Critique> =
        critiques.iter().map(|one| (one.trajectory_id.as_str(), one)).collect();
    let answers: BTreeMap<&str, Option<&str>> =
        problems.iter().map(|one| (one.prompt_id.as_str(), one.answer.as_deref())).collect();
    let (mut seen, mut solved) = (BTreeSet::new(), Vec::new());
    for row in trajectories {
        let (id, problem) = (&row.trajectory_id, row.prompt_id.as_str());
        let Some(critique) = critiques.get(id.as_str()) else {
            return Err(Failure::data(format!("trajectory {id} has no critique"))
                .hint("run `critique score` on these trajectories"));
        };
        let Some(answer) = answers.get(problem).copied().flatten() else {
            return Err(Failure::data(format!(
                "problem {problem} of trajectory {id} is not there or has no answer"
            ))
            .hint("give the labelled problems that were searched"));
        };
        let evidence = super::score::evidence(row, critique.outcome_reward, critique.agreement);
        let Some(evidence) = evidence else { continue };
        // `search` writes a text twice if both the tree and a rollout have it.
        if seen.insert((problem, row.completion.as_str())) {
            let right = answer::grade(&row.completion, answer);
            let options = row.options.iter().map(|option| option.text.clone()).collect();
            let given = critique.confidence;
            solved.push(GradedSolution { problem, options, evidence, given, right });
        }
    }
    Ok(solved)
}

/// The confidences in the critiques; `None` unless every solution has one.
fn given(solved: &[GradedSolution<'_>]) -> Option<Vec<f64>> {
    let given: Option<Vec<f64>> = solved.iter().map(|one| one.given.map(f64::from)).collect();
    // An empty list collects to `Some` too, and would be taken for one that has all its confidences.
    given.filter(|chances| !chances.is_empty())
}

/// The confidence in each solution, from a fit that has not seen its problem.
fn cross_fitted(
    solved: &[GradedSolution<'_>],
    judged: &[(Evidence, bool)],
    config: &Config,
) -> Vec<f64> {
    // Folds are by problem, so that solutions of one problem are never on both sides of a split.
    let fold =
        |one: &GradedSolution<'_>| (dataset::place_of(one.problem) * config.folds as f64) as usize;
    let folds: Vec<usize> = solved.iter().map(fold).collect();
    Confidence::cross_fitted(judged, &folds, config.ridge)
}

/// Measures how well the confidence is calibrated, and for comparison the two scores it is made of.
fn figures(solved: &[GradedSolution<'_>], chances: &[f64]) -> BTreeMap<&'static str, Quality> {
    // How the critics were told the calculator's findings is not known here, so assume the plain form: a mark for every
    // option and one for the whole solution.
    let marks = CriticConfig::plain();
    let measured = |score: &dyn Fn(usize) -> f64| {
        let each = solved.iter().enumerate().map(|(i, one)| Judged {
            group: one.problem,
            shown: marks.shown(&one.options).pop().unwrap_or_default(),
            score: score(i) as f32,
            right: one.right,
        });
        measure(&each.collect::<Vec<_>>())
    };
    BTreeMap::from([
        (CONFIDENCE, measured(&|i| chances[i])),
        (OUTCOME, measured(&|i| solved[i].evidence.outcome)),
        (AGREEMENT, measured(&|i| solved[i].evidence.agreement)),
    ])
}

impl Config {
    fn validate(&self) -> Result<(), Failure> {
        if self.folds < 2 {
            return Err(Failure::config("folds: it must be at least 2"));
        }
        if !(self.ridge.is_finite() && self.ridge > 0.0) {
            return Err(Failure::config("ridge: it must be above 0"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trajectory(problem: &str, id: &str, completion: &str, finished: bool) -> Trajectory {
        Trajectory {
            trajectory_id: id.to_owned(),
            prompt_id: problem.to_owned(),
            completion: completion.to_owned(),
            answer: answer::final_answer(completion),
            finished,
            ..Trajectory::default()
        }
    }

    fn critique(id: &str) -> Critique {
        Critique {
            trajectory_id: id.to_owned(),
            outcome_reward: 0.5,
            agreement: Some(1.0),
            ..Critique::default()
        }
    }

    fn problem(id: &str, answer: Option<&str>) -> Prompt {
        let answer = answer.map(str::to_owned);
        Prompt { prompt_id: id.to_owned(), answer, ..Prompt::default() }
    }

    #[test]
    fn what_can_be_right_counts_once() {
        let trajectories = [
            trajectory("p", "right", "#### 5.0", true),
            trajectory("p", "again", "#### 5.0", true),
            trajectory("p", "wrong", "#### 6", true),
            trajectory("p", "cut", "#### 5", false),
            trajectory("p", "mute", "Well.", true),
        ];
        let critiques = ["right", "again", "wrong", "cut", "mute"].map(critique);
        let found = solved(&trajectories, &critiques, &[problem("p", Some("5"))]).unwrap();
        let right: Vec<bool> = found.iter().map(|one| one.right).collect();
        assert_eq!(right, [true, false]);
    }

    #[test]
    fn a_confidence_that_is_there_is_the_one_that_is_judged() {
        let trajectories =
            [trajectory("p", "right", "#### 5", true), trajectory("q", "wrong", "#### 6", true)];
        let problems = ["p", "q"].map(|id| problem(id, Some("5")));
        let auc = |confidences: [Option<f32>; 2]| {
            let mut critiques = ["right", "wrong"].map(critique);
            for (one, confidence) in critiques.iter_mut().zip(confidences) {
                one.confidence = confidence;
            }
            let solved = solved(&trajectories, &critiques, &problems).unwrap();
            given(&solved).and_then(|chances| figures(&solved, &chances)[CONFIDENCE].auc)
        };
        assert_eq!(auc([Some(0.9), Some(0.1)]), Some(1.0));
        assert_eq!(auc([Some(0.1), Some(0.9)]), Some(0.0));
        assert_eq!(auc([Some(0.9), None]), None);
        assert_eq!(given(&[]), None);
    }

    #[test]
    fn one_class_is_no_ground_for_a_confidence() {
        let trajectories =
            [trajectory("p", "a", "#### 5", true), trajectory("q", "b", "#### 6", true)];
        let critiques = ["a", "b"].map(critique);
        let refused = |answers: [&str; 2]| {
            let problems = [problem("p", Some(answers[0])), problem("q", Some(answers[1]))];
            let solved = solved(&trajectories, &critiques, &problems).unwrap();
            both_classes(&solved, true).unwrap();
            both_classes(&solved, false).err().map(|failure| failure.to_string())
        };
        assert_eq!(refused(["5", "7"]), None);
        let says = |said: &str| {
            format!("{said}: a confidence that is fitted to them says one thing of all")
        };
        let none = says("0 of 2 solutions that the search found are right");
        assert_eq!(refused(["7", "7"]), Some(none));
        let all = says("all of 2 solutions that the search found are right");
        assert_eq!(refused(["5", "6"]), Some(all));
        let nothing = both_classes(&[], false).unwrap_err().to_string();
        assert_eq!(nothing, says("there are no solutions that the search found"));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_its_id() {
        let trajectories = [trajectory("p", "a", "#### 5", true)];
        let refused = |critiques: &[Critique], problems: &[Prompt]| {
            let failure = solved(&trajectories, critiques, problems).err().unwrap();
            assert_eq!(failure.exit(), stage::Exit::Data);
            failure.to_string()
        };
        assert!(refused(&[], &[problem("p", Some("5"))]).contains("trajectory a has no critique"));
        for problems in [problem("p", None), problem("q", Some("5"))] {
            assert!(refused(&[critique("a")], &[problems]).contains("problem p of trajectory a"));
        }
    }

    #[test]
    fn every_preset_is_read_and_in_range() {
        let values: Vec<Config> = stage::shipped(|name| name == "confidence.toml").unwrap();
        assert!(values.len() >= 2, "{} files", values.len());
        for value in values {
            value.validate().unwrap();
        }
    }
}
