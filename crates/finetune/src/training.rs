//! A training run as a stage: saved state, log and checkpoint.

use std::path::Path;

use dataset::{FilesOutput, METRICS};
use decoding::{Base, Runtime};
use lm::Checkpoint;
use lm::train::{Course, Event, Example, Outcome, Preferences, Preferred, TrainConfig, Training};
use serde::{Deserialize, Serialize};
use stage::{Failure, Metrics, Progress, ResultExt};

/// The file name of the training record in a checkpoint.
pub(crate) const RECORD: &str = "training.json";
/// The file name of the saved state in the scratch folder.
const STATE: &str = "state.safetensors";

/// The record of a run, kept with its checkpoint. A control reads from it how many updates to make.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Updates made.
    pub(crate) updates: usize,
    /// Updates that the learning rate was planned for, if the run stopped before them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) planned: Option<usize>,
    /// The update the checkpoint is from.
    pub(crate) best_update: usize,
    /// The validation loss of that update, in nats per target token.
    pub(crate) validation_loss: Option<f64>,
    /// Examples learned from.
    pub(crate) examples: usize,
    /// Pairs learned from. Records from before pairs existed lack the field.
    #[serde(default)]
    pub(crate) pairs: usize,
    /// Tokens of examples and pairs, each counted once.
    pub(crate) tokens: usize,
    /// Rows and pairs that were left out because they exceed the model's context.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) too_long: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is that of serde")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Record {
    /// The record of a checkpoint that was taken as it is.
    pub(crate) fn of_nothing() -> Self {
        Self {
            updates: 0,
            planned: None,
            best_update: 0,
            validation_loss: None,
            examples: 0,
            pairs: 0,
            tokens: 0,
            too_long: 0,
        }
    }

    /// The updates made and planned, for a control of this run.
    pub(crate) fn course(&self) -> Course {
        Course { updates: self.updates, planned: self.planned.unwrap_or(self.updates) }
    }
}

/// The inputs of a training run.
pub(crate) struct TrainingRun<'a> {
    pub(crate) start: &'a Checkpoint,
    pub(crate) examples: &'a [Example],
    pub(crate) preferences: Option<Preferences<'a>>,
    pub(crate) validation: &'a [Example],
    /// How many rows and pairs [`fitting`] left out.
    pub(crate) too_long: usize,
    pub(crate) config: &'a TrainConfig,
    pub(crate) updates: Option<Course>,
    pub(crate) seed: u64,
}

impl TrainingRun<'_> {
    /// The record of a run that ended with `outcome`.
    fn record(&self, outcome: &Outcome) -> Record {
        let pairs = self.preferences.map_or(&[][..], |preferences| preferences.pairs);
        let of_pairs = pairs.iter().map(|pair| pair.chosen.len() + pair.rejected.len());
        Record {
            updates: outcome.updates,
            // Only if the run stopped early. Its control then has the learning rates of this plan and stops at the same update.
            planned: Some(outcome.planned).filter(|planned| *planned > outcome.updates),
            best_update: outcome.best_update,
            validation_loss: outcome.best_loss,
            examples: self.examples.len(),
            pairs: pairs.len(),
            tokens: self.examples.iter().map(|e| e.ids.len()).chain(of_pairs).sum(),
            too_long: self.too_long,
        }
    }
}

/// The result of a training run.
pub(crate) struct Trained {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) record: Record,
}

impl Trained {
    /// A checkpoint taken as it is, without training.
    pub(crate) fn as_it_is(checkpoint: Checkpoint) -> Self {
        Self { checkpoint, record: Record::of_nothing() }
    }

    /// Sets the chat template; `None` removes it.
    pub(crate) fn with_chat_template(self, template: Option<String>) -> Self {
        let tokenizer = self.checkpoint.tokenizer.with_chat_template(template);
        Self { checkpoint: Checkpoint { tokenizer, ..self.checkpoint }, ..self }
    }
}

/// A row with its name and its length.
pub(crate) struct NamedRow<T> {
    /// Folder and id, for messages.
    pub(crate) name: String,
    /// Tokens that the model would read at once.
    pub(crate) tokens: usize,
    pub(crate) row: T,
}

/// At most this many of the rows left out are named one by one.
const MOST_NAMED: usize = 10;

