//! The labels of all problems, checked before they are committed.

use std::collections::BTreeMap;

use critic::Classes;
use schema::labels::{HELD_OUT, TRAIN};
use schema::{Label, Prompt};
use stage::Failure;

/// The two splits, each with the words that messages use for it.
const SPLITS: [(&str, &str); 2] = [
    (TRAIN, "labelled solutions of the seeds"),
    (HELD_OUT, "labelled solutions of the held-out problems"),
];

/// How many solutions to show when the labels are refused.
const SHOWN: usize = 3;

/// All labels, with the problems they belong to and the splits of those.
pub(super) struct AllLabels<'a> {
    pub(super) rows: Vec<Label>,
    pub(super) problems: &'a [(Prompt, &'a str)],
}

impl AllLabels<'_> {
    /// Counts the right and the wrong labels of each split.
    pub(super) fn classes(&self) -> BTreeMap<&'static str, Classes> {
        let of = |split: &'static str| self.rows.iter().filter(move |row| row.split == split);
        let classes =
            |(split, _)| (split, of(split).map(|row| row.outcome > 0.5).collect::<Classes>());
        SPLITS.map(classes).into()
    }

    /// The splits that there are problems of.
    fn splits(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let has = |split: &str| self.problems.iter().any(|(_, of)| *of == split);
        SPLITS.into_iter().filter(move |(split, _)| has(split))
    }

    /// Warns if the labels of a split are all of one class, or nearly; an error if none is right, unless `allowed`. All
    /// right is only a warning here: the policy may simply be that good, and `finetune critic` refuses such labels itself.
    pub(super) fn check(&self, allowed: bool) -> Result<(), Failure> {
        let classes = self.classes();
        for (split, labels) in self.splits() {
            if let Some(rare) = classes[split].rare(labels) {
                tracing::warn!("{rare}: critics learn little of what is rare");
            }
        }
        let alike = |(split, labels): (&str, &str)| classes[split].alike(labels);
        let alike: Vec<String> = self.splits().filter_map(alike).collect();
        if alike.is_empty() {
            return Ok(());
        }
        let (silent, all) =
            (self.rows.iter().filter(|row| text_and_answer(row).1.is_none()), self.rows.len());
        let message = format!(
            "{}: critics would learn a constant (no answer can be read from {} of {all})",
            alike.join("; "),
            silent.count()
        );
        self.show();
        let none = self.splits().any(|(split, _)| classes[split].right == 0);
        if allowed || !none {
            tracing::warn!("{message}");
            return Ok(());
        }
        Err(Failure::data(message).hint(
            "look at the solutions above: the prompt's format and `answer_mark` in text.toml, `max_solution_tokens`, \
             `samples` and the sampling in label.toml, or a policy that can (not) solve these problems; \
             --allow-one-class (ONE_CLASS=1 of make) goes on all the same",
        ))
    }

    /// Logs a few solutions beside the gold answers.
    fn show(&self) {
        let gold: BTreeMap<&str, Option<&str>> = self
            .problems
            .iter()
            .map(|(p, _)| (p.prompt_id.as_str(), p.answer.as_deref()))
            .collect();
        for row in self.rows.iter().take(SHOWN) {
            let (text, answer) = text_and_answer(row);
            let gold = gold.get(row.prompt_id.as_str()).copied().flatten().unwrap_or_default();
            let answer =
                answer.map_or_else(|| "no answer".to_owned(), |it| format!("the answer {it:?}"));
            tracing::warn!(
                "the right answer of problem {} is {gold:?}; {answer} was read from a text that ends in {}",
                row.prompt_id,
                stage::tail(&text)
            );
        }
    }
}

/// The text of a labelled solution, and the answer read from it.
fn text_and_answer(row: &Label) -> (String, Option<String>) {
    let text = row.options.concat();
    let answer = answer::extract(&text).map(str::to_owned);
    (text, answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(problem: &str, split: &str, text: &str, right: bool) -> Label {
        Label {
            trajectory_id: format!("{problem}: {text}"),
            prompt_id: problem.to_owned(),
            options: vec![text.to_owned()],
            outcome: f32::from(u8::from(right)),
            split: split.to_owned(),
            ..Label::default()
        }
    }

    #[test]
    fn labels_of_one_kind_are_refused_with_their_counts_unless_they_are_meant() {
        let problem =
            Prompt { prompt_id: "p".to_owned(), answer: Some("5".to_owned()), ..Prompt::default() };
        let problems = [(problem.clone(), TRAIN), (problem, HELD_OUT)];
        let check = |train: &[bool], held_out: &[bool], allowed: bool| {
            let of = |split: &str, right: &[bool]| {
                let one = |(i, &right): (usize, &bool)| {
                    let text = if right { "#### 5" } else { "Well." };
                    Label { trajectory_id: format!("{split}{i}"), ..label("p", split, text, right) }
                };
                right.iter().enumerate().map(one).collect::<Vec<_>>()
            };
            let rows = [of(TRAIN, train), of(HELD_OUT, held_out)].concat();
            AllLabels { rows, problems: &problems }.check(allowed)
        };
        check(&[true, false], &[false, true], false).unwrap();
        let refused = |train: &[bool], held_out: &[bool]| {
            check(train, held_out, true).unwrap();
            let failure = check(train, held_out, false).unwrap_err();
            assert_eq!(failure.exit(), stage::Exit::Data);
            failure.to_string()
        };
        let none = refused(&[false, false], &[false, true]);
        let says = "0 of 2 labelled solutions of the seeds are right: critics would learn a constant (no answer can be read from 3 of 4)";
        assert_eq!(none, says);
        check(&[true, true], &[true], false).expect("they are what the policy can");
        let rows = vec![label("p", TRAIN, "#### 5", true), label("p", TRAIN, "Well.", false)];
        let seeds_alone = AllLabels { rows, problems: &problems[..1] };
        seeds_alone.check(false).expect("no held-out problems were asked for");
        let both = refused(&[], &[]);
        assert!(
            both.contains("no labelled solutions of the seeds; there are no labelled"),
            "{both}"
        );
    }
}
