//! `finetune policy`: supervised fine-tuning on completions, and preference optimization on pairs of them.

use std::path::{Path, PathBuf};

use dataset::{Begin, Dataset, Files, FilesOutput, Input, Recipe};
use decoding::models::Model;
use decoding::{Place, TextConfig};
use lm::train::{Course, Example, Pair, PreferenceConfig, Preferences, TrainConfig};
use lm::{Checkpoint, Tokenizer};
use policy::{PromptFormat, PromptText};
use schema::{Message, Preference, Prompt, SftExample};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Preset, ResultExt};

use crate::external::{self, Line};
use crate::run::{self, Job, Named, RECORD, Record, Trained};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// How questions become text: the preset's text.toml.
    #[arg(long)]
    text: PathBuf,
    /// The checkpoint to start from.
    #[arg(long)]
    init: PathBuf,
    /// Labelled problems to learn from.
    #[arg(long)]
    seeds: PathBuf,
    /// Kept trajectories to learn from; once for each dataset.
    #[arg(long)]
    sft: Vec<PathBuf>,
    /// Pairs of a better and a worse solution to learn from, as the preset's `[preferences]` says; once for each dataset.
    #[arg(long)]
    preferences: Vec<PathBuf>,
    /// Labelled problems to judge by.
    #[arg(long)]
    validation: PathBuf,
    /// Make exactly as many updates as this checkpoint's run did, by the same learning rates: for a control.
    #[arg(long)]
    updates_of: Option<PathBuf>,
    /// Who trains: this program, or the preset's `external_trainer`.
    #[arg(long, value_enum, default_value_t = Trainer::Embedded)]
    trainer: Trainer,
    /// Where the checkpoint goes.
    #[arg(long)]
    out: PathBuf,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Trainer {
    /// This program.
    Embedded,
    /// The command of the preset.
    External,
}

/// The preset's `policy.toml`, `fast-policy.toml` and `finetune.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The share of the seeds to learn from, by their ids; what is left can teach the critics which
    /// errors the policy makes on problems it has not seen. With 0, and nothing that was kept, the checkpoint stays as it
    /// is: for a model that follows instructions already.
    seed_share: f64,
    /// With `--trainer external`: a command for the shell, in which `{init}`, `{examples}`, `{validation}`, `{out}`,
    /// `{updates}`, `{planned}` (how many the learning rate is planned for; both 0: as it likes) and `{seed}` are filled in.
    /// It leaves a Hugging Face directory in `{out}`, with a `training.json` that says how many `updates` it made, and how
    /// many were `planned` if it stopped early.
    #[serde(default)]
    external_trainer: Option<String>,
    /// How the pairs of `--preferences` are learned from, beside the examples; without the option there are none, and the
    /// section changes nothing that is learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preferences: Option<PreferenceConfig>,
    /// Hyperparameters.
    train: TrainConfig,
}

#[derive(Serialize)]
struct Settings<'a> {
    policy: &'a Config,
    text: &'a TextConfig,
    external: bool,
}

impl Config {
    /// Whether there are pairs only where they can be learned from.
    fn allows_pairs(&self, args: &Args) -> Result<(), Failure> {
        if args.preferences.is_empty() {
            return Ok(());
        }
        if args.trainer == Trainer::External {
            let problem = "--preferences: a trainer of `--trainer external` gets no pairs";
            return Err(Failure::config(problem)
                .hint("leave `--preferences` out, or let `--trainer embedded` train"));
        }
        let missing = "--preferences: the preset has no section `[preferences]`";
        self.preferences.map(|_| ()).ok_or_else(|| {
            Failure::config(missing)
                .hint("add `beta` and `sft_weight` there, or leave `--preferences` out")
        })
    }

    /// The command of the external trainer, if it is to train.
    fn command(&self, trainer: Trainer) -> Result<Option<&str>, Failure> {
        match (trainer, &self.external_trainer) {
            (Trainer::Embedded, _) => Ok(None),
            (Trainer::External, Some(command)) => Ok(Some(command)),
            (Trainer::External, None) => {
                Err(Failure::config("--trainer external: the preset has no `external_trainer`"))
            }
        }
    }
}

