//! The pass of a resampling along columns, with the map of the band folded into its weights.

use std::ops::Range;

use super::separable::{Affine, stride};
use super::taps::Taps;
use super::wide::wide_pairs;
use crate::augment::stream::{Lines, Rows, Sink, line_at, lines_of, write_values};
use crate::element::Element;
use crate::simd::{LANES, Lanes, Row, kernel};

/// Taps of a pass that has a loop of its own for them.
pub(super) const MOST_TAPS: usize = 4;

/// The side of most views, for which there is code with constant distances.
const USUAL: usize = 120;

/// The pass along columns: which rows it reads, their weights, and the map folded into those.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns<'a> {
    /// What [`Raster::along_rows`](super::Raster::along_rows) gave, from the native row `top` on.
    pub(crate) rows: &'a [f32],
    pub(crate) top: usize,
    pub(crate) y: &'a Taps,
    pub(crate) map: Affine,
    /// Adds to what is there, in place of the map's offset.
    pub(crate) adds: bool,
}

impl Columns<'_> {
    /// Outputs, and values of a row of them.
    pub(crate) fn side(&self) -> usize {
        self.y.starts.len()
    }

    /// Whether all rows can go to a band of a view as whole cache lines.
    pub(crate) fn goes_to_lines<E: Element>(&self, out: &mut [E]) -> bool {
        self.is_gapless(&(0..self.side())) && lines_of(out).is_some()
    }

    /// Weights of two outputs at a time, into which no gain is folded.
    fn has_pairs(&self) -> bool {
        debug_assert!(self.y.pairs.is_empty() || self.map.gain == 1.0);
        !self.y.pairs.is_empty()
    }

    /// Whether these outputs can be made in vectors that follow one another without a gap: rows in pairs,
    /// where the end of one and the beginning of the next may share a vector.
    fn is_gapless(&self, outputs: &Range<usize>) -> bool {
        let side = self.side();
        let taps = matches!(self.y.width, 1..=MOST_TAPS) || self.has_pairs();
        let pairs = outputs.start.is_multiple_of(2) && outputs.len().is_multiple_of(2);
        taps && pairs && side.is_multiple_of(8) && side >= LANES && !self.adds
    }
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
        let side = columns.side();
        if columns.is_gapless(&outputs) {
            let mut rows = Rows::new(&mut out[..outputs.len() * side]);
            return gapless(lanes, &columns, outputs, &mut rows);
        }
        for (i, o) in outputs.enumerate() {
            view_row(lanes, &columns, o, &mut out[i * side..]);
        }
    }
}

