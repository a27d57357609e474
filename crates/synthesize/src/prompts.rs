//! `synthesize prompts`: new questions, without answers, from seed questions whose answers are not read.

use std::path::{Path, PathBuf};

use dataset::{Dataset, Input};
use schema::{Prompt, Question};
use serde::{Deserialize, Serialize};
use stage::Failure;

use crate::args::PromptsArgs;
use crate::avoid::{Avoid, AvoidConfig};
use crate::imagine::{Imagination, Operators, imagine};
use crate::output::{self, Job, Made};
use crate::world::{all_templates, check_templates};

/// Preset of `synthesize prompts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptsConfig {
    /// How many prompts to make, 1 or more.
    pub count: usize,
    /// Draws for one prompt before it is given up, 1 or more.
    pub attempts: usize,
    /// Prompts a part; 0 puts all of them into one.
    pub chunk_rows: usize,
    /// How many templates of the embedded world `operators.fresh` draws from; all there are by default.
    #[serde(default = "all_templates")]
    pub templates: usize,
    /// How much each operator contributes.
    pub operators: Operators,
    /// What is too much like a question to be avoided.
    pub decontaminate: AvoidConfig,
}

impl PromptsConfig {
    fn check(&self) -> Result<(), Failure> {
        for (name, value) in [("count", self.count), ("attempts", self.attempts)] {
            if value == 0 {
                return Err(Failure::config(format!("`{name}` is 0: it has to be 1 or more")));
            }
        }
        check_templates(self.templates)?;
        self.operators.check()?;
        self.decontaminate.check()
    }
}

pub(crate) fn run(args: &PromptsArgs) -> Result<(), Failure> {
    let config: PromptsConfig = args.common.preset()?.value;
    config.check()?;
    let seeds = Dataset::<Prompt>::open(&args.seeds)?.require_rows()?;
    let (avoided, inputs) = avoided(&args.avoid)?;
    let inputs = [seeds.input("seeds")].into_iter().chain(inputs).collect();
    let common = &args.common;
    let recipe = output::recipe(common, "synthesize prompts", &config, inputs)?;
    let (rows, chunk_rows, out) = (config.count, config.chunk_rows, args.out.as_path());
    output::write(Job { common, out, recipe, rows, chunk_rows }, || {
        let avoid = Avoid::new(&avoided, &config.decontaminate);
        let PromptsConfig { count, attempts, templates, ref operators, .. } = config;
        let (seed, round) = (common.seed, common.round);
        let plan = Imagination { operators, templates, count, attempts, seed, round };
        let (rows, tallies) = imagine(&plan, &seeds.view::<Question>()?, &avoid);
        enough(&rows, count, &args.seeds)?;
        Ok(Made { rows, tallies })
    })
}

/// The questions of the datasets to avoid, and the datasets as inputs. Their labels are not read.
pub(crate) fn avoided(dirs: &[PathBuf]) -> Result<(Vec<Question>, Vec<Input>), Failure> {
    let (mut questions, mut inputs) = (Vec::new(), Vec::new());
    for dir in dirs {
        let dataset = Dataset::<Prompt>::open(dir)?;
        questions.extend(dataset.view::<Question>()?);
        inputs.push(dataset.input("avoid"));
    }
    Ok((questions, inputs))
}

/// Refuses to go on with nothing; says when there is less than was asked for.
fn enough(rows: &[Prompt], count: usize, seeds: &Path) -> Result<(), Failure> {
    let made = rows.len();
    if made == 0 {
        let seeds = seeds.display();
        let failure = Failure::data(format!("{seeds}: nothing new could be made of these seeds"));
        return Err(failure.hint("raise `attempts`, or give `operators.fresh` a share"));
    }
    if made < count {
        tracing::warn!("only {made} of {count} prompts: more seeds or attempts would give more");
    }
    Ok(())
}
