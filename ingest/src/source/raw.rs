//! A raw patch: an id and its files, on disk or in memory.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use chipmill_schemas::band::Band;
use chipmill_schemas::ingest::Defect;
use chipmill_schemas::patch_id::PatchId;

use super::{FILE_CAP, FileRole};
use crate::IngestError;

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
    /// The contents, by [`FileRole::index`].
    Memory(Box<[RawFile; FILES]>),
}

/// One file of a patch from an archive.
#[derive(Debug, Default)]
pub(crate) enum RawFile {
    #[default]
    Absent,
    Bytes(Vec<u8>),
    Flawed(Flaw),
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
            RawFiles::Memory(files) => matches!(files[band.index()], RawFile::Absent),
        };
        Band::ALL.into_iter().filter(absent).collect()
    }

    /// Whether it is a reference map and nothing else.
    pub(crate) fn is_only_a_map(&self) -> bool {
        let map = FileRole::ReferenceMap.index();
        let absent = |(i, file): (usize, &RawFile)| (i == map) != matches!(file, RawFile::Absent);
        match &self.files {
            RawFiles::Folder(_) => false,
            RawFiles::Memory(files) => files.iter().enumerate().all(absent),
        }
    }

    /// The bytes of one file; `scratch` is where those of a file on disk go.
    pub(crate) fn read<'a>(
        &'a self,
        role: FileRole,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ReadFailure> {
        match &self.files {
            RawFiles::Folder(folder) => {
                read_file(&folder.join(role.file_name(self.id.as_str())), scratch)?;
                Ok(scratch)
            }
            RawFiles::Memory(files) => match &files[role.index()] {
                RawFile::Absent => Err(ReadFailure::Flaw(Flaw::Missing)),
                RawFile::Bytes(bytes) => Ok(bytes),
                RawFile::Flawed(flaw) => Err(ReadFailure::Flaw(flaw.clone())),
            },
        }
    }
}

fn read_file(path: &Path, into: &mut Vec<u8>) -> Result<(), ReadFailure> {
    into.clear();
    let result = File::open(path).and_then(|f| f.take(FILE_CAP + 1).read_to_end(into));
    match result {
        Ok(_) if into.len() as u64 > FILE_CAP => {
            let bytes = std::fs::metadata(path).map_or(FILE_CAP + 1, |m| m.len());
            Err(ReadFailure::Flaw(Flaw::TooLarge(bytes)))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(failure(path, error)),
    }
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
