//! `synthesize world`: labelled problems of one split of the embedded world.
//!
//! The world is the same for every run: its seed is in the preset, and the seed of the run has no influence.

use std::collections::BTreeSet;

use dataset::{Recipe, seed_for};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use schema::Prompt;
use serde::{Deserialize, Serialize};
use stage::{Failure, Plan, Progress};
use world::{TEMPLATES, draw};

use crate::args::{WorldArgs, WorldSplit};
use crate::output::{self, Made, Tally, Target};
use crate::text::{normalise, prompt_id};

/// Preset of `synthesize world`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldConfig {
    /// Seed of the world. Another one gives other problems in every split.
    pub world_seed: u64,
    /// Number of templates of the world, 1 or more; all by default. `ood-templates` has templates of its own.
    #[serde(default = "all_templates")]
    pub templates: usize,
    /// Prompts per part; 0 puts all of them into one.
    pub chunk_rows: usize,
    /// Number of problems in each split. Changing one leaves the other splits as they are.
    pub splits: Counts,
}

/// Number of problems by split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Counts {
    /// Labelled problems to start from, the only ones the policy learns from.
    pub seeds: usize,
    /// Problems for choosing settings and checkpoints, and for judging and calibrating the critics.
    pub validation: usize,
    /// Problems for reporting.
    pub test: usize,
    /// Problems of templates that no other split uses.
    pub ood_templates: usize,
    /// Problems with longer chains of steps.
    pub ood_chains: usize,
}

impl Counts {
    fn of(&self, split: WorldSplit) -> usize {
        match split {
            WorldSplit::Seeds => self.seeds,
            WorldSplit::Validation => self.validation,
            WorldSplit::Test => self.test,
            WorldSplit::OodTemplates => self.ood_templates,
            WorldSplit::OodChains => self.ood_chains,
        }
    }
}

pub(crate) fn run(args: &WorldArgs) -> Result<(), Failure> {
    let WorldConfig { world_seed, templates, chunk_rows, splits } = args.common.preset()?.value;
    check_templates(templates)?;
    let (split, count) = (args.split, splits.of(args.split));
    // The counts of the other splits do not affect this one.
    let identity = ("world", split.name(), world_seed, templates, count, chunk_rows);
    let plan = Plan {
        tool: "synthesize world",
        common: &args.common,
        settings: &identity,
        inputs: Vec::new(),
    };
    // The run's seed decides nothing here, so another one must not make the dataset out of date.
    let recipe = Recipe { seed: world_seed, ..plan.recipe()? };
    let (common, out, rows) = (&args.common, args.out.as_path(), count);
    let job = Target { common, out, recipe, rows, chunk_rows };
    output::write(job, || problems(split, count, (world_seed, templates), args.common.round))
}

/// Default of `templates`: all of them.
pub(crate) fn all_templates() -> usize {
    TEMPLATES.len()
}

/// Refuses a number of templates outside 1 to all.
pub(crate) fn check_templates(templates: usize) -> Result<(), Failure> {
    let most = TEMPLATES.len();
    if (1..=most).contains(&templates) {
        return Ok(());
    }
    Err(Failure::config(format!("`templates` is {templates}: it has to be 1 to {most}")))
}

/// Number of draws without a new problem after which the world counts as exhausted.
const IN_VAIN: usize = 100_000;

/// Draws distinct problems of a split of the world with this seed and number of templates. The seed in a row reproduces
/// its problem directly, without drawing those before it.
fn problems(
    split: WorldSplit,
    count: usize,
    (world_seed, templates): (u64, usize),
    round: i32,
) -> Result<Made<Prompt>, Failure> {
    let (mut seen, mut duplicates) = (BTreeSet::new(), 0);
    let stream = format!("world/{}", split.name());
    let progress = Progress::new(split.name(), count as u64);
    let mut fresh = |index: usize| {
        for attempt in 0..IN_VAIN {
            // By index, so that asking for more problems leaves the first ones as they are.
            let seed = seed_for(world_seed, &stream, 0, &format!("{index}.{attempt}"));
            let problem = draw(split.of_world(), templates, &mut ChaCha8Rng::seed_from_u64(seed));
            // The id is a hash of this text, and a dataset with two equal ids is refused.
            if seen.insert(normalise(&problem.question)) {
                progress.add(1);
                return Ok(Prompt {
                    prompt_id: prompt_id(&problem.question),
                    answer: Some(problem.answer.to_string()),
                    solution: Some(problem.solution()),
                    source: "world".to_owned(),
                    split: split.name().to_owned(),
                    difficulty: Some(problem.difficulty() as f32),
                    seed: Some(seed as i64),
                    round,
                    prompt: problem.question,
                    ..Prompt::default()
                });
            }
            duplicates += 1;
        }
        let name = split.name();
        let message = format!("`splits.{name}` is {count}: only {index} different ones were found");
        Err(Failure::config(message).hint("more `templates` make more different problems"))
    };
    let rows: Vec<Prompt> = (0..count).map(&mut fresh).collect::<Result<_, Failure>>()?;
    let counts = vec![("draws", count + duplicates), ("duplicate", duplicates), ("kept", count)];
    let tally = Tally { about: "split", name: split.name().to_owned(), counts };
    Ok(Made { rows, tallies: vec![tally], spent: None })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn problems_are_distinct_labelled_and_in_their_split() {
        let made = problems(WorldSplit::Test, 300, (1, 78), 0).unwrap();
        let ids: BTreeSet<_> = made.rows.iter().map(|row| &row.prompt_id).collect();
        assert_eq!(ids.len(), 300);
        for row in &made.rows {
            assert_eq!(world::split_of(&row.prompt), world::Split::Test);
            let (solution, answer) = (row.solution.as_ref().unwrap(), row.answer.as_ref().unwrap());
            assert!(answer::grade(solution, answer), "{row:?}");
        }
    }

    #[test]
    fn more_problems_begin_with_the_same_ones() {
        let (few, many) = (
            problems(WorldSplit::Seeds, 20, (3, 40), 0).unwrap(),
            problems(WorldSplit::Seeds, 40, (3, 40), 0).unwrap(),
        );
        assert_eq!(few.rows, many.rows[..20]);
        assert_ne!(few.rows, problems(WorldSplit::Seeds, 20, (4, 40), 0).unwrap().rows);
        assert_ne!(few.rows, problems(WorldSplit::Seeds, 20, (3, 41), 0).unwrap().rows);
    }

    #[test]
    fn fresh_problems_are_of_the_same_world_by_another_seed() {
        for preset in ["tiny", "smoke"] {
            let [world, fresh] = ["world.toml", "fresh-world.toml"].map(|file| {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
                stage::load::<WorldConfig>(&folder.join(preset).join(file), &[]).unwrap().value
            });
            assert_eq!(fresh.templates, world.templates, "{preset}");
            assert_ne!(fresh.world_seed, world.world_seed, "{preset}");
        }
    }

    #[test]
    fn the_seed_of_a_row_draws_it() {
        for row in problems(WorldSplit::OodChains, 5, (1, 20), 0).unwrap().rows {
            let mut rng = ChaCha8Rng::seed_from_u64(row.seed.unwrap() as u64);
            assert_eq!(draw(world::Split::OodChains, 20, &mut rng).question, row.prompt);
        }
    }
}
