//! `synthesize corpus`: raw text of the embedded world, to pretrain a policy on.
//!
//! It stands for the knowledge of a language model before it is taught to solve anything: lines of arithmetic, short
//! stories with one computed sentence, and plain questions. No question comes with a solution or an answer.

use std::collections::BTreeMap;

use dataset::{Recipe, seed_for};
use schema::CorpusText;
use serde::{Deserialize, Serialize};
use stage::{Failure, Plan};
use world::{CorpusMix, is_evaluation};

use crate::args::CorpusArgs;
use crate::avoid::{Avoid, AvoidConfig};
use crate::output::{self, Made, Tally, Target};
use crate::prompts::avoided;

/// The kind of text that is checked against the questions to avoid.
const QUESTION: &str = "question";

/// Preset of `synthesize corpus`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusConfig {
    /// Seed of the world, the same as in the preset of its problems.
    pub world_seed: u64,
    /// Lines of arithmetic, such as `37 + 45 = 82`. Frequent ones are repeated, as in any text.
    pub arithmetic: usize,
    /// Short stories with one computed sentence.
    pub stories: usize,
    /// Questions, without solutions and answers.
    pub questions: usize,
    /// Share of distinct texts that are held out to measure learning, 0 to 1.
    pub held_out: f64,
    /// Texts per part; 0 puts all of them into one.
    pub chunk_rows: usize,
    /// When a question counts as too similar to one to be avoided.
    pub decontaminate: AvoidConfig,
}

impl CorpusConfig {
    fn check(&self) -> Result<(), Failure> {
        if !(0.0..=1.0).contains(&self.held_out) {
            let share = self.held_out;
            return Err(Failure::config(format!("`held_out` is {share}: it has to be 0 to 1")));
        }
        if self.texts() == 0 {
            return Err(Failure::config("`arithmetic`, `stories` and `questions` are all 0"));
        }
        self.decontaminate.check()
    }

    fn texts(&self) -> usize {
        self.arithmetic.saturating_add(self.stories).saturating_add(self.questions)
    }
}

pub(crate) fn run(args: &CorpusArgs) -> Result<(), Failure> {
    let config: CorpusConfig = args.common.preset()?.value;
    config.check()?;
    let (avoided, inputs) = avoided(&args.avoid)?;
    let common = &args.common;
    let plan = Plan { tool: "synthesize corpus", common, settings: &config, inputs };
    // The run's seed decides nothing here, so another one must not make the dataset out of date.
    let recipe = Recipe { seed: config.world_seed, ..plan.recipe()? };
    let (rows, chunk_rows, out) = (config.texts(), config.chunk_rows, args.out.as_path());
    output::write(Target { common, out, recipe, rows, chunk_rows }, || {
        Ok(texts(&config, &Avoid::new(&avoided, &[], &config.decontaminate), common.round))
    })
}

/// Counts of the texts of one kind.
#[derive(Default)]
struct Ends {
    draws: usize,
    contaminated: usize,
    repeated: usize,
    train: usize,
    held_out: usize,
}

impl Ends {
    fn tally(&self, kind: &str) -> Tally {
        let counts = vec![
            ("draws", self.draws),
            ("contaminated", self.contaminated),
            ("repeated", self.repeated),
            ("train", self.train),
            ("held_out", self.held_out),
        ];
        Tally { about: "kind", name: kind.to_owned(), counts }
    }
}

