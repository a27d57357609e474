//! Two answers: agreement is symmetric, a normal form is its own normal form, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|answers: (&str, &str)| {
    let (a, b) = answers;
    assert_eq!(answer::same(a, b), answer::same(b, a));
    for answer in [a, b] {
        if let Some(form) = answer::canonical(answer) {
            assert_eq!(answer::canonical(&form).as_deref(), Some(&*form), "of {answer:?}");
        }
        answer::extract(answer);
    }
    answer::grade(a, b);
});
