//! The command-line arguments that all stages have in common.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytesize::ByteSize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;
use crate::preset::{self, Overlay, Preset};
use crate::table;

/// The arguments that all stages have in common. Use as `#[command(flatten)] common: stage::Common`.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Preset of this stage (TOML).
    #[arg(long, value_name = "PATH")]
    pub config: PathBuf,

    /// Override one value of `--config`, e.g. `--set chunk_prompts=64`, or of another file of settings by the name of its
    /// argument, e.g. `--set tree.mcts.alpha=1`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Seed of the run; every random choice derives from it.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Round of the outer loop that the output belongs to; 0 is the bootstrap.
    // `i32` like the column `round` of every table: not all readers of Parquet know unsigned integers.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..))]
    pub round: i32,

    /// Replace an output that was made from other inputs, another preset or another seed.
    #[arg(long)]
    pub force: bool,

    /// Print the resolved settings, where each comes from, and what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Common {
    /// Loads the settings of a stage that takes only `--config`. See [`Files`].
    pub fn preset<T: Serialize + DeserializeOwned>(&self) -> Result<Preset<T>, Failure> {
        self.files([]).config()
    }

    /// Returns the settings files of a stage: `--config`, and others by the names of their options (`text` for `--text`).
    pub fn files<'a>(
        &'a self,
        others: impl IntoIterator<Item = (&'static str, &'a Path)>,
    ) -> Files<'a> {
        Files { common: self, others: others.into_iter().collect() }
    }
}

/// The settings files of a stage. `--set tree.mcts.alpha=1` goes to the file of `--tree` if the stage takes one; a key without
/// such a first word goes to `--config`. A dry run prints the settings as they are loaded.
#[derive(Debug)]
pub struct Files<'a> {
    common: &'a Common,
    others: Vec<(&'static str, &'a Path)>,
}

impl Files<'_> {
    /// Loads `--config`. See [`preset::load`].
    pub fn config<T: Serialize + DeserializeOwned>(&self) -> Result<Preset<T>, Failure> {
        self.load(CONFIG, &self.common.config)
    }

    /// Loads the file of another argument, one of those that this was made with. See [`preset::load`].
    pub fn other<T: Serialize + DeserializeOwned>(
        &self,
        argument: &'static str,
    ) -> Result<Preset<T>, Failure> {
        let file = self.others.iter().find(|(other, _)| *other == argument);
        let (_, path) =
            file.ok_or_else(|| Failure::bug(format!("--{argument} is no file here")))?;
        self.load(argument, path)
    }

    fn load<T: Serialize + DeserializeOwned>(
        &self,
        argument: &'static str,
        path: &Path,
    ) -> Result<Preset<T>, Failure> {
        let mut overlay = Overlay::read(path)?;
        for assignment in &self.common.set {
            let word = assignment.split_once('.').map(|(word, _)| word.trim_start());
            let other = self.others.iter().find(|(other, _)| word == Some(*other));
            match other {
                None if argument == CONFIG => overlay.set(assignment, 0)?,
                Some((other, _)) if *other == argument => {
                    overlay.set(assignment, assignment.find('.').map_or(0, |dot| dot + 1))?;
                }
                // It goes to another file, which takes it when it is loaded.
                _ => {}
            }
        }
        let preset = Preset::new(overlay)?;
        if self.common.dry_run {
            let text = preset::show(argument, &preset)?;
            table::print_text(&text, self.common.json)?;
        }
        Ok(preset)
    }
}

/// The option whose file gets a `--set` that names no other file.
const CONFIG: &str = "config";

/// Where models of this process run, for the stages that have any. Use as `#[command(flatten)] compute: stage::Compute`.
#[derive(Debug, Clone, clap::Args)]
pub struct Compute {
    /// Device that models run on: `cpu`, or with a build for it `cuda`, `rocm`, `vulkan`, `metal` or `wgpu`; `cuda:N` is one of
    /// several cards, `cuda:N,M` are several.
    #[arg(long, default_value_t = Device::Cpu)]
    pub device: Device,

    /// Number of threads; never changes a result [default: all cores].
    #[arg(long, value_name = "N", default_value_t = cores(), hide_default_value = true)]
    pub workers: NonZeroUsize,
}

/// Where models run that may also be behind a server. Flattened like [`Compute`], in its place.
#[derive(Debug, Clone, clap::Args)]
pub struct Inference {
    /// Where the models of this process run.
    #[command(flatten)]
    pub compute: Compute,

    /// Most requests in flight at once to each server of a policy.
    #[arg(long, value_name = "N", default_value = "32")]
    pub requests: NonZeroUsize,
}

/// The limit of the stages that search trees. Flattened beside [`Inference`].
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct CacheLimit {
    /// Approximate limit on the KV cache of a search, e.g. 512MiB or 8GiB; a search that needs more keeps fewer trees in
    /// flight and recomputes prefixes; never changes a result on the CPU [default: no limit].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub kv_memory: Option<ByteSize>,
}

