//! Prints problems for people to look at: `show_world [per split or template] [template]`.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use task::mutate::mutate;
use task::world::{CorpusMix, Problem, Split, corpus, draw_many};

const SPLITS: [Split; 7] = [
    Split::Pretraining,
    Split::Seeds,
    Split::Validation,
    Split::Test,
    Split::OodTemplates,
    Split::OodChains,
    Split::Fresh,
];

#[expect(clippy::print_stdout, reason = "an example is for looking at")]
fn show(problem: &Problem) {
    println!(
        "[{} / {}]\n{}\n{}\n",
        problem.topic,
        problem.template,
        problem.question,
        problem.solution()
    );
}

#[expect(clippy::print_stdout, reason = "an example is for looking at")]
fn measure(split: Split, problems: &[Problem]) {
    let mean = |of: &dyn Fn(&Problem) -> usize| {
        problems.iter().map(of).sum::<usize>() as f64 / problems.len() as f64
    };
    println!(
        "{split:?}: words of a question {:.1}, characters {:.1}; characters of a solution {:.1}; steps {:.2}",
        mean(&|problem| problem.question.split(' ').count()),
        mean(&|problem| problem.question.len()),
        mean(&|problem| problem.solution().len()),
        mean(&Problem::difficulty),
    );
}

#[expect(clippy::print_stdout, reason = "an example is for looking at")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let shown: usize = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(3);
    if let Some(template) = arguments.next() {
        let pool = draw_many(Split::Fresh, 4000, 1).into_iter().chain(draw_many(
            Split::OodTemplates,
            400,
            1,
        ));
        pool.filter(|problem| problem.template == template)
            .take(shown)
            .for_each(|problem| show(&problem));
        return;
    }
    for split in SPLITS {
        println!("======== {split:?}");
        draw_many(split, shown, 1).iter().for_each(show);
    }
    println!("======== mutations");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for problem in draw_many(Split::Seeds, shown, 1) {
        println!(
            "{}\n-> {}\n",
            problem.question,
            mutate(&problem.question, &mut rng).unwrap_or_default()
        );
    }
    println!("======== corpus");
    for (kind, text) in
        corpus(CorpusMix { arithmetic: shown, stories: 3 * shown, questions: shown }, 1)
    {
        println!("{kind}: {text}");
    }
    for split in SPLITS {
        measure(split, &draw_many(split, 500, 2));
    }
}