/// The datasets of a run, open.
struct Data {
    seeds: Dataset<Prompt>,
    validation: Dataset<Prompt>,
    sft: Vec<Dataset<SftExample>>,
    preferences: Vec<Dataset<Preference>>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let preset: Preset<Config> = args.common.preset()?;
    let text: Preset<TextConfig> = stage::load(&args.text, &[])?;
    let config = &preset.value;
    config.allows_pairs(args)?;
    let place = Place::of(&args.common)?;
    let data = Data::open(args)?;
    let mut init = Model::load("init", &args.init, &place)?;
    let mut inputs = data.inputs();
    inputs.push(init.input.clone());
    let updates = args.updates_of.as_deref().map(|dir| course(dir, &mut inputs)).transpose()?;
    let command = config.command(args.trainer)?;
    let settings = Settings { policy: config, text: &text.value, external: command.is_some() };
    let recipe = recipe(args, &settings, inputs)?;
    if args.common.dry_run {
        let (rows, pairs) = data.len();
        tracing::info!("would train on {rows} rows and {pairs} pairs");
        return Ok(());
    }
    let begun = FilesOutput::begin(&args.out, recipe, args.common.force)?;
    let Begin::Work(output) = begun else {
        tracing::info!("up to date");
        return Ok(());
    };
    let format = &text.value.policy.format;
    let (lesson, seed) = (data.lesson(config)?, args.common.seed);
    let learns = config.seed_share > 0.0 || !lesson.is_empty();
    let writer = Writer::first(&mut init.checkpoint, format, learns)?;
    let template = writer.chat_template(format);
    // Where nothing is learned, nothing is judged.
    let (lesson, too_long) = if learns { writer.fitting(lesson)? } else { (lesson, 0) };
    let record = if !learns {
        run::finish(output, &Trained::as_it_is(init.checkpoint).with_chat_template(template))?
    } else if let Some(command) = command {
        let job = external::Job {
            command,
            init: &args.init,
            examples: &writer.lines(&lesson.rows)?,
            validation: &writer.lines(&lesson.validation)?,
            tokens: writer.tokens(&lesson.rows)?,
            too_long,
            course: updates,
            seed,
            // A chat has its template from the program, which had it from the checkpoint.
            chat_template: template.as_deref().filter(|_| format.chat.is_none()),
        };
        external::train(&job, output, &place)?
    } else {
        let pairs = writer.pairs(&lesson.couples)?;
        let job = Job {
            start: &init.checkpoint,
            examples: &writer.examples(&lesson.rows)?,
            preferences: config.preferences.map(|config| Preferences { pairs: &pairs, config }),
            validation: &writer.examples(&lesson.validation)?,
            too_long,
            config: &config.train,
            updates,
            seed,
        };
        let trained = run::train(&job, &output, &args.out, &place)?;
        run::finish(output, &trained.with_chat_template(template))?
    };
    run::summary("policy", &record, args.common.json)
}

fn recipe(args: &Args, settings: &Settings<'_>, inputs: Vec<Input>) -> Result<Recipe, Failure> {
    let digest = dataset::digest_of(settings)?;
    Ok(stage::recipe("finetune-policy", VERSION, &args.common, &digest, inputs))
}

impl Data {
    fn open(args: &Args) -> Result<Self, Failure> {
        Ok(Self {
            seeds: Dataset::open(&args.seeds)?.require_rows()?,
            validation: Dataset::open(&args.validation)?.require_rows()?,
            sft: args.sft.iter().map(|dir| Dataset::open(dir)).collect::<Result<_, _>>()?,
            preferences: (args.preferences.iter().map(|dir| Dataset::open(dir)))
                .collect::<Result<_, _>>()?,
        })
    }

    fn inputs(&self) -> Vec<Input> {
        let mut inputs = vec![self.seeds.input("seeds"), self.validation.input("validation")];
        let sft = self.sft.iter().enumerate();
        inputs.extend(sft.map(|(i, dataset)| dataset.input(&format!("sft-{i}"))));
        let preferences = self.preferences.iter().enumerate();
        inputs.extend(preferences.map(|(i, dataset)| dataset.input(&format!("preferences-{i}"))));
        inputs
    }

