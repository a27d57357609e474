//! Broken files from outside: malformed JSONL.

use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};

use alphallm::binaries;

use super::{Case, check, spoiled};
use crate::ground::Ground;
use crate::tally::Tally;

const GOOD: &str = r#"{"question": "Tom has 2 apples and buys 3. How many has he?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"}"#;

/// Lines that are not valid GSM8K problems.
const BAD: [&str; 12] = [
    "{",
    "[]",
    "null",
    "1e999",
    "{}",
    r#"{"question": null, "answer": null}"#,
    r#"{"question": "", "answer": "5\n#### 5"}"#,
    r#"{"question": "How many?", "answer": "five"}"#,
    r#"{"question": 5, "answer": "5\n#### 5"}"#,
    r#"{"question": ["How many?"], "answer": {"x": 1}}"#,
    r#"{"question": "How many?", "answer": "5\n####"}"#,
    r#"{"question": "How many?"}"#,
];

/// Tries broken imports.
pub(crate) fn imports(ground: &Ground, count: usize, rng: &mut dyn RngCore, tally: &Tally) {
    let input = ground.scratch("broken.jsonl");
    let out = ground.scratch("out").join("0");
    let call = format!(
        "{} import --config {} --format gsm8k --split test --input {} --out {}",
        binaries().join("synthesize").display(),
        alphallm::root().join("pipelines/tiny/import.toml").display(),
        input.display(),
        out.display()
    );
    for _ in 0..count {
        let mut lines = vec![GOOD.to_owned(); 3];
        let (what, bytes, refuse) = match rng.random_range(0..5) {
            0 => {
                let (what, bytes) = spoiled(lines.join("\n").as_bytes(), rng);
                (what, bytes, false)
            }
            1 => {
                let deep = "[".repeat(200_000);
                lines.insert(1, deep);
                ("200 000 brackets".to_owned(), lines.join("\n").into_bytes(), true)
            }
            _ => {
                let bad = BAD.choose(rng).expect("there are some");
                let at = rng.random_range(0..=3);
                lines.insert(at, (*bad).to_owned());
                (format!("line {}: {bad}", at + 1), lines.join("\n").into_bytes(), true)
            }
        };
        std::fs::write(&input, bytes).expect("the scratch folder can be written");
        let refuse = refuse.then(|| input.display().to_string());
        check(ground, &Case { name: format!("import, {what}"), call: call.clone(), refuse }, tally);
    }
    // Opening a FIFO without a writer blocks for ever, so it has to be refused by its type.
    for (what, made) in [("a FIFO", "mkfifo"), ("a folder", "mkdir")] {
        crate::ground::remove(&input);
        let status = std::process::Command::new(made).arg(&input).status();
        assert!(status.is_ok_and(|status| status.success()), "{made} is there");
        let refuse = Some(input.display().to_string());
        check(ground, &Case { name: format!("import, {what}"), call: call.clone(), refuse }, tally);
    }
    crate::ground::remove(&input);
    let call = call.replace(&input.display().to_string(), "/dev/zero");
    let name = "import, /dev/zero".to_owned();
    check(ground, &Case { name, call, refuse: Some("/dev/zero".to_owned()) }, tally);
}
