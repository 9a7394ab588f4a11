//! Gradients of `SimCLR` and DCL beside each other, on real batches, without training.
//!
//! The gradient of an anchor's NT-Xent term is `q` times that of its DCL term (Yeh et al. 2022,
//! <https://arxiv.org/abs/2110.06848>), so the two losses differ by the spread of `q` alone. Where the
//! temperature makes every `q` nearly 1 they are the same loss, up to a factor that Adam takes out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Tensor;
use chipmill_pipeline::LoaderState;
use chipmill_schemas::comparison::GradientRow;
use chipmill_schemas::config::PretrainConfig;
use chipmill_store::StoreReader;

use crate::device::parse_device;
use crate::error::{TrainError, readback};
use crate::loss::{Similarities, dcl, nt_xent};
use crate::monitors::{percentile, sorted};
use crate::pretrain::{initial_model, pair_loader};
use crate::trainer::upload_view;

/// Bins of the histogram of q over 0..=1.
const BINS: usize = 20;

/// A study at work.
#[derive(Debug, Clone, Copy)]
pub struct GradientStudy<'a> {
    /// Where the patches come from.
    pub store: &'a StoreReader,
    /// Rows of the store.
    pub rows: &'a Arc<[u32]>,
    /// View, loader, encoder, head and seed; its loss is not used.
    pub config: &'a PretrainConfig,
    /// `cpu`, `cuda` or `cuda:N`.
    pub device: &'a str,
    /// When set, the study ends with [`TrainError::Stopped`].
    pub stop: &'a AtomicBool,
}

/// What is summed over batches, for one temperature.
#[derive(Debug, Clone, Default)]
struct Sums {
    cosine: f64,
    norm_ratio: f64,
    positive_cosine: f64,
    q: Vec<f64>,
}

impl GradientStudy<'_> {
    /// One row a temperature, over so many batches of the initial encoder; batch norm in training mode,
    /// each view for itself.
    ///
    /// # Errors
    /// [`TrainError`] when a patch cannot be read, the device fails, or the stop flag is set.
    pub fn rows(
        &self,
        family: &str,
        temperatures: &[f32],
        batches: u32,
    ) -> Result<Vec<GradientRow>, TrainError> {
        let device = parse_device(self.device)?.autodiff();
        let model = initial_model(self.config, &device);
        let mut sums = vec![Sums::default(); temperatures.len()];
        let start = LoaderState::default();
        let loader = pair_loader(self.store, self.config, self.rows, start)?;
        for batch in loader.take(batches as usize) {
            if self.stop.load(Ordering::Relaxed) {
                return Err(TrainError::Stopped);
            }
            let batch = batch?;
            let views = [0, 1].map(|view| upload_view(&batch, view, &device));
            drop(batch);
            let projections = views.map(|view| model.forward(view).projections);
            let projections = projections.map(Tensor::without_autodiff);
            for (sums, &temperature) in sums.iter_mut().zip(temperatures) {
                sums.add(&projections, f64::from(temperature))?;
            }
        }
        let rows = sums.into_iter().zip(temperatures);
        let row = |(sums, &t): (Sums, &f32)| self.row(family, as_written(t), batches, sums);
        Ok(rows.map(row).collect())
    }

    fn row(&self, family: &str, temperature: f64, batches: u32, mut sums: Sums) -> GradientRow {
        let count = f64::from(batches.max(1));
        sums.q.sort_unstable_by(f64::total_cmp);
        GradientRow {
            family: family.to_owned(),
            batch_size: self.config.loader.batch_size,
            temperature,
            cosine: sums.cosine / count,
            norm_ratio: sums.norm_ratio / count,
            positive_cosine: sums.positive_cosine / count,
            q_mean: sums.q.iter().sum::<f64>() / sums.q.len().max(1) as f64,
            q_p5: percentile(&sums.q, 0.05),
            q_p95: percentile(&sums.q, 0.95),
            q_histogram: histogram(&sums.q),
        }
    }
}

impl Sums {
    fn add(&mut self, projections: &[Tensor<2>; 2], temperature: f64) -> Result<(), TrainError> {
        let simclr = gradient(projections, |z1, z2| nt_xent(z1, z2, temperature))?;
        let decoupled = gradient(projections, |z1, z2| dcl(z1, z2, temperature))?;
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let norm = |a: &[f64]| dot(a, a).sqrt();
        let (first, second) = (norm(&simclr), norm(&decoupled));
        self.cosine += dot(&simclr, &decoupled) / (first * second);
        self.norm_ratio += first / second;
        let [z1, z2] = projections.clone();
        let similarities = Similarities::of(z1, z2, temperature)?;
        let cosines = sorted(similarities.cosines.clone())?;
        self.positive_cosine += cosines.iter().sum::<f64>() / cosines.len().max(1) as f64;
        self.q.extend(sorted(similarities.negatives_share())?);
        Ok(())
    }
}

/// Gradient of a loss with respect to all projections, of both views.
fn gradient(
    projections: &[Tensor<2>; 2],
    loss: impl Fn(Tensor<2>, Tensor<2>) -> Result<Tensor<1>, crate::loss::LossError>,
) -> Result<Vec<f64>, TrainError> {
    let leaf = |z: &Tensor<2>| z.clone().autodiff().require_grad();
    let leaves = projections.each_ref().map(leaf);
    let [z1, z2] = leaves.clone();
    let tape = loss(z1, z2)?.backward();
    let mut values = Vec::new();
    for leaf in leaves {
        let gradient = leaf
            .grad(&tape)
            .unwrap_or_else(|| leaf.without_autodiff().zeros_like());
        let host: Vec<f32> = gradient.try_into_vec_as().map_err(readback("gradients"))?;
        values.extend(host.into_iter().map(f64::from));
    }
    Ok(values)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bin's number"
)]
fn histogram(q: &[f64]) -> Vec<u64> {
    let mut bins = vec![0; BINS];
    for q in q {
        let bin = (q * BINS as f64) as usize;
        bins[bin.min(BINS - 1)] += 1;
    }
    bins
}
/// The number that a person wrote, 0.1 and not 0.10000000149011612.
fn as_written(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}
