//! What a step leaves behind: a row of figures, and what is said of it.

use burn::module::Module;
use burn::tensor::Tensor;
use chipmill_schemas::run::{MetricsRow, RunState};

use super::clock::Clock;
use super::{STATUS_EVERY, Seen, Trainer, sentence};
use crate::error::{TrainError, readback};
use crate::monitors;

impl Trainer<'_> {
    /// A row at the first step, at every multiple of `log_every_steps`, at every probe, and at the last.
    pub(super) fn logs_now(&self) -> bool {
        let (step, config) = (self.state.step, self.setting.config);
        step == 1
            || step == config.max_steps
            || step.is_multiple_of(config.log_every_steps)
            || self.is_probed()
    }

    pub(super) fn log(&mut self, seen: Seen) -> Result<(), TrainError> {
        let loss = self.read_losses()?.unwrap_or(f32::NAN);
        let mut row = self.row(loss, seen)?;
        self.probe(&mut row)?;
        row.collapsed = self.collapse.judge(&row);
        self.record(&row)?;
        if let Some(text) = self.collapse.news() {
            self.log.say(&text)?;
            self.progress.notice(&text);
        }
        if self.status_written.elapsed() >= STATUS_EVERY {
            self.write_status(RunState::Running, None)?;
        }
        Ok(())
    }

    /// A row, to all who keep or show it.
    fn record(&mut self, row: &MetricsRow) -> Result<(), TrainError> {
        self.metrics.append(row)?;
        self.events.append(row)?;
        let said = format!("step {} {}", row.step, sentence(row));
        self.log.say(&said)?;
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
    pub(super) fn probe_initial(&mut self) -> Result<(), TrainError> {
        let Some(watch) = &self.setting.watch else {
            return Ok(());
        };
        let mut row = MetricsRow::unmeasured(0, self.setting.attempt);
        watch.score_initial(self.setting.config, &mut row)?;
        self.record(&row)?;
        self.clock = Clock::start();
        Ok(())
    }
}
