//! Residual networks for any number of bands.
//!
//! He et al. 2016, <https://arxiv.org/abs/1512.03385>, with torchvision's names; the bottleneck has
//! its stride in the 3 x 3 convolution ("v1.5").

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use chipmill_schemas::config::Stem;

use super::builder::Builder;
use crate::kernels::{batch_norm, conv2d, max_pool};

/// How deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Eighteen,
    ThirtyFour,
    Fifty,
}

impl Depth {
    const fn blocks(self) -> [usize; 4] {
        match self {
            Self::Eighteen => [2, 2, 2, 2],
            Self::ThirtyFour | Self::Fifty => [3, 4, 6, 3],
        }
    }

    /// Output channels of a block over its width.
    const fn expansion(self) -> usize {
        match self {
            Self::Eighteen | Self::ThirtyFour => 1,
            Self::Fifty => 4,
        }
    }
}

/// A residual network without its classifier.
#[derive(Module, Debug)]
pub struct Resnet {
    conv1: Conv2d,
    bn1: BatchNorm,
    maxpool: Option<MaxPool2d>,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
    features: usize,
}

impl Resnet {
    pub(super) fn new(
        build: &Builder,
        depth: Depth,
        bands: usize,
        width: usize,
        stem: Stem,
    ) -> Self {
        let (side, stride, maxpool) = match stem {
            Stem::Standard => (7, 2, Some(pooling())),
            Stem::SmallImage => (3, 1, None),
        };
        let [n1, n2, n3, n4] = depth.blocks();
        let mut input = width;
        let mut layer = |number: usize, blocks: usize| {
            let (width, stride) = (width << (number - 1), if number == 1 { 1 } else { 2 });
            let build = build.below(&format!("layer{number}"));
            let block = |i: usize| {
                let from = std::mem::replace(&mut input, width * depth.expansion());
                let stride = if i == 0 { stride } else { 1 };
                Block::new(&build.below(&i.to_string()), depth, [from, width], stride)
            };
            (0..blocks).map(block).collect()
        };
        Self {
            conv1: build.conv("conv1", [bands, width], side, stride),
            bn1: build.batch_norm(width),
            maxpool,
            layer1: layer(1, n1),
            layer2: layer(2, n2),
            layer3: layer(3, n3),
            layer4: layer(4, n4),
            features: 8 * width * depth.expansion(),
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
        let stem = relu(batch_norm(&self.bn1, conv2d(&self.conv1, view)));
        let stem = match &self.maxpool {
            Some(pool) => max_pool(pool, stem),
            None => stem,
        };
        let layers = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        let blocks = layers.into_iter().flatten();
        blocks.fold(stem, |x, block| block.forward(x))
    }
}

fn pooling() -> MaxPool2d {
    MaxPool2dConfig::new([3, 3])
        .with_strides([2, 2])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init()
}

/// A residual block.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network has one kind")]
enum Block {
    Basic(Basic),
    Bottleneck(Bottleneck),
}

impl Block {
    fn new(build: &Builder, depth: Depth, channels: [usize; 2], stride: usize) -> Self {
        match depth {
            Depth::Eighteen | Depth::ThirtyFour => Self::Basic(Basic::new(build, channels, stride)),
            Depth::Fifty => Self::Bottleneck(Bottleneck::new(build, channels, stride)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Basic(block) => block.forward(x),
            Self::Bottleneck(block) => block.forward(x),
        }
    }
}

/// Two 3 x 3 convolutions.
#[derive(Module, Debug)]
struct Basic {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    downsample: Shortcut,
}

impl Basic {
    fn new(build: &Builder, [input, width]: [usize; 2], stride: usize) -> Self {
        Self {
            conv1: build.conv("conv1", [input, width], 3, stride),
            bn1: build.batch_norm(width),
            conv2: build.conv("conv2", [width, width], 3, 1),
            bn2: build.batch_norm(width),
            downsample: shortcut(build, [input, width], stride),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(batch_norm(&self.bn1, conv2d(&self.conv1, x.clone())));
        let y = batch_norm(&self.bn2, conv2d(&self.conv2, y));
        relu(y + pass(&self.downsample, x))
    }
}

/// 1 x 1, 3 x 3 and 1 x 1 convolutions.
#[derive(Module, Debug)]
struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
    downsample: Shortcut,
}

impl Bottleneck {
    fn new(build: &Builder, [input, width]: [usize; 2], stride: usize) -> Self {
        let output = width * Depth::Fifty.expansion();
        Self {
            conv1: build.conv("conv1", [input, width], 1, 1),
            bn1: build.batch_norm(width),
            conv2: build.conv("conv2", [width, width], 3, stride),
            bn2: build.batch_norm(width),
            conv3: build.conv("conv3", [width, output], 1, 1),
            bn3: build.batch_norm(output),
            downsample: shortcut(build, [input, output], stride),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(batch_norm(&self.bn1, conv2d(&self.conv1, x.clone())));
        let y = relu(batch_norm(&self.bn2, conv2d(&self.conv2, y)));
        let y = batch_norm(&self.bn3, conv2d(&self.conv3, y));
        relu(y + pass(&self.downsample, x))
    }
}

/// What leads around a block: nothing, or a 1 x 1 convolution with batch norm where the shape
/// changes.
type Shortcut = Option<(Conv2d, BatchNorm)>;

fn shortcut(build: &Builder, [input, output]: [usize; 2], stride: usize) -> Shortcut {
    (stride != 1 || input != output).then(|| {
        let conv = build.conv("downsample.0", [input, output], 1, stride);
        (conv, build.batch_norm(output))
    })
}

fn pass(shortcut: &Shortcut, x: Tensor<4>) -> Tensor<4> {
    match shortcut {
        Some((conv, norm)) => batch_norm(norm, conv2d(conv, x)),
        None => x,
    }
}