fn texts(config: &CorpusConfig, avoid: &Avoid, round: i32) -> Made<CorpusText> {
    let CorpusConfig { arithmetic, stories, questions, world_seed, held_out, .. } = *config;
    let drawn = world::corpus(CorpusMix { arithmetic, stories, questions }, world_seed);
    let mut ends = BTreeMap::<&str, Ends>::new();
    let mut seen = BTreeMap::<String, usize>::new();
    let mut rows = Vec::with_capacity(drawn.len());
    for (kind, text) in drawn {
        let end = ends.entry(kind).or_default();
        end.draws += 1;
        if kind == QUESTION && (is_evaluation(&text) || avoid.resemblance(&text).is_some()) {
            end.contaminated += 1;
            continue;
        }
        let before = seen.entry(text.clone()).and_modify(|count| *count += 1).or_default();
        end.repeated += usize::from(*before > 0);
        // Decided by the text alone, so that no copy of a held-out text is trained on.
        let split = if is_held_out(&text, held_out, world_seed) { "held_out" } else { "train" };
        *(if split == "train" { &mut end.train } else { &mut end.held_out }) += 1;
        rows.push(CorpusText {
            // Frequent lines are repeated, so the id has the number of the copy.
            text_id: dataset::row_id(&[&text, &before.to_string()]),
            text,
            kind: kind.to_owned(),
            split: split.to_owned(),
            round,
        });
    }
    Made { rows, tallies: ends.iter().map(|(kind, end)| end.tally(kind)).collect(), spent: None }
}

fn is_held_out(text: &str, share: f64, world_seed: u64) -> bool {
    // 53 bits fit a double exactly; they stand for a number from 0 to just below 1.
    let position = seed_for(world_seed, "corpus/held_out", 0, text) >> 11;
    (position as f64) < share * (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use schema::Question;

    use super::*;

    fn config() -> CorpusConfig {
        CorpusConfig {
            world_seed: 1,
            arithmetic: 2000,
            stories: 300,
            questions: 300,
            held_out: 0.1,
            chunk_rows: 0,
            decontaminate: AvoidConfig { ngram: 8, overlap: 0.9, world: true },
        }
    }

    fn made(config: &CorpusConfig, avoid: &[Question]) -> Made<CorpusText> {
        texts(config, &Avoid::new(&[avoid.to_vec()], &[], &config.decontaminate), 0)
    }

    #[test]
    fn ids_are_distinct_and_no_text_is_on_both_sides() {
        let rows = made(&config(), &[]).rows;
        let ids: BTreeSet<_> = rows.iter().map(|row| &row.text_id).collect();
        assert_eq!(ids.len(), rows.len());
        let of = |split: &str| -> BTreeSet<&str> {
            rows.iter().filter(|row| row.split == split).map(|row| row.text.as_str()).collect()
        };
        assert!(of("train").is_disjoint(&of("held_out")));
        let share = of("held_out").len() as f64 / (of("train").len() + of("held_out").len()) as f64;
        assert!((0.07..0.13).contains(&share), "{share}");
    }

    #[test]
    fn repetitions_stay() {
        let made = made(&config(), &[]);
        let distinct: BTreeSet<_> = made.rows.iter().map(|row| &row.text).collect();
        let repeated: usize = made.tallies.iter().map(|tally| tally.counts[2].1).sum();
        assert!(repeated > 0);
        assert_eq!(distinct.len() + repeated, made.rows.len());
    }

    #[test]
    fn questions_have_no_answers_and_are_not_evaluated() {
        for row in made(&config(), &[]).rows.iter().filter(|row| row.kind == QUESTION) {
            assert!(!row.text.contains("####") && !row.text.contains(" = "), "{}", row.text);
            assert!(!is_evaluation(&row.text), "{}", row.text);
        }
    }

    #[test]
    fn an_avoided_question_is_left_out() {
        let all = made(&config(), &[]).rows;
        let one = all.iter().find(|row| row.kind == QUESTION).unwrap();
        let avoid = [Question { prompt: one.text.clone(), ..Question::default() }];
        let rest = made(&config(), &avoid).rows;
        assert!(rest.len() < all.len() && rest.iter().all(|row| row.text != one.text));
    }

    #[test]
    fn shares_of_nothing_and_of_everything() {
        assert!(!is_held_out("a", 0.0, 1) && is_held_out("a", 1.0, 1));
        let config = CorpusConfig { held_out: 1.5, ..config() };
        assert_eq!(config.check().unwrap_err().exit(), stage::Exit::Config);
    }
}
