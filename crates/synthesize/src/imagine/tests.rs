//! The prompts that are made, their parents, and the drafts that are dropped.

use std::collections::{BTreeMap, BTreeSet};

use world::{draw_many, is_evaluation, split_of};

use super::*;
use crate::avoid::AvoidConfig;
use crate::text::normalise;

fn questions(split: Split, count: usize) -> Vec<Question> {
    let question = |problem: world::Problem| Question {
        prompt_id: prompt_id(&problem.question),
        prompt: problem.question,
        ..Question::default()
    };
    draw_many(split, count, 1).into_iter().map(question).collect()
}

fn avoid(questions: &[Question]) -> Avoid {
    let config = AvoidConfig { ngram: 8, overlap: 0.75, world: true };
    Avoid::new(&[questions.to_vec()], &[], &config)
}

fn shares(of: &[(Operator, f64)]) -> Shares {
    Shares(of.iter().copied().collect())
}

fn halves() -> Shares {
    shares(&[(Operator::Mutate, 1.0), (Operator::Fresh, 1.0)])
}

fn plan(shares: &Shares, count: usize, round: i32) -> Imagination<'_> {
    let (quality, author) = (None, None);
    Imagination { shares, quality, templates: 50, count, attempts: 20, seed: 7, round, author }
}

/// Prompts made from seeds alone.
fn made(plan: &Imagination<'_>, seeds: &[Question], avoid: &Avoid) -> (Vec<Prompt>, Vec<Tally>) {
    imagine(plan, &Material { seeds, kept: &[], answered: &[], earlier: &[] }, avoid).unwrap()
}

fn count(tallies: &[Tally], operator: &str, key: &str) -> usize {
    let tally = tallies.iter().find(|tally| tally.name == operator).unwrap();
    tally.counts.iter().find(|(name, _)| *name == key).unwrap().1
}

#[test]
fn prompts_are_new_distinct_and_without_labels() {
    let seeds = questions(Split::Seeds, 50);
    let (prompts, tallies) = made(&plan(&halves(), 200, 1), &seeds, &avoid(&[]));
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
        let operators = shares(&[(Operator::Mutate, mutate), (Operator::Fresh, fresh)]);
        let (prompts, tallies) = made(&plan(&operators, 100, 1), &seeds, &avoid(&[]));
        let mutated = prompts.iter().filter(|p| p.operator.as_deref() == Some("mutate")).count();
        assert_eq!((prompts.len(), mutated), (100, expected));
        assert_eq!(count(&tallies, "mutate", "kept"), expected);
    }
}

#[test]
fn parents_take_turns() {
    let seeds = questions(Split::Seeds, 40);
    let operators = shares(&[(Operator::Mutate, 1.0)]);
    let (prompts, _) = made(&plan(&operators, 120, 1), &seeds, &avoid(&[]));
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
    let operators = shares(&[(Operator::Fresh, 1.0)]);
    let (prompts, _) = made(&plan(&operators, 50, 1), &questions(Split::Seeds, 1), &avoid(&[]));
    for prompt in prompts {
        assert!(prompt.parent_ids.is_empty());
        assert_eq!(split_of(&prompt.prompt), Split::Fresh);
    }
}

#[test]
fn a_row_can_be_made_again_from_its_seed() {
    let seeds = questions(Split::Seeds, 1);
    let halves = halves();
    let plan = plan(&halves, 20, 1);
    let (prompts, _) = made(&plan, &seeds, &avoid(&[]));
    for prompt in prompts {
        let mut rng = ChaCha8Rng::seed_from_u64(prompt.seed.unwrap() as u64);
        if prompt.operator.as_deref() == Some("fresh") {
            assert_eq!(draw(Split::Fresh, 50, &mut rng).question, prompt.prompt);
            continue;
        }
        // The only seed is picked by turn at first and at random after that.
        let mut second = rng.clone();
        let _ = [0].choose(&mut second);
        let drafts = [mutate(&seeds[0].prompt, &mut rng), mutate(&seeds[0].prompt, &mut second)];
        assert!(drafts.contains(&Some(prompt.prompt)));
    }
}

