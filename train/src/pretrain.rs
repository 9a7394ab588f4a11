//! Pretraining as a whole: from a store and a configuration to a finished run folder.
//!
//! Everything that can be refused is refused before the run folder is made.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::module::Module;
use burn::tensor::Device;
use chipmill_pipeline::{Loader, LoaderSpec, LoaderState};
use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::run::{Environment, RunState, RunStatus};
use chipmill_schemas::task::{Task, TaskError};
use chipmill_store::StoreReader;

use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::device::{first_device, parse_devices};
use crate::environment;
use crate::error::TrainError;
use crate::exchange::{initial_weights, save_initial, with_weights};
use crate::model::{ContrastiveModel, weights};
use crate::optim::Optimizer;
use crate::probe::{ProbeDuring, Watch};
use crate::resume::forbidden_changes;
use crate::run_dir::RunDir;
use crate::trainer::{Progressing, Setting, TrainProgress, Trainer};

/// Views of a patch that the loss compares.
const VIEWS: usize = 2;

/// What a pretraining run works with, besides its configuration.
pub struct Pretrain<'a> {
    /// Where the patches come from.
    pub store: &'a StoreReader,
    /// The run folder.
    pub run: &'a Path,
    /// `cpu`, `cuda` or `cuda:N`, or several: [`parse_devices`].
    pub device: &'a str,
    /// Tasks from files, known to `selection.exclude_task` besides the built-in ones.
    pub tasks: &'a [Task],
    /// A file of encoder weights that a new run begins with, in place of those of its seed.
    pub weights: Option<&'a Path>,
    /// A probe while the run is at work, on the same store.
    pub probe: Option<&'a ProbeDuring>,
    /// Told of the progress.
    pub progress: &'a dyn TrainProgress,
    /// When set, the step is finished, a checkpoint saved, and the run is `interrupted`.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Pretrain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pretrain")
            .field("run", &self.run)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// The rows a run uses.
struct Selected {
    rows: Arc<[u32]>,
    digest: String,
    /// The definition of the task that is left out.
    excluded: Option<Task>,
}

/// A run that may begin or go on: everything is checked.
struct Ready<'c> {
    config: &'c PretrainConfig,
    devices: Vec<Device>,
    watch: Option<Watch<'c>>,
    selected: Selected,
    loader: Loader,
    state: Progressing,
    saved: Option<u64>,
    collapsed_since: Option<u64>,
}

impl<'p> Pretrain<'p> {
    /// Begins a run.
    ///
    /// # Errors
    /// [`TrainError`]. A refused configuration, store, device or run folder leaves no run folder
    /// behind; a failure at work leaves it with the status `failed`.
    pub fn start(&self, config: &PretrainConfig) -> Result<RunStatus, TrainError> {
        config.validate()?;
        RunDir::check_vacant(self.run)?;
        let devices = self.devices(config)?;
        let selected = self.select(config, self.tasks)?;
        let mut state = initial_state(config, &devices[0]);
        if let Some(path) = self.weights {
            state.model.encoder = with_weights(state.model.encoder, path)?;
        }
        let ready = Ready {
            config,
            loader: self.loader(config, &selected, LoaderState::default())?,
            watch: self.watch(self.weights.map(|_| &state))?,
            state,
            devices,
            selected,
            saved: self.weights.map(|_| 0),
            collapsed_since: None,
        };
        let (run, _lock) = RunDir::create(self.run, config)?;
        if let Some(task) = &ready.selected.excluded {
            run.write_task(task)?;
        }
        if self.weights.is_some() {
            // What a resume before the first checkpoint would otherwise not know.
            let digest = &ready.selected.digest;
            save_initial(&run, self.store, config, digest, &ready.state.model)?;
        }
        self.train(&run, 0, ready)
    }

