//! The training loop: loader, upload, two forward passes, loss, backward, optimiser, metrics.
//!
//! ```text
//! Loader -> Batch [2, sample, band, y, x] -> device -> h, z of each view -> loss (f32) -> step
//! ```
//! Each view has its own forward pass, so that batch-norm statistics are per view, as in the notes.
//! Nothing in the loop draws a random number: order and augmentation come from the loader, whose
//! position is part of a checkpoint, so that a run that goes on gives the same losses to the bit.

mod clock;
mod losses;
mod progress;
mod upload;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use chipmill_pipeline::{Batch, Loader};
use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::run::{MetricsRow, RunState, RunStatus};
use chipmill_store::StoreReader;

use crate::checkpoint::{Checkpoint, CheckpointMeta, Checkpoints};
use crate::error::{TrainError, readback};
use crate::loss::contrastive;
use crate::model::{ContrastiveModel, weights};
use crate::monitors;
use crate::optim::{Adam, Gradients};
use crate::probe::Watch;
use crate::run_dir::{EventWriter, MetricsWriter, RunDir};
use crate::schedule::Schedule;

use clock::Clock;
use losses::{NonFinite, PendingLosses};
pub use progress::{Silent, TrainProgress};
pub use upload::upload_view;

/// A status is rewritten at most this often between checkpoints: each rewrite is an fsync.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// How many patch ids an error spells out.
const NAMED_PATCHES: usize = 16;

/// What changes from step to step, and what a checkpoint holds.
#[derive(Debug)]
pub(crate) struct Progressing {
    pub(crate) step: u64,
    pub(crate) model: ContrastiveModel,
    pub(crate) optimizer: Adam,
}

