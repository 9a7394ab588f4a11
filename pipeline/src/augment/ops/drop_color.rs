//! Every band becomes the plain mean over the bands.

use super::STRETCH;
use crate::rng::OpKey;

pub(super) fn apply(p: f32, data: &mut [f32], pixels: usize, key: OpKey) {
    if !key.stream(0).chance(p) {
        return;
    }
    let mut mean = [0.0; STRETCH];
    for start in (0..pixels).step_by(STRETCH) {
        let length = STRETCH.min(pixels - start);
        let mean = &mut mean[..length];
        mean_over_bands(data, pixels, start, mean);
        for plane in data.chunks_exact_mut(pixels) {
            plane[start..start + length].copy_from_slice(mean);
        }
    }
}

/// The mean over bands of the pixels from `start` on, as many as `mean` holds.
pub(super) fn mean_over_bands(data: &[f32], pixels: usize, start: usize, mean: &mut [f32]) {
    mean.fill(0.0);
    let mut bands = 0.0;
    for plane in data.chunks_exact(pixels) {
        bands += 1.0;
        let stretch = &plane[start..start + mean.len()];
        for (sum, value) in mean.iter_mut().zip(stretch) {
            *sum += value;
        }
    }
    let share = 1.0 / bands;
    for sum in mean {
        *sum *= share;
    }
}
