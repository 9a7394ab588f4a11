//! Normal numbers by the Box-Muller transform, in `f32` lanes.

use std::f32::consts::{FRAC_PI_2, LN_2, SQRT_2};

use super::philox::{LANES, lanes};

/// Normal numbers that one call of [`normals`] gives.
pub(crate) const BLOCK: usize = 4 * LANES;

/// 64 independent standard normal numbers from the counters `first` and the 15 after it.
///
/// With the words `w0 .. w3` of a counter, `(w0, w1)` and `(w2, w3)` each give a pair
/// `r cos a, r sin a`, where `r = sqrt(-2 ln u)`, `u = ((w0 >> 8) + 1) / 2^24` lies in (0, 1] and the
/// angle `a` is uniform on the circle from the 32 bits of `w1`. The largest magnitude is 5.77.
/// Element `16 k + l` is the `k`-th number of lane `l`.
#[inline]
pub(crate) fn normals(first: [u32; 4], key: [u32; 2]) -> [f32; BLOCK] {
    let [w0, w1, w2, w3] = lanes(first, key);
    let mut out = [0.0; BLOCK];
    let (front, back) = out.split_at_mut(2 * LANES);
    pairs(&w0, &w1, front);
    pairs(&w2, &w3, back);
    out
}

#[inline(always)]
fn pairs(radius: &[u32; LANES], angle: &[u32; LANES], out: &mut [f32]) {
    let (cosines, sines) = out.split_at_mut(LANES);
    for l in 0..LANES {
        let r = (-2.0 * ln_of_fraction(radius[l])).sqrt();
        let (sin, cos) = sin_cos_of_turn(angle[l]);
        cosines[l] = r * cos;
        sines[l] = r * sin;
    }
}

/// `ln(((word >> 8) + 1) / 2^24)`, absolute error below 1e-6 and relative error below 1e-6 near 0.
#[inline(always)]
fn ln_of_fraction(word: u32) -> f32 {
    let x = ((word >> 8) + 1) as i32 as f32;
    let bits = x.to_bits();
    let high = (bits & 0x007F_FFFF) > (SQRT_2.to_bits() & 0x007F_FFFF);
    // Mantissa in [sqrt(1/2), sqrt(2)], exponent to match.
    let shift = u32::from(high);
    let mantissa = f32::from_bits((bits & 0x007F_FFFF) | ((127 - shift) << 23));
    let exponent = (bits >> 23) as i32 - 127 - 24 + shift as i32;
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let series = 1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0))));
    exponent as f32 * LN_2 + 2.0 * s * series
}

/// Sine and cosine of an angle that is uniform on the circle: the top two bits of `word` choose the
/// quadrant, the others the angle within, from -45 to 45 degrees about its middle.
#[inline(always)]
fn sin_cos_of_turn(word: u32) -> (f32, f32) {
    const SCALE: f32 = FRAC_PI_2 / (1_u32 << 30) as f32;
    let x = ((word & 0x3FFF_FFFF) as i32 - (1 << 29)) as f32 * SCALE;
    let z = x * x;
    // Taylor's series on |x| <= pi / 4: the first terms left out are below 2e-9 and 3e-8.
    let sin = x
        * (1.0
            - z * (1.0 / 6.0)
                * (1.0 - z * (1.0 / 20.0) * (1.0 - z * (1.0 / 42.0) * (1.0 - z * (1.0 / 72.0)))));
    let cos = 1.0
        - z * 0.5 * (1.0 - z * (1.0 / 12.0) * (1.0 - z * (1.0 / 30.0) * (1.0 - z * (1.0 / 56.0))));
    let quadrant = word >> 30;
    let swapped = (quadrant & 1).wrapping_neg();
    let (s, c) = (sin.to_bits(), cos.to_bits());
    let sine = (c & swapped) | (s & !swapped);
    let cosine = (s & swapped) | (c & !swapped);
    let sine_sign = (quadrant & 2) << 30;
    let cosine_sign = (quadrant.wrapping_add(1) & 2) << 30;
    (
        f32::from_bits(sine ^ sine_sign),
        f32::from_bits(cosine ^ cosine_sign),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::philox;

    #[test]
    fn box_muller_agrees_with_double_precision() {
        for counter in 0..2_000_u32 {
            let first = [counter * 16, 1, 2, 3];
            let found = normals(first, [4, 5]);
            for (l, offset) in (0..LANES).zip(0_u32..) {
                let words = philox([first[0] + offset, 1, 2, 3], [4, 5]);
                let expected = reference(words);
                for (k, e) in expected.into_iter().enumerate() {
                    let f = f64::from(found[k * LANES + l]);
                    assert!((f - e).abs() < 2e-6 * e.abs().max(1.0), "{f} for {e}");
                }
            }
        }
    }

    fn reference(words: [u32; 4]) -> [f64; 4] {
        let pair = |radius: u32, angle: u32| {
            let u = f64::from((radius >> 8) + 1) / f64::from(1 << 24);
            let quadrants = f64::from(angle >> 30)
                + (f64::from(angle & 0x3FFF_FFFF) - f64::from(1 << 29)) / f64::from(1 << 30);
            let a = quadrants * std::f64::consts::FRAC_PI_2;
            let r = (-2.0 * u.ln()).sqrt();
            [r * a.cos(), r * a.sin()]
        };
        let ([a, b], [c, d]) = (pair(words[0], words[1]), pair(words[2], words[3]));
        [a, b, c, d]
    }

    #[test]
    fn the_extreme_words_give_finite_numbers() {
        for word in [0, 1, 255, 256, u32::MAX] {
            assert!(ln_of_fraction(word).is_finite() && ln_of_fraction(word) <= 0.0);
            let (sin, cos) = sin_cos_of_turn(word);
            assert!((sin * sin + cos * cos - 1.0).abs() < 1e-6);
        }
        assert_eq!(ln_of_fraction(u32::MAX), 0.0);
    }
}
