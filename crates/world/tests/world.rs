//! Properties of the embedded world that every stage that learns from it relies on.

use answer::{Finding, finding, grade};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use world::operators::mutate;
use world::{
    CorpusMix, HELD_OUT, Problem, Split, TEMPLATES, arithmetic_line, corpus, draw, draw_many,
    is_evaluation, skeleton, split_of, story,
};

const SPLITS: [Split; 7] = [
    Split::Pretraining,
    Split::Seeds,
    Split::Validation,
    Split::Test,
    Split::OodTemplates,
    Split::OodChains,
    Split::Fresh,
];

/// The equation `left sign right (/ 100) = result` of a solution line.
#[derive(Clone, Copy, Debug)]
struct Equation {
    left: i64,
    sign: char,
    right: i64,
    result: i64,
}

impl Equation {
    /// Parses the only equation of a line, located by its equals sign.
    fn of(line: &str) -> Self {
        let words: Vec<_> = line.split(' ').map(|word| word.trim_end_matches('.')).collect();
        let equals = words
            .iter()
            .position(|word| *word == "=")
            .unwrap_or_else(|| panic!("no equation: {line}"));
        let number = |at: usize| {
            words[at].parse::<i64>().unwrap_or_else(|_| panic!("no number {at}: {line}"))
        };
        let percent = equals >= 5 && words[equals - 2] == "/" && words[equals - 4] == "*";
        let (first, sign) = if percent {
            (equals - 5, '%')
        } else {
            (equals - 3, words[equals - 2].chars().next().unwrap_or(' '))
        };
        Self { left: number(first), sign, right: number(first + 2), result: number(equals + 1) }
    }

    /// Returns the result for other operands, if it is whole.
    fn apply(self, left: i64, right: i64) -> Option<i64> {
        let whole = |product: i64, divisor: i64| {
            (divisor != 0 && product % divisor == 0).then(|| product / divisor)
        };
        match self.sign {
            '+' => Some(left + right),
            '-' => Some(left - right),
            '*' => Some(left * right),
            '/' => whole(left, right),
            '%' => whole(left * right, 100),
            sign => panic!("sign {sign}"),
        }
    }

    fn holds(self) -> bool {
        let range = 1..=999;
        self.apply(self.left, self.right) == Some(self.result)
            && [self.left, self.right, self.result].iter().all(|number| range.contains(number))
    }
}

fn numbers(text: &str) -> Vec<i64> {
    text.split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

fn assert_valid(problem: &Problem) {
    let shown = format!("[{}] {}\n{}", problem.template, problem.question, problem.solution());
    let equations: Vec<_> = problem.steps.iter().map(|step| Equation::of(step)).collect();
    assert!(equations.iter().all(|equation| equation.holds()), "{shown}");
    assert_eq!(equations.last().map(|last| last.result), Some(problem.answer), "{shown}");
    assert!((2..=8).contains(&problem.difficulty()), "{shown}");
    assert!(grade(&problem.solution(), &problem.answer.to_string()), "{shown}");
    assert!(numbers(&problem.question).iter().all(|number| (1..=999).contains(number)), "{shown}");
    assert!(problem.question.ends_with('?'), "{shown}");
    assert!(problem.solution().ends_with(&format!("\n#### {}", problem.answer)), "{shown}");
    for text in [&problem.question, &problem.solution()] {
        assert!(!text.contains("  ") && !text.contains(" .") && !text.contains(" ?"), "{shown}");
        assert!(!text.contains(['{', '}', '[', ']']) && text.is_ascii(), "{shown}");
    }
    for step in &problem.steps {
        assert!(step.ends_with('.') && !step.contains('$'), "{shown}");
        assert_eq!(finding(step), Finding::Holds, "the calculator reads it too: {shown}");
        assert!((5..=16).contains(&step.split(' ').count()), "{shown}");
    }
    let sentences = problem
        .question
        .split_inclusive(['.', '?'])
        .chain(problem.steps.iter().map(String::as_str));
    for sentence in sentences.map(str::trim) {
        assert!(sentence.starts_with(|letter: char| !letter.is_lowercase()), "{sentence}\n{shown}");
    }
}

#[test]
fn every_template_tells_valid_problems() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for split in SPLITS {
        for problem in draw_many(split, 1500, 3) {
            assert_valid(&problem);
            assert_eq!(HELD_OUT.contains(&problem.template), split == Split::OodTemplates);
            *seen.entry(problem.template).or_default() += 1;
        }
    }
    for template in TEMPLATES.iter().chain(HELD_OUT) {
        assert!(
            seen.get(template).is_some_and(|count| *count >= 30),
            "{template}: {:?}",
            seen.get(template)
        );
    }
    assert!(TEMPLATES.len() >= 44 && HELD_OUT.len() >= 6);
    assert_eq!(seen.len(), TEMPLATES.len() + HELD_OUT.len(), "names are unique and all are listed");
}

