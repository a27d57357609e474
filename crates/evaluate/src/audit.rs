//! `evaluate audit`: measures how good a filter's choice is, on problems with known answers that nothing learns from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use dataset::Dataset;
use schema::{Prompt, SftExample};
use serde::{Deserialize, Serialize};
use stage::{Failure, ResultExt, print_json, print_table};

/// File name of an audit in a run's folder.
pub(crate) const FILE: &str = "audit.json";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The solutions that a filter kept for the problems.
    #[arg(long)]
    sft: PathBuf,
    /// The problems with their answers.
    #[arg(long)]
    problems: PathBuf,
    /// File for the counts, as JSON. `evaluate report` looks for files named `audit.json`.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

/// Counts of a filter's choice and of the right answers among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Problems that were searched.
    pub problems: usize,
    /// Problems with at least one kept solution.
    pub kept: usize,
    /// Kept solutions.
    pub examples: usize,
    /// Kept solutions with the right answer.
    pub right: usize,
}

impl Audit {
    /// The yield: problems with a kept solution, in percent; `None` without problems.
    pub fn share_kept(&self) -> Option<f64> {
        percent(self.kept, self.problems)
    }

    /// The precision: kept solutions that are right, in percent; `None` if nothing was kept.
    pub fn precision(&self) -> Option<f64> {
        percent(self.right, self.examples)
    }

    /// A warning if the counts say little about the filter.
    fn says_nothing(&self) -> Option<String> {
        let Self { problems, examples, right, .. } = *self;
        match () {
            () if examples == 0 => Some(format!(
                "nothing was kept of the solutions of {problems} problems: how much of what the filter keeps is right is not known"
            )),
            () if right == 0 => Some(format!("of {examples} kept solutions none is right")),
            () => None,
        }
    }

    /// Grades the kept solutions, part by part: there may be more of them than fit into memory.
    ///
    /// # Errors
    /// A solution of a problem that is missing or has no answer; a part that cannot be read.
    fn of(
        parts: impl Iterator<Item = Result<Vec<SftExample>, dataset::Error>>,
        problems: Vec<Prompt>,
    ) -> Result<Self, Failure> {
        // All problems, also those of which nothing was kept: the yield is a share of them.
        let mut audit = Self { problems: problems.len(), kept: 0, examples: 0, right: 0 };
        let answers = problems.into_iter().map(|one| (one.prompt_id, one.answer));
        let answers: BTreeMap<String, Option<String>> = answers.collect();
        let mut kept = BTreeSet::new();
        for part in parts {
            for example in part? {
                let (id, problem) = (&example.example_id, example.prompt_id.as_str());
                let known = answers.get_key_value(problem);
                let Some((problem, Some(answer))) = known else {
                    return Err(Failure::data(format!(
                        "problem {problem} of example {id} is not there or has no answer"
                    ))
                    .hint("give the labelled problems that were searched and filtered"));
                };
                let said = example.completion.iter().map(|message| message.content.as_str());
                let said = said.collect::<Vec<_>>().join("\n");
                audit.right += usize::from(answer::grade(&said, answer));
                audit.examples += 1;
                kept.insert(problem.as_str());
            }
        }
        Ok(Self { kept: kept.len(), ..audit })
    }
}

fn percent(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// Grades the kept solutions, writes the counts and prints them.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let examples = Dataset::<SftExample>::open(&args.sft)?;
    let problems = Dataset::<Prompt>::open(&args.problems)?.require_rows()?.rows()?;
    let parts = (0..examples.parts()).map(|part| examples.part_rows(part));
    let audit = Audit::of(parts, problems)?;
    let text = serde_json::to_string_pretty(&audit).or_bug("cannot write JSON")?;
    dataset::write_file(&args.out, format!("{text}\n").as_bytes())?;
    if let Some(nothing) = audit.says_nothing() {
        tracing::warn!("{nothing}");
    }
    if args.json {
        return print_json(&audit);
    }
    let shown = |share: Option<f64>| crate::format::one(share);
    let row = vec![
        audit.problems.to_string(),
        audit.kept.to_string(),
        shown(audit.share_kept()),
        audit.examples.to_string(),
        audit.right.to_string(),
        shown(audit.precision()),
    ];
    print_table(
        "what the filter kept",
        &["problems", "kept", "yield %", "examples", "right", "precision %"],
        &[row],
    )
}

#[cfg(test)]
mod tests {
    use schema::Message;

    use super::*;

    fn problem(id: &str, answer: Option<&str>) -> Prompt {
        let answer = answer.map(str::to_owned);
        Prompt { prompt_id: id.to_owned(), answer, ..Prompt::default() }
    }

    fn example(problem: &str, completion: &str) -> SftExample {
        SftExample {
            example_id: format!("e-{problem}"),
            prompt_id: problem.to_owned(),
            completion: vec![Message::assistant(completion)],
            ..SftExample::default()
        }
    }

    #[test]
    fn problems_count_once_and_examples_each() {
        let problems = [problem("a", Some("5")), problem("b", Some("6")), problem("c", Some("7"))];
        let kept =
            [example("a", "2 + 3 = 5\n#### 5"), example("a", "#### 6"), example("b", "#### 6.0")];
        let of = |parts: &[&[SftExample]]| {
            let parts = parts.iter().map(|part| Ok(part.to_vec()));
            Audit::of(parts, problems.to_vec()).unwrap()
        };
        let audit = of(&[&kept[..1], &kept[1..]]);
        assert_eq!(audit, Audit { problems: 3, kept: 2, examples: 3, right: 2 });
        let nothing = of(&[]);
        assert_eq!((nothing.share_kept(), nothing.precision()), (Some(0.0), None));
        assert_eq!(audit.says_nothing(), None);
        assert!(nothing.says_nothing().unwrap().contains("of the solutions of 3 problems"));
        let wrong = of(&[&[example("a", "#### 6")]]);
        assert_eq!(wrong.says_nothing().unwrap(), "of 1 kept solutions none is right");
    }

    #[test]
    fn an_example_of_no_known_problem_is_refused() {
        for problems in [problem("a", None), problem("b", Some("5"))] {
            let parts = std::iter::once(Ok(vec![example("a", "#### 5")]));
            let failure = Audit::of(parts, vec![problems]).unwrap_err();
            assert_eq!(failure.exit(), stage::Exit::Data);
            assert!(failure.to_string().contains("problem a of example e-a"), "{failure}");
        }
    }
}
