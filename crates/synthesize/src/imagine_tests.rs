//! What prompts are made, of what, and what is left out.

use std::collections::BTreeMap;

use task::world::{draw_many, is_evaluation, split_of};

use super::*;
use crate::avoid::AvoidConfig;

fn questions(split: Split, count: usize) -> Vec<Question> {
    let question = |problem: task::world::Problem| Question {
        prompt_id: prompt_id(&problem.question),
        prompt: problem.question,
        ..Question::default()
    };
    draw_many(split, count, 1).into_iter().map(question).collect()
}

fn avoid(questions: &[Question]) -> Avoid {
    Avoid::new(questions, &AvoidConfig { ngram: 8, overlap: 0.75, world: true })
}

const HALVES: Operators = Operators { mutate: 1.0, fresh: 1.0 };

fn plan(operators: &Operators, count: usize, round: i32) -> Imagination<'_> {
    Imagination { operators, templates: 50, count, attempts: 20, seed: 7, round }
}

fn count(tallies: &[Tally], operator: &str, key: &str) -> usize {
    let tally = tallies.iter().find(|tally| tally.name == operator).unwrap();
    tally.counts.iter().find(|(name, _)| *name == key).unwrap().1
}

#[test]
fn prompts_are_new_distinct_and_without_labels() {
    let seeds = questions(Split::Seeds, 50);
    let (prompts, tallies) = imagine(&plan(&HALVES, 200, 1), &seeds, &avoid(&[]));
    assert_eq!(prompts.len(), 200);
    let mut seen: BTreeSet<String> = seeds.iter().map(|seed| normalise(&seed.prompt)).collect();
    for prompt in &prompts {
        assert!(seen.insert(normalise(&prompt.prompt)), "{}", prompt.prompt);
        assert!(
            prompt.answer.is_none() && prompt.solution.is_none() && prompt.difficulty.is_none()
        );
        assert_eq!((prompt.round, prompt.split.as_str()), (1, "train"));
        assert!(!is_evaluation(&prompt.prompt));
    }
    // A mutation falls into an evaluation split one time in four; a fresh draw never does.
    assert!(count(&tallies, "mutate", "world") > 0);
    assert_eq!(count(&tallies, "fresh", "world"), 0);
}

#[test]
fn shares_decide_how_many_each_operator_makes() {
    let seeds = questions(Split::Seeds, 50);
    for (mutate, fresh, expected) in [(3.0, 1.0, 75), (0.0, 2.0, 0), (0.1, 0.0, 100)] {
        let operators = Operators { mutate, fresh };
        let (prompts, tallies) = imagine(&plan(&operators, 100, 1), &seeds, &avoid(&[]));
        let mutated = prompts.iter().filter(|p| p.operator.as_deref() == Some("mutate")).count();
        assert_eq!((prompts.len(), mutated), (100, expected));
        assert_eq!(count(&tallies, "mutate", "kept"), expected);
    }
}

#[test]
fn parents_take_turns() {
    let seeds = questions(Split::Seeds, 40);
    let operators = Operators { mutate: 1.0, fresh: 0.0 };
    let (prompts, _) = imagine(&plan(&operators, 120, 1), &seeds, &avoid(&[]));
    let mut children = BTreeMap::<&str, usize>::new();
    for prompt in &prompts {
        let [parent] = &prompt.parent_ids[..] else { panic!("{prompt:?}") };
        assert!(seeds.iter().any(|seed| seed.prompt_id == *parent));
        *children.entry(parent).or_default() += 1;
    }
    assert!(children.len() >= 36, "only {} of 40 seeds were used", children.len());
}

#[test]
fn fresh_prompts_have_no_parents_and_come_from_their_split() {
    let operators = Operators { mutate: 0.0, fresh: 1.0 };
    let (prompts, _) = imagine(&plan(&operators, 50, 1), &questions(Split::Seeds, 1), &avoid(&[]));
    for prompt in prompts {
        assert!(prompt.parent_ids.is_empty());
        assert_eq!(split_of(&prompt.prompt), Split::Fresh);
    }
}

