//! Writes trajectories and their critiques as a search of many prompts would, ten of each, and the prompts with answers. With them,
//! the answers of two models to the same problems by ten decoders each. To measure what reads such tables.
//!
//! ```text
//! cargo run --release -p filter --example many_trajectories -- FOLDER [PROMPTS]
//! ```

use std::path::Path;

use dataset::{Begin, Mode, Output, Recipe, chunk};
use schema::{Check, Critique, Evaluation, Prompt, Table, TextOption, Trajectory};

type Failed = Box<dyn std::error::Error>;

const EACH: usize = 10;

fn main() -> Result<(), Failed> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().ok_or("say in which folder")?;
    let prompts = words.next().map_or(Ok(1_000_000), |word| word.parse())?;
    let folder = Path::new(&folder);
    write(&folder.join("trajectories"), prompts, EACH, trajectory)?;
    write(&folder.join("critiques"), prompts, EACH, critique)?;
    write(&folder.join("problems"), prompts, 1, |prompt, _| problem(prompt))?;
    write(&folder.join("base"), prompts, EACH, |prompt, decoder| answer(prompt, decoder, 3))?;
    write(&folder.join("round-1"), prompts, EACH, |prompt, decoder| answer(prompt, decoder, 4))
}

/// Writes so many rows of each prompt.
fn write<T: Table>(
    dir: &Path,
    prompts: usize,
    each: usize,
    row: fn(usize, usize) -> T,
) -> Result<(), Failed> {
    let recipe = Recipe {
        tool: "many-trajectories".to_owned(),
        tool_version: "0".to_owned(),
        revision: None,
        config: String::new(),
        seed: 0,
        inputs: Vec::new(),
    };
    let parts = chunk(prompts, 64);
    let Begin::Work(output) = Output::begin(dir, recipe, parts.len(), Mode::Replace)? else {
        return Ok(());
    };
    for (index, prompts) in parts.into_iter().enumerate() {
        let rows = prompts.flat_map(|prompt| (0..each).map(move |place| row(prompt, place)));
        output.write_part(index, &rows.collect::<Vec<T>>())?;
    }
    output.commit()?;
    Ok(())
}

fn prompt_id(prompt: usize) -> String {
    format!("{prompt:032x}")
}

fn trajectory(prompt: usize, place: usize) -> Trajectory {
    let (first, second) = (prompt % 97 + 2, place % 7 + 1);
    let options = [
        format!("She has {first} * {second} = {} marbles in the bags.\n", first * second),
        format!(
            "With those on the table it is {} + {prompt} = {}.\n",
            first * second,
            first * second + prompt
        ),
        format!("#### {}", first * second + prompt + place % 3),
    ];
    let option =
        |text: &String| TextOption { text: text.clone(), tokens: 14, ..TextOption::default() };
    Trajectory {
        trajectory_id: format!("{:032x}", prompt * EACH + place),
        prompt_id: prompt_id(prompt),
        leaf_id: Some(place as i32),
        prompt: format!(
            "Ada has {first} bags of {second} marbles, and {prompt} on the table. How many has she?"
        ),
        completion: options.concat(),
        options: options.iter().map(option).collect(),
        answer: Some((first * second + prompt + place % 3).to_string()),
        q: Some(0.5),
        rank: place as i32,
        tokens: 42,
        decoder: "mcts".to_owned(),
        finished: true,
        round: 1,
        ..Trajectory::default()
    }
}

fn problem(prompt: usize) -> Prompt {
    Prompt {
        prompt_id: prompt_id(prompt),
        prompt: format!("Ada has {prompt} marbles. How many has she?"),
        answer: Some(prompt.to_string()),
        source: "example".to_owned(),
        split: "test".to_owned(),
        ..Prompt::default()
    }
}

/// An answer that is right for `of_ten` problems of ten.
fn answer(prompt: usize, decoder: usize, of_ten: usize) -> Evaluation {
    let (correct, target) = ((prompt * 7 + decoder) % 10 < of_ten, prompt.to_string());
    let answer = Some(if correct { target.clone() } else { "0".to_owned() });
    Evaluation {
        task: "example".to_owned(),
        split: "test".to_owned(),
        prompt_id: prompt_id(prompt),
        decoder: format!("sample@{}", decoder + 1),
        prediction: answer.clone(),
        answer,
        target,
        correct,
        tokens: Some(42),
        completion: Some(trajectory(prompt, decoder).completion),
        ..Evaluation::default()
    }
}

fn critique(prompt: usize, place: usize) -> Critique {
    let score = (prompt * 31 + place * 17) % 100;
    let check = Check {
        expression: "2 * 3".to_owned(),
        claimed: Some("6".to_owned()),
        computed: Some("6".to_owned()),
        ok: true,
    };
    Critique {
        trajectory_id: format!("{:032x}", prompt * EACH + place),
        prompt_id: prompt_id(prompt),
        values: vec![0.5; 3],
        process_rewards: vec![0.5; 3],
        outcome_reward: score as f32 / 100.0,
        checks: vec![check; 2],
        score: score as f32 / 100.0,
        agreement: Some(0.4),
        round: 1,
        ..Critique::default()
    }
}
