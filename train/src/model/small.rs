//! A small encoder for CPUs and small views.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use chipmill_schemas::config::Stem;

use super::builder::Builder;
use crate::kernels::{batch_norm, conv2d};

/// Four times 3 x 3 convolution, batch norm, `ReLU`, with `w`, `2w`, `4w` and `4w` channels, then
/// the spatial mean.
///
/// Strides are 2, 2, 2, 1 with the standard stem and 1, 2, 2, 2 with the one for small images,
/// which costs about three times as much.
#[derive(Module, Debug)]
pub struct Small {
    pub(super) conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
    conv4: Conv2d,
    bn4: BatchNorm,
    features: usize,
}

impl Small {
    pub(super) fn new(build: &Builder, bands: usize, width: usize, stem: Stem) -> Self {
        let [s1, s2, s3, s4] = match stem {
            Stem::Standard => [2, 2, 2, 1],
            Stem::SmallImage => [1, 2, 2, 2],
        };
        let features = 4 * width;
        Self {
            conv1: build.conv("conv1", [bands, width], 3, s1),
            bn1: build.batch_norm(width),
            conv2: build.conv("conv2", [width, 2 * width], 3, s2),
            bn2: build.batch_norm(2 * width),
            conv3: build.conv("conv3", [2 * width, features], 3, s3),
            bn3: build.batch_norm(features),
            conv4: build.conv("conv4", [features, features], 3, s4),
            bn4: build.batch_norm(features),
            features,
        }
    }

    /// Length of a feature vector.
    #[must_use]
    pub const fn features(&self) -> usize {
        self.features
    }

    /// # Shapes
    /// `[sample, band, y, x]` to `[sample, feature, y, x]`, f32.
    pub fn last_map(&self, view: Tensor<4>) -> Tensor<4> {
        let x = relu(batch_norm(&self.bn1, conv2d(&self.conv1, view)));
        let x = relu(batch_norm(&self.bn2, conv2d(&self.conv2, x)));
        let x = relu(batch_norm(&self.bn3, conv2d(&self.conv3, x)));
        relu(batch_norm(&self.bn4, conv2d(&self.conv4, x)))
    }
}
