use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};

use super::{batch_norm, conv2d, flex, max_pool};
use crate::device::parse_device;
use crate::init::Draws;

fn device() -> Device {
    parse_device("cpu").unwrap().autodiff()
}

fn normals<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let values = Draws::new(7, name).normals(shape.iter().product(), 1.0);
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn padded(padding: usize) -> PaddingConfig2d {
    PaddingConfig2d::Explicit(padding, padding, padding, padding)
}

fn convolution(channels: [usize; 2], side: usize, stride: usize, padding: usize) -> Conv2d {
    let conv = Conv2dConfig::new(channels, [side, side])
        .with_stride([stride, stride])
        .with_padding(padded(padding))
        .with_bias(false)
        .init(&device());
    let weight = normals("weight", [channels[1], channels[0], side, side]);
    Conv2d {
        weight: Param::from_tensor(weight),
        ..conv
    }
}

fn norm(channels: usize) -> BatchNorm {
    let layer = BatchNormConfig::new(channels).init(&device());
    BatchNorm {
        gamma: Param::from_tensor(normals("gamma", [channels])),
        beta: Param::from_tensor(normals("beta", [channels])),
        ..layer
    }
}

fn pooling(side: usize, stride: usize, padding: usize) -> MaxPool2d {
    MaxPool2dConfig::new([side, side])
        .with_strides([stride, stride])
        .with_padding(padded(padding))
        .init()
}

/// What a layer gives, and the gradients of its input and of what `weights` are, for a loss that weighs every
/// value of the output differently.
fn both_ways(
    forward: impl Fn(Tensor<4>) -> Tensor<4>,
    x: &Tensor<4>,
    weights: &dyn Fn(&burn::tensor::Gradients) -> Vec<Vec<f32>>,
) -> Vec<Vec<f32>> {
    let x = x.clone().require_grad();
    let y = forward(x.clone());
    let weighed = y.clone() * normals("loss", y.dims());
    let tape = weighed.sum().backward();
    let mut found = vec![floats(y), floats(x.grad(&tape).unwrap())];
    found.extend(weights(&tape));
    found
}

fn assert_close(found: &[Vec<f32>], expected: &[Vec<f32>], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (part, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "{what}, part {part}");
        let largest = expected.iter().fold(1e-3f32, |most, v| most.max(v.abs()));
        for (at, (f, e)) in found.iter().zip(expected).enumerate() {
            let close = (f - e).abs() <= 1e-5 * largest;
            assert!(close, "{what}, part {part}, value {at}: {f} is not {e}");
        }
    }
}

/// Channels in and out, side of the kernel, stride, padding; samples, height, width.
const CONVOLUTIONS: [([usize; 2], [usize; 3], [usize; 3]); 12] = [
    ([12, 8], [7, 2, 3], [2, 40, 40]),
    ([3, 5], [3, 1, 1], [3, 17, 17]),
    ([4, 6], [3, 2, 1], [2, 9, 9]),
    ([4, 6], [3, 2, 1], [2, 8, 10]),
    ([5, 4], [1, 1, 0], [3, 6, 6]),
    ([5, 4], [1, 2, 0], [3, 7, 5]),
    ([2, 3], [5, 3, 2], [2, 11, 13]),
    ([8, 8], [3, 1, 1], [37, 4, 4]),
    ([8, 8], [3, 1, 1], [70, 2, 2]),
    ([1, 1], [7, 1, 3], [1, 1, 1]),
    ([2, 2], [3, 1, 0], [2, 5, 6]),
    ([2, 2], [3, 1, 1], [1, 3, 300]),
];

fn convolve_both_ways(
    layer: &Conv2d,
    x: &Tensor<4>,
    forward: impl Fn(&Conv2d, Tensor<4>) -> Tensor<4>,
) -> Vec<Vec<f32>> {
    let weight = |tape: &burn::tensor::Gradients| vec![floats(layer.weight.grad(tape).unwrap())];
    both_ways(|x| forward(layer, x), x, &weight)
}

