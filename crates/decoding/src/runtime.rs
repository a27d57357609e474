//! Where and how models run.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use lm::engine::EngineOptions;
use lm::{Engine, Precision};
use policy::{Server, ServerOptions, Servers};
use stage::{Compute, Device, Failure, Inference};

use crate::TextConfig;

/// Where and how models run.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// The devices. The first one holds everything that exists once; each device processes batches of its own.
    pub devices: Vec<lm::device::Device>,
    /// Workers and batch size for inference.
    pub options: EngineOptions,
    /// Maximum number of concurrent requests to each server.
    pub requests: usize,
    /// Precision of inference on the CPU.
    pub precision: Precision,
    loaded: Loaded,
}

/// The models in use: one that has several roles is loaded once, and its server counts the requests of all.
#[derive(Debug, Clone, Default)]
struct Loaded {
    /// By the hashes of their contents.
    engines: Arc<Mutex<BTreeMap<String, Weak<Engine>>>>,
    /// By their addresses.
    servers: Arc<Mutex<BTreeMap<String, Servers>>>,
}

/// Environment variable with a server's API key.
const KEY: &str = "OPENAI_API_KEY";

/// Batch size on the CPU, in rows. Larger batches no longer fit its caches.
const CPU_ROWS: usize = 64;
/// Batch size on a GPU, in rows. Smaller batches do not keep it busy.
const GPU_ROWS: usize = 512;

impl Runtime {
    /// The device of the command line, for models in this process: `workers` threads on the CPU, or one worker per GPU.
    ///
    /// # Errors
    /// Exit 69 if the device is not available.
    pub fn new(compute: &Compute) -> Result<Self, Failure> {
        let (devices, options) = match &compute.device {
            Device::Cpu => {
                let workers = compute.workers.get();
                (vec![lm::device::cpu()], EngineOptions { workers, rows: CPU_ROWS })
            }
            Device::Gpus { backend, cards } => {
                let devices: Result<Vec<_>, _> =
                    cards.iter().map(|&card| lm::device::gpu(backend, card)).collect();
                let devices = devices.map_err(|e| Failure::unavailable(e.to_string()))?;
                (devices, EngineOptions { workers: cards.len(), rows: GPU_ROWS })
            }
        };
        let (precision, loaded) = (Precision::F32, Loaded::default());
        Ok(Self { devices, options, requests: 1, precision, loaded })
    }

    /// The same for inference, also behind a server, with the precision of the preset.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn for_inference(inference: &Inference, text: &TextConfig) -> Result<Self, Failure> {
        let requests = inference.requests.get();
        Ok(Self { requests, precision: text.precision, ..Self::new(&inference.compute)? })
    }

    /// A single thread on the CPU.
    pub fn single_thread() -> Self {
        let compute = Compute { device: Device::Cpu, workers: NonZeroUsize::MIN };
        Self::new(&compute).expect("the CPU is always available")
    }

    /// An engine for the directory whose contents have the given hash. Loads it unless it is in memory already.
    pub(crate) fn engine(&self, dir: &Path, content: &str) -> Result<Arc<Engine>, lm::Error> {
        let mut loaded = self.loaded.engines.lock().expect("loading does not panic");
        if let Some(engine) = loaded.get(content).and_then(Weak::upgrade) {
            return Ok(engine);
        }
        let engine = Engine::load(dir, &self.devices, self.precision, self.options)?;
        let engine = Arc::new(engine);
        loaded.insert(content.to_owned(), Arc::downgrade(&engine));
        Ok(engine)
    }

    /// The servers at these addresses, or adapters on them: their name and their directory. Connects unless they are connected
    /// already.
    pub(crate) fn servers(
        &self,
        addresses: &[String],
        adapters: Option<(&str, &Path)>,
    ) -> Result<Servers, policy::Error> {
        let mut known = self.loaded.servers.lock().expect("connecting does not panic");
        let all = addresses.join(",");
        let known_as = adapters.map_or_else(|| all.clone(), |(name, _)| format!("{all}#{name}"));
        if let Some(servers) = known.get(&known_as) {
            return Ok(servers.clone());
        }
        let options = ServerOptions { requests: self.requests, ..ServerOptions::default() };
        let (mut here, mut gone) = (Vec::new(), None);
        for address in addresses {
            match connected(address, options, adapters) {
                Ok(server) => here.push(server),
                Err(error @ policy::Error::Unavailable { .. }) if addresses.len() > 1 => {
                    tracing::warn!("{error}; it is left out");
                    gone = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        let servers = match gone {
            Some(error) if here.is_empty() => return Err(error),
            _ => Servers::join(here)?,
        };
        known.insert(known_as, servers.clone());
        Ok(servers)
    }

    /// The first device, which holds everything that exists once.
    pub fn device(&self) -> &lm::device::Device {
        &self.devices[0]
    }
}

/// Connects to a server, or to adapters on it.
fn connected(
    address: &str,
    options: ServerOptions,
    adapters: Option<(&str, &Path)>,
) -> Result<Server, policy::Error> {
    let key = std::env::var(KEY).ok().filter(|key| !key.is_empty());
    let server = match adapters {
        Some(adapters) => Server::connect_to_adapters(address, key, options, adapters)?,
        None => Server::connect(address, key, options)?,
    };
    if !server.repeats() {
        tracing::warn!(
            "{}: answers to the same request with the same seed differ, so this run cannot be repeated exactly",
            server.address()
        );
    }
    Ok(server)
}
