//! LaTeX made of the pieces that mathematics is written in: fuzzing raw bytes seldom gets past the first brace.
#![no_main]

use libfuzzer_sys::fuzz_target;

const PIECES: [&str; 64] = [
    "0", "1", "2", "3", "7", "10", "0.5", "x", "y", "e", "i", "n", "+", "-", "*", "/", "^", "_", "=", "<", ">", ",", ";", ":",
    "(", ")", "[", "]", "{", "}", "|", "!", "%", "$", "\\$", " ", "\\frac", "\\sqrt", "\\pi", "\\cdot", "\\times", "\\left",
    "\\right", "\\le", "\\ge", "\\infty", "\\cup", "\\cap", "\\pm", "\\text", "\\begin{pmatrix}", "\\end{pmatrix}", "&", "\\\\",
    "\\sin", "\\log", "\\ln", "\\circ", "\\in", "\\{", "\\}", "\\dots", "\\binom", "\\overline",
];

fuzz_target!(|bytes: &[u8]| {
    let text: String = bytes.iter().map(|&byte| PIECES[usize::from(byte) % PIECES.len()]).collect();
    if let Some(form) = answer::canonical(&text) {
        assert_eq!(answer::canonical(&form).as_deref(), Some(&*form), "of {text:?}");
    }
    answer::extract(&format!("\\boxed{{{text}}}"));
});
