//! Selects the device by name. We never use burn's default device, because it prefers CUDA.

pub use burn::tensor::Device;

use burn::tensor::{DeviceType, FloatDType};

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

/// Whether a device multiplies matrices of bfloat16.
pub fn has_bf16(device: &Device) -> bool {
    is_cpu(device) || device.supports_dtype(FloatDType::BF16)
}

/// A device of one of burn's backends for graphics cards, by the backend's name and the device's index: `cuda`, `rocm`,
/// `vulkan`, `metal` or `wgpu`.
///
/// # Errors
/// [`Error::Device`] when this build does not have the backend, or the machine no such device. burn panics in a worker
/// thread when it creates a device without a driver, so we enumerate the devices first.
pub fn gpu(backend: &str, index: usize) -> Result<Device, Error> {
    let Some(kind) = kind(backend) else {
        return Err(Error::Device(format!(
            "no {backend} device {index}: this build has no {backend}; build one with `make build DEVICE={backend}` (docs/DEVICES.md), or \
             use --device cpu"
        )));
    };
    let mut devices: Vec<Device> = Device::enumerate(kind).into_iter().collect();
    if index < devices.len() {
        return Ok(devices.swap_remove(index));
    }
    let found = devices.len();
    Err(Error::Device(format!(
        "no {backend} device {index}: the driver reports {found}; use --device cpu"
    )))
}

/// The kind of a backend's devices; `None` if this build does not have it.
fn kind(backend: &str) -> Option<DeviceType> {
    match backend {
        #[cfg(feature = "cuda")]
        "cuda" => Some(DeviceType::Cuda),
        #[cfg(feature = "rocm")]
        "rocm" => Some(DeviceType::Rocm),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(DeviceType::Vulkan),
        #[cfg(feature = "metal")]
        "metal" => Some(DeviceType::Metal),
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(DeviceType::Wgpu),
        _ => None,
    }
}
