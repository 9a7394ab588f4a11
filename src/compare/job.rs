//! One run of an experiment, from wherever it stands to its score.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use chipmill_schemas::config::{PretrainConfig, resolve};
use chipmill_schemas::experiment::{ExperimentConfig, PlannedRun};
use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::probe::{ProbeConfig, ProbeReport};
use chipmill_schemas::run::{MetricsRow, RunState, RunStatus};
use chipmill_schemas::task::Task;
use chipmill_store::StoreReader;
use chipmill_train::TrainError;
use chipmill_train::pretrain::Pretrain;
use chipmill_train::probe::{Probe, ProbeDuring, ProbeTarget, Tested};
use chipmill_train::trainer::{TrainProgress, sentence};

use super::place::{Place, Standing};
use crate::progress::Meter;

/// What became of a run.
pub(super) enum Done {
    /// It had been finished and scored before.
    Before,
    /// Finished and scored now; the score in words.
    Scored(String),
    /// Another process is at work on it.
    Elsewhere,
    /// It cannot be finished: training diverged.
    Failed(String),
    /// A signal came; a checkpoint is saved.
    Stopped,
}

impl Done {
    /// As far as this process knows.
    fn standing(&self) -> Option<Standing> {
        match self {
            Self::Elsewhere => None,
            Self::Stopped => Some(Standing::Interrupted),
            Self::Before | Self::Scored(_) | Self::Failed(_) => Some(Standing::Ended),
        }
    }
}

/// What all runs share.
pub(super) struct Job<'a> {
    pub(super) store: &'a StoreReader,
    pub(super) stop: &'a AtomicBool,
    pub(super) device: &'a str,
    pub(super) place: &'a Place,
    experiment: &'a ExperimentConfig,
    runs: PathBuf,
    target: ProbeTarget,
    probe: ProbeConfig,
    /// The probe's task, which a selection may name.
    pub(super) tasks: Vec<Task>,
}

impl<'a> Job<'a> {
    /// Resolves what the experiment says of the probe, and every run's configuration.
    pub(super) fn new(
        (place, device): (&'a Place, &'a str),
        experiment: &'a ExperimentConfig,
        store: &'a StoreReader,
        stop: &'a AtomicBool,
    ) -> anyhow::Result<Self> {
        let target = match (&experiment.probe.task, experiment.probe.labels) {
            (Some(task), _) => ProbeTarget::Task(crate::tasks::find(task)?),
            (None, Some(43)) => ProbeTarget::Labels(Nomenclature::Clc43),
            (None, _) => ProbeTarget::Labels(Nomenclature::Nineteen),
        };
        let mut probe: ProbeConfig =
            resolve(None, &experiment.probe.set).context("probe.set of the experiment")?;
        probe.split = experiment.probe.split;
        probe.validate()?;
        for run in experiment.runs() {
            let config = experiment.run_config(&run);
            config.with_context(|| format!("run {}", run.name()))?;
        }
        let tasks = match &target {
            ProbeTarget::Task(task) => vec![task.clone()],
            ProbeTarget::Labels(_) => Vec::new(),
        };
        Ok(Self {
            store,
            stop,
            device,
            place,
            experiment,
            runs: place.folder().join("runs"),
            target,
            probe,
            tasks,
        })
    }

    /// Steps of training.
    pub(super) fn steps(&self, run: &PlannedRun<'_>) -> anyhow::Result<u64> {
        if run.arm.random_encoder {
            return Ok(0);
        }
        Ok(self.experiment.run_config(run)?.max_steps)
    }

    /// Begins a run or goes on with it, and scores it; `before` steps of the meter belong to runs before
    /// it. What other machines know of it is taken first, and what came out is given to them.
    pub(super) fn run(
        &self,
        run: &PlannedRun<'_>,
        before: u64,
        meter: &Meter,
    ) -> anyhow::Result<Done> {
        self.place.fetch_run(run)?;
        if self.has_failed(run) {
            // It is tried again from where it was last well.
            self.place.fetch_checkpoints(run)?;
        }
        let done = self.run_here(run, before, meter)?;
        if let Some(standing) = done.standing() {
            self.place.give_run(run, standing)?;
        }
        Ok(done)
    }

