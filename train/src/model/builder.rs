//! Layers with initial weights from a seed.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};

use crate::init::Draws;

/// Makes layers below a name.
#[derive(Debug, Clone)]
pub(super) struct Builder {
    seed: u64,
    name: String,
    device: Device,
}

impl Builder {
    pub(super) fn new(seed: u64, device: &Device) -> Self {
        Self {
            seed,
            name: String::new(),
            device: device.clone(),
        }
    }

    /// The same for the layers of a part.
    pub(super) fn below(&self, part: &str) -> Self {
        Self {
            name: self.join(part),
            ..self.clone()
        }
    }

    fn join(&self, part: &str) -> String {
        if self.name.is_empty() {
            part.to_owned()
        } else {
            format!("{}.{part}", self.name)
        }
    }

    fn draws(&self, part: &str) -> Draws {
        Draws::new(self.seed, &format!("{}.weight", self.join(part)))
    }

    fn param<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        let data = TensorData::new(values, shape);
        Param::from_tensor(Tensor::from_data(data, &self.device))
    }

    /// A convolution without bias, padded so that stride 1 keeps the size; `side` is odd.
    pub(super) fn conv(
        &self,
        part: &str,
        channels: [usize; 2],
        side: usize,
        stride: usize,
    ) -> Conv2d {
        let [input, output] = channels;
        let padding = side / 2;
        let fan_out = (output * side * side) as f64;
        let values = self
            .draws(part)
            .normals(output * input * side * side, (2.0 / fan_out).sqrt());
        let conv = Conv2dConfig::new(channels, [side, side])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(
                padding, padding, padding, padding,
            ))
            .with_bias(false)
            .init(&self.device);
        Conv2d {
            weight: self.param(values, [output, input, side, side]),
            ..conv
        }
    }

    /// Batch norm: epsilon 1e-5, running statistics with momentum 0.1, as torchvision's.
    pub(super) fn batch_norm(&self, channels: usize) -> BatchNorm {
        BatchNormConfig::new(channels).init(&self.device)
    }

    /// A dense layer with a zero bias.
    pub(super) fn dense(&self, part: &str, sizes: [usize; 2]) -> Linear {
        let bias = self.param(vec![0.0; sizes[1]], [sizes[1]]);
        Linear {
            bias: Some(bias),
            ..self.dense_without_bias(part, sizes)
        }
    }

    /// A dense layer without bias.
    pub(super) fn dense_without_bias(&self, part: &str, sizes: [usize; 2]) -> Linear {
        let [input, output] = sizes;
        let limit = (6.0 / (input + output) as f64).sqrt();
        let values = self.draws(part).uniforms(input * output, limit);
        Linear {
            weight: self.param(values, sizes),
            bias: None,
        }
    }
}
