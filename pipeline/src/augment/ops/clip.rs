//! Clip to a range.

use super::clamp;

pub(super) fn apply(data: &mut [f32], range: [f32; 2]) {
    for value in data {
        *value = clamp(*value, range);
    }
}
