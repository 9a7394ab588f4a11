//! An encoder with a dense layer for classes.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::Encoder;
use super::builder::Builder;

/// Views to decision values. Only the supervised control is trained through it.
#[derive(Module, Debug)]
pub(crate) struct Classifier {
    pub(crate) encoder: Encoder,
    fc: Linear,
}

impl Classifier {
    /// A dense layer with initial weights from a seed on an encoder on `device`.
    pub(crate) fn new(encoder: Encoder, classes: usize, seed: u64, device: &Device) -> Self {
        let build = Builder::new(seed, device).below("classifier");
        let fc = build.dense("fc", [encoder.features(), classes]);
        Self { encoder, fc }
    }

    /// # Shapes
    /// `[sample, band, y, x]`, f32, to `[sample, class]`.
    pub(crate) fn forward(&self, view: Tensor<4>) -> Tensor<2> {
        self.fc.forward(self.encoder.forward(view))
    }
}
