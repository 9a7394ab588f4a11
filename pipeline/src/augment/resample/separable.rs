//! The two passes of a resampling: along rows, then along columns.

use super::taps::{Across, Taps};
use crate::augment::scratch::reserve;
use crate::simd::{LANES, Lanes, Pick, Row, kernel};

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
        lanes.from_u16(from)
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
    lines: Vec<f32>,
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
            (&mut self.lines, GROUP * line(largest)),
            (&mut self.turned_f32, largest * largest),
            (&mut self.rows, rows),
        ] {
            reserve(values, len);
            values.resize(values.len().max(len), 0.0);
        }
        let len = largest * largest;
        reserve(&mut self.turned, len);
        self.turned.resize(self.turned.len().max(len), 0);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let all = [&self.lines, &self.turned_f32, &self.rows];
        let floats = all.iter().map(|v| v.capacity() * size_of::<f32>());
        floats.sum::<usize>() + self.turned.capacity() * size_of::<u16>()
    }
}

/// Values of a source row with the room that vectors may read beyond its end.
fn line(native: usize) -> usize {
    native.next_multiple_of(LANES) + 2 * LANES
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

/// Resamples one band, `source` of `native` x `native` pixels, along its rows; with `transposed` the
/// source's columns are taken as its rows. What comes out is in `buffers.rows`: those rows that `y` asks
/// for, from `y.inputs().0` on.
pub(crate) fn resample_rows<P: Turn>(
    simd: crate::simd::Simd,
    source: &[P],
    native: usize,
    transposed: bool,
    (y, x, across): (&Taps, &Taps, &Across),
    buffers: &mut Buffers,
) {
    let (rows, columns) = (y.inputs(), x.inputs());
    let side = x.starts.len();
    if !transposed {
        let Buffers { lines, rows: out, .. } = buffers;
        return along_rows(simd, source, native, rows, columns, across, side, lines, out);
    }
    let mut turned = std::mem::take(P::turned(buffers));
    transpose(simd, source, native, rows, columns, &mut turned);
    let Buffers { lines, rows: out, .. } = buffers;
    along_rows(simd, &turned, native, rows, columns, across, side, lines, out);
    *P::turned(buffers) = turned;
}

/// Edge of the square blocks that [`transpose`] works in.
const BLOCK: usize = 8;

kernel! {
    /// `to[r][c] = source[c][r]` for at least the rows and columns given.
    fn transpose[P: Pixel](
        lanes,
        source: &[P],
        native: usize,
        rows: (usize, usize),
        columns: (usize, usize),
        to: &mut [P],
    ) {
        let (top, bottom) = rows;
        let (left, right) = columns;
        if native < BLOCK {
            return;
        }
        // The last blocks overlap with those before them.
        for r in (top..bottom).step_by(BLOCK) {
            let r = r.min(native - BLOCK);
            for c in (left..right).step_by(BLOCK) {
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
    /// Row `r` of `out` is row `top + r` of the source, resampled. A sum runs over its taps in ascending
    /// order; the first product is rounded, the others are fused.
    fn along_rows[P: Pixel](
        lanes,
        source: &[P],
        native: usize,
        rows: (usize, usize),
        columns: (usize, usize),
        across: &Across,
        side: usize,
        lines: &mut [f32],
        out: &mut [f32],
    ) {
        let line = line(native);
        let stride = stride(side);
        let width = across.weights.len() / across.picks.len().max(1);
        for first in (rows.0..rows.1).step_by(GROUP) {
            let count = GROUP.min(rows.1 - first);
            for (row, to) in (first..first + count).zip(lines.chunks_exact_mut(line)) {
                widen(lanes, &source[row * native..][..native], columns, to);
            }
            let lines = &lines[..count * line];
            let out = &mut out[(first - rows.0) * stride..][..count * stride];
            let weights = across.weights.chunks_exact(width.max(1));
            for (b, (pick, weights)) in across.picks.iter().zip(weights).enumerate() {
                let out = out.chunks_exact_mut(stride).map(|row| &mut row[b * LANES..]);
                let rows = lines.chunks_exact(line).zip(out);
                match width {
                    1 => sums::<L, 1>(lanes, rows, pick, weights),
                    2 => sums::<L, 2>(lanes, rows, pick, weights),
                    4 => sums::<L, 4>(lanes, rows, pick, weights),
                    _ => wide_sums(lanes, rows, pick, weights),
                }
            }
        }
    }
}

/// Converts at least the columns given.
#[inline(always)]
fn widen<L: Lanes, P: Pixel>(lanes: L, from: &[P], columns: (usize, usize), to: &mut [f32]) {
    let Some(last) = from.len().checked_sub(LANES) else {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from.value();
        }
        return;
    };
    for at in (columns.0 / LANES * LANES..columns.1).step_by(LANES) {
        // The last sixteen overlap with those before them.
        let at = at.min(last);
        if let (Some(from), Some(to)) = (from[at..].first_chunk(), to[at..].first_chunk_mut()) {
            lanes.store(P::load(lanes, from), to);
        }
    }
}

#[inline(always)]
fn sums<'a, L: Lanes, const W: usize>(
    lanes: L,
    rows: impl Iterator<Item = (&'a [f32], &'a mut [f32])>,
    pick: &Pick,
    weights: &[Row<f32>],
) {
    let Some(weights) = weights.first_chunk::<W>() else {
        return;
    };
    let mut loaded = [lanes.splat(0.0); W];
    for (to, from) in loaded.iter_mut().zip(weights) {
        *to = lanes.load(from);
    }
    for (line, out) in rows {
        let mut sum = lanes.mul(lanes.pick(line, pick, 0), loaded[0]);
        for (k, weight) in loaded.iter().enumerate().skip(1) {
            sum = lanes.mul_add(lanes.pick(line, pick, k), *weight, sum);
        }
        if let Some(out) = out.first_chunk_mut() {
            lanes.store(sum, out);
        }
    }
}

#[inline(always)]
fn wide_sums<'a, L: Lanes>(
    lanes: L,
    rows: impl Iterator<Item = (&'a [f32], &'a mut [f32])>,
    pick: &Pick,
    weights: &[Row<f32>],
) {
    for (line, out) in rows {
        let mut sum = lanes.mul(lanes.pick(line, pick, 0), lanes.load(&weights[0]));
        for (k, weight) in weights.iter().enumerate().skip(1) {
            sum = lanes.mul_add(lanes.pick(line, pick, k), lanes.load(weight), sum);
        }
        if let Some(out) = out.first_chunk_mut() {
            lanes.store(sum, out);
        }
    }
}

kernel! {
    /// The view's rows from `first` on, as many as fit `out` before its last sixteen values, from the
    /// rows of [`resample_rows`], with an affine map folded into the weights. With `adds`, adds to what is
    /// in `out` in place of the offset.
    ///
    /// `out` is written in whole vectors: up to fifteen values behind the last row are overwritten.
    pub(crate) fn along_columns(
        lanes,
        rows: &[f32],
        y: &Taps,
        affine: Affine,
        adds: bool,
        outputs: std::ops::Range<usize>,
        out: &mut [f32],
    ) {
        match y.width {
            1 => columns::<L, 1>(lanes, rows, y, affine, adds, outputs, out),
            2 => columns::<L, 2>(lanes, rows, y, affine, adds, outputs, out),
            4 => columns::<L, 4>(lanes, rows, y, affine, adds, outputs, out),
            _ => many_columns(lanes, rows, y, affine, adds, outputs, out),
        }
    }
}

#[inline(always)]
fn columns<L: Lanes, const W: usize>(
    lanes: L,
    rows: &[f32],
    y: &Taps,
    affine: Affine,
    adds: bool,
    outputs: std::ops::Range<usize>,
    out: &mut [f32],
) {
    let side = y.starts.len();
    let (stride, top) = (stride(side), y.inputs().0);
    let (weights, _) = y.weights.as_chunks::<W>();
    let offset = lanes.splat(affine.offset);
    for (i, o) in outputs.enumerate() {
        let out = out[i * side..][..stride].as_chunks_mut::<LANES>().0;
        let first = (y.starts[o] as usize - top) * stride;
        let from: [&[Row<f32>]; W] =
            std::array::from_fn(|k| rows[first + k * stride..][..stride].as_chunks().0);
        let mut factors = [offset; W];
        for (factor, weight) in factors.iter_mut().zip(weights[o]) {
            *factor = lanes.splat(weight * affine.gain);
        }
        for (j, to) in out.iter_mut().enumerate() {
            let mut sum = if adds { lanes.load(to) } else { offset };
            for (row, factor) in from.iter().zip(factors) {
                sum = lanes.mul_add(lanes.load(&row[j]), factor, sum);
            }
            lanes.store(sum, to);
        }
    }
}

#[inline(always)]
fn many_columns<L: Lanes>(
    lanes: L,
    rows: &[f32],
    y: &Taps,
    affine: Affine,
    adds: bool,
    outputs: std::ops::Range<usize>,
    out: &mut [f32],
) {
    let side = y.starts.len();
    let (stride, top) = (stride(side), y.inputs().0);
    let offset = lanes.splat(affine.offset);
    for (i, o) in outputs.enumerate() {
        let out = out[i * side..][..stride].as_chunks_mut::<LANES>().0;
        let first = (y.starts[o] as usize - top) * stride;
        let weights = &y.weights[o * y.width..][..y.width];
        for (j, to) in out.iter_mut().enumerate() {
            let mut sum = if adds { lanes.load(to) } else { offset };
            for (row, weight) in rows[first..].chunks_exact(stride).zip(weights) {
                let factor = lanes.splat(weight * affine.gain);
                sum = lanes.mul_add(lanes.load(&row.as_chunks().0[j]), factor, sum);
            }
            lanes.store(sum, to);
        }
    }
}
