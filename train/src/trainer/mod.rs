//! The training loop: loader, upload, two forward passes, loss, backward, optimiser, metrics.
//!
//! ```text
//! Loader -> Batch [2, sample, band, y, x] -> device -> h, z of each view -> loss (f32) -> step
//! ```
//! Each view has its own forward pass, so that batch-norm statistics are per view, as in the notes.
//! Nothing in the loop draws a random number: order and augmentation come from the loader, whose
//! position is part of a checkpoint, so that a run that goes on gives the same losses to the bit.

mod clock;
mod collapse;
mod failure;
mod gradient;
mod losses;
mod progress;
mod rows;
mod upload;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use chipmill_pipeline::{Batch, Loader};
use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::run::{RunState, RunStatus};
use chipmill_store::StoreReader;

use crate::checkpoint::{Checkpoint, CheckpointMeta, Checkpoints};
use crate::error::TrainError;
use crate::loss::contrastive;
use crate::model::{ContrastiveModel, weights};
use crate::optim::{Gradients, Optimizer};
use crate::probe::Watch;
use crate::run_dir::{EventWriter, MetricsWriter, RunDir, TrainLog};
use crate::schedule::Schedule;

use clock::Clock;
use collapse::CollapseWatch;
use failure::chain;
use gradient::{Computed, Piece};
use losses::PendingLosses;
pub use progress::{Silent, TrainProgress, sentence};
use upload::upload_samples;
pub use upload::upload_view;

/// A status is rewritten at most this often between checkpoints: each rewrite is an fsync.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// What changes from step to step, and what a checkpoint holds.
#[derive(Debug)]
pub(crate) struct Progressing {
    pub(crate) step: u64,
    pub(crate) model: ContrastiveModel,
    pub(crate) optimizer: Optimizer,
}

/// What stays for the whole run.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) config: &'a PretrainConfig,
    pub(crate) store: &'a StoreReader,
    pub(crate) run: &'a RunDir,
    /// For training, the first holds the model.
    pub(crate) devices: &'a [Device],
    pub(crate) attempt: u32,
    pub(crate) selection_digest: &'a str,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) watch: Option<Watch<'a>>,
    /// Since when the projections have been collapsed, as an earlier attempt found.
    pub(crate) collapsed_since: Option<u64>,
}

/// A run at work.
pub(crate) struct Trainer<'a> {
    setting: Setting<'a>,
    progress: &'a dyn TrainProgress,
    state: Progressing,
    loader: Loader,
    schedule: Schedule,
    metrics: MetricsWriter,
    events: EventWriter,
    log: TrainLog,
    collapse: CollapseWatch,
    checkpoints: Checkpoints,
    saved: Option<u64>,
    pending: PendingLosses,
    clock: Clock,
    status_written: Instant,
}

/// What the monitors look at, of one step.
struct Seen {
    epoch: u64,
    learning_rate: f64,
    projections: [Tensor<2>; 2],
    gradients: Option<Gradients>,
}

