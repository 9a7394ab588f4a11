//! What can be told of a view before it is made, because a resampling is linear.

use super::separable::Pixel;
use crate::simd::{LANES, Row, kernel, sum};

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
        // Whole vectors, then one that overlaps with them and whose first values count nothing.
        let (whole, rest) = columns[..native].as_chunks::<LANES>();
        let mut end = [0.0; LANES];
        end[LANES - rest.len()..].copy_from_slice(rest);
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
        let mut means = [0.0; BANDS_AT_ONCE];
        for (mean, sums) in means.iter_mut().zip(sums) {
            #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
            let of_all = (sum(lanes, sums) / total as f64) as f32;
            *mean = of_all;
        }
        means
    }
}

kernel! {
    /// `to[i] = gain source[i]`, or `to[i] += gain source[i]` with `adds`.
    pub(crate) fn combine[P: Pixel](
        lanes,
        source: &[P],
        gain: f32,
        adds: bool,
        to: &mut [f32],
    ) {
        let factor = lanes.splat(gain);
        for (to, from) in to.as_chunks_mut().0.iter_mut().zip(source.as_chunks().0) {
            let value = P::load(lanes, from);
            let sum = if adds {
                lanes.mul_add(value, factor, lanes.load(to))
            } else {
                lanes.mul(value, factor)
            };
            lanes.store(sum, to);
        }
    }
}
