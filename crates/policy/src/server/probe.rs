//! What a server has to show before it is relied on.

use lm::Sampling;
use serde_json::Value;

use super::faults::Fault;
use super::{Draft, Job, Server, wire};
use crate::Error;

/// A text that every model can go on with.
const TEXT: &str = "1 2 3 4 5 6 7 8";

impl Server {
    /// The same, with its model known and its ways tried.
    pub(crate) fn probed(mut self) -> Result<Self, Error> {
        let models = self.patiently(|| self.get("models"))?;
        self.model = self.chosen(&models)?;
        self.extended = self.takes_more()?;
        let job = job(2, Sampling::Temperature { temperature: 1.0 });
        let first = self.tried(&job)?;
        self.repeats = texts(&first) == texts(&self.tried(&job)?);
        self.stops()?;
        Ok(self)
    }

    fn refused(&self, problem: impl Into<String>) -> Error {
        Error::Refused { address: self.address.clone(), problem: problem.into() }
    }

    /// The model that was named, or the only one.
    fn chosen(&self, models: &Value) -> Result<String, Error> {
        let listed = models["data"].as_array().map_or(&[][..], Vec::as_slice);
        let ids: Vec<&str> = listed.iter().filter_map(|model| model["id"].as_str()).collect();
        match ids.as_slice() {
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

fn job(count: usize, sampling: Sampling) -> Job {
    let (prompt, stops) = (TEXT.to_owned(), Vec::new());
    Job { prompt, count, sampling, stops, max_tokens: 4, seed: 1, likeliest: 1 }
}

fn texts(drafts: &[Draft]) -> Vec<String> {
    drafts.iter().map(Draft::text).collect()
}
