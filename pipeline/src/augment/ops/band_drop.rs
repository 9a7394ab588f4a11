//! Single bands become zero.

use crate::rng::OpKey;

/// Whether `band` is dropped.
pub(crate) fn drops(p: f32, band: usize, key: OpKey) -> bool {
    key.uniform_at(0, band) < f64::from(p)
}
