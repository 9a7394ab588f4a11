//! Convolution, batch norm and max pooling: Burn's, or our own where the device is the CPU.
//!
//! Burn's backend for the CPU, Flex, spends half of a training step beside its matrix products: it computes
//! the gradient of a convolution's weights as a convolution of swapped tensors, whose products are narrow, and
//! batch norm and pooling pass over memory many times. These three are built on matrix products of `ndarray`
//! and few passes instead, and registered through Burn's backend extensions (`docs/adr/0026-kernels-for-the-cpu.md`).
//! Other devices, number types and settings have Burn's own operations.
//!
//! The results are the same for any number of threads: sums are taken in an order that shapes alone decide.

#[cfg(feature = "cpu")]
mod autodiff;
#[cfg(feature = "cpu")]
mod convolution;
#[cfg(feature = "cpu")]
mod flex;
#[cfg(feature = "cpu")]
mod im2col;
#[cfg(feature = "cpu")]
mod norm;
#[cfg(feature = "cpu")]
mod pool;
#[cfg(test)]
#[cfg(feature = "cpu")]
mod tests;

use burn::nn::BatchNorm;
use burn::nn::conv::Conv2d;
use burn::nn::pool::MaxPool2d;
use burn::tensor::Tensor;

/// As `layer.forward`, with its weights and settings.
///
/// # Shapes
/// `[sample, channel, y, x]` on both sides.
pub(crate) fn conv2d(layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if let Some(y) = flex::conv2d(layer, &x) {
        return y;
    }
    layer.forward(x)
}

/// As `layer.forward`: while training with the statistics of this batch, which its running statistics learn
/// from.
///
/// # Shapes
/// `[sample, channel, y, x]` on both sides.
pub(crate) fn batch_norm(layer: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if let Some(y) = flex::batch_norm(layer, &x) {
        return y;
    }
    layer.forward(x)
}

/// As `layer.forward`.
///
/// # Shapes
/// `[sample, channel, y, x]` on both sides.
pub(crate) fn max_pool(layer: &MaxPool2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if let Some(y) = flex::max_pool(layer, &x) {
        return y;
    }
    layer.forward(x)
}