    /// Rows to learn from, and pairs.
    fn len(&self) -> (usize, usize) {
        let rows = self.seeds.len() + self.sft.iter().map(Dataset::len).sum::<usize>();
        (rows, self.preferences.iter().map(Dataset::len).sum())
    }

    /// Says so where there are datasets of kept trajectories, or pairs, and nothing is in them.
    fn warn_of_nothing_kept(&self) {
        let sft = self.sft.iter().map(Dataset::len).collect::<Vec<_>>();
        let preferences = self.preferences.iter().map(Dataset::len).collect::<Vec<_>>();
        for (lengths, option, what) in
            [(sft, "--sft", "examples"), (preferences, "--preferences", "pairs")]
        {
            if !lengths.is_empty() && lengths.iter().all(|len| *len == 0) {
                tracing::warn!(
                    "{option}: there are no {what} in any of {} datasets: nothing of what was searched is learned from, \
                     and a policy that learns from the seeds alone is its own control",
                    lengths.len()
                );
            }
        }
    }

    /// What there is to learn. Problems of which the answers alone are known can be neither learned from nor judged by; where
    /// nothing is judged, they are passed over.
    fn lesson(&self, config: &Config) -> Result<Lesson, Failure> {
        self.warn_of_nothing_kept();
        let mut rows = labelled(&self.seeds, config.seed_share)?;
        for dataset in &self.sft {
            rows.extend(kept(dataset)?);
        }
        let mut couples = Vec::new();
        for dataset in &self.preferences {
            couples.extend(dataset.rows()?.into_iter().map(|row| Couple::of(&row, dataset.dir())));
        }
        let validation = if config.train.validate_every > 0 {
            labelled(&self.validation, 1.0)?
        } else {
            let dir = self.validation.dir();
            self.validation.rows()?.into_iter().filter_map(|row| Row::of(row, dir).ok()).collect()
        };
        Ok(Lesson { rows, couples, validation })
    }
}

/// How far another run went, which becomes an input.
fn course(dir: &Path, inputs: &mut Vec<Input>) -> Result<Course, Failure> {
    let files = Files::open(dir)?;
    let path = files.path(RECORD)?;
    inputs.push(files.input("updates"));
    let text = std::fs::read(&path).or_io(path.display())?;
    let record: Record = serde_json::from_slice(&text).or_data(path.display())?;
    Ok(record.course())
}

/// A question and its solution to learn from.
struct Row {
    /// Its folder and its id.
    name: String,
    question: String,
    solution: String,
    weight: f32,
}

/// A question, a better solution and a worse one.
struct Couple {
    /// Its folder and its ids.
    name: String,
    question: String,
    chosen: String,
    rejected: String,
}

/// What there is to learn and what to judge by, as text.
struct Lesson {
    rows: Vec<Row>,
    couples: Vec<Couple>,
    validation: Vec<Row>,
}

impl Lesson {
    /// Whether there is nothing to learn.
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.couples.is_empty()
    }
}

impl Couple {
    fn of(row: &Preference, dir: &Path) -> Self {
        let name = format!("{}: pair {} and {}", dir.display(), row.chosen_id, row.rejected_id);
        Self {
            name,
            question: text(&row.prompt),
            chosen: text(&row.chosen),
            rejected: text(&row.rejected),
        }
    }
}

/// What messages say.
fn text(messages: &[Message]) -> String {
    messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n")
}

impl Row {
    /// A problem with its solution; the id of one that has none.
    fn of(problem: Prompt, dir: &Path) -> Result<Self, String> {
        let name = format!("{}: problem {}", dir.display(), problem.prompt_id);
        let solution = problem.solution.ok_or(problem.prompt_id)?;
        Ok(Self { name, question: problem.prompt, solution, weight: 1.0 })
    }
}

