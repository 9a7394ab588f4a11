//! A probe of a run: the trained encoder beside its controls, on the same rows, with the same solver.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::probe::{ProbeConfig, ProbeEntry, ProbeReport};
use chipmill_store::StoreReader;

use super::bootstrap::Resampled;
use super::controls::{BAND_STATISTICS, band_statistics};
use super::fair::{Division, Table};
use super::methods::Found;
use super::supervised::{describe, supervised_encoder};
use super::targets::ProbeTarget;
use crate::device::parse_device;
use crate::error::TrainError;
use crate::features::{Extraction, trained_encoder};
use crate::model::Encoder;
use crate::run_dir::RunDir;

/// What a probe works with.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// Labelled patches; not necessarily the store the run was trained on. Views are normalised with
    /// this store's statistics.
    pub store: &'a StoreReader,
    /// The run folder; its newest checkpoint is probed.
    pub run: &'a Path,
    /// `cpu`, `cuda` or `cuda:N`.
    pub device: &'a str,
    /// Whether the controls are scored as well; they depend on store, configuration and seed alone.
    pub controls: bool,
    /// When set, the probe ends with [`TrainError::Stopped`] and writes nothing.
    pub stop: &'a AtomicBool,
}

/// A probe at work.
struct AtWork<'a> {
    extraction: Extraction<'a>,
    division: &'a Division,
    config: &'a ProbeConfig,
    controls: bool,
}

impl Probe<'_> {
    /// Scores the run's encoder and the controls, and writes `probe/<target>.json`.
    ///
    /// Entries: `encoder`; `encoder_one_vs_rest` for targets of one class a row; `encoder_knn`; the
    /// controls `random_encoder`, `supervised` (where asked for), `band_statistics`, `majority`. All see
    /// the same rows; all regressions standardise on the train rows, and have the same strength or choose
    /// their own from the same grid, as the configuration says.
    ///
    /// # Errors
    /// [`TrainError`]: no checkpoint; [`ProbeError`](super::ProbeError) when the store lacks the
    /// labels, the split, or train rows of a class; features that are not finite.
    pub fn score(
        &self,
        target: &ProbeTarget,
        config: &ProbeConfig,
    ) -> Result<ProbeReport, TrainError> {
        config.validate()?;
        let run = RunDir::open(self.run)?;
        let pretrain = run.config()?;
        let device = parse_device(self.device)?;
        let division = Division::of(&self.store.table().to_rows(), target, config)?;
        let (encoder, step) = trained_encoder(&run, &pretrain, &device)?;
        let at_work = AtWork {
            extraction: self.extraction(&pretrain, config, &device),
            division: &division,
            config,
            controls: self.controls,
        };
        at_work.report(&run, target, &encoder, step)
    }

    /// The same for the encoder that training would begin with.
    pub(super) fn report_untrained(
        &self,
        run: &RunDir,
        pretrain: &PretrainConfig,
        target: &ProbeTarget,
        config: &ProbeConfig,
    ) -> Result<ProbeReport, TrainError> {
        config.validate()?;
        let device = parse_device(self.device)?;
        let division = Division::of(&self.store.table().to_rows(), target, config)?;
        let at_work = AtWork {
            extraction: self.extraction(pretrain, config, &device),
            division: &division,
            config,
            controls: self.controls,
        };
        let encoder = at_work.extraction.random_encoder(&division.train_rows())?;
        at_work.report(run, target, &encoder, 0)
    }

    pub(super) fn extraction<'a>(
        &'a self,
        pretrain: &'a PretrainConfig,
        config: &ProbeConfig,
        device: &'a Device,
    ) -> Extraction<'a> {
        Extraction {
            store: self.store,
            config: pretrain,
            batch_size: config.batch_size as usize,
            device,
            stop: self.stop,
        }
    }
}

