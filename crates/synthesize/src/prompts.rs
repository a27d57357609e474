//! `synthesize prompts`: new questions, without answers, from seed questions whose answers are not read.

use std::path::{Path, PathBuf};

use dataset::{Dataset, Input};
use decoding::{Runtime, TextConfig};
use schema::{Prompt, Question};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Plan, Preset};

use crate::args::PromptsArgs;
use crate::author::{Author, DifficultyConfig, Models, Wanted, WritingConfig};
use crate::avoid::{Avoid, AvoidConfig};
use crate::earlier::{Earlier, Rounds};
use crate::imagine::{Imagination, Material, QualityConfig, imagine};
use crate::operator::{Operator, Shares};
use crate::output::{self, Made, Target};
use crate::world::{all_templates, check_templates};

/// Preset of `synthesize prompts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptsConfig {
    /// Number of prompts to make, 1 or more.
    pub count: usize,
    /// Attempts at one prompt before it is given up, 1 or more.
    pub attempts: usize,
    /// Prompts per part; 0 puts all of them into one.
    pub chunk_rows: usize,
    /// Number of templates of the embedded world that `operators.fresh` draws from; all by default.
    #[serde(default = "all_templates")]
    pub templates: usize,
    /// How much each operator contributes.
    pub operators: Shares,
    /// When a prompt counts as too similar to a question to be avoided.
    pub decontaminate: AvoidConfig,
    /// Requirements on a prompt besides being new; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityConfig>,
    /// How earlier rounds influence this one; not at all if absent, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curriculum: Option<CurriculumConfig>,
    /// How a model writes questions, for the operators that need one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writing: Option<WritingConfig>,
    /// How hard prompts should be for the policy; any difficulty if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<DifficultyConfig>,
}

/// How earlier rounds influence this one: the section `[curriculum]` of a preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurriculumConfig {
    /// Whether prompts with a kept solution are parents besides the seeds.
    pub kept_parents: bool,
    /// The part of the shares that stays as in the preset, 0 to 1; the rest goes to operators by their payoff in
    /// earlier rounds. 1 turns the adaptation off.
    pub exploration: f64,
}

impl PromptsConfig {
    fn check(&self) -> Result<(), Failure> {
        for (name, value) in [("count", self.count), ("attempts", self.attempts)] {
            if value == 0 {
                return Err(Failure::config(format!("`{name}` is 0: it has to be 1 or more")));
            }
        }
        if let Some(CurriculumConfig { exploration, .. }) = self.curriculum
            && !(0.0..=1.0).contains(&exploration)
        {
            let message = format!("`curriculum.exploration` is {exploration}: it has to be 0 to 1");
            return Err(Failure::config(message));
        }
        check_templates(self.templates)?;
        self.operators.check()?;
        self.quality.as_ref().map_or(Ok(()), QualityConfig::check)?;
        self.wanted().check()?;
        self.decontaminate.check()
    }

    fn wanted(&self) -> Wanted<'_> {
        let (writing, difficulty) = (self.writing.as_ref(), self.difficulty.as_ref());
        Wanted { shares: &self.operators, writing, difficulty }
    }

    /// The operators' shares, adapted to earlier rounds if there is a curriculum.
    fn shares(&self, earlier: &Earlier) -> Shares {
        match &self.curriculum {
            Some(curriculum) => self.operators.after(&earlier.payoffs, curriculum.exploration),
            None => self.operators.clone(),
        }
    }

    fn material<'m>(&self, seeds: &'m [Question], earlier: &'m Earlier) -> Material<'m> {
        let kept_parents = self.curriculum.as_ref().is_some_and(|one| one.kept_parents);
        Material {
            seeds,
            kept: if kept_parents { &earlier.kept } else { &[] },
            // Backward questions need found answers whether or not kept prompts are parents.
            answered: &earlier.kept,
            earlier: &earlier.texts,
        }
    }

    fn plan<'a>(
        &'a self,
        common: &Common,
        shares: &'a Shares,
        author: Option<Author<'a>>,
    ) -> Imagination<'a> {
        Imagination {
            shares,
            quality: self.quality.as_ref(),
            templates: self.templates,
            count: self.count,
            attempts: self.attempts,
            seed: common.seed,
            round: common.round,
            author,
        }
    }

    /// Whether earlier rounds have any influence.
    fn looks_back(&self) -> bool {
        self.curriculum.is_some() || self.operators.has(|one| one == Operator::Backward)
    }
}

