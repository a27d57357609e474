//! Startup checks of a server.

use lm::Sampling;
use serde_json::Value;

use super::faults::{Fault, printable};
use super::{CompletionRequest, Draft, Server, wire};
use crate::format::named_marks;
use crate::{Error, PromptFormat, PromptText};

/// A prompt that any model can continue.
const TEXT: &str = "1 2 3 4 5 6 7 8";
/// A prompt to which a mark is appended, to see how many tokens the mark takes.
const PLAIN: &str = "a";
/// A prompt with many plausible continuations.
const OPEN: &str = "The";
/// Number of samples to compare.
const SAMPLES: usize = 8;
/// Probability below which a coincidence is ruled out.
const NEVER: f32 = 1e-9;
/// Number of greedy requests, each with its own seed.
const GREEDY: u64 = 4;
/// Greedy choices whose log-probabilities (in nats) differ by less than this may swap from one batch to another.
const NEARLY: f32 = 0.5;

impl Server {
    /// Returns the server with its model resolved and all checks passed.
    pub(crate) fn probed(mut self) -> Result<Self, Error> {
        let models = self.patiently(|| self.get("models"))?;
        self.model = self.chosen(&models)?;
        self.context = context(&models, &self.model);
        self.extended = self.takes_more()?;
        let sampled = Sampling::Temperature { temperature: 1.0 };
        // The order matters: `n` and log-probabilities are checked first, since the later checks rely on them.
        let request = CompletionRequest { prompt: OPEN.to_owned(), ..request(SAMPLES, sampled) };
        let first = self.tried(&request)?;
        self.repeats = texts(&first) == texts(&self.tried(&request)?);
        self.samples(&first)?;
        self.greedy()?;
        self.stops()?;
        Ok(self)
    }

    /// Checks that the server returns log-probabilities of alternative tokens, which a critic in words needs.
    ///
    /// # Errors
    /// [`Error::Refused`] if it does not, [`Error::Unavailable`] if it does not answer.
    pub fn require_likeliest(&self) -> Result<(), Error> {
        self.choose(&[CompletionRequest::of_one_token(TEXT)], "yes", "no").map(|_| ())
    }

    /// Checks that the server's tokenizer treats the special tokens around a question as such, if it reports prompt
    /// lengths. For marks in the preset's own chat template this is only a warning, since some models were trained on
    /// templates whose marks are plain text.
    ///
    /// # Errors
    /// [`Error::Refused`] names the key in the preset.
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
            // A known special token lengthens the prompt by one token, plain text by several.
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

    /// The id of the model named in the address, or of the only one served.
    fn chosen(&self, models: &Value) -> Result<String, Error> {
        let listed = models["data"].as_array().map_or(&[][..], Vec::as_slice);
        let ids: Vec<&str> = listed.iter().filter_map(|model| model["id"].as_str()).collect();
        match ids.as_slice() {
            // The name is printed and recorded, so control characters are refused.
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

    /// Whether the server accepts settings beyond OpenAI's instead of rejecting the request.
    fn takes_more(&self) -> Result<bool, Error> {
        let request = request(1, Sampling::Greedy);
        let ask = |extended| {
            self.patiently(|| match self.completion_with(&request, extended) {
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

    /// Runs a request. Fewer completions than requested are a permanent fault here: at startup this means that the server
    /// ignores `n`.
    fn tried(&self, request: &CompletionRequest) -> Result<Vec<Draft>, Error> {
        self.patiently(|| {
            let answer = self.completion(request)?;
            let got = answer["choices"].as_array().map_or(0, Vec::len);
            if got > 0 && got < request.count {
                let wanted = request.count;
                let problem =
                    format!("it ignores `n`: {got} completions where {wanted} were asked");
                return Err(Fault::Lasting(problem));
            }
            wire::drafts(&answer, request)
        })
    }

    /// Checks that temperature is honoured: identical samples are refused if their log-probabilities rule out chance.
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

    /// Checks that greedy requests return the likeliest token whatever the seed. Near-ties may go either way.
    fn greedy(&self) -> Result<(), Error> {
        let first = |seed| {
            let request = request(1, Sampling::Greedy);
            let request =
                CompletionRequest { prompt: OPEN.to_owned(), seed, max_tokens: 1, ..request };
            Ok(self.tried(&request)?.swap_remove(0))
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

    /// Checks that `stop` is honoured, with the second token of a free completion as the stop string.
    fn stops(&self) -> Result<(), Error> {
        let free = CompletionRequest { max_tokens: 8, ..request(1, Sampling::Greedy) };
        let whole = self.tried(&free)?.swap_remove(0);
        let piece = whole.bytes.get(1).and_then(|bytes| std::str::from_utf8(bytes).ok());
        // A model that writes a single token leaves nothing to test with.
        let Some(stop) = piece.filter(|piece| !piece.is_empty()) else { return Ok(()) };
        let told = CompletionRequest { stops: vec![stop.to_owned()], ..free };
        let text = self.tried(&told)?.swap_remove(0).text();
        match text.find(stop) {
            Some(at) if at + stop.len() < text.len() => Err(self.refused("it ignores `stop`")),
            _ => Ok(()),
        }
    }
}

/// The context length that `/models` reports: `max_model_len` (vLLM, SGLang) or `meta.n_ctx` (llama.cpp).
fn context(models: &Value, model: &str) -> Option<usize> {
    let listed = models["data"].as_array()?;
    let listed = listed.iter().find(|listed| listed["id"].as_str() == Some(model))?;
    let said = [&listed["max_model_len"], &listed["meta"]["n_ctx"]];
    let said = said.into_iter().find_map(Value::as_u64)?;
    usize::try_from(said).ok().filter(|&tokens| tokens > 0)
}

fn request(count: usize, sampling: Sampling) -> CompletionRequest {
    let (prompt, stops) = (TEXT.to_owned(), Vec::new());
    let (max_tokens, seed, likeliest, session) = (4, 1, 1, 0);
    CompletionRequest { prompt, count, sampling, stops, max_tokens, seed, likeliest, session }
}

fn texts(drafts: &[Draft]) -> Vec<String> {
    drafts.iter().map(Draft::text).collect()
}

fn logprob(draft: &Draft) -> f32 {
    draft.drawn.logprobs.iter().sum()
}
