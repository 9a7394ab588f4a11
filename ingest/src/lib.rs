//! From raw BigEarthNet (folders or archives, v1 or v2) to a chipmill store.
//!
//! The data's way is the order of the modules: [`source`] finds the raw patches, [`catalog`] knows
//! what the tables and label files say of them, [`plan`] deals them out to shards, `decode` turns
//! twelve rasters into pixels, `quality` takes what is defective aside, `statistics` counts, and
//! `run` drives it all into the store. [`sample`] writes synthetic raw data sets.
//!
//! GDAL is named in this crate and in no other.

pub mod catalog;
mod cpu;
mod decode;
mod error;
pub mod plan;
mod quality;
mod record;
mod run;
pub mod sample;
pub mod source;
mod statistics;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use chipmill_schemas::ingest::{Defect, IngestSummary};
use chipmill_schemas::manifest::Codec;

pub use decode::{gdal_drivers, gdal_version};
pub use error::IngestError;

/// Most patches a shard may hold: 164 MB of raw pixels.
pub const MAX_SHARD_PATCHES: u32 = 1024;

/// What to ingest, from where, to where, and how.
#[derive(Debug, Clone)]
pub struct IngestOptions {
    /// Folders and archives that hold patches; a patch found twice is taken from the first.
    pub sources: Vec<PathBuf>,
    /// v2 `metadata.parquet` tables and v1 lists of names, recognised by content.
    pub metadata: Vec<PathBuf>,
    /// Folder of the store.
    pub store: PathBuf,
    /// Threads that decode and encode; 0 means one for each core. Has no influence on the bytes.
    pub threads: usize,
    /// Patches in a shard, `1..=`[`MAX_SHARD_PATCHES`].
    pub shard_patches: u32,
    /// Compression of the pixels.
    pub codec: Codec,
    /// Stop at the first defect instead of quarantining the patch.
    pub strict: bool,
    /// Patches that the tables list and no source holds are excluded rather than missing.
    pub allow_subset: bool,
    /// Take at most so many patches: the first in id order, or the first of the stream where an
    /// archive is not in id order. Implies `allow_subset`.
    pub limit: Option<usize>,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            metadata: Vec::new(),
            store: PathBuf::new(),
            threads: 0,
            shard_patches: MAX_SHARD_PATCHES,
            codec: Codec::default(),
            strict: false,
            allow_subset: false,
            limit: None,
        }
    }
}

/// Hears how an ingest goes. Called from several threads.
pub trait Progress: Sync {
    /// A stage begins: `plan`, `work`, `finalize`.
    fn stage(&self, name: &str) {
        let _ = name;
    }

    /// How many patches there are to work on, `None` while a stream has not told.
    fn total(&self, patches: Option<u64>) {
        let _ = patches;
    }

    /// Patches were worked on, and so many bytes of `GeoTIFF` read for them.
    fn advance(&self, patches: u64, bytes: u64) {
        let _ = (patches, bytes);
    }

    /// A patch was quarantined.
    fn defect(&self, defect: &Defect) {
        let _ = defect;
    }
}

/// A listener that hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// Converts raw patches into a store: plan, work on the units, finalize.
///
/// An ingest that was interrupted or killed goes on where it was when it is called again with the
/// same options; on a finished store it does no work and gives the same summary again. The bytes of
/// the store depend on the patches and the options alone: not on the number of threads, on
/// interruptions, or on whether the patches came from folders or archives.
///
/// `stop` ends the work after the units under way.
///
/// # Errors
/// [`IngestError`]; nothing that opens as a store is left behind, except where an earlier call had
/// finished it. Defective patches are no error (unless `strict`): they are in the summary.
pub fn ingest(
    options: &IngestOptions,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<IngestSummary, IngestError> {
    run::ingest(options, stop, progress)
}