    /// Goes on with a run, from its newest checkpoint or, without one, from the first step.
    ///
    /// `asked` is a configuration given together with the run folder; `None` takes the folder's.
    /// Only keys that no loss depends on may differ ([`forbidden_changes`]). A finished run is left
    /// as it is and its status is given again.
    ///
    /// # Errors
    /// [`TrainError`], among others [`TrainError::ConfigDiffers`] naming the keys,
    /// [`TrainError::StoreDiffers`], and a checkpoint that is not whole.
    pub fn resume(&self, asked: Option<&PretrainConfig>) -> Result<RunStatus, TrainError> {
        let run = RunDir::open(self.run)?;
        let _lock = run.lock()?;
        let checkpoints = Checkpoints::new(run.checkpoints());
        checkpoints.clean()?;
        let checkpoint = checkpoints.load_newest()?;
        let stored = run.config()?;
        let config = asked.unwrap_or(&stored);
        config.validate()?;
        let status = run.status()?;
        self.check_same(&run, &stored, config, checkpoint.as_ref())?;
        if let Some(status) = status.as_ref().filter(|s| is_finished(s, config)) {
            return Ok(status.clone());
        }
        let attempt = status.as_ref().map_or(0, |s| s.attempt + 1);
        let mut ready = self.ready_again(&run, config, &checkpoints, checkpoint.as_ref())?;
        // What was found after the checkpoint will be found again.
        let since = status.and_then(|s| s.collapsed_since);
        ready.collapsed_since = since.filter(|&since| since <= ready.state.step);
        run.write_config(config)?;
        self.train(&run, attempt, ready)
    }

    fn ready_again<'c>(
        &self,
        run: &RunDir,
        config: &'c PretrainConfig,
        checkpoints: &Checkpoints,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Ready<'c>, TrainError>
    where
        'p: 'c,
    {
        let devices = self.devices(config)?;
        let kept = run.task()?;
        let tasks = kept.as_ref().map_or(self.tasks, std::slice::from_ref);
        let selected = self.select(config, tasks)?;
        if checkpoint.is_some_and(|c| c.meta.selection_digest != selected.digest) {
            let run = run.root().to_owned();
            return Err(TrainError::SelectionDiffers { run });
        }
        let position = checkpoint.map(|c| c.meta.loader).unwrap_or_default();
        let state = match checkpoint {
            Some(checkpoint) => restored_state(config, &devices[0], checkpoints, checkpoint)?,
            None => initial_state(config, &devices[0]),
        };
        Ok(Ready {
            config,
            loader: self.loader(config, &selected, position)?,
            watch: self.watch(checkpoint.filter(|c| c.meta.step == 0).map(|_| &state))?,
            state,
            devices,
            selected,
            saved: checkpoint.map(|c| c.meta.step),
            collapsed_since: None,
        })
    }

    /// For training. Several share the parts of a batch, whose size must therefore be given: no loss
    /// depends on how many they are.
    fn devices(&self, config: &PretrainConfig) -> Result<Vec<Device>, TrainError> {
        let devices = parse_devices(self.device)?;
        let (batch, part) = (config.loader.batch_size, config.micro_batch_size);
        let parts = batch.checked_div(part).unwrap_or(1) as usize;
        if parts < devices.len() {
            return Err(TrainError::TooFewParts {
                devices: devices.len(),
                parts,
                largest: batch as usize / devices.len(),
            });
        }
        Ok(devices.into_iter().map(Device::autodiff).collect())
    }

    /// `own` is the beginning of a run that does not begin with the weights of its seed.
    fn watch(&self, own: Option<&Progressing>) -> Result<Option<Watch<'p>>, TrainError> {
        let initial = own.map(|state| state.model.valid().encoder);
        let of = |asked| Watch::new(asked, self.store, first_device(self.device)?, initial);
        self.probe.map(of).transpose()
    }

    fn select(&self, config: &PretrainConfig, tasks: &[Task]) -> Result<Selected, TrainError> {
        let resolve = |name: &str| task_named(name, tasks);
        let rows = config.selection.rows(self.store.table(), resolve)?;
        let found = rows.len();
        if found == 0 {
            return Err(TrainError::EmptySelection {
                store: self.store.path().to_owned(),
                patches: self.store.len(),
            });
        }
        let batch_size = config.loader.batch_size;
        if found < batch_size as usize {
            return Err(TrainError::TooFewPatches { found, batch_size });
        }
        let excluded = config.selection.exclude_task.as_deref();
        Ok(Selected {
            digest: digest_of(&rows),
            rows: rows.into(),
            excluded: excluded.map(resolve).transpose()?,
        })
    }

    fn loader(
        &self,
        config: &PretrainConfig,
        selected: &Selected,
        start: LoaderState,
    ) -> Result<Loader, TrainError> {
        pair_loader(self.store, config, &selected.rows, start)
    }

    /// A run goes on only where every loss depends on what it depended on before.
    fn check_same(
        &self,
        run: &RunDir,
        stored: &PretrainConfig,
        asked: &PretrainConfig,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<(), TrainError> {
        let root = || run.root().to_owned();
        let began = checkpoint.map_or(stored, |c| &c.meta.config);
        let changes = forbidden_changes(began, asked);
        if !changes.is_empty() {
            let keys = changes.join("; ");
            return Err(TrainError::ConfigDiffers { run: root(), keys });
        }
        let expected = match checkpoint {
            Some(checkpoint) => Some(checkpoint.meta.store_digest.clone()),
            None => run.environment()?.map(|e| e.store_digest),
        };
        match expected {
            Some(expected) if expected != self.store.digest() => Err(TrainError::StoreDiffers {
                run: root(),
                store: self.store.path().to_owned(),
                found: self.store.digest().to_owned(),
                expected,
            }),
            _ => Ok(()),
        }
    }

    fn train(&self, run: &RunDir, attempt: u32, ready: Ready<'_>) -> Result<RunStatus, TrainError> {
        let initial_weights = match self.weights {
            Some(path) => Some(initial_weights(path)?),
            // A resume keeps what the beginning noted.
            None => run.environment()?.and_then(|e| e.initial_weights),
        };
        run.write_environment(&Environment {
            initial_weights,
            store_digest: self.store.digest().to_owned(),
            config_digest: environment::config_digest(ready.config),
            patches: ready.selected.rows.len() as u64,
            parameters: ready.state.model.parameters() as u64,
            ..environment::of_this_process(self.device)
        })?;
        let setting = Setting {
            config: ready.config,
            store: self.store,
            run,
            devices: &ready.devices,
            attempt,
            selection_digest: &ready.selected.digest,
            stop: self.stop,
            watch: ready.watch,
            collapsed_since: ready.collapsed_since,
        };
        Trainer::new(
            setting,
            self.progress,
            ready.state,
            ready.loader,
            ready.saved,
        )?
        .run()
    }
}

