//! Separable Gaussian blur.

use chipmill_schemas::augment::{Border, GaussianBlur};

use crate::augment::resample::stride;
use crate::augment::stream::{line_at, write_values};
use crate::element::Element;
use crate::math::exp;
use crate::rng::OpKey;
use crate::simd::{LANES, Lanes, Row, Simd, kernel};

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
    /// Blurs some rows of `plane`, rows of `side` values, along themselves into `out`, rows of [`stride`]
    /// values.
    ///
    /// `line` is memory of [`line()`] values. A sum starts in the middle and goes outwards.
    fn blur_rows(
        lanes,
        plane: &[f32],
        side: usize,
        kernel: &HalfKernel,
        line: &mut [f32],
        out: &mut [f32],
    ) {
        let radius = kernel.radius;
        let line = &mut line[..stride(side) + 2 * MARGIN];
        line.fill(0.0);
        for (values, row) in plane.chunks_exact(side).zip(out.chunks_exact_mut(stride(side))) {
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
    }
}

#[inline(always)]
fn along_row<L: Lanes, const N: usize>(lanes: L, line: &[f32], weights: [f32; N], row: &mut [f32]) {
    let weights = splats(lanes, weights);
    for (line, out) in line
        .windows(2 * MARGIN + LANES)
        .step_by(LANES)
        .zip(row.as_chunks_mut().0)
    {
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
    /// So many rows of a plane, one after the other, from rows blurred along themselves: the first of
    /// those is as far above the first output as the kernel reaches.
    ///
    /// `out` is written in whole vectors: up to fifteen values behind the last row are overwritten.
    pub(crate) fn blur_columns(
        lanes,
        rows: &[f32],
        side: usize,
        kernel: &HalfKernel,
        outputs: usize,
        out: &mut [f32],
    ) {
        for o in 0..outputs {
            blurred_row(lanes, rows, side, kernel, o, out);
        }
    }
}

kernel! {
    /// The same from row `outputs.start` on, written to one band of a view row by row: computing and
    /// streaming take turns.
    ///
    /// `block` begins with `porch` values of which the last are those before the first row that did not
    /// fill a cache line.
    pub(crate) fn blur_columns_to_view[E: Element](
        lanes,
        rows: &[f32],
        side: usize,
        kernel: &HalfKernel,
        outputs: std::ops::Range<usize>,
        block: &mut [f32],
        porch: usize,
        out: &mut [E],
        streams: bool,
    ) {
        let start = outputs.start * side;
        let mut from = line_at(out, start);
        for o in 0..outputs.len() {
            blurred_row(lanes, rows, side, kernel, o, &mut block[porch..]);
            let to = line_at(out, start + (o + 1) * side);
            let values = &block[porch + from - start..][..to - from];
            write_values(lanes, values, &mut out[from..to], streams);
            from = to;
        }
    }
}

#[inline(always)]
fn blurred_row<L: Lanes>(
    lanes: L,
    rows: &[f32],
    side: usize,
    kernel: &HalfKernel,
    o: usize,
    out: &mut [f32],
) {
    let stride = stride(side);
    let rows = &rows[o * stride..][..(2 * kernel.radius + 1) * stride];
    let rows = rows.as_chunks().0;
    let out = out[o * side..][..stride].as_chunks_mut().0;
    match *kernel.weights() {
        [w0] => columns(lanes, rows, [w0], out),
        [w0, w1] => columns(lanes, rows, [w0, w1], out),
        [w0, w1, w2] => columns(lanes, rows, [w0, w1, w2], out),
        [w0, w1, w2, w3] => columns(lanes, rows, [w0, w1, w2, w3], out),
        [w0, w1, w2, w3, w4] => columns(lanes, rows, [w0, w1, w2, w3, w4], out),
        [w0, w1, w2, w3, w4, w5] => columns(lanes, rows, [w0, w1, w2, w3, w4, w5], out),
        [w0, w1, w2, w3, w4, w5, w6] => {
            columns(lanes, rows, [w0, w1, w2, w3, w4, w5, w6], out);
        }
        _ => many_columns(lanes, rows, kernel.weights(), out),
    }
}

/// One output row from `2 N - 1` others, all as long.
#[inline(always)]
fn columns<L: Lanes, const N: usize>(
    lanes: L,
    rows: &[Row<f32>],
    weights: [f32; N],
    out: &mut [Row<f32>],
) {
    let weights = splats(lanes, weights);
    let len = out.len();
    let (mut above, mut below) = ([&[][..]; N], [&[][..]; N]);
    for k in 0..N {
        above[k] = &rows[(N - 1 - k) * len..][..len];
        below[k] = &rows[(N - 1 + k) * len..][..len];
    }
    for (j, to) in out.iter_mut().enumerate() {
        let mut sum = lanes.mul(lanes.load(&above[0][j]), weights[0]);
        for k in 1..N {
            let pair = lanes.add(lanes.load(&above[k][j]), lanes.load(&below[k][j]));
            sum = lanes.mul_add(pair, weights[k], sum);
        }
        lanes.store(sum, to);
    }
}

#[inline(always)]
fn many_columns<L: Lanes>(lanes: L, rows: &[Row<f32>], weights: &[f32], out: &mut [Row<f32>]) {
    let (len, radius) = (out.len(), weights.len() - 1);
    for (j, to) in out.iter_mut().enumerate() {
        let mut sum = lanes.mul(lanes.load(&rows[radius * len + j]), lanes.splat(weights[0]));
        for (k, &weight) in weights.iter().enumerate().skip(1) {
            let (above, below) = (&rows[(radius - k) * len + j], &rows[(radius + k) * len + j]);
            let pair = lanes.add(lanes.load(above), lanes.load(below));
            sum = lanes.mul_add(pair, lanes.splat(weight), sum);
        }
        lanes.store(sum, to);
    }
}

/// The rows of a plane of `side` rows that a blur of the rows `outputs` reads, blurred along themselves,
/// with what is beyond the border: the first is as far above the first output as the kernel reaches.
///
/// `rows` holds those for the outputs before, which end where these begin; what both need is not made
/// again. `plane` is untouched from row `outputs.start` on.
pub(crate) fn rows_for(
    simd: Simd,
    (plane, side): (&[f32], usize),
    kernel: &HalfKernel,
    outputs: std::ops::Range<usize>,
    before: usize,
    line: &mut [f32],
    rows: &mut [f32],
) {
    let (stride, radius) = (stride(side), kernel.radius);
    let mut next = 0;
    if outputs.start > 0 {
        rows.copy_within(before * stride..(before + 2 * radius) * stride, 0);
        next = outputs.start + radius;
    }
    // Row `y` of the plane is row `y + radius - outputs.start` here.
    let place = |y: usize| (y + radius - outputs.start) * stride;
    let end = (outputs.end + radius).min(side);
    if next < end {
        let plane = &plane[next * side..end * side];
        blur_rows(simd, plane, side, kernel, line, &mut rows[place(next)..]);
    }
    for k in 1..=radius {
        if outputs.start == 0 {
            beyond(kernel.border, place(0) - k * stride, place(k), stride, rows);
        }
        let below = side - 1 + k;
        if (next.max(side)..outputs.end + radius).contains(&below) {
            beyond(
                kernel.border,
                place(below),
                place(side - 1 - k),
                stride,
                rows,
            );
        }
    }
}

/// A row beyond the border: its mirror image, or zeros.
fn beyond(border: Border, to: usize, mirrored: usize, stride: usize, rows: &mut [f32]) {
    match border {
        Border::Reflect => rows.copy_within(mirrored..mirrored + stride, to),
        Border::Zero => rows[to..to + stride].fill(0.0),
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
