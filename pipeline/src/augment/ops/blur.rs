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

/// Room before and behind a row that is being blurred: no kernel reaches further.
const MARGIN: usize = LANES;
/// Values of a row that are laid out with a margin, at its beginning and its end.
const ENDS: [usize; 2] = [2 * LANES, 3 * LANES];
/// Values of a row's beginning with the margin before it.
const LEFT: usize = MARGIN + ENDS[0];
/// Values of a row's end with the margin behind it, and what a last vector covers beyond that.
const RIGHT: usize = ENDS[1] + 2 * LANES;

/// Values of the line that [`blur_rows`] works in.
pub(crate) fn line_len(side: usize) -> usize {
    (stride(side) + 2 * MARGIN).max(LEFT + RIGHT)
}

kernel! {
    /// Blurs some rows of `plane`, rows of `side` values, along themselves into `out`, rows of [`stride`]
    /// values.
    ///
    /// `line` is memory of [`line_len`] values. A sum starts in the middle and goes outwards.
    fn blur_rows(
        lanes,
        plane: &[f32],
        side: usize,
        kernel: &HalfKernel,
        line: &mut [f32],
        out: &mut [f32],
    ) {
        let border = kernel.border;
        match *kernel.weights() {
            [w0] => blur_all(lanes, plane, side, [w0], border, line, out),
            [w0, w1] => blur_all(lanes, plane, side, [w0, w1], border, line, out),
            [w0, w1, w2] => blur_all(lanes, plane, side, [w0, w1, w2], border, line, out),
            [w0, w1, w2, w3] => blur_all(lanes, plane, side, [w0, w1, w2, w3], border, line, out),
            [w0, w1, w2, w3, w4] => {
                blur_all(lanes, plane, side, [w0, w1, w2, w3, w4], border, line, out);
            }
            [w0, w1, w2, w3, w4, w5] => {
                blur_all(lanes, plane, side, [w0, w1, w2, w3, w4, w5], border, line, out);
            }
            [w0, w1, w2, w3, w4, w5, w6] => {
                blur_all(lanes, plane, side, [w0, w1, w2, w3, w4, w5, w6], border, line, out);
            }
            _ => blur_all(lanes, plane, side, kernel.weights, border, line, out),
        }
    }
}

/// `N - 1` is the radius at least: weights beyond it are 0.
#[inline(always)]
fn blur_all<L: Lanes, const N: usize>(
    lanes: L,
    plane: &[f32],
    side: usize,
    weights: [f32; N],
    border: Border,
    line: &mut [f32],
    out: &mut [f32],
) {
    let line = &mut line[..line_len(side)];
    line.fill(0.0);
    let weights = splats(lanes, weights);
    let rows = out.chunks_exact_mut(stride(side));
    for (values, out) in plane.chunks_exact(side).zip(rows) {
        let out = out.as_chunks_mut().0;
        if side < ENDS[1] {
            short_row(lanes, values, &weights, border, line, out);
        } else {
            row(lanes, values, &weights, border, line, out);
        }
    }
}

/// A row that is laid out as a whole.
#[inline(always)]
fn short_row<L: Lanes, const N: usize>(
    lanes: L,
    values: &[f32],
    weights: &[L::F; N],
    border: Border,
    line: &mut [f32],
    out: &mut [Row<f32>],
) {
    let side = values.len();
    line[MARGIN..MARGIN + side].copy_from_slice(values);
    if border == Border::Reflect {
        for k in 1..N.min(side) {
            line[MARGIN - k] = values[k];
            line[MARGIN + side - 1 + k] = values[side - 1 - k];
        }
    }
    for (j, out) in out.iter_mut().enumerate() {
        lanes.store(lanes.outwards(line, MARGIN + j * LANES, weights), out);
    }
}

