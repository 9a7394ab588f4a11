//! The pass of a blur along rows.

use chipmill_schemas::augment::Border;

use super::{HalfKernel, splats};
use crate::augment::resample::stride;
use crate::simd::{LANES, Lanes, Row, Simd, kernel};

/// Room before and behind a row that is being blurred: no kernel reaches further.
const MARGIN: usize = LANES;
/// Values of a row that are laid out with a margin, at its beginning and its end.
const ENDS: [usize; 2] = [2 * LANES, 3 * LANES];
/// Values of a row's beginning with the margin before it.
const LEFT: usize = MARGIN + ENDS[0];
/// Values of a row's end with the margin behind it, and what a last vector covers beyond that.
const RIGHT: usize = ENDS[1] + 2 * LANES;
/// Both ends of a row.
type Ends = [f32; LEFT + RIGHT];

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
    let outputs = out.chunks_exact_mut(stride(side));
    let outputs = plane.chunks_exact(side).zip(outputs);
    if side < ENDS[1] {
        for (values, out) in outputs {
            let out = out.as_chunks_mut().0;
            short_row(lanes, values, &weights, border, line, out);
        }
        return;
    }
    let Some(ends) = line.first_chunk_mut() else {
        return;
    };
    for (values, out) in outputs {
        lay_ends(values, N - 1, border, ends);
        row(lanes, values, &weights, ends, out.as_chunks_mut().0);
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

/// Lays out the ends of a row with what is beyond the border.
#[inline(always)]
fn lay_ends(values: &[f32], radius: usize, border: Border, ends: &mut Ends) {
    let (left, right) = ends.split_at_mut(LEFT);
    let (Some(first), Some(last)) = (values.first_chunk(), values.last_chunk()) else {
        return;
    };
    let (first, last): (&[f32; ENDS[0]], &[f32; ENDS[1]]) = (first, last);
    left[MARGIN..LEFT].copy_from_slice(first);
    right[..ENDS[1]].copy_from_slice(last);
    if border == Border::Reflect {
        for k in 1..=radius {
            left[MARGIN - k] = first[k];
            right[ENDS[1] - 1 + k] = last[ENDS[1] - 1 - k];
        }
    }
}

/// A row of which only the ends are laid out: vectors between are read from where they are.
#[inline(always)]
fn row<L: Lanes, const N: usize>(
    lanes: L,
    values: &[f32],
    weights: &[L::F; N],
    ends: &Ends,
    out: &mut [Row<f32>],
) {
    let side = values.len();
    let (left, right) = ends.split_at(LEFT);
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