#[test]
fn splits_share_no_question_even_with_other_names() {
    let mut owner: BTreeMap<String, Split> = BTreeMap::new();
    for split in SPLITS {
        for problem in draw_many(split, 3000, 5) {
            assert_eq!(split_of(&problem.question), split);
            assert_eq!(is_evaluation(&problem.question), split.is_evaluation());
            let other = *owner.entry(skeleton(&problem.question)).or_insert(split);
            assert_eq!(other, split, "{}", problem.question);
        }
    }
    assert!(
        owner.len() > 15_000,
        "{} skeletons: drawn problems must differ in more than names",
        owner.len()
    );
}

#[test]
fn a_split_is_a_property_of_the_skeleton() {
    let tom =
        "Tom has 12 apples. He buys 5 more apples and an orange. How many apples does Tom have?";
    let anna =
        "Anna  has 12 lemons. She buys 5 more lemons and a plum. How many lemons does Anna have?";
    assert_eq!(skeleton(tom), skeleton(anna));
    assert_eq!(split_of(tom), split_of(anna));
    assert_ne!(skeleton(tom), skeleton(&tom.replace("12", "13")));
}

#[test]
fn the_same_seed_draws_the_same_and_more_begins_with_fewer() {
    let few = draw_many(Split::Seeds, 50, 9);
    assert_eq!(draw_many(Split::Seeds, 80, 9)[..50], few);
    assert_ne!(draw_many(Split::Seeds, 50, 10), few);
    let questions: BTreeSet<_> = few.iter().map(|problem| &problem.question).collect();
    assert_eq!(questions.len(), 50);
    let draws = || draw(Split::Fresh, TEMPLATES.len(), &mut ChaCha8Rng::seed_from_u64(4));
    assert_eq!(draws(), draws());
}

#[test]
fn a_smaller_world_has_fewer_templates_of_all_topics() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let drawn: Vec<Problem> = (0..800).map(|_| draw(Split::Test, 26, &mut rng)).collect();
    let templates: BTreeSet<_> = drawn.iter().map(|problem| problem.template).collect();
    let topics: BTreeSet<_> = drawn.iter().map(|problem| problem.topic).collect();
    assert_eq!((templates.len(), topics.len()), (26, 13));
}

#[test]
fn splits_have_the_lengths_they_promise() {
    let lengths = |split| {
        let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
        for problem in draw_many(split, 1000, 2) {
            *lengths.entry(problem.difficulty()).or_default() += 1;
        }
        lengths
    };
    let seeds = lengths(Split::Seeds);
    assert!(seeds.keys().eq(&[2, 3, 4, 5, 6]), "{seeds:?}");
    for (steps, percent) in [(2, 25), (3, 30), (4, 25), (5, 15), (6, 5)] {
        assert!(seeds[&steps].abs_diff(percent * 10) < 70, "{seeds:?}");
    }
    assert!(lengths(Split::OodChains).keys().eq(&[6, 7, 8]));
    assert!(lengths(Split::OodTemplates).keys().eq(&[2, 3, 4, 5]));
}

#[test]
fn arithmetic_lines_are_right_and_cover_carries_borrows_and_tables() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let equations: Vec<_> = (0..20_000).map(|_| Equation::of(&arithmetic_line(&mut rng))).collect();
    assert!(equations.iter().all(|equation| equation.holds()));
    let share =
        |of: &dyn Fn(&Equation) -> bool| equations.iter().filter(|equation| of(equation)).count();
    assert!(share(&|of| of.sign == '+' && of.left % 10 + of.right % 10 >= 10) > 1500);
    assert!(share(&|of| of.sign == '-' && of.left % 10 < of.right % 10) > 1500);
    assert!(share(&|of| of.sign == '%') > 500);
    assert!(share(&|of| of.result >= 500) > 500);
    let table: BTreeSet<_> =
        equations.iter().filter(|of| of.sign == '*').map(|of| (of.left, of.right)).collect();
    assert!((2..=9).all(|left| (2..=9).all(|right| table.contains(&(left, right)))));
}