#[test]
fn a_row_can_be_made_again_from_its_seed() {
    let seeds = questions(Split::Seeds, 1);
    let plan = plan(&HALVES, 20, 1);
    let (prompts, _) = imagine(&plan, &seeds, &avoid(&[]));
    for prompt in prompts {
        let mut rng = ChaCha8Rng::seed_from_u64(prompt.seed.unwrap() as u64);
        if prompt.operator.as_deref() == Some("fresh") {
            assert_eq!(plan.fresh(&mut rng).text, prompt.prompt);
            continue;
        }
        // The one seed is chosen by its turn at first and by chance after that.
        let mut second = rng.clone();
        let _ = [0].choose(&mut second);
        let drafts = [mutate(&seeds[0].prompt, &mut rng), mutate(&seeds[0].prompt, &mut second)];
        assert!(drafts.contains(&Some(prompt.prompt)));
    }
}

#[test]
fn rounds_and_runs_differ_and_the_order_of_seeds_does_not_matter() {
    let seeds = questions(Split::Seeds, 30);
    let texts = |round: i32, seed: u64, seeds: &[Question]| -> Vec<String> {
        let plan = Imagination { seed, ..plan(&HALVES, 60, round) };
        imagine(&plan, seeds, &avoid(&[])).0.into_iter().map(|prompt| prompt.prompt).collect()
    };
    let first = texts(1, 7, &seeds);
    let reversed: Vec<_> = seeds.iter().rev().cloned().collect();
    assert_eq!(first, texts(1, 7, &reversed));
    for other in [texts(2, 7, &seeds), texts(1, 8, &seeds)] {
        let common = other.iter().filter(|text| first.contains(text)).count();
        assert!(common < 3, "{common} of 60 are the same");
    }
}

#[test]
fn what_resembles_an_avoided_question_is_not_made() {
    let (seeds, operators) = (questions(Split::Seeds, 30), &HALVES);
    let (all, _) = imagine(&plan(operators, 40, 1), &seeds, &avoid(&[]));
    // As if every other prompt had been a test question.
    let tested: Vec<Question> = all.iter().step_by(2).cloned().map(Question::from).collect();
    let (rest, tallies) = imagine(&plan(operators, 40, 1), &seeds, &avoid(&tested));
    assert_eq!(rest.len(), 40);
    let dropped = |operator| count(&tallies, operator, "skeleton");
    assert!(dropped("mutate") + dropped("fresh") >= 20);
    for prompt in &rest {
        assert!(tested.iter().all(|question| question.prompt != prompt.prompt));
    }
}

#[test]
fn what_cannot_be_made_is_missing() {
    let seed = |text: &str| Question { prompt: text.to_owned(), ..Question::default() };
    // Two other numbers, some of which are evaluated: that is all there is.
    let seeds = [seed("What is 3 less than a lot?"), seed("Nothing can be changed here.")];
    let operators = Operators { mutate: 1.0, fresh: 0.0 };
    let (prompts, tallies) = imagine(&plan(&operators, 50, 1), &seeds, &avoid(&[]));
    assert!(prompts.len() < 5);
    assert_eq!(count(&tallies, "mutate", "missing"), 50 - prompts.len());
    let ends = ["unchanged", "duplicate", "skeleton", "overlap", "world", "kept"];
    let sum: usize = ends.iter().map(|key| count(&tallies, "mutate", key)).sum();
    assert_eq!(sum, count(&tallies, "mutate", "draws"));
}

#[test]
fn impossible_shares_are_refused() {
    for (mutate, fresh) in [(-1.0, 2.0), (0.0, 0.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
        let failure = Operators { mutate, fresh }.check().unwrap_err();
        assert_eq!(failure.exit(), stage::Exit::Config);
    }
}
