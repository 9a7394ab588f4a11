//! Where raw patches come from: folders and archives, recognised by content.
//!
//! A source gives raw patches: an id, and the bytes or paths of up to twelve band files, a label file
//! and a reference map; or Sentinel-1 patches ([`s1`]). What is not understood is counted in [`Notes`], never dropped in silence.

pub(crate) mod archive;
pub(crate) mod compression;
pub(crate) mod folder;
pub(crate) mod input;
mod member;
mod memory;
mod notes;
mod parts;
mod raw;
pub(crate) mod s1;

use std::path::{Path, PathBuf};

pub(crate) use compression::Compression;
use input::Input;
pub(crate) use member::FileRole;
pub(crate) use memory::MemoryFiles;
pub(crate) use notes::Notes;
pub(crate) use raw::{Flaw, OpenPatch, RawFiles, RawPatch, ReadFailure, missing_bands};

use crate::IngestError;

/// Most bytes of one band or label file that are read. The largest official file has 58,024; an archive
/// of nothing but files of this size takes 56 MiB of memory for each thread.
pub(crate) const FILE_CAP: u64 = 256 << 10;

/// A source, recognised.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A folder that holds patches or reference maps, at any depth up to three.
    Folder(PathBuf),
    /// A tar archive, read as a stream and never unpacked.
    Archive(Archive),
}

/// A tar archive, recognised.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    pub(crate) input: Input,
    pub(crate) compression: Compression,
    pub(crate) content: Content,
}

/// What an archive holds, by its first file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Patches,
    ReferenceMaps,
    S1,
}

/// The path that means standard input.
const STDIN: &str = "-";

impl Source {
    /// Looks at what the paths are; parts of a split archive become one.
    ///
    /// # Errors
    /// [`IngestError::Io`] when one is not there, [`IngestError::NotASource`] when one is something
    /// else, [`IngestError::Options`] when parts are missing or standard input is given twice.
    pub(crate) fn recognise_all(paths: &[PathBuf]) -> Result<Vec<Self>, IngestError> {
        if paths.iter().filter(|p| p.as_os_str() == STDIN).count() > 1 {
            let text = "`-` is given twice; standard input is one archive";
            return Err(IngestError::Options(text.to_owned()));
        }
        let groups = parts::group(paths)?;
        groups.into_iter().map(Self::recognise).collect()
    }

    /// Whether it is standard input, which can be read only once.
    pub(crate) fn is_stdin(&self) -> bool {
        matches!(self, Self::Archive(a) if a.input.is_stdin())
    }

    fn recognise(parts: Vec<PathBuf>) -> Result<Self, IngestError> {
        let path = parts.first().cloned().unwrap_or_default();
        if path.as_os_str() == STDIN {
            let input = Input::stdin().map_err(IngestError::reading(&path))?;
            return Archive::recognise(input, &path).map(Self::Archive);
        }
        let metadata = std::fs::metadata(&path).map_err(IngestError::reading(&path))?;
        if metadata.is_dir() {
            return Ok(Self::Folder(path));
        }
        Archive::recognise(Input::Files(parts), &path).map(Self::Archive)
    }
}

impl Archive {
    fn recognise(input: Input, path: &Path) -> Result<Self, IngestError> {
        let found = Compression::recognise(&input).map_err(IngestError::reading(path))?;
        let compression = found.map_err(|found| IngestError::NotASource {
            path: path.to_owned(),
            found,
        })?;
        let mut archive = Self {
            input,
            compression,
            content: Content::Patches,
        };
        archive.content = archive::content(&archive)?;
        Ok(archive)
    }
}
