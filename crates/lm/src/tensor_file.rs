//! Safetensors files: named tensors, written and read.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::tensors::HostTensor;
use crate::{Error, plain};

/// Serializes named tensors. The map is sorted, so the same values always give the same bytes.
pub(crate) fn write(tensors: &BTreeMap<String, HostTensor>, metadata: (&str, String)) -> Vec<u8> {
    let bytes: BTreeMap<&String, Vec<u8>> = tensors
        .iter()
        .map(|(name, t)| (name, t.data.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = tensors.iter().map(|(name, t)| {
        let view = TensorView::new(Dtype::F32, t.shape.clone(), &bytes[name]);
        (name, view.expect("the bytes were made from the shape"))
    });
    let metadata = [(metadata.0.to_owned(), metadata.1)].into();
    safetensors::serialize(views, Some(metadata)).expect("names are unique and sizes agree")
}

/// A parsed safetensors file. Errors are messages without the path, which the caller adds.
pub(crate) struct TensorFile<'a>(SafeTensors<'a>);

impl<'a> TensorFile<'a> {
    /// The number of values in all tensors.
    pub(crate) fn count(&self) -> u128 {
        let size =
            |view: &TensorView<'_>| view.shape().iter().map(|&n| n as u128).product::<u128>();
        self.0.iter().map(|(_, view)| size(&view)).sum()
    }

    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        SafeTensors::deserialize(bytes)
            .map(Self)
            .map_err(|e| format!("broken safetensors file: {e}; make it again or restore it"))
    }

    /// All tensors, converted to `f32`.
    pub(crate) fn all(&self) -> Result<BTreeMap<String, HostTensor>, String> {
        let one = |name: &str| Ok(self.get(name)?.map(|tensor| (name.to_owned(), tensor)));
        self.names().filter_map(|name| one(name).transpose()).collect()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Whether a tensor equals one of another file, or `None` if either is missing. Compares raw bytes if the types agree, which needs
    /// no copy.
    pub(crate) fn same(
        &self,
        name: &str,
        other: &TensorFile<'_>,
        other_name: &str,
    ) -> Option<Result<bool, String>> {
        let (one, two) = (self.0.tensor(name).ok()?, other.0.tensor(other_name).ok()?);
        if one.dtype() == two.dtype() {
            return Some(Ok(one.shape() == two.shape() && one.data() == two.data()));
        }
        let both =
            [self.get(name), other.get(other_name)].into_iter().collect::<Result<Vec<_>, _>>();
        Some(both.map(|both| both[0] == both[1]))
    }

    /// A tensor converted to `f32`, or `None` if it is missing.
    pub(crate) fn get(&self, name: &str) -> Result<Option<HostTensor>, String> {
        let Ok(view) = self.0.tensor(name) else { return Ok(None) };
        let data = to_f32(view.dtype(), view.data()).ok_or_else(|| {
            format!("tensor `{name}` is {:?}: need F32, F16 or BF16", view.dtype())
        })?;
        Ok(Some(HostTensor { shape: view.shape().to_vec(), data }))
    }
}

fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    // bf16 is the upper half of an f32, so widening is a shift.
    let halves = || bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    match dtype {
        Dtype::F32 => Some(
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        ),
        Dtype::BF16 => Some(halves().map(|b| f32::from_bits(u32::from(b) << 16)).collect()),
        Dtype::F16 => Some(halves().map(|b| burn::tensor::f16::from_bits(b).to_f32()).collect()),
        _ => None,
    }
}

/// Memory-maps a file: the system loads pages on demand and may drop them again, so a large file never has to fit in
/// memory.
#[expect(unsafe_code, reason = "who changes the file meanwhile changes the memory under the map")]
pub(crate) fn mapped(path: &Path) -> Result<memmap2::Mmap, Error> {
    let file = plain::open(path)?;
    // SAFETY: checkpoints are written elsewhere and moved into place as a whole (`dataset`), and nobody edits one in
    // place (ARCHITECTURE.md, invariant 4). Contents are validated like those of any file, since the values may be
    // anything.
    unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io(path))
}