/// The rows of at most `limit` tokens, and the number of those that are longer.
///
/// # Errors
/// If more than half of the rows are longer: the remaining ones would teach something else.
pub(crate) fn fitting<T>(rows: Vec<NamedRow<T>>, limit: usize) -> Result<(Vec<T>, usize), Failure> {
    let all = rows.len();
    let (kept, long): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.tokens <= limit);
    let of = |row: &NamedRow<T>| format!("{} has {} tokens", row.name.escape_debug(), row.tokens);
    if long.len() > kept.len() {
        let problem = format!(
            "{} of {all} rows do not fit the model's context of {limit} tokens: {}, for one",
            long.len(),
            of(&long[0])
        );
        return Err(
            Failure::data(problem).hint("take a model with a longer context, or shorter texts")
        );
    }
    for row in long.iter().take(MOST_NAMED) {
        tracing::warn!("{}, and the model's context {limit}: it is left out", of(row));
    }
    if long.len() > MOST_NAMED {
        tracing::warn!(
            "{} of {all} rows do not fit the model's context and are left out",
            long.len()
        );
    }
    Ok((kept.into_iter().map(|row| row.row).collect(), long.len()))
}

/// A failure inside the training loop: of the model, or of the stage's files.
enum Stopped {
    Model(lm::Error),
    Stage(Failure),
}

impl From<lm::Error> for Stopped {
    fn from(error: lm::Error) -> Self {
        Self::Model(error)
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Stage(failure)
    }
}

/// Trains, resuming from the state in `output`'s scratch folder if there is one.
pub(crate) fn train(
    run: &TrainingRun<'_>,
    output: &FilesOutput,
    dir: &Path,
    runtime: &Runtime,
) -> Result<Trained, Failure> {
    let path = output.scratch()?.join(STATE);
    let saved = saved(&path)?;
    let training = Training {
        checkpoint: run.start,
        examples: run.examples,
        preferences: run.preferences,
        validation: run.validation,
        config: run.config,
        updates: run.updates,
        seed: run.seed,
        workers: runtime.options.workers,
    };
    let mut log = Log { metrics: Metrics::open(&dir.join(METRICS))?, progress: None };
    let mut go = |saved: Option<&[u8]>| {
        training.run::<Stopped>(&runtime.devices, saved, &mut |event| {
            if let Event::Save(state) = &event {
                output.write_scratch(STATE, &state.to_bytes()).map_err(Failure::from)?;
            }
            Ok(log.note(&event)?)
        })
    };
    let mut outcome = go(saved.as_deref());
    // A damaged state is no reason to fail: training is deterministic, so starting over gives the same result.
    if let Err(Stopped::Model(error @ lm::Error::DamagedState)) = &outcome {
        tracing::warn!("{}: {error}: the run starts again", path.display());
        outcome = go(None);
    }
    let outcome: Outcome = outcome.map_err(|stopped| match stopped {
        Stopped::Stage(failure) => failure,
        Stopped::Model(error @ lm::Error::Config(_)) => Failure::config(error.to_string()),
        Stopped::Model(error @ lm::Error::Device(_)) => Failure::unavailable(error.to_string()),
        // The file is whole but of another run, so it is not thrown away unasked.
        Stopped::Model(error @ lm::Error::State(_)) => {
            Failure::data(format!("{}: {error}", path.display()))
                .hint("delete the file: the run then starts again")
        }
        Stopped::Model(error) => Failure::data(error.to_string()),
    })?;
    log.metrics.row(&totals(run, outcome.tokens))?;
    let record = run.record(&outcome);
    let checkpoint = Checkpoint { model: outcome.model, ..run.start.clone() };
    Ok(Trained { checkpoint, record })
}

/// The last row of the metrics: the cost of a run that trained on `tokens`, interrupted parts included, and what was left
/// out. All in one row, because whoever adds up costs takes the last row of each start. The backward pass counts twice the
/// forward pass, and a beginning that rows have in common in each of them. Logits count for every token, although those of
/// questions are not computed.
fn totals(run: &TrainingRun<'_>, tokens: u64) -> serde_json::Value {
    let model = &run.start.config;
    let flops = 3 * tokens * (model.layer_flops() + model.logit_flops());
    let mut row = serde_json::json!({"trained_tokens": tokens, "flops": flops});
    if run.too_long > 0 {
        row["too_long"] = run.too_long.into();
    }
    row
}

