//! What can go wrong in a run.

use std::io;
use std::path::{Path, PathBuf};

use chipmill_pipeline::LoaderError;
use chipmill_schemas::config::ConfigError;
use chipmill_schemas::task::TaskError;
use chipmill_store::ReadError;

use crate::checkpoint::CheckpointError;
use crate::device::DeviceError;
use crate::loss::LossError;
use crate::model::weights::WeightsError;
use crate::monitors::MonitorError;
use crate::optim::OptimizerError;
use crate::probe::ProbeError;

/// A run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The folder of a new run holds something already.
    #[error(
        "run folder {0} exists already: continue it with `chipmill pretrain --resume {0} --store ...`, \
         or choose another folder",
        run.display()
    )]
    RunExists {
        /// The folder.
        run: PathBuf,
    },
    /// No run was begun there.
    #[error("{} is no run folder: it has no config.toml", run.display())]
    NotARun {
        /// The folder.
        run: PathBuf,
    },
    /// A row was asked for that is not there.
    #[error("row {row} was asked for, but the store has {patches} patches")]
    NoSuchRow {
        /// The row.
        row: u32,
        /// Patches of the store.
        patches: usize,
    },
    /// Another process holds the run.
    #[error("another process is at work in run folder {}: wait for it or stop it", run.display())]
    Busy {
        /// The folder.
        run: PathBuf,
    },
    /// A file of the run folder is not what it should be.
    #[error("{}: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A device would have nothing to do.
    #[error(
        "{devices} devices are to share the micro-batches of a batch, of which there are {parts}: set \
         `micro_batch_size` to {largest} or less, a divisor of `loader.batch_size`, or give fewer devices"
    )]
    TooFewParts {
        /// Devices asked for.
        devices: usize,
        /// Micro-batches of a batch.
        parts: usize,
        /// Patches in a part, at most.
        largest: usize,
    },
    /// The selection names a task or label that does not exist.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The loader cannot start or go on.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// A patch cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The batch has no loss.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// Weights from elsewhere do not fit the encoder.
    #[error("weights {} do not fit the encoder: {reason}", path.display())]
    ForeignWeights {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: WeightsError,
    },
    /// Weights cannot be taken from the device.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The optimiser's state cannot be taken from the device.
    #[error(transparent)]
    Optimizer(#[from] OptimizerError),
    /// A monitor cannot be computed.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    /// The device failed while a result was read.
    #[error("the device failed while {what} was read: {message}")]
    Readback {
        /// Which result.
        what: &'static str,
        /// What Burn says.
        message: String,
    },
    /// No patch is left.
    #[error(
        "the selection leaves none of the {patches} patches of {}: widen `selection` \
         (splits, labels_any, exclude_task, exclude_snow, exclude_cloud, limit)",
        store.display()
    )]
    EmptySelection {
        /// The store.
        store: PathBuf,
        /// Its patches.
        patches: usize,
    },
    /// Not even one batch.
    #[error(
        "{found} patches are selected, but `loader.batch_size` is {batch_size}: choose {found} or \
         less, or widen `selection`"
    )]
    TooFewPatches {
        /// Patches selected.
        found: usize,
        /// Patches in a batch.
        batch_size: u32,
    },
    /// The loader ended before the run.
    #[error("the loader has no batch for step {step}")]
    NoBatch {
        /// The step, from 1.
        step: u64,
    },
    /// Training diverged.
    #[error(
        "step {step}: {quantity} is {value}; {checkpoint}. Try a smaller `optimizer.learning_rate` \
         or a larger `loss.temperature`{patches}"
    )]
    NonFinite {
        /// The step, from 1.
        step: u64,
        /// What is not finite.
        quantity: &'static str,
        /// Its value.
        value: f64,
        /// Which checkpoint remains.
        checkpoint: String,
        /// The batch, as the end of the sentence; empty where no batch is to be named.
        patches: String,
    },
    /// Going on would not be the same run.
    #[error(
        "run {} cannot go on under another configuration: {keys}. Leave these keys as they are, or \
         begin a new run",
        run.display()
    )]
    ConfigDiffers {
        /// The run folder.
        run: PathBuf,
        /// The keys with both values.
        keys: String,
    },
    /// Going on would not be the same run.
    #[error(
        "run {} was begun on a store with digest {expected}, but {} has {found}: give the same \
         store, or begin a new run",
        run.display(),
        store.display()
    )]
    StoreDiffers {
        /// The run folder.
        run: PathBuf,
        /// The store given.
        store: PathBuf,
        /// Its digest.
        found: String,
        /// The digest of the run's store.
        expected: String,
    },
    /// Going on would not be the same run.
    #[error(
        "run {}: the selection gives other patches than at the checkpoint: is task.toml as it was?",
        run.display()
    )]
    SelectionDiffers {
        /// The run folder.
        run: PathBuf,
    },
    /// Nothing to compute features with.
    #[error("run {} has no checkpoint yet: pretrain it first", run.display())]
    NoCheckpoint {
        /// The run folder.
        run: PathBuf,
    },
    /// Features that no probe can use.
    #[error(
        "the features of patch {patch} hold NaN or infinity: the encoder diverged; probe an earlier \
         checkpoint, or train with a smaller learning rate"
    )]
    FeatureNotFinite {
        /// The patch.
        patch: String,
    },
    /// The supervised control diverged.
    #[error(
        "step {step} of the supervised control: the loss is {loss}; it has the run's optimiser: probe \
         without it, or a run with a smaller `optimizer.learning_rate`"
    )]
    SupervisedDiverged {
        /// The step, from 1.
        step: usize,
        /// Its loss.
        loss: f32,
    },
    /// The probe cannot be done on this store.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// Stopped before a result existed.
    #[error("stopped on request")]
    Stopped,
}

/// For `map_err`: what was tried on which path.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TrainError {
    let path = path.to_owned();
    move |source| TrainError::Io {
        action,
        path,
        source,
    }
}

/// For `map_err`: which result could not be read from the device.
pub(crate) fn readback<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> TrainError {
    move |error| TrainError::Readback {
        what,
        message: error.to_string(),
    }
}
