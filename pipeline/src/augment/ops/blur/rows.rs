//! The pass of a blur along rows.

use chipmill_schemas::augment::Border;

use super::{HalfKernel, MOST_WEIGHTS, splats};
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
    /// Blurs some rows of `side` values along themselves into `out`, rows of [`stride`] values. `rows` come with the
    /// distance from one to the next.
    ///
    /// `line` is memory of [`line_len`] values. Each sum starts in the middle, goes outwards, and has every weight
    /// times `gain`.
    pub(crate) fn blur_rows(
        lanes,
        rows: (&[f32], usize),
        side: usize,
        kernel: &HalfKernel,
        gain: f32,
        line: &mut [f32],
        out: &mut [f32],
    ) {
        let border = kernel.border;
        of_known_length!(
            kernel,
            |weights| blur_all(lanes, rows, side, splats(lanes, weights, gain), border, line, out),
            else blur_all(lanes, rows, side, splats(lanes, kernel.weights, gain), border, line, out)
        );
    }
}

/// `N - 1` is the radius at least: weights beyond it are 0.
#[inline(always)]
fn blur_all<L: Lanes, const N: usize>(
    lanes: L,
    (rows, distance): (&[f32], usize),
    side: usize,
    weights: [L::F; N],
    border: Border,
    line: &mut [f32],
    out: &mut [f32],
) {
    let outputs = out.chunks_exact_mut(stride(side));
    let rows = rows.chunks(distance).filter_map(|row| row.get(..side));
    let outputs = rows.zip(outputs);
    if L::SHIFTS && N <= MOST_WEIGHTS && side >= LANES {
        let edges = Edges::new(lanes, side, border);
        for (values, out) in outputs {
            shifted_row(lanes, values, &weights, &edges, out.as_chunks_mut().0);
        }
        return;
    }
    let line = &mut line[..line_len(side)];
    line.fill(0.0);
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

/// What is beyond the borders, picked from the vectors beside them.
struct Edges<L: Lanes> {
    /// Before the first vector, from that.
    before: Edge<L>,
    /// The last vector, where it is not full, from the last sixteen values.
    last: Edge<L>,
    /// Behind the last vector, from the last sixteen values.
    behind: Edge<L>,
}

/// Where lanes are picked from, and which of them are kept.
struct Edge<L: Lanes> {
    index: L::U,
    kept: L::U,
}

impl<L: Lanes> Edges<L> {
    #[inline(always)]
    fn new(lanes: L, side: usize, border: Border) -> Self {
        // Values in the last vector.
        let count = (side - 1) % LANES + 1;
        let [mut before, mut last, mut behind] = [[0; LANES]; 3];
        for l in 0..LANES {
            // Mirrored at the first value, and at the last, which is the last of sixteen.
            before[l] = (LANES - l) % LANES;
            last[l] = match l < count {
                true => LANES - count + l,
                false => LANES - 2 + count - l,
            };
            behind[l] = (count + LANES - 2).saturating_sub(LANES + l);
        }
        Self {
            before: Edge::new(lanes, &before, 0, border),
            last: Edge::new(lanes, &last, count, border),
            behind: Edge::new(lanes, &behind, 0, border),
        }
    }
}

impl<L: Lanes> Edge<L> {
    /// Of which so many are values, and the others beyond the border.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "indices of lanes")]
    fn new(lanes: L, index: &Row<usize>, values: usize, border: Border) -> Self {
        let mut kept = [u32::MAX; LANES];
        if border == Border::Zero {
            kept[values..].fill(0);
        }
        Self {
            index: lanes.load_u(&index.map(|lane| lane as u32)),
            kept: lanes.load_u(&kept),
        }
    }

    #[inline(always)]
    fn of(&self, lanes: L, v: L::F) -> L::F {
        let picked = lanes.bits(lanes.pick(v, self.index));
        lanes.as_floats(lanes.and(picked, self.kept))
    }
}

/// A row of sixteen values or more.
#[inline(always)]
fn shifted_row<L: Lanes, const N: usize>(
    lanes: L,
    values: &[f32],
    weights: &[L::F; N],
    edges: &Edges<L>,
    out: &mut [Row<f32>],
) {
    let full = values.as_chunks().0;
    let (Some(first), Some(end)) = (full.first(), values.last_chunk()) else {
        return;
    };
    let end = lanes.load(end);
    let mut before = edges.before.of(lanes, lanes.load(first));
    let mut done = 0;
    while let Some((window, out)) = window(values, done).zip(out.get_mut(done)) {
        let here = first_of(lanes, window);
        lanes.store(lanes.outwards_from([before, here], window, weights), out);
        before = here;
        done += 1;
    }
    // What is behind the others is beyond the border, or too near to it to be read from memory.
    for j in done..out.len() {
        let here = vector(lanes, full, j, &edges.last, end);
        let behind = match j + 1 < out.len() {
            true => vector(lanes, full, j + 1, &edges.last, end),
            false => edges.behind.of(lanes, end),
        };
        lanes.store(
            lanes.outwards_of([before, here, behind], weights),
            &mut out[j],
        );
        before = here;
    }
}

/// Vector `j` of a row: one of the full ones, or the last.
#[inline(always)]
fn vector<L: Lanes>(lanes: L, full: &[Row<f32>], j: usize, last: &Edge<L>, end: L::F) -> L::F {
    match full.get(j) {
        Some(row) => lanes.load(row),
        None => last.of(lanes, end),
    }
}

/// Vector `j` with the six values behind it.
#[inline(always)]
fn window(values: &[f32], j: usize) -> Option<&[f32; LANES + 6]> {
    values.get(j * LANES..)?.first_chunk()
}

#[inline(always)]
fn first_of<L: Lanes>(lanes: L, window: &[f32; LANES + 6]) -> L::F {
    match window.first_chunk() {
        Some(row) => lanes.load(row),
        None => lanes.splat(0.0),
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

/// Blurs all rows of a plane of `side` x `side` values along themselves. `rows` then holds them, [`stride`] values
/// each, with as many beyond the borders as the kernel reaches.
pub(crate) fn blur_along_rows(
    simd: Simd,
    plane: &[f32],
    side: usize,
    kernel: &HalfKernel,
    line: &mut [f32],
    rows: &mut [f32],
) {
    let (stride, radius) = (stride(side), kernel.radius);
    // Row `y` of the plane is row `y + radius` here.
    let place = |y: usize| (y + radius) * stride;
    blur_rows(
        simd,
        (plane, side),
        side,
        kernel,
        1.0,
        line,
        &mut rows[place(0)..],
    );
    for k in 1..=radius {
        let (above, below) = (place(0) - k * stride, place(side - 1 + k));
        beyond(kernel.border, above, place(k), stride, rows);
        beyond(kernel.border, below, place(side - 1 - k), stride, rows);
    }
}

/// A row beyond the border: its mirror image, or zeros.
fn beyond(border: Border, to: usize, mirrored: usize, stride: usize, rows: &mut [f32]) {
    match border {
        Border::Reflect => rows.copy_within(mirrored..mirrored + stride, to),
        Border::Zero => rows[to..to + stride].fill(0.0),
    }
}
