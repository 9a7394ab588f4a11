//! The kernels as operations of Burn's backend for the CPU.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, Flex, backend_extension};
use burn::nn::conv::Conv2d;
use burn::nn::pool::MaxPool2d;
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::tensor::{DType, Shape, Tensor, TensorData};

use super::convolution::Convolution;
use super::norm;
use super::pool::Pool;

/// The forward passes; `autodiff.rs` has the backward passes.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait CpuKernels: Backend {
    /// `[sample, input, y, x]` and weights `[output, input, k, k]` to `[sample, output, y, x]`.
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self>;

    /// `[sample, channel, y, x]` normalised over all but channels; then mean and biased variance, `[channel]`.
    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// `[sample, channel, y, x]` to the maxima of windows.
    fn pool_max(
        x: FloatTensor<Self>,
        side: usize,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self>;
}

impl CpuKernels for Flex {
    fn convolve(x: FlexTensor, weight: FlexTensor, stride: usize, padding: usize) -> FlexTensor {
        Convolution::of(&x, &weight, stride, padding).forward(&x, &weight)
    }

    fn normalise(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        norm::forward(&x, &gamma, &beta, epsilon)
    }

    fn pool_max(x: FlexTensor, side: usize, stride: usize, padding: usize) -> FlexTensor {
        Pool::of(&x, side, stride, padding).forward(&x).0
    }
}

/// `None` where the layer or its input is not served here, as below; Burn's operation then does it, or says what is
/// wrong.
pub(super) fn conv2d(layer: &Conv2d, x: &Tensor<4>) -> Option<Tensor<4>> {
    let plain = layer.groups == 1 && layer.dilation == [1, 1] && layer.bias.is_none();
    let fits = x.dims()[1] == layer.weight.dims()[1];
    let window = window(layer.kernel_size, layer.stride, &layer.padding, x)?;
    if !(plain && fits && is_served(x)) {
        return None;
    }
    let (x, weight) = (
        x.clone().into_dispatch(),
        layer.weight.val().into_dispatch(),
    );
    let y = Dispatch::convolve(x, weight, window.stride, window.padding);
    Some(Tensor::from_dispatch(y))
}

pub(super) fn batch_norm(layer: &BatchNorm, x: &Tensor<4>) -> Option<Tensor<4>> {
    let trains = x.device().is_autodiff() && layer.training.is_enabled();
    let fits = [x.dims()[1]] == layer.gamma.dims();
    if !(trains && fits && is_served(x)) {
        return None;
    }
    let (y, mean, variance) = Dispatch::normalise(
        x.clone().into_dispatch(),
        layer.gamma.val().into_dispatch(),
        layer.beta.val().into_dispatch(),
        layer.epsilon,
    );
    for (running, new) in [(&layer.running_mean, mean), (&layer.running_var, variance)] {
        let new = Tensor::<1>::from_dispatch(new).detach();
        let old = running.value_sync().to_device(&new.device());
        let old = old.mul_scalar(1.0 - layer.momentum);
        running.update(old.add(new.mul_scalar(layer.momentum)).detach());
    }
    Some(Tensor::from_dispatch(y))
}

pub(super) fn max_pool(layer: &MaxPool2d, x: &Tensor<4>) -> Option<Tensor<4>> {
    let plain = layer.dilation == [1, 1] && !layer.ceil_mode;
    let window = window(layer.kernel_size, layer.stride, &layer.padding, x)?;
    // A window of padding alone has no maximum.
    if !(plain && window.padding < window.side && is_served(x)) {
        return None;
    }
    let x = x.clone().into_dispatch();
    let y = Dispatch::pool_max(x, window.side, window.stride, window.padding);
    Some(Tensor::from_dispatch(y))
}

/// Whether the tensor lies where these kernels are.
fn is_served(x: &Tensor<4>) -> bool {
    let device = x.device().inner();
    matches!(device.as_dispatch(), DispatchDevice::Flex(_)) && x.dtype() == DType::F32
}

/// A window that is alike along both axes.
struct Window {
    side: usize,
    stride: usize,
    padding: usize,
}

/// `None` where it is not, or is larger than a padded plane of `x`.
fn window(
    side: [usize; 2],
    stride: [usize; 2],
    padding: &PaddingConfig2d,
    x: &Tensor<4>,
) -> Option<Window> {
    let padding = match *padding {
        PaddingConfig2d::Valid => 0,
        PaddingConfig2d::Explicit(top, left, bottom, right)
            if [left, bottom, right] == [top; 3] =>
        {
            top
        }
        _ => return None,
    };
    let [_, _, height, width] = x.dims();
    let alike = side[0] == side[1] && stride[0] == stride[1];
    let fits = side[0] <= height.min(width) + 2 * padding;
    (alike && fits).then_some(Window {
        side: side[0],
        stride: stride[0],
        padding,
    })
}

/// The dimensions of a tensor of this rank.
pub(super) fn dims<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.layout().shape().dims()
}

/// The values in C order.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    match tensor.as_slice() {
        Some(values) => values,
        None => unreachable!("made contiguous before, and f32 alone come here"),
    }
}

pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, Shape::new(shape)))
}
