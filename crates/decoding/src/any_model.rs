//! A model loaded in this process or reached over HTTP.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use critic::Head;
use dataset::Input;
use lm::Engine;
use policy::{Policy, Servers};
use stage::{Failure, ResultExt};

use crate::{Error, Model, Runtime, TextConfig, model};

/// The location of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelAt {
    /// A checkpoint directory.
    Dir(PathBuf),
    /// The addresses of OpenAI-compatible servers with the same model, given with commas between them or as a file that has one
    /// on each line.
    Servers(Vec<String>),
    /// Adapters in a directory, `http://host:port/v1#lora:DIR`, which the servers at the addresses run beside their own model. A
    /// server loads them if it has not. A directory with a whole model stands for the servers' own.
    Adapters {
        /// The servers' addresses, without a model.
        addresses: Vec<String>,
        /// The directory, as this program and the servers see it.
        dir: PathBuf,
    },
}

/// The separator between a server's address and a directory of adapters.
const ADAPTERS: &str = "#lora:";

impl FromStr for ModelAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, dir) = match text.split_once(ADAPTERS) {
            Some((place, dir)) => (place, Some(PathBuf::from(dir))),
            None => (text, None),
        };
        Ok(match (addresses(place)?, dir) {
            (None, _) => Self::Dir(PathBuf::from(text)),
            (Some(addresses), None) => Self::Servers(addresses),
            (Some(addresses), Some(dir)) => Self::Adapters { addresses, dir },
        })
    }
}

/// The addresses of servers in a text or in the file that it names; `None` if it is neither.
fn addresses(text: &str) -> Result<Option<Vec<String>>, String> {
    if is_address(text) {
        let all: Vec<String> = text.split(',').map(str::to_owned).collect();
        return match all.iter().find(|address| !is_address(address)) {
            Some(other) => Err(format!("`{other}` is no address, http://host:port/v1")),
            None => Ok(Some(all)),
        };
    }
    if !Path::new(text).is_file() {
        return Ok(None);
    }
    let lines = fs::read_to_string(text).map_err(|e| format!("{text}: {e}"))?;
    let lines = lines.lines().map(str::trim).enumerate();
    let mut addresses = Vec::new();
    for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        if !is_address(line) {
            let at = at + 1;
            return Err(format!("{text}, line {at}: `{line}` is no address, http://host:port/v1"));
        }
        addresses.push(line.to_owned());
    }
    if addresses.is_empty() {
        return Err(format!("{text} has no address of a server; a model is a directory"));
    }
    Ok(Some(addresses))
}

fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// A policy or critic with its recipe entry.
#[derive(Debug)]
pub enum AnyModel {
    /// A model in this process.
    Model(Box<Model>),
    /// A model behind one or more servers.
    Server(Box<Servers>, Input),
}

impl AnyModel {
    /// The model in a checkpoint directory, or behind a server, which is connected to.
    ///
    /// # Errors
    /// As [`Model::at`]; exit 69 if the server does not answer, 65 if it lacks a feature that is needed.
    pub fn at(name: &str, at: &ModelAt, runtime: &Runtime) -> Result<Self, Failure> {
        match at {
            ModelAt::Dir(dir) => Ok(Self::Model(Box::new(Model::at(name, dir, runtime)?))),
            ModelAt::Servers(addresses) => {
                let servers = runtime.servers(addresses, None).map_err(Error::from)?;
                let content = servers.model().to_owned();
                Ok(Self::served(name, servers, content))
            }
            ModelAt::Adapters { addresses, dir } => {
                let input = model::verified(name, dir)?;
                let base = lm::checkpoint::base_of(dir).map_err(model::named(name, dir))?;
                let served_as = format!("alphallm-{}", model::short(&input.content));
                let dir = dir.canonicalize().or_io(dir.display())?;
                let adapters = base.is_some().then_some((served_as.as_str(), dir.as_path()));
                let servers = runtime.servers(addresses, adapters).map_err(Error::from)?;
                Ok(Self::served(name, servers, input.content))
            }
        }
    }

    fn served(name: &str, servers: Servers, content: String) -> Self {
        let (name, path) = (name.to_owned(), servers.address());
        Self::Server(Box::new(servers), Input { name, path, content })
    }

    /// The model as a policy.
    ///
    /// # Errors
    /// Exit 65 if the model cannot end a solution, or lacks something that the text settings need, such as a chat
    /// template.
    pub fn policy(&self, text: &TextConfig) -> Result<Policy, Failure> {
        match self {
            Self::Model(model) => model.policy(text),
            Self::Server(servers, _) => {
                let policy = Policy::served(servers.as_ref().clone(), text.policy.clone());
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

    /// Its engine as a critic; `None` if it is asked in words, because it has no scalar heads.
    ///
    /// # Errors
    /// As [`Model::engine`].
    pub(crate) fn with_heads(&self) -> Result<Option<&Arc<Engine>>, Error> {
        match self {
            Self::Model(model) => {
                let engine = model.engine()?;
                Ok((!engine.config().scalar_heads.is_empty()).then_some(engine))
            }
            Self::Server(..) => Ok(None),
        }
    }

    /// Its heads as a critic: its scalar heads and the heads it has learned to answer in words, or else all heads that
    /// `text` has a template for.
    ///
    /// # Errors
    /// As [`Model::engine`]; [`Error::Critic`] if the checkpoint names a head that no critic has.
    pub fn heads(&self, text: &TextConfig) -> Result<Vec<Head>, Error> {
        let learned = match self {
            Self::Model(model) => {
                let config = model.engine()?.config();
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
            Self::Server(servers, _) => {
                let name = Path::new(servers.model()).file_name();
                name.map_or_else(|| servers.model().to_owned(), |name| name.display().to_string())
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
            assert_eq!(at(address), ModelAt::Servers(vec![address.to_owned()]));
        }
        assert_eq!(at("data/http://x"), ModelAt::Dir(PathBuf::from("data/http://x")));
        assert!("http://a/v1,b:8000".parse::<ModelAt>().unwrap_err().contains("`b:8000`"));
        let dir = PathBuf::from("runs/round-01/policy");
        let both = vec!["http://a/v1".to_owned(), "http://b/v1".to_owned()];
        let adapters = ModelAt::Adapters { addresses: both.clone(), dir };
        assert_eq!(at("http://a/v1,http://b/v1#lora:runs/round-01/policy"), adapters);
        assert_eq!(at("http://a/v1,http://b/v1"), ModelAt::Servers(both));
    }

    #[test]
    fn addresses_may_be_lines_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("servers");
        let at = |text: &str| {
            fs::write(&path, text).unwrap();
            path.display().to_string().parse::<ModelAt>()
        };
        let both = vec!["http://a/v1".to_owned(), "https://b/v1#m".to_owned()];
        assert_eq!(at("# two\nhttp://a/v1\n\n  https://b/v1#m\n"), Ok(ModelAt::Servers(both)));
        assert!(at("http://a/v1\nb:8000\n").unwrap_err().contains("line 2: `b:8000`"));
        assert!(at("# none\n").unwrap_err().contains("has no address"));
    }
}
