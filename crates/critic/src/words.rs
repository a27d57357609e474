//! Critics that answer in words: the paper's text critics (§4.3, Appendix A). The score is `P(yes) / (P(yes) + P(no))`
//! after a text that asks the question.

use std::collections::BTreeMap;
use std::sync::Arc;

use lm::Prefixes;
use lm::prefix::scope_of;
use lm::train::Example;
use policy::{Choice, Policy, template};

use crate::targets::Labelled;
use crate::{CriticConfig, Error, Head, Scores, Solution, Words};

impl Words {
    /// Checks that the model has the special tokens named in the template of a head.
    fn check(&self, head: Head, tokenizer: &lm::Tokenizer) -> Result<(), Error> {
        let key = format!("critic.words.{head}.template");
        match policy::unknown_marks(&key, &self.template, tokenizer) {
            Some(problem) => Err(lm::Error::Config(problem).into()),
            None => Ok(()),
        }
    }

    /// Cache key of an answer within a question: the text and both words.
    fn key(&self, text: &str) -> [String; 3] {
        // With the words, since two heads may ask with the same text and different words.
        [text.to_owned(), self.yes.clone(), self.no.clone()]
    }
}

/// Cached answers: by question scope, then by text and the two words.
pub(crate) type AnswerCache = BTreeMap<u64, BTreeMap<[String; 3], f32>>;

/// A model that answers for some heads in words.
#[derive(Debug)]
pub(crate) struct WordCritic {
    model: Arc<Policy>,
    /// The heads, each with its template and words.
    heads: Vec<(Head, Words)>,
}

/// The score that a text asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScoreKind {
    Root,
    Value,
    Process,
    Outcome,
}

/// A text to score.
struct Query<'a> {
    solution: usize,
    kind: ScoreKind,
    question: &'a str,
    text: String,
    words: &'a Words,
}

impl CriticConfig {
    /// How a head is asked in words.
    fn words_of(&self, head: Head) -> Result<&Words, Error> {
        self.words.get(&head).ok_or(Error::Unasked(head))
    }

    /// Fills in the template for the first `count` options of a solution.
    fn asked(&self, words: &Words, solution: &Solution<'_>, count: usize) -> String {
        let options = &solution.options[..count];
        let finished = solution.finished && count == solution.options.len();
        let (whole, last) = (options.concat(), options.last().map_or("", String::as_str));
        let before = options[..count.saturating_sub(1)].concat();
        let finding = if finished {
            self.solution.of(answer::verdict(&whole))
        } else {
            self.option.of(answer::finding(last))
        };
        template::filled(
            &words.template,
            &[
                ("question", solution.question),
                ("before", &before),
                ("option", last),
                ("solution", &whole),
                ("finding", finding),
            ],
        )
    }

    /// The option counts at which a head is asked, each with the score it yields.
    fn places(head: Head, solution: &Solution<'_>) -> Vec<(usize, ScoreKind)> {
        let all = solution.options.len();
        match head {
            Head::Value => (0..=all)
                .map(|count| (count, if count == 0 { ScoreKind::Root } else { ScoreKind::Value }))
                .collect(),
            Head::Prm => (1..=all).map(|count| (count, ScoreKind::Process)).collect(),
            Head::Orm if solution.finished && all > 0 => vec![(all, ScoreKind::Outcome)],
            Head::Orm => Vec::new(),
        }
    }
}

impl WordCritic {
    pub(crate) fn new(
        model: Arc<Policy>,
        heads: &[Head],
        config: &CriticConfig,
    ) -> Result<Self, Error> {
        let asked = |&head: &Head| Ok((head, config.words_of(head)?.clone()));
        let heads: Vec<(Head, Words)> = heads.iter().map(asked).collect::<Result<_, Error>>()?;
        for (head, words) in &heads {
            match model.tokenizer() {
                // A local vocabulary can be looked up. A server has to be tried.
                Some(tokenizer) => words.check(*head, tokenizer)?,
                None => is_seen(&model, *head, words, config)?,
            }
        }
        Ok(Self { model, heads })
    }

    pub(crate) fn heads(&self) -> impl Iterator<Item = Head> {
        self.heads.iter().map(|(head, _)| *head)
    }

    /// Length in tokens of each head's text for the bare question, with the context length. Empty for a model behind a
    /// server, where neither is known.
    pub(crate) fn taken(
        &self,
        question: &str,
        config: &CriticConfig,
    ) -> Result<Vec<(usize, usize)>, Error> {
        let bare = Solution { question, options: Vec::new(), finished: false, branch: 0 };
        let mut all = Vec::new();
        for (_, words) in &self.heads {
            let tokens = self.model.tokens(&config.asked(words, &bare, 0))?;
            all.extend(tokens.zip(self.model.context()));
        }
        Ok(all)
    }