/// Rows from a share of some labelled problems.
fn labelled(problems: &Dataset<Prompt>, share: f64) -> Result<Vec<Row>, Failure> {
    let row = |row: Prompt| {
        Row::of(row, problems.dir()).map_err(|id| {
            let place = problems.dir().display();
            Failure::data(format!("{place}: problem {id} has no solution to learn from or to judge by")).hint(
                "with answers alone, set `seed_share` and `train.validate_every` to 0 in the preset",
            )
        })
    };
    let rows = problems.rows()?.into_iter();
    rows.filter(|row| dataset::place_of(&row.prompt_id) < share).map(row).collect()
}

/// Rows from kept trajectories.
fn kept(examples: &Dataset<SftExample>) -> Result<Vec<Row>, Failure> {
    let row = |row: SftExample| Row {
        name: format!("{}: example {}", examples.dir().display(), row.example_id),
        question: text(&row.prompt),
        solution: text(&row.completion),
        weight: row.weight,
    };
    Ok(examples.rows()?.into_iter().map(row).collect())
}

/// Writes rows as a model is to learn them.
struct Writer {
    tokenizer: Tokenizer,
    prompt: PromptText,
    end: u32,
    /// Tokens of the model's context.
    limit: usize,
}

impl Writer {
    /// The same, with the end token that is learned as the first of the checkpoint's, if anything is.
    fn first(
        checkpoint: &mut Checkpoint,
        format: &PromptFormat,
        learns: bool,
    ) -> Result<Self, Failure> {
        let writer = Self::new(checkpoint, format)?;
        if learns {
            checkpoint.config = checkpoint.config.clone().ending_first(writer.end);
        }
        Ok(writer)
    }

    fn new(checkpoint: &Checkpoint, format: &PromptFormat) -> Result<Self, Failure> {
        let prompt =
            format.prompt(&checkpoint.tokenizer, &checkpoint.config).or_config("text.toml")?;
        let end = prompt.turn_end(&checkpoint.tokenizer, &checkpoint.config);
        let end =
            end.ok_or_else(|| Failure::data("the checkpoint's config.json has no eos_token_id"))?;
        let limit = checkpoint.config.max_position_embeddings;
        Ok(Self { tokenizer: checkpoint.tokenizer.clone(), prompt, end, limit })
    }

    /// What of a lesson the model can read, and how much it cannot.
    fn fitting(&self, lesson: Lesson) -> Result<(Lesson, usize), Failure> {
        let rows = |rows: Vec<Row>| {
            let examples = self.examples(&rows)?;
            let rows = rows.into_iter().zip(examples);
            let named = rows.map(|(row, example)| Named {
                name: row.name.clone(),
                tokens: example.ids.len(),
                row,
            });
            run::fitting(named.collect(), self.limit)
        };
        let (rows, validation) = (rows(lesson.rows)?, rows(lesson.validation)?);
        let pairs = self.pairs(&lesson.couples)?;
        let couples = lesson.couples.into_iter().zip(pairs).map(|(couple, pair)| Named {
            name: couple.name.clone(),
            tokens: pair.chosen.len().max(pair.rejected.len()),
            row: couple,
        });
        let couples = run::fitting(couples.collect(), self.limit)?;
        let too_long = rows.1 + validation.1 + couples.1;
        Ok((Lesson { rows: rows.0, couples: couples.0, validation: validation.0 }, too_long))
    }

    /// The template with which other programs make the same text of a conversation.
    fn chat_template(&self, format: &PromptFormat) -> Option<String> {
        let end = self.tokenizer.token(self.end).unwrap_or_default();
        format.chat_template(self.tokenizer.chat_template(), &end)
    }

    /// As tokens, of which those of the solution are learned.
    fn examples(&self, rows: &[Row]) -> Result<Vec<Example>, Failure> {
        let example = |row: &Row| {
            let mut ids = self.prompt(&row.question)?;
            let targets_from = Some(ids.len());
            ids.extend(self.solution(&row.solution)?);
            Ok(Example { ids, targets_from, heads: Vec::new(), weight: row.weight })
        };
        rows.iter().map(example).collect()
    }

    /// How many tokens rows have.
    fn tokens(&self, rows: &[Row]) -> Result<usize, Failure> {
        Ok(self.examples(rows)?.iter().map(|example| example.ids.len()).sum())
    }

