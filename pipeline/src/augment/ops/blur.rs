//! Separable Gaussian blur.

use chipmill_schemas::augment::{Border, GaussianBlur};

use crate::augment::resample::stride;
use crate::math::exp;
use crate::rng::OpKey;
use crate::simd::{LANES, Lanes, Row, kernel};

/// Weights up to this are left out: they are lost in the rounding of `f32` sums.
const UNSEEN: f32 = 1e-9;
/// Largest radius, that of a view of 240 pixels a side.
const FARTHEST: usize = 12;

/// Pixels that the kernel reaches to each side: `floor(side / 20)`, at least 1.
pub(crate) fn radius(side: usize) -> usize {
    (side / 20).max(1)
}

/// The standard deviation drawn for a view, in pixels of the view; `None` without blur.
pub(crate) fn sigma(blur: &GaussianBlur, key: OpKey) -> Option<f64> {
    let [low, high] = blur.sigma.map(f64::from);
    key.stream(0)
        .chance(blur.p)
        .then(|| key.stream(1).between(low, high))
}

/// One side of a kernel: `weights[0]` counts once, `weights[k]` for the pixels `k` before and behind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct HalfKernel {
    weights: [f32; FARTHEST + 1],
    radius: usize,
    border: Border,
}

impl HalfKernel {
    /// `exp(-k² / (2 sigma²))` for `k` from 0 to `radius`, scaled so that the whole kernel adds up to 1;
    /// without weights too small to be seen.
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
    pub(crate) fn new(sigma: f64, radius: usize, border: Border) -> Self {
        let weight = |k: usize| {
            let distance = k as f64 / sigma;
            exp(-0.5 * distance * distance)
        };
        let radius = radius.min(FARTHEST);
        let all: [f64; FARTHEST + 1] =
            std::array::from_fn(|k| if k <= radius { weight(k) } else { 0.0 });
        let total = 1.0 + 2.0 * all[1..].iter().sum::<f64>();
        let weights = all.map(|w| (w / total) as f32);
        let seen = weights.iter().take_while(|&&w| w > UNSEEN).count();
        Self {
            weights,
            radius: seen.max(1) - 1,
            border,
        }
    }

    fn weights(&self) -> &[f32] {
        &self.weights[..=self.radius]
    }
}

/// Room before and behind a row that is being blurred.
const MARGIN: usize = LANES;

/// Values of the line that [`blur_rows`] works in.
pub(crate) fn line(side: usize) -> usize {
    stride(side) + 2 * MARGIN
}

kernel! {
    /// Blurs every row of `plane`, `side` x `side` values, into `rows`, rows of [`stride`] values with
    /// as many more above and below as the kernel reaches.
    ///
    /// `line` is memory of [`line`] values. A sum starts in the middle and goes outwards.
    pub(crate) fn blur_rows(
        lanes,
        plane: &[f32],
        side: usize,
        kernel: &HalfKernel,
        line: &mut [f32],
        rows: &mut [f32],
    ) {
        let stride = stride(side);
        let radius = kernel.radius;
        line.fill(0.0);
        let inner = &mut rows[radius * stride..][..side * stride];
        for (values, row) in plane.chunks_exact(side).zip(inner.chunks_exact_mut(stride)) {
            line[MARGIN..MARGIN + side].copy_from_slice(values);
            if kernel.border == Border::Reflect {
                for k in 1..=radius {
                    line[MARGIN - k] = values[k];
                    line[MARGIN + side - 1 + k] = values[side - 1 - k];
                }
            }
            match *kernel.weights() {
                [w0] => along_row(lanes, line, [w0], row),
                [w0, w1] => along_row(lanes, line, [w0, w1], row),
                [w0, w1, w2] => along_row(lanes, line, [w0, w1, w2], row),
                [w0, w1, w2, w3] => along_row(lanes, line, [w0, w1, w2, w3], row),
                [w0, w1, w2, w3, w4] => along_row(lanes, line, [w0, w1, w2, w3, w4], row),
                [w0, w1, w2, w3, w4, w5] => {
                    along_row(lanes, line, [w0, w1, w2, w3, w4, w5], row);
                }
                [w0, w1, w2, w3, w4, w5, w6] => {
                    along_row(lanes, line, [w0, w1, w2, w3, w4, w5, w6], row);
                }
                _ => along_row(lanes, line, kernel.weights, row),
            }
        }
        for k in 1..=radius {
            let (above, below) = ((radius - k) * stride, (radius + side - 1 + k) * stride);
            if kernel.border == Border::Zero {
                rows[above..above + stride].fill(0.0);
                rows[below..below + stride].fill(0.0);
                continue;
            }
            let (first, last) = ((radius + k) * stride, (radius + side - 1 - k) * stride);
            rows.copy_within(first..first + stride, above);
            rows.copy_within(last..last + stride, below);
        }
    }
}

#[inline(always)]
fn along_row<L: Lanes, const N: usize>(lanes: L, line: &[f32], weights: [f32; N], row: &mut [f32]) {
    let weights = splats(lanes, weights);
    for (line, out) in line.windows(2 * MARGIN + LANES).step_by(LANES).zip(row.as_chunks_mut().0) {
        let mut sum = lanes.mul(at(lanes, line, MARGIN), weights[0]);
        for (k, weight) in weights.iter().enumerate().skip(1) {
            let pair = lanes.add(at(lanes, line, MARGIN - k), at(lanes, line, MARGIN + k));
            sum = lanes.mul_add(pair, *weight, sum);
        }
        lanes.store(sum, out);
    }
}

