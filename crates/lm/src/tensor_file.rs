//! Safetensors files: named tensors, written and read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, View};

use crate::stored::StoredTensor;
use crate::tensors::HostTensor;
use crate::{Error, plain};

/// Serializes named tensors. The map is sorted, so the same values always give the same bytes.
pub(crate) fn write<T: View>(tensors: BTreeMap<String, T>, metadata: (&str, String)) -> Vec<u8> {
    let metadata = [(metadata.0.to_owned(), metadata.1)].into();
    safetensors::serialize(tensors, Some(metadata)).expect("names are unique and sizes agree")
}

impl View for HostTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.data.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.data.as_slice())
    }
}

/// A parsed safetensors file. Errors are messages without the path, which the caller adds.
pub(crate) struct TensorFile<'a>(SafeTensors<'a>);

impl<'a> TensorFile<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        SafeTensors::deserialize(bytes)
            .map(Self)
            .map_err(|e| format!("broken safetensors file: {e}; make it again or restore it"))
    }

    /// The number of values in all tensors.
    pub(crate) fn count(&self) -> u128 {
        let size =
            |view: &TensorView<'_>| view.shape().iter().map(|&n| n as u128).product::<u128>();
        self.0.iter().map(|(_, view)| size(&view)).sum()
    }

    /// Names of all tensors, sorted: an error is about the first one that is wrong, whatever the order in the file.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }

    /// All tensors of a file that this project wrote. `None` if one is not `f32`.
    pub(crate) fn all(&self) -> Option<BTreeMap<String, HostTensor>> {
        let values =
            |bytes: &[u8]| bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let tensor = |view: &TensorView<'_>| HostTensor {
            shape: view.shape().to_vec(),
            data: values(view.data()),
        };
        let one = |(name, view): (&str, TensorView<'_>)| {
            (view.dtype() == Dtype::F32).then(|| (name.to_owned(), tensor(&view)))
        };
        self.0.iter().map(one).collect()
    }
}

/// A tensor of a mapped file, or `None` if it is missing.
pub(crate) fn stored(
    map: &Arc<Mmap>,
    file: &TensorFile<'_>,
    name: &str,
) -> Result<Option<StoredTensor>, String> {
    let Ok(view) = file.0.tensor(name) else { return Ok(None) };
    let from = view.data().as_ptr().addr() - map.as_ptr().addr();
    let at = from..from + view.data().len();
    let stored = StoredTensor::in_file(map, at, view.dtype(), view.shape());
    let problem = || format!("tensor `{name}` is {:?}: need F32, F16 or BF16", view.dtype());
    stored.map(Some).ok_or_else(problem)
}

/// Memory-maps a file: the system loads pages on demand and may drop them again, so a large file never has to fit in
/// memory.
#[expect(unsafe_code, reason = "who changes the file meanwhile changes the memory under the map")]
pub(crate) fn mapped(path: &Path) -> Result<Mmap, Error> {
    let file = plain::open(path)?;
    // SAFETY: checkpoints are written elsewhere and moved into place as a whole (`dataset`), and nobody edits one in
    // place (ARCHITECTURE.md, invariant 4). Contents are validated like those of any file, since the values may be
    // anything.
    unsafe { Mmap::map(&file) }.map_err(Error::io(path))
}
