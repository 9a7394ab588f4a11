//! A raw patch: an id and its files, on disk or in memory.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use chipmill_schemas::band::Band;
use chipmill_schemas::ingest::Defect;
use chipmill_schemas::patch_id::PatchId;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::memory::MemoryFiles;
use super::{FILE_CAP, FileRole};
use crate::IngestError;

/// Takes any official file at once, the largest having 58,024 bytes.
const SCRATCH: usize = 1 << 16;

/// Files of a patch: twelve bands, the labels and the reference map.
pub(crate) const FILES: usize = Band::ALL.len() + 2;

/// A patch as a source gives it; nothing is known yet of the contents of its files.
#[derive(Debug)]
pub(crate) struct RawPatch {
    pub(crate) id: PatchId,
    pub(crate) files: RawFiles,
}

#[derive(Debug)]
pub(crate) enum RawFiles {
    /// The patch's folder; files are opened when they are read.
    Folder(PathBuf),
    /// The contents.
    Memory(Box<MemoryFiles>),
}

/// Why a file of a patch cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    Missing,
    TooLarge(u64),
    Twice,
    /// EIO: the medium is damaged at this file.
    Medium(String),
    NotAFile,
}

impl Flaw {
    /// The flaw in words, for a defect.
    pub(crate) fn reason(&self, file: &str) -> String {
        match self {
            Self::Missing => format!("{file} is missing; a patch has twelve band files"),
            Self::TooLarge(bytes) => {
                format!("{file} has {bytes} bytes, more than the {FILE_CAP} that are read")
            }
            Self::Twice => format!("{file} is twice in the archive"),
            Self::Medium(error) => format!("{file} cannot be read: {error}"),
            Self::NotAFile => format!("{file} is not a plain file"),
        }
    }
}

/// The defect of a patch that lacks bands; none when it lacks none.
pub(crate) fn missing_bands(id: &PatchId, missing: &[Band]) -> Option<Defect> {
    let band = *missing.first()?;
    let mut reason = Flaw::Missing.reason(&FileRole::Band(band).file_name(id.as_str()));
    if missing.len() > 1 {
        let names: Vec<_> = missing.iter().map(|b| b.name()).collect();
        reason = format!(
            "{reason} ({} are missing: {})",
            names.len(),
            names.join(" ")
        );
    }
    Some(Defect {
        patch: id.to_string(),
        band: Some(band),
        reason,
    })
}

/// A file could not be read: a matter of the patch, or of the system.
#[derive(Debug)]
pub(crate) enum ReadFailure {
    Flaw(Flaw),
    System(IngestError),
}

impl RawPatch {
    /// The bands that are known to lack, before any file is opened.
    pub(crate) fn missing(&self) -> Vec<Band> {
        let absent = |band: &Band| match &self.files {
            RawFiles::Folder(_) => false,
            RawFiles::Memory(files) => files.is_absent(FileRole::Band(*band)),
        };
        Band::ALL.into_iter().filter(absent).collect()
    }

    /// Whether it is a reference map and nothing else.
    pub(crate) fn is_only_a_map(&self) -> bool {
        match &self.files {
            RawFiles::Folder(_) => false,
            RawFiles::Memory(files) => files.has_only(FileRole::ReferenceMap),
        }
    }

    /// The bytes of one file, where no other is wanted; `scratch` as in [`OpenPatch::read`].
    pub(crate) fn read<'a>(
        &'a self,
        role: FileRole,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ReadFailure> {
        match &self.files {
            RawFiles::Memory(files) => files.get(role).map_err(ReadFailure::Flaw),
            RawFiles::Folder(folder) => {
                read_path(&folder.join(role.file_name(self.id.as_str())), scratch)
            }
        }
    }

    /// Makes the files ready to be read: opens the folder, so that the system need not walk the whole
    /// path for each of them.
    pub(crate) fn open(&self) -> Result<OpenPatch<'_>, ReadFailure> {
        let files = match &self.files {
            RawFiles::Memory(files) => OpenFiles::Memory(files),
            RawFiles::Folder(path) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let opened = openat(CWD, path, flags, Mode::empty());
                OpenFiles::Folder(opened.map_err(|e| failure(path, e.into()))?, path)
            }
        };
        Ok(OpenPatch {
            id: &self.id,
            files,
        })
    }
}

