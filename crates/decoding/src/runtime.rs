//! Where and how models run.

use std::num::NonZeroUsize;

use lm::engine::EngineOptions;
use stage::{Compute, Device, Failure, Inference};

/// Where and how models run.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// The devices. The first one holds everything that exists once; each device processes batches of its own.
    pub devices: Vec<lm::device::Device>,
    /// Workers and batch size for inference.
    pub options: EngineOptions,
    /// Maximum number of concurrent requests to a server.
    pub requests: usize,
}

/// Batch size on the CPU, in rows. Larger batches no longer fit its caches.
const CPU_ROWS: usize = 64;
/// Batch size on a GPU, in rows. Smaller batches do not keep it busy.
const CUDA_ROWS: usize = 512;

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
            Device::Cuda(cards) => {
                let devices: Result<Vec<_>, _> =
                    cards.iter().map(|&card| lm::device::cuda(card)).collect();
                let devices = devices.map_err(|e| Failure::unavailable(e.to_string()))?;
                (devices, EngineOptions { workers: cards.len(), rows: CUDA_ROWS })
            }
        };
        Ok(Self { devices, options, requests: 1 })
    }

    /// The same for models that may also be behind a server.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_servers(inference: &Inference) -> Result<Self, Failure> {
        Ok(Self { requests: inference.requests.get(), ..Self::new(&inference.compute)? })
    }

    /// A single thread on the CPU.
    pub fn single_thread() -> Self {
        let compute = Compute { device: Device::Cpu, workers: NonZeroUsize::MIN };
        Self::new(&compute).expect("the CPU is always available")
    }

    /// The first device, which holds everything that exists once.
    pub fn device(&self) -> &lm::device::Device {
        &self.devices[0]
    }
}
