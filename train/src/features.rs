//! Features of patches: the frozen encoder in inference mode on the un-augmented view.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use chipmill_pipeline::{Batch, KeepLast, Loader, LoaderError, LoaderSpec, Order};
use chipmill_schemas::config::{OnCorrupt, PretrainConfig, ViewConfig};
use chipmill_store::StoreReader;

use crate::checkpoint::Checkpoints;
use crate::error::{TrainError, readback};
use crate::model::Encoder;
use crate::pretrain::{initial_model, trained_model};
use crate::run_dir::RunDir;
use crate::trainer::upload_view;

/// Batches that the running statistics of a random encoder are taken from: with momentum 0.1 the
/// initial values then weigh `0.9^44 = 0.01`.
const CALIBRATION_BATCHES: usize = 44;
/// Patches in each of them, at most.
const CALIBRATION_BATCH: usize = 32;

/// Features of a list of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Length of a feature vector.
    pub dim: usize,
    /// `[row, dim]`, row-major, in the order of the rows asked for.
    pub values: Vec<f32>,
}

impl Features {
    /// The features of row `i`, in the order of the rows asked for.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.dim..][..self.dim]
    }
}

/// What features are computed from and with.
#[derive(Debug, Clone, Copy)]
pub struct Extraction<'a> {
    /// Where the patches come from. Views are normalised with this store's statistics.
    pub store: &'a StoreReader,
    /// The run's configuration: its view without augmentation, its loader's workers and budget.
    pub config: &'a PretrainConfig,
    /// Patches in a forward pass.
    pub batch_size: usize,
    /// The device, without autodiff.
    pub device: &'a Device,
    /// When set, the work ends with [`TrainError::Stopped`].
    pub stop: &'a AtomicBool,
}

/// The encoder of a run's newest checkpoint in inference form, and its step.
///
/// # Errors
/// [`TrainError::NoCheckpoint`], or a checkpoint that is not whole.
pub fn trained_encoder(
    run: &RunDir,
    config: &PretrainConfig,
    device: &Device,
) -> Result<(Encoder, u64), TrainError> {
    let checkpoints = Checkpoints::new(run.checkpoints());
    let Some(checkpoint) = checkpoints.load_newest()? else {
        let run = run.root().to_owned();
        return Err(TrainError::NoCheckpoint { run });
    };
    let model = trained_model(config, device, &checkpoints, &checkpoint)?;
    Ok((model.valid().encoder, checkpoint.meta.step))
}

impl Extraction<'_> {
    /// Features of `rows`.
    ///
    /// # Shapes
    /// `[row, dim]`, f32, as the encoder gives them: not standardised.
    ///
    /// # Errors
    /// [`TrainError`] when a patch cannot be read, a feature is not finite (naming the patch), or the
    /// stop flag is set.
    pub fn features(&self, encoder: &Encoder, rows: &[u32]) -> Result<Features, TrainError> {
        let dim = encoder.features();
        let mut values = Vec::with_capacity(rows.len() * dim);
        self.each(encoder, rows, |_, features| {
            values.extend(features);
            Ok(())
        })?;
        Ok(Features { dim, values })
    }

    /// Features of `rows`, batch by batch in their order: to `take` go rows of the store and
    /// `[row, dim]` values.
    ///
    /// # Errors
    /// As [`Self::features`], and what `take` gives.
    pub(crate) fn each(
        &self,
        encoder: &Encoder,
        rows: &[u32],
        mut take: impl FnMut(&[u32], &[f32]) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let view = self.config.view.evaluation();
        for batch in self.loader(rows, view, self.batch_size, Order::Sequential)? {
            let batch = self.unless_stopped(batch)?;
            let features = encoder.forward(upload_view(&batch, 0, self.device));
            let features: Vec<f32> = features.try_into_vec_as().map_err(readback("features"))?;
            self.check_finite(&batch, &features, encoder.features())?;
            take(batch.patches(), &features)?;
        }
        Ok(())
    }

    /// The untrained encoder of the run: the initial weights of its seed.
    ///
    /// Its batch norms would hold mean 0 and variance 1, which no layer of it has; a control with
    /// those would be needlessly weak. So it is run in training mode over batches of `rows` (un-augmented
    /// views) until the running statistics are those of the data. No weight changes.
    ///
    /// # Errors
    /// [`TrainError`] when a patch cannot be read, or the stop flag is set.
    pub fn random_encoder(&self, rows: &[u32]) -> Result<Encoder, TrainError> {
        let training = self.device.clone().autodiff();
        let encoder = initial_model(self.config, &training).encoder;
        self.calibrated(&encoder, rows)
    }

    /// The inference form of an encoder in training, its running statistics set to un-augmented views
    /// of `rows`; no weight changes.
    pub(crate) fn calibrated(
        &self,
        encoder: &Encoder,
        rows: &[u32],
    ) -> Result<Encoder, TrainError> {
        let training = self.device.clone().autodiff();
        let batch_size = rows.len().min(CALIBRATION_BATCH);
        let view = self.config.view.evaluation();
        let loader = self.loader(rows, view, batch_size, Order::Shuffled)?;
        for batch in loader.take(CALIBRATION_BATCHES) {
            let batch = self.unless_stopped(batch)?;
            let _: Tensor<2> = encoder.forward(upload_view(&batch, 0, &training));
        }
        Ok(encoder.valid())
    }

    /// Batches of one view. Endless and in whole batches when shuffled, once and complete when
    /// sequential.
    pub(crate) fn loader(
        &self,
        rows: &[u32],
        view: ViewConfig,
        batch_size: usize,
        order: Order,
    ) -> Result<Loader, TrainError> {
        let (keep_last, epochs) = match order {
            Order::Sequential => (KeepLast::Keep, Some(1)),
            Order::Shuffled | Order::Pages(_) => (KeepLast::Drop, None),
        };
        let spec = LoaderSpec {
            views: 1,
            batch_size,
            seed: self.config.seed,
            order,
            keep_last,
            // Features belong to their rows: another patch's would be wrong ones.
            on_corrupt: OnCorrupt::Error,
            epochs,
            ..LoaderSpec::of(Arc::from(rows), view, &self.config.loader)
        };
        Ok(Loader::start(self.store.clone(), spec)?)
    }

    pub(crate) fn unless_stopped(
        &self,
        batch: Result<Batch, LoaderError>,
    ) -> Result<Batch, TrainError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(TrainError::Stopped);
        }
        Ok(batch?)
    }

    fn check_finite(&self, batch: &Batch, features: &[f32], dim: usize) -> Result<(), TrainError> {
        let mut rows = batch.patches().iter().zip(features.chunks_exact(dim));
        match rows.find(|(_, h)| h.iter().any(|x| !x.is_finite())) {
            None => Ok(()),
            Some((&row, _)) => {
                let patch = self.store.table().id(row as usize);
                let patch = patch.map_or_else(|| row.to_string(), str::to_owned);
                Err(TrainError::FeatureNotFinite { patch })
            }
        }
    }
}
