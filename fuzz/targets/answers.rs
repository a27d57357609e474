//! Two answers: agreement is symmetric, a normal form is its own normal form, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|answers: (&str, &str)| {
    let (a, b) = answers;
    assert_eq!(task::same(a, b), task::same(b, a));
    for answer in [a, b] {
        if let Some(form) = task::canonical(answer) {
            assert_eq!(task::canonical(&form).as_deref(), Some(&*form), "of {answer:?}");
        }
        task::extract(answer);
    }
    task::grade(a, b);
});