#[test]
fn stories_are_right_and_ask_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..5000 {
        let text = story(&mut rng);
        assert!(!text.contains(['?', '{', '[']) && !text.contains("####"), "{text}");
        let worked: Vec<_> =
            text.split_inclusive(". ").filter(|sentence| sentence.contains('=')).collect();
        assert!((1..=2).contains(&worked.len()), "{text}");
        assert!(worked.iter().all(|sentence| Equation::of(sentence.trim()).holds()), "{text}");
    }
}

#[test]
fn a_corpus_has_what_was_asked_for_and_nothing_from_other_splits() {
    let mix = CorpusMix { arithmetic: 300, stories: 200, questions: 100 };
    let texts = corpus(mix, 1);
    assert_eq!(texts, corpus(mix, 1));
    let of = |kind| texts.iter().filter(move |text| text.0 == kind);
    assert_eq!(
        (of("arithmetic").count(), of("story").count(), of("question").count()),
        (300, 200, 100)
    );
    assert!(
        of("question").all(|(_, text)| split_of(text) == Split::Pretraining && !text.contains('='))
    );
    assert!(texts[..20].iter().any(|text| text.0 != texts[0].0), "kinds are mixed");
}

/// A solution as a program over the numbers of its question, recovered by matching values.
struct Program {
    steps: Vec<(Operand, Equation, Operand)>,
}

#[derive(Clone, Copy)]
enum Operand {
    Question(usize),
    Result(usize),
    Constant(i64),
}

impl Program {
    fn of(problem: &Problem) -> Self {
        let given = numbers(&problem.question);
        let mut used = vec![false; given.len()];
        let mut results: Vec<i64> = Vec::new();
        let mut operand = |value: i64, results: &[i64]| {
            if results.last() == Some(&value) {
                return Operand::Result(results.len() - 1);
            }
            let unused = (0..given.len()).find(|at| given[*at] == value && !used[*at]);
            if let Some(at) = unused {
                used[at] = true;
                return Operand::Question(at);
            }
            let result = results.iter().rposition(|result| *result == value).map(Operand::Result);
            let again = given.iter().rposition(|number| *number == value).map(Operand::Question);
            result.or(again).unwrap_or(Operand::Constant(value))
        };
        let mut steps = Vec::new();
        for step in &problem.steps {
            let equation = Equation::of(step);
            steps.push((
                operand(equation.left, &results),
                equation,
                operand(equation.right, &results),
            ));
            results.push(equation.result);
        }
        Self { steps }
    }

    /// Runs the program on other numbers; `None` unless every step has a positive whole result.
    fn run(&self, given: &[i64]) -> Option<i64> {
        let mut results: Vec<i64> = Vec::new();
        for (left, equation, right) in &self.steps {
            let value = |operand: &Operand| match operand {
                Operand::Question(at) => given.get(*at).copied(),
                Operand::Result(at) => Some(results[*at]),
                Operand::Constant(value) => Some(*value),
            };
            results.push(equation.apply(value(left)?, value(right)?).filter(|result| *result > 0)?);
        }
        results.last().copied()
    }
}

#[test]
fn most_mutations_of_the_world_still_have_an_answer() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut solvable, mut changed, mut all) = (0, 0, 0);
    for problem in draw_many(Split::Seeds, 2000, 1) {
        let program = Program::of(&problem);
        assert_eq!(program.run(&numbers(&problem.question)), Some(problem.answer));
        all += 1;
        // In a few questions nothing can change: there are no names, and every number is a divisor or depends on one.
        let Some(text) = mutate(&problem.question, &mut rng) else { continue };
        assert_ne!(text, problem.question);
        assert_eq!(numbers(&text).len(), numbers(&problem.question).len(), "{text}");
        assert_eq!(text.split(' ').count(), problem.question.split(' ').count(), "{text}");
        solvable += usize::from(program.run(&numbers(&text)).is_some());
        changed += usize::from(numbers(&text) != numbers(&problem.question));
    }
    assert!(solvable * 100 >= all * 80, "{solvable} of {all}");
    assert!(changed * 100 >= all * 85, "{changed} of {all}");
}
