//! Recovery of a dataset whose manifest was deleted. Its card still has the digest of the recipe and the hash of the
//! contents.

use std::path::Path;

use crate::entry::Entry;
use crate::layout::{DATA, RESERVED};
use crate::manifest::{Manifest, content};
use crate::state::Plan;
use crate::{Error, METRICS, atomic, card, part};

/// The contents of a directory without a manifest.
pub(crate) enum Lost {
    /// The complete dataset of the plan, unchanged, so its manifest can be written again.
    Whole(Box<Manifest>),
    /// A dataset of the same plan that has changed since.
    Same,
    /// A dataset of another plan, which consists of these files.
    Other(Vec<Entry>),
    /// Nothing of known origin.
    Nothing,
}

/// Returns the line of the card by which a dataset can be recognized without its manifest.
pub(crate) fn line(manifest: &Manifest) -> String {
    let (recipe, content) = (manifest.recipe.digest(&manifest.kind), &manifest.content);
    format!("\nRecipe `{recipe}`, content `{content}`.\n")
}

/// Compares the files in `dir` with the hashes in its card.
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

/// Parses the digest of the recipe and the hash of the contents from a line of the card.
fn told(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("Recipe `")?.strip_suffix("`.")?;
    rest.split_once("`, content `")
}

/// Whether a card without that line, as earlier versions wrote it, belongs to a dataset of this plan.
fn is_of(card: &str, plan: &Plan) -> bool {
    let recipe = &plan.recipe;
    let made = format!("- by `{}` ", recipe.tool);
    let with = format!("- with seed {} and configuration `{}`\n", recipe.seed, recipe.config);
    let from = |content: &str| card.contains(&format!("(`{content}`)\n"));
    card.contains(&made)
        && card.contains(&with)
        && recipe.inputs.iter().all(|input| from(&input.content))
}

/// Returns entries of all files of the dataset as they are now: the parts, then the others.
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
            // Neither the card nor the content hash has the number of rows, so it comes from the part itself.
            parts.push(Entry { path, rows: Some(part::rows(bytes)), bytes: size, blake3 });
        } else {
            let (bytes, blake3) = atomic::digest(item.path())?;
            files.push(Entry { path, rows: None, bytes, blake3 });
        }
    }
    // The walk goes folder by folder, but the manifest sorts whole paths, with `a-b` before `a/b`.
    files.sort_by(|a: &Entry, b: &Entry| a.path.cmp(&b.path));
    Ok((parts, files))
}
