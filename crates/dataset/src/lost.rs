//! A dataset whose manifest was deleted. Its card still says what it was made by, and the hash of what it held.

use std::path::Path;

use crate::manifest::{Entry, Manifest, content};
use crate::state::Plan;
use crate::work::{DATA, RESERVED};
use crate::{Error, METRICS, atomic, card, part};

/// What is there without a manifest.
pub(crate) enum Lost {
    /// All that the plan makes: its manifest can be written again.
    Whole(Box<Manifest>),
    /// What the same plan made, and what became of it.
    Same,
    /// These files, which another plan made.
    Other(Vec<Entry>),
    /// Nothing that is known.
    Nothing,
}

/// The line of a card that lets its dataset be known without a manifest.
pub(crate) fn line(manifest: &Manifest) -> String {
    let (recipe, content) = (manifest.recipe.digest(&manifest.kind), &manifest.content);
    format!("\nRecipe `{recipe}`, content `{content}`.\n")
}

/// Compares what is in `dir` with what its card says.
pub(crate) fn find(dir: &Path, plan: &Plan) -> Result<Lost, Error> {
    let Some(bytes) = atomic::read(&dir.join(card::NAME))? else { return Ok(Lost::Nothing) };
    let card = String::from_utf8_lossy(&bytes);
    let told = card.lines().rev().find_map(told);
    let Some((recipe, was)) = told else {
        return Ok(if is_of(&card, plan) { Lost::Same } else { Lost::Nothing });
    };
    let same = recipe == plan.digest();
    let (parts, files) = entries(dir)?;
    if content(&plan.kind, &parts, &files) != was {
        return Ok(if same { Lost::Same } else { Lost::Nothing });
    }
    if !same {
        return Ok(Lost::Other(parts.into_iter().chain(files).collect()));
    }
    if parts.len() != plan.parts {
        return Ok(Lost::Same);
    }
    let manifest = Manifest::new(&plan.kind, parts, files, plan.recipe.clone());
    Ok(Lost::Whole(Box::new(manifest)))
}

/// The recipe and the content of a card's line.
fn told(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("Recipe `")?.strip_suffix("`.")?;
    rest.split_once("`, content `")
}

/// Whether a card without that line, as earlier versions wrote it, is of what the plan makes.
fn is_of(card: &str, plan: &Plan) -> bool {
    let recipe = &plan.recipe;
    let made = format!("- by `{}` ", recipe.tool);
    let with = format!("- with seed {} and configuration `{}`\n", recipe.seed, recipe.config);
    let from = |content: &str| card.contains(&format!("(`{content}`)\n"));
    card.contains(&made)
        && card.contains(&with)
        && recipe.inputs.iter().all(|input| from(&input.content))
}

/// All files of the dataset as they are now: the parts, and the others.
fn entries(dir: &Path) -> Result<(Vec<Entry>, Vec<Entry>), Error> {
    let (mut parts, mut files) = (Vec::new(), Vec::new());
    let walk = walkdir::WalkDir::new(dir).min_depth(1).sort_by_file_name();
    for item in walk {
        let item = item.map_err(|e| Error::io("list", dir)(e.into()))?;
        let path = item.path().strip_prefix(dir).unwrap_or(item.path());
        let path = path.to_string_lossy().into_owned();
        let first = path.split('/').next().unwrap_or_default();
        let is_part = first == DATA;
        let skipped = first.starts_with('.') || first == METRICS;
        if !item.file_type().is_file() || skipped || (!is_part && RESERVED.contains(&first)) {
            continue;
        }
        if is_part {
            let bytes = atomic::read(item.path())?.unwrap_or_default();
            let blake3 = blake3::hash(&bytes).to_hex().to_string();
            let size = bytes.len() as u64;
            parts.push(Entry { path, rows: Some(part::rows(bytes)), bytes: size, blake3 });
        } else {
            let (bytes, blake3) = atomic::digest(item.path())?;
            files.push(Entry { path, rows: None, bytes, blake3 });
        }
    }
    files.sort_by(|a: &Entry, b: &Entry| a.path.cmp(&b.path));
    Ok((parts, files))
}
