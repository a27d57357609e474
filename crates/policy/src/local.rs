//! The policy over a model of this process.

use lm::engine::{EmbedRequest, Generation, GenerationRequest, Stop, StopReason, Until};
use lm::prefix::scope_of;
use lm::{Engine, Prefixes};

use crate::draft::Draft;
use crate::{Choice, Error, Policy, Room, StateRequest, Weighed, Writer, seed_of};

impl Policy {
    /// Lets the model go on with every row.
    pub(crate) fn write_here(
        &self,
        engine: &Engine,
        rows: &[(&StateRequest<'_>, &Draft)],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Draft>, Error> {
        let row = |(request, draft): &(&StateRequest<'_>, &Draft)| self.row(engine, request, draft);
        let rows: Vec<GenerationRequest> = rows.iter().map(row).collect::<Result<_, _>>()?;
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
        // Of what began as this did, the rest.
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
                until: Some(Until::new(over)),
                max_new: tokens,
            },
            seed: seed_of(request, draft),
            scope: scope_of(request.question),
            keep: request.keep,
            excluded: same.map(|drawn| drawn.after(written)).collect(),
        })
    }

    /// The tokenizer of a model of this process.
    pub fn tokenizer(&self) -> Option<&lm::Tokenizer> {
        match &*self.writer {
            Writer::Local(engine) => Some(engine.tokenizer()),
            Writer::Server(_) => None,
        }
    }

    /// The model, for what only a model of this process can do.
    fn engine(&self, what: &str) -> Result<&Engine, Error> {
        match &*self.writer {
            Writer::Local(engine) => Ok(engine),
            Writer::Server(server) => Err(Error::Refused {
                address: server.address().to_owned(),
                problem: format!("a server does not show {what}"),
            }),
        }
    }

    /// The last hidden state after every state, a question and the text written: `[states][hidden_size]`.
    ///
    /// # Errors
    /// [`lm::Error::TooLong`] for a state that fills the model's context; [`Error::Refused`] for a server's model.
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

    /// How `yes` and `no` are weighed after every text. A server tells of its likeliest tokens alone: a word that is not
    /// among them has at most what they leave. A text that fills the context counts as `no`.
    ///
    /// # Errors
    /// [`lm::Error::Config`] when one of the two is not a single token; a server's failure.
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
                let texts: Vec<&str> = choices.iter().map(|choice| choice.text.as_str()).collect();
                let (weighed, used) = server.choose(&texts, yes, no)?;
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

    /// Whether a question leaves room in the model's context for so many tokens of solution, as far as a server tells.
    ///
    /// # Errors
    /// [`lm::Error::Tokenizer`] when the tokenizer fails; a server's failure.
    pub fn fits(&self, question: &str, solution_tokens: usize) -> Result<bool, Error> {
        if let Writer::Server(server) = &*self.writer {
            return server.fits(&self.prompt.render(question, ""), solution_tokens);
        }
        let (taken, context) = (self.taken(question, "")?, self.context());
        Ok(taken.zip(context).is_none_or(|(taken, context)| taken + solution_tokens < context))
    }

    /// Tokens that the model reads at most, those that it writes included; none where a server does not say.
    pub fn context(&self) -> Option<usize> {
        match &*self.writer {
            Writer::Local(engine) => Some(engine.config().max_position_embeddings),
            Writer::Server(_) => None,
        }
    }

    /// Tokens of a state: the question with the format around it, and what is written. Of a server's model they are not
    /// known: its tokenizer is not here.
    ///
    /// # Errors
    /// [`lm::Error::Tokenizer`] when the tokenizer fails.
    pub fn taken(&self, question: &str, written: &str) -> Result<Option<usize>, Error> {
        self.tokens(&self.prompt.render(question, written))
    }

    /// Whether the model's context holds a text. Of a server that is not known beforehand.
    ///
    /// # Errors
    /// [`lm::Error::Tokenizer`] when the tokenizer fails.
    pub fn reads(&self, text: &str) -> Result<bool, Error> {
        let tokens = self.tokens(text)?;
        Ok(tokens.zip(self.context()).is_none_or(|(tokens, context)| tokens <= context))
    }

    /// Tokens of a text, where the tokenizer is here.
    pub fn tokens(&self, text: &str) -> Result<Option<usize>, Error> {
        match &*self.writer {
            Writer::Local(engine) => Ok(Some(engine.tokenizer().encode_whole(text)?.len())),
            Writer::Server(_) => Ok(None),
        }
    }
}
