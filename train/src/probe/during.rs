//! Probes of an encoder while it is being trained.
//!
//! A probe reads weights and running statistics and changes nothing: the losses of a run with probes
//! are those of the run without, to the bit.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::experiment::ProbeClassifier;
use chipmill_schemas::probe::{ProbeConfig, Scores};
use chipmill_schemas::run::MetricsRow;
use chipmill_store::StoreReader;

use super::fair::Division;
use super::targets::ProbeTarget;
use crate::error::TrainError;
use crate::features::Extraction;
use crate::model::Encoder;

/// What is probed while a run is at work, and how often.
#[derive(Debug, Clone)]
pub struct ProbeDuring {
    /// What the probe predicts, on the store that the run is trained on.
    pub target: ProbeTarget,
    /// How.
    pub config: ProbeConfig,
    /// A probe before the first step, after every so many steps, and after the last; at least 1.
    pub every_steps: u64,
    /// Classifiers besides the one of [`Probe`](super::Probe)'s entry `encoder`; for targets of one class a
    /// row.
    pub classifiers: Vec<ProbeClassifier>,
}

/// A [`ProbeDuring`] with its rows divided.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    asked: &'a ProbeDuring,
    division: Division,
    store: &'a StoreReader,
    device: Device,
    /// What the run begins with, where that is not the encoder of its seed.
    initial: Option<Encoder>,
}

/// Set for nobody: a probe that was begun is ended, so that every curve has all its points.
static NEVER: AtomicBool = AtomicBool::new(false);

impl<'a> Watch<'a> {
    /// Divides the rows; `device` is without autodiff.
    ///
    /// # Errors
    /// [`TrainError`] when the store lacks the labels, the split, or train rows of a class.
    pub(crate) fn new(
        asked: &'a ProbeDuring,
        store: &'a StoreReader,
        device: Device,
        initial: Option<Encoder>,
    ) -> Result<Self, TrainError> {
        asked.config.validate()?;
        let rows = store.table().to_rows();
        Ok(Self {
            division: Division::of(&rows, &asked.target, &asked.config)?,
            asked,
            store,
            device,
            initial,
        })
    }

    /// Whether a step is probed.
    pub(crate) fn is_due(&self, step: u64, max_steps: u64) -> bool {
        step == max_steps || step.is_multiple_of(self.asked.every_steps.max(1))
    }

    /// Scores an encoder, in inference form, into a row.
    pub(crate) fn score(
        &self,
        config: &PretrainConfig,
        encoder: &Encoder,
        row: &mut MetricsRow,
    ) -> Result<(), TrainError> {
        let rows = self.division.used_rows();
        let features = self.extraction(config).features(encoder, &rows)?;
        let table = self.division.table(features.dim, features.values);
        let asked = &self.asked.config;
        note_linear(self.division.linear(&table, asked)?.judged.plain(), row);
        if !self.division.is_single_label() {
            return Ok(());
        }
        for classifier in &self.asked.classifiers {
            match classifier {
                ProbeClassifier::Multinomial => {}
                ProbeClassifier::OneVsRest => {
                    let found = self.division.one_vs_rest(&table, asked)?;
                    row.probe_one_vs_rest = Some(found.judged.plain().headline());
                }
                ProbeClassifier::Knn => {
                    let found = self.division.neighbours(&table, asked)?;
                    row.probe_knn = Some(found.judged.plain().headline());
                }
            }
        }
        Ok(())
    }

    /// Scores the encoder that the run begins with into a row of step 0. The batch norms of one from a
    /// seed are set to the train rows; those of weights from elsewhere are as they came.
    pub(crate) fn score_initial(
        &self,
        config: &PretrainConfig,
        row: &mut MetricsRow,
    ) -> Result<(), TrainError> {
        if let Some(encoder) = &self.initial {
            return self.score(config, encoder, row);
        }
        let rows = self.division.train_rows();
        let encoder = self.extraction(config).random_encoder(&rows)?;
        self.score(config, &encoder, row)
    }

    fn extraction<'b>(&'b self, config: &'b PretrainConfig) -> Extraction<'b> {
        Extraction {
            store: self.store,
            config,
            batch_size: self.asked.config.batch_size as usize,
            device: &self.device,
            stop: &NEVER,
        }
    }
}

fn note_linear(scores: Scores, row: &mut MetricsRow) {
    match scores {
        Scores::SingleLabel(scores) => {
            row.probe_accuracy = Some(scores.accuracy);
            row.probe_balanced_accuracy = Some(scores.balanced_accuracy);
            row.probe_macro_f1 = Some(scores.macro_f1);
        }
        Scores::MultiLabel(scores) => {
            row.probe_macro_ap = Some(scores.macro_ap);
            row.probe_micro_ap = Some(scores.micro_ap);
            row.probe_macro_f1 = Some(scores.macro_f1);
        }
    }
}
