//! The projection head of the notes.

use burn::module::Module;
use burn::nn::{BatchNorm, Linear};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use chipmill_schemas::config::ProjectionConfig;

use super::builder::Builder;

/// Dense, batch norm, `ReLU`, dense without bias. Discarded after pretraining.
#[derive(Module, Debug)]
pub struct Projection {
    pub(super) fc1: Linear,
    bn1: BatchNorm,
    fc2: Linear,
}

impl Projection {
    pub(super) fn new(build: &Builder, config: &ProjectionConfig, features: usize) -> Self {
        let (hidden, output) = (config.hidden as usize, config.output as usize);
        Self {
            fc1: build.dense("fc1", [features, hidden]),
            bn1: build.batch_norm(hidden),
            fc2: build.dense_without_bias("fc2", [hidden, output]),
        }
    }

    /// Projections, not normalised.
    ///
    /// # Shapes
    /// `[sample, feature]` to `[sample, dimension]`, f32.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let hidden = relu(self.bn1.forward(self.fc1.forward(features)));
        self.fc2.forward(hidden)
    }
}
