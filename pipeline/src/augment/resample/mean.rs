//! What can be told of a view before it is made, because a resampling is linear.

use super::separable::Pixel;
use crate::simd::{LANES, Row, kernel, sum};

kernel! {
    /// The mean of what a resampling would make of `source`, `native` x `native` pixels of at least
    /// sixteen a side: each pixel counts `rows[y] columns[x]` times.
    ///
    /// `total` is the sum of all weights, the view's number of pixels.
    pub(crate) fn mean_of_view[P: Pixel](
        lanes,
        source: &[P],
        native: usize,
        rows: &[f32],
        columns: &[f32],
        total: usize,
    ) -> f32 {
        // Whole vectors, then one that overlaps with them and whose first values count nothing.
        let (whole, rest) = columns[..native].as_chunks::<LANES>();
        let mut end = [0.0; LANES];
        end[LANES - rest.len()..].copy_from_slice(rest);
        let end = lanes.load(&end);
        let mut sums = lanes.splat(0.0);
        for (line, &weight) in source.chunks_exact(native).zip(rows) {
            if weight == 0.0 {
                continue;
            }
            let last: &Row<P> = match line.last_chunk() {
                Some(last) => last,
                None => return 0.0,
            };
            let mut row = lanes.mul(P::load(lanes, last), end);
            for (values, weights) in line.as_chunks().0.iter().zip(whole) {
                row = lanes.mul_add(P::load(lanes, values), lanes.load(weights), row);
            }
            sums = lanes.mul_add(row, lanes.splat(weight), sums);
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let mean = (sum(lanes, sums) / total as f64) as f32;
        mean
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
