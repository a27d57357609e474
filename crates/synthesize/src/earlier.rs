//! Earlier rounds: the prompts with kept solutions, and the payoff of each operator.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use dataset::{Dataset, Input};
use schema::{Message, Prompt, Question, SftExample};
use stage::Failure;

use crate::operator::{Operator, Payoff};

/// A question that others are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) id: String,
    pub(crate) text: String,
    /// The answer that a search found; `None` for a seed, whose answer is not read.
    pub(crate) found: Option<String>,
}

/// The prompts, kept solutions and payoffs of earlier rounds.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    /// The prompts with a kept solution, ordered by id.
    pub(crate) kept: Vec<Parent>,
    pub(crate) payoffs: BTreeMap<Operator, Payoff>,
    /// The texts of all prompts.
    pub(crate) texts: Vec<String>,
}

/// The open datasets of earlier rounds.
pub(crate) struct Rounds {
    prompts: Vec<Dataset<Prompt>>,
    kept: Vec<Dataset<SftExample>>,
}

impl Rounds {
    pub(crate) fn open(prompts: &[PathBuf], kept: &[PathBuf]) -> Result<Self, Failure> {
        Ok(Self {
            prompts: prompts.iter().map(|dir| Dataset::open(dir)).collect::<Result<_, _>>()?,
            kept: kept.iter().map(|dir| Dataset::open(dir)).collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn inputs(&self) -> Vec<Input> {
        let prompts = self.prompts.iter().map(|dataset| dataset.input("earlier"));
        prompts.chain(self.kept.iter().map(|dataset| dataset.input("kept"))).collect()
    }

    pub(crate) fn read(&self) -> Result<Earlier, Failure> {
        let (mut prompts, mut kept) = (Vec::new(), Vec::new());
        for dataset in &self.prompts {
            prompts.extend(dataset.view::<Question>()?);
        }
        for dataset in &self.kept {
            kept.extend(dataset.rows()?);
        }
        let known: BTreeSet<&str> = prompts.iter().map(|one| one.prompt_id.as_str()).collect();
        if let Some(of) = kept.iter().find(|example| !known.contains(example.prompt_id.as_str())) {
            let (example, prompt) = (&of.example_id, &of.prompt_id);
            let message =
                format!("kept example {example} is of prompt {prompt}, which no earlier round has");
            return Err(Failure::data(message).hint("give --earlier and --kept of the same rounds"));
        }
        Ok(Earlier::of(&prompts, &kept))
    }
}

impl Earlier {
    fn of(prompts: &[Question], kept: &[SftExample]) -> Self {
        let mut best = BTreeMap::<&str, &SftExample>::new();
        for example in kept {
            let of = best.entry(&example.prompt_id).or_insert(example);
            if better(example, of) {
                *of = example;
            }
        }
        let mut payoffs = BTreeMap::<Operator, Payoff>::new();
        let mut backward = BTreeSet::new();
        for prompt in prompts {
            let Some(operator) = prompt.operator.as_deref().and_then(Operator::named) else {
                continue;
            };
            let payoff = payoffs.entry(operator).or_default();
            payoff.made += 1;
            // A prompt without a kept solution adds nothing, but counts as made, and so lowers the mean.
            payoff.gain +=
                best.get(prompt.prompt_id.as_str()).map_or(0.0, |example| example.news());
            if operator == Operator::Backward {
                backward.insert(prompt.prompt_id.as_str());
            }
        }
        // A backward question states an answer, which is right only for the numbers it has: an operator that changes
        // them would make it contradict itself.
        best.retain(|id, _| !backward.contains(id));
        let parent = |(id, example): (&str, &SftExample)| Parent {
            id: id.to_owned(),
            text: said(&example.prompt),
            found: answer::extract(&said(&example.completion)).map(str::to_owned),
        };
        // Also of prompts for which nothing was kept: they are not made again either.
        let texts = prompts.iter().map(|prompt| prompt.prompt.clone()).collect();
        Self { kept: best.into_iter().map(parent).collect(), payoffs, texts }
    }
}

/// Whether `one` should represent its prompt instead of `other`: the higher score wins, then the lower id.
fn better(one: &SftExample, other: &SftExample) -> bool {
    let score = |example: &SftExample| example.score.unwrap_or(f32::MIN);
    let order = score(one).total_cmp(&score(other));
    order.then_with(|| other.example_id.cmp(&one.example_id)).is_gt()
}

fn said(messages: &[Message]) -> String {
    messages.iter().map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(id: &str, operator: &str) -> Question {
        Question {
            prompt_id: id.to_owned(),
            operator: Some(operator.to_owned()),
            ..Question::default()
        }
    }

    fn example(of: &str, id: &str, score: f32, answer: &str) -> SftExample {
        SftExample {
            prompt: vec![Message::user(format!("What is {of}?"))],
            completion: vec![Message::assistant(format!("It is so.\n#### {answer}"))],
            prompt_id: of.to_owned(),
            example_id: id.to_owned(),
            score: Some(score),
            logprob: Some(0.25_f32.ln()),
            ..SftExample::default()
        }
    }

    #[test]
    fn operators_are_paid_in_news() {
        let prompts =
            [prompt("a", "mutate"), prompt("b", "mutate"), prompt("c", "fresh"), prompt("d", "?")];
        let certain = SftExample { logprob: Some(0.0), ..example("c", "3", 0.5, "7") };
        let kept = [example("a", "1", 0.5, "5"), example("a", "2", 0.9, "6"), certain];
        let Earlier { payoffs, .. } = Earlier::of(&prompts, &kept);
        let gain = |operator| (payoffs[&operator].made, payoffs[&operator].mean());
        let (made, mean) = gain(Operator::Mutate);
        assert!(made == 2 && (mean - 0.375).abs() < 1e-6, "{mean}");
        assert_eq!(gain(Operator::Fresh), (1, 0.0));
        assert_eq!(payoffs.len(), 2);
        let unknown = SftExample { logprob: None, ..example("c", "3", 0.5, "7") };
        let Earlier { payoffs, .. } = Earlier::of(&prompts, &[unknown]);
        assert_eq!(payoffs[&Operator::Fresh], Payoff { made: 1, gain: 1.0 });
    }

    #[test]
    fn what_was_kept_is_a_parent_with_what_was_found() {
        let prompts = [prompt("a", "mutate"), prompt("b", "backward")];
        let kept = [
            example("a", "2", 0.9, "6"),
            example("a", "1", 0.9, "5"),
            example("b", "3", 0.9, "7"),
            example("c", "4", 0.1, "8"),
        ];
        let parent = |id: &str, found: &str| Parent {
            id: id.to_owned(),
            text: format!("What is {id}?"),
            found: Some(found.to_owned()),
        };
        assert_eq!(Earlier::of(&prompts, &kept).kept, [parent("a", "5"), parent("c", "8")]);
    }
}
