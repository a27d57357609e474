//! Tests with a tiny policy that was trained to repeat one solution.

use super::*;
use lm::engine::EngineOptions;
use lm::train::{Example, TrainConfig, Training};
use lm::{Checkpoint, Precision, Tokenizer, device};

const QUESTION: &str = "Tom has 2 bags of 3 apples and eats 1. How many are left?";
const SOLUTION: &str = "Tom has 2 * 3 = 6 apples.\nHe has 6 - 1 = 5 left.\n#### 5";

fn config() -> PolicyConfig {
    PolicyConfig {
        format: PromptFormat {
            prefix: "<|bos|>".to_owned(),
            suffix: "<|answer|>".to_owned(),
            ..PromptFormat::default()
        },
        termination: Termination::Line,
        answer_mark: "####".to_owned(),
        max_option_tokens: 40,
        max_solution_tokens: 80,
    }
}

/// A policy that was trained on `SOLUTION` until it repeats it.
fn policy() -> Policy {
    knows(SOLUTION)
}

/// A policy that was trained to write `solution`.
fn knows(solution: &str) -> Policy {
    let special = ["<|bos|>", "<|eos|>", "<|answer|>"].map(str::to_owned);
    let tokenizer = Tokenizer::train([QUESTION, solution].into_iter(), 320, &special).unwrap();
    let model = serde_json::from_value(serde_json::json!({
        "model_type": "llama", "vocab_size": 320, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 1,
    }))
    .unwrap();
    let checkpoint = Checkpoint::fresh(model, tokenizer, 1, &device::cpu()).unwrap();
    let text = ["<|bos|>", QUESTION, "<|answer|>", solution, "<|eos|>"].concat();
    let ids = checkpoint.tokenizer.encode(&text).unwrap();
    let from = ids.iter().position(|&id| id == 2).unwrap() + 1;
    let example = Example { ids, targets_from: Some(from), heads: vec![], weight: 1.0 };
    let train = TrainConfig {
        final_share: 0.1,
        warmup_share: 0.1,
        clip_norm: 1.0,
        ..TrainConfig::plain(150.0, 1e-2)
    };
    let training = Training {
        checkpoint: &checkpoint,
        examples: &[example],
        preferences: None,
        validation: &[],
        config: &train,
        updates: None,
        seed: 0,
        workers: 1,
    };
    let learned = training.run::<Error>(&[device::cpu()], None, &mut |_| Ok(())).unwrap();
    let checkpoint = Checkpoint { model: learned.model, ..checkpoint };
    let options = EngineOptions { workers: 1, rows: 8 };
    let engine = Engine::new(&checkpoint, &[device::cpu()], Precision::F32, options);
    Policy::new(Arc::new(engine), config()).unwrap()
}

#[test]
fn options_end_at_lines_and_add_up_to_the_solution() {
    let policy = policy();
    let request = |written: &str, to_end| StateRequest {
        question: QUESTION,
        written: written.to_owned(),
        sampling: Sampling::Greedy,
        to_end,
        keep: !to_end,
        excluded: Vec::new(),
        seed: 0,
    };
    let mut written = String::new();
    let mut stops = Vec::new();
    let mut prefixes = Prefixes::default();
    loop {
        let option = policy.write(&[request(&written, false)], &mut prefixes).unwrap().remove(0);
        written += &option.text;
        stops.push(option.finish.name());
        if option.terminal {
            break;
        }
    }
    assert_eq!(written, SOLUTION);
    assert_eq!(stops, ["termination", "termination", "end"]);
    let mut write = |request| policy.write(&[request], &mut prefixes).unwrap().remove(0);
    let whole = write(request("", true));
    assert_eq!(whole.parts.len(), 3);
    assert_eq!(
        (whole.texts().collect::<String>().as_str(), whole.text.as_str()),
        (SOLUTION, SOLUTION)
    );
    let tokens: usize = whole.parts.iter().map(|part| part.drawn.ids.len()).sum();
    assert_eq!(tokens, whole.tokens as usize);
    assert!(whole.logprob() > -0.5, "known by heart: {}", whole.logprob());
    let first = &whole.parts[0];
    let rest = write(request(&first.text, true));
    assert_eq!([first.text.as_str(), &rest.text].concat(), SOLUTION);
    assert!(rest.terminal);
}

/// The model would continue after its answer. It is stopped at the answer, without a wasted token.
#[test]
fn a_model_is_stopped_at_its_answer() {
    let on = [SOLUTION, "\nTom has 1 + 1 = 2 bags.\n#### 2"].concat();
    let policy = knows(&on);
    for (written, rest) in
        [("", SOLUTION), ("Tom has 2 * 3 = 6 apples.\nHe has 6 - 1 = 5 left.\n", "#### 5")]
    {
        let request = StateRequest {
            question: QUESTION,
            written: written.to_owned(),
            sampling: Sampling::Greedy,
            to_end: true,
            keep: false,
            excluded: Vec::new(),
            seed: 0,
        };
        let whole = policy.write(&[request], &mut Prefixes::default()).unwrap().remove(0);
        let text = [rest, "\n"].concat();
        assert_eq!(
            (whole.text.as_str(), whole.finish.name(), whole.terminal),
            (text.as_str(), "answer", true)
        );
        let tokens: usize = whole.parts.iter().map(|part| part.drawn.ids.len()).sum();
        assert_eq!(tokens, whole.tokens as usize);
        assert!(answer::grade(&[written, &whole.text].concat(), "5"));
    }
}

