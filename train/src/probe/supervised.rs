//! The control that sees the labels: the run's encoder from its initial weights, trained as a
//! classifier on the probe's train rows.
//!
//! What remains of it is its encoder, which is probed as the others are: what the same network gives
//! when features are learnt for the task itself. Nothing is chosen by its scores: the encoder after the
//! last of the stated epochs is taken.

use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Device, Tensor, TensorData};
use chipmill_pipeline::{Batch, Order};
use chipmill_schemas::augment::{Augment, Chance, Rot90};
use chipmill_schemas::config::{PretrainConfig, ViewConfig};
use chipmill_schemas::probe::{SupervisedConfig, SupervisedView};

use super::fair::Division;
use crate::error::{TrainError, readback};
use crate::features::Extraction;
use crate::model::{Classifier, Encoder};
use crate::optim::{Gradients, Optimizer};
use crate::pretrain::initial_model;
use crate::trainer::upload_view;

/// The encoder after training, in inference form, its batch norms set to un-augmented views of the
/// train rows, as those of the random encoder are.
///
/// Single-label targets have the cross entropy of the softmax, others the mean binary cross entropy.
///
/// # Errors
/// [`TrainError`]: a patch that cannot be read, a loss that is not finite, or the stop flag.
pub(super) fn supervised_encoder(
    extraction: &Extraction<'_>,
    division: &Division,
    asked: &SupervisedConfig,
) -> Result<Encoder, TrainError> {
    let rows = division.train_rows();
    let batch_size = rows.len().min(asked.batch_size as usize);
    let steps = rows.len() / batch_size * asked.epochs as usize;
    let view = seen_view(extraction.config, asked.view);
    let loader = extraction.loader(&rows, view, batch_size, Order::Shuffled)?;
    let mut training = Training::new(extraction, division, steps);
    for (step, batch) in (1..).zip(loader.take(steps)) {
        training.step(step, &extraction.unless_stopped(batch)?)?;
    }
    extraction.calibrated(&training.classifier.encoder, &rows)
}

/// In words.
pub(super) fn describe(division: &Division, asked: &SupervisedConfig) -> String {
    let loss = if division.is_single_label() {
        "cross entropy"
    } else {
        "binary cross entropy"
    };
    format!(
        "the same encoder trained with labels on the train rows: {loss}, {} epochs in batches of {}, \
         {}; the run's optimiser, its rate falling to 0; batch norm set to the train rows",
        asked.epochs,
        asked.batch_size,
        asked.view.describe()
    )
}

struct Training<'a> {
    device: Device,
    division: &'a Division,
    classifier: Classifier,
    optimizer: Optimizer,
    learning_rate: f64,
    steps: usize,
}

impl<'a> Training<'a> {
    fn new(extraction: &Extraction<'_>, division: &'a Division, steps: usize) -> Self {
        let config = extraction.config;
        let device = extraction.device.clone().autodiff();
        let encoder = initial_model(config, &device).encoder;
        Self {
            classifier: Classifier::new(encoder, division.classes(), config.seed, &device),
            optimizer: Optimizer::new(config.optimizer),
            learning_rate: config.optimizer.learning_rate,
            device,
            division,
            steps,
        }
    }

    fn step(&mut self, step: usize, batch: &Batch) -> Result<(), TrainError> {
        let logits = self.classifier.forward(upload_view(batch, 0, &self.device));
        let loss = self.loss(logits, batch);
        let gradients = Gradients::of(&loss, &self.classifier);
        let rate = half_cosine(self.learning_rate, step, self.steps);
        let classifier = self.classifier.clone();
        self.classifier = self.optimizer.step(classifier, gradients, rate);
        self.check(step, loss)
    }

    fn loss(&self, logits: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let values = self.division.indicators(batch.patches());
        let data = TensorData::new(values, logits.dims());
        let truth = Tensor::from_data(data, &self.device);
        if self.division.is_single_label() {
            cross_entropy(logits, truth)
        } else {
            binary_cross_entropy(logits, truth)
        }
    }

