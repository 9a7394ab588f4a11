//! Encoder weights for and from others: safetensors with the names that torchvision and timm have.
//!
//! The names are those of the encoder alone, without a prefix and without a classifier (`conv1.weight`,
//! `bn1.running_mean`, `layer1.0.conv1.weight` ...). Read are besides, and left out: the classifier
//! `fc.*`, counters `*.num_batches_tracked`, and the projection head of a checkpoint of ours, whose
//! other names begin with `encoder.`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::run::{Environment, InitialWeights, RunState, RunStatus};
use chipmill_store::{StoreReader, write_object};
use serde::Serialize;

use crate::checkpoint::{Checkpoint, CheckpointMeta, Checkpoints};
use crate::device::parse_device;
use crate::environment;
use crate::error::{TrainError, io_error};
use crate::model::weights::{self, HostTensor, WeightsError};
use crate::model::{ContrastiveModel, Encoder};
use crate::optim::Optimizer;
use crate::pretrain::initial_model;
use crate::run_dir::RunDir;

/// What the names of an encoder begin with in a checkpoint.
const ENCODER: &str = "encoder.";

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The file.
    pub path: PathBuf,
    /// Step of the checkpoint.
    pub step: u64,
    /// Tensors, running statistics of batch norm included.
    pub tensors: usize,
    /// Values in them.
    pub values: usize,
}

/// Writes the encoder of a run's newest checkpoint. The file appears whole or not at all, and its bytes
/// depend on the weights alone.
///
/// # Errors
/// [`TrainError`]: no checkpoint, one that is not whole, or a file that cannot be written.
pub fn export(run: &Path, out: &Path) -> Result<Exported, TrainError> {
    let run = RunDir::open(run)?;
    let checkpoints = Checkpoints::new(run.checkpoints());
    let Some(checkpoint) = checkpoints.load_newest()? else {
        let run = run.root().to_owned();
        return Err(TrainError::NoCheckpoint { run });
    };
    let (all, _) = weights::read(&checkpoint.model)?;
    let of_encoder = |(name, tensor): (String, HostTensor)| {
        let name = name.strip_prefix(ENCODER)?.to_owned();
        Some((name, tensor))
    };
    let tensors: BTreeMap<String, HostTensor> = all.into_iter().filter_map(of_encoder).collect();
    // Readers of PyTorch's world look for this entry.
    let format = ("format".to_owned(), "pt".to_owned());
    let bytes = weights::write(&tensors, Some(format))?;
    write_object(out, &bytes).map_err(io_error("write", out))?;
    Ok(Exported {
        path: out.to_owned(),
        step: checkpoint.meta.step,
        tensors: tensors.len(),
        values: tensors.values().map(|t| t.values.len()).sum(),
    })
}

/// An encoder with the weights of a file, in place of its own.
///
/// # Errors
/// [`TrainError::ForeignWeights`] naming the file and the tensors that are missing, unknown or of
/// another shape or type.
pub(crate) fn with_weights(encoder: Encoder, path: &Path) -> Result<Encoder, TrainError> {
    let bytes = std::fs::read(path).map_err(io_error("read", path))?;
    let put = || {
        let own = weights::names(&bytes)?
            .iter()
            .any(|name| name.starts_with(ENCODER));
        let (tensors, _) = weights::read_where(&bytes, |name| wanted(name, own))?;
        let renamed = tensors.into_iter().map(|(name, tensor)| {
            let bare = name.strip_prefix(ENCODER).unwrap_or(&name).to_owned();
            (bare, tensor)
        });
        weights::put(encoder, renamed.collect())
    };
    put().map_err(|reason: WeightsError| TrainError::ForeignWeights {
        path: path.to_owned(),
        reason,
    })
}

/// What a run keeps of the file that it began with.
pub(crate) fn initial_weights(path: &Path) -> Result<InitialWeights, TrainError> {
    let bytes = std::fs::read(path).map_err(io_error("read", path))?;
    Ok(InitialWeights {
        path: path.display().to_string(),
        blake3: blake3::hash(&bytes).to_hex().to_string(),
    })
}

/// Whether a tensor is the encoder's; `own` of a checkpoint of ours.
fn wanted(name: &str, own: bool) -> bool {
    let classifier = name.starts_with("fc.");
    let counter = name.ends_with(".num_batches_tracked");
    let head = own && name.starts_with("projection.");
    !(classifier || counter || head)
}

/// Makes a run folder of weights from elsewhere, finished at step 0: it can be probed, embedded with and
/// exported as if its encoder had been pretrained here. The projection head is that of the seed.
///
/// # Errors
/// [`TrainError`]: a run folder that exists, a configuration that cannot be used, or as `export` and
/// `pretrain --weights` have them.
pub fn import(
    store: &StoreReader,
    run: &Path,
    config: &PretrainConfig,
    path: &Path,
) -> Result<(), TrainError> {
    config.validate()?;
    RunDir::check_vacant(run)?;
    let model = initial_model(config, &parse_device("cpu")?);
    let encoder = with_weights(model.encoder, path)?;
    let model = ContrastiveModel {
        encoder,
        projection: model.projection,
    };
    let (run, _lock) = RunDir::create(run, config)?;
    run.write_environment(&Environment {
        store_digest: store.digest().to_owned(),
        config_digest: environment::config_digest(config),
        parameters: model.parameters() as u64,
        initial_weights: Some(initial_weights(path)?),
        ..environment::of_this_process("cpu")
    })?;
    save_initial(&run, store, config, "", &model)?;
    run.write_status(&RunStatus {
        state: RunState::Finished,
        step: 0,
        max_steps: 0,
        attempt: 0,
        checkpoint: Some(0),
        collapsed_since: None,
        message: Some(format!("weights of {}", path.display())),
    })
}

/// A checkpoint of step 0, which a run that begins with weights from elsewhere resumes from.
pub(crate) fn save_initial(
    run: &RunDir,
    store: &StoreReader,
    config: &PretrainConfig,
    selection_digest: &str,
    model: &ContrastiveModel,
) -> Result<(), TrainError> {
    let checkpoint = Checkpoint {
        meta: CheckpointMeta {
            step: 0,
            loader: chipmill_pipeline::LoaderState::default(),
            config: config.clone(),
            store_digest: store.digest().to_owned(),
            selection_digest: selection_digest.to_owned(),
        },
        model: weights::to_safetensors(model)?,
        optimizer: Optimizer::new(config.optimizer).to_safetensors()?,
    };
    Checkpoints::new(run.checkpoints()).save(&checkpoint, config.keep_checkpoints)?;
    Ok(())
}