/// A row of which only the ends are laid out: vectors between are read from where they are.
#[inline(always)]
fn row<L: Lanes, const N: usize>(
    lanes: L,
    values: &[f32],
    weights: &[L::F; N],
    border: Border,
    line: &mut [f32],
    out: &mut [Row<f32>],
) {
    let side = values.len();
    let (left, right) = line.split_at_mut(LEFT);
    let ends = (values.first_chunk(), values.last_chunk());
    if let (Some(first), Some(last)) = ends {
        let (first, last): (&[f32; ENDS[0]], &[f32; ENDS[1]]) = (first, last);
        left[MARGIN..LEFT].copy_from_slice(first);
        right[..ENDS[1]].copy_from_slice(last);
        if border == Border::Reflect {
            for k in 1..N {
                left[MARGIN - k] = first[k];
                right[ENDS[1] - 1 + k] = last[ENDS[1] - 1 - k];
            }
        }
    }
    // Those between come first: what has just been stored can be loaded otherwise only after a while.
    let between = 1..(side + 1 - N) / LANES;
    for j in between.clone() {
        let sum = lanes.outwards(values, j * LANES, weights);
        lanes.store(sum, &mut out[j]);
    }
    lanes.store(lanes.outwards(left, MARGIN, weights), &mut out[0]);
    for (j, out) in out.iter_mut().enumerate().skip(between.end) {
        let place = j * LANES + ENDS[1] - side;
        lanes.store(lanes.outwards(right, place, weights), out);
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
        for o in (0..outputs).step_by(2) {
            blurred_rows(lanes, rows, side, kernel, o..outputs.min(o + 2), out);
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
        let count = outputs.len();
        for o in (0..count).step_by(2) {
            blurred_rows(lanes, rows, side, kernel, o..count.min(o + 2), &mut block[porch..]);
            // One pair later than it is made: loads that take from several stores have to wait for
            // them.
            let to = line_at(out, start + o * side);
            let values = &block[porch + from - start..][..to - from];
            write_values(lanes, values, &mut out[from..to], streams);
            from = to;
        }
        let to = line_at(out, start + count * side);
        let values = &block[porch + from - start..][..to - from];
        write_values(lanes, values, &mut out[from..to], streams);
    }
}

/// One row, or two that follow one another.
#[inline(always)]
fn blurred_rows<L: Lanes>(
    lanes: L,
    rows: &[f32],
    side: usize,
    kernel: &HalfKernel,
    outputs: std::ops::Range<usize>,
    out: &mut [f32],
) {
    let stride = stride(side);
    let count = outputs.len() + 2 * kernel.radius;
    let rows = rows[outputs.start * stride..][..count * stride]
        .as_chunks()
        .0;
    let out = &mut out[outputs.start * side..];
    match *kernel.weights() {
        [w0] => columns(lanes, rows, [w0], outputs.len(), side, out),
        [w0, w1] => columns(lanes, rows, [w0, w1], outputs.len(), side, out),
        [w0, w1, w2] => columns(lanes, rows, [w0, w1, w2], outputs.len(), side, out),
        [w0, w1, w2, w3] => columns(lanes, rows, [w0, w1, w2, w3], outputs.len(), side, out),
        [w0, w1, w2, w3, w4] => {
            columns(lanes, rows, [w0, w1, w2, w3, w4], outputs.len(), side, out);
        }
        [w0, w1, w2, w3, w4, w5] => {
            columns(
                lanes,
                rows,
                [w0, w1, w2, w3, w4, w5],
                outputs.len(),
                side,
                out,
            );
        }
        [w0, w1, w2, w3, w4, w5, w6] => {
            columns(
                lanes,
                rows,
                [w0, w1, w2, w3, w4, w5, w6],
                outputs.len(),
                side,
                out,
            );
        }
        _ => {
            for o in 0..outputs.len() {
                let (rows, out) = (&rows[o * stride / LANES..], &mut out[o * side..]);
                many_columns(lanes, rows, kernel.weights(), &mut out[..stride]);
            }
        }
    }
}

/// One output row from `2 N - 1` others, or two from `2 N`; the second begins `side` values behind the
/// first.
#[inline(always)]
fn columns<L: Lanes, const N: usize>(
    lanes: L,
    rows: &[Row<f32>],
    weights: [f32; N],
    outputs: usize,
    side: usize,
    out: &mut [f32],
) {
    let splats = splats(lanes, weights);
    let len = stride(side) / LANES;
    if outputs < 2 {
        return many_columns(lanes, rows, &weights, &mut out[..len * LANES]);
    }
    // From the end: the first row's last vector reaches into the second, which comes on top.
    for j in (0..len).rev() {
        let [first, second] = lanes.middle_out(&rows[j..], len, &splats);
        put(lanes, first, out, j * LANES);
        put(lanes, second, out, side + j * LANES);
    }
}

#[inline(always)]
fn put<L: Lanes>(lanes: L, v: L::F, out: &mut [f32], place: usize) {
    if let Some(out) = out[place..].first_chunk_mut() {
        lanes.store(v, out);
    }
}

#[inline(always)]
fn many_columns<L: Lanes>(lanes: L, rows: &[Row<f32>], weights: &[f32], out: &mut [f32]) {
    let out = out.as_chunks_mut().0;
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