/// What stays for the whole run.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) config: &'a PretrainConfig,
    pub(crate) store: &'a StoreReader,
    pub(crate) run: &'a RunDir,
    pub(crate) device: &'a Device,
    pub(crate) attempt: u32,
    pub(crate) selection_digest: &'a str,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) watch: Option<Watch<'a>>,
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
        self.progress
            .started(self.state.step, self.setting.config.max_steps);
        match self.train() {
            Ok(state) => self.write_status(state, None),
            Err(error) => {
                // On a full disk the status cannot be written either: the cause comes first.
                if let Err(second) = self.write_status(RunState::Failed, Some(chain(&error))) {
                    tracing::error!(error = %second, "the status cannot be written");
                }
                Err(error)
            }
        }
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
        let (device, config) = (self.setting.device, self.setting.config);
        let views = [0, 1].map(|view| upload_view(&batch, view, device));
        let (epoch, patches) = (batch.epoch(), batch.patches().to_vec());
        // The slot goes back to the loader before the device is kept busy.
        drop(batch);
        self.clock.count(patches.len());
        let [first, second] = views.map(|view| self.state.model.forward(view).projections);
        let loss = contrastive(first.clone(), second.clone(), &config.loss)?;
        let gradients = Gradients::of(&loss, &self.state.model);
        self.state.step += 1;
        let learning_rate = self.schedule.learning_rate(self.state.step);
        let watched = self.logs_now().then(|| gradients.clone());
        let model = self.state.model.clone();
        self.state.model = self.state.optimizer.step(model, gradients, learning_rate);
        self.pending
            .note(self.state.step, patches, loss.without_autodiff());
        Ok(Seen {
            epoch,
            learning_rate,
            projections: [first, second].map(Tensor::without_autodiff),
            gradients: watched,
        })
    }

    /// A row at the first step, at every multiple of `log_every_steps`, at every probe, and at the last.
    fn logs_now(&self) -> bool {
        let (step, config) = (self.state.step, self.setting.config);
        step == 1
            || step == config.max_steps
            || step.is_multiple_of(config.log_every_steps)
            || self.is_probed()
    }

    fn log(&mut self, seen: Seen) -> Result<(), TrainError> {
        let loss = self.read_losses()?.unwrap_or(f32::NAN);
        let mut row = self.row(loss, seen)?;
        self.probe(&mut row)?;
        self.record(&row)?;
        if self.status_written.elapsed() >= STATUS_EVERY {
            self.write_status(RunState::Running, None)?;
        }
        Ok(())
    }

    /// A row, to all who keep or show it.
    fn record(&mut self, row: &MetricsRow) -> Result<(), TrainError> {
        self.metrics.append(row)?;
        self.events.append(row)?;
        self.progress.metrics(row);
        Ok(())
    }

    /// The row of the step just done; its weight norm is that after the update.
    fn row(&mut self, loss: f32, seen: Seen) -> Result<MetricsRow, TrainError> {
        let [first, second] = seen.projections;
        let embedding = monitors::embedding(first.clone(), second.clone())?;
        let coupling = monitors::coupling(first.clone(), second, &self.setting.config.loss)?;
        let rank_me = self.rank(first)?;
        let gradient_norm = seen.gradients.as_ref().map(monitors::gradient_norm);
        let weight_norm = monitors::weight_norm(&self.state.model)?;
        // Last, so that the time of the monitors is part of the reading.
        let pace = self.clock.read();
        Ok(MetricsRow {
            step: self.state.step,
            attempt: self.setting.attempt,
            epoch: seen.epoch,
            loss: f64::from(loss),
            learning_rate: seen.learning_rate,
            contrastive_accuracy: embedding.contrastive_accuracy,
            alignment: embedding.alignment,
            uniformity: embedding.uniformity,
            embedding_std: embedding.embedding_std,
            weight_norm,
            gradient_norm: gradient_norm.transpose()?.unwrap_or(f64::NAN),
            pairs_per_s: pace.pairs_per_s,
            data_wait: pace.data_wait,
            q_mean: Some(coupling.q_mean),
            q_p5: Some(coupling.q_p5),
            q_p95: Some(coupling.q_p95),
            w_p5: coupling.weights.map(|[low, _]| low),
            w_p95: coupling.weights.map(|[_, high]| high),
            rank_me: Some(rank_me),
            ..MetricsRow::default()
        })
    }

    /// Effective rank of the first view's projections.
    fn rank(&self, projections: Tensor<2>) -> Result<f64, TrainError> {
        let [_, dimension] = projections.dims();
        let values: Vec<f32> = projections
            .try_into_vec_as()
            .map_err(readback("projections"))?;
        Ok(monitors::rank_me(&values, dimension))
    }

    fn is_probed(&self) -> bool {
        let (step, max_steps) = (self.state.step, self.setting.config.max_steps);
        let watch = self.setting.watch.as_ref();
        watch.is_some_and(|watch| watch.is_due(step, max_steps))
    }

    /// Adds the probe's scores to the row of a step that is probed.
    fn probe(&mut self, row: &mut MetricsRow) -> Result<(), TrainError> {
        let Some(watch) = self.setting.watch.as_ref().filter(|_| self.is_probed()) else {
            return Ok(());
        };
        let encoder = self.state.model.valid().encoder;
        watch.score(self.setting.config, &encoder, row)?;
        // The probe's time is not training's.
        self.clock = Clock::start();
        Ok(())
    }

    /// A row of step 0 with the initial encoder's scores, of a run that is probed.
    fn probe_initial(&mut self) -> Result<(), TrainError> {
        let Some(watch) = &self.setting.watch else {
            return Ok(());
        };
        let mut row = MetricsRow::unmeasured(0, self.setting.attempt);
        watch.score_initial(self.setting.config, &mut row)?;
        self.record(&row)?;
        self.clock = Clock::start();
        Ok(())
    }

    /// The losses since the last reading; the last of them.
    fn read_losses(&mut self) -> Result<Option<f32>, TrainError> {
        self.pending.read()?.map_err(|bad| self.non_finite(&bad))
    }

    fn non_finite(&self, bad: &NonFinite) -> TrainError {
        let table = self.setting.store.table();
        let id = |&row: &u32| Some(table.id(row as usize)?.to_owned());
        let named = bad.patches.iter().take(NAMED_PATCHES);
        let mut ids: Vec<String> = named.filter_map(id).collect();
        if bad.patches.len() > NAMED_PATCHES {
            ids.push(format!("{} more", bad.patches.len() - NAMED_PATCHES));
        }
        let patches = format!("; the batch was {}", ids.join(", "));
        self.diverged(bad.step, "the loss", f64::from(bad.loss), patches)
    }

    fn diverged(
        &self,
        step: u64,
        quantity: &'static str,
        value: f64,
        patches: String,
    ) -> TrainError {
        TrainError::NonFinite {
            step,
            quantity,
            value,
            checkpoint: match self.saved {
                Some(step) => format!("checkpoint step-{step} is kept"),
                None => "there is no checkpoint yet".to_owned(),
            },
            patches,
        }
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
        self.write_status(RunState::Running, None)?;
        self.progress.checkpoint(step, &path);
        Ok(())
    }

    /// A finite loss can still give an update that is not.
    fn check_weights(&self) -> Result<(), TrainError> {
        let norm = monitors::weight_norm(&self.state.model)?;
        if norm.is_finite() {
            return Ok(());
        }
        let quantity = "the norm of the weights after the update";
        Err(self.diverged(self.state.step, quantity, norm, String::new()))
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
        };
        self.setting.run.write_status(&status)?;
        self.status_written = Instant::now();
        Ok(status)
    }
}

/// An error with its causes, each once: a transparent error says the same as its cause.
fn chain(error: &TrainError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
