//! Several processes that make one output: its parts are laid out, made by shards, and merged.
//!
//! A part is what it is in any case, so the output has the same bytes for any number of shards. A scheduler needs to know
//! nothing of the stages: it runs one command with four endings.

use std::env;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ArgGroup;
use dataset::{METRICS, Mode, Standing};
use serde::Serialize;

use crate::args::{Device, Inference};
use crate::error::{Failure, ResultExt};
use crate::table;

/// The arguments of a stage whose parts several processes may make. Use as `#[command(flatten)] sharing: stage::Sharing`.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[group(skip)]
#[command(group = ArgGroup::new("ending").multiple(false))]
pub struct Sharing {
    /// Lay the output out for --shard, and make no part of it yet.
    #[arg(long, group = "ending")]
    plan: bool,

    /// Make only the parts of shard I of N, counted from 0, while other processes make the others. With N alone, I is the index
    /// of this task in a job array of Slurm (`SLURM_ARRAY_TASK_ID`) or an indexed job of Kubernetes (`JOB_COMPLETION_INDEX`).
    #[arg(long, value_name = "I/N", group = "ending")]
    shard: Option<Shard>,

    /// Print which of N shards have parts to make, as Slurm's --array takes it, such as 3,7,12-15; an empty line if none has.
    #[arg(long, value_name = "N", group = "ending")]
    status: Option<NonZeroUsize>,

    /// Check the parts that all shards made, and complete the output.
    #[arg(long, group = "ending")]
    merge: bool,

    /// Write the parts of a shard to this folder of the machine's own disk first, then copy them to the output.
    #[arg(long, value_name = "DIR", requires = "shard", value_parser = folder)]
    scratch: Option<&'static Path>,
}

/// A folder that is there. The arguments of a process live as long as it does.
fn folder(text: &str) -> Result<&'static Path, String> {
    if !Path::new(text).is_dir() {
        return Err("there is no such folder".to_owned());
    }
    Ok(Box::leak(PathBuf::from(text).into_boxed_path()))
}

/// One of several processes that share an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    of: NonZeroUsize,
}

/// The variables with the index of a task among those that were started together.
// Not less SLURM_ARRAY_TASK_MIN: when only the shards 3 and 7 are submitted again, that is 3.
const TASKS: [&str; 2] = ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"];

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (index, of) = match text.split_once('/') {
            Some((index, of)) => (index.to_owned(), of),
            None => (task().ok_or_else(|| refused(text, "there is no index of a task"))?, text),
        };
        let (Ok(index), Ok(of)) = (index.parse(), of.parse::<NonZeroUsize>()) else {
            return Err(refused(text, "these are no numbers"));
        };
        if index >= of.get() {
            return Err(refused(
                text,
                &format!("the shards are 0 to {}, not {index}", of.get() - 1),
            ));
        }
        Ok(Self { index, of })
    }
}

fn task() -> Option<String> {
    TASKS.iter().find_map(|name| env::var(name).ok())
}

fn refused(text: &str, problem: &str) -> String {
    let tasks = TASKS.join(" or ");
    format!("`{text}`: {problem}; say I/N, or N in a job array, which has {tasks}")
}

/// The summary of `--status`.
#[derive(Serialize)]
struct Status {
    parts: usize,
    missing_parts: usize,
    shards: usize,
    missing_shards: String,
}

impl Sharing {
    /// Whether this process makes parts: models are needed for nothing else.
    pub fn makes_parts(&self) -> bool {
        !self.plan && !self.merge
    }

    /// Whether this process completes what others made.
    pub(crate) fn merges(&self) -> bool {
        self.merge
    }

    /// Whether this process makes some of the parts, and leaves it to another to complete the output.
    pub fn is_shard(&self) -> bool {
        self.shard.is_some()
    }

    /// Whether this process makes part `index`.
    pub(crate) fn makes(&self, index: usize) -> bool {
        self.shard.is_none_or(|shard| index % shard.of.get() == shard.index)
    }

    /// How the output is begun. The plan replaces what may be replaced; a merge must not, since parts would be lost.
    pub(crate) fn mode(&self, force: bool) -> Mode {
        match self {
            Self { shard: Some(_), scratch, .. } => Mode::Shard { scratch: *scratch },
            Self { merge: true, .. } => Mode::Alone,
            _ => Mode::only(force),
        }
    }

    /// Returns where models run. Where none does, no device is opened: a plan and a merge work on a login node without a card.
    #[must_use]
    pub fn inference(&self, given: &Inference) -> Inference {
        let mut inference = given.clone();
        if !self.makes_parts() {
            inference.compute.device = Device::Cpu;
        }
        inference
    }

