//! Why a store could not be written, opened or read.

use std::io;
use std::path::{Path, PathBuf};

use chipmill_schemas::manifest::FormatVersion;

use crate::codec::ChunkError;
use crate::columns::TableError;
use crate::shard::IndexError;

/// A store could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The shape is not one a store can have.
    #[error(
        "a store of {patches} patches in shards of {shard_patches} cannot be: both must be 1 or more, \
         and below 2^32"
    )]
    Shape {
        /// Patches asked for.
        patches: u64,
        /// Patches a shard asked for.
        shard_patches: u32,
    },
    /// A shard got another number of patches than the shape gives it.
    #[error("shard {shard} got {found} patches, expected {expected}")]
    ShardLength {
        /// The shard.
        shard: u64,
        /// Patches given.
        found: usize,
        /// Patches the shape asks for.
        expected: u64,
    },
    /// What finalize was given does not describe a whole store.
    #[error("the store cannot be finalized: {object}: {reason}")]
    Inconsistent {
        /// The table or object at fault.
        object: String,
        /// What was found, and what was expected.
        reason: String,
    },
    /// The file system failed.
    #[error("cannot write {}", path.display())]
    Io {
        /// The object.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The compression library failed.
    #[error("cannot compress a chunk")]
    Chunk(#[from] ChunkError),
    /// The caller could not give the rows of the patch table.
    #[error("cannot make the rows of the patch table")]
    Rows(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A table could not be made.
    #[error("cannot make a table")]
    Table(#[from] TableError),
    /// Metadata could not be made.
    #[error("cannot make metadata")]
    Metadata(#[from] serde_json::Error),
}

/// A store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No store is there.
    #[error("{} is not a chipmill store: {reason}", path.display())]
    NotAStore {
        /// Where one was looked for.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// An ingest has begun there and has not ended.
    #[error(
        "the store {} is incomplete: its ingest has not finished (there is `.ingest`, but no root \
         `zarr.json`); run the same `chipmill ingest` again to complete it",
        path.display()
    )]
    Incomplete {
        /// The folder.
        path: PathBuf,
    },
    /// A format that this version does not know.
    #[error(
        "the store {} has format {found}, written by {writer}; this version reads format {}.x; {}",
        path.display(),
        supported.major,
        remedy(*found, *supported)
    )]
    Version {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: FormatVersion,
        /// The newest format that this version knows.
        supported: FormatVersion,
        /// The program that wrote it.
        writer: String,
    },
    /// An object is not as it was written.
    #[error("the store {} is damaged: {object}: {reason}; restore it or ingest again", path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// The object, as a path inside the store.
        object: String,
        /// What was found, and what was expected.
        reason: String,
    },
    /// The file system failed.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No threads could be started to verify with.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why not.
        reason: String,
    },
}

impl OpenError {
    pub(crate) fn damaged(path: &Path, object: &str, reason: impl std::fmt::Display) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            object: object.to_owned(),
            reason: reason.to_string(),
        }
    }
}

fn remedy(found: FormatVersion, supported: FormatVersion) -> &'static str {
    if found.major > supported.major {
        "use the chipmill that wrote it, or a newer one"
    } else {
        "use the chipmill that wrote it, or ingest the patches again with this one"
    }
}

/// A patch could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No such row.
    #[error("the store has {patches} patches; there is no index {index}")]
    OutOfRange {
        /// The index asked for.
        index: u32,
        /// Patches in the store.
        patches: usize,
    },
    /// One of the patch's chunks is absent or corrupt.
    #[error("cannot read patch {patch} from {object}")]
    Patch {
        /// The patch id.
        patch: String,
        /// The shard, as a path inside the store.
        object: String,
        /// Why.
        source: FetchError,
    },
}

/// A chunk could not be fetched from its shard and decoded.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The file system failed, or the object ends too early.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The shard's index is not right.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The chunk is not right.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
}
