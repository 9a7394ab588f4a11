//! Independent normal noise on every value.

use chipmill_schemas::augment::GaussianNoise;

use crate::rng::{NORMALS, OpKey};
use crate::simd::{LANES, Row, kernel};

/// Whether the view gets noise.
pub(crate) fn is_done(noise: &GaussianNoise, key: OpKey) -> bool {
    key.stream(0).chance(noise.p)
}

kernel! {
    /// `values[i] += std n`, with `n` the operation's normal number `64 first + i`; whole blocks of 64
    /// values.
    pub(crate) fn add_noise(lanes, values: &mut [Row<f32>], std: f32, key: OpKey, first: u32) {
        let std = lanes.splat(std);
        let blocks = values.as_chunks_mut::<{ NORMALS / LANES }>().0;
        for (values, block) in blocks.iter_mut().zip(first..) {
            for (values, normal) in values.iter_mut().zip(key.normals(lanes, block)) {
                lanes.store(lanes.mul_add(normal, std, lanes.load(values)), values);
            }
        }
    }
}