impl<'a> Trainer<'a> {
    /// A trainer that goes on from a state; `saved` is the step of the newest checkpoint.
    ///
    /// # Errors
    /// [`TrainError::Io`] when the metrics cannot be opened.
    pub(crate) fn new(
        setting: Setting<'a>,
        progress: &'a dyn TrainProgress,
        state: Progressing,
        loader: Loader,
        saved: Option<u64>,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            schedule: Schedule::of(setting.config),
            metrics: setting.run.metrics_writer()?,
            events: EventWriter::create(setting.run.root(), setting.attempt)?,
            log: setting.run.train_log(setting.attempt)?,
            collapse: CollapseWatch::new(setting.config, setting.collapsed_since),
            checkpoints: Checkpoints::new(setting.run.checkpoints()),
            pending: PendingLosses::default(),
            clock: Clock::start(),
            status_written: Instant::now(),
            setting,
            progress,
            state,
            loader,
            saved,
        })
    }

    /// Trains to the end, or to the stop flag; both leave a checkpoint.
    ///
    /// # Errors
    /// [`TrainError`]; the status then says `failed`, and the checkpoints are as they were.
    pub(crate) fn run(mut self) -> Result<RunStatus, TrainError> {
        self.write_status(RunState::Running, None)?;
        let (step, max_steps) = (self.state.step, self.setting.config.max_steps);
        self.log
            .say(&format!("begins at step {step} of {max_steps}"))?;
        self.progress.started(step, max_steps);
        match self.train() {
            Ok(state) => self.end(state),
            Err(error) => {
                // On a full disk these cannot be written either: the cause comes first.
                let why = chain(&error);
                let said = self.log.say(&format!("failed: {why}"));
                let noted = self.write_status(RunState::Failed, Some(why)).map(drop);
                if let Err(second) = noted.and(said) {
                    tracing::error!(error = %second, "the status or the log cannot be written");
                }
                Err(error)
            }
        }
    }

    fn end(&mut self, state: RunState) -> Result<RunStatus, TrainError> {
        let what = match state {
            RunState::Finished => "finished",
            _ => "interrupted",
        };
        let step = self.state.step;
        self.log.say(&format!("{what} at step {step}"))?;
        if let Some(text) = self.collapse.at_the_end() {
            self.log.say(&text)?;
        }
        self.write_status(state, None)
    }

    fn train(&mut self) -> Result<RunState, TrainError> {
        let max_steps = self.setting.config.max_steps;
        if self.state.step == 0 {
            self.probe_initial()?;
        }
        while self.state.step < max_steps {
            self.advance()?;
            self.progress.step(self.state.step, max_steps);
            if self.setting.stop.load(Ordering::Relaxed) && self.state.step < max_steps {
                self.save()?;
                return Ok(RunState::Interrupted);
            }
        }
        self.save()?;
        Ok(RunState::Finished)
    }

    /// One step with all that follows from its number.
    fn advance(&mut self) -> Result<(), TrainError> {
        let loader = &mut self.loader;
        let next = self.clock.waiting(|| loader.next());
        let batch = next.ok_or(TrainError::NoBatch {
            step: self.state.step + 1,
        })??;
        let seen = self.step(batch)?;
        if self.logs_now() {
            self.log(seen)?;
        } else if self.pending.is_full() {
            self.read_losses()?;
        }
        if self
            .state
            .step
            .is_multiple_of(self.setting.config.checkpoint_every_steps)
        {
            self.save()?;
        }
        Ok(())
    }

    /// Forward, backward, update.
    fn step(&mut self, batch: Batch) -> Result<Seen, TrainError> {
        let (epoch, patches) = (batch.epoch(), batch.patches().to_vec());
        self.clock.count(patches.len());
        let Computed {
            loss,
            projections,
            gradients,
        } = self.gradient(batch)?;
        self.state.step += 1;
        let learning_rate = self.schedule.learning_rate(self.state.step);
        let watched = self.logs_now().then(|| gradients.clone());
        let model = self.state.model.clone();
        self.state.model = self.state.optimizer.step(model, gradients, learning_rate);
        self.pending.note(self.state.step, patches, loss);
        Ok(Seen {
            epoch,
            learning_rate,
            projections,
            gradients: watched,
        })
    }

    /// The batch is held as long as parts of it have still to be uploaded.
    fn gradient(&self, batch: Batch) -> Result<Computed, TrainError> {
        let (devices, config) = (self.setting.devices, self.setting.config);
        let model = &self.state.model;
        let loss = |first, second| contrastive(first, second, &config.loss);
        let size = config.micro_batch_size as usize;
        if size == 0 || size >= batch.samples() {
            let views = [0, 1].map(|view| upload_view(&batch, view, &devices[0]));
            // The slot goes back to the loader before the device is kept busy.
            drop(batch);
            return Ok(gradient::whole(model, views, loss)?);
        }
        let replicas = self.replicas();
        let upload = |piece: Piece| {
            let samples = piece.part * size..(piece.part + 1) * size;
            upload_samples(&batch, piece.view, samples, &devices[piece.replica])
        };
        let parts = batch.samples() / size;
        Ok(gradient::by_parts(&replicas, parts, upload, loss)?)
    }

    /// The model, and a copy of it on every further device.
    fn replicas(&self) -> Vec<ContrastiveModel> {
        let model = &self.state.model;
        let further = self.setting.devices.iter().skip(1).map(|device| {
            // `valid` gives running statistics of its own, which may move without the model's.
            let device = device.clone().without_autodiff();
            model.valid().to_device(&device).train()
        });
        std::iter::once(model.clone()).chain(further).collect()
    }

    /// Saves the state, unless this step is saved already.
    fn save(&mut self) -> Result<(), TrainError> {
        let step = self.state.step;
        if self.saved == Some(step) {
            return Ok(());
        }
        // A state that is not finite must not replace a good one.
        self.read_losses()?;
        self.check_weights()?;
        let checkpoint = Checkpoint {
            meta: CheckpointMeta {
                step,
                loader: self.loader.state(),
                config: self.setting.config.clone(),
                store_digest: self.setting.store.digest().to_owned(),
                selection_digest: self.setting.selection_digest.to_owned(),
            },
            model: weights::to_safetensors(&self.state.model)?,
            optimizer: self.state.optimizer.to_safetensors()?,
        };
        let keep = self.setting.config.keep_checkpoints;
        let path = self.checkpoints.save(&checkpoint, keep)?;
        self.saved = Some(step);
        self.log.say(&format!("checkpoint at step {step}"))?;
        self.write_status(RunState::Running, None)?;
        self.progress.checkpoint(step, &path);
        Ok(())
    }

    fn write_status(
        &mut self,
        state: RunState,
        message: Option<String>,
    ) -> Result<RunStatus, TrainError> {
        let status = RunStatus {
            state,
            step: self.state.step,
            max_steps: self.setting.config.max_steps,
            attempt: self.setting.attempt,
            checkpoint: self.saved,
            message,
            collapsed_since: self.collapse.since(),
        };
        self.setting.run.write_status(&status)?;
        self.status_written = Instant::now();
        Ok(status)
    }
}