/// A raw patch whose files can be read.
#[derive(Debug)]
pub(crate) struct OpenPatch<'a> {
    id: &'a PatchId,
    files: OpenFiles<'a>,
}

#[derive(Debug)]
enum OpenFiles<'a> {
    Folder(OwnedFd, &'a Path),
    Memory(&'a MemoryFiles),
}

impl OpenPatch<'_> {
    /// The bytes of one file; `scratch` is where those of a file on disk go. It only ever grows.
    pub(crate) fn read<'b>(
        &'b self,
        role: FileRole,
        scratch: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], ReadFailure> {
        let (folder, path) = match &self.files {
            OpenFiles::Memory(files) => return files.get(role).map_err(ReadFailure::Flaw),
            OpenFiles::Folder(folder, path) => (folder.as_fd(), path),
        };
        let name = role.file_name(self.id.as_str());
        read_file((folder, Path::new(&name)), || path.join(&name), scratch)
    }

    /// What one call to the system gives of a small file on disk: all of it, nearly always, but only who finds
    /// there all that he looks for need not ask whether more comes. `None` where that is not so simple, and
    /// [`Self::read`] has to tell.
    pub(crate) fn read_once<'b>(
        &'b self,
        role: FileRole,
        scratch: &'b mut Vec<u8>,
    ) -> Option<&'b [u8]> {
        let OpenFiles::Folder(folder, _) = &self.files else {
            return None;
        };
        let name = role.file_name(self.id.as_str());
        let file = open((folder.as_fd(), Path::new(&name))).ok()?;
        scratch.resize(scratch.len().max(SCRATCH), 0);
        let bytes = rustix::io::read(file, &mut scratch[..]).ok()?;
        // A full buffer is all of no official file.
        (bytes < scratch.len()).then(|| &scratch[..bytes])
    }
}

/// Reads a file given by its path.
pub(super) fn read_path<'a>(
    path: &Path,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], ReadFailure> {
    read_file((CWD, path), || path.to_owned(), scratch)
}

/// Reads a file, given by a folder and its place in it; `path` gives what errors call it.
fn read_file<'a>(
    place: (BorrowedFd<'_>, &Path),
    path: impl Fn() -> PathBuf,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], ReadFailure> {
    match read_whole(place, scratch) {
        Ok(bytes) if bytes as u64 > FILE_CAP => {
            let bytes = std::fs::metadata(path()).map_or(FILE_CAP + 1, |m| m.len());
            Err(ReadFailure::Flaw(Flaw::TooLarge(bytes)))
        }
        Ok(bytes) => Ok(&scratch[..bytes]),
        Err(error) => Err(failure(&path(), error.into())),
    }
}

fn open((folder, name): (BorrowedFd<'_>, &Path)) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

/// Reads a whole file, or just over [`FILE_CAP`] of it; gives the number of bytes at the front of `into`.
fn read_whole(place: (BorrowedFd<'_>, &Path), into: &mut Vec<u8>) -> Result<usize, Errno> {
    let file = open(place)?;
    let mut filled = 0;
    while filled as u64 <= FILE_CAP {
        if filled == into.len() {
            into.resize((2 * filled).max(SCRATCH), 0);
        }
        match rustix::io::read(&file, &mut into[filled..]) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A file that is not there or cannot be read from its medium is the patch's defect. Everything
/// else (rights, too many open files, a lost mount) would hit good patches too: it ends the ingest,
/// which can be repeated.
fn failure(path: &Path, error: std::io::Error) -> ReadFailure {
    const EIO: i32 = 5;
    match error.kind() {
        ErrorKind::NotFound => ReadFailure::Flaw(Flaw::Missing),
        ErrorKind::IsADirectory => ReadFailure::Flaw(Flaw::NotAFile),
        _ if error.raw_os_error() == Some(EIO) => {
            ReadFailure::Flaw(Flaw::Medium(error.to_string()))
        }
        _ => ReadFailure::System(IngestError::reading(path)(error)),
    }
}
