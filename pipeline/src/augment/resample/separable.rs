//! The two passes of a resampling: along rows, then along columns.

use std::ops::Range;

use super::taps::{Across, Taps};
use crate::augment::scratch::reserve;
use crate::augment::stream::{line_at, write_values};
use crate::element::Element;
use crate::simd::{LANES, Lanes, Line16, Pick, Row, Simd, kernel};

/// `x * gain + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Affine {
    pub(crate) gain: f32,
    pub(crate) offset: f32,
}

impl Affine {
    pub(crate) const IDENTITY: Self = Self {
        gain: 1.0,
        offset: 0.0,
    };

    /// This, and then the other.
    pub(crate) fn then(self, next: Self) -> Self {
        Self {
            gain: self.gain * next.gain,
            offset: self.offset * next.gain + next.offset,
        }
    }
}

/// A value that pixels are stored as.
pub(crate) trait Pixel: Copy + Default {
    fn value(self) -> f32;
    fn load<L: Lanes>(lanes: L, from: &Row<Self>) -> L::F;
    /// `to[r][c] = from[c][r]`.
    fn transpose8<L: Lanes>(lanes: L, from: [[Self; 8]; 8]) -> [[Self; 8]; 8];
}

impl Pixel for u16 {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from(self)
    }

    #[inline(always)]
    fn load<L: Lanes>(lanes: L, from: &Row<Self>) -> L::F {
        lanes.widen(from)
    }

    #[inline(always)]
    fn transpose8<L: Lanes>(lanes: L, from: [[Self; 8]; 8]) -> [[Self; 8]; 8] {
        lanes.transpose8(from)
    }
}

impl Pixel for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }

    #[inline(always)]
    fn load<L: Lanes>(lanes: L, from: &Row<Self>) -> L::F {
        lanes.load(from)
    }

    #[inline(always)]
    fn transpose8<L: Lanes>(_: L, from: [[Self; 8]; 8]) -> [[Self; 8]; 8] {
        std::array::from_fn(|r| std::array::from_fn(|c| from[c][r]))
    }
}

/// Rows that the pass along rows works on at a time, while the weights of sixteen outputs stay in
/// registers.
const GROUP: usize = 8;

/// Memory of the passes, reused from call to call.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// `GROUP` source rows as `f32`.
    lines: Vec<Line16>,
    /// A source with rows and columns exchanged.
    turned: Vec<u16>,
    turned_f32: Vec<f32>,
    /// What the pass along rows gives: rows of [`stride`] values.
    pub(crate) rows: Vec<f32>,
}

/// Values from one row to the next where rows are whole numbers of lanes.
pub(crate) fn stride(side: usize) -> usize {
    side.next_multiple_of(LANES)
}

impl Buffers {
    /// Takes the memory for `side` x `side` outputs from at most `largest` x `largest` inputs, and for a
    /// blur of a view that needs `margin` rows more above and below.
    pub(crate) fn reserve(&mut self, side: usize, largest: usize, margin: usize) {
        let rows = largest.max(side + 2 * margin) * stride(side);
        for (values, len) in [
            (&mut self.turned_f32, largest * largest),
            (&mut self.rows, rows),
        ] {
            reserve(values, len);
            values.resize(values.len().max(len), 0.0);
        }
        reserve(&mut self.lines, GROUP);
        self.lines.resize(GROUP, [0.0; _]);
        let len = largest * largest;
        reserve(&mut self.turned, len);
        self.turned.resize(self.turned.len().max(len), 0);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let all = [&self.turned_f32, &self.rows];
        let floats = all.iter().map(|v| v.capacity() * size_of::<f32>());
        let lines = self.lines.capacity() * size_of::<Line16>();
        floats.sum::<usize>() + lines + self.turned.capacity() * size_of::<u16>()
    }
}

/// What a source's pixels are stored as, and the memory for it turned.
pub(crate) trait Turn: Pixel {
    fn turned(buffers: &mut Buffers) -> &mut Vec<Self>;
}

impl Turn for u16 {
    fn turned(buffers: &mut Buffers) -> &mut Vec<Self> {
        &mut buffers.turned
    }
}

impl Turn for f32 {
    fn turned(buffers: &mut Buffers) -> &mut Vec<Self> {
        &mut buffers.turned_f32
    }
}

/// A square image to be resampled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raster<'a, P> {
    pub(crate) pixels: &'a [P],
    /// Pixels a side.
    pub(crate) side: usize,
    /// Columns are taken as rows.
    pub(crate) transposed: bool,
}

