//! Single bands become zero.

use crate::rng::OpKey;

/// Whether `band` is dropped.
pub(crate) fn drops(p: f32, band: usize, key: OpKey) -> bool {
    key.uniform_at(0, band) < f64::from(p)
}

pub(super) fn apply(p: f32, data: &mut [f32], pixels: usize, key: OpKey) {
    for (band, plane) in data.chunks_exact_mut(pixels).enumerate() {
        if drops(p, band, key) {
            plane.fill(0.0);
        }
    }
}
