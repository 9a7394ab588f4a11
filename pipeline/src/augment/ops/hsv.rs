//! Saturation and hue in HSV, for the three bands red, green and blue.
//!
//! With `v` the largest and `c = v - min` the chroma of a pixel, saturation is `c / v`. Both steps are
//! written without dividing by `v`, so that they hold for values beyond 1; within [0, 1] they equal
//! the usual conversion to HSV and back.

use super::clamp;

/// Multiplies the saturation by `factor`, at most up to 1: every band moves towards or away from `v`.
/// Pixels whose largest value is not above 0 have no saturation and stay.
pub(super) fn saturate(data: &mut [f32], pixels: usize, factor: f32, clip: Option<[f32; 2]>) {
    let range = clip.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
    for_each_pixel(data, pixels, |rgb| {
        let (v, c) = value_and_chroma(rgb);
        if v <= 0.0 || c <= 0.0 {
            return rgb.map(|x| clamp(x, range));
        }
        let ratio = factor.min(v / c);
        rgb.map(|x| clamp(v - (v - x) * ratio, range))
    });
}

/// Turns the hue by `turn` of a full circle.
pub(super) fn rotate(data: &mut [f32], pixels: usize, turn: f32, clip: Option<[f32; 2]>) {
    let range = clip.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
    for_each_pixel(data, pixels, |rgb| {
        let (v, c) = value_and_chroma(rgb);
        if c <= 0.0 {
            return rgb.map(|x| clamp(x, range));
        }
        let sextants = hue(rgb, v, c) + 6.0 * turn;
        // Red, green and blue are the same ramp, a third of the circle apart.
        [5.0, 3.0, 1.0].map(|shift: f32| {
            let k = within_circle(sextants + shift);
            let down = clamp(k.min(4.0 - k), [0.0, 1.0]);
            clamp(v - c * down, range)
        })
    });
}

/// Hue in sextants, within [-1, 5].
fn hue([r, g, b]: [f32; 3], v: f32, c: f32) -> f32 {
    if v <= r {
        (g - b) / c
    } else if v <= g {
        (b - r) / c + 2.0
    } else {
        (r - g) / c + 4.0
    }
}

/// Modulo 6, for values from -6 up to 18.
fn within_circle(sextants: f32) -> f32 {
    let mut k = sextants;
    k = if k < 0.0 { k + 6.0 } else { k };
    k = if k >= 12.0 { k - 6.0 } else { k };
    if k >= 6.0 { k - 6.0 } else { k }
}

fn value_and_chroma([r, g, b]: [f32; 3]) -> (f32, f32) {
    let v = r.max(g).max(b);
    (v, v - r.min(g).min(b))
}

fn for_each_pixel(data: &mut [f32], pixels: usize, f: impl Fn([f32; 3]) -> [f32; 3]) {
    let (red, rest) = data.split_at_mut(pixels);
    let (green, blue) = rest.split_at_mut(pixels);
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        [*r, *g, *b] = f([*r, *g, *b]);
    }
}