    fn run_here(&self, run: &PlannedRun<'_>, before: u64, meter: &Meter) -> anyhow::Result<Done> {
        let path = self.runs.join(run.name());
        let config = self.experiment.run_config(run)?;
        if self.is_scored(&path, self.steps(run)?) {
            return Ok(Done::Before);
        }
        let scored = if run.arm.random_encoder {
            let probe = self.prober(&path, run);
            probe.score_untrained(&config, &self.target, &self.probe)
        } else {
            let shown = Shown { meter, before };
            self.train(run, &path, &config, &shown)
                .and_then(|status| match status.state {
                    RunState::Finished => {
                        let probe = self.prober(&path, run);
                        probe.score(&self.target, &self.probe)
                    }
                    _ => Err(TrainError::Stopped),
                })
        };
        match scored {
            Ok(report) => Ok(Done::Scored(score(&report))),
            Err(TrainError::Stopped) => Ok(Done::Stopped),
            Err(TrainError::Busy { .. }) => Ok(Done::Elsewhere),
            // One arm that diverges is a result; the others still have theirs.
            Err(error @ TrainError::NonFinite { .. }) => Ok(Done::Failed(error.to_string())),
            Err(error) => Err(error).with_context(|| format!("run {}", path.display())),
        }
    }

    fn train(
        &self,
        run: &PlannedRun<'_>,
        path: &Path,
        config: &PretrainConfig,
        shown: &Shown<'_>,
    ) -> Result<RunStatus, TrainError> {
        let every_steps = self.experiment.probe_every(run.family);
        let during = (every_steps > 0).then(|| ProbeDuring {
            target: self.target.clone(),
            config: self.probe.clone(),
            every_steps,
            classifiers: self.experiment.probe.classifiers.clone(),
        });
        let job = Pretrain {
            store: self.store,
            run: path,
            device: self.device,
            tasks: &self.tasks,
            weights: None,
            probe: during.as_ref(),
            progress: shown,
            stop: self.stop,
        };
        if path.join("config.toml").is_file() {
            job.resume(Some(config))
        } else {
            job.start(config)
        }
    }

    /// Controls are scored once a seed: with the arm that trains nothing, or else with every arm.
    fn prober<'b>(&'b self, path: &'b Path, run: &PlannedRun<'_>) -> Probe<'b> {
        let has_random = self.experiment.arms.iter().any(|arm| arm.random_encoder);
        Probe {
            store: self.store,
            run: path,
            device: self.device,
            controls: run.arm.random_encoder || !has_random,
            stop: self.stop,
        }
    }

    /// What a finished run's encoder makes of the probe's test rows.
    pub(super) fn tested(&self, run: &PlannedRun<'_>) -> Result<Tested, TrainError> {
        let path = self.runs.join(run.name());
        let probe = self.prober(&path, run);
        probe.tested(&self.target, &self.probe)
    }

    /// The probe's classes.
    pub(super) fn classes(&self) -> Vec<String> {
        self.target.classes()
    }

    /// Whether nothing is left to do for a run: it was scored, or it diverged, which is a result.
    pub(super) fn is_decided(&self, run: &PlannedRun<'_>) -> anyhow::Result<bool> {
        let path = self.runs.join(run.name());
        Ok(self.has_failed(run) || self.is_scored(&path, self.steps(run)?))
    }

    /// Whether a run ended without a score.
    pub(super) fn has_failed(&self, run: &PlannedRun<'_>) -> bool {
        let path = self.runs.join(run.name());
        status(&path).is_some_and(|s| s.state == RunState::Failed)
    }

    /// Whether the run's last step has been scored, with the probe that the experiment asks for.
    fn is_scored(&self, path: &Path, steps: u64) -> bool {
        let file = path.join(format!("probe/{}.json", self.target.name()));
        let report = std::fs::read(file)
            .ok()
            .and_then(|text| serde_json::from_slice::<ProbeReport>(&text).ok());
        let is_finished =
            status(path).is_some_and(|s| s.state == RunState::Finished && s.step == steps);
        is_finished && report.is_some_and(|r| r.step == steps && r.config == self.probe)
    }
}

fn status(path: &Path) -> Option<RunStatus> {
    let text = std::fs::read(path.join("status.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The encoder's headline score.
fn score(report: &ProbeReport) -> String {
    let entry = report.entries.iter().find(|e| e.name == "encoder");
    entry.map_or_else(String::new, |entry| {
        let scores = &entry.scores;
        format!("{} {:.3}", scores.headline_name(), scores.headline())
    })
}

/// Steps of all runs on one meter.
struct Shown<'a> {
    meter: &'a Meter,
    before: u64,
}

impl TrainProgress for Shown<'_> {
    fn step(&self, step: u64, _max_steps: u64) {
        self.meter.position(self.before + step);
    }

    fn metrics(&self, row: &MetricsRow) {
        self.meter.message(sentence(row));
    }

    fn notice(&self, text: &str) {
        self.meter.line(text);
    }
}
