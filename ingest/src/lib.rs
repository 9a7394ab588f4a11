//! From raw BigEarthNet (folders or archives, v1 or v2) to a chipmill store.
//!
//! The data's way is the order of the modules: `source` finds the raw patches, `catalog` knows
//! what the tables and label files say of them, `plan` deals them out to shards, `decode` turns
//! twelve rasters into pixels, `quality` takes what is defective aside, `statistics` counts, and
//! `run` drives it all into the store. [`sample`] writes synthetic raw data sets.
//!
//! GDAL is named in this crate and in no other.

mod catalog;
mod cpu;
mod decode;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod plan;
mod quality;
mod record;
mod run;
pub mod sample;
mod source;
mod statistics;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use chipmill_schemas::ingest::{Defect, IngestSummary, PlanSummary, UnitSummary};
use chipmill_schemas::manifest::Codec;
use chipmill_schemas::selection::Selection;
use serde::{Deserialize, Serialize};

pub use decode::{gdal_drivers, gdal_version};
pub use error::IngestError;

/// Most patches a shard may hold: 164 MB of raw pixels.
pub const MAX_SHARD_PATCHES: u32 = 1024;

/// What to ingest, from where, to where, and how.
///
/// All of it but the store's place, the number of threads and `strict` is part of the plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IngestOptions {
    /// Folders and archives that hold patches or reference maps, recognised by content; `-` is an
    /// archive on standard input; the parts of a split archive follow each other. A patch found twice
    /// is taken from the first.
    pub sources: Vec<PathBuf>,
    /// v2 `metadata.parquet` tables and v1 lists of names, recognised by content.
    pub metadata: Vec<PathBuf>,
    /// Folder of the store.
    #[serde(skip)]
    pub store: PathBuf,
    /// Threads that decode and encode; 0 means one for each core. Has no influence on the bytes.
    #[serde(skip)]
    pub threads: usize,
    /// Patches in a shard, `1..=`[`MAX_SHARD_PATCHES`].
    pub shard_patches: u32,
    /// Compression of the pixels.
    pub codec: Codec,
    /// Stop at the first defect instead of quarantining the patch.
    #[serde(skip)]
    pub strict: bool,
    /// Patches that the tables list and no source holds are excluded rather than missing.
    pub allow_subset: bool,
    /// Which patches are wanted; the others are excluded before their pixels are read. With a limit,
    /// the first in id order are taken, or the first of the stream where an archive is not in id
    /// order; a limit implies `allow_subset`.
    pub selection: Selection,
    /// A file that names the only patches wanted, one a line. One that no source holds is missing.
    pub patches: Option<PathBuf>,
    /// Share of a reference map's pixels, `0..=1`, from which a class is present; any class needs one
    /// pixel at least.
    pub map_min_share: f64,
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
            selection: Selection::default(),
            patches: None,
            map_min_share: 0.0,
        }
    }
}

/// Hears how an ingest goes. Called from several threads.
pub trait Progress: Sync {
    /// A stage begins: `plan`, `work`, `finalize`; or the wait for another ingest of the same store.
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

/// Lets all threads take their memory from one heap, in a process that does nothing but ingest.
///
/// glibc gives threads heaps of their own, so that none waits for another, and what one thread has freed the next
/// cannot use: with two threads an ingest's peak is then 10 to 20 MB higher. Ingesting a patch takes few
/// allocations beyond what each thread keeps for itself. To be called before any thread begins; holds for the
/// rest of the process. Without glibc nothing happens.
pub fn share_heap() {
    run::share_heap();
}

/// Plans an ingest of folders and creates the store's folder with its plan, for an engine that then
/// calls [`work`] for each unit, anywhere and in any order, and [`finalize`] once.
///
/// Planning the same again is no work and gives the same; another plan is refused.
///
/// # Errors
/// As [`ingest`]; [`IngestError::NoUnits`] when a source is an archive, which only one process can
/// read.
pub fn plan(
    options: &IngestOptions,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<PlanSummary, IngestError> {
    run::engine::plan(options, stop, progress)
}

/// What [`plan()`] gave, from the plan that a store's folder holds.
///
/// # Errors
/// [`IngestError::NoPlan`], [`IngestError::NoUnits`] for archives, [`IngestError::OtherVersion`].
pub fn planned(store: &Path) -> Result<PlanSummary, IngestError> {
    run::engine::planned(store)
}

/// Works on units of a planned store, one after the other; a range may reach beyond the last one. The plan
/// is read once. A finished unit is no work and gives the same summary; of several processes at one unit,
/// exactly one record wins, and all would write the same bytes.
///
/// A unit with defective patches is finished as well: its record names them.
///
/// # Errors
/// [`IngestError::NoPlan`], [`IngestError::OtherVersion`], [`IngestError::NoUnit`],
/// [`IngestError::NoSourceHere`], and what [`ingest`] fails with. Units that were finished stay so.
pub fn work(
    store: &Path,
    units: &[Range<u64>],
    threads: usize,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<Vec<UnitSummary>, IngestError> {
    run::engine::work(store, units, threads, stop, progress)
}

/// Completes a planned store whose units are all finished. Where units found defective patches, the
/// remaining patches are dealt out anew, and what changed is worked on here.
///
/// # Errors
/// [`IngestError::Unfinished`] naming the units that are not; what [`ingest`] fails with.
pub fn finalize(
    store: &Path,
    threads: usize,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<IngestSummary, IngestError> {
    run::engine::finalize(store, threads, stop, progress)
}
