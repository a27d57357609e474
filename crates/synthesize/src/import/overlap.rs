//! Questions that are also in another split: test questions must not be learned.

use std::collections::BTreeMap;

use answer::Imported;
use dataset::Dataset;
use schema::{Prompt, Question};
use stage::Failure;

use super::loss::shortened;
use crate::args::ImportArgs;
use crate::text::gist;

/// Number of questions that a message names.
const NAMED: usize = 3;

/// Refuses problems whose question is also in one of the other datasets, ignoring case, spacing and punctuation. With
/// `--allow-overlap` it only warns.
pub(super) fn check(
    problems: &[Imported],
    others: &[Dataset<Prompt>],
    args: &ImportArgs,
) -> Result<(), Failure> {
    for other in others {
        let questions = other.view::<Question>()?;
        // Not by id: a comma or a full-width digit changes it, and a test question would be learned.
        let known: BTreeMap<String, &Question> =
            questions.iter().map(|question| (gist(&question.prompt), question)).collect();
        let mut shared = Vec::new();
        for problem in problems {
            if let Some(question) = known.get(&gist(&problem.question)) {
                shared.push((problem, *question));
            }
        }
        if shared.is_empty() {
            continue;
        }
        let said = format!("{}: {}", args.input.display(), said(&shared, problems.len(), other));
        if !args.allow_overlap {
            let remedy =
                "take them out of one of the files, or give --allow-overlap where that is meant";
            return Err(Failure::data(said).hint(remedy));
        }
        tracing::warn!("{said}");
    }
    Ok(())
}

fn said(shared: &[(&Imported, &Question)], all: usize, other: &Dataset<Prompt>) -> String {
    let one = |(problem, question): &(&Imported, &Question)| {
        let (line, id) = (problem.line, &question.prompt_id);
        format!("line {line}: {} (prompt {id} there)", shortened(&problem.question))
    };
    let first: Vec<String> = shared.iter().take(NAMED).map(one).collect();
    let more = if shared.len() > NAMED { "; ..." } else { "" };
    let (count, first) = (shared.len(), first.join("; "));
    format!("overlap with {}: {count} of {all} questions; {first}{more}", source(other))
}

/// The file that a dataset was imported from, and the dataset's folder.
fn source(other: &Dataset<Prompt>) -> String {
    let dir = other.dir().display();
    let inputs = &other.manifest().recipe.inputs;
    match inputs.iter().find(|input| input.name == "input") {
        Some(file) => format!("{} ({dir})", file.path),
        None => dir.to_string(),
    }
}