kernel! {
    /// The same, written to one band of a view: computing and streaming take turns, so that neither waits
    /// long for the other.
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
        let side = columns.side();
        let start = outputs.start * side;
        if streams && columns.is_gapless(&outputs)
            && let Some(lines) = lines_of(&mut out[start..outputs.end * side])
        {
            let mut lines = Lines::<L, E>::new(lines);
            return gapless(lanes, &columns, outputs, &mut lines);
        }
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

/// Vector after vector of outputs that [`Columns::is_gapless`] holds for.
#[inline(always)]
pub(crate) fn gapless<L: Lanes>(
    lanes: L,
    columns: &Columns<'_>,
    outputs: Range<usize>,
    to: &mut impl Sink<L>,
) {
    if columns.has_pairs() {
        return wide_pairs(lanes, columns, outputs, to);
    }
    match columns.y.width {
        1 => pairs::<L, 1>(lanes, columns, outputs, to),
        2 => pairs::<L, 2>(lanes, columns, outputs, to),
        3 => pairs::<L, 3>(lanes, columns, outputs, to),
        _ => pairs::<L, 4>(lanes, columns, outputs, to),
    }
}

#[inline(always)]
fn pairs<L: Lanes, const W: usize>(
    lanes: L,
    columns: &Columns<'_>,
    outputs: Range<usize>,
    to: &mut impl Sink<L>,
) {
    match columns.side() {
        USUAL => pairs_of::<L, W>(lanes, columns, USUAL, outputs, to),
        side => pairs_of::<L, W>(lanes, columns, side, outputs, to),
    }
}

#[inline(always)]
fn pairs_of<L: Lanes, const W: usize>(
    lanes: L,
    columns: &Columns<'_>,
    side: usize,
    outputs: Range<usize>,
    to: &mut impl Sink<L>,
) {
    // Whole vectors of a row; the next, if there is one, is shared with the row that follows.
    let whole = side / LANES;
    for o in outputs.step_by(2) {
        // Not by a closure: it would not be compiled for the kernel's instructions.
        let first = Sources::<L, W>::new(lanes, columns, side, o);
        let second = Sources::<L, W>::new(lanes, columns, side, o + 1);
        for j in 0..whole {
            to.put(lanes, first.sum(lanes, j));
        }
        if side.is_multiple_of(LANES) {
            for j in 0..whole {
                to.put(lanes, second.sum(lanes, j));
            }
            to.pause(lanes);
            continue;
        }
        // The second row's vectors are put together from those that are whole in memory: others would touch two
        // cache lines each.
        let mut before = second.sum(lanes, 0);
        to.put(lanes, lanes.join(first.sum(lanes, whole), before));
        for j in 0..whole {
            let behind = second.sum(lanes, j + 1);
            to.put(lanes, lanes.between(before, behind));
            before = behind;
        }
        to.pause(lanes);
    }
}

/// What one output row is made from.
struct Sources<'a, L: Lanes, const W: usize> {
    rows: [&'a [Row<f32>]; W],
    factors: [L::F; W],
    offset: L::F,
}

impl<'a, L: Lanes, const W: usize> Sources<'a, L, W> {
    #[inline(always)]
    fn new(lanes: L, columns: &Columns<'a>, side: usize, o: usize) -> Self {
        let Columns {
            rows, top, y, map, ..
        } = *columns;
        let len = stride(side) / LANES;
        let (first, weights) = y.line(o);
        let all = &rows.as_chunks().0[(first - top) * len..][..W * len];
        let mut rows = [&[][..]; W];
        let mut factors = [lanes.splat(0.0); W];
        for k in 0..W {
            rows[k] = &all[k * len..][..len];
            factors[k] = lanes.splat(weights[k] * map.gain);
        }
        Self {
            rows,
            factors,
            offset: lanes.splat(map.offset),
        }
    }

    /// The weighted sum of vector `j` of each row.
    #[inline(always)]
    fn sum(&self, lanes: L, j: usize) -> L::F {
        fused_sum(lanes, &self.rows, &self.factors, j, self.offset)
    }
}

#[inline(always)]
fn view_row<L: Lanes>(lanes: L, columns: &Columns<'_>, o: usize, out: &mut [f32]) {
    match columns.y.width {
        _ if columns.has_pairs() => many_weighted_rows(lanes, columns, o, out),
        1 => weighted_rows::<L, 1>(lanes, columns, o, out),
        2 => weighted_rows::<L, 2>(lanes, columns, o, out),
        3 => weighted_rows::<L, 3>(lanes, columns, o, out),
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
    let side = columns.side();
    let sources = Sources::<L, W>::new(lanes, columns, side, o);
    let out = &mut out.as_chunks_mut::<LANES>().0[..stride(side) / LANES];
    if columns.adds {
        for (j, to) in out.iter_mut().enumerate() {
            let before = lanes.load(to);
            let sum = fused_sum(lanes, &sources.rows, &sources.factors, j, before);
            lanes.store(sum, to);
        }
        return;
    }
    for (j, to) in out.iter_mut().enumerate() {
        lanes.store(sources.sum(lanes, j), to);
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
    let (first, weights) = y.line(o);
    let out = out[..stride].as_chunks_mut::<LANES>().0;
    for (j, to) in out.iter_mut().enumerate() {
        let mut sum = if adds {
            lanes.load(to)
        } else {
            lanes.splat(map.offset)
        };
        for (row, weight) in rows.chunks_exact(stride).skip(first - top).zip(weights) {
            let factor = lanes.splat(weight * map.gain);
            sum = lanes.mul_add(lanes.load(&row.as_chunks().0[j]), factor, sum);
        }
        lanes.store(sum, to);
    }
}