#[test]
fn convolution_and_its_gradients_are_burn_s() {
    for (channels, [side, stride, padding], [samples, height, width]) in CONVOLUTIONS {
        let layer = convolution(channels, side, stride, padding);
        let x = normals("x", [samples, channels[0], height, width]);
        let found = convolve_both_ways(&layer, &x, conv2d);
        let expected = convolve_both_ways(&layer, &x, |layer, x| layer.forward(x));
        let what = format!("{channels:?} {side} {stride} {padding} on {height} x {width}");
        assert_close(&found, &expected, &what);
    }
}

/// Five loops around one multiplication, in `f64`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "as wide as what is compared"
)]
fn naive(layer: &Conv2d, x: &Tensor<4>, stride: usize, padding: usize) -> Vec<f32> {
    let [samples, inputs, height, width] = x.dims();
    let [outputs, _, side, _] = layer.weight.dims();
    let (x, weight) = (floats(x.clone()), floats(layer.weight.val()));
    let along = |length: usize| (length + 2 * padding - side) / stride + 1;
    let mut y = Vec::new();
    for sample in 0..samples {
        for output in 0..outputs {
            for (oy, ox) in (0..along(height)).flat_map(|y| (0..along(width)).map(move |x| (y, x)))
            {
                let mut sum = 0.0;
                for (input, ky, kx) in (0..inputs)
                    .flat_map(|i| (0..side).flat_map(move |y| (0..side).map(move |x| (i, y, x))))
                {
                    let (row, column) = (oy * stride + ky, ox * stride + kx);
                    let inside = (padding..height + padding).contains(&row)
                        && (padding..width + padding).contains(&column);
                    if inside {
                        let plane = (sample * inputs + input) * height * width;
                        let at = plane + (row - padding) * width + column - padding;
                        let of = ((output * inputs + input) * side + ky) * side + kx;
                        sum += f64::from(x[at]) * f64::from(weight[of]);
                    }
                }
                y.push(sum as f32);
            }
        }
    }
    y
}

#[test]
fn convolution_is_that_of_plain_loops() {
    for (channels, [side, stride, padding], [samples, height, width]) in CONVOLUTIONS {
        let layer = convolution(channels, side, stride, padding);
        let x = normals("x", [samples, channels[0], height, width]);
        let found = vec![floats(conv2d(&layer, x.clone()))];
        let expected = vec![naive(&layer, &x, stride, padding)];
        assert_close(&found, &expected, &format!("{channels:?} {side} {stride}"));
    }
}

fn normalise_both_ways(
    layer: &BatchNorm,
    x: &Tensor<4>,
    forward: impl Fn(&BatchNorm, Tensor<4>) -> Tensor<4>,
) -> Vec<Vec<f32>> {
    let weights = |tape: &burn::tensor::Gradients| {
        [&layer.gamma, &layer.beta]
            .map(|w| floats(w.grad(tape).unwrap()))
            .to_vec()
    };
    let mut found = both_ways(|x| forward(layer, x), x, &weights);
    found.push(floats(layer.running_mean.value_sync()));
    found.push(floats(layer.running_var.value_sync()));
    found
}

#[test]
fn batch_norm_its_gradients_and_its_running_statistics_are_burn_s() {
    for shape in [[4, 3, 9, 7], [2, 8, 4, 4], [1, 2, 30, 30], [33, 5, 1, 1]] {
        // Away from zero, as after a convolution of digital numbers.
        let x = normals("x", shape) * 3.0 + 5.0;
        let found = normalise_both_ways(&norm(shape[1]), &x, batch_norm);
        let expected = normalise_both_ways(&norm(shape[1]), &x, |layer, x| layer.forward(x));
        assert_close(&found, &expected, &format!("{shape:?}"));
    }
}

