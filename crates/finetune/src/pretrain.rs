//! `finetune pretrain`: trains a base model on raw text.

use std::path::PathBuf;

use dataset::Dataset;
use decoding::{InitialModel, Runtime};
use lm::config::EndTokens;
use lm::train::{Example, TrainConfig};
use lm::{Checkpoint, ModelConfig, Tokenizer};
use schema::CorpusText;
use serde::{Deserialize, Serialize};
use stage::{Common, Compute, Failure, Plan, Preset, ResultExt};

use crate::training::{self, TrainingRun};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    compute: Compute,
    /// The texts to train on.
    #[arg(long)]
    corpus: PathBuf,
    /// Use the tokenizer of this checkpoint instead of training one.
    #[arg(long)]
    tokenizer_of: Option<PathBuf>,
    /// Output folder for the checkpoint.
    #[arg(long)]
    out: PathBuf,
}

/// The preset's `base.toml` and `fast-base.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The most entries of the vocabulary.
    vocab_size: usize,
    /// Special tokens in the order of their ids; the first three are beginning of text, end of text and padding.
    special_tokens: Vec<String>,
    /// Texts to give entries in the vocabulary although the corpus lacks them, such as the answer mark.
    #[serde(default)]
    frequent: Vec<String>,
    /// Texts are packed into rows of at most this many tokens.
    row_tokens: usize,
    /// The shape of the model.
    model: Shape,
    /// Hyperparameters.
    train: TrainConfig,
}

/// The shape of a model; the field names are those of a Hugging Face configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    rope_theta: f64,
    tie_word_embeddings: bool,
}

/// Ids of the three tokens every model needs: their positions in `special_tokens`.
const BOS: u32 = 0;
const EOS: u32 = 1;
const PAD: u32 = 2;
/// How often each text of `frequent` is repeated for the tokenizer: far more often than its rarest token occurs.
const FREQUENT_TIMES: usize = 1000;
/// The vocabulary size is rounded up to a multiple of this, which suits matrix products.
const VOCAB_MULTIPLE: usize = 16;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let preset: Preset<Config> = args.common.preset()?;
    let config = &preset.value;
    if config.special_tokens.len() <= PAD as usize {
        return Err(Failure::config("special_tokens: name the opening, the end and the filler"));
    }
    config.model.check(config.vocab_size)?;
    config.check_rows()?;
    let runtime = Runtime::new(&args.compute)?;
    let corpus = Dataset::<CorpusText>::open(&args.corpus)?.require_rows()?;
    let mut inputs = vec![corpus.input("corpus")];
    let donor = match &args.tokenizer_of {
        Some(dir) => Some(InitialModel::load("tokenizer", dir, &runtime, None)?),
        None => None,
    };
    inputs.extend(donor.iter().map(|model| model.input.clone()));
    let plan = Plan { tool: "finetune-pretrain", common: &args.common, settings: config, inputs };
    let Some(work) = plan.unless_dry(format_args!("pretrain on {} texts", corpus.len()))? else {
        return Ok(());
    };
    let Some(work) = work.unless_done(&args.out)? else { return Ok(()) };
    let texts = corpus.rows()?;
    let tokenizer = if let Some(model) = donor {
        model.checkpoint.tokenizer
    } else {
        let frequent = config.frequent.iter().map(String::as_str);
        let frequent = frequent.flat_map(|text| std::iter::repeat_n(text, FREQUENT_TIMES));
        let texts = texts.iter().map(|row| row.text.as_str()).chain(frequent);
        Tokenizer::train(texts, config.vocab_size, &config.special_tokens).or_data("tokenizer")?
    };
    let rows = pack(&texts, &tokenizer, config.row_tokens)?;
    let model = config.model.with_vocabulary(tokenizer.len().next_multiple_of(VOCAB_MULTIPLE));
    let start = Checkpoint::fresh(model, tokenizer, args.common.seed, runtime.device())
        .or_config("model")?;
    // Begun only now: a model or a corpus that is refused leaves no begun folder and, with --force, costs no old base.
    let Some(output) = work.files(&args.out)? else { return Ok(()) };
    let run = TrainingRun {
        start: &start,
        examples: &rows,
        preferences: None,
        validation: &[],
        too_long: 0,
        config: &config.train,
        updates: None,
        seed: args.common.seed,
    };
    let trained = training::train(&run, &output, &args.out, &runtime)?;
    training::finish(output, &trained)?;
    training::summary("pretrain", &trained.record, args.common.json)
}