impl AtWork<'_> {
    /// Scores, and writes the result into the run folder.
    fn report(
        &self,
        run: &RunDir,
        target: &ProbeTarget,
        encoder: &Encoder,
        step: u64,
    ) -> Result<ProbeReport, TrainError> {
        let report = ProbeReport {
            target: target.name(),
            classes: target.classes(),
            step,
            config: self.config.clone(),
            rows: self.division.counts(),
            entries: self.entries(encoder, step)?,
        };
        run.write_json(&format!("probe/{}.json", report.target), &report)?;
        Ok(report)
    }

    fn entries(&self, encoder: &Encoder, step: u64) -> Result<Vec<ProbeEntry>, TrainError> {
        let (division, config) = (self.division, self.config);
        let trained = self.table(encoder)?;
        let mut entries = Entries::new(config.resamples);
        let text = format!("features of the encoder after {step} steps, logistic regression");
        entries.push("encoder", text, &division.linear(&trained, config)?);
        if division.is_single_label() {
            let text = "the same features, one logistic regression a class, the most probable wins";
            let found = division.one_vs_rest(&trained, config)?;
            entries.push("encoder_one_vs_rest", text, &found);
        }
        let found = division.neighbours(&trained, config)?;
        let chosen = found.chosen.and_then(|chosen| chosen.neighbours);
        let k = chosen.unwrap_or(config.neighbours);
        let text = format!("the same features, {k} nearest neighbours by cosine");
        entries.push("encoder_knn", text, &found);
        if self.controls {
            self.add_controls(&mut entries)?;
        }
        Ok(entries.done)
    }

    fn add_controls(&self, entries: &mut Entries) -> Result<(), TrainError> {
        let (division, config) = (self.division, self.config);
        let linear = |table: &Table<'_>| division.linear(table, config);
        let random = self.extraction.random_encoder(&division.train_rows())?;
        let text =
            "the same encoder with the run's initial weights, batch norm set to the train rows";
        entries.push("random_encoder", text, &linear(&self.table(&random)?)?);
        if let Some(asked) = &self.config.supervised {
            let encoder = supervised_encoder(&self.extraction, division, asked)?;
            let text = describe(division, asked);
            entries.push("supervised", text, &linear(&self.table(&encoder)?)?);
        }
        let text = "mean, standard deviation and percentiles 5, 50, 95 of each band's raw pixels, \
                    logistic regression";
        entries.push("band_statistics", text, &linear(&self.bands()?)?);
        let text = "every test row gets the classes' shares of the train rows";
        entries.push("majority", text, &division.majority().into());
        Ok(())
    }

    fn table(&self, encoder: &Encoder) -> Result<Table<'_>, TrainError> {
        let rows = self.division.used_rows();
        let features = self.extraction.features(encoder, &rows)?;
        Ok(self.division.table(features.dim, features.values))
    }

    fn bands(&self) -> Result<Table<'_>, TrainError> {
        let rows = self.division.used_rows();
        let figures = band_statistics(self.extraction.store, &rows, self.extraction.stop)?;
        let figures = figures.ok_or(TrainError::Stopped)?;
        Ok(self.division.table(BAND_STATISTICS, figures))
    }
}

/// The lines of the table so far.
struct Entries {
    resamples: u32,
    /// The first one, which the others are behind.
    lead: Option<Resampled>,
    done: Vec<ProbeEntry>,
}

impl Entries {
    const fn new(resamples: u32) -> Self {
        Self {
            resamples,
            lead: None,
            done: Vec::new(),
        }
    }

    fn push(&mut self, name: &str, description: impl Into<String>, found: &Found) {
        let resampled = Resampled::of(&found.judged, self.resamples);
        self.done.push(ProbeEntry {
            name: name.to_owned(),
            description: description.into(),
            scores: resampled.plain().clone(),
            intervals: resampled.intervals(self.lead.as_ref()),
            chosen: found.chosen,
        });
        self.lead.get_or_insert(resampled);
    }
}
