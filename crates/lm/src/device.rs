//! Selects the device by name. We never use burn's default device, because it prefers CUDA.

pub use burn::tensor::Device;

use crate::{Error, allocator};

/// The built-in CPU backend. From the first call on, freed memory stays with the process (see `allocator`).
pub fn cpu() -> Device {
    allocator::keep_freed_memory();
    Device::flex()
}

/// Whether a device is the built-in CPU backend, for training or inference.
pub(crate) fn is_cpu(device: &Device) -> bool {
    // Two handles are equal if they are of the same hardware, whether or not they track gradients.
    *device == Device::flex()
}

/// A CUDA device by index.
///
/// # Errors
/// [`Error::Device`] when the machine has no such device. burn panics in a worker thread when it creates a device without
/// a driver, so we enumerate the devices first.
#[cfg(feature = "cuda")]
pub fn cuda(index: usize) -> Result<Device, Error> {
    let count = Device::enumerate(burn::tensor::DeviceType::Cuda).len();
    if index < count {
        Ok(Device::cuda(index))
    } else {
        Err(Error::Device(format!(
            "no CUDA device {index}: the driver reports {count}; use --device cpu"
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
