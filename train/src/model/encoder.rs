//! One of the encoder families.

use burn::module::Module;
use burn::tensor::Tensor;
use chipmill_schemas::config::{EncoderConfig, EncoderKind};

use super::builder::Builder;
use super::{Resnet, Small};

/// Views to features.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one value a program")]
pub enum Encoder {
    /// Four convolutions.
    Small(Small),
    /// A residual network.
    Resnet(Resnet),
}

impl Encoder {
    pub(super) fn new(build: &Builder, config: &EncoderConfig, bands: usize) -> Self {
        let width = config.width as usize;
        let resnet = |block| Self::Resnet(Resnet::new(build, block, bands, width, config.stem));
        match config.kind {
            EncoderKind::Small => Self::Small(Small::new(build, bands, width, config.stem)),
            EncoderKind::Resnet18 => resnet(super::resnet::Depth::Eighteen),
            EncoderKind::Resnet34 => resnet(super::resnet::Depth::ThirtyFour),
            EncoderKind::Resnet50 => resnet(super::resnet::Depth::Fifty),
        }
    }

    /// Length of a feature vector.
    #[must_use]
    pub fn features(&self) -> usize {
        match self {
            Self::Small(encoder) => encoder.features(),
            Self::Resnet(encoder) => encoder.features(),
        }
    }

    /// Features: the spatial mean of the last layer.
    ///
    /// # Shapes
    /// `[sample, band, y, x]`, f32, to `[sample, feature]`; features are not negative.
    pub fn forward(&self, view: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Small(encoder) => encoder.forward(view),
            Self::Resnet(encoder) => encoder.forward(view),
        }
    }
}

/// `[sample, channel, y, x]` to `[sample, channel]`.
pub(super) fn spatial_mean(x: Tensor<4>) -> Tensor<2> {
    let [samples, channels, height, width] = x.dims();
    x.reshape([samples, channels, height * width])
        .mean_dim(2)
        .squeeze_dim(2)
}
