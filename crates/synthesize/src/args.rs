//! The command line.

use std::path::PathBuf;

use decoding::ModelAt;
use stage::Common;
use world::Split;

/// Makes prompts: from the embedded world, from seed questions, from files.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "synthesize", version)]
pub struct Args {
    /// What to make.
    #[command(subcommand)]
    pub command: Command,
}

/// What to make. Each command has a preset of its own.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Labelled problems of the embedded world.
    World(WorldArgs),
    /// Raw text of the embedded world, to pretrain a policy on.
    Corpus(CorpusArgs),
    /// New questions, without answers.
    Prompts(PromptsArgs),
    /// Problems from a file.
    Import(ImportArgs),
}

/// Arguments of `synthesize world`.
#[derive(Debug, Clone, clap::Args)]
pub struct WorldArgs {
    /// What every stage takes.
    #[command(flatten)]
    pub common: Common,
    /// The split to draw.
    #[arg(long, value_enum)]
    pub split: WorldSplit,
    /// Where the prompts go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// A split of the embedded world that has labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WorldSplit {
    /// The labelled problems to begin with.
    Seeds,
    /// For choosing between settings.
    Validation,
    /// For reporting, once.
    Test,
    /// Templates that no other split uses.
    OodTemplates,
    /// Longer chains of steps than any other split has.
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
    /// What every stage takes.
    #[command(flatten)]
    pub common: Common,
    /// Prompts whose questions must not occur; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub avoid: Vec<PathBuf>,
    /// Where the texts go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `synthesize prompts`.
#[derive(Debug, Clone, clap::Args)]
pub struct PromptsArgs {
    /// What every stage takes.
    #[command(flatten)]
    pub common: Common,
    /// The questions to start from. Their answers are not read.
    #[arg(long, value_name = "DIR")]
    pub seeds: PathBuf,
    /// Prompts that nothing made may resemble, such as a test split; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub avoid: Vec<PathBuf>,
    /// The prompts of an earlier round, for a preset that learns from them; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub earlier: Vec<PathBuf>,
    /// What was kept of an earlier round's solutions; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub kept: Vec<PathBuf>,
    /// The policy, for a preset that has it write or try questions: its checkpoint, or the address of a server.
    #[arg(long, requires = "text")]
    pub policy: Option<ModelAt>,
    /// The model that writes questions, if not the policy, such as the base: who has learned to solve writes solutions.
    #[arg(long, requires = "policy")]
    pub author: Option<ModelAt>,
    /// How the policy is asked to solve a question: the preset's text.toml.
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Where the prompts go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `synthesize import`.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// What every stage takes.
    #[command(flatten)]
    pub common: Common,
    /// How the file is laid out.
    #[arg(long, value_enum)]
    pub format: Format,
    /// The file.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// What the problems are for; the column `split`.
    #[arg(long, value_name = "NAME")]
    pub split: String,
    /// The column of the question, or several with commas between them, such as `Body,Question`: their texts are joined by
    /// a space.
    #[arg(long, value_name = "NAME", default_value = "question")]
    pub question_column: String,
    /// The column of the answer.
    #[arg(long, value_name = "NAME", default_value = "answer")]
    pub answer_column: String,
    /// The column of a worked solution; not for `gsm8k`, whose answers are solutions.
    #[arg(long, value_name = "NAME")]
    pub solution_column: Option<String>,
    /// The column of an identifier, which must not repeat; not for `parquet`.
    #[arg(long, value_name = "NAME")]
    pub id_column: Option<String>,
    /// Read no answers: the problems become prompts to search. The file needs no answer column then.
    #[arg(long)]
    pub without_answers: bool,
    /// Prompts of another split, of which no question may be in the file; may be repeated. For seeds, the validation
    /// problems and the tests; for validation problems, the tests.
    #[arg(long, value_name = "DIR")]
    pub apart_from: Vec<PathBuf>,
    /// Only warn of questions that are in another split, too.
    #[arg(long)]
    pub allow_overlap: bool,
    /// Only warn of rows that are dropped, and of answers that nothing may ever agree with, however many there are.
    #[arg(long)]
    pub allow_loss: bool,
    /// Where the prompts go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// How a file of problems is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON lines whose `answer` is a solution that ends in `#### 42`.
    Gsm8k,
    /// JSON lines with named columns.
    Jsonl,
    /// Parquet with named columns of text; answers may be numbers.
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
