//! `synthesize import`: problems from a file, in the same table as those of the embedded world.
//!
//! A row that does not match the column names ends the import, with the file and the line: a dataset that was silently
//! repaired is no longer the one that people cite. Repeated questions are dropped after the first and counted in the
//! summary. If there are more than a few of them, the question columns are probably wrong, and the import ends
//! (`loss`). It also ends if a question is in another split (`overlap`).

mod loss;
mod overlap;
mod read;

use std::collections::BTreeMap;
use std::path::PathBuf;

use answer::{ColumnMap, Imported, same};
use dataset::{Dataset, Input};
use schema::Prompt;
use serde::{Deserialize, Serialize};
use stage::{Failure, Plan};

use crate::args::{Format, ImportArgs};
use crate::output::{self, Made, Tally, Target};
use crate::text::prompt_id;
use loss::Loss;

/// Preset of `synthesize import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportConfig {
    /// Name of the dataset, for the column `source`.
    pub source: String,
    /// Prompts per part; 0 puts all of them into one.
    pub chunk_rows: usize,
    /// The answer column holds a solution that ends in `#### 42` or contains `\boxed{42}`. Always true for `gsm8k`.
    #[serde(default)]
    pub marked: bool,
    /// Remove calculator annotations such as `<<12+5=17>>` from solutions. Always true for `gsm8k`.
    #[serde(default)]
    pub strip_annotations: bool,
    /// Leave solutions out, so that only the final answers of human annotation are used, as in the paper's Table 2.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers_only: bool,
}

pub(crate) fn run(args: &ImportArgs) -> Result<(), Failure> {
    let config: ImportConfig = args.common.preset()?.value;
    let map = columns(args, &config)?;
    let open = |dir: &PathBuf| Dataset::<Prompt>::open(dir);
    let others: Vec<Dataset<Prompt>> =
        args.apart_from.iter().map(open).collect::<Result<_, _>>()?;
    let mut inputs = vec![Input::file("input", &args.input)?];
    inputs.extend(others.iter().map(|other| other.input("apart-from")));
    let identity = (&config, &map, args.format, &args.split, args.without_answers);
    let plan =
        Plan { tool: "synthesize import", common: &args.common, settings: &identity, inputs };
    let recipe = plan.recipe()?;
    // All of this comes before the dataset is begun, because the number of rows decides the number of parts.
    let problems = read::problems(args, &map)?;
    overlap::check(&problems, &others, args)?;
    let made = prompts(problems, args, &config)?;
    let (common, out, rows) = (&args.common, args.out.as_path(), made.rows.len());
    output::write(Target { common, out, recipe, rows, chunk_rows: config.chunk_rows }, || Ok(made))
}

/// Maps the columns of the file.
fn columns(args: &ImportArgs, config: &ImportConfig) -> Result<ColumnMap, Failure> {
    let gsm8k = args.format == Format::Gsm8k;
    let (solution, id) = (args.solution_column.clone(), args.id_column.clone());
    if solution.is_some() && (gsm8k || config.marked) && !args.without_answers {
        let why = "answers are solutions already";
        return Err(Failure::usage(format!("--solution-column has no meaning here: {why}")));
    }
    if id.is_some() && args.format == Format::Parquet {
        return Err(Failure::usage("--id-column is for JSON lines, not for Parquet"));
    }
    let map = ColumnMap { id, ..ColumnMap::named(&args.question_column, &args.answer_column) };
    if map.question_columns().next().is_none() {
        return Err(Failure::usage("--question-column names no column"));
    }
    Ok(if args.without_answers {
        ColumnMap { unlabelled: true, ..map }
    } else {
        let marked = gsm8k || config.marked;
        let strip_annotations = gsm8k || config.strip_annotations;
        ColumnMap { solution, marked, strip_annotations, ..map }
    })
}

/// Turns problems into prompts, dropping repeated questions.
fn prompts(
    problems: Vec<Imported>,
    args: &ImportArgs,
    config: &ImportConfig,
) -> Result<Made<Prompt>, Failure> {
    let place = args.input.display();
    if problems.is_empty() {
        return Err(Failure::data(format!("{place}: there are no rows in it")));
    }
    refuse_repeated_ids(&problems, args)?;
    let mut loss = Loss::of(problems.len());
    let mut rows = BTreeMap::<String, Prompt>::new();
    for problem in problems {
        let id = prompt_id(&problem.question);
        if let Some(first) = rows.get(&id) {
            let differs = |answer: &str| !same(answer, &problem.answer);
            loss.dropped(problem.line, first.answer.as_deref().is_some_and(differs));
            continue;
        }
        loss.look_at(&problem);
        rows.insert(id, row(problem, args, config));
    }
    loss.check(args)?;
    let mut counts = loss.counts();
    counts.push(("kept", rows.len()));
    let tally = Tally { about: "source", name: config.source.clone(), counts };
    Ok(Made { rows: rows.into_values().collect(), tallies: vec![tally], spent: None })
}

/// Refuses identifiers that occur twice: the file was probably assembled incorrectly.
fn refuse_repeated_ids(problems: &[Imported], args: &ImportArgs) -> Result<(), Failure> {
    let mut lines = BTreeMap::new();
    for problem in problems {
        let (Some(id), line) = (&problem.id, problem.line) else { continue };
        if let Some(first) = lines.insert(id, line) {
            let place = args.input.display();
            let message = format!("{place}: line {line}: the id `{id}` is also in line {first}");
            return Err(Failure::data(message));
        }
    }
    Ok(())
}

fn row(problem: Imported, args: &ImportArgs, config: &ImportConfig) -> Prompt {
    let labelled = !args.without_answers;
    Prompt {
        prompt_id: prompt_id(&problem.question),
        prompt: problem.question,
        answer: labelled.then_some(problem.answer),
        solution: problem.solution.filter(|_| labelled && !config.answers_only),
        source: config.source.clone(),
        split: args.split.clone(),
        round: args.common.round,
        ..Prompt::default()
    }
}