    /// As tokens, of which those of the solutions are compared.
    fn pairs(&self, couples: &[Couple]) -> Result<Vec<Pair>, Failure> {
        let pair = |couple: &Couple| {
            let prompt = self.prompt(&couple.question)?;
            let [chosen, rejected] =
                [&couple.chosen, &couple.rejected].map(|text| self.solution(text));
            Ok(Pair {
                chosen: [&prompt[..], &chosen?].concat(),
                rejected: [&prompt[..], &rejected?].concat(),
                targets_from: prompt.len(),
            })
        };
        couples.iter().map(pair).collect()
    }

    /// The tokens before a solution.
    fn prompt(&self, question: &str) -> Result<Vec<u32>, Failure> {
        self.tokenizer.encode_whole(&self.prompt.render(question, "")).or_data("tokenizer")
    }

    /// The tokens of a solution, with the end.
    fn solution(&self, solution: &str) -> Result<Vec<u32>, Failure> {
        let solution = self.prompt.learned(solution);
        let mut ids = self.tokenizer.encode_after(&solution).or_data("tokenizer")?;
        ids.push(self.end);
        Ok(ids)
    }

    /// As text.
    fn lines(&self, rows: &[Row]) -> Result<Vec<Line>, Failure> {
        let end = self.tokenizer.token(self.end);
        let end =
            end.ok_or_else(|| Failure::data("the end token has no entry in tokenizer.json"))?;
        let line = |row: &Row| Line {
            prompt: self.prompt.render(&row.question, ""),
            completion: [&*self.prompt.learned(&row.solution), &end].concat(),
            weight: row.weight,
        };
        Ok(rows.iter().map(line).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_read_and_in_range() {
        let values: Vec<Config> = stage::shipped(|name| {
            ["policy.toml", "fast-policy.toml", "finetune.toml"].contains(&name)
        })
        .unwrap();
        assert!(values.len() >= 14, "{} files", values.len());
        for value in values {
            value.train.validate().unwrap();
            value.preferences.map_or(Ok(()), |config| config.validate()).unwrap();
        }
    }

    /// A preset of the repository with more settings.
    fn preset(set: &[&str]) -> Result<Preset<Config>, Failure> {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/smoke/finetune.toml");
        let set: Vec<String> = set.iter().map(|&assignment| assignment.to_owned()).collect();
        stage::load(&file, &set)
    }

    #[test]
    fn preferences_are_a_section_of_their_own() {
        let without = preset(&[]).unwrap();
        assert_eq!(without.value.preferences, None);
        let said = serde_json::to_string(&without.value).unwrap();
        assert!(!said.contains("preferences"), "recipes from before the section hold: {said}");
        let set = ["preferences.beta=0.1", "preferences.sft_weight=1"];
        let with = preset(&set).unwrap();
        let section = PreferenceConfig { beta: 0.1, sft_weight: 1.0 };
        assert_eq!(with.value.preferences, Some(section));
        assert_ne!(with.digest, without.digest);
        let refused = |set: &[&str]| preset(set).unwrap_err().to_string();
        assert!(refused(&set[..1]).contains("sft_weight"), "no value of the code's own");
        assert!(refused(&[set[0], set[1], "preferences.gamma=1"]).contains("gamma"));
    }

    /// Of three problems one is too long to read: it is left out, and the others stay as they are.
    #[test]
    fn what_the_model_cannot_read_is_left_out_of_a_lesson() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/base/policy");
        let checkpoint = Checkpoint::load(&dir, &lm::device::cpu()).unwrap();
        let text = dir.join("../../../pipelines/smoke/text.toml");
        let text: Preset<TextConfig> = stage::load(&text, &[]).unwrap();
        let writer = Writer::new(&checkpoint, &text.value.policy.format).unwrap();
        let row = |name: &str, times: usize| Row {
            name: name.to_owned(),
            question: "How many? ".repeat(times),
            solution: "2 + 2 = 4\n#### 4".to_owned(),
            weight: 1.0,
        };
        let couple = |name: &str, times: usize| Couple {
            name: name.to_owned(),
            question: "How many?".to_owned(),
            chosen: "4".to_owned(),
            rejected: "5 ".repeat(times),
        };
        let lesson = |rows| Lesson {
            rows,
            couples: vec![couple("short", 1), couple("long", 9000)],
            validation: vec![row("v", 1)],
        };
        let all = lesson(vec![row("a", 1), row("b", 9000), row("c", 2)]);
        let (fitting, too_long) = writer.fitting(all).unwrap();
        let names: Vec<&str> = fitting.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!((names, too_long), (vec!["a", "c"], 2));
        assert_eq!((fitting.couples.len(), fitting.validation.len()), (1, 1));
        let most = lesson(vec![row("seeds: problem b", 9000)]);
        let error = writer.fitting(most).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("1 of 1 rows") && error.contains("seeds: problem b has"), "{error}");
    }

