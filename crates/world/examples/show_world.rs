//! Prints problems for people to read, and their mean lengths.
//!
//! `show_world 3` prints 3 problems of every split, the operators' results for 3 questions, and some of the corpus;
//! `show_world 2 each` prints 2 problems of every template.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::io::{self, Write};
use world::operators::{backward, compose, extend, mutate, requestion, shorten};
use world::{CorpusMix, HELD_OUT, Problem, Split, TEMPLATES, corpus, draw_many};

const SPLITS: [Split; 7] = [
    Split::Pretraining,
    Split::Seeds,
    Split::Validation,
    Split::Test,
    Split::OodTemplates,
    Split::OodChains,
    Split::Fresh,
];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let shown = arguments.first().and_then(|count| count.parse().ok()).unwrap_or(3);
    let mut out = io::stdout().lock();
    if arguments.len() > 1 {
        return templates(&mut out, shown);
    }
    for split in SPLITS {
        writeln!(out, "======== {split:?}")?;
        draw_many(split, shown, 1).iter().try_for_each(|problem| show(&mut out, problem))?;
    }
    texts(&mut out, shown)?;
    SPLITS.iter().try_for_each(|split| measure(&mut out, *split))
}

/// Prints some problems of every template.
fn templates(out: &mut impl Write, shown: usize) -> io::Result<()> {
    // Templates come at random, so far more problems are drawn than shown; fewer for the 8 held-out templates.
    let pool =
        [draw_many(Split::Fresh, 100 * shown, 1), draw_many(Split::OodTemplates, 20 * shown, 1)]
            .concat();
    for name in TEMPLATES.iter().chain(HELD_OUT) {
        let of = pool.iter().filter(|problem| problem.template == *name).take(shown);
        of.into_iter().try_for_each(|problem| show(out, problem))?;
    }
    Ok(())
}

fn show(out: &mut impl Write, problem: &Problem) -> io::Result<()> {
    let Problem { topic, template, question, .. } = problem;
    writeln!(out, "[{topic} / {template}]\n{question}\n{}\n", problem.solution())
}

/// Prints the operators' results for some questions, and texts of the corpus.
fn texts(out: &mut impl Write, shown: usize) -> io::Result<()> {
    writeln!(out, "======== operators")?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for pair in draw_many(Split::Seeds, 2 * shown, 1).chunks_exact(2) {
        let [one, other] = [&pair[0], &pair[1]].map(|problem| problem.question.as_str());
        let answer = pair[0].answer.to_string();
        writeln!(out, "{one}")?;
        for (name, made) in [
            ("mutate", mutate(one, &mut rng)),
            ("extend", extend(one, other, &mut rng)),
            ("shorten", shorten(one, &mut rng)),
            ("requestion", requestion(one, other)),
            ("compose", compose(one, other, &mut rng)),
            ("backward", backward(one, &answer, &mut rng).map(|made| made.question)),
        ] {
            writeln!(out, "-> {name}: {}", made.as_deref().unwrap_or("-"))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "======== corpus")?;
    let mix = CorpusMix { arithmetic: shown, stories: 3 * shown, questions: shown };
    corpus(mix, 1).iter().try_for_each(|(kind, text)| writeln!(out, "{kind}: {text}"))
}

/// Prints mean lengths.
fn measure(out: &mut impl Write, split: Split) -> io::Result<()> {
    let problems = draw_many(split, 500, 2);
    let mean = |of: &dyn Fn(&Problem) -> usize| {
        problems.iter().map(of).sum::<usize>() as f64 / problems.len() as f64
    };
    writeln!(
        out,
        "{split:?}: a question has {:.1} words, {:.1} characters; a solution {:.1} characters, {:.2} steps",
        mean(&|problem| problem.question.split(' ').count()),
        mean(&|problem| problem.question.len()),
        mean(&|problem| problem.solution().len()),
        mean(&Problem::difficulty),
    )
}
