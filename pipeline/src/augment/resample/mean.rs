//! What can be told of a view before it is made, because a resampling is linear.

use super::separable::Pixel;
use crate::simd::{LANES, Lanes, Row, kernel, sum};

/// Bands whose means are taken at once, at most: all of one resolution.
pub(crate) const BANDS_AT_ONCE: usize = 6;

kernel! {
    /// The means of what a resampling would make of bands of `native` x `native` pixels, at least sixteen a side:
    /// each pixel counts `rows[y] columns[x]` times.
    ///
    /// `bands` come with a number that nothing is made of. `total` is the sum of all weights, the view's number of
    /// pixels. All bands at once: this is the first time that they are read, and from several places memory comes
    /// sooner than from one.
    pub(crate) fn means_of_view[P: Pixel](
        lanes,
        bands: &[(usize, &[P])],
        native: usize,
        rows: &[f32],
        columns: &[f32],
        total: usize,
    ) -> [f32; BANDS_AT_ONCE] {
        let (whole, end) = in_vectors(&columns[..native]);
        let end = lanes.load(&end);
        let mut sums = [lanes.splat(0.0); BANDS_AT_ONCE];
        for (y, &weight) in rows[..native].iter().enumerate() {
            if weight == 0.0 {
                continue;
            }
            let weight = lanes.splat(weight);
            for (sums, (_, source)) in sums.iter_mut().zip(bands) {
                let line = &source[y * native..(y + 1) * native];
                let Some(last) = line.last_chunk() else {
                    break;
                };
                let last: &Row<P> = last;
                let mut row = lanes.mul(P::load(lanes, last), end);
                for (values, weights) in line.as_chunks().0.iter().zip(whole) {
                    row = lanes.mul_add(P::load(lanes, values), lanes.load(weights), row);
                }
                *sums = lanes.mul_add(row, weight, *sums);
            }
        }
        means(lanes, sums, total)
    }
}

/// The weights of a row's whole vectors, and of one that overlaps with them and whose first values count nothing.
#[inline(always)]
fn in_vectors(weights: &[f32]) -> (&[Row<f32>], Row<f32>) {
    let (whole, rest) = weights.as_chunks();
    let mut end = [0.0; LANES];
    end[LANES - rest.len()..].copy_from_slice(rest);
    (whole, end)
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn means<L: Lanes>(lanes: L, sums: [L::F; BANDS_AT_ONCE], total: usize) -> [f32; BANDS_AT_ONCE] {
    let mut means = [0.0; BANDS_AT_ONCE];
    for (mean, sums) in means.iter_mut().zip(sums) {
        *mean = (sum(lanes, sums) / total as f64) as f32;
    }
    means
}

kernel! {
    /// The weighted sum of bands, which come with the weight of each, and their means as [`means_of_view`] gives them:
    /// pixels are read and widened once for both. With `adds` the sum is added to what is there.
    ///
    /// At most [`BANDS_AT_ONCE`] bands, of at least sixteen pixels a side.
    pub(crate) fn combine[P: Pixel](
        lanes,
        bands: &[(f32, &[P])],
        native: usize,
        weights: (&[f32], &[f32]),
        total: usize,
        adds: bool,
        to: &mut [f32],
    ) -> [f32; BANDS_AT_ONCE] {
        let to = (to, adds);
        let sums = match bands.len() {
            1 => combined::<L, P, 1>(lanes, bands, native, weights, to),
            2 => combined::<L, P, 2>(lanes, bands, native, weights, to),
            3 => combined::<L, P, 3>(lanes, bands, native, weights, to),
            4 => combined::<L, P, 4>(lanes, bands, native, weights, to),
            5 => combined::<L, P, 5>(lanes, bands, native, weights, to),
            _ => combined::<L, P, BANDS_AT_ONCE>(lanes, bands, native, weights, to),
        };
        means(lanes, sums, total)
    }
}

/// Gives the sums of the weighted pixels of each band.
#[inline(always)]
fn combined<L: Lanes, P: Pixel, const N: usize>(
    lanes: L,
    bands: &[(f32, &[P])],
    native: usize,
    (rows, columns): (&[f32], &[f32]),
    (to, adds): (&mut [f32], bool),
) -> [L::F; BANDS_AT_ONCE] {
    let mut sums = [lanes.splat(0.0); BANDS_AT_ONCE];
    let Some(bands) = bands.first_chunk::<N>() else {
        return sums;
    };
    let mut gains = [lanes.splat(0.0); N];
    for (gain, (of_band, _)) in gains.iter_mut().zip(bands) {
        *gain = lanes.splat(*of_band);
    }
    let (whole, end) = in_vectors(&columns[..native]);
    let end = lanes.load(&end);
    for ((y, to), &weight) in to.chunks_exact_mut(native).enumerate().zip(rows) {
        let mut lines = [&[][..]; N];
        for (line, (_, source)) in lines.iter_mut().zip(bands) {
            *line = &source[y * native..][..native];
        }
        let Some(to_last) = to.last_chunk() else {
            break;
        };
        let before = |to: &Row<f32>| if adds { *to } else { [0.0; LANES] };
        let mut row = [lanes.splat(0.0); N];
        let sum = lanes.load(&before(to_last));
        let last = add_pixels(lanes, &lines, native - LANES, &gains, end, &mut row, sum);
        for ((j, weights), to) in whole.iter().enumerate().zip(to.as_chunks_mut().0) {
            let (weights, sum) = (lanes.load(weights), lanes.load(&before(to)));
            let sum = add_pixels(lanes, &lines, j * LANES, &gains, weights, &mut row, sum);
            lanes.store(sum, to);
        }
        // Made of what was there before the vector that it overlaps with was written.
        if let Some(to) = to.last_chunk_mut() {
            lanes.store(last, to);
        }
        if weight != 0.0 {
            for (sum, row) in sums.iter_mut().zip(row) {
                *sum = lanes.mul_add(row, lanes.splat(weight), *sum);
            }
        }
    }
    sums
}

/// Adds sixteen weighted pixels of each band to its sum, and gives `sum` with the weighted bands.
#[inline(always)]
fn add_pixels<L: Lanes, P: Pixel, const N: usize>(
    lanes: L,
    lines: &[&[P]; N],
    at: usize,
    gains: &[L::F; N],
    weights: L::F,
    row: &mut [L::F; N],
    mut sum: L::F,
) -> L::F {
    for b in 0..N {
        let Some(pixels) = lines[b][at..].first_chunk() else {
            return sum;
        };
        let value = P::load(lanes, pixels);
        sum = lanes.mul_add(value, gains[b], sum);
        row[b] = lanes.mul_add(value, weights, row[b]);
    }
    sum
}
