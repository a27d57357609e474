//! What a server has to show before it is relied on.

use lm::Sampling;
use serde_json::Value;

use super::faults::{Fault, printable};
use super::{Draft, Job, Server, wire};
use crate::format::named_marks;
use crate::{Error, PromptFormat, PromptText};

/// A text that every model can go on with.
const TEXT: &str = "1 2 3 4 5 6 7 8";
/// A text to see the tokens of a mark behind.
const PLAIN: &str = "a";
/// A text that every model can go on with in many ways.
const OPEN: &str = "The";
/// So many samples are compared.
const SAMPLES: usize = 8;
/// What is less likely than this is taken for impossible.
const NEVER: f32 = 1e-9;
/// So often the likeliest token is asked for, with as many seeds.
const GREEDY: u64 = 4;
/// Log-probabilities no farther apart than this may change their order from one batch to another.
const NEARLY: f32 = 0.5;

impl Server {
    /// The same, with its model known and its ways tried.
    pub(crate) fn probed(mut self) -> Result<Self, Error> {
        let models = self.patiently(|| self.get("models"))?;
        self.model = self.chosen(&models)?;
        self.context = context(&models, &self.model);
        self.extended = self.takes_more()?;
        let sampled = Sampling::Temperature { temperature: 1.0 };
        let job = Job { prompt: OPEN.to_owned(), ..job(SAMPLES, sampled) };
        let first = self.tried(&job)?;
        self.repeats = texts(&first) == texts(&self.tried(&job)?);
        self.samples(&first)?;
        self.greedy()?;
        self.stops()?;
        Ok(self)
    }

    /// Checks that it tells how likely other tokens than its own are: a critic is asked so.
    ///
    /// # Errors
    /// [`Error::Refused`] when it does not, [`Error::Unavailable`] when it does not answer.
    pub fn require_likeliest(&self) -> Result<(), Error> {
        self.choose(&[TEXT], "yes", "no").map(|_| ())
    }

    /// Checks that the server reads the special tokens around a question as such, as far as it tells how many tokens a text
    /// has. A model may have been trained on a template whose marks are text: those are only warned of.
    ///
    /// # Errors
    /// [`Error::Refused`] names the preset's key.
    pub(crate) fn reads_marks(
        &self,
        format: &PromptFormat,
        prompt: &PromptText,
    ) -> Result<(), Error> {
        let marks = named_marks(&prompt.render("", ""));
        if marks.is_empty() {
            return Ok(());
        }
        let plain = self.length(PLAIN)?;
        for mark in marks {
            let marked = self.length(&[PLAIN, &mark].concat())?;
            let (Some(plain), Some(marked)) = (plain, marked) else { return Ok(()) };
            if marked <= plain + 1 {
                continue;
            }
            let key = format.texts().find(|(_, text)| text.contains(&mark)).map(|(key, _)| key);
            let count = marked - plain;
            let problem = format!(
                "`{mark}` is no token of its model, which reads it as {count} tokens of text"
            );
            match key {
                Some(key) => return Err(self.refused(format!("`{key}`: {problem}"))),
                None => {
                    tracing::warn!("{}: `policy.format.chat.template`: {problem}", self.address);
                }
            }
        }
        Ok(())
    }

    pub(super) fn refused(&self, problem: impl AsRef<str>) -> Error {
        Error::Refused { address: self.address.clone(), problem: printable(problem.as_ref()) }
    }

    /// The model that was named, or the only one.
    fn chosen(&self, models: &Value) -> Result<String, Error> {
        let listed = models["data"].as_array().map_or(&[][..], Vec::as_slice);
        let ids: Vec<&str> = listed.iter().filter_map(|model| model["id"].as_str()).collect();
        match ids.as_slice() {
            [only] if only.contains(char::is_control) => {
                Err(self.refused(format!("the name of its model cannot be shown: {only}")))
            }
            [only] if self.model.is_empty() => Ok((*only).to_owned()),
            ids if ids.contains(&self.model.as_str()) => Ok(self.model.clone()),
            [] => Err(self.refused("it serves no model (/models)")),
            ids => {
                let ids = ids.join(", ");
                Err(self.refused(format!("name one of its models behind `#`: {ids}")))
            }
        }
    }

