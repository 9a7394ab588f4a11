//! The pass of a resampling along rows.

use std::ops::Range;

use super::separable::Pixel;
use super::taps::Across;
use crate::simd::{LANES, LINE, Lanes, Line16, Pick, Row, kernel};

/// Rows that are widened at a time, for lanes that pick from floats.
pub(super) const GROUP: usize = 8;

kernel! {
    /// Row `r` of `out`, which is a pair of memory and the distance of its rows, is row `rows.start + r`
    /// of the source, resampled. A sum runs over its taps in ascending order; the first product is
    /// rounded, the others are fused. `lines` is memory of [`GROUP`] lines.
    pub(super) fn along_rows[P: Pixel](
        lanes,
        source: &[P],
        native: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        across: &Across,
        lines: &mut [f32],
        out: (&mut [f32], usize),
    ) {
        let width = (across.weights.len() / across.picks.len().max(1)).max(1);
        let is_close = across.picks.iter().all(|pick| pick.close);
        let words = P::words(source).filter(|_| L::PICKS_WORDS && is_close);
        match (words, width) {
            (Some(words), 1) => words_along_rows::<L, 1>(lanes, words, native, rows, across, out),
            (Some(words), 2) => words_along_rows::<L, 2>(lanes, words, native, rows, across, out),
            (Some(words), 3) => words_along_rows::<L, 3>(lanes, words, native, rows, across, out),
            (Some(words), 4) => words_along_rows::<L, 4>(lanes, words, native, rows, across, out),
            _ => {
                let lines = &mut lines.as_chunks_mut().0[..GROUP];
                floats_along_rows(lanes, source, (native, width), rows, columns, across, lines, out);
            }
        }
    }
}

/// From pixels as they are stored, sixteen outputs of all rows at a time.
#[inline(always)]
fn words_along_rows<L: Lanes, const W: usize>(
    lanes: L,
    source: &[u16],
    native: usize,
    rows: Range<usize>,
    across: &Across,
    (out, stride): (&mut [f32], usize),
) {
    let blocks = across.picks.iter().zip(across.weights.as_chunks::<W>().0);
    for (b, (pick, weights)) in blocks.enumerate() {
        let weights = loaded(lanes, weights);
        let index = lanes.word_index(pick);
        let words = &source[rows.start * native + pick.starts.sixteen..];
        let to = (&mut out[b * LANES..], stride);
        lanes.word_sums((words, native), rows.len(), index, &weights, to);
    }
}

#[inline(always)]
fn loaded<L: Lanes, const W: usize>(lanes: L, weights: &[Row<f32>; W]) -> [L::F; W] {
    let mut loaded = [lanes.splat(0.0); W];
    for k in 0..W {
        loaded[k] = lanes.load(&weights[k]);
    }
    loaded
}

/// [`GROUP`] rows at a time, which are widened first.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the body of a kernel")]
fn floats_along_rows<L: Lanes, P: Pixel>(
    lanes: L,
    source: &[P],
    (native, width): (usize, usize),
    rows: Range<usize>,
    columns: Range<usize>,
    across: &Across,
    lines: &mut [Line16],
    (out, stride): (&mut [f32], usize),
) {
    for first in rows.clone().step_by(GROUP) {
        let count = GROUP.min(rows.end - first);
        for (row, to) in (first..first + count).zip(&mut *lines) {
            let from = &source[row * native..][..native];
            widen(lanes, from, columns.clone(), to);
        }
        let lines = &lines[..count];
        let out = &mut out[(first - rows.start) * stride..][..count * stride];
        let weights = across.weights.chunks_exact(width);
        for (b, (pick, weights)) in across.picks.iter().zip(weights).enumerate() {
            let to = (&mut out[b * LANES..], stride);
            match width {
                1 => sums::<L, 1>(lanes, lines, pick, weights, to),
                2 => sums::<L, 2>(lanes, lines, pick, weights, to),
                3 => sums::<L, 3>(lanes, lines, pick, weights, to),
                4 => sums::<L, 4>(lanes, lines, pick, weights, to),
                _ => wide_sums(lanes, lines, pick, weights, to),
            }
        }
    }
}

/// Converts at least the columns given.
#[inline(always)]
fn widen<L: Lanes, P: Pixel>(lanes: L, from: &[P], columns: Range<usize>, to: &mut [f32; LINE]) {
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
    let weights = loaded(lanes, weights);
    let (index, starts) = (lanes.pick_index(pick), pick.starts);
    for (r, line) in lines.iter().enumerate() {
        if let Some(out) = out[r * stride..].first_chunk_mut() {
            lanes.store(lanes.close_sum(line, starts, index, &weights), out);
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
