//! Batch norm over samples and pixels, one channel after the other.
//!
//! Ioffe and Szegedy 2015, <https://arxiv.org/abs/1502.03167>: `y = gamma (x - mean) / sqrt(variance + epsilon) +
//! beta`, with the biased variance. With `m` values in a channel, `g` the gradient of `y` and `n = (x - mean) /
//! sqrt(variance + epsilon)`: `d beta = sum g`, `d gamma = sum g n`, and
//! `d x = gamma / sqrt(variance + epsilon) (g - d beta / m - n d gamma / m)`. Sums are taken in `f32` over
//! a row of lanes within a plane, and in `f64` over planes.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::flex::{dims, tensor, values};

/// Sums kept apart within a plane: a vector or more of any processor.
const LANES: usize = 16;

/// Of one channel.
#[derive(Debug, Clone, Copy)]
struct Moments {
    mean: f32,
    variance: f32,
}

/// A tensor `[sample, channel, y, x]` by its planes.
#[derive(Clone, Copy)]
struct Planes<'a> {
    values: &'a [f32],
    samples: usize,
    channels: usize,
    area: usize,
}

impl<'a> Planes<'a> {
    fn of(tensor: &'a FlexTensor) -> Self {
        let [samples, channels, height, width] = dims(tensor);
        Self {
            values: values(tensor),
            samples,
            channels,
            area: height * width,
        }
    }

    fn channel(self, channel: usize) -> impl Iterator<Item = &'a [f32]> {
        (0..self.samples).map(move |sample| {
            let start = (sample * self.channels + channel) * self.area;
            &self.values[start..start + self.area]
        })
    }

    /// Values of a channel.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn count(self) -> f64 {
        (self.samples * self.area).max(1) as f64
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "as wide as what it is made of"
    )]
    fn moments(self, channel: usize) -> Moments {
        let total: f64 = self.channel(channel).map(|p| sum(p, |v| v)).sum();
        let about = (total / self.count()) as f32;
        // Around a value near the mean, so that what rounding left out of it can be put right.
        let [rest, squares] = self
            .channel(channel)
            .fold([0.0, 0.0], |[rest, squares], p| {
                let more = sum(p, |v| (v - about) * (v - about));
                [rest + sum(p, |v| v - about), squares + more]
            });
        let rest = rest / self.count();
        Moments {
            mean: (f64::from(about) + rest) as f32,
            variance: (squares / self.count() - rest * rest).max(0.0) as f32,
        }
    }

    /// The planes of a result of the same shape, each written by `fill(channel, plane of this, plane)`.
    fn map(self, fill: impl Fn(usize, usize, &mut [f32]) + Sync) -> Vec<f32> {
        let mut result = vec![0.0; self.values.len()];
        result
            .par_chunks_mut(self.area.max(1))
            .enumerate()
            .for_each(|(plane, into)| fill(plane % self.channels, plane * self.area, into));
        result
    }
}

fn sum(plane: &[f32], of: impl Fn(f32) -> f32) -> f64 {
    sum_pairs(plane, plane, |v, _| of(v))
}

fn sum_pairs(left: &[f32], right: &[f32], of: impl Fn(f32, f32) -> f32) -> f64 {
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (l, r) in left.iter().zip(right) {
        for lane in 0..LANES {
            lanes[lane] += of(l[lane], r[lane]);
        }
    }
    let rest = left_rest.iter().zip(right_rest);
    let rest: f64 = rest.map(|(l, r)| f64::from(of(*l, *r))).sum();
    lanes.into_iter().map(f64::from).sum::<f64>() + rest
}

/// Normalised values, mean and variance.
pub(super) fn forward(
    x: &FlexTensor,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    epsilon: f64,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let shape: [usize; 4] = dims(x);
    let [x, gamma, beta] = [x, gamma, beta].map(FlexTensor::to_contiguous);
    let (x, gamma, beta) = (Planes::of(&x), values(&gamma), values(&beta));
    let moments: Vec<Moments> = (0..x.channels)
        .into_par_iter()
        .map(|channel| x.moments(channel))
        .collect();
    let y = x.map(|channel, start, into| {
        let scale = gamma[channel] * inverse_deviation(moments[channel].variance, epsilon);
        let (mean, shift) = (moments[channel].mean, beta[channel]);
        let plane = &x.values[start..start + x.area];
        let pairs = into.iter_mut().zip(plane);
        pairs.for_each(|(into, &v)| *into = (v - mean) * scale + shift);
    });
    let of = |value: fn(&Moments) -> f32| tensor(moments.iter().map(value).collect(), [x.channels]);
    (tensor(y, shape), of(|m| m.mean), of(|m| m.variance))
}

/// The gradients of `x`, `gamma` and `beta` from that of the normalised values.
#[expect(
    clippy::cast_possible_truncation,
    reason = "as wide as what it is made of"
)]
pub(super) fn backward(
    x: &FlexTensor,
    gamma: &FlexTensor,
    [mean, variance]: [&FlexTensor; 2],
    epsilon: f64,
    output: &FlexTensor,
) -> [FlexTensor; 3] {
    let shape: [usize; 4] = dims(x);
    let [x, gamma, output] = [x, gamma, output].map(FlexTensor::to_contiguous);
    let (x, g, gamma) = (Planes::of(&x), Planes::of(&output), values(&gamma));
    let (mean, variance) = (values(mean), values(variance));
    let inverse = |channel: usize| inverse_deviation(variance[channel], epsilon);
    let sums: Vec<[f64; 2]> = (0..x.channels)
        .into_par_iter()
        .map(|channel| gradient_sums(x, g, channel, mean[channel]))
        .collect();
    let count = x.count();
    let x_gradient = x.map(|channel, start, into| {
        let inverse = inverse(channel);
        let [plain, with] = sums[channel];
        let scale = gamma[channel] * inverse;
        let plain = (plain / count) as f32;
        let slope = (with / count) as f32 * inverse * inverse;
        let mean = mean[channel];
        let range = start..start + x.area;
        let pairs = x.values[range.clone()].iter().zip(&g.values[range]);
        for (into, (x, g)) in into.iter_mut().zip(pairs) {
            *into = scale * (g - plain - (x - mean) * slope);
        }
    });
    let gamma = (0..x.channels).map(|c| (sums[c][1] * f64::from(inverse(c))) as f32);
    let beta = sums.iter().map(|s| s[0] as f32);
    [
        tensor(x_gradient, shape),
        tensor(gamma.collect(), [x.channels]),
        tensor(beta.collect(), [x.channels]),
    ]
}

/// `sum g` and `sum g (x - mean)` of a channel.
fn gradient_sums(x: Planes<'_>, g: Planes<'_>, channel: usize, mean: f32) -> [f64; 2] {
    let pairs = x.channel(channel).zip(g.channel(channel));
    pairs.fold([0.0, 0.0], |[plain, with], (x, g)| {
        let more = sum_pairs(x, g, |x, g| (x - mean) * g);
        [plain + sum(g, |g| g), with + more]
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "as wide as what it is made of"
)]
fn inverse_deviation(variance: f32, epsilon: f64) -> f32 {
    (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32
}
