//! Breaks things and checks that nothing is lost: kills, failing and full disks, Ctrl-C, damaged outputs, malformed inputs,
//! many rounds at once, failing servers. docs/RELIABILITY.md lists the guarantees.
//!
//! `make reliability` runs everything, `cargo test` a short form. `--seed N` draws other moments, places and inputs.

mod damage;
mod disks;
mod ground;
mod kills;
mod malformed;
mod process;
mod server;
mod shim;
mod storm;
mod tally;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::ground::{Ground, Stage};
use crate::tally::{Tally, say, table};

/// How often each kind of trouble is tried.
#[derive(Debug, Clone, Copy)]
struct Amount {
    /// Kills per stage, both at random moments and at file operations.
    kills: usize,
    /// Failing file operations per stage.
    faults: usize,
    /// Disk sizes per stage.
    sizes: u64,
    /// Times that `make` is stopped at the commit of a stage.
    stops: usize,
    /// Damaged files per stage.
    damaged: usize,
    /// Malformed inputs of each of the four kinds.
    malformed: usize,
    /// Rounds begun at once.
    rounds: usize,
    /// Whether to try all stages, or one for each way of writing outputs.
    all: bool,
}

const SHORT: Amount = Amount {
    kills: 2,
    faults: 3,
    sizes: 1,
    stops: 1,
    damaged: 2,
    malformed: 6,
    rounds: 6,
    all: false,
};
const FULL: Amount = Amount {
    kills: 5,
    faults: 8,
    sizes: 3,
    stops: 3,
    damaged: 8,
    malformed: 80,
    rounds: 20,
    all: true,
};

/// One tally for each kind of trouble.
#[derive(Debug, Default)]
struct Tallies {
    kills: Tally,
    stops: Tally,
    disks: Tally,
    full: Tally,
    damage: Tally,
    malformed: Tally,
    rounds: Tally,
    servers: Tally,
}

/// A piece of work for one thread, which has its own ground.
#[derive(Debug, Clone, Copy)]
enum Job {
    /// Everything that is done to the stage at this index.
    Stage(usize),
    Tables,
    Presets,
    Checkpoints,
    Imports,
    Rounds,
    Servers,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let amount = if arguments.iter().any(|a| a == "--full") { FULL } else { SHORT };
    let seed = arguments.iter().skip_while(|a| *a != "--seed").nth(1);
    let seed: u64 = seed.map_or(0, |seed| seed.parse().expect("--seed has a number"));
    let tools = tempfile::tempdir().expect("a folder for scratch files");
    let shim = shim::build(tools.path());
    let (tallies, next) = (Tallies::default(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let ground = Ground::new();
                let jobs = jobs(&ground, amount);
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    // Each job seeds its own generator: what it draws must not depend on which thread takes it, or when.
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    job.run(&ground, amount, &shim, (&mut rng, &tallies));
                    say(&format!("done: {}", job.name(&ground)));
                }
            });
        }
    });
    conclude(&tallies)
}

fn jobs(ground: &Ground, amount: Amount) -> Vec<Job> {
    // The short form tries one stage for each way to write: a table, two tables in step, three outputs, a model.
    let differs = ["synthesize prompts", "search", "filter", "finetune policy"];
    let mut seen = BTreeSet::new();
    let tried = |stage: &Stage| amount.all || differs.contains(&stage.name.as_str());
    let numbers = (0..ground.stages.len()).rev().filter(|&number| {
        let stage = &ground.stages[number];
        tried(stage) && (amount.all || seen.insert(stage.name.clone()))
    });
    let others =
        [Job::Rounds, Job::Servers, Job::Tables, Job::Checkpoints, Job::Presets, Job::Imports];
    others.into_iter().chain(numbers.map(Job::Stage)).collect()
}

impl Job {
    fn name(self, ground: &Ground) -> String {
        match self {
            Self::Stage(number) => ground.stages[number].name.clone(),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    fn run(
        self,
        ground: &Ground,
        amount: Amount,
        shim: &Path,
        (rng, tallies): (&mut ChaCha8Rng, &Tallies),
    ) {
        let count = amount.malformed;
        match self {
            Self::Stage(number) => {
                on_stage(ground, &ground.stages[number], amount, shim, (rng, tallies));
            }
            Self::Tables => malformed::tables(ground, count, rng, &tallies.malformed),
            Self::Presets => malformed::presets(ground, count, rng, &tallies.malformed),
            Self::Checkpoints => malformed::checkpoints(ground, count, rng, &tallies.malformed),
            Self::Imports => malformed::imports(ground, count, rng, &tallies.malformed),
            Self::Rounds => storm::of_rounds(ground, amount.rounds, &tallies.rounds),
            Self::Servers => {
                let every: &[usize] = if amount.all { &[2, 5, 30] } else { &[5] };
                server::that_fails(ground, every, &tallies.servers);
                server::that_varies(ground, shim, amount.stops, &tallies.servers);
            }
        }
    }
}

fn on_stage(
    ground: &Ground,
    stage: &Stage,
    amount: Amount,
    shim: &Path,
    (rng, tallies): (&mut ChaCha8Rng, &Tallies),
) {
    kills::at_random(ground, stage, amount.kills, rng, &tallies.kills);
    kills::at_operations(ground, stage, amount.kills, shim, (rng, &tallies.kills));
    kills::at_commit(ground, stage, amount.stops, rng, &tallies.stops);
    disks::that_fail(ground, stage, amount.faults, shim, (rng, &tallies.disks));
    disks::that_are_full(ground, stage, amount.sizes, &tallies.full);
    disks::that_are_limited(ground, stage, &tallies.full);
    damage::of_outputs(ground, stage, amount.damaged, rng, &tallies.damage);
}

/// Prints the table and returns success if nothing failed.
fn conclude(tallies: &Tallies) -> ExitCode {
    let rows = [
        ("a stage is killed, at random and at its file operations", &tallies.kills),
        ("make is stopped as a stage commits, or cannot print", &tallies.stops),
        ("a file operation fails", &tallies.disks),
        ("the disk is full, or files may not grow", &tallies.full),
        ("an output is damaged, read and repaired", &tallies.damage),
        ("an input is malformed", &tallies.malformed),
        ("rounds are begun at once", &tallies.rounds),
        ("a server fails, or never says the same twice", &tallies.servers),
    ];
    say(&table(&rows));
    let failed: usize = rows.iter().map(|(_, tally)| tally.failed()).sum();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
