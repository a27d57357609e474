//! Loads a checkpoint and saves it again: `cargo run --release --example resave -- FROM TO`. `check_saved.py`, next to
//! the fixtures, compares the two in transformers.

use std::error::Error;
use std::path::Path;

use lm::{Checkpoint, device};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = args.as_slice() else { return Err("two directories are needed".into()) };
    std::fs::create_dir_all(to)?;
    for (name, bytes) in Checkpoint::load(Path::new(from), &device::cpu())?.files()? {
        std::fs::write(Path::new(to).join(name), bytes)?;
    }
    Ok(())
}