#[test]
fn rounds_and_runs_differ_and_the_order_of_seeds_does_not_matter() {
    let seeds = questions(Split::Seeds, 30);
    let halves = halves();
    let texts = |round: i32, seed: u64, seeds: &[Question]| -> Vec<String> {
        let plan = Imagination { seed, ..plan(&halves, 60, round) };
        made(&plan, seeds, &avoid(&[])).0.into_iter().map(|prompt| prompt.prompt).collect()
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
    let (seeds, operators) = (questions(Split::Seeds, 30), &halves());
    let (all, _) = made(&plan(operators, 40, 1), &seeds, &avoid(&[]));
    // As if every other prompt were a test question.
    let tested: Vec<Question> = all.iter().step_by(2).cloned().map(Question::from).collect();
    let (rest, tallies) = made(&plan(operators, 40, 1), &seeds, &avoid(&tested));
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
    // Only two other numbers fit the first seed, and some of them make evaluation questions: nothing else can be made.
    let seeds = [seed("What is 3 less than a lot?"), seed("Nothing can be changed here.")];
    let operators = shares(&[(Operator::Mutate, 1.0)]);
    let (prompts, tallies) = made(&plan(&operators, 50, 1), &seeds, &avoid(&[]));
    assert!(prompts.len() < 5);
    assert_eq!(count(&tallies, "mutate", "missing"), 50 - prompts.len());
    // The second seed never gives anything.
    assert!(count(&tallies, "mutate", "unchanged") > count(&tallies, "mutate", "missing"));
}

#[test]
fn steps_and_questions_come_from_two_parents() {
    let seeds = questions(Split::Seeds, 200);
    let of = [Operator::Extend, Operator::Shorten, Operator::Requestion, Operator::Compose];
    let (prompts, tallies) =
        made(&plan(&shares(&of.map(|one| (one, 1.0))), 120, 1), &seeds, &avoid(&[]));
    let ids: BTreeSet<&str> = seeds.iter().map(|seed| seed.prompt_id.as_str()).collect();
    for prompt in &prompts {
        let parents = prompt.parent_ids.iter().map(String::as_str);
        let distinct: BTreeSet<&str> = parents.filter(|id| ids.contains(id)).collect();
        let alone = prompt.operator.as_deref() == Some("shorten");
        assert_eq!(distinct.len(), if alone { 1 } else { 2 }, "{prompt:?}");
    }
    for one in of {
        assert!(count(&tallies, one.name(), "kept") >= 20, "{}", one.name());
    }
}

#[test]
fn a_backward_question_comes_from_an_answer_that_was_found() {
    let parent = |text: &str, found: Option<&str>| Parent {
        id: prompt_id(text),
        text: text.to_owned(),
        found: found.map(str::to_owned),
    };
    let kept = [
        parent("Tom has 30 apples and eats 12. How many are left?", Some("18")),
        parent("Ben has 40 pears and eats 5. How many are left?", None),
    ];
    let shares = shares(&[(Operator::Backward, 1.0)]);
    let seeds = questions(Split::Seeds, 5);
    let material = Material { seeds: &seeds, kept: &[], answered: &kept, earlier: &[] };
    let everything = Avoid::new(&[], &[], &AvoidConfig { ngram: 8, overlap: 2.0, world: false });
    let (prompts, tallies) = imagine(&plan(&shares, 5, 2), &material, &everything).unwrap();
    let expected: BTreeMap<&str, &str> = prompts
        .iter()
        .map(|prompt| (prompt.prompt.as_str(), prompt.expected.as_deref().unwrap()))
        .collect();
    let ending = "How many are left? The answer to this question is 18. What is x?";
    let [first, second] = ["x apples and eats 12.", "30 apples and eats x."]
        .map(|story| format!("Tom has {story} {ending}"));
    assert_eq!(expected, BTreeMap::from([(first.as_str(), "30"), (second.as_str(), "12")]));
    assert!(prompts.iter().all(|prompt| prompt.answer.is_none()));
    assert_eq!(prompts[0].parent_ids, [kept[0].id.as_str()]);
    assert_eq!(count(&tallies, "backward", "missing"), 3);
}

#[test]
fn kept_prompts_are_parents_beside_the_seeds() {
    let seeds = questions(Split::Seeds, 20);
    let of =
        |question: Question| Parent { id: question.prompt_id, text: question.prompt, found: None };
    let kept: Vec<Parent> = questions(Split::Fresh, 20).into_iter().map(of).collect();
    let shares = shares(&[(Operator::Mutate, 1.0)]);
    let material = Material { seeds: &seeds, kept: &kept, answered: &[], earlier: &[] };
    let (prompts, _) = imagine(&plan(&shares, 80, 1), &material, &avoid(&[])).unwrap();
    let from_kept =
        prompts.iter().filter(|prompt| kept.iter().any(|one| one.id == prompt.parent_ids[0]));
    let count = from_kept.count();
    assert!((20..=60).contains(&count), "{count} of 80");
}

#[test]
fn kinds_of_questions_are_balanced() {
    let seeds = questions(Split::Seeds, 4);
    let quality = QualityConfig { well_posed: true, most_of_a_shape: 0.1, near_duplicates: None };
    let shares = shares(&[(Operator::Mutate, 1.0)]);
    let plan = Imagination { quality: Some(&quality), ..plan(&shares, 100, 1) };
    let (prompts, tallies) = made(&plan, &seeds, &avoid(&[]));
    let mut shapes = BTreeMap::<String, usize>::new();
    for prompt in &prompts {
        *shapes.entry(shape(&prompt.prompt)).or_default() += 1;
    }
    // Four seeds have few shapes, and ten prompts of each are the limit.
    assert!(shapes.values().all(|count| *count <= 10) && prompts.len() < 100, "{shapes:?}");
    assert_eq!(count(&tallies, "mutate", "shapes"), shapes.len());
    assert!(count(&tallies, "mutate", "crowded") > 0);
}

/// An instruction that a dataset puts in front of every question.
const INSTRUCTION: &str = "Read the following problem with care, work it out step by step, and write the final \
                           number alone on the last line of your answer.";

#[test]
fn an_instruction_before_every_question_contaminates_nothing() {
    let instructed = |questions: Vec<Question>| -> Vec<Question> {
        let with =
            |one: Question| Question { prompt: format!("{INSTRUCTION} {}", one.prompt), ..one };
        questions.into_iter().map(with).collect()
    };
    let (seeds, tests) =
        (instructed(questions(Split::Seeds, 12)), instructed(questions(Split::Test, 12)));
    let config = AvoidConfig { ngram: 8, overlap: 0.5, world: false };
    let mutated = shares(&[(Operator::Mutate, 1.0)]);
    // A single test question does not reveal the instruction, but the seeds do.
    for tests in [tests.clone(), tests[..1].to_vec()] {
        let avoid = Avoid::new(std::slice::from_ref(&tests), &seeds, &config);
        let (prompts, _) = made(&plan(&mutated, 12, 1), &seeds, &avoid);
        assert_eq!(prompts.len(), 12);
        for test in &tests {
            let copied = format!("{} Think before you write.", test.prompt);
            assert!(avoid.resemblance(&copied).is_some(), "{copied}");
        }
    }
}