    /// Scores every solution. Cached answers are reused. A text that exceeds the model's context is not asked: it scores
    /// 0 and its solution counts as cut.
    pub(crate) fn score(
        &self,
        solutions: &[Solution<'_>],
        (scores, cut): (&mut [Scores], &mut [bool]),
        config: &CriticConfig,
        (prefixes, said): (&mut Prefixes, &mut AnswerCache),
    ) -> Result<(), Error> {
        let asked = self.asked(solutions, config);
        for (_, words) in &self.heads {
            // A map, so that a text that occurs several times is asked once.
            let mut new = BTreeMap::<&str, &str>::new();
            for one in asked.iter().filter(|one| one.words == words) {
                let said = said.get(&scope_of(one.question));
                let unsaid = said.is_none_or(|said| !said.contains_key(&words.key(&one.text)));
                // A text that is too long stays without an answer, which is how it is found to be cut below.
                if unsaid && self.model.reads(&one.text)? {
                    new.insert(&one.text, one.question);
                }
            }
            let choices: Vec<Choice<'_>> = new
                .iter()
                .map(|(text, question)| Choice { question, text: (*text).to_owned() })
                .collect();
            let shares = self.model.choose(&choices, &words.yes, &words.no, prefixes)?;
            for (Choice { question, text }, share) in choices.into_iter().zip(shares) {
                let key = words.key(&text);
                said.entry(scope_of(question)).or_default().insert(key, share.yes as f32);
            }
        }
        for one in asked {
            let said = said.get(&scope_of(one.question));
            let score = said.and_then(|said| said.get(&one.words.key(&one.text))).copied();
            cut[one.solution] |= score.is_none();
            let score = score.unwrap_or(0.0);
            let scores = &mut scores[one.solution];
            match one.kind {
                ScoreKind::Root => scores.root = score,
                ScoreKind::Value => scores.values.push(score),
                ScoreKind::Process => scores.process.push(score),
                ScoreKind::Outcome => scores.outcome = Some(score),
            }
        }
        Ok(())
    }

    fn asked<'a>(
        &'a self,
        solutions: &'a [Solution<'_>],
        config: &'a CriticConfig,
    ) -> Vec<Query<'a>> {
        let mut asked = Vec::new();
        for (index, solution) in solutions.iter().enumerate() {
            for (head, words) in &self.heads {
                let one = |(count, kind)| Query {
                    solution: index,
                    kind,
                    question: solution.question,
                    text: config.asked(words, solution, count),
                    words,
                };
                asked.extend(CriticConfig::places(*head, solution).into_iter().map(one));
            }
        }
        asked
    }
}

/// Checks that a server lists at least one of a head's words among its likeliest tokens. If it never does, there is no
/// probability to score with.
fn is_seen(model: &Policy, head: Head, words: &Words, config: &CriticConfig) -> Result<(), Error> {
    let tried = TRIED.map(|options| Solution {
        question: ASKED,
        options: options.map(str::to_owned).into(),
        finished: true,
        branch: 0,
    });
    let text = |solution: &Solution<'_>| {
        let text = config.asked(words, solution, solution.options.len());
        Choice { question: ASKED, text }
    };
    let choices: Vec<Choice<'_>> = tried.iter().map(text).collect();
    let weighed = model.choose(&choices, &words.yes, &words.no, &mut Prefixes::default())?;
    let told: Option<Vec<_>> = weighed.into_iter().map(|one| one.told).collect();
    // One listed word is enough: the other one then gets an upper bound.
    let Some(told) = told else { return Ok(()) };
    let told: Vec<String> =
        told.concat().iter().take(MOST_TOLD).map(|one| format!("{one:?}")).collect();
    let (yes, no) = (words.yes.clone(), words.no.clone());
    Err(Error::Unseen { head, yes, no, told: told.join(", ") })
}

/// Test problem for a served critic, with a right and a wrong solution.
const ASKED: &str = "Tom has 2 apples and buys 3 more. How many does he have?";
const TRIED: [[&str; 2]; 2] =
    [["Tom has 2 + 3 = 5 apples.\n", "#### 5"], ["Tom has 2 + 3 = 6 apples.\n", "#### 6"]];
/// Number of other tokens that the error lists.
const MOST_TOLD: usize = 6;

/// Training rows for a model that answers for some heads in words. Each text is continued once with `yes`, weighted by
/// the target `t`, and once with `no`, weighted by `1 - t`, so that `P(yes) / (P(yes) + P(no))` converges to `t`. For `t`
/// of 0 or 1 this is the paper's loss; the weights also allow targets in between.
///
/// # Errors
/// [`Error::Unasked`] for a head without a template, [`Error::Model`] if the tokenizer fails or a word is not a single
/// token.
pub fn examples(
    labelled: &[Labelled<'_>],
    heads: &[Head],
    config: &CriticConfig,
    tokenizer: &lm::Tokenizer,
) -> Result<Vec<Example>, Error> {
    let mut rows = Vec::new();
    for &head in heads {
        let words = config.words_of(head)?;
        words.check(head, tokenizer)?;
        let [yes, no] = [tokenizer.word(&words.yes)?, tokenizer.word(&words.no)?];
        for row in labelled {
            let solution = Solution {
                question: row.question,
                options: row.options.to_vec(),
                finished: true,
                branch: 0,
            };
            for (count, kind) in CriticConfig::places(head, &solution) {
                let target = match kind {
                    ScoreKind::Root => row.root,
                    ScoreKind::Value => row.values[count - 1],
                    ScoreKind::Process => row.process[count - 1],
                    ScoreKind::Outcome => row.outcome,
                };
                let ids = tokenizer.encode_whole(&config.asked(words, &solution, count))?;
                for (word, share) in [(yes, target), (no, 1.0 - target)] {
                    let (from, weight) = (ids.len(), share * row.weight);
                    let ids = ids.iter().copied().chain([word]).collect();
                    let example =
                        Example { ids, targets_from: Some(from), heads: Vec::new(), weight };
                    // Targets of 0 and 1 need only one of the two rows.
                    rows.extend((weight > 0.0).then_some(example));
                }
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
