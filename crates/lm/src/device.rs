//! Picks the device by name. burn's own default prefers CUDA, so it is never asked.

pub use burn::tensor::Device;

use crate::{Error, allocator};

/// The embedded CPU backend. Memory that was freed stays with the process from then on.
pub fn cpu() -> Device {
    allocator::keep_freed_memory();
    Device::flex()
}

/// A CUDA device by index.
///
/// # Errors
/// [`Error::Device`] when this build has no CUDA or the machine has no such device. burn panics in a
/// worker thread when a device without a driver is created, so it is looked for first.
#[cfg(feature = "cuda")]
pub fn cuda(index: usize) -> Result<Device, Error> {
    let found = Device::enumerate(burn::tensor::DeviceType::Cuda).len();
    if index < found {
        Ok(Device::cuda(index))
    } else {
        Err(Error::Device(format!(
            "no CUDA device {index}: the driver reports {found}; use --device cpu"
        )))
    }
}

/// A CUDA device by index.
///
/// # Errors
/// Always [`Error::Device`]: this build has no CUDA.
#[cfg(not(feature = "cuda"))]
pub fn cuda(index: usize) -> Result<Device, Error> {
    Err(Error::Device(format!(
        "no CUDA device {index}: this build has no CUDA; build with --features decoding/cuda (docs/CUDA.md) or use --device cpu"
    )))
}