    /// Prints the status of an output of several tables with the same parts, if that is asked for. Returns whether it was.
    ///
    /// # Errors
    /// Exit 75 if a table was not begun.
    pub fn told(&self, dirs: &[&Path], json: bool) -> Result<bool, Failure> {
        let Some(shards) = self.status else { return Ok(false) };
        let mut all = Standing { parts: 0, missing: Vec::new() };
        for dir in dirs {
            let standing = Standing::of(dir)?.ok_or_else(|| {
                let failure = Failure::try_again(format!("{}: nothing was begun", dir.display()));
                failure.hint("run the same command with --plan first")
            })?;
            all.parts = standing.parts;
            all.missing.extend(standing.missing);
        }
        all.missing.sort_unstable();
        all.missing.dedup();
        let (parts, missing_parts) = (all.parts, all.missing.len());
        let missing_shards = all.missing_shards(shards.get());
        if json {
            let shards = shards.get();
            table::print_json(&Status { parts, missing_parts, shards, missing_shards })?;
        } else {
            table::print_text(&format!("{missing_shards}\n"), false)?;
        }
        Ok(true)
    }

    /// Returns the file of this process's metrics for the dataset in `dir`. Shards have files of their own: two machines that
    /// append to one file of a network file system may lose lines.
    pub(crate) fn metrics(&self, dir: &Path) -> PathBuf {
        match self.shard {
            Some(Shard { index, of }) => shards_metrics(dir).join(format!("{index}-of-{of}.jsonl")),
            None => dir.join(METRICS),
        }
    }
}

/// Returns the folder of the metrics of shards, which are gathered when the dataset is completed.
pub(crate) fn shards_metrics(dir: &Path) -> PathBuf {
    dataset::scratch_of(dir).join("metrics")
}

/// A signal that asks a shard to end between two parts: USR1, which Slurm can send before a time limit, or TERM. A second one ends it
/// at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Asked {
    /// Listens to the signals from now on.
    #[cfg(unix)]
    pub(crate) fn listen() -> Result<Self, Failure> {
        use signal_hook::consts::{SIGTERM, SIGUSR1};
        const TERMINATED: i32 = 143;
        let asked = Self::default();
        for signal in [SIGUSR1, SIGTERM] {
            // Before the flag is set by the signal itself: only a second one finds it set.
            signal_hook::flag::register_conditional_shutdown(signal, TERMINATED, asked.0.clone())
                .or_bug("listening to a signal")?;
            signal_hook::flag::register(signal, asked.0.clone()).or_bug("listening to a signal")?;
        }
        Ok(asked)
    }

    /// There are no signals.
    #[cfg(not(unix))]
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self::default())
    }

    pub(crate) fn to_end(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Args {
        #[command(flatten)]
        sharing: Sharing,
    }

    fn parse(words: &[&str]) -> Result<Sharing, String> {
        let args = Args::try_parse_from([&["x"], words].concat());
        args.map(|args| args.sharing).map_err(|e| e.to_string())
    }

    #[test]
    fn shards_share_all_parts_and_no_part_twice() {
        for of in [1, 2, 4, 7] {
            let shards: Vec<Sharing> = (0..of)
                .map(|index| parse(&["--shard", &format!("{index}/{of}")]).unwrap())
                .collect();
            for part in 0..9 {
                assert_eq!(shards.iter().filter(|shard| shard.makes(part)).count(), 1);
            }
        }
        assert!((0..9).all(|part| Sharing::default().makes(part)), "one process makes all");
    }

    #[test]
    fn impossible_shards_are_refused() {
        for text in ["4/4", "0/0", "a/4", "1/", "0"] {
            let refusal = parse(&["--shard", text]).unwrap_err();
            assert!(refusal.contains(&format!("`{text}`")), "{refusal}");
        }
    }

    #[test]
    fn a_process_does_one_thing() {
        assert!(parse(&["--plan", "--merge"]).is_err());
        assert!(parse(&["--shard", "0/2", "--merge"]).is_err());
        assert!(parse(&["--status", "2", "--plan"]).is_err());
        assert!(parse(&["--scratch", "/"]).is_err(), "without a shard");
        assert!(
            parse(&["--shard", "0/2", "--scratch", "/nowhere"]).unwrap_err().contains("no such")
        );
    }

    #[test]
    fn only_a_plan_replaces() {
        let mode = |words: &[&str]| parse(words).unwrap().mode(true);
        assert_eq!(mode(&[]), Mode::Replace);
        assert_eq!(mode(&["--plan"]), Mode::Replace);
        assert_eq!(mode(&["--shard", "0/2"]), Mode::Shard { scratch: None });
        let scratch = Some(Path::new("/"));
        assert_eq!(mode(&["--shard", "0/2", "--scratch", "/"]), Mode::Shard { scratch });
        assert_eq!(mode(&["--merge"]), Mode::Alone);
    }
}
