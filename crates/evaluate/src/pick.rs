//! `evaluate pick`: a bench for judges and for the ways to pick an answer, on trees that a search has written.
//!
//! Nothing is searched and no model runs: the solutions of problems with known answers are read with their critiques, every
//! judge scores them, and every rule picks one of each problem. What can be picked at best is a right solution wherever there
//! is one, so each rule is measured by how many of those it finds. A judge is a score of the tables or any program
//! (`--critic`): JSON lines in, JSON lines out, without the gold answers.

mod figures;
mod judges;
mod program;
mod rules;
mod solutions;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use stage::{Failure, ResultExt, print_json, print_table};

use figures::Figures;
use judges::Judge;
use program::Program;
use rules::Rule;
use solutions::Solutions;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Trajectories that a search found for the problems.
    #[arg(long)]
    trajectories: PathBuf,
    /// Their critiques, by `critique score`.
    #[arg(long)]
    critiques: PathBuf,
    /// The problems with their answers. Choose a rule by problems that no test uses, such as the validation split.
    #[arg(long)]
    problems: PathBuf,
    /// The nodes of the trees: picks are then also made from what smaller trees would have had.
    #[arg(long)]
    nodes: Option<PathBuf>,
    /// A judge of yours, as NAME=COMMAND, run by `sh -c`; repeat it for several. It reads a JSON object a line (id, `prompt_id`,
    /// prompt, completion, options, answer, scores of the judges of the tables) and writes one with id and score for each, in
    /// any order.
    #[arg(long = "critic", value_name = "NAME=COMMAND")]
    critics: Vec<Program>,
    /// Votes also weigh each solution by the policy's probability of it to this power, beside votes that do not; 0 for none.
    #[arg(long, default_value_t = 0.25, value_name = "POWER")]
    likelihood: f64,
    /// The rule that the others are compared with.
    #[arg(long, default_value = "vote orm", value_name = "RULE")]
    against: String,
    /// Also write all figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// Reads the solutions, has them judged, picks by every rule and prints how much each rule finds.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if !(0.0..=1.0).contains(&args.likelihood) {
        return Err(Failure::usage(format!("--likelihood {}: from 0 to 1", args.likelihood)));
    }
    let solutions = Solutions::read(args)?;
    let mut judges = Judge::of_tables(&solutions);
    let of_tables = judges.len();
    for program in &args.critics {
        if judges.iter().any(|judge| judge.name == program.name) {
            let message = format!("--critic {}: there is a judge of this name", program.name);
            return Err(Failure::usage(message));
        }
        let scores = program.judge(&solutions, &judges[..of_tables])?;
        judges.push(Judge { name: program.name.clone(), scores });
    }
    let rules = Rule::all(&judges, args.likelihood);
    let figures = Figures::of(&solutions, &judges, &rules, &args.against)?;
    if let Some(path) = &args.out {
        let text = serde_json::to_string_pretty(&figures).or_bug("cannot write JSON")?;
        dataset::write_file(path, format!("{text}\n").as_bytes())?;
    }
    if args.json {
        return print_json(&figures);
    }
    for (title, header, rows) in figures.tables() {
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        print_table(&title, &header, &rows)?;
    }
    Ok(())
}
