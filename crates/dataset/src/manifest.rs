//! The manifest: the list of a dataset's files, and how they were made. It is written last, so it is the commit point.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::seed::Digest;
use crate::{Error, Recipe, atomic};

/// The file name of the manifest.
pub const MANIFEST: &str = "_MANIFEST.json";

/// The file name of a manifest that is not published yet: the state folder is still to be cleaned up.
pub(crate) const PENDING: &str = ".manifest.json";

/// The version of the layout of the manifest itself.
const FORMAT: u32 = 1;

/// The list of a dataset's files, and how they were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the manifest's layout.
    pub format: u32,
    /// The table and its version, for example `prompts@1`, or `files@1`.
    pub kind: String,
    /// The parts of the table, in order.
    pub parts: Vec<Entry>,
    /// The other files, by name.
    pub files: Vec<Entry>,
    /// The recipe that made it.
    pub recipe: Recipe,
    /// Hash of the kind, the parts and the files: the same for the same data, wherever it is and whatever made it. A
    /// later stage records this hash of its input.
    pub content: String,
    /// Hash of everything above, so that an edited manifest is noticed.
    pub seal: String,
}

impl Manifest {
    /// Makes the manifest of these parts and files.
    pub(crate) fn new(kind: &str, parts: Vec<Entry>, files: Vec<Entry>, recipe: Recipe) -> Self {
        let (kind, content) = (kind.to_owned(), content(kind, &parts, &files));
        let mut new =
            Self { format: FORMAT, kind, parts, files, recipe, content, seal: String::new() };
        new.seal = new.sealed();
        new
    }

    /// Reads the manifest of the dataset in `dir`. Without one it is an [`Error::NotComplete`].
    pub fn read(dir: &Path) -> Result<Self, Error> {
        Self::find(dir)?.ok_or_else(|| Error::NotComplete { dir: dir.to_owned() })
    }

    /// Reads the manifest of the dataset in `dir`; `None` if it is not complete.
    pub fn find(dir: &Path) -> Result<Option<Self>, Error> {
        Self::find_at(&dir.join(MANIFEST))
    }

    /// Reads the manifest in `dir` that is written, but not published under its final name yet.
    pub(crate) fn find_pending(dir: &Path) -> Result<Option<Self>, Error> {
        Self::find_at(&dir.join(PENDING))
    }

    fn find_at(path: &Path) -> Result<Option<Self>, Error> {
        let Some(bytes) = atomic::read(path)? else { return Ok(None) };
        let refuse = |detail: String| Error::Manifest { path: path.to_owned(), detail };
        let probe: Probe = serde_json::from_slice(&bytes)
            .map_err(|e| refuse(format!("it is not a manifest ({e})")))?;
        if probe.format != FORMAT {
            return Err(refuse(format!("its format is {}, not {FORMAT}", probe.format)));
        }
        let manifest: Self = serde_json::from_slice(&bytes)
            .map_err(|e| refuse(format!("it is not a manifest ({e})")))?;
        // Byte for byte, because the same manifest is always written in the same way: even a change of
        // whitespace comes from elsewhere.
        if manifest.sealed() != manifest.seal || manifest.text().as_bytes() != bytes {
            return Err(refuse("it changed after it was written".to_owned()));
        }
        if let Some(entry) = manifest.entries().find(|entry| !entry.is_inside()) {
            return Err(refuse(format!("it lists {:?}, which is outside the dataset", entry.path)));
        }
        if let Some(entry) = manifest.entries().find(|entry| !entry.is_possible()) {
            let (rows, bytes) = (entry.rows.unwrap_or_default(), entry.bytes);
            let path = &entry.path;
            return Err(refuse(format!("it lists {path:?} with {rows} rows in {bytes} bytes")));
        }
        Ok(Some(manifest))
    }

    /// Returns the number of rows of all parts together.
    pub fn rows(&self) -> u64 {
        self.parts.iter().filter_map(|part| part.rows).fold(0, u64::saturating_add)
    }

    /// Iterates over all entries: the parts, then the files.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.parts.iter().chain(&self.files)
    }

    /// Writes the manifest into `dir` under a name that readers ignore.
    pub(crate) fn propose(&self, dir: &Path) -> Result<(), Error> {
        atomic::write(&dir.join(PENDING), self.text().as_bytes())
    }

    /// Gives the proposed manifest its final name, from when on the dataset exists.
    pub(crate) fn publish(dir: &Path) -> Result<(), Error> {
        atomic::rename(&dir.join(PENDING), &dir.join(MANIFEST))
    }

    /// Fails with [`Error::WrongTable`] unless the dataset is of this kind.
    pub(crate) fn expect_kind(&self, dir: &Path, kind: &str) -> Result<(), Error> {
        if self.kind == kind {
            return Ok(());
        }
        let (dir, found, expected) = (dir.to_owned(), self.kind.clone(), kind.to_owned());
        Err(Error::WrongTable { dir, found, expected })
    }

    /// Reads every file and checks its size and hash.
    pub(crate) fn verify(&self, dir: &Path) -> Result<(), Error> {
        self.entries().try_for_each(|entry| entry.verify(dir))
    }

    fn text(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("strings and numbers always have a JSON form") + "\n"
    }

    fn sealed(&self) -> String {
        let unsealed = Self { seal: String::new(), ..self.clone() };
        Digest::new("seal").text(&unsealed.text()).hex()
    }
}

/// The one field that every version of the layout has. It is read first, so that another version is named as such.
#[derive(Deserialize)]
struct Probe {
    format: u32,
}

/// Computes the `content` hash of a manifest with this kind, these parts and these files.
pub(crate) fn content(kind: &str, parts: &[Entry], files: &[Entry]) -> String {
    let mut digest = Digest::new("content");
    digest.text(kind).number(parts.len() as u64);
    for entry in parts.iter().chain(files) {
        // Without the rows: their number follows from the bytes.
        digest.text(&entry.path).number(entry.bytes).text(&entry.blake3);
    }
    digest.hex()
}
