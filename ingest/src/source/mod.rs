//! Where raw patches come from: folders and archives, recognised by content.
//!
//! A source gives raw patches: an id, and the bytes or paths of up to twelve band files and a label
//! file. What is not understood is counted in [`Notes`], never dropped in silence.

pub(crate) mod archive;
pub(crate) mod compression;
pub(crate) mod folder;
mod member;
mod notes;
mod raw;

use std::path::{Path, PathBuf};

pub use compression::Compression;
pub(crate) use member::FileRole;
pub use notes::Notes;
pub(crate) use raw::{Flaw, RawFile, RawPatch, ReadFailure, missing_bands};

use crate::IngestError;

/// Most bytes of one band or label file that are read. The largest official file has 58,024.
pub const FILE_CAP: u64 = 4 << 20;

/// A source, recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder that holds patches, at any depth up to three.
    Folder(PathBuf),
    /// A tar archive, read as a stream and never unpacked.
    Archive(PathBuf, Compression),
}

impl Source {
    /// Looks at what `path` is.
    ///
    /// # Errors
    /// [`IngestError::Io`] when it is not there, [`IngestError::NotASource`] when it is something
    /// else.
    pub fn recognise(path: &Path) -> Result<Self, IngestError> {
        let metadata = std::fs::metadata(path).map_err(IngestError::reading(path))?;
        if metadata.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let compression = Compression::recognise(path)?;
        Ok(Self::Archive(path.to_owned(), compression))
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Archive(path, _) => path,
        }
    }
}
