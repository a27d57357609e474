//! Lays out, looks at and completes a dataset of many parts, and prints the time and the memory of each.
//!
//! ```text
//! cargo run --release -p dataset --example many_parts -- FOLDER [PARTS] [ROWS]
//! ```

use std::path::Path;
use std::time::Instant;

use dataset::{Begin, Mode, Output, Recipe, Standing};
use schema::Prompt;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().ok_or("say in which folder")?;
    let mut number = |usual: usize| words.next().map_or(Ok(usual), |word| word.parse());
    let (dir, parts, rows) = (Path::new(&folder), number(10_000)?, number(100)?);
    let recipe = || Recipe {
        tool: "many-parts".to_owned(),
        tool_version: "0".to_owned(),
        revision: None,
        config: String::new(),
        seed: 0,
        inputs: Vec::new(),
    };
    let begin = |mode| match Output::<Prompt>::begin(dir, recipe(), parts, mode)? {
        Begin::Work(output) => Ok::<_, Box<dyn std::error::Error>>(output),
        Begin::UpToDate(_) => Err("the folder has this dataset already".into()),
    };
    timed("plan", || begin(Mode::Replace).map(drop))?;
    timed("make all parts as one shard", || {
        let output = begin(Mode::Shard { scratch: None })?;
        (0..parts).try_for_each(|part| output.write_part(part, &prompts(part * rows, rows)))?;
        Ok(())
    })?;
    timed("status", || {
        let standing = Standing::of(dir)?.ok_or("nothing was begun")?;
        assert!(standing.missing.is_empty());
        Ok(())
    })?;
    timed("begin a shard that has nothing to make", || {
        begin(Mode::Shard { scratch: None }).map(drop)
    })?;
    timed("merge", || {
        begin(Mode::Alone)?.commit()?;
        Ok(())
    })
}

fn prompts(first: usize, count: usize) -> Vec<Prompt> {
    let prompt = |i: usize| Prompt {
        prompt_id: format!("{i:032x}"),
        prompt: format!("Ada has {i} marbles and finds {} more. How many has she?", i % 7),
        source: "example".to_owned(),
        split: "train".to_owned(),
        ..Prompt::default()
    };
    (first..first + count).map(prompt).collect()
}

#[expect(clippy::print_stdout, reason = "the output of an example")]
fn timed(
    what: &str,
    run: impl FnOnce() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let clock = Instant::now();
    run()?;
    println!("{what}: {:.1} s, {} at most", clock.elapsed().as_secs_f64(), peak_memory());
    Ok(())
}

/// The most memory that this process has had so far, as Linux says it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown memory".to_owned(), |size| size.trim().to_owned())
}
