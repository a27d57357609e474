//! RMS norms.

use burn::nn::{RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor};

use crate::{ModelConfig, fused};

/// A norm over the residual stream.
pub(super) fn stream_norm(config: &ModelConfig, device: &Device) -> RmsNorm {
    RmsNormConfig::new(config.hidden_size).with_epsilon(config.rms_norm_eps).init(device)
}

/// A norm over one head.
pub(super) fn head_norm(config: &ModelConfig, device: &Device) -> RmsNorm {
    RmsNormConfig::new(config.head_width()).with_epsilon(config.rms_norm_eps).init(device)
}

/// Norms over the last dimension.
pub(super) fn normed<const D: usize>(norm: &RmsNorm, x: Tensor<D>) -> Tensor<D> {
    fused::rms_norm(x, norm.gamma.val(), norm.epsilon)
}
