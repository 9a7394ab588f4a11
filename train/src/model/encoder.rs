//! One of the encoder families.

use burn::module::Module;
use burn::tensor::Tensor;
use chipmill_schemas::config::{EncoderConfig, EncoderKind, Stem};

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
        spatial_mean(self.last_map(view))
    }

    /// The last layer.
    ///
    /// # Shapes
    /// `[sample, band, y, x]`, f32, to `[sample, feature, y, x]`, not negative, with sides
    /// `map_side` of the view's.
    pub(super) fn last_map(&self, view: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Small(encoder) => encoder.last_map(view),
            Self::Resnet(encoder) => encoder.last_map(view),
        }
    }
}

/// Side of the last layer for views of a side: every layer of stride 2 halves it, rounding up.
pub(super) const fn map_side(config: &EncoderConfig, side: usize) -> usize {
    let halvings = match (config.kind, config.stem) {
        (EncoderKind::Small, _) | (_, Stem::SmallImage) => 3,
        (_, Stem::Standard) => 5,
    };
    side.div_ceil(1 << halvings)
}

/// `[sample, channel, y, x]` to `[sample, channel]`.
pub(super) fn spatial_mean(x: Tensor<4>) -> Tensor<2> {
    let [samples, channels, height, width] = x.dims();
    x.reshape([samples, channels, height * width])
        .mean_dim(2)
        .squeeze_dim(2)
}