    /// Losses are small work on a CPU and a wait on a GPU: looked at now and then, and at the end.
    fn check(&self, step: usize, loss: Tensor<1>) -> Result<(), TrainError> {
        const EVERY: usize = 64;
        if !step.is_multiple_of(EVERY) && step != self.steps {
            return Ok(());
        }
        let loss: f32 = loss
            .try_into_scalar()
            .map_err(readback("the loss of the supervised control"))?;
        tracing::info!(step, of = self.steps, loss, "supervised control");
        if loss.is_finite() {
            Ok(())
        } else {
            Err(TrainError::SupervisedDiverged { step, loss })
        }
    }
}

/// The view that the control is trained on.
fn seen_view(config: &PretrainConfig, view: SupervisedView) -> ViewConfig {
    let half = Chance { p: 0.5 };
    match view {
        SupervisedView::Plain => config.view.evaluation(),
        SupervisedView::Flips => ViewConfig {
            augment: Some(vec![
                Augment::FlipLeftRight(half),
                Augment::FlipUpDown(half),
                Augment::Rot90(Rot90 {}),
            ]),
            ..config.view.evaluation()
        },
        SupervisedView::Run => config.view.of_view(0),
    }
}

/// The rate of step `step`, from 1: `rate (1 + cos(pi (step - 1) / steps)) / 2`.
fn half_cosine(rate: f64, step: usize, steps: usize) -> f64 {
    let done = (step - 1) as f64 / steps as f64;
    rate * f64::midpoint(1.0, libm::cos(std::f64::consts::PI * done))
}

/// Mean over rows of `-log softmax(z)[class]`.
///
/// # Shapes
/// Both `[row, class]`; `truth` has one 1 a row.
fn cross_entropy(logits: Tensor<2>, truth: Tensor<2>) -> Tensor<1> {
    (log_softmax(logits, 1) * truth).sum_dim(1).mean().neg()
}

/// Mean over rows and classes of `-y log s(z) - (1 - y) log s(-z)`, `s` the sigmoid.
///
/// # Shapes
/// Both `[row, class]`; `truth` is 0 or 1.
fn binary_cross_entropy(logits: Tensor<2>, truth: Tensor<2>) -> Tensor<1> {
    let absent = truth.ones_like() - truth.clone();
    let present = log_sigmoid(logits.clone()) * truth;
    (present + log_sigmoid(logits.neg()) * absent).mean().neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: [[f32; 3]; 2]) -> Tensor<2> {
        Tensor::from_floats(values, &crate::parse_device("cpu").unwrap())
    }

    #[test]
    fn losses_are_those_of_the_definitions_even_for_extreme_logits() {
        let logits = [[1.0_f32, -2.0, 0.5], [90.0, -90.0, 3.0]];
        let one = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]];
        let found: f32 = cross_entropy(tensor(logits), tensor(one)).into_scalar();
        let sum = 1.0_f64.exp() + (-2.0_f64).exp() + 0.5_f64.exp();
        let expected = f64::midpoint(sum.ln() - 0.5, 180.0);
        assert!((f64::from(found) - expected).abs() < 1e-4, "{found}");
        let many = [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]];
        let found: f32 = binary_cross_entropy(tensor(logits), tensor(many)).into_scalar();
        let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
        let signs = [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0];
        let terms = logits.iter().flatten().zip(signs);
        let expected = terms.map(|(&z, s)| softplus(s * f64::from(z))).sum::<f64>() / 6.0;
        assert!((f64::from(found) - expected).abs() < 1e-4, "{found}");
    }

    #[test]
    fn the_rate_falls_from_the_runs_to_nearly_zero() {
        let rates: Vec<f64> = (1..=100).map(|s| half_cosine(2.0, s, 100)).collect();
        assert_eq!(rates[0], 2.0);
        assert!((rates[50] - 1.0).abs() < 1e-12 && rates[99] < 1e-3);
        assert!(rates.windows(2).all(|w| w[1] < w[0]));
    }

    #[test]
    fn views_are_those_asked_for() {
        let config = PretrainConfig::default();
        let of = |view| seen_view(&config, view).operations();
        assert!(of(SupervisedView::Plain).is_empty());
        assert_eq!(of(SupervisedView::Flips).len(), 3);
        assert_eq!(of(SupervisedView::Run), config.view.operations());
    }
}
