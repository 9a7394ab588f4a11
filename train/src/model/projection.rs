//! The projection head of the notes.

use burn::module::Module;
use burn::nn::{BatchNorm, Linear};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use chipmill_schemas::config::{HeadInput, ProjectionConfig};

use super::builder::Builder;

/// Dense, batch norm, `ReLU`, dense without bias. Discarded after pretraining.
#[derive(Module, Debug)]
pub struct Projection {
    pub(super) fc1: Linear,
    bn1: BatchNorm,
    fc2: Linear,
    flattens: bool,
}

impl Projection {
    /// For maps of so many features and so many pixels a side.
    pub(super) fn new(
        build: &Builder,
        config: &ProjectionConfig,
        features: usize,
        side: usize,
    ) -> Self {
        let (hidden, output) = (config.hidden as usize, config.output as usize);
        let flattens = config.input == HeadInput::Flatten;
        let features = if flattens {
            features * side * side
        } else {
            features
        };
        Self {
            fc1: build.dense("fc1", [features, hidden]),
            bn1: build.batch_norm(hidden),
            fc2: build.dense_without_bias("fc2", [hidden, output]),
            flattens,
        }
    }

    /// Projections, not normalised.
    ///
    /// # Shapes
    /// `map`: the encoder's last layer, `[sample, feature, y, x]`, and `features`, its spatial mean,
    /// `[sample, feature]`, to `[sample, dimension]`, f32. Only one of the two is used: the head's
    /// `input` says which.
    pub fn forward(&self, map: Tensor<4>, features: Tensor<2>) -> Tensor<2> {
        let features = if self.flattens {
            map.flatten(1, 3)
        } else {
            features
        };
        let hidden = relu(self.bn1.forward(self.fc1.forward(features)));
        self.fc2.forward(hidden)
    }
}
