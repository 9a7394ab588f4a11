//! The two passes of a resampling: along rows, then along columns.

use super::taps::Taps;
use crate::augment::scratch::reserve;

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
}

/// A value that pixels are stored as.
pub(crate) trait Pixel: Copy {
    fn value(self) -> f32;
}

impl Pixel for u16 {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from(self)
    }
}

impl Pixel for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

/// Memory of [`resample`], reused from call to call.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    line: Vec<f32>,
    turned: Vec<f32>,
    rows: Vec<f32>,
}

impl Buffers {
    /// Takes the memory for `side` x `side` outputs from at most `largest` x `largest` inputs.
    pub(crate) fn reserve(&mut self, side: usize, largest: usize) {
        reserve(&mut self.line, largest);
        reserve(&mut self.turned, largest * largest);
        reserve(&mut self.rows, largest * side);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let all = [&self.line, &self.turned, &self.rows];
        all.iter().map(|v| v.capacity() * size_of::<f32>()).sum()
    }
}

/// Resamples one band, `source` of `native` x `native` pixels, into the square `out`, and applies
/// `affine` to the result.
///
/// With `transposed`, the source's columns are taken as its rows. `y` and `x` are the weights of the
/// result's rows and columns. Every sum runs over its taps in ascending order, rounding after each
/// product and each sum.
pub(crate) fn resample<P: Pixel>(
    source: &[P],
    native: usize,
    transposed: bool,
    (y, x): (&Taps, &Taps),
    affine: Affine,
    buffers: &mut Buffers,
    out: &mut [f32],
) {
    let Buffers { line, turned, rows } = buffers;
    let side = x.starts.len();
    let (top, bottom) = y.inputs();
    let (left, right) = x.inputs();
    rows.resize(rows.len().max((bottom - top) * side), 0.0);
    line.resize(line.len().max(native), 0.0);
    if transposed {
        turned.resize(turned.len().max(native * native), 0.0);
        transpose(source, native, (top, bottom), (left, right), turned);
    }
    for (row, sums) in (top..bottom).zip(rows.chunks_exact_mut(side)) {
        let span = row * native + left..row * native + right;
        let values = if transposed {
            &turned[row * native..][..native]
        } else {
            for (value, pixel) in line[left..right].iter_mut().zip(&source[span]) {
                *value = pixel.value();
            }
            &line[..native]
        };
        along_row(values, x, sums);
    }
    along_columns(rows, top, y, affine, out);
}

/// Edge of the square blocks that [`transpose`] works in, so that both sides stay in cache.
const BLOCK: usize = 8;

/// `to[r][c] = source[c][r]` for the rows and columns given.
fn transpose<P: Pixel>(
    source: &[P],
    native: usize,
    (top, bottom): (usize, usize),
    (left, right): (usize, usize),
    to: &mut [f32],
) {
    for r0 in (top..bottom).step_by(BLOCK) {
        let r1 = (r0 + BLOCK).min(bottom);
        for c0 in (left..right).step_by(BLOCK) {
            for c in c0..(c0 + BLOCK).min(right) {
                let from = &source[c * native + r0..c * native + r1];
                for (r, pixel) in (r0..r1).zip(from) {
                    to[r * native + c] = pixel.value();
                }
            }
        }
    }
}

fn along_row(values: &[f32], x: &Taps, out: &mut [f32]) {
    match x.width {
        1 => along_row_of::<1>(values, x, out),
        2 => along_row_of::<2>(values, x, out),
        4 => along_row_of::<4>(values, x, out),
        8 => along_row_of::<8>(values, x, out),
        width => {
            let weights = x.weights.chunks_exact(width);
            for ((o, &start), w) in out.iter_mut().zip(&x.starts).zip(weights) {
                let window = &values[start as usize..][..width];
                *o = window.iter().zip(w).fold(0.0, |sum, (v, w)| sum + v * w);
            }
        }
    }
}

#[inline]
fn along_row_of<const W: usize>(values: &[f32], x: &Taps, out: &mut [f32]) {
    let (weights, _) = x.weights.as_chunks::<W>();
    for ((o, &start), w) in out.iter_mut().zip(&x.starts).zip(weights) {
        let window = &values[start as usize..][..W];
        let mut sum = window[0] * w[0];
        for k in 1..W {
            sum += window[k] * w[k];
        }
        *o = sum;
    }
}

fn along_columns(rows: &[f32], top: usize, y: &Taps, affine: Affine, out: &mut [f32]) {
    match y.width {
        1 => along_columns_of::<1>(rows, top, y, affine, out),
        2 => along_columns_of::<2>(rows, top, y, affine, out),
        4 => along_columns_of::<4>(rows, top, y, affine, out),
        8 => along_columns_of::<8>(rows, top, y, affine, out),
        width => along_many_columns(width, rows, top, y, affine, out),
    }
}

#[inline]
fn along_columns_of<const W: usize>(
    rows: &[f32],
    top: usize,
    y: &Taps,
    affine: Affine,
    out: &mut [f32],
) {
    let side = y.starts.len();
    let (weights, _) = y.weights.as_chunks::<W>();
    let lines = out.chunks_exact_mut(side).zip(&y.starts).zip(weights);
    for ((line, &start), weights) in lines {
        let weights = weights.map(|w| w * affine.gain);
        let first = (start as usize - top) * side;
        let from: [&[f32]; W] = std::array::from_fn(|k| &rows[first + k * side..][..side]);
        for (i, o) in line.iter_mut().enumerate() {
            let mut sum = from[0][i] * weights[0];
            for k in 1..W {
                sum += from[k][i] * weights[k];
            }
            *o = sum + affine.offset;
        }
    }
}

fn along_many_columns(
    width: usize,
    rows: &[f32],
    top: usize,
    y: &Taps,
    affine: Affine,
    out: &mut [f32],
) {
    let side = y.starts.len();
    let weights = y.weights.chunks_exact(width);
    for ((line, &start), weights) in out.chunks_exact_mut(side).zip(&y.starts).zip(weights) {
        line.fill(0.0);
        let from = rows[(start as usize - top) * side..].chunks_exact(side);
        for (row, weight) in from.zip(weights) {
            let weight = weight * affine.gain;
            for (o, value) in line.iter_mut().zip(row) {
                *o += value * weight;
            }
        }
        for o in line {
            *o += affine.offset;
        }
    }
}