#[test]
fn max_pooling_and_its_gradient_are_burn_s() {
    let none = |_: &burn::tensor::Gradients| Vec::new();
    for (side, stride, padding, height, width) in [
        (3, 2, 1, 12, 12),
        (3, 2, 1, 7, 9),
        (2, 2, 0, 6, 6),
        (3, 1, 1, 4, 5),
    ] {
        let layer = pooling(side, stride, padding);
        // Whole numbers: many are equal.
        for x in [
            normals("x", [2, 3, height, width]),
            normals("x", [2, 3, height, width]).round(),
        ] {
            let found = both_ways(|x| max_pool(&layer, x), &x, &none);
            let expected = both_ways(|x| layer.forward(x), &x, &none);
            assert_close(
                &found,
                &expected,
                &format!("{side} {stride} {height} x {width}"),
            );
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let mut values = vec![1.0f32; 36];
    values[14] = f32::NAN;
    let x = Tensor::<4>::from_data(TensorData::new(values, [1, 1, 6, 6]), &device());
    let layers = [
        max_pool(&pooling(3, 2, 1), x.clone()),
        conv2d(&convolution([1, 1], 3, 1, 1), x.clone()),
        batch_norm(&norm(1), x),
    ];
    assert!(
        layers
            .into_iter()
            .all(|y| floats(y).iter().any(|v| v.is_nan()))
    );
}

#[test]
fn a_window_of_minus_infinities_sends_its_gradient_to_its_first_value() {
    let mut values = vec![f32::NEG_INFINITY; 32];
    values[16..].fill(1.0);
    let x = Tensor::<4>::from_data(TensorData::new(values, [1, 2, 4, 4]), &device());
    let x = x.require_grad();
    let tape = max_pool(&pooling(2, 2, 0), x.clone()).sum().backward();
    let expected: Vec<f32> = [1u8, 0, 1, 0, 0, 0, 0, 0]
        .repeat(4)
        .into_iter()
        .map(f32::from)
        .collect();
    assert_eq!(floats(x.grad(&tape).unwrap()), expected);
}

/// More groups of samples than threads, and one alone, whose products the threads share.
#[test]
fn the_number_of_threads_changes_no_bit() {
    for shape in [[40, 6, 7, 7], [5, 6, 4, 4], [1, 6, 70, 70]] {
        the_number_of_threads_changes_no_bit_of(&normals("x", shape));
    }
}

fn the_number_of_threads_changes_no_bit_of(x: &Tensor<4>) {
    let layer = convolution([6, 70], 3, 1, 1);
    let all = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let mut found = convolve_both_ways(&layer, x, conv2d);
            found.extend(normalise_both_ways(&norm(6), x, batch_norm));
            found.extend(both_ways(|x| max_pool(&pooling(3, 2, 1), x), x, &|_| {
                Vec::new()
            }));
            found
        })
    };
    let one = all(1);
    for threads in [2, 3, 8] {
        assert!(all(threads) == one, "{threads} threads");
    }
}

#[test]
fn an_input_without_gradient_and_one_outside_the_graph_are_served() {
    let layer = convolution([2, 3], 3, 1, 1);
    let x = normals("x", [2, 2, 5, 5]);
    let y = conv2d(&layer, x.clone());
    let tape = y.clone().sum().backward();
    assert!(layer.weight.grad(&tape).is_some() && x.grad(&tape).is_none());
    let inner = Tensor::<4>::from_data(x.into_data(), &device().inner());
    let frozen = convolution([2, 3], 3, 1, 1);
    let weight = Tensor::from_data(frozen.weight.val().into_data(), &device().inner());
    let frozen = Conv2d {
        weight: Param::from_tensor(weight),
        ..frozen
    };
    assert_eq!(floats(conv2d(&frozen, inner)), floats(y));
}

