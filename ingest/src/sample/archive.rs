//! Where the files go: folders, or one archive a tree.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use rayon::prelude::*;
use tar::{Builder, EntryType, Header, HeaderMode};

use super::{ArchiveKind, SampleError};

/// 2024-01-01 00:00:00 UTC, the modification time of all members of the official archives.
const MEMBER_TIME: u64 = 1_704_067_200;

/// Level of the official archives.
const ZSTD_LEVEL: i32 = 6;

/// One file, with its path below the tree's parent, `/` between the parts.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// A tree of files that is being written. Members arrive sorted by path.
pub(super) enum Sink {
    Folder(PathBuf),
    Archive(Box<Archive>),
}

impl Sink {
    /// A folder below `out`, or an archive `name` with the kind's extension.
    pub(super) fn create(
        out: &Path,
        name: &str,
        kind: Option<ArchiveKind>,
    ) -> Result<Self, SampleError> {
        match kind {
            None => Ok(Self::Folder(out.to_owned())),
            Some(kind) => {
                let path = out.join(format!("{name}.{}", kind.extension()));
                let archive =
                    Archive::create(&path, kind).map_err(|e| SampleError::io(&path, e))?;
                Ok(Self::Archive(Box::new(archive)))
            }
        }
    }

    /// Writes some members: into a folder in any order, into an archive one after the other.
    pub(super) fn put(&mut self, members: &[Member]) -> Result<(), SampleError> {
        match self {
            Self::Folder(root) => members.par_iter().try_for_each(|member| {
                let path = root.join(&member.path);
                write_file(&path, &member.bytes).map_err(|e| SampleError::io(&path, e))
            }),
            Self::Archive(archive) => {
                let mut members = members.iter();
                members.try_for_each(|m| {
                    archive
                        .append(m)
                        .map_err(|e| SampleError::io(&archive.path, e))
                })
            }
        }
    }

    /// Completes the tree.
    pub(super) fn finish(self) -> Result<(), SampleError> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Archive(archive) => {
                let path = archive.path.clone();
                archive.finish().map_err(|e| SampleError::io(&path, e))
            }
        }
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::write(path, bytes) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, bytes)
        }
        done => done,
    }
}

/// A tar archive as the official ones are: GNU format, numeric owner 0, fixed times, folders listed.
pub(super) struct Archive {
    path: PathBuf,
    builder: Builder<Encoder>,
    /// The folder of the latest member.
    folder: String,
}

impl Archive {
    fn create(path: &Path, kind: ArchiveKind) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let encoder = match kind {
            ArchiveKind::Tar => Encoder::Plain(file),
            ArchiveKind::TarGz => {
                Encoder::Gzip(GzEncoder::new(file, flate2::Compression::default()))
            }
            ArchiveKind::TarZst => Encoder::Zstd(zstd::Encoder::new(file, ZSTD_LEVEL)?),
        };
        let mut builder = Builder::new(encoder);
        builder.mode(HeaderMode::Deterministic);
        Ok(Self {
            path: path.to_owned(),
            builder,
            folder: String::new(),
        })
    }

    fn append(&mut self, member: &Member) -> io::Result<()> {
        let folder = member
            .path
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        if folder != self.folder {
            self.enter(folder)?;
        }
        let mut header = header(EntryType::Regular, 0o644, member.bytes.len() as u64);
        self.builder
            .append_data(&mut header, &member.path, member.bytes.as_slice())
    }

    /// Lists the folders that begin here.
    fn enter(&mut self, folder: &str) -> io::Result<()> {
        let ends = folder
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([folder.len()]);
        for end in ends {
            let known = self.folder.get(..end) == Some(&folder[..end])
                && matches!(self.folder.as_bytes().get(end), None | Some(b'/'));
            if !known {
                let mut header = header(EntryType::Directory, 0o755, 0);
                let path = format!("{}/", &folder[..end]);
                self.builder.append_data(&mut header, path, io::empty())?;
            }
        }
        folder.clone_into(&mut self.folder);
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        let file = match self.builder.into_inner()? {
            Encoder::Plain(file) => file,
            Encoder::Gzip(encoder) => encoder.finish()?,
            Encoder::Zstd(encoder) => encoder.finish()?,
        };
        file.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MEMBER_TIME);
    header
}

enum Encoder {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl Write for Encoder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(w) => w.write(bytes),
            Self::Gzip(w) => w.write(bytes),
            Self::Zstd(w) => w.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(w) => w.flush(),
            Self::Gzip(w) => w.flush(),
            Self::Zstd(w) => w.flush(),
        }
    }
}
