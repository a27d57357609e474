//! Adapters that a server runs beside its own model: what a round has learned, without a restart.

use std::path::Path;

use serde_json::json;

use super::faults;
use super::{Server, ServerOptions};
use crate::Error;

impl Server {
    /// Connects to the adapters `name` on a server at `http://host:port/v1`. If the server has none of that name, it is told to
    /// load them from the directory `dir`, which it has to be able to read (vLLM's `/v1/load_lora_adapter`).
    ///
    /// # Errors
    /// As [`Server::connect`]; [`Error::Refused`] also says how to start a server that can load adapters.
    pub fn connect_to_adapters(
        address: &str,
        key: Option<String>,
        options: ServerOptions,
        (name, dir): (&str, &Path),
    ) -> Result<Self, Error> {
        let server = Self::unprobed(&format!("{address}#{name}"), key, options)?;
        let models = server.patiently(|| server.get("models"))?;
        let listed = models["data"].as_array().map_or(&[][..], Vec::as_slice);
        if !listed.iter().any(|model| model["id"] == *name) {
            server.load_adapters(name, dir)?;
        }
        server.ready()
    }

    fn load_adapters(&self, name: &str, dir: &Path) -> Result<(), Error> {
        let body = json!({"lora_name": name, "lora_path": dir});
        // Its answer is a sentence, not JSON.
        let problem = match self.patiently(|| {
            let sent = self.post("load_lora_adapter").send(body.to_string());
            faults::body(sent).map_err(|fault| self.masked(fault))
        }) {
            Ok(_) => {
                tracing::info!("{}: has loaded {name} from {}", self.address, dir.display());
                return Ok(());
            }
            Err(Error::Refused { problem, .. }) => problem,
            Err(other) => return Err(other),
        };
        Err(self.refused(format!(
            "it cannot load the adapters in {}: {problem}; start vLLM with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, --enable-lora \
             and a --max-lora-rank that is large enough, where it can read that folder, or with --lora-modules {name}={}",
            dir.display(),
            dir.display()
        )))
    }
}