    /// The configuration's first end token may be another than the one with which a chat ends a turn.
    #[test]
    fn the_end_of_a_turn_is_learned_and_a_thought_is_closed() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/base/policy");
        let mut checkpoint = Checkpoint::load(&dir, &lm::device::cpu()).unwrap();
        let ends = checkpoint.config.end_tokens().to_vec();
        let template = "{% for m in messages %}{{ m.content }}<|pad|>\n{% endfor %}\
                        {% if add_generation_prompt %}<think>\n{% endif %}";
        let chat = Some(policy::Chat::template(template));
        let format = PromptFormat { chat, ..PromptFormat::default() };
        Writer::first(&mut checkpoint, &format, false).unwrap();
        assert_eq!(checkpoint.config.end_tokens(), ends, "nothing is learned");
        let writer = Writer::first(&mut checkpoint, &format, true).unwrap();
        let pad = checkpoint.tokenizer.id("<|pad|>").unwrap();
        assert_eq!(checkpoint.config.end_tokens(), [&[pad][..], &ends].concat());
        let (question, solution) = ("How many?".to_owned(), "2 + 2 = 4\n#### 4".to_owned());
        let rows = [Row { name: "a".to_owned(), question, solution, weight: 1.0 }];
        let example = writer.examples(&rows).unwrap().remove(0);
        assert_eq!(example.ids.last(), Some(&pad));
        let learned = checkpoint.tokenizer.decode(&example.ids[example.targets_from.unwrap()..]);
        assert_eq!(learned, "\n</think>\n\n2 + 2 = 4\n#### 4");
        let line = writer.lines(&rows).unwrap().remove(0);
        assert_eq!(line.completion, "\n</think>\n\n2 + 2 = 4\n#### 4<|pad|>");
        assert!(line.prompt.ends_with("<|pad|>\n<think>\n"), "{}", line.prompt);
    }

    #[test]
    fn a_couple_becomes_two_rows_with_one_prompt() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/base/policy");
        let checkpoint = Checkpoint::load(&dir, &lm::device::cpu()).unwrap();
        let text = dir.join("../../../pipelines/smoke/text.toml");
        let text: Preset<TextConfig> = stage::load(&text, &[]).unwrap();
        let writer = Writer::new(&checkpoint, &text.value.policy.format).unwrap();
        let row = Preference {
            prompt: vec![Message::user("How many?")],
            chosen: vec![Message::assistant("2 + 2 = 4\n#### 4")],
            rejected: vec![Message::assistant("5\n#### 5")],
            ..Preference::default()
        };
        let pairs = writer.pairs(&[Couple::of(&row, &dir)]).unwrap();
        let [pair] = &pairs[..] else { panic!("{pairs:?}") };
        for (ids, solution) in [(&pair.chosen, "2 + 2 = 4\n#### 4"), (&pair.rejected, "5\n#### 5")]
        {
            let row = Row {
                name: String::new(),
                question: "How many?".to_owned(),
                solution: solution.to_owned(),
                weight: 1.0,
            };
            let example = writer.examples(&[row]).unwrap().remove(0);
            assert_eq!((ids, Some(pair.targets_from)), (&example.ids, example.targets_from));
            assert_eq!(ids.last(), Some(&writer.end));
        }
    }
}
