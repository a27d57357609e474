//! `synthesize drafts`: asks the models for drafts of new prompts, and for verdicts on them, in several processes.
//!
//! A prompt is kept or not in view of all others, which one process has to do. What takes time is to ask the models, and that can be
//! shared: each part stands for some of the prompts asked for, and is made as if there were no others. `synthesize prompts --drafts`
//! then asks the models only for what other prompts change.

use std::collections::BTreeMap;

use dataset::{Dataset, Recipe, chunk};
use schema::DraftRow;
use stage::{Failure, Metrics, Parts, Plan};

use crate::args::DraftsArgs;
use crate::author::{Answer, Author, Known, Verdict};
use crate::imagine::imagine_some;
use crate::prompts::Prepared;

/// The least number of prompts per part.
const LEAST: usize = 64;
/// The most parts. For each of them, all earlier questions are indexed anew.
const MOST_PARTS: usize = 256;

pub(crate) fn run(args: &DraftsArgs) -> Result<(), Failure> {
    let (common, out) = (&args.prompts.common, args.prompts.out.as_path());
    if args.sharing.told(&[out], common.json)? {
        return Ok(());
    }
    if args.prompts.drafts.is_some() {
        return Err(Failure::usage("--drafts is for `synthesize prompts`"));
    }
    let prepared = Prepared::new(&args.prompts, args.sharing)?;
    if !prepared.has_models() {
        let failure = Failure::usage("the preset has no model write or try questions");
        return Err(failure.hint("`synthesize prompts` makes them at once"));
    }
    let settings = prepared.settings();
    let inputs = prepared.inputs.clone();
    let plan = Plan { tool: "synthesize drafts", common, settings: &settings, inputs };
    let count = prepared.config.count;
    let items = chunk(count, count.div_ceil(MOST_PARTS).max(LEAST));
    let would = format_args!("draft {count} prompts in {} parts", items.len());
    let Some(work) = plan.unless_dry(would)? else { return Ok(()) };
    let work = work.shared(args.sharing);
    let work = work.unless_shared::<DraftRow>(out, items.len(), |output| {
        output.commit()?;
        Ok(())
    })?;
    let Some(work) = work else { return Ok(()) };
    let Some(output) = work.table(out, items.len())? else { return Ok(()) };
    let mut metrics = Metrics::shared(out, args.sharing)?;
    let parts = Parts { label: "drafts", items, sharing: args.sharing };
    let whole = prepared.imagining(common, Known::default(), |plan, material, avoid| {
        parts.make_missing(&output, &mut metrics, |part| {
            imagine_some(plan, part.items, material, avoid)?;
            let author = plan.author.as_ref();
            let known = author.map(Author::forget).unwrap_or_default();
            Ok((rows(&known, common.round), author.map(Author::spent)))
        })
    })?;
    if whole {
        output.commit()?;
    }
    Ok(())
}

fn rows(known: &Known, round: i32) -> Vec<DraftRow> {
    let row = |(seed, answer): (&u64, &Answer)| {
        let (verdict, difficulty) = match answer.verdict {
            None => (None, None),
            Some(Verdict::Easy) => (Some("easy"), None),
            Some(Verdict::Inconsistent) => (Some("inconsistent"), None),
            Some(Verdict::Fits(difficulty)) => (Some("fits"), difficulty),
        };
        DraftRow {
            draft_id: format!("{seed:016x}"),
            written: answer.written,
            text: answer.text.clone(),
            verdict: verdict.map(str::to_owned),
            difficulty: difficulty.map(|difficulty| difficulty as f32),
            round,
        }
    };
    known.0.iter().map(row).collect()
}

/// Reads drafts that were made by the same settings, from the same inputs, as the prompts of `recipe`.
///
/// # Errors
/// Exit 64 for drafts by another recipe, 65 for such that cannot be read.
pub(crate) fn read(drafts: &Dataset<DraftRow>, recipe: &Recipe) -> Result<Known, Failure> {
    let of = &drafts.manifest().recipe;
    let contents = |recipe: &Recipe| -> Vec<(String, String)> {
        recipe.inputs.iter().map(|input| (input.name.clone(), input.content.clone())).collect()
    };
    if (&of.config, of.seed, contents(of)) != (&recipe.config, recipe.seed, contents(recipe)) {
        let place = drafts.dir().display();
        return Err(Failure::usage(format!(
            "{place}: these drafts are by other settings or inputs"
        ))
        .hint("make them again by `synthesize drafts`, or leave --drafts out"));
    }
    let answer = |row: DraftRow| {
        let id = &row.draft_id;
        let seed = u64::from_str_radix(id, 16);
        let seed = seed.map_err(|e| Failure::data(format!("draft {id}: it is no seed: {e}")))?;
        let verdict = row.verdict.as_deref().map(|verdict| match verdict {
            "easy" => Verdict::Easy,
            "inconsistent" => Verdict::Inconsistent,
            _ => Verdict::Fits(row.difficulty.map(f64::from)),
        });
        Ok((seed, Answer { written: row.written, text: row.text, verdict }))
    };
    let all: Result<BTreeMap<u64, Answer>, Failure> =
        drafts.rows()?.into_iter().map(answer).collect();
    Ok(Known(all?))
}