/// Shuffled batches of two views, without end, as a configuration asks for.
pub(crate) fn pair_loader(
    store: &StoreReader,
    config: &PretrainConfig,
    rows: &Arc<[u32]>,
    start: LoaderState,
) -> Result<Loader, TrainError> {
    let spec = LoaderSpec {
        views: VIEWS,
        seed: config.seed,
        start,
        ..LoaderSpec::of(Arc::clone(rows), config.view.clone(), &config.loader)
    };
    Ok(Loader::start(store.clone(), spec)?)
}

/// The model with the initial weights of the run's seed.
pub(crate) fn initial_model(config: &PretrainConfig, device: &Device) -> ContrastiveModel {
    let bands = config.view.bands.bands().len();
    ContrastiveModel::new(
        &config.encoder,
        &config.projection,
        bands,
        config.view.side as usize,
        config.seed,
        device,
    )
}

fn initial_state(config: &PretrainConfig, device: &Device) -> Progressing {
    Progressing {
        step: 0,
        model: initial_model(config, device),
        optimizer: Optimizer::new(config.optimizer),
    }
}

fn restored_state(
    config: &PretrainConfig,
    device: &Device,
    checkpoints: &Checkpoints,
    checkpoint: &Checkpoint,
) -> Result<Progressing, TrainError> {
    let step = checkpoint.meta.step;
    let optimizer = Optimizer::from_safetensors(config.optimizer, &checkpoint.optimizer, device)
        .map_err(|e| checkpoints.damaged(step, format!("optimizer.safetensors: {e}")))?;
    Ok(Progressing {
        step,
        model: trained_model(config, device, checkpoints, checkpoint)?,
        optimizer,
    })
}

/// The model with a checkpoint's weights.
pub(crate) fn trained_model(
    config: &PretrainConfig,
    device: &Device,
    checkpoints: &Checkpoints,
    checkpoint: &Checkpoint,
) -> Result<ContrastiveModel, TrainError> {
    let model = weights::from_safetensors(initial_model(config, device), &checkpoint.model);
    let damaged = |e| {
        let message = format!("model.safetensors: {e}");
        checkpoints.damaged(checkpoint.meta.step, message)
    };
    Ok(model.map_err(damaged)?)
}

fn is_finished(status: &RunStatus, config: &PretrainConfig) -> bool {
    status.state == RunState::Finished && status.step >= config.max_steps
}

/// A task from a file, else a built-in one.
fn task_named(name: &str, tasks: &[Task]) -> Result<Task, TaskError> {
    let given = tasks.iter().find(|t| t.name == name);
    given.map_or_else(|| Task::built_in(name), |t| Ok(t.clone()))
}

/// BLAKE3 over the row numbers as little-endian `u32` (hex).
fn digest_of(rows: &[u32]) -> String {
    let mut hasher = blake3::Hasher::new();
    for row in rows {
        hasher.update(&row.to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