impl<P: Turn> Raster<'_, P> {
    /// Makes ready what [`Self::along_rows`] reads: where rows and columns change places, that.
    pub(crate) fn turn(&self, simd: Simd, (y, x): (&Taps, &Taps), buffers: &mut Buffers) {
        if self.transposed {
            let turned = P::turned(buffers);
            let (rows, columns) = (y.all_inputs(), x.all_inputs());
            transpose(simd, self.pixels, self.side, rows, columns, turned);
        }
    }

    /// Resamples some rows along themselves. What comes out is in `buffers.rows`, from its beginning.
    pub(crate) fn along_rows(
        &self,
        simd: Simd,
        rows: Range<usize>,
        (x, across): (&Taps, &Across),
        buffers: &mut Buffers,
    ) {
        let (columns, outputs) = (x.all_inputs(), x.starts.len());
        let turned = std::mem::take(P::turned(buffers));
        let pixels = if self.transposed {
            &turned
        } else {
            self.pixels
        };
        let Buffers {
            lines, rows: out, ..
        } = buffers;
        let (side, to) = (self.side, (out.as_mut_slice(), stride(outputs)));
        along_rows(simd, pixels, side, rows, columns, across, lines, to);
        *P::turned(buffers) = turned;
    }
}

/// Edge of the square blocks that [`transpose`] works in.
const BLOCK: usize = 8;

kernel! {
    /// `to[r][c] = source[c][r]` for at least the rows and columns given.
    fn transpose[P: Pixel](
        lanes,
        source: &[P],
        native: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        to: &mut [P],
    ) {
        if native < BLOCK {
            return;
        }
        // The last blocks overlap with those before them.
        for r in rows.step_by(BLOCK) {
            let r = r.min(native - BLOCK);
            for c in columns.clone().step_by(BLOCK) {
                let c = c.min(native - BLOCK);
                let mut block = [[P::default(); BLOCK]; BLOCK];
                for (row, c) in block.iter_mut().zip(c..) {
                    row.copy_from_slice(&source[c * native + r..][..BLOCK]);
                }
                for (row, r) in P::transpose8(lanes, block).iter().zip(r..) {
                    to[r * native + c..][..BLOCK].copy_from_slice(row);
                }
            }
        }
    }
}

kernel! {
    /// Row `r` of `out`, which is a pair of memory and the distance of its rows, is row `rows.start + r`
    /// of the source, resampled. A sum runs over its taps in ascending order; the first product is
    /// rounded, the others are fused.
    fn along_rows[P: Pixel](
        lanes,
        source: &[P],
        native: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        across: &Across,
        lines: &mut [Line16],
        out: (&mut [f32], usize),
    ) {
        let (out, stride) = out;
        let width = (across.weights.len() / across.picks.len().max(1)).max(1);
        for first in rows.clone().step_by(GROUP) {
            let count = GROUP.min(rows.end - first);
            for (row, to) in (first..first + count).zip(&mut *lines) {
                widen(lanes, &source[row * native..][..native], columns.clone(), to);
            }
            let lines = &lines[..count];
            let out = &mut out[(first - rows.start) * stride..][..count * stride];
            let weights = across.weights.chunks_exact(width);
            for (b, (pick, weights)) in across.picks.iter().zip(weights).enumerate() {
                let to = (&mut out[b * LANES..], stride);
                match width {
                    1 => sums::<L, 1>(lanes, lines, pick, weights, to),
                    2 => sums::<L, 2>(lanes, lines, pick, weights, to),
                    4 => sums::<L, 4>(lanes, lines, pick, weights, to),
                    _ => wide_sums(lanes, lines, pick, weights, to),
                }
            }
        }
    }
}

/// Converts at least the columns given.
#[inline(always)]
fn widen<L: Lanes, P: Pixel>(lanes: L, from: &[P], columns: Range<usize>, to: &mut [f32]) {
    let Some(last) = from.len().checked_sub(LANES) else {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from.value();
        }
        return;
    };
    for at in (columns.start / LANES * LANES..columns.end).step_by(LANES) {
        // The last sixteen overlap with those before them.
        let at = at.min(last);
        if let (Some(from), Some(to)) = (from[at..].first_chunk(), to[at..].first_chunk_mut()) {
            lanes.store(P::load(lanes, from), to);
        }
    }
}

/// Sixteen outputs of every row, with `W` taps.
#[inline(always)]
fn sums<L: Lanes, const W: usize>(
    lanes: L,
    lines: &[Line16],
    pick: &Pick,
    weights: &[Row<f32>],
    (out, stride): (&mut [f32], usize),
) {
    let Some(weights) = weights.first_chunk::<W>().filter(|_| pick.close) else {
        return wide_sums(lanes, lines, pick, weights, (out, stride));
    };
    let mut loaded = [lanes.splat(0.0); W];
    for k in 0..W {
        loaded[k] = lanes.load(&weights[k]);
    }
    let (index, starts) = (lanes.pick_index(pick), pick.starts);
    for (r, line) in lines.iter().enumerate() {
        if let Some(out) = out[r * stride..].first_chunk_mut() {
            lanes.store(lanes.close_sum(line, starts, index, &loaded), out);
        }
    }
}

#[inline(always)]
fn wide_sums<L: Lanes>(
    lanes: L,
    lines: &[Line16],
    pick: &Pick,
    weights: &[Row<f32>],
    (out, stride): (&mut [f32], usize),
) {
    for (r, line) in lines.iter().enumerate() {
        let mut sum = lanes.mul(lanes.gather(line, pick, 0), lanes.load(&weights[0]));
        for (k, weight) in weights.iter().enumerate().skip(1) {
            sum = lanes.mul_add(lanes.gather(line, pick, k), lanes.load(weight), sum);
        }
        if let Some(out) = out[r * stride..].first_chunk_mut() {
            lanes.store(sum, out);
        }
    }
}

