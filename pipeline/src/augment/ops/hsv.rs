//! Saturation and hue in HSV, for the three bands red, green and blue.
//!
//! With `v` the largest and `c = v - min` the chroma of a pixel, saturation is `c / v`. Both steps are
//! written without dividing by `v`, so that they hold for values beyond 1; within [0, 1] they equal
//! the usual conversion to HSV and back.

use crate::simd::{Lanes, Row, clamp, kernel};

/// A pixel of three bands, sixteen times.
type Rgb<L> = [<L as Lanes>::F; 3];

kernel! {
    /// Multiplies the saturation by `factor`, at most up to 1: every band moves towards or away from
    /// `v`. Pixels whose largest value is not above 0 have no saturation and stay.
    pub(crate) fn saturate(lanes, rgb: [&mut [Row<f32>]; 3], factor: f32, range: [f32; 2]) {
        let [low, high] = range.map(|x| lanes.splat(x));
        let (zero, factor) = (lanes.splat(0.0), lanes.splat(factor));
        let [red, green, blue] = rgb;
        for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
            let [x, y, z] = [lanes.load(r), lanes.load(g), lanes.load(b)];
            let (v, c) = value_and_chroma(lanes, [x, y, z]);
            let ratio = lanes.min(factor, lanes.div(v, c));
            for (x, to) in [(x, r), (y, g), (z, b)] {
                let moved = lanes.mul_add(lanes.sub(x, v), ratio, v);
                let moved = lanes.if_le(c, zero, x, lanes.if_le(v, zero, x, moved));
                lanes.store(clamp(lanes, moved, low, high), to);
            }
        }
    }
}

kernel! {
    /// Turns the hue by `turn` of a full circle.
    pub(crate) fn rotate(lanes, rgb: [&mut [Row<f32>]; 3], turn: f32, range: [f32; 2]) {
        let [low, high] = range.map(|x| lanes.splat(x));
        let [zero, one, four] = [0.0, 1.0, 4.0].map(|x| lanes.splat(x));
        let turn = lanes.splat(6.0 * turn);
        let [red, green, blue] = rgb;
        for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
            let [x, y, z] = [lanes.load(r), lanes.load(g), lanes.load(b)];
            let (v, c) = value_and_chroma(lanes, [x, y, z]);
            let sextants = lanes.add(hue(lanes, [x, y, z], v, c), turn);
            // Red, green and blue are the same ramp, a third of the circle apart.
            for (x, shift, to) in [(x, 5.0, r), (y, 3.0, g), (z, 1.0, b)] {
                let k = within_circle(lanes, lanes.add(sextants, lanes.splat(shift)));
                let down = clamp(lanes, lanes.min(k, lanes.sub(four, k)), zero, one);
                let turned = lanes.sub(v, lanes.mul(c, down));
                let turned = lanes.if_le(c, zero, x, turned);
                lanes.store(clamp(lanes, turned, low, high), to);
            }
        }
    }
}

/// Hue in sextants, within [-1, 5].
#[inline(always)]
fn hue<L: Lanes>(lanes: L, [r, g, b]: Rgb<L>, v: L::F, c: L::F) -> L::F {
    let [two, four] = [lanes.splat(2.0), lanes.splat(4.0)];
    let red = lanes.div(lanes.sub(g, b), c);
    let green = lanes.add(lanes.div(lanes.sub(b, r), c), two);
    let blue = lanes.add(lanes.div(lanes.sub(r, g), c), four);
    lanes.if_le(v, r, red, lanes.if_le(v, g, green, blue))
}

/// Modulo 6, for values from -6 up to 18.
#[inline(always)]
fn within_circle<L: Lanes>(lanes: L, k: L::F) -> L::F {
    let [zero, six, twelve] = [lanes.splat(0.0), lanes.splat(6.0), lanes.splat(12.0)];
    let k = lanes.if_le(zero, k, k, lanes.add(k, six));
    let k = lanes.if_le(twelve, k, lanes.sub(k, six), k);
    lanes.if_le(six, k, lanes.sub(k, six), k)
}

#[inline(always)]
fn value_and_chroma<L: Lanes>(lanes: L, [r, g, b]: Rgb<L>) -> (L::F, L::F) {
    let v = lanes.max(lanes.max(r, g), b);
    (v, lanes.sub(v, lanes.min(lanes.min(r, g), b)))
}
