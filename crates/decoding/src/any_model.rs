//! A model loaded in this process or reached over HTTP.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use critic::Head;
use dataset::Input;
use policy::{Policy, Server};
use stage::{Failure, ResultExt};

use crate::{Error, Model, Runtime, TextConfig, model};

/// The location of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelAt {
    /// A checkpoint directory.
    Dir(PathBuf),
    /// The address of an OpenAI-compatible server.
    Server(String),
    /// Adapters in a directory, `http://host:port/v1#lora:DIR`, which the server at the address runs beside its own model. The
    /// server loads them if it has not. A directory with a whole model stands for the server's own.
    Adapters {
        /// The server's address, without a model.
        address: String,
        /// The directory, as this program and the server see it.
        dir: PathBuf,
    },
}

/// The separator between a server's address and a directory of adapters.
const ADAPTERS: &str = "#lora:";

impl FromStr for ModelAt {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Ok(Self::Dir(PathBuf::from(text)));
        }
        Ok(match text.split_once(ADAPTERS) {
            Some((address, dir)) => Self::Adapters { address: address.to_owned(), dir: dir.into() },
            None => Self::Server(text.to_owned()),
        })
    }
}

/// A policy or critic with its recipe entry.
#[derive(Debug)]
pub enum AnyModel {
    /// A model in this process.
    Model(Box<Model>),
    /// A model behind a server.
    Server(Box<Server>, Input),
}

impl AnyModel {
    /// Loads a checkpoint, or connects to a server.
    ///
    /// # Errors
    /// As [`Model::load`]; exit 69 if the server does not answer, 65 if it lacks a feature that is needed.
    pub fn load(name: &str, at: &ModelAt, runtime: &Runtime) -> Result<Self, Failure> {
        match at {
            ModelAt::Dir(dir) => Ok(Self::Model(Box::new(Model::load(name, dir, runtime)?))),
            ModelAt::Server(address) => {
                let server = runtime.server(address, None).map_err(Error::from)?;
                let content = server.model().to_owned();
                Ok(Self::served(name, server, content))
            }
            ModelAt::Adapters { address, dir } => {
                let input = model::verified(name, dir)?;
                let base = lm::checkpoint::base_of(dir).map_err(model::named(name, dir))?;
                let served_as = format!("alphallm-{}", model::short(&input.content));
                let dir = dir.canonicalize().or_io(dir.display())?;
                let adapters = base.is_some().then_some((served_as.as_str(), dir.as_path()));
                let server = runtime.server(address, adapters).map_err(Error::from)?;
                Ok(Self::served(name, server, input.content))
            }
        }
    }

    fn served(name: &str, server: Server, content: String) -> Self {
        let (name, path) = (name.to_owned(), server.address().to_owned());
        Self::Server(Box::new(server), Input { name, path, content })
    }

    /// The model as a policy.
    ///
    /// # Errors
    /// Exit 65 if the model cannot end a solution, or lacks something that the text settings need, such as a chat
    /// template.
    pub fn policy(&self, text: &TextConfig) -> Result<Policy, Failure> {
        match self {
            Self::Model(model) => model.policy(text),
            Self::Server(server, _) => {
                let policy = Policy::served(server.as_ref().clone(), text.policy.clone());
                Ok(policy.map_err(Error::from)?)
            }
        }
    }

    /// The recipe entry. A served model is identified by its name alone, since its weights cannot be hashed from here; adapters
    /// by their contents.
    pub fn input(&self) -> &Input {
        match self {
            Self::Model(model) => &model.input,
            Self::Server(_, input) => input,
        }
    }

    /// Whether it is asked in words when used as a critic, because it has no scalar heads.
    pub fn answers_in_words(&self) -> bool {
        match self {
            Self::Model(model) => model.engine.config().scalar_heads.is_empty(),
            Self::Server(..) => true,
        }
    }

    /// Its heads as a critic: its scalar heads and the heads it has learned to answer in words, or else all heads that
    /// `text` has a template for.
    ///
    /// # Errors
    /// [`Error::Critic`] if the checkpoint names a head that no critic has.
    pub fn heads(&self, text: &TextConfig) -> Result<Vec<Head>, Error> {
        let learned = match self {
            Self::Model(model) => {
                let config = model.engine.config();
                let heads = [config.scalar_heads.as_slice(), &config.word_heads].concat();
                Head::all_of(&heads).map_err(critic::Error::from)?
            }
            Self::Server(..) => Vec::new(),
        };
        // A checkpoint without heads has not been trained as a critic, and a server's model does not say what it is.
        let asked = || text.critic.words.keys().copied().collect();
        Ok(if learned.is_empty() { asked() } else { learned })
    }

    /// A short name: the content hash of a checkpoint, or the name of a served model.
    pub fn label(&self) -> String {
        match self {
            Self::Model(model) => model.label(),
            Self::Server(server, _) => {
                let name = Path::new(server.model()).file_name();
                name.map_or_else(|| server.model().to_owned(), |name| name.display().to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_server_and_anything_else_a_directory() {
        let at = |text: &str| text.parse::<ModelAt>().unwrap();
        for address in ["http://localhost:8000/v1", "https://host/v1#qwen"] {
            assert_eq!(at(address), ModelAt::Server(address.to_owned()));
        }
        assert_eq!(at("data/http://x"), ModelAt::Dir(PathBuf::from("data/http://x")));
        let (address, dir) = ("http://host/v1".to_owned(), PathBuf::from("runs/round-01/policy"));
        let adapters = ModelAt::Adapters { address, dir };
        assert_eq!(at("http://host/v1#lora:runs/round-01/policy"), adapters);
    }
}
