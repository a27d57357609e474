//! The steps that all stages take before they make anything: what decides the output, a dry run, and whether the output
//! is up to date.

use std::fmt;
use std::path::Path;

use dataset::{Begin, FilesOutput, Input, Mode, Output, Recipe};
use schema::Table;
use serde::Serialize;

use crate::args::Common;
use crate::error::Failure;
use crate::metrics;
use crate::parts::InParts;
use crate::recipe::recipe;
use crate::sharing::Sharing;

/// Everything that decides the contents of an output.
#[derive(Debug)]
pub struct Plan<'a, S> {
    /// The stage and its command, for example `critique-label`.
    pub tool: &'static str,
    /// The common arguments. The seed and the round decide the contents.
    pub common: &'a Common,
    /// The settings that decide the contents.
    pub settings: &'a S,
    /// Everything that is read.
    pub inputs: Vec<Input>,
}

impl<S: Serialize> Plan<'_, S> {
    /// Makes the recipe of the output.
    pub fn recipe(self) -> Result<Recipe, Failure> {
        let digest = dataset::digest_of(self.settings)?;
        // One version for all crates of the workspace.
        let version = env!("CARGO_PKG_VERSION");
        Ok(recipe(self.tool, version, self.common, &digest, self.inputs))
    }

    /// Returns the work of this plan. On a dry run it is `None`, and the log says what would be done: `would`, for example
    /// `search 40 prompts`.
    pub fn unless_dry(self, would: fmt::Arguments<'_>) -> Result<Option<Work>, Failure> {
        let Common { dry_run, force, .. } = *self.common;
        let recipe = self.recipe()?;
        if dry_run {
            tracing::info!("would {would}");
            return Ok(None);
        }
        Ok(Some(Work { recipe, force, sharing: Sharing::default() }))
    }
}

/// The work of a run that is not a dry one. Nothing is locked, written or deleted before one of its outputs begins: what can
/// still be refused has to be checked until then.
#[derive(Debug)]
pub struct Work {
    recipe: Recipe,
    force: bool,
    sharing: Sharing,
}

impl Work {
    /// Returns the work, unless the folder of files in `dir` is up to date, which the log then says. What takes long to
    /// check has its place between this and [`Self::files`]: it is then not checked in vain, and nothing has begun if it is
    /// refused.
    pub fn unless_done(self, dir: &Path) -> Result<Option<Self>, Failure> {
        if FilesOutput::is_done(dir, self.recipe.clone(), self.force)? {
            tracing::info!("up to date");
            return Ok(None);
        }
        Ok(Some(self))
    }

    /// Returns the work as one that several processes may share.
    #[must_use]
    pub fn shared(self, sharing: Sharing) -> Self {
        Self { sharing, ..self }
    }

    /// Does what this process has to do if that is not to make parts: lays out a table of `parts` parts in `dir`, or completes
    /// it by `complete` once all its parts are there. Returns the work of a process that makes parts.
    ///
    /// # Errors
    /// Exit 75 if there is something to complete and parts are missing.
    pub fn unless_shared<T: Table>(
        self,
        dir: &Path,
        parts: usize,
        complete: impl FnOnce(Output<T>) -> Result<(), Failure>,
    ) -> Result<Option<Self>, Failure> {
        let begin = |recipe, mode| Output::begin(dir, recipe, parts, mode);
        self.unless_shared_with(dir, begin, complete)
    }

    /// Like [`Self::unless_shared`], for an output of any other kind whose metrics are in `dir`.
    ///
    /// # Errors
    /// As [`Self::unless_shared`].
    pub fn unless_shared_with<O: InParts, E: Into<Failure>>(
        self,
        dir: &Path,
        begin: impl FnOnce(Recipe, Mode) -> Result<Begin<O>, E>,
        complete: impl FnOnce(O) -> Result<(), Failure>,
    ) -> Result<Option<Self>, Failure> {
        if self.sharing.makes_parts() {
            return Ok(Some(self));
        }
        let merges = self.sharing.merges();
        let Some(output) = self.begin(dir, begin)? else { return Ok(None) };
        let missing = output.missing();
        if !merges {
            tracing::info!("laid out: {} parts to make", missing.len());
            return Ok(None);
        }
        if let Some(first) = missing.first() {
            let (place, count) = (dir.display(), missing.len());
            let message = format!("{place}: {count} parts are missing, the first is {first}");
            return Err(Failure::try_again(message).hint("--status says which shards make them"));
        }
        metrics::gather(dir)?;
        complete(output)?;
        tracing::info!("merged");
        Ok(None)
    }

