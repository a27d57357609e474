//! Judges that are programs: JSON lines in, JSON lines out.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use stage::{Failure, ResultExt};

use super::judges::Judge;
use super::solutions::Solutions;

/// A program and the name of the judge that it is.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) name: String,
    command: String,
}

impl FromStr for Program {
    type Err = String;

    /// Reads `NAME=COMMAND`.
    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match text.split_once('=') {
            Some((name, command))
                if !name.is_empty() && name.chars().all(plain) && !command.trim().is_empty() =>
            {
                Ok(Self { name: name.to_owned(), command: command.to_owned() })
            }
            _ => Err(format!("`{text}` is not NAME=COMMAND; a name has letters, digits, - and _")),
        }
    }
}

/// A line of the program's input: a solution, without the gold answer of its problem.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    id: &'a str,
    prompt_id: &'a str,
    prompt: &'a str,
    completion: &'a str,
    options: Vec<&'a str>,
    answer: Option<&'a str>,
    /// The scores of the judges of the tables, by their names.
    scores: BTreeMap<&'a str, f64>,
}

/// A line of its output.
#[derive(Debug, Deserialize)]
struct Told {
    id: String,
    score: f64,
}

impl Program {
    /// The score of every solution, by its place.
    ///
    /// # Errors
    /// A program that cannot be run or fails; lines that are none of these; a solution without a score, or with two.
    pub(super) fn judge(
        &self,
        solutions: &Solutions,
        judges: &[Judge],
    ) -> Result<Vec<f64>, Failure> {
        let place = format!("--critic {}", self.name);
        let mut child = Command::new("sh")
            .args(["-c", &self.command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .or_io(&place)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(Failure::bug(format!("{place}: no pipes")));
        };
        // From another thread: a program that answers as it reads would wait for its answers to be read.
        let scores = std::thread::scope(|scope| {
            scope.spawn(|| ask(stdin, solutions, judges));
            self.read(BufReader::new(stdout), solutions)
        });
        let status = child.wait().or_io(&place)?;
        // A bad line comes first: it closes the pipe, and the program may end by that.
        let scores = scores?;
        if !status.success() {
            // A program that fails in the middle has not scored all, which says less.
            return Err(Failure::data(format!("{place}: `{}` ended with {status}", self.command)));
        }
        let lacking = scores.iter().filter(|score| score.is_none()).count();
        let of = scores.len();
        scores.into_iter().collect::<Option<Vec<f64>>>().ok_or_else(|| {
            Failure::data(format!("{place}: {lacking} of {of} solutions have no score"))
        })
    }

    /// The scores that it wrote; `None` where it wrote none.
    fn read(
        &self,
        lines: impl BufRead,
        solutions: &Solutions,
    ) -> Result<Vec<Option<f64>>, Failure> {
        let ids = solutions.all.iter().map(|one| one.trajectory.trajectory_id.as_str());
        let places: BTreeMap<&str, usize> = ids.zip(0..).collect();
        let mut scores = vec![None; solutions.all.len()];
        for (number, line) in (1..).zip(lines.lines()) {
            let place = format!("--critic {}: line {number} of its output", self.name);
            let line = line.or_data(&place)?;
            let told: Told = serde_json::from_str(&line).or_data(&place)?;
            let Some(&at) = places.get(told.id.as_str()) else {
                return Err(Failure::data(format!("{place}: there is no solution {}", told.id)));
            };
            if !told.score.is_finite() {
                return Err(Failure::data(format!("{place}: the score is not a finite number")));
            }
            if scores[at].replace(told.score).is_some() {
                return Err(Failure::data(format!("{place}: {} has a score already", told.id)));
            }
        }
        Ok(scores)
    }
}

/// Writes all solutions. A program that stops reading has ended or is about to; how it ended says more than the broken pipe.
fn ask(stdin: ChildStdin, solutions: &Solutions, judges: &[Judge]) {
    let mut stdin = BufWriter::new(stdin);
    for at in 0..solutions.all.len() {
        let Ok(line) = serde_json::to_string(&asked(solutions, judges, at)) else { return };
        if writeln!(stdin, "{line}").is_err() {
            return;
        }
    }
    drop(stdin.flush());
}

fn asked<'a>(solutions: &'a Solutions, judges: &'a [Judge], at: usize) -> Asked<'a> {
    let trajectory = &solutions.all[at].trajectory;
    Asked {
        id: &trajectory.trajectory_id,
        prompt_id: &trajectory.prompt_id,
        prompt: &trajectory.prompt,
        completion: &trajectory.completion,
        options: trajectory.options.iter().map(|option| option.text.as_str()).collect(),
        answer: trajectory.answer.as_deref(),
        scores: judges.iter().map(|judge| (judge.name.as_str(), judge.scores[at])).collect(),
    }
}

#[cfg(test)]
mod tests {
    use schema::{Critique, Trajectory};

    use super::super::solutions::Solution;
    use super::*;

    #[test]
    fn a_program_is_told_no_right_answer() {
        let (trajectory, critique) = (Trajectory::default(), Critique::default());
        let solutions = Solutions {
            all: vec![Solution { trajectory, critique, right: true, born: 0 }],
            problems: std::iter::once(0..1).collect(),
            most_tokens: 0,
        };
        let judges = [Judge { name: "orm".to_owned(), scores: vec![0.5] }];
        let told = serde_json::to_value(asked(&solutions, &judges, 0)).unwrap();
        let mut keys: Vec<&String> = told.as_object().unwrap().keys().collect();
        keys.sort();
        let expected = ["answer", "completion", "id", "options", "prompt", "prompt_id", "scores"];
        assert_eq!(keys, expected);
        assert_eq!(told["scores"], serde_json::json!({"orm": 0.5}));
    }
}
