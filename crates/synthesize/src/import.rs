//! `synthesize import`: problems from a file, under the same table as those of the embedded world.
//!
//! A row that is not what the column names promise ends the import, with the file and the line: a data set that was
//! repaired silently is another one than the one that is cited. Only repetitions of a question are dropped, the first
//! one stays, and the summary counts them.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;

use dataset::{Input, read_foreign_parquet};
use schema::Prompt;
use serde::{Deserialize, Serialize};
use stage::Failure;
use task::{ColumnMap, Fields, ImportError, Imported, Rows, same};

use crate::args::{Format, ImportArgs};
use crate::output::{self, Job, Made, Tally};
use crate::text::prompt_id;

/// Preset of `synthesize import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportConfig {
    /// What the problems are called; the column `source`.
    pub source: String,
    /// Prompts a part; 0 puts all of them into one.
    pub chunk_rows: usize,
    /// The answer column holds a solution that ends in `#### 42`, or has `\boxed{42}` in it. Always so for `gsm8k`.
    #[serde(default)]
    pub marked: bool,
    /// Take calculator annotations such as `<<12+5=17>>` out of solutions. Always so for `gsm8k`.
    #[serde(default)]
    pub strip_annotations: bool,
    /// Leave solutions out: of what people wrote only the final answers are used, as in the paper's Table 2.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers_only: bool,
}

pub(crate) fn run(args: &ImportArgs) -> Result<(), Failure> {
    let config: ImportConfig = args.common.preset()?.value;
    let map = columns(args, &config)?;
    let inputs = vec![Input::file("input", &args.input)?];
    let identity = (&config, &map, args.format, &args.split, args.without_answers);
    let recipe = output::recipe(&args.common, "synthesize import", &identity, inputs)?;
    let made = prompts(read(args, map)?, args, &config)?;
    let (common, out, rows) = (&args.common, args.out.as_path(), made.rows.len());
    output::write(Job { common, out, recipe, rows, chunk_rows: config.chunk_rows }, || Ok(made))
}

/// Which column holds what.
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
    let map = ColumnMap::named(&args.question_column, &args.answer_column);
    Ok(if args.without_answers {
        // A row has to have an answer: the question is its own, and is dropped again.
        ColumnMap { id, ..ColumnMap::named(&map.question, &map.question) }
    } else {
        let marked = gsm8k || config.marked;
        let strip_annotations = gsm8k || config.strip_annotations;
        ColumnMap { solution, id, marked, strip_annotations, ..map }
    })
}

fn read(args: &ImportArgs, map: ColumnMap) -> Result<Vec<Imported>, Failure> {
    let path = args.input.as_path();
    let place = path.display();
    if args.format == Format::Parquet {
        return read_parquet(path, &map);
    }
    let rows = Rows::new(BufReader::new(dataset::open_file(path)?), map);
    let refused = |error: ImportError| {
        // The message begins with the line.
        let message = format!("{place}: {error}");
        let io = matches!(error, ImportError::Io { .. });
        if io { Failure::io(message) } else { Failure::data(message) }
    };
    rows.map(|row| row.map_err(&refused)).collect()
}

fn read_parquet(path: &Path, map: &ColumnMap) -> Result<Vec<Imported>, Failure> {
    let place = path.display();
    let answer = (map.answer != map.question).then_some(map.answer.as_str());
    let rows = read_foreign_parquet(path, &map.question, answer, map.solution.as_deref())?;
    let row = |(index, (question, given, solution)): (usize, dataset::ForeignRow)| {
        // A null answer reads as an empty one, which is refused with its place.
        let answer = if answer.is_some() { given.unwrap_or_default() } else { question.clone() };
        let solution = solution.as_deref();
        let fields = Fields { question: &question, answer: &answer, solution, id: None };
        let imported = map.row(index as u64 + 1, fields);
        imported.map_err(|error| Failure::data(format!("{place}: {error}")))
    };
    rows.into_iter().enumerate().map(row).collect()
}

/// The distinct problems as prompts.
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
    let (read, mut conflicting) = (problems.len(), 0);
    let mut rows = BTreeMap::<String, Prompt>::new();
    for problem in problems {
        let id = prompt_id(&problem.question);
        if let Some(first) = rows.get(&id) {
            let answer = first.answer.as_deref();
            conflicting += usize::from(answer.is_some_and(|answer| !same(answer, &problem.answer)));
            continue;
        }
        rows.insert(id, row(problem, args, config));
    }
    if conflicting > 0 {
        tracing::warn!(
            "{place}: {conflicting} repeated questions have another answer than the first time"
        );
    }
    let (duplicate, kept) = (read - rows.len(), rows.len());
    let counts = vec![
        ("rows", read),
        ("duplicate", duplicate),
        ("conflicting", conflicting),
        ("kept", kept),
    ];
    let tally = Tally { about: "source", name: config.source.clone(), counts };
    Ok(Made { rows: rows.into_values().collect(), tallies: vec![tally], spent: None })
}

/// A row that is there twice under one identifier is more likely a file that was put together wrongly.
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