    /// Begins or resumes a table of `parts` parts in `dir`. `None` if it is up to date, which the log then says.
    pub fn table<T: Table>(self, dir: &Path, parts: usize) -> Result<Option<Output<T>>, Failure> {
        self.begin(dir, |recipe, mode| Output::begin(dir, recipe, parts, mode))
    }

    /// Begins or resumes a folder of files in `dir`. `None` if it is up to date, which the log then says.
    pub fn files(self, dir: &Path) -> Result<Option<FilesOutput>, Failure> {
        let force = self.force;
        self.begin(dir, |recipe, _| FilesOutput::begin(dir, recipe, force))
    }

    /// Begins an output of any other kind, of which one folder is `dir`. `None` if it is up to date, which the log then says.
    pub fn begin<O, E: Into<Failure>>(
        self,
        dir: &Path,
        begin: impl FnOnce(Recipe, Mode) -> Result<Begin<O>, E>,
    ) -> Result<Option<O>, Failure> {
        let output = match begin(self.recipe, self.sharing.mode(self.force)).map_err(Into::into)? {
            Begin::Work(output) => output,
            Begin::UpToDate(_) => {
                tracing::info!("up to date");
                return Ok(None);
            }
        };
        // Shards take no lock.
        if !self.sharing.is_shard()
            && let Some(system) = dataset::locks_may_be_local(dir)
        {
            let place = dir.display();
            tracing::warn!(
                "{place}: {system} may keep locks to a machine: start no second writer on another one"
            );
        }
        Ok(Some(output))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::Exit;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        common: Common,
    }

    fn work(words: &[&str], settings: &str) -> Option<Work> {
        let words = ["x", "--config", "p.toml"].iter().chain(words);
        let common = &Args::try_parse_from(words).unwrap().common;
        let plan = Plan { tool: "test", common, settings: &settings, inputs: Vec::new() };
        plan.unless_dry(format_args!("write a file")).unwrap()
    }

    #[test]
    fn an_output_is_made_once_and_replaced_only_if_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let make = |words: &[&str], settings: &str| -> Result<bool, Failure> {
            let Some(output) = work(words, settings).unwrap().files(folder.path())? else {
                return Ok(false);
            };
            output.write("settings", settings.as_bytes())?;
            output.commit()?;
            Ok(true)
        };
        assert_eq!(make(&[], "a"), Ok(true));
        assert_eq!(make(&[], "a"), Ok(false));
        assert_eq!(make(&[], "b").unwrap_err().exit(), Exit::Usage);
        assert_eq!(make(&["--round", "1"], "a").unwrap_err().exit(), Exit::Usage);
        assert_eq!(make(&["--force"], "b"), Ok(true));
        assert_eq!(std::fs::read(folder.path().join("settings")).unwrap(), b"b");
    }

    #[test]
    fn until_an_output_begins_nothing_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let left =
            |words: &[&str], settings: &str| work(words, settings).unwrap().unless_done(&out);
        let begun = left(&[], "a").unwrap().unwrap();
        assert!(!out.exists(), "nothing has begun");
        let output = begun.files(&out).unwrap().unwrap();
        output.write("settings", b"a").unwrap();
        output.commit().unwrap();
        assert!(left(&[], "a").unwrap().is_none(), "up to date");
        assert_eq!(left(&[], "b").unwrap_err().exit(), Exit::Usage);
        assert!(left(&["--force"], "b").unwrap().is_some());
        dataset::Files::open(&out).unwrap();
    }

    #[test]
    fn a_dry_run_has_no_work() {
        assert!(work(&["--dry-run"], "a").is_none());
    }
}
