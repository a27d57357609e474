//! The steps that all stages take before they make anything: what decides the output, a dry run, and whether the output
//! is up to date.

use std::fmt;
use std::path::Path;

use dataset::{Begin, FilesOutput, Input, Output, Recipe};
use schema::Table;
use serde::Serialize;

use crate::args::Common;
use crate::error::Failure;
use crate::recipe::recipe;

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
        Ok(Some(Work { recipe, force }))
    }
}

/// The work of a run that is not a dry one. Nothing is locked, written or deleted before one of its outputs begins: what can
/// still be refused has to be checked until then.
#[derive(Debug)]
pub struct Work {
    recipe: Recipe,
    force: bool,
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

    /// Begins or resumes a table of `parts` parts in `dir`. `None` if it is up to date, which the log then says.
    pub fn table<T: Table>(self, dir: &Path, parts: usize) -> Result<Option<Output<T>>, Failure> {
        self.begin(|recipe, force| Output::begin(dir, recipe, parts, force))
    }

    /// Begins or resumes a folder of files in `dir`. `None` if it is up to date, which the log then says.
    pub fn files(self, dir: &Path) -> Result<Option<FilesOutput>, Failure> {
        self.begin(|recipe, force| FilesOutput::begin(dir, recipe, force))
    }

    /// Begins an output of any other kind with the recipe, and whether it may replace an output of another recipe. `None` if
    /// it is up to date, which the log then says.
    pub fn begin<O, E: Into<Failure>>(
        self,
        begin: impl FnOnce(Recipe, bool) -> Result<Begin<O>, E>,
    ) -> Result<Option<O>, Failure> {
        match begin(self.recipe, self.force).map_err(Into::into)? {
            Begin::Work(output) => Ok(Some(output)),
            Begin::UpToDate(_) => {
                tracing::info!("up to date");
                Ok(None)
            }
        }
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
