//! `finetune merge`: a whole model from adapters and their base, for programs that read no adapters.

use std::path::PathBuf;

use dataset::{Begin, FilesOutput, Recipe};
use decoding::{InitialModel, Runtime};
use stage::{Compute, Failure};

use crate::training::{self, Trained};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    compute: Compute,
    /// The checkpoint with adapters. Its files name its base.
    #[arg(long)]
    model: PathBuf,
    /// Output folder for the whole model, in the type of the base's weights: in bf16 a change that is smaller than a weight's
    /// last digit is lost.
    #[arg(long)]
    out: PathBuf,
    /// Replace an output that was made from another model.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let runtime = Runtime::new(&args.compute)?;
    let model = InitialModel::load("model", &args.model, &runtime, None)?;
    if !model.checkpoint.is_adapted() {
        let dir = args.model.display();
        return Err(Failure::data(format!(
            "{dir}: it has no adapters, so there is nothing to merge"
        )));
    }
    let recipe = Recipe {
        tool: "finetune-merge".to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: None,
        config: dataset::digest_of(&())?,
        seed: 0,
        inputs: vec![model.input],
    };
    match FilesOutput::begin(&args.out, recipe, args.force)? {
        Begin::UpToDate(_) => tracing::info!("up to date"),
        Begin::Work(output) => {
            training::finish(output, &Trained::as_it_is(model.checkpoint))?;
        }
    }
    Ok(())
}
