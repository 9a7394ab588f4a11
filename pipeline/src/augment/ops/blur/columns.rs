//! The pass of a blur along columns.

use std::ops::Range;

use super::{HalfKernel, MOST_WEIGHTS, splats};
use crate::augment::resample::stride;
use crate::augment::stream::{
    Lines, Rows, Sink, line_at, lines_of, rows_of_lines, stream_to_bands, write_values,
};
use crate::element::Element;
use crate::simd::{LANES, Lanes, Row, kernel};

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
        of_known_length!(
            kernel,
            |weights| for o in (0..outputs).step_by(2) {
                columns(lanes, rows, weights, o..outputs.min(o + 2), side, out);
            },
            else for o in 0..outputs {
                many_columns(lanes, rows, kernel.weights(), o, side, out);
            }
        );
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
        outputs: Range<usize>,
        block: &mut [f32],
        porch: usize,
        out: &mut [E],
        streams: bool,
    ) {
        let start = outputs.start * side;
        if streams && is_gapless(side, kernel, &outputs)
            && let Some(lines) = lines_of(&mut out[start..outputs.end * side])
        {
            let mut lines = Lines::<L, E>::new(lines);
            let memory = &mut block[porch..];
            return of_known_length!(
                kernel,
                |weights| for o in (0..outputs.len()).step_by(2) {
                    let rows = &rows[o * stride(side)..];
                    streamed_pair(lanes, rows, weights, side, memory, &mut lines);
                },
                // None that `is_gapless` is true of.
                else {}
            );
        }
        let mut from = line_at(out, start);
        let count = outputs.len();
        for o in (0..count).step_by(2) {
            let (two, made) = (o..count.min(o + 2), &mut block[porch..]);
            of_known_length!(
                kernel,
                |weights| columns(lanes, rows, weights, two, side, made),
                else for o in two {
                    many_columns(lanes, rows, kernel.weights(), o, side, made);
                }
            );
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

kernel! {
    /// All rows of a plane that every band of a view is equal to, streamed to each of them, if [`goes_to_bands`]: while
    /// some are on their way to memory, the next are made.
    ///
    /// `memory` holds five rows of [`stride`] values.
    pub(crate) fn blur_columns_to_bands[E: Element](
        lanes,
        rows: &[f32],
        side: usize,
        kernel: &HalfKernel,
        memory: &mut [f32],
        out: &mut [E],
    ) {
        let Some(lines) = lines_of(out) else {
            return;
        };
        let together = rows_of_lines::<E>();
        let (memory, second) = memory.split_at_mut(together * side);
        for piece in 0..side / together {
            let mut to = Rows::new(memory);
            for two in (0..together).step_by(2) {
                let rows = &rows[(piece * together + two) * stride(side)..];
                of_known_length!(
                    kernel,
                    |weights| streamed_pair(lanes, rows, weights, side, second, &mut to),
                    // None that `is_gapless` is true of.
                    else {}
                );
            }
            stream_to_bands::<L, E>(lanes, memory, piece, lines, side * side);
        }
    }
}

/// Whether [`blur_columns_to_bands`] can make whole cache lines of few rows.
pub(crate) fn goes_to_bands<E: Element>(side: usize, kernel: &HalfKernel, out: &mut [E]) -> bool {
    is_gapless(side, kernel, &(0..side)) && lines_of(out).is_some()
}

/// Whether rows can be written two by two, in whole vectors.
fn is_gapless(side: usize, kernel: &HalfKernel, outputs: &Range<usize>) -> bool {
    let pairs = outputs.start.is_multiple_of(2) && outputs.len().is_multiple_of(2);
    let is_known = kernel.weights().len() <= MOST_WEIGHTS;
    pairs && is_known && side.is_multiple_of(8) && side >= LANES
}

/// Two rows that follow one another, from registers to where they go: a load of what has been stored across two of
/// its vectors waits for all that was streamed before.
#[inline(always)]
fn streamed_pair<L: Lanes, const N: usize>(
    lanes: L,
    rows: &[f32],
    weights: [f32; N],
    side: usize,
    memory: &mut [f32],
    to: &mut impl Sink<L>,
) {
    let splats = splats(lanes, weights, 1.0);
    let rows = rows.as_chunks().0;
    let seconds = &mut memory.as_chunks_mut().0[..stride(side) / LANES];
    let len = seconds.len();
    let mut end = lanes.splat(0.0);
    for (j, to_second) in seconds.iter_mut().enumerate() {
        let [first, second] = middle_out(lanes, &rows[j..], len, &splats);
        lanes.store(second, to_second);
        if (j + 1) * LANES <= side {
            to.put(lanes, first);
        } else {
            end = first;
        }
    }
    if side.is_multiple_of(LANES) {
        for second in &*seconds {
            to.put(lanes, lanes.load(second));
        }
        return;
    }
    to.put(lanes, lanes.join(end, lanes.load(&seconds[0])));
    for [before, after] in seconds.array_windows() {
        let between = lanes.between(lanes.load(before), lanes.load(after));
        to.put(lanes, between);
    }
}

/// Vectors of a row of 113 to 128 values, which most views have.
const USUAL: usize = 8;

/// [`Lanes::middle_out`] with a constant distance where it can be: otherwise every row has an address of its own,
/// and they are more than there are registers.
#[inline(always)]
fn middle_out<L: Lanes, const N: usize>(
    lanes: L,
    rows: &[Row<f32>],
    len: usize,
    weights: &[L::F; N],
) -> [L::F; 2] {
    match len {
        USUAL => lanes.middle_out(rows, USUAL, weights),
        _ => lanes.middle_out(rows, len, weights),
    }
}

/// One output row from `2 N - 1` others, or two from `2 N`; the second begins `side` values behind the
/// first.
#[inline(always)]
fn columns<L: Lanes, const N: usize>(
    lanes: L,
    rows: &[f32],
    weights: [f32; N],
    outputs: Range<usize>,
    side: usize,
    out: &mut [f32],
) {
    if outputs.len() < 2 {
        return many_columns(lanes, rows, &weights, outputs.start, side, out);
    }
    let splats = splats(lanes, weights, 1.0);
    let len = stride(side) / LANES;
    let rows = &rows.as_chunks().0[outputs.start * len..];
    let out = &mut out[outputs.start * side..];
    // From the end: the first row's last vector reaches into the second, which comes on top.
    for j in (0..len).rev() {
        let [first, second] = middle_out(lanes, &rows[j..], len, &splats);
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

/// Output row `output` with any number of weights.
#[inline(always)]
fn many_columns<L: Lanes>(
    lanes: L,
    rows: &[f32],
    weights: &[f32],
    output: usize,
    side: usize,
    out: &mut [f32],
) {
    let (len, radius) = (stride(side) / LANES, weights.len() - 1);
    let rows = &rows.as_chunks().0[output * len..];
    let out = &mut out[output * side..].as_chunks_mut().0[..len];
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