    /// Whether it takes settings beside OpenAI's, or refuses requests with them.
    fn takes_more(&self) -> Result<bool, Error> {
        let job = job(1, Sampling::Greedy);
        let ask = |extended| {
            self.patiently(|| match self.post("completions", &job.body(&self.model, extended)) {
                Ok(_) => Ok(None),
                Err(Fault::Lasting(problem)) => Ok(Some(problem)),
                Err(passing) => Err(passing),
            })
        };
        if ask(true)?.is_none() {
            return Ok(true);
        }
        ask(false)?.map_or(Ok(false), |problem| Err(self.refused(problem)))
    }

    /// The completions of a job; too few of them mean a server that cannot count, not one that failed.
    fn tried(&self, job: &Job) -> Result<Vec<Draft>, Error> {
        self.patiently(|| {
            let answer = self.post("completions", &job.body(&self.model, self.extended))?;
            let got = answer["choices"].as_array().map_or(0, Vec::len);
            if got > 0 && got < job.count {
                let wanted = job.count;
                let problem =
                    format!("it ignores `n`: {got} completions where {wanted} were asked");
                return Err(Fault::Lasting(problem));
            }
            wire::drafts(&answer, job)
        })
    }

    /// Checks that samples are samples: that of several not all are alike where that cannot be chance.
    fn samples(&self, drawn: &[Draft]) -> Result<(), Error> {
        let alike = drawn.windows(2).all(|pair| pair[0].text() == pair[1].text());
        let chance = drawn.iter().skip(1).map(logprob).sum::<f32>().exp();
        if alike && chance < NEVER {
            return Err(self.refused(format!(
                "it ignores `temperature`: {SAMPLES} samples are alike, and their log-probabilities say that they are not"
            )));
        }
        Ok(())
    }

    /// Checks that it takes the likeliest token where it is told to, whatever the seed. Two that are nearly as likely may
    /// take turns.
    fn greedy(&self) -> Result<(), Error> {
        let first = |seed| {
            let job = job(1, Sampling::Greedy);
            let job = Job { prompt: OPEN.to_owned(), seed, max_tokens: 1, ..job };
            Ok(self.tried(&job)?.swap_remove(0))
        };
        let drafts = (1..=GREEDY).map(first).collect::<Result<Vec<Draft>, Error>>()?;
        let apart = |one: &Draft, other: &Draft| {
            one.text() != other.text() && (logprob(one) - logprob(other)).abs() > NEARLY
        };
        match drafts.iter().find(|draft| apart(draft, &drafts[0])) {
            Some(other) => {
                let (one, other) = (drafts[0].text(), other.text());
                Err(self.refused(format!(
                    "it ignores `temperature`: where the likeliest token was asked for, it wrote {one:?} and {other:?}"
                )))
            }
            None => Ok(()),
        }
    }

    /// Checks that it stops where it is told to: at the second piece of what it writes by itself.
    fn stops(&self) -> Result<(), Error> {
        let free = Job { max_tokens: 8, ..job(1, Sampling::Greedy) };
        let whole = self.tried(&free)?.swap_remove(0);
        let piece = whole.bytes.get(1).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(stop) = piece.filter(|piece| !piece.is_empty()) else { return Ok(()) };
        let told = Job { stops: vec![stop.to_owned()], ..free };
        let text = self.tried(&told)?.swap_remove(0).text();
        match text.find(stop) {
            Some(at) if at + stop.len() < text.len() => Err(self.refused("it ignores `stop`")),
            _ => Ok(()),
        }
    }
}

/// The context that a server says it has: vLLM's and SGLang's word, and llama.cpp's.
fn context(models: &Value, model: &str) -> Option<usize> {
    let listed = models["data"].as_array()?;
    let listed = listed.iter().find(|listed| listed["id"].as_str() == Some(model))?;
    let said = [&listed["max_model_len"], &listed["meta"]["n_ctx"]];
    let said = said.into_iter().find_map(Value::as_u64)?;
    usize::try_from(said).ok().filter(|&tokens| tokens > 0)
}

fn job(count: usize, sampling: Sampling) -> Job {
    let (prompt, stops) = (TEXT.to_owned(), Vec::new());
    Job { prompt, count, sampling, stops, max_tokens: 4, seed: 1, likeliest: 1 }
}

fn texts(drafts: &[Draft]) -> Vec<String> {
    drafts.iter().map(Draft::text).collect()
}

fn logprob(draft: &Draft) -> f32 {
    draft.drawn.logprobs.iter().sum()
}
