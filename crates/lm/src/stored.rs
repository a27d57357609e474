//! Tensors as a file holds them, converted only where they are read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use memmap2::{Mmap, UncheckedAdvice};
use safetensors::Dtype;

use crate::tensors::HostTensor;
use crate::{Decoder, weights};

/// The tensors of a model by their Hugging Face names.
pub(crate) type StoredTensors = BTreeMap<String, StoredTensor>;

/// A row-major tensor in the shape of a file: linear weights are `[out, in]`.
#[derive(Debug, Clone)]
pub(crate) struct StoredTensor {
    pub(crate) shape: Vec<usize>,
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    Host(Arc<[f32]>),
    /// Little-endian values of one type in a mapped file.
    File {
        map: Arc<Mmap>,
        at: Range<usize>,
        kind: Kind,
    },
}

/// The types that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    F32,
    F16,
    Bf16,
}

/// The parameters and adapters of a model in memory.
pub(crate) fn of_model(model: &Decoder) -> StoredTensors {
    let stored =
        |HostTensor { shape, data }| StoredTensor { shape, values: Values::Host(data.into()) };
    let tensors = weights::collect(model).into_iter().chain(model.adapters());
    tensors.map(|(name, tensor)| (name, stored(tensor))).collect()
}

impl StoredTensor {
    /// A tensor in a mapped file. `None` if its type is none that is read.
    pub(crate) fn in_file(
        map: &Arc<Mmap>,
        at: Range<usize>,
        dtype: Dtype,
        shape: &[usize],
    ) -> Option<Self> {
        let kind = match dtype {
            Dtype::F32 => Kind::F32,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            _ => return None,
        };
        let shape = shape.to_vec();
        Some(Self { shape, values: Values::File { map: map.clone(), at, kind } })
    }

    /// Number of values.
    pub(crate) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the values are stored as bfloat16.
    pub(crate) fn is_bf16(&self) -> bool {
        matches!(self.values, Values::File { kind: Kind::Bf16, .. })
    }

    /// Copies values from index `from` on, converted to `f32`.
    pub(crate) fn read(&self, from: usize, to: &mut [f32]) {
        let (map, at, kind) = match &self.values {
            Values::Host(values) => {
                to.copy_from_slice(&values[from..from + to.len()]);
                return;
            }
            Values::File { map, at, kind } => (map, at, *kind),
        };
        let bytes = &map[at.start + from * kind.bytes()..][..to.len() * kind.bytes()];
        let halves = bytes.as_chunks::<2>().0.iter().map(|half| u16::from_le_bytes(*half));
        match kind {
            Kind::F32 => {
                let words = bytes.as_chunks::<4>().0;
                to.iter_mut().zip(words).for_each(|(to, word)| *to = f32::from_le_bytes(*word));
            }
            // A bfloat16 is the upper half of an f32.
            Kind::Bf16 => to
                .iter_mut()
                .zip(halves)
                .for_each(|(to, half)| *to = f32::from_bits(u32::from(half) << 16)),
            Kind::F16 => to
                .iter_mut()
                .zip(halves)
                .for_each(|(to, half)| *to = burn::tensor::f16::from_bits(half).to_f32()),
        }
    }

    /// All values, converted to `f32`.
    pub(crate) fn to_host(&self) -> HostTensor {
        let mut data = vec![0.0; self.count()];
        self.read(0, &mut data);
        HostTensor { shape: self.shape.clone(), data }
    }

    /// The index of the first value that is NaN or infinite, and the value.
    pub(crate) fn not_finite(&self) -> Option<(usize, f32)> {
        let mut block = [0.0; 1 << 12];
        for from in (0..self.count()).step_by(block.len()) {
            let block = &mut block[..(self.count() - from).min(1 << 12)];
            self.read(from, block);
            if let Some(at) = block.iter().position(|value| !value.is_finite()) {
                return Some((from + at, block[at]));
            }
        }
        None
    }

    /// Whether two tensors have the same shape and values. Compares raw bytes if the types agree, which is faster.
    pub(crate) fn same(&self, other: &Self) -> bool {
        if self.shape != other.shape {
            return false;
        }
        match (&self.values, &other.values) {
            (
                Values::File { map: a, at: at_a, kind: kind_a },
                Values::File { map: b, at: at_b, kind: kind_b },
            ) if kind_a == kind_b => a[at_a.clone()] == b[at_b.clone()],
            _ => self.to_host() == other.to_host(),
        }
    }

    /// Gives the memory of the pages that were read back to the system, which reads them again when they are needed.
    #[expect(unsafe_code, reason = "the advice would lose what was written to other kinds of maps")]
    pub(crate) fn forget(&self) {
        if let Values::File { map, at, .. } = &self.values {
            // SAFETY: the map is of a file and only read, so a page that was dropped comes back as it was.
            let advised = unsafe {
                map.unchecked_advise_range(UncheckedAdvice::DontNeed, at.start, at.len())
            };
            // Where the system does not take the advice, the pages stay until it needs the memory.
            advised.unwrap_or(());
        }
    }
}

impl Kind {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}