impl CacheLimit {
    /// Returns the limit on the KV cache of a search, in bytes; `None` for no limit.
    pub fn kv_bytes(&self) -> Option<u64> {
        self.kv_memory.map(|size| size.as_u64())
    }
}

/// Parses a size with its unit. A limit of nothing would leave no tree in flight.
fn size(text: &str) -> Result<ByteSize, String> {
    match text.parse()? {
        ByteSize(0) => Err("it has to be above 0".to_owned()),
        size => Ok(size),
    }
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The device that models run on. It is chosen at run time, so the same binary works for both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The CPU.
    Cpu,
    /// Graphics cards.
    Gpus {
        /// Name of burn's backend, such as `cuda`.
        backend: &'static str,
        /// Indices of the cards: at least one, no duplicates.
        cards: Vec<usize>,
    },
}

/// The names of burn's backends for graphics cards.
const BACKENDS: [&str; 5] = ["cuda", "rocm", "vulkan", "metal", "wgpu"];

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Gpus { backend, cards } => {
                let cards: Vec<String> = cards.iter().map(ToString::to_string).collect();
                write!(f, "{backend}:{}", cards.join(","))
            }
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "cpu" {
            return Ok(Self::Cpu);
        }
        let refuse = || {
            let backends = BACKENDS.join(", ");
            format!(
                "`{text}` is not a device: say cpu, or one of {backends}, alone or as cuda:N or cuda:N,M"
            )
        };
        let (name, cards) = text.split_once(':').unwrap_or((text, "0"));
        let backend = BACKENDS.into_iter().find(|backend| *backend == name).ok_or_else(refuse)?;
        let cards: Option<Vec<usize>> = cards.split(',').map(|card| card.parse().ok()).collect();
        let cards = cards.ok_or_else(refuse)?;
        let distinct: BTreeSet<usize> = cards.iter().copied().collect();
        if distinct.len() < cards.len() { Err(refuse()) } else { Ok(Self::Gpus { backend, cards }) }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        inference: Inference,
        #[command(flatten)]
        cache: CacheLimit,
    }

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(["x", "--config", "p.toml"].iter().chain(words))
    }

    #[test]
    fn devices_round_trip() {
        for text in ["cpu", "cuda:0", "cuda:13", "cuda:1,0", "vulkan:0", "metal:2"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!("rocm".parse(), Ok(Device::Gpus { backend: "rocm", cards: vec![0] }));
    }

    #[test]
    fn other_devices_are_refused_by_name() {
        for text in ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "cuda:0,", "cuda:1,1", "CPU"]
        {
            let error = text.parse::<Device>().unwrap_err();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let bytes = |text: &str| {
            parse(&["--kv-memory", text]).map(|args| args.cache.kv_bytes()).ok().flatten()
        };
        for (text, size) in
            [("4096", 4096), ("512MiB", 512 << 20), ("3GiB", 3 << 30), ("1KB", 1000)]
        {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "MiB", "0", "0GiB", "-1", "8Gibi"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let Args { common, inference, cache } = parse(&[]).unwrap();
        assert_eq!((common.seed, common.round), (0, 0));
        assert!(!common.force && !common.dry_run && !common.json && common.set.is_empty());
        assert_eq!((inference.compute.device, inference.requests.get()), (Device::Cpu, 32));
        assert_eq!(cache.kv_bytes(), None);
    }

    #[test]
    fn set_repeats_and_its_value_may_hold_an_equals_sign() {
        let args = parse(&["--set", "a=1", "--set", "b=x=y", "--workers", "3"]).unwrap();
        assert_eq!(args.common.set, ["a=1", "b=x=y"]);
        assert_eq!(args.inference.compute.workers.get(), 3);
    }

    #[test]
    fn a_set_is_for_the_file_that_its_first_word_names() {
        let folder = tempfile::tempdir().unwrap();
        let [config, tree] = ["p.toml", "t.toml"].map(|name| folder.path().join(name));
        std::fs::write(&config, "width = 1\ntext = { a = 1 }\n").unwrap();
        std::fs::write(&tree, "width = 1\n[mcts]\nwidth = 1\n").unwrap();
        let words = ["--set", "width=2", "--set", "tree.mcts.width=3", "--set", "text.a=4"];
        let common = Common { config, ..parse(&words).unwrap().common };
        let files = common.files([("tree", tree.as_path())]);
        let table = |preset: Preset<toml::Table>| preset.value.to_string();
        // No file is given as --text.
        assert_eq!(table(files.config().unwrap()), "width = 2\n\n[text]\na = 4\n");
        assert_eq!(table(files.other("tree").unwrap()), "width = 1\n\n[mcts]\nwidth = 3\n");
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for words in [["--round", "-1"], ["--workers", "0"], ["--seed", "x"]] {
            assert!(parse(&words).is_err(), "{words:?}");
        }
    }
}
