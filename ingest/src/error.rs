//! What can end an ingest.

use std::path::{Path, PathBuf};

use chipmill_schemas::ingest::Defect;
use chipmill_schemas::patch_id::PatchId;

/// Why an ingest ended without a store.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The options contradict themselves or leave something out.
    #[error("{0}")]
    Options(String),
    /// A file or folder could not be read or written.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried, such as `cannot read`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A source is neither a folder nor an archive of a known form.
    #[error(
        "{path} is not a source: found {found}; expected a folder of patches, or a .tar, .tar.gz or \
         .tar.zst archive of them (recognised by content)",
        path = path.display()
    )]
    NotASource {
        /// The source.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// No source holds any patch.
    #[error(
        "no patches in {sources}: expected folders or members such as \
         `S2A_MSIL2A_20170617T113321_4_55/S2A_MSIL2A_20170617T113321_4_55_B02.tif` (v1) or \
         `<tile>/<patch>/<patch>_B02.tif` (v2); {notes}"
    )]
    NoPatches {
        /// The sources.
        sources: String,
        /// What was found instead.
        notes: String,
    },
    /// The selection leaves none of the patches.
    #[error(
        "none of the {found} patches found is selected; loosen the selection (split, country, labels, \
         snow, cloud, named patches), or give the metadata files or reference maps that tell what it \
         asks for"
    )]
    NothingSelected {
        /// Patches in the sources.
        found: usize,
    },
    /// The selection names something that there is not.
    #[error("the selection cannot be understood")]
    Selection(#[from] chipmill_schemas::task::TaskError),
    /// There is no plan where a unit should be worked on.
    #[error("{store} holds no planned ingest; begin with `chipmill ingest plan`", store = store.display())]
    NoPlan {
        /// The store.
        store: PathBuf,
    },
    /// The plan's sources are archives, which are read front to back by one process.
    #[error(
        "{store} is an ingest of archives, which only one process can read; repeat `chipmill ingest`, \
         or plan the unpacked folders",
        store = store.display()
    )]
    NoUnits {
        /// The store.
        store: PathBuf,
    },
    /// The plan was made by another version of the program.
    #[error(
        "{plan} was made by {found}, this is {this}: all steps of one ingest take one version; run that \
         one here, or plan again with this one for a new folder",
        plan = plan.display()
    )]
    OtherVersion {
        /// The plan.
        plan: PathBuf,
        /// The program that made it.
        found: String,
        /// The program that reads it.
        this: &'static str,
    },
    /// A folder of the plan's sources is not there.
    #[error(
        "{folder} of the planned source is not here; the folders of the source must have the same \
         paths on every machine that works on units",
        folder = folder.display()
    )]
    NoSourceHere {
        /// The folder above the patches.
        folder: PathBuf,
    },
    /// The plan has no such unit.
    #[error("there is no unit {unit}; the plan has {units}, numbered from 0")]
    NoUnit {
        /// The unit asked for.
        unit: u64,
        /// Units of the plan.
        units: u64,
    },
    /// Units are not finished.
    #[error(
        "unfinished units: {}, the first is unit {}; run `chipmill ingest work` for each, then \
         finalize again",
        units.len(), units.first().copied().unwrap_or_default()
    )]
    Unfinished {
        /// Their numbers, ascending.
        units: Vec<u64>,
    },
    /// An archive is damaged, cut short or malicious.
    #[error("archive {archive} is damaged or cut short after {position} bytes of tar{hint}")]
    Archive {
        /// The archive: its path, those of its parts, or `standard input`.
        archive: String,
        /// Where in the (decompressed) tar stream.
        position: u64,
        /// What to look at first, where there is a suspicion.
        hint: &'static str,
        /// What was wrong.
        source: std::io::Error,
    },
    /// A metadata file is missing, damaged or of another kind.
    #[error("metadata file {path}: {reason}", path = path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// Two tables disagree.
    #[error(
        "metadata file {path} says `{found}` as {column} of patch {patch}, an earlier one said \
         `{before}`; give only tables of one data set",
        path = path.display()
    )]
    Conflict {
        /// The later file.
        path: PathBuf,
        /// The patch.
        patch: PatchId,
        /// The column in which they differ.
        column: &'static str,
        /// The value of the earlier file.
        before: String,
        /// The value of the later file.
        found: String,
    },
    /// A defect under `strict`.
    #[error("patch {}{}: {} (stopped because of strict; without it the patch is quarantined)",
        .0.patch, .0.band.map(|b| format!(", band {b}")).unwrap_or_default(), .0.reason)]
    Defective(Defect),
    /// Patches were found and none of them is whole.
    #[error(
        "nothing to store: all {quarantined} patches found are defective, the first is {}: {}",
        first.patch, first.reason
    )]
    NothingWhole {
        /// How many.
        quarantined: u64,
        /// One of them.
        first: Box<Defect>,
    },
    /// The store's folder belongs to another plan.
    #[error(
        "{store} holds an ingest of another plan ({differences}); repeat it with the options it was \
         begun with, or choose another store, or delete the folder",
        store = store.display()
    )]
    OtherPlan {
        /// The store.
        store: PathBuf,
        /// What differs, in words.
        differences: String,
    },
    /// The store's folder holds something else.
    #[error("{store} cannot become a store: {reason}", store = store.display())]
    Occupied {
        /// The folder.
        store: PathBuf,
        /// What is there and what to do.
        reason: String,
    },
    /// A file of `.ingest` cannot be understood.
    #[error("{path} is damaged: {reason}; delete it and repeat the ingest", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// The stop flag was set. The same call goes on from here.
    #[error("interrupted after {finished} finished units; the same ingest goes on from there")]
    Interrupted {
        /// Units that are done.
        finished: u64,
    },
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] chipmill_store::WriteError),
    /// A thread could not be started.
    #[error("cannot start the worker threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl IngestError {
    pub(crate) fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        Self::io("cannot read", path)
    }

    pub(crate) fn writing(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        Self::io("cannot write", path)
    }

    pub(crate) fn metadata(path: &Path, reason: impl Into<String>) -> Self {
        Self::Metadata {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