/// The policy repeats one solution, but writes something else if that one is excluded.
#[test]
fn what_was_drawn_is_not_said_again() {
    let policy = policy();
    let mut seen = std::collections::BTreeSet::new();
    let mut excluded = Vec::new();
    for seed in 0..12 {
        let request = StateRequest {
            question: QUESTION,
            written: String::new(),
            sampling: Sampling::Temperature { temperature: 1.0 },
            to_end: false,
            keep: true,
            excluded: excluded.clone(),
            seed,
        };
        let option = policy.write(&[request], &mut Prefixes::default()).unwrap().remove(0);
        let drawn = option.parts[0].drawn.clone();
        assert!(seen.insert(drawn.ids.clone()), "{seed}: {}", option.text);
        excluded.push(drawn);
    }
    assert!(excluded[0].logprob() > -0.1, "the first is what it knows");
}

/// Token-level and sentence-level search only differ in the termination (Table 1).
#[test]
fn terminations_cut_a_solution_into_other_options() {
    let policy = policy();
    let options = |termination: Termination, most: usize| {
        let policy = policy.with(PolicyConfig { termination, ..config() }).unwrap();
        let mut written = String::new();
        let mut all: Vec<Continuation> = Vec::new();
        while all.len() < most && !all.last().is_some_and(|option| option.terminal) {
            let request = StateRequest {
                question: QUESTION,
                written: written.clone(),
                sampling: Sampling::Greedy,
                to_end: false,
                keep: true,
                excluded: Vec::new(),
                seed: 0,
            };
            all.push(policy.write(&[request], &mut Prefixes::default()).unwrap().remove(0));
            written += &all[all.len() - 1].text;
        }
        let unfinished = all.iter().filter(|option| !option.terminal);
        assert!(
            unfinished.into_iter().all(|option| option.finish.name() == "termination"),
            "{all:?}"
        );
        (all, written)
    };
    let mark = Termination::Mark("left.".to_owned());
    let (line, paragraph) = (Termination::Line, Termination::Paragraph);
    for (rule, count) in [(line, 3), (Termination::Sentence, 3), (paragraph, 1), (mark, 2)] {
        let (all, written) = options(rule, 9);
        assert_eq!((all.len(), written.as_str()), (count, SOLUTION));
    }
    // A text cut between tokens may be tokenized differently when it is read again, so only the lengths are compared.
    for count in [1, 2] {
        let (all, _) = options(Termination::Tokens(count), 3);
        assert!(all.iter().all(|option| option.tokens as usize == count), "{all:?}");
    }
}

#[test]
fn an_answer_is_whole_when_its_line_is() {
    let policy = policy();
    assert!(!policy.answered("It is 5.\n"));
    assert!(!policy.answered("#### 1"), "or 18");
    assert!(policy.answered("#### 18\n"));
    assert!(!policy.answered("#### Step 1: add\n"));
    let boxed =
        policy.with(PolicyConfig { answer_mark: "\\boxed{".to_owned(), ..config() }).unwrap();
    assert!(!boxed.answered("It is \\boxed{\\frac{1}{2}}."), "the line goes on");
    assert!(boxed.answered("It is \\boxed{\\frac{1}{2}}.\n"));
    assert!(!boxed.answered("It is \\boxed{\\begin{pmatrix}1\n"), "the box is open");
    assert!(boxed.answered("\\boxed{\\begin{pmatrix}1\n\\end{pmatrix}}\n"));
}

#[test]
fn a_question_that_fills_the_context_does_not_fit() {
    let policy = policy();
    assert!(policy.fits(QUESTION, 80).unwrap());
    assert!(!policy.fits(&QUESTION.repeat(12), 80).unwrap());
}

/// The context has 256 tokens: an option that fills it is cut, and nothing follows a full state.
#[test]
fn a_path_that_runs_out_of_room_is_cut_there() {
    let policy = policy();
    let taken = |written: &str| policy.taken(QUESTION, written).unwrap().unwrap();
    assert_eq!(policy.context(), Some(256));
    let mut written = String::new();
    while taken(&written) < 250 {
        written.push_str("z ");
    }
    let state = |written: &str, to_end| StateRequest {
        question: QUESTION,
        written: written.to_owned(),
        sampling: Sampling::Temperature { temperature: 1.0 },
        to_end,
        keep: false,
        excluded: Vec::new(),
        seed: 7,
    };
    let over = "z ".repeat(300);
    let states = [state(&over, false), state(&written, false), state(&over, true), state("", true)];
    let options = policy.write(&states, &mut Prefixes::default()).unwrap();
    for (option, whole) in options.iter().zip([false, true, false, true]) {
        assert_eq!(option.tokens > 0, whole, "{option:?}");
    }
    for full in [&options[0], &options[2]] {
        assert_eq!((full.text.as_str(), full.finish.name()), ("", "length"));
    }
    let near = &options[1];
    let room = 256 - taken(&written);
    assert!(near.tokens as usize <= room, "{near:?}");
    // The result is the same without other rows in the batch.
    assert_eq!(policy.write(&states[1..2], &mut Prefixes::default()).unwrap()[0], *near);
    assert!(policy.reads(&"z".repeat(9)).unwrap() && !policy.reads(&over.repeat(2)).unwrap());
}