impl Config {
    /// Checks that a row has room for a text with its two ends, and the model's context for a row.
    fn check_rows(&self) -> Result<(), Failure> {
        let (row, most) = (self.row_tokens, self.model.max_position_embeddings);
        if row < 3 || row > most {
            return Err(Failure::config(format!(
                "row_tokens is {row}: it must be at least 3, and at most max_position_embeddings, {most}"
            )));
        }
        Ok(())
    }
}
/// The most weights of a model trained from scratch: training takes sixteen bytes for each.
const MOST_WEIGHTS: f64 = 1e10;

impl Shape {
    /// Refuses a model too large for any machine before its memory is allocated.
    fn check(&self, vocabulary: usize) -> Result<(), Failure> {
        let [hidden, inner, layers] =
            [self.hidden_size, self.intermediate_size, self.num_hidden_layers].map(|n| n as f64);
        // An estimate: embeddings, and per layer four attention matrices and three of the feed-forward block.
        let weights = hidden * vocabulary as f64 + layers * hidden * (4.0 * hidden + 3.0 * inner);
        if weights <= MOST_WEIGHTS {
            return Ok(());
        }
        Err(Failure::config(format!(
            "model: {layers} layers of {hidden} and {inner} with {vocabulary} tokens have some \
             {weights:.1e} weights; the most is {MOST_WEIGHTS:.0e}"
        )))
    }

    fn with_vocabulary(&self, vocab_size: usize) -> ModelConfig {
        ModelConfig {
            vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: Some(self.num_key_value_heads),
            max_position_embeddings: self.max_position_embeddings,
            rms_norm_eps: self.rms_norm_eps,
            rope_theta: self.rope_theta,
            tie_word_embeddings: self.tie_word_embeddings,
            bos_token_id: Some(BOS),
            eos_token_id: Some(EndTokens::One(EOS)),
            pad_token_id: Some(PAD),
            ..ModelConfig::default()
        }
    }
}

/// Packs the texts into rows, each between a beginning and an end token. A text longer than a row is cut.
fn pack(
    texts: &[CorpusText],
    tokenizer: &Tokenizer,
    row_tokens: usize,
) -> Result<Vec<Example>, Failure> {
    let (mut rows, mut cut) = (Vec::<Vec<u32>>::new(), 0);
    for text in texts {
        let mut ids = vec![BOS];
        ids.extend(tokenizer.encode(&text.text).or_data(format_args!("text {}", text.text_id))?);
        ids.push(EOS);
        cut += usize::from(ids.len() > row_tokens);
        // After the end token was added, so that a text that is cut does not seem to end there.
        ids.truncate(row_tokens);
        match rows.last_mut() {
            Some(row) if row.len() + ids.len() <= row_tokens => row.extend(ids),
            _ => rows.push(ids),
        }
    }
    if cut > 0 {
        tracing::warn!(
            "{cut} of {} texts are longer than a row of {row_tokens} tokens and are cut",
            texts.len()
        );
    }
    // Every token but the first is a target: raw text has no prompt to leave out.
    let example = |ids| Example { ids, targets_from: Some(1), heads: Vec::new(), weight: 1.0 };
    Ok(rows.into_iter().map(example).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_read_and_in_range() {
        let values: Vec<Config> = stage::shipped(|name| name.ends_with("base.toml")).unwrap();
        assert!(values.len() >= 2, "{} files", values.len());
        for value in values {
            value.train.validate().unwrap();
            value.model.check(value.vocab_size).unwrap();
            let huge = Shape { hidden_size: 10_000_000, ..value.model };
            let refused = huge.check(value.vocab_size).unwrap_err().to_string();
            assert!(refused.contains("layers of 10000000"), "{refused}");
        }
    }
}