#[inline(always)]
fn splats<L: Lanes, const N: usize>(lanes: L, weights: [f32; N]) -> [L::F; N] {
    let mut splats = [lanes.splat(0.0); N];
    for (to, weight) in splats.iter_mut().zip(weights) {
        *to = lanes.splat(weight);
    }
    splats
}

#[inline(always)]
fn at<L: Lanes>(lanes: L, line: &[f32], place: usize) -> L::F {
    match line[place..].first_chunk() {
        Some(values) => lanes.load(values),
        None => lanes.splat(0.0),
    }
}

kernel! {
    /// The rows `outputs` of a plane from what [`blur_rows`] gave.
    ///
    /// `out` is written in whole vectors: up to fifteen values behind the last row are overwritten.
    pub(crate) fn blur_columns(
        lanes,
        rows: &[f32],
        side: usize,
        kernel: &HalfKernel,
        outputs: std::ops::Range<usize>,
        out: &mut [f32],
    ) {
        match *kernel.weights() {
            [w0] => columns(lanes, rows, side, [w0], outputs, out),
            [w0, w1] => columns(lanes, rows, side, [w0, w1], outputs, out),
            [w0, w1, w2] => columns(lanes, rows, side, [w0, w1, w2], outputs, out),
            [w0, w1, w2, w3] => columns(lanes, rows, side, [w0, w1, w2, w3], outputs, out),
            [w0, w1, w2, w3, w4] => columns(lanes, rows, side, [w0, w1, w2, w3, w4], outputs, out),
            [w0, w1, w2, w3, w4, w5] => {
                columns(lanes, rows, side, [w0, w1, w2, w3, w4, w5], outputs, out);
            }
            [w0, w1, w2, w3, w4, w5, w6] => {
                columns(lanes, rows, side, [w0, w1, w2, w3, w4, w5, w6], outputs, out);
            }
            _ => many_columns(lanes, rows, side, kernel.weights(), outputs, out),
        }
    }
}

#[inline(always)]
fn columns<L: Lanes, const N: usize>(
    lanes: L,
    rows: &[f32],
    side: usize,
    weights: [f32; N],
    outputs: std::ops::Range<usize>,
    out: &mut [f32],
) {
    let (stride, radius) = (stride(side), N - 1);
    let weights = splats(lanes, weights);
    for (i, o) in outputs.enumerate() {
        let row = |o: usize| rows[o * stride..][..stride].as_chunks::<LANES>().0;
        let middle = row(o + radius);
        let above: [&[Row<f32>]; N] = std::array::from_fn(|k| row(o + radius - k));
        let below: [&[Row<f32>]; N] = std::array::from_fn(|k| row(o + radius + k));
        let out = out[i * side..][..stride].as_chunks_mut::<LANES>().0;
        for (j, to) in out.iter_mut().enumerate() {
            let mut sum = lanes.mul(lanes.load(&middle[j]), weights[0]);
            for k in 1..N {
                let pair = lanes.add(lanes.load(&above[k][j]), lanes.load(&below[k][j]));
                sum = lanes.mul_add(pair, weights[k], sum);
            }
            lanes.store(sum, to);
        }
    }
}

#[inline(always)]
fn many_columns<L: Lanes>(
    lanes: L,
    rows: &[f32],
    side: usize,
    weights: &[f32],
    outputs: std::ops::Range<usize>,
    out: &mut [f32],
) {
    let (stride, radius) = (stride(side), weights.len() - 1);
    for (i, o) in outputs.enumerate() {
        let row = |o: usize| rows[o * stride..][..stride].as_chunks::<LANES>().0;
        let out = out[i * side..][..stride].as_chunks_mut::<LANES>().0;
        for (j, to) in out.iter_mut().enumerate() {
            let mut sum = lanes.mul(lanes.load(&row(o + radius)[j]), lanes.splat(weights[0]));
            for (k, &weight) in weights.iter().enumerate().skip(1) {
                let (above, below) = (&row(o + radius - k)[j], &row(o + radius + k)[j]);
                let pair = lanes.add(lanes.load(above), lanes.load(below));
                sum = lanes.mul_add(pair, lanes.splat(weight), sum);
            }
            lanes.store(sum, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ks_p, op_keys};

    #[test]
    fn sigma_is_uniform_and_the_blur_as_likely_as_asked() {
        let blur = GaussianBlur::default();
        let mut drawn: Vec<f64> = op_keys(20_000)
            .filter_map(|key| sigma(&blur, key))
            .collect();
        assert!((4_750..5_250).contains(&drawn.len()), "{}", drawn.len());
        let [low, high] = blur.sigma.map(f64::from);
        assert!(ks_p(&mut drawn, |x| (x - low) / (high - low)) > 1e-3);
    }

    #[test]
    fn kernels_add_up_to_1_and_their_radius_follows_the_side() {
        assert_eq!([8, 32, 64, 120, 240].map(radius), [1, 1, 3, 6, 12]);
        for sigma in [0.1, 0.5, 1.0, 2.0, 50.0] {
            let kernel = HalfKernel::new(sigma, 6, Border::Reflect);
            let weights = kernel.weights();
            let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f32>();
            assert!((sum - 1.0).abs() < 1e-6);
            assert_eq!(weights.len() == 7, sigma >= 1.0, "{sigma}");
        }
    }
}
