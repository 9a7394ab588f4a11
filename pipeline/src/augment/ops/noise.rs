//! Independent normal noise on every value.

use chipmill_schemas::augment::GaussianNoise;

use crate::rng::{NORMALS, OpKey};

/// Whether the view gets noise.
pub(super) fn is_done(noise: &GaussianNoise, key: OpKey) -> bool {
    key.stream(0).chance(noise.p)
}

/// Value `i` of the view gets the operation's normal number `i`.
pub(super) fn apply(noise: &GaussianNoise, data: &mut [f32], key: OpKey) {
    if !is_done(noise, key) {
        return;
    }
    for (values, block) in data.chunks_mut(NORMALS).zip(0_u32..) {
        for (value, normal) in values.iter_mut().zip(key.normals(block)) {
            *value += noise.std * normal;
        }
    }
}