#[test]
fn a_tensor_that_does_not_lie_in_order_is_served() {
    let x = normals("x", [3, 4, 6, 8]);
    let turned = |x: Tensor<4>| x.swap_dims(0, 1).swap_dims(2, 3);
    let layer = convolution([3, 5], 3, 2, 1);
    // The gradient comes out of order as well.
    let forward = |layer: &Conv2d, x: Tensor<4>| turned(conv2d(layer, turned(x)));
    let found = convolve_both_ways(&layer, &x, forward);
    let expected = convolve_both_ways(&layer, &x, |layer, x| turned(layer.forward(turned(x))));
    assert_close(&found, &expected, "convolution");
    let forward = |layer: &BatchNorm, x: Tensor<4>| turned(batch_norm(layer, turned(x)));
    let found = normalise_both_ways(&norm(3), &x, forward);
    let burn = |layer: &BatchNorm, x: Tensor<4>| turned(layer.forward(turned(x)));
    assert_close(
        &found,
        &normalise_both_ways(&norm(3), &x, burn),
        "batch norm",
    );
}

#[test]
fn frozen_layers_pass_gradients_on_and_keep_theirs() {
    let x = normals("x", [2, 2, 5, 5]).require_grad();
    let layer = convolution([2, 3], 3, 1, 1);
    let frozen = Conv2d {
        weight: layer.weight.clone().set_require_grad(false),
        ..layer.clone()
    };
    let gradient = |layer: &Conv2d| {
        let tape = conv2d(layer, x.clone()).sum().backward();
        (
            floats(x.grad(&tape).unwrap()),
            layer.weight.grad(&tape).is_some(),
        )
    };
    let (of_x, _) = gradient(&layer);
    assert_eq!(gradient(&frozen), (of_x, false));
    let norm = norm(2).freeze();
    assert!(flex::batch_norm(&norm, &x).is_none());
    let (found, expected) = (batch_norm(&norm, x.clone()), norm.forward(x));
    assert_eq!(floats(found), floats(expected));
}

#[test]
fn a_constant_channel_becomes_its_beta() {
    for value in [1.0f32, 100.3, 12_345.678] {
        let x = Tensor::<4>::full([64, 2, 30, 30], value, &device());
        let layer = norm(2);
        let (y, beta) = (floats(batch_norm(&layer, x)), floats(layer.beta.val()));
        for (plane, beta) in y.chunks(900).zip(beta.into_iter().cycle()) {
            // A mean is a rounded number: half a unit in its last place, over the root of epsilon.
            let most = 2.0 * value * f32::EPSILON / 1e-5f32.sqrt();
            assert!(plane.iter().all(|v| (v - beta).abs() <= most), "{value}");
        }
    }
}

#[test]
#[should_panic(expected = "channels")]
fn too_few_channels_are_refused_as_burn_refuses_them() {
    conv2d(&convolution([12, 4], 3, 1, 1), normals("x", [2, 4, 8, 8]));
}

#[test]
fn other_settings_are_left_to_burn() {
    let x = normals("x", [1, 4, 6, 6]);
    let oblong = Conv2dConfig::new([4, 2], [1, 3]).with_bias(false);
    let grouped = Conv2dConfig::new([4, 2], [3, 3])
        .with_groups(2)
        .with_bias(false);
    let biased = Conv2dConfig::new([4, 2], [3, 3]);
    for config in [oblong, grouped, biased] {
        let layer = config.init(&device());
        assert!(flex::conv2d(&layer, &x).is_none());
        assert_eq!(
            floats(conv2d(&layer, x.clone())),
            floats(layer.forward(x.clone()))
        );
    }
    assert!(flex::conv2d(&convolution([4, 2], 3, 1, 1), &x).is_some());
    assert!(flex::batch_norm(&norm(4), &x).is_some());
    assert!(flex::max_pool(&pooling(3, 2, 1), &x).is_some());
    // Larger than the plane, and a window of padding alone.
    assert!(flex::conv2d(&convolution([4, 2], 9, 1, 1), &x).is_none());
    assert!(flex::max_pool(&pooling(2, 1, 2), &x).is_none());
    let valid = Conv2dConfig::new([4, 2], [3, 3]).with_padding(PaddingConfig2d::Valid);
    let valid = valid.with_bias(false).init(&device());
    let found = vec![floats(flex::conv2d(&valid, &x).unwrap())];
    assert_close(&found, &[floats(valid.forward(x))], "valid");
}
