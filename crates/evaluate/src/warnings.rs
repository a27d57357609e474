//! Warnings about results that an accuracy table hides: decoders without any readable answer, or without a right one.

use std::collections::BTreeMap;

use decoding::Cost;
use schema::Evaluation;
use serde::Serialize;

use crate::rank::Rank;

/// How many outputs of a decoder have an answer, and how many are right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct AnswerCounts {
    /// Problems that the decoder was asked.
    pub(crate) outputs: u64,
    /// Outputs with an answer that could be extracted.
    pub(crate) answered: u64,
    /// Outputs with the right answer.
    pub(crate) right: u64,
}

impl AnswerCounts {
    /// Counts one output.
    pub(crate) fn add(&mut self, row: &Evaluation) {
        self.outputs += 1;
        self.answered += u64::from(row.prediction.is_some());
        self.right += u64::from(row.correct);
    }
}

/// Warnings about decoders that gave no readable answer, or no right one, each with an output as an example.
///
/// Both may come from the prompt's format or a length limit rather than from the model, and an accuracy of 0 % does not
/// show which.
pub(crate) fn useless_decoders(rows: &[Evaluation]) -> Vec<String> {
    let mut decoders = BTreeMap::<Rank<'_>, AnswerCounts>::new();
    for row in rows {
        decoders.entry(Rank::decoder(&row.decoder)).or_default().add(row);
    }
    let of = |keep: fn(&AnswerCounts) -> bool| -> Vec<&str> {
        decoders.iter().filter(|(_, read)| keep(read)).map(|(rank, _)| rank.name()).collect()
    };
    let silent = of(|read| read.answered == 0);
    let wrong = of(|read| read.answered > 0 && read.right == 0);
    let say = |names: &[&str], what: &str| {
        let decoder = names.first()?;
        let shown = rows.iter().find(|row| row.decoder == *decoder && row.completion.is_some());
        let example = shown.map_or_else(String::new, example);
        Some(format!("{}: {what}{example}", names.join(", ")))
    };
    let no_answer = "no output has an answer that can be read, so all of them count as wrong: look at the prompt's format, \
                     at `answer_mark` and at `max_solution_tokens`";
    let useless_decoders = [say(&silent, no_answer), say(&wrong, "no answer is right")];
    useless_decoders.into_iter().flatten().collect()
}

/// A warning about solutions that were longer than a critic's context; `None` if there were none.
pub(crate) fn unread(cost: Cost) -> Option<String> {
    let Cost { judged, unread, .. } = cost;
    (unread > 0).then(|| {
        format!(
            "of {judged} solutions that were judged {unread} were longer than a critic's context: what it did not read is worth 0, \
             and a decoder that goes by it picks something else"
        )
    })
}

/// The end of an output next to the right answer.
fn example(row: &Evaluation) -> String {
    let tail = stage::tail(row.completion.as_deref().unwrap_or_default());
    let read = row.prediction.as_deref();
    let read =
        read.map_or_else(|| "no answer".to_owned(), |answer| format!("the answer {answer:?}"));
    format!(
        "; for example, the right answer of problem {} is {:?}; {read} was read from a text that ends in {tail}",
        row.prompt_id, row.target
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(decoder: &str, prediction: Option<&str>, correct: bool) -> Evaluation {
        Evaluation {
            decoder: decoder.to_owned(),
            prompt_id: "p".to_owned(),
            target: "42".to_owned(),
            prediction: prediction.map(str::to_owned),
            completion: Some("!!!!".to_owned()),
            correct,
            ..Evaluation::default()
        }
    }

    #[test]
    fn decoders_without_an_answer_or_a_right_one_are_named_with_an_example() {
        let rows = [
            row("mcts-vote", None, false),
            row("greedy", None, false),
            row("greedy", None, false),
            row("beam", Some("7"), false),
            row("dvts", None, false),
            row("dvts", Some("42"), true),
        ];
        let said = useless_decoders(&rows);
        let [silent, wrong] = &said[..] else { panic!("{said:?}") };
        assert!(silent.starts_with("greedy, mcts-vote: no output has an answer"), "{silent}");
        let example = "the right answer of problem p is \"42\"; no answer was read from a text that ends in \"!!!!\"";
        assert!(silent.ends_with(example), "{silent}");
        assert!(wrong.starts_with("beam: no answer is right; for example"), "{wrong}");
        assert!(wrong.contains("the answer \"7\" was read"), "{wrong}");
        assert!(useless_decoders(&rows[4..]).is_empty());
        assert!(useless_decoders(&[]).is_empty());
    }

    #[test]
    fn solutions_that_are_longer_than_a_critics_context_are_counted() {
        let cost = |unread| Cost { judged: 34, unread, ..Cost::default() };
        assert_eq!(unread(cost(0)), None);
        let said = unread(cost(20)).unwrap();
        assert!(said.starts_with("of 34 solutions that were judged 20 were longer"), "{said}");
    }
}
