//! Steps that take each value, or the bands at each pixel, for themselves.
//!
//! They work on a stretch of pixels that stays in the innermost cache while all steps are done to it.

use crate::augment::resample::Affine;
use crate::simd::{LANES, Row, clamp, kernel, sum};

/// No limits.
pub(crate) const UNLIMITED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

kernel! {
    /// `x := x gain + offset`, within `range`.
    pub(crate) fn map(lanes, values: &mut [Row<f32>], affine: Affine, range: [f32; 2]) {
        let (gain, offset) = (lanes.splat(affine.gain), lanes.splat(affine.offset));
        let [low, high] = [lanes.splat(range[0]), lanes.splat(range[1])];
        for values in values {
            let value = lanes.mul_add(lanes.load(values), gain, offset);
            lanes.store(clamp(lanes, value, low, high), values);
        }
    }
}

kernel! {
    /// `x` within `range`.
    pub(crate) fn limit(lanes, values: &mut [Row<f32>], range: [f32; 2]) {
        let [low, high] = [lanes.splat(range[0]), lanes.splat(range[1])];
        for values in values {
            lanes.store(clamp(lanes, lanes.load(values), low, high), values);
        }
    }
}

kernel! {
    /// The mean over bands of the pixels of a stretch: bands lie `stride` rows apart in `planes`, the
    /// stretch begins at row `first` of each and is as long as `mean`. Bands are added up in their order.
    pub(crate) fn mean_over_bands(
        lanes,
        planes: &[Row<f32>],
        stride: usize,
        first: usize,
        mean: &mut [Row<f32>],
    ) {
        let mut bands = 0.0;
        for plane in planes.chunks_exact(stride) {
            let stretch = &plane[first..][..mean.len()];
            for (sum, values) in mean.iter_mut().zip(stretch) {
                let value = lanes.load(values);
                let value = if bands > 0.0 { lanes.add(lanes.load(sum), value) } else { value };
                lanes.store(value, sum);
            }
            bands += 1.0;
        }
        let share = lanes.splat(1.0 / bands);
        for sum in mean {
            lanes.store(lanes.mul(lanes.load(sum), share), sum);
        }
    }
}

kernel! {
    /// `x := m + factor (x - m)`, within `range`, with `m` from `mean`.
    pub(crate) fn blend(
        lanes,
        values: &mut [Row<f32>],
        mean: &[Row<f32>],
        factor: f32,
        range: [f32; 2],
    ) {
        let factor = lanes.splat(factor);
        let [low, high] = [lanes.splat(range[0]), lanes.splat(range[1])];
        for (values, mean) in values.iter_mut().zip(mean) {
            let m = lanes.load(mean);
            let value = lanes.mul_add(lanes.sub(lanes.load(values), m), factor, m);
            lanes.store(clamp(lanes, value, low, high), values);
        }
    }
}

kernel! {
    /// The sum of values: of each lane in `f32`, then over the lanes in `f64`.
    pub(crate) fn total(lanes, values: &[f32]) -> f64 {
        let (whole, rest) = values.as_chunks::<LANES>();
        let mut last = [0.0; LANES];
        last[..rest.len()].copy_from_slice(rest);
        let mut sums = lanes.load(&last);
        for values in whole {
            sums = lanes.add(sums, lanes.load(values));
        }
        sum(lanes, sums)
    }
}