/// Writes the whole checkpoint, adapters added to its weights, and its record, and commits.
pub(crate) fn finish(output: FilesOutput, trained: &Trained) -> Result<Record, Failure> {
    for (name, bytes) in trained.checkpoint.files().or_data("checkpoint")? {
        output.write(&name, &bytes)?;
    }
    commit(output, &trained.record)
}

/// Writes the checkpoint to the folder `out`, and its record, and commits. Of a checkpoint with adapters, the files are
/// those of the adapters, and name the directory of their base by its path from `out`: a folder with a run can be moved.
pub(crate) fn finish_beside(
    output: FilesOutput,
    out: &Path,
    trained: &Trained,
    base: &Base,
) -> Result<Record, Failure> {
    let Some(weights) = &trained.checkpoint.base else { return finish(output, trained) };
    let path = path_from(out, weights)?;
    let Some(files) = trained.checkpoint.adapter_files(&path).or_data("checkpoint")? else {
        return finish(output, trained);
    };
    for (name, bytes) in files {
        output.write(&name, &bytes)?;
    }
    output.write(Base::FILE, &pretty(base)?)?;
    commit(output, &trained.record)
}

/// The path of a directory, from another one.
fn path_from(from: &Path, to: &Path) -> Result<String, Failure> {
    let [from, to] = [from, to].map(|dir| dir.canonicalize().or_io(dir.display()));
    let (from, to) = (from?, to?);
    // There is none between two drives.
    let path = pathdiff::diff_paths(&to, &from).unwrap_or(to);
    Ok(path.to_string_lossy().into_owned())
}

/// Commits a checkpoint whose files have been written, with its record.
pub(crate) fn commit(output: FilesOutput, record: &Record) -> Result<Record, Failure> {
    output.write(RECORD, &pretty(record)?)?;
    output.commit()?;
    Ok(record.clone())
}

/// Indented JSON, for files beside a checkpoint.
pub(crate) fn pretty(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec_pretty(value).map_err(Failure::bug)
}

/// Prints the record of a run.
pub(crate) fn summary(role: &str, record: &Record, json: bool) -> Result<(), Failure> {
    if json {
        return stage::print_json(record);
    }
    let loss = record.validation_loss.map_or_else(|| "-".to_owned(), |l| format!("{l:.4}"));
    let row = vec![
        record.examples.to_string(),
        record.pairs.to_string(),
        record.tokens.to_string(),
        record.updates.to_string(),
        record.best_update.to_string(),
        loss,
    ];
    let header = ["examples", "pairs", "tokens", "updates", "best update", "validation loss"];
    stage::print_table(&format!("finetune {role}"), &header, &[row])
}

/// The state saved by an earlier run, if there is one.
fn saved(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::io(format!("{}: {e}", path.display()))),
    }
}

/// The metrics and the progress bar of a run.
struct Log {
    metrics: Metrics,
    progress: Option<Progress>,
}

/// Updates between two rows of the metrics.
const EVERY: usize = 20;

