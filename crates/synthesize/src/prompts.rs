//! `synthesize prompts`: new questions, without answers, from seed questions whose answers are not read.

use std::path::{Path, PathBuf};

use dataset::{Dataset, Input};
use decoding::{Runtime, TextConfig};
use schema::{DraftRow, Prompt, Question};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Inference, Plan, Preset, Sharing};

use crate::args::PromptsArgs;
use crate::author::{Author, DifficultyConfig, Known, Models, Wanted, WritingConfig};
use crate::avoid::{Avoid, AvoidConfig};
use crate::drafts;
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
pub(crate) struct Settings<'a> {
    #[serde(flatten)]
    prompts: &'a PromptsConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a TextConfig>,
}

/// Everything that prompts are made of, opened and checked.
pub(crate) struct Prepared {
    pub(crate) config: PromptsConfig,
    text: Option<TextConfig>,
    seeds: Dataset<Prompt>,
    avoided: Vec<Vec<Question>>,
    /// Only opened if they matter, because opened datasets become inputs of the recipe.
    rounds: Option<Rounds>,
    models: Option<Models>,
    pub(crate) inputs: Vec<Input>,
}

impl Prepared {
    pub(crate) fn new(args: &PromptsArgs, sharing: Sharing) -> Result<Self, Failure> {
        let files = args.common.files(args.text.iter().map(|text| ("text", text.as_path())));
        let config: PromptsConfig = files.config()?.value;
        let text: Option<Preset<TextConfig>> =
            args.text.is_some().then(|| files.other("text")).transpose()?;
        let text = text.map(|preset| preset.value);
        config.check()?;
        let seeds = Dataset::<Prompt>::open(&args.seeds)?.require_rows()?;
        let (avoided, mut inputs) = avoided(&args.avoid)?;
        inputs.insert(0, seeds.input("seeds"));
        let rounds =
            config.looks_back().then(|| Rounds::open(&args.earlier, &args.kept)).transpose()?;
        inputs.extend(rounds.iter().flat_map(Rounds::inputs));
        let inference = sharing.inference(&args.inference);
        let models = config
            .wanted()
            .models()
            .then(|| models(&config, args, &inference, text.clone()))
            .transpose()?;
        inputs.extend(models.iter().flat_map(Models::inputs));
        Ok(Self { config, text, seeds, avoided, rounds, models, inputs })
    }

    /// Whether any model writes or tries prompts.
    pub(crate) fn has_models(&self) -> bool {
        self.models.is_some()
    }

    pub(crate) fn settings(&self) -> Settings<'_> {
        // text.toml says how questions are tried. Writing them goes by `[writing.policy]`, so without `[difficulty]` the file
        // decides nothing, and a change of it must not make the prompts out of date.
        let text = self.config.difficulty.as_ref().and(self.text.as_ref());
        Settings { prompts: &self.config, text }
    }

    /// Loads the models and reads what prompts are made from, for `imagine`. What the models answered is not asked again.
    pub(crate) fn imagining<R>(
        &self,
        common: &Common,
        known: Known,
        imagine: impl FnOnce(&Imagination<'_>, &Material<'_>, &Avoid) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let config = &self.config;
        let earlier = self.rounds.as_ref().map_or_else(|| Ok(Earlier::default()), Rounds::read)?;
        let seeds: Vec<Question> = self.seeds.view()?;
        let avoid = Avoid::new(&self.avoided, &seeds, &config.decontaminate);
        let shares = config.shares(&earlier);
        let author = self.models.as_ref().map(|models| models.author(config.wanted(), known));
        let plan = config.plan(common, &shares, author.transpose()?);
        imagine(&plan, &config.material(&seeds, &earlier), &avoid)
    }
}

pub(crate) fn run(args: &PromptsArgs) -> Result<(), Failure> {
    let (common, out) = (&args.common, args.out.as_path());
    let prepared = Prepared::new(args, Sharing::default())?;
    let settings = prepared.settings();
    let inputs = prepared.inputs.clone();
    let plan = Plan { tool: "synthesize prompts", common, settings: &settings, inputs };
    let recipe = plan.recipe()?;
    // Not an input: it spares questions to the models. With models that repeat themselves it changes no prompt.
    let drafts = args.drafts.as_deref().map(Dataset::<DraftRow>::open).transpose()?;
    let known = drafts.map(|drafts| drafts::read(&drafts, &recipe)).transpose()?;
    let PromptsConfig { count: rows, chunk_rows, .. } = prepared.config;
    output::write(Target { common, out, recipe, rows, chunk_rows }, || {
        prepared.imagining(common, known.unwrap_or_default(), |plan, material, avoid| {
            let (rows, tallies) = imagine(plan, material, avoid)?;
            enough(&rows, prepared.config.count, &args.seeds)?;
            Ok(Made { rows, tallies, spent: plan.author.as_ref().map(Author::spent) })
        })
    })
}

/// The models of the command line.
fn models(
    config: &PromptsConfig,
    args: &PromptsArgs,
    inference: &Inference,
    text: Option<TextConfig>,
) -> Result<Models, Failure> {
    let (Some(policy), Some(text)) = (&args.policy, text) else {
        let failure = Failure::usage("the preset has a model write or try questions");
        return Err(failure.hint("give it with --policy and --text"));
    };
    let runtime = Runtime::for_inference(inference, &text)?;
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