/// The pass along columns: which rows it reads, their weights, and the map folded into those.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns<'a> {
    /// What [`Raster::along_rows`] gave, from the native row `top` on.
    pub(crate) rows: &'a [f32],
    pub(crate) top: usize,
    pub(crate) y: &'a Taps,
    pub(crate) map: Affine,
    /// Adds to what is there, in place of the map's offset.
    pub(crate) adds: bool,
}

kernel! {
    /// Rows `outputs` of the view, one after the other.
    ///
    /// `out` is written in whole vectors: up to fifteen values behind the last row are overwritten.
    pub(crate) fn along_columns(
        lanes,
        columns: Columns<'_>,
        outputs: Range<usize>,
        out: &mut [f32],
    ) {
        let side = columns.y.starts.len();
        for (i, o) in outputs.enumerate() {
            view_row(lanes, &columns, o, &mut out[i * side..]);
        }
    }
}

kernel! {
    /// The same, written to one band of a view row by row: computing and streaming take turns, so that
    /// neither waits long for the other.
    ///
    /// `block` begins with `porch` values of which the last are those before the first row that did not
    /// fill a cache line.
    pub(crate) fn along_columns_to_view[E: Element](
        lanes,
        columns: Columns<'_>,
        outputs: Range<usize>,
        block: &mut [f32],
        porch: usize,
        out: &mut [E],
        streams: bool,
    ) {
        let side = columns.y.starts.len();
        let start = outputs.start * side;
        let mut from = line_at(out, start);
        for (i, o) in outputs.clone().enumerate() {
            view_row(lanes, &columns, o, &mut block[porch + i * side..]);
            let to = line_at(out, start + (i + 1) * side);
            let values = &block[porch + from - start..][..to - from];
            write_values(lanes, values, &mut out[from..to], streams);
            from = to;
        }
    }
}

#[inline(always)]
fn view_row<L: Lanes>(lanes: L, columns: &Columns<'_>, o: usize, out: &mut [f32]) {
    match columns.y.width {
        1 => weighted_rows::<L, 1>(lanes, columns, o, out),
        2 => weighted_rows::<L, 2>(lanes, columns, o, out),
        4 => weighted_rows::<L, 4>(lanes, columns, o, out),
        _ => many_weighted_rows(lanes, columns, o, out),
    }
}

#[inline(always)]
fn weighted_rows<L: Lanes, const W: usize>(
    lanes: L,
    columns: &Columns<'_>,
    o: usize,
    out: &mut [f32],
) {
    let Columns {
        rows,
        top,
        y,
        map,
        adds,
    } = *columns;
    let stride = stride(y.starts.len());
    let first = (y.starts[o] as usize - top) * stride;
    let rows = &rows[first..][..W * stride];
    let out = &mut out.as_chunks_mut::<LANES>().0[..stride / LANES];
    let mut from = [&[][..]; W];
    let mut factors = [lanes.splat(0.0); W];
    for k in 0..W {
        from[k] = &rows[k * stride..][..stride].as_chunks::<LANES>().0[..out.len()];
        factors[k] = lanes.splat(y.weights[o * W + k] * map.gain);
    }
    if adds {
        for (j, to) in out.iter_mut().enumerate() {
            let before = lanes.load(to);
            lanes.store(fused_sum(lanes, &from, &factors, j, before), to);
        }
        return;
    }
    let offset = lanes.splat(map.offset);
    for (j, to) in out.iter_mut().enumerate() {
        lanes.store(fused_sum(lanes, &from, &factors, j, offset), to);
    }
}

/// The weighted sum of value vector `j` of each row, beginning with `sum`.
#[inline(always)]
fn fused_sum<L: Lanes, const W: usize>(
    lanes: L,
    from: &[&[Row<f32>]; W],
    factors: &[L::F; W],
    j: usize,
    mut sum: L::F,
) -> L::F {
    for k in 0..W {
        sum = lanes.mul_add(lanes.load(&from[k][j]), factors[k], sum);
    }
    sum
}

#[inline(always)]
fn many_weighted_rows<L: Lanes>(lanes: L, columns: &Columns<'_>, o: usize, out: &mut [f32]) {
    let Columns {
        rows,
        top,
        y,
        map,
        adds,
    } = *columns;
    let stride = stride(y.starts.len());
    let first = (y.starts[o] as usize - top) * stride;
    let weights = &y.weights[o * y.width..][..y.width];
    let out = out[..stride].as_chunks_mut::<LANES>().0;
    for (j, to) in out.iter_mut().enumerate() {
        let mut sum = if adds {
            lanes.load(to)
        } else {
            lanes.splat(map.offset)
        };
        for (row, weight) in rows[first..].chunks_exact(stride).zip(weights) {
            let factor = lanes.splat(weight * map.gain);
            sum = lanes.mul_add(lanes.load(&row.as_chunks().0[j]), factor, sum);
        }
        lanes.store(sum, to);
    }
}
