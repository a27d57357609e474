//! `--trainer external`: another program trains on exported examples and leaves a Hugging Face directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dataset::FilesOutput;
use decoding::{Base, Runtime};
use lm::Checkpoint;
use lm::train::Course;
use policy::template::filled;
use serde::Serialize;
use stage::{Failure, ResultExt};

use crate::training::{self, RECORD, Record};

/// One line of `examples.jsonl` and `validation.jsonl`.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// Everything before the solution, with special tokens as text.
    pub(crate) prompt: String,
    /// The solution, ending in the text of the end token.
    pub(crate) completion: String,
    /// Weight of the row's loss; usually 1.
    pub(crate) weight: f32,
}

/// The inputs of an external training run.
pub(crate) struct ExternalTraining<'a> {
    /// The shell command, with the placeholders `{init}`, `{examples}`, `{validation}`, `{out}`, `{updates}`, `{planned}`
    /// and `{seed}`.
    pub(crate) command: &'a str,
    pub(crate) init: &'a Path,
    pub(crate) examples: &'a [Line],
    pub(crate) validation: &'a [Line],
    /// Tokens of the examples, each counted once.
    pub(crate) tokens: usize,
    /// Rows that were left out because they exceed the model's context.
    pub(crate) too_long: usize,
    /// The exact number of updates, for a control; `None` leaves it to the program.
    pub(crate) course: Option<Course>,
    pub(crate) seed: u64,
    /// A chat template to save in place of the program's.
    pub(crate) chat_template: Option<&'a str>,
}

/// The file name of a chat template.
const CHAT_TEMPLATE: &str = "chat_template.jinja";
/// The folder that the program fills, inside the scratch folder.
const OUT: &str = "external";
/// File name endings to take over. Pickled trainer state such as `optimizer.pt` is left behind.
const KEPT: [&str; 5] = [".json", ".safetensors", ".jinja", ".txt", ".model"];

/// Runs the program, checks the model it leaves, and takes its files over unchanged.
///
/// # Errors
/// Exit 65 if the program fails, or leaves a model that this project cannot run.
pub(crate) fn train(
    run: &ExternalTraining<'_>,
    output: FilesOutput,
    runtime: &Runtime,
) -> Result<Record, Failure> {
    let scratch = output.scratch()?;
    let out = scratch.join(OUT);
    if out.exists() {
        // Leftovers of an interrupted run.
        fs::remove_dir_all(&out).or_io(out.display())?;
    }
    fs::create_dir_all(&out).or_io(out.display())?;
    let export = |name: &str, lines: &[Line]| {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line).map_err(Failure::bug)?;
            text.push(b'\n');
        }
        Ok::<_, Failure>(output.write_scratch(name, &text)?)
    };
    let examples = export("examples.jsonl", run.examples)?;
    let validation = export("validation.jsonl", run.validation)?;
    execute(run, [&examples, &validation, &out])?;
    own_files(&out)?;
    // Loaded only to make sure that this project can run the model.
    let loaded = Checkpoint::load(&out, runtime.device());
    loaded.or_data(format!("what the trainer left in {}", out.display()))?;
    let record = record(run, &out)?;
    let base = Base::of(&out)?;
    // The record is left out: `commit` writes this project's own.
    for file in kept(&out)?.into_iter().filter(|file| !file.ends_with(RECORD)) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match run.chat_template {
            Some(_) if name == CHAT_TEMPLATE => {}
            _ => output.adopt(&name, &file)?,
        }
    }
    if let Some(template) = run.chat_template {
        output.write(CHAT_TEMPLATE, template.as_bytes())?;
    }
    if let Some(base) = base {
        output.write(Base::FILE, &training::pretty(&base)?)?;
    }
    training::commit(output, &record)
}

fn execute(
    run: &ExternalTraining<'_>,
    [examples, validation, out]: [&PathBuf; 3],
) -> Result<(), Failure> {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let course = run.course.unwrap_or(Course { updates: 0, planned: 0 });
    let command = filled(
        run.command,
        &[
            ("init", &quoted(run.init)),
            ("examples", &quoted(examples)),
            ("validation", &quoted(validation)),
            ("out", &quoted(out)),
            ("updates", &course.updates.to_string()),
            ("planned", &course.planned.to_string()),
            ("seed", &run.seed.to_string()),
        ],
    );
    tracing::info!("running {command}");
    // Its output goes to standard error: standard output belongs to this stage. The newline lets the command end in a
    // comment.
    let mut child = Command::new("sh");
    child.args(["-c", &format!("{{ {command}\n}} 1>&2")]).stdin(Stdio::null());
    let status = child.status().or_io("sh")?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::data(format!("the trainer failed ({status}): {command}"))
        .hint("its own messages are above; the examples are still there, to try it by hand"))
}

/// Replaces every link among the checkpoint files in `out` with a copy of its target, which may be gone or changed later.
/// Refuses anything that cannot be read to the end, such as a pipe or a device.
fn own_files(out: &Path) -> Result<(), Failure> {
    for path in kept(out)? {
        let link = fs::symlink_metadata(&path).or_io(path.display())?.is_symlink();
        let left = || format!("what the trainer left as {}", path.display());
        // Opening the file already refuses pipes and devices, which would block or never end.
        let file = dataset::open_file(&path).or_data(left())?;
        if !link {
            continue;
        }
        let copy = path.with_extension("copied");
        drop(file);
        // Copies the target of the link. The dataset then takes the copy in like any other file.
        fs::copy(&path, &copy).or_io(copy.display())?;
        fs::rename(&copy, &path).or_io(path.display())?;
    }
    Ok(())
}

/// Reads the program's `training.json`, which must hold at least `{"updates": n}`.
fn record(run: &ExternalTraining<'_>, out: &Path) -> Result<Record, Failure> {
    #[derive(serde::Deserialize)]
    struct TrainerRecord {
        updates: usize,
        #[serde(default)]
        planned: Option<usize>,
        #[serde(default)]
        validation_loss: Option<f64>,
    }
    let path = out.join(RECORD);
    let missing = "the trainer has to say how many updates it made: {\"updates\": n}";
    let text = fs::read(&path).or_data(format!("{}: {missing}", path.display()))?;
    let told: TrainerRecord =
        serde_json::from_slice(&text).or_data(format!("{}: {missing}", path.display()))?;
    // A control is only comparable with its round if both make the same number of updates.
    if let Some(Course { updates: wanted, .. }) = run.course.filter(|it| it.updates > 0)
        && told.updates != wanted
    {
        let made = told.updates;
        return Err(Failure::data(format!(
            "the trainer made {made} updates, not {wanted}: a control makes as many as the round"
        )));
    }
    Ok(Record {
        updates: told.updates,
        planned: told.planned.filter(|planned| *planned > told.updates),
        best_update: told.updates,
        validation_loss: told.validation_loss,
        examples: run.examples.len(),
        pairs: 0,
        tokens: run.tokens,
        too_long: run.too_long,
    })
}

/// The files in `out` that are named like part of a checkpoint, links and pipes included; folders are skipped.
fn kept(out: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(out).or_io(out.display())? {
        let path = entry.or_io(out.display())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kept = !path.is_dir() && KEPT.iter().any(|end| name.ends_with(end));
        files.extend(kept.then_some(path));
    }
    files.sort();
    Ok(files)
}