impl Log {
    fn note(&mut self, event: &Event<'_>) -> Result<(), Failure> {
        match *event {
            Event::Update { update, total, loss, rate, norm, tokens, preferred } => {
                let progress = self.progress.get_or_insert_with(|| {
                    let (progress, done) = (Progress::new("updates", total as u64), update - 1);
                    if done > 0 {
                        tracing::info!("going on from update {done}");
                    }
                    progress.skip(done as u64);
                    progress
                });
                progress.add(1);
                progress.message(format!("loss {loss:.3}"));
                if update.is_multiple_of(EVERY) {
                    let mut row = serde_json::json!({
                        "update": update, "loss": loss, "learning_rate": rate,
                        "gradient_norm": norm, "tokens": tokens,
                    });
                    if let Some(Preferred { pairs, loss, accuracy }) = preferred {
                        row["pairs"] = pairs.into();
                        row["pair_loss"] = loss.into();
                        row["pair_accuracy"] = accuracy.into();
                    }
                    self.metrics.row(&row)?;
                }
                Ok(())
            }
            Event::Validated { update, loss, best } => self
                .metrics
                .row(&serde_json::json!({"update": update, "validation_loss": loss, "best": best})),
            Event::Save(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use dataset::{Begin, MetricsLog};
    use lm::{ModelConfig, Tokenizer};

    use super::*;

    fn named(lengths: &[usize]) -> Vec<NamedRow<usize>> {
        let row = |(row, &tokens): (usize, &usize)| NamedRow {
            name: format!("seeds: problem p{row}"),
            tokens,
            row,
        };
        lengths.iter().enumerate().map(row).collect()
    }

    #[test]
    fn a_few_rows_that_are_too_long_are_left_out_and_counted() {
        let (rows, too_long) = fitting(named(&[5, 101, 100, 7, 5000]), 100).unwrap();
        assert_eq!((rows, too_long), (vec![0, 2, 3], 2));
        assert_eq!(fitting(named(&[]), 100).unwrap(), (vec![], 0));
    }

    #[test]
    fn most_rows_too_long_are_an_error_that_names_one() {
        let error = fitting(named(&[5, 101, 102]), 100).unwrap_err().to_string();
        let expected = ["2 of 3 rows", "context of 100 tokens", "seeds: problem p1 has 101 tokens"];
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
    }

    const TEXT: &str = "Tom has 3 bags of 5 apples. 3 * 5 = 15\n#### 15";

    fn checkpoint() -> Checkpoint {
        let special = ["<|bos|>", "<|eos|>"].map(str::to_owned);
        let tokenizer = Tokenizer::train([TEXT].into_iter(), 280, &special).unwrap();
        let config = ModelConfig {
            vocab_size: 288,
            hidden_size: 16,
            intermediate_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            max_position_embeddings: 64,
            tie_word_embeddings: true,
            ..ModelConfig::default()
        };
        Checkpoint::fresh(config, tokenizer, 1, &lm::device::cpu()).unwrap()
    }

    /// Runs for two updates, optionally flips a bit of the saved state, and resumes up to four. `damaged` is a position in
    /// eighths of the file. Returns the weights, the record and the rows of the metrics.
    fn run(damaged: Option<usize>) -> (Vec<u8>, Record, Vec<serde_json::Value>) {
        let start = checkpoint();
        let ids = start.tokenizer.encode(TEXT).unwrap();
        let example = |from: usize| Example {
            ids: ids[from..].to_vec(),
            targets_from: Some(1),
            heads: vec![],
            weight: 1.0,
        };
        let examples: Vec<Example> = (0..6).map(example).collect();
        let config =
            TrainConfig { save_every: 2, batch_tokens: 40, ..TrainConfig::plain(1.0, 1e-2) };
        let run = |updates| TrainingRun {
            start: &start,
            examples: &examples,
            preferences: None,
            validation: &[],
            too_long: 3,
            config: &config,
            updates: Some(Course { updates, planned: updates }),
            seed: 1,
        };
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("policy");
        let begin = || match FilesOutput::begin(&out, alphallm::recipe(), false).unwrap() {
            Begin::Work(output) => output,
            Begin::UpToDate(_) => panic!("nothing is committed yet"),
        };
        let runtime = Runtime::single_thread();
        let state = {
            let output = begin();
            train(&run(2), &output, &out, &runtime).unwrap();
            output.scratch().unwrap().join(STATE)
        };
        if let Some(at) = damaged {
            let mut bytes = std::fs::read(&state).unwrap();
            let at = bytes.len() * at / 8;
            bytes[at] ^= 4;
            std::fs::write(&state, bytes).unwrap();
        }
        let trained = train(&run(4), &begin(), &out, &runtime).unwrap();
        let files = trained.checkpoint.files().unwrap();
        let weights = files.into_iter().find(|(name, _)| name == "model.safetensors").unwrap().1;
        (weights, trained.record, MetricsLog::read(&out.join(METRICS)).unwrap())
    }

    /// The report takes the last row of each start for its totals.
    #[test]
    fn the_last_row_of_the_metrics_has_all_totals() {
        let (_, _, rows) = run(None);
        let last = rows.last().unwrap();
        let count = |name: &str| last[name].as_u64();
        assert!(count("trained_tokens") > Some(0) && count("flops") > Some(0), "{last}");
        assert_eq!((count("start"), count("too_long")), (Some(1), Some(3)), "{last}");
        let first = rows.iter().rfind(|row| row["start"] == 0).unwrap();
        assert!(first["trained_tokens"].as_u64() > Some(0), "{first}");
    }

    /// The learning rate is constant here, so a run of four updates can resume from one of two.
    #[test]
    fn a_damaged_state_is_ignored_and_the_result_is_the_same() {
        let (whole, record, _) = run(None);
        assert_eq!((record.updates, record.too_long), (4, 3));
        for at in [1, 3, 4, 7] {
            assert!(run(Some(at)).0 == whole, "a bit at {at} eighths");
        }
    }
}