/// The settings that determine the prompts, for the recipe.
#[derive(Serialize)]
struct Settings<'a> {
    #[serde(flatten)]
    prompts: &'a PromptsConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextConfig>,
}

pub(crate) fn run(args: &PromptsArgs) -> Result<(), Failure> {
    let files = args.common.files(args.text.iter().map(|text| ("text", text.as_path())));
    let config: PromptsConfig = files.config()?.value;
    let text: Option<Preset<TextConfig>> =
        args.text.is_some().then(|| files.other("text")).transpose()?;
    let text = text.map(|preset| preset.value);
    config.check()?;
    let seeds = Dataset::<Prompt>::open(&args.seeds)?.require_rows()?;
    let (avoided, mut inputs) = avoided(&args.avoid)?;
    inputs.insert(0, seeds.input("seeds"));
    // Only opened if they matter, because opened datasets become inputs of the recipe.
    let rounds =
        config.looks_back().then(|| Rounds::open(&args.earlier, &args.kept)).transpose()?;
    inputs.extend(rounds.iter().flat_map(Rounds::inputs));
    let models =
        config.wanted().models().then(|| models(&config, args, text.clone())).transpose()?;
    inputs.extend(models.iter().flat_map(Models::inputs));
    let common = &args.common;
    // text.toml says how questions are tried. Writing them goes by `[writing.policy]`, so without `[difficulty]` the file
    // decides nothing, and a change of it must not make the prompts out of date.
    let text = config.difficulty.as_ref().and(text);
    let settings = Settings { prompts: &config, text };
    let plan = Plan { tool: "synthesize prompts", common, settings: &settings, inputs };
    let recipe = plan.recipe()?;
    let (rows, chunk_rows, out) = (config.count, config.chunk_rows, args.out.as_path());
    output::write(Target { common, out, recipe, rows, chunk_rows }, || {
        let earlier = rounds.map_or_else(|| Ok(Earlier::default()), |rounds| rounds.read())?;
        let seeds: Vec<Question> = seeds.view()?;
        let avoid = Avoid::new(&avoided, &seeds, &config.decontaminate);
        let shares = config.shares(&earlier);
        let author = models.map(|models| models.author(config.wanted())).transpose()?;
        let plan = config.plan(common, &shares, author);
        let (rows, tallies) = imagine(&plan, &config.material(&seeds, &earlier), &avoid)?;
        enough(&rows, config.count, &args.seeds)?;
        Ok(Made { rows, tallies, spent: plan.author.as_ref().map(Author::spent) })
    })
}

/// The models of the command line.
fn models(
    config: &PromptsConfig,
    args: &PromptsArgs,
    text: Option<TextConfig>,
) -> Result<Models, Failure> {
    let (Some(policy), Some(text)) = (&args.policy, text) else {
        let failure = Failure::usage("the preset has a model write or try questions");
        return Err(failure.hint("give it with --policy and --text"));
    };
    let runtime = Runtime::for_inference(&args.inference, &text)?;
    Models::load(policy, args.author.as_ref(), text, config.wanted(), &runtime)
}

/// The questions of each dataset to avoid, and the datasets as inputs. Their labels are not read.
pub(crate) fn avoided(dirs: &[PathBuf]) -> Result<(Vec<Vec<Question>>, Vec<Input>), Failure> {
    let (mut questions, mut inputs) = (Vec::new(), Vec::new());
    for dir in dirs {
        let dataset = Dataset::<Prompt>::open(dir)?;
        questions.push(dataset.view::<Question>()?);
        inputs.push(dataset.input("avoid"));
    }
    Ok((questions, inputs))
}

/// Fails if no prompt was made; warns if there are fewer than requested.
fn enough(rows: &[Prompt], count: usize, seeds: &Path) -> Result<(), Failure> {
    let made = rows.len();
    if made == 0 {
        let seeds = seeds.display();
        let failure = Failure::data(format!("{seeds}: nothing new could be made of these seeds"));
        return Err(failure.hint("raise `attempts`, or give `operators.fresh` a share"));
    }
    if made < count {
        tracing::warn!("only {made} of {count} prompts: the summary says what was missing");
    }
    Ok(())
}
