//! The command line.

use std::path::PathBuf;

use decoding::ModelAt;
use stage::{Common, Inference, Sharing};
use world::Split;

/// Makes prompts: from the embedded world, from seed questions, or from files.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "synthesize", version)]
pub struct Args {
    /// The dataset to make.
    #[command(subcommand)]
    pub command: Command,
}

/// The dataset to make. Each command has a preset of its own.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Make labelled problems of the embedded world.
    World(WorldArgs),
    /// Make raw text of the embedded world, to pretrain a policy on.
    Corpus(CorpusArgs),
    /// Make new questions, without answers.
    Prompts(PromptsArgs),
    /// Ask the models for drafts of new prompts, in shards.
    Drafts(DraftsArgs),
    /// Import problems from a file.
    Import(ImportArgs),
}

/// Arguments of `synthesize world`.
#[derive(Debug, Clone, clap::Args)]
pub struct WorldArgs {
    /// Options common to all stages.
    #[command(flatten)]
    pub common: Common,
    /// The split to draw.
    #[arg(long, value_enum)]
    pub split: WorldSplit,
    /// Folder for the prompts.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// A labelled split of the embedded world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WorldSplit {
    /// The labelled problems to start from.
    Seeds,
    /// For choosing between settings.
    Validation,
    /// For reporting, once.
    Test,
    /// Templates that no other split uses.
    OodTemplates,
    /// Longer chains of steps than in any other split.
    OodChains,
}

impl WorldSplit {
    /// The name on the command line, in presets and in the column `split`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seeds => "seeds",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::OodTemplates => "ood-templates",
            Self::OodChains => "ood-chains",
        }
    }

    pub(crate) fn of_world(self) -> Split {
        match self {
            Self::Seeds => Split::Seeds,
            Self::Validation => Split::Validation,
            Self::Test => Split::Test,
            Self::OodTemplates => Split::OodTemplates,
            Self::OodChains => Split::OodChains,
        }
    }
}

/// Arguments of `synthesize corpus`.
#[derive(Debug, Clone, clap::Args)]
pub struct CorpusArgs {
    /// Options common to all stages.
    #[command(flatten)]
    pub common: Common,
    /// Prompts whose questions must not appear in the corpus; repeatable.
    #[arg(long, value_name = "DIR")]
    pub avoid: Vec<PathBuf>,
    /// Folder for the texts.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `synthesize prompts`.
#[derive(Debug, Clone, clap::Args)]
pub struct PromptsArgs {
    /// Options common to all stages.
    #[command(flatten)]
    pub common: Common,
    /// Where models run.
    #[command(flatten)]
    pub inference: Inference,
    /// The questions to start from. Their answers are not read.
    #[arg(long, value_name = "DIR")]
    pub seeds: PathBuf,
    /// Prompts that no new prompt may resemble, such as a test split; repeatable.
    #[arg(long, value_name = "DIR")]
    pub avoid: Vec<PathBuf>,
    /// The prompts of an earlier round, for presets that learn from them; repeatable.
    #[arg(long, value_name = "DIR")]
    pub earlier: Vec<PathBuf>,
    /// The solutions that were kept in an earlier round; repeatable.
    #[arg(long, value_name = "DIR")]
    pub kept: Vec<PathBuf>,
    /// The policy, for presets that have it write or try questions: a checkpoint, or the address of a server.
    #[arg(long, requires = "text")]
    pub policy: Option<ModelAt>,
    /// The model that writes questions, if not the policy. Best the base model: a policy that has learned to solve
    /// tends to write a solution instead of a question.
    #[arg(long, requires = "policy")]
    pub author: Option<ModelAt>,
    /// How the policy is asked to solve a question: the preset's text.toml.
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Drafts by the same settings and inputs, the output of `synthesize drafts`: models are not asked for them again. It changes no
    /// prompt if the models repeat themselves.
    #[arg(long, value_name = "DIR")]
    pub drafts: Option<PathBuf>,
    /// Folder for the prompts.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `synthesize drafts`.
#[derive(Debug, Clone, clap::Args)]
pub struct DraftsArgs {
    /// Those of `synthesize prompts`; `--out` is the folder for the drafts.
    #[command(flatten)]
    pub prompts: PromptsArgs,
    /// How processes share the work.
    #[command(flatten)]
    pub sharing: Sharing,
}

/// Arguments of `synthesize import`.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// Options common to all stages.
    #[command(flatten)]
    pub common: Common,
    /// The layout of the file.
    #[arg(long, value_enum)]
    pub format: Format,
    /// The file.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Split that the problems belong to, for the column `split`.
    #[arg(long, value_name = "NAME")]
    pub split: String,
    /// The column of the question, or several separated by commas, such as `Body,Question`: their texts are joined by a
    /// space.
    #[arg(long, value_name = "NAME", default_value = "question")]
    pub question_column: String,
    /// The column of the answer.
    #[arg(long, value_name = "NAME", default_value = "answer")]
    pub answer_column: String,
    /// The column of a worked solution; not for `gsm8k`, whose answers are solutions.
    #[arg(long, value_name = "NAME")]
    pub solution_column: Option<String>,
    /// The column of a unique identifier; not for `parquet`.
    #[arg(long, value_name = "NAME")]
    pub id_column: Option<String>,
    /// Read no answers: the problems become prompts to search. The file then needs no answer column.
    #[arg(long)]
    pub without_answers: bool,
    /// Prompts of another split that must not share a question with the file; repeatable. For seeds, give the
    /// validation problems and the tests; for validation problems, the tests.
    #[arg(long, value_name = "DIR")]
    pub apart_from: Vec<PathBuf>,
    /// Only warn about questions that are also in another split.
    #[arg(long)]
    pub allow_overlap: bool,
    /// Only warn about dropped rows and doubtful answers, however many there are.
    #[arg(long)]
    pub allow_loss: bool,
    /// Folder for the prompts.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// The layout of a file of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON lines whose `answer` is a solution that ends in `#### 42`.
    Gsm8k,
    /// JSON lines with named columns.
    Jsonl,
    /// Parquet with named text columns; answers may be numbers.
    Parquet,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, ValueEnum};

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_split_is_called_the_same_everywhere() {
        for split in WorldSplit::value_variants() {
            let value = split.to_possible_value().unwrap();
            assert_eq!(value.get_name(), split.name());
        }
    }
}
