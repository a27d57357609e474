//! The policy over a model in this process.

use lm::engine::{EmbedRequest, Generation, GenerationRequest, Stop, StopReason, Until};
use lm::prefix::scope_of;
use lm::{Engine, Prefixes};

use crate::draft::Draft;
use crate::server::CompletionRequest;
use crate::{Choice, Error, Policy, Room, StateRequest, Weighed, Writer, seed_of};

impl Policy {
    /// Continues every row.
    pub(crate) fn write_here(
        &self,
        engine: &Engine,
        rows: &[(&StateRequest<'_>, &Draft)],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Draft>, Error> {
        let row = |(request, draft): &(&StateRequest<'_>, &Draft)| self.row(engine, request, draft);
        let rows: Vec<GenerationRequest> = rows.iter().map(row).collect::<Result<_, _>>()?;
        // At least one new token must fit.
        let most = engine.config().max_position_embeddings - 1;
        let fits: Vec<bool> = rows.iter().map(|row| row.prompt.len() <= most).collect();
        let rows: Vec<_> = rows.into_iter().filter(|row| row.prompt.len() <= most).collect();
        engine.read_shared(&self.shared, prefixes);
        let draft = |Generation { drawn, stop }: Generation| {
            let bytes = |&id: &u32| engine.tokenizer().token_bytes(id).to_vec();
            let bytes = drawn.ids.iter().map(bytes).collect();
            Draft { drawn, bytes, stop: Some(stop) }
        };
        let written =
            if rows.is_empty() { Vec::new() } else { engine.generate(&rows, prefixes)? };
        let mut written = written.into_iter().map(draft);
        // A row whose prompt fills the context is not sent to the engine; it gets this empty draft instead.
        let full = Draft { stop: Some(StopReason::Length), ..Draft::default() };
        let mut next = |fits: bool| if fits { written.next() } else { None };
        Ok(fits.into_iter().map(|fits| next(fits).unwrap_or_else(|| full.clone())).collect())
    }

    fn row(
        &self,
        engine: &Engine,
        request: &StateRequest<'_>,
        draft: &Draft,
    ) -> Result<GenerationRequest, lm::Error> {
        let text = self.prompt.render(request.question, &request.written);
        let (ids, written) = (&draft.drawn.ids, draft.len());
        let Room { stops, tokens } = self.room(request, draft);
        let mut prompt = engine.tokenizer().encode_whole(&text)?;
        prompt.extend(ids);
        // Keep the excluded draws that start with this draft, minus the tokens already written.
        let same = request.excluded.iter().filter(|drawn| drawn.ids.starts_with(ids));
        let (ending, before) =
            (self.ending.clone(), [request.written.as_str(), &draft.text()].concat());
        let over =
            move |text: &[u8]| ending.over(&before, &String::from_utf8_lossy(text)).is_some();
        Ok(GenerationRequest {
            prompt,
            sampling: request.sampling,
            stop: Stop {
                tokens: self.ends.clone(),
                strings: stops,
                // Checked at every token, so that none is generated beyond the answer.
                until: Some(Until::new(over)),
                max_new: tokens,
            },
            seed: seed_of(request, draft),
            scope: scope_of(request.question),
            keep: request.keep,
            excluded: same.map(|drawn| drawn.after(written)).collect(),
        })
    }

    /// The tokenizer, if the model runs in this process.
    pub fn tokenizer(&self) -> Option<&lm::Tokenizer> {
        match &*self.writer {
            Writer::Local(engine) => Some(engine.tokenizer()),
            Writer::Server(_) => None,
        }
    }

    /// The engine, for operations that a server does not offer; `what` names the operation in the error.
    fn engine(&self, what: &str) -> Result<&Engine, Error> {
        match &*self.writer {
            Writer::Local(engine) => Ok(engine),
            Writer::Server(server) => Err(Error::Refused {
                address: server.address(),
                problem: format!("a server does not show {what}"),
            }),
        }
    }

    /// Returns the last hidden state after every (question, written) pair: `[states][hidden_size]`.
    ///
    /// # Errors
    /// [`lm::Error::TooLong`] for a state that fills the model's context; [`Error::Refused`] if the model is behind a
    /// server.
    pub fn embed(
        &self,
        states: &[(&str, String)],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let engine = self.engine("hidden states")?;
        let row = |(question, written): &(&str, String)| {
            let ids = engine.tokenizer().encode_whole(&self.prompt.render(question, written))?;
            Ok(EmbedRequest { ids, scope: scope_of(question) })
        };
        let rows: Vec<EmbedRequest> = states.iter().map(row).collect::<Result<_, lm::Error>>()?;
        Ok(engine.embed(&rows, prefixes)?)
    }

    /// Returns the relative probability of `yes` and `no` after every text. A server lists only its likeliest tokens, so
    /// a missing word gets an upper bound. A text that exceeds the context scores 0.
    ///
    /// # Errors
    /// [`lm::Error::Config`] if one of the words is not a single token; an error of the server.
    pub fn choose(
        &self,
        choices: &[Choice<'_>],
        yes: &str,
        no: &str,
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Weighed>, Error> {
        let engine = match &*self.writer {
            Writer::Local(engine) => engine,
            Writer::Server(server) => {
                let request = |choice: &Choice<'_>| {
                    let session = scope_of(choice.question);
                    CompletionRequest { session, ..CompletionRequest::of_one_token(&choice.text) }
                };
                let requests: Vec<CompletionRequest> = choices.iter().map(request).collect();
                let (weighed, used) = server.choose(&requests, yes, no)?;
                prefixes.count(used);
                return Ok(weighed);
            }
        };
        let answers = [engine.tokenizer().word(yes)?, engine.tokenizer().word(no)?];
        let most = engine.config().max_position_embeddings;
        let (mut rows, mut fits) = (Vec::with_capacity(choices.len()), Vec::new());
        for choice in choices {
            let ids = engine.tokenizer().encode_whole(&choice.text)?;
            fits.push(ids.len() <= most);
            if ids.len() <= most {
                rows.push(EmbedRequest { ids, scope: scope_of(choice.question) });
            }
        }
        let share = |p: Vec<f32>| {
            let (yes, no) = (f64::from(p[0]), f64::from(p[1]));
            Weighed { yes: yes / (yes + no).max(f64::MIN_POSITIVE), told: None }
        };
        let mut shares = engine.next_token(&rows, &answers, prefixes)?.into_iter().map(share);
        let mut next = |fits: bool| if fits { shares.next() } else { None };
        Ok(fits.into_iter().map(|fits| next(fits).unwrap_or_else(Weighed::unread)).collect())
    }

    /// How many questions to have in progress at once, so that the model always has enough to do.
    pub fn questions_at_once(&self) -> usize {
        match &*self.writer {
            Writer::Local(engine) => engine.callers(),
            // While one answer is on its way back and its question says what it needs next, another one is asked.
            Writer::Server(server) => 2 * server.requests(),
        }
    }

    /// Whether a question leaves room in the context for `solution_tokens` tokens. True if a server does not report its
    /// context.
    ///
    /// # Errors
    /// [`lm::Error::Tokenizer`] if the tokenizer fails; an error of the server.
    pub fn fits(&self, question: &str, solution_tokens: usize) -> Result<bool, Error> {
        if let Writer::Server(server) = &*self.writer {
            return server.fits(&self.prompt.render(question, ""), solution_tokens);
        }
        let (taken, context) = (self.taken(question, "")?, self.context());
        Ok(taken.zip(context).is_none_or(|(taken, context)| taken + solution_tokens < context))
    }

    /// Context length in tokens (prompt plus completion); `None` for a model behind a server.
    pub fn context(&self) -> Option<usize> {
        match &*self.writer {
            Writer::Local(engine) => Some(engine.config().max_position_embeddings),
            Writer::Server(_) => None,
        }
    }

    /// Length of a state in tokens: the formatted question plus the text written. `None` for a model behind a server,
    /// whose tokenizer is not available here.
    ///
    /// # Errors
    /// [`lm::Error::Tokenizer`] if the tokenizer fails.
    pub fn taken(&self, question: &str, written: &str) -> Result<Option<usize>, Error> {
        self.tokens(&self.prompt.render(question, written))
    }

    /// Whether a text fits the model's context. True for a model behind a server, whose context is not known here.
    ///
    /// # Errors
    /// [`lm::Error::Tokenizer`] if the tokenizer fails.
    pub fn reads(&self, text: &str) -> Result<bool, Error> {
        let tokens = self.tokens(text)?;
        Ok(tokens.zip(self.context()).is_none_or(|(tokens, context)| tokens <= context))
    }

    /// Length of a text in tokens; `None` for a model behind a server.
    pub fn tokens(&self, text: &str) -> Result<Option<usize>, Error> {
        match &*self.writer {
            Writer::Local(engine) => Ok(Some(engine.tokenizer().encode_whole(text)?.len())),
            Writer::Server(_) => Ok(None),
        }
    }
}
