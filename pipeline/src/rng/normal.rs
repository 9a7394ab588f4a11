//! Normal numbers by the Box-Muller transform, in lanes.

use std::f32::consts::{FRAC_PI_2, LN_2};

use crate::simd::{LANES, Lanes};

/// Normal numbers that one call of [`normals`] gives.
pub(crate) const BLOCK: usize = 8 * LANES;

/// Rounds of Philox for the numbers of pixels: the fewest that its authors found to pass all of
/// `BigCrush` (table 2 of their paper); ten, as for everything else, are their margin of safety.
const PIXEL_ROUNDS: usize = 7;

/// 128 independent standard normal numbers from the counters `first` and the 15 after it.
///
/// Each word `w` of a counter gives a pair `r cos a, r sin a`, where `r = sqrt(-2 ln u)`. Its upper 18
/// bits make `u = ((w >> 14) + 1) / 2^18`, in (0, 1], its lower 14 bits an angle `a` that is uniform on
/// the circle. The largest magnitude is 4.995; a true normal number is beyond that once in 1.7 million.
/// Lanes `l` of the elements `2 k` and `2 k + 1` are the pair of word `k` of counter `l`.
#[inline(always)]
pub(crate) fn normals<L: Lanes>(lanes: L, first: [u32; 4], key: [u32; 2]) -> [L::F; 8] {
    let [w0, w1, w2, w3] = lanes.philox::<PIXEL_ROUNDS>(first, key);
    let ([a, b], [c, d]) = pairs(lanes, w0, w1);
    let ([e, f], [g, h]) = pairs(lanes, w2, w3);
    [a, b, c, d, e, f, g, h]
}

/// Words that are worked on side by side: the steps of one depend on each other, so that a processor would wait
/// for most of them, and two share the constants of every step.
const ABREAST: usize = 2;

#[inline(always)]
fn pairs<L: Lanes>(lanes: L, first: L::U, second: L::U) -> ([L::F; 2], [L::F; 2]) {
    let [r, s] = radii(lanes, [first, second]);
    let ([c, d], [e, f]) = directions(lanes, [first, second]);
    let pair = |r, cosine, sine| [lanes.mul(r, cosine), lanes.mul(r, sine)];
    (pair(r, c, e), pair(s, d, f))
}

/// `c[0] + c[1] x + ...` of each `x`.
#[inline(always)]
fn polynomials<L: Lanes, const N: usize>(
    lanes: L,
    x: [L::F; ABREAST],
    c: [f32; N],
) -> [L::F; ABREAST] {
    let mut sums = [lanes.splat(c[N - 1]); ABREAST];
    for k in (0..N - 1).rev() {
        let c = lanes.splat(c[k]);
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum = lanes.mul_add(*sum, x, c);
        }
    }
    sums
}

/// The bits of the largest `f32` not above the root of 1/2.
const ROOT_HALF: u32 = 0x3F35_04F3;

/// `(ln(1 + t) - t) / t²` on `[sqrt(1/2) - 1, sqrt(2) - 1]`: the polynomial of this degree with the
/// smallest relative error in `ln(1 + t)`, 1.8e-7.
const LN: [f32; 7] = [
    -0.500_003_2,
    0.333_347_15,
    -0.249_712_27,
    0.199_068_86,
    -0.172_432_43,
    0.161_804_8,
    -0.100_822_84,
];

/// `sqrt(-2 ln u)` with `u = ((word >> 14) + 1) / 2^18`.
#[inline(always)]
fn radii<L: Lanes>(lanes: L, words: [L::U; ABREAST]) -> [L::F; ABREAST] {
    let mut exponents = [lanes.splat(0.0); ABREAST];
    let mut t = exponents;
    for ((t, exponent), word) in t.iter_mut().zip(&mut exponents).zip(words) {
        let whole = lanes.add_u(lanes.shift_right::<14>(word), lanes.splat_u(1));
        let bits = lanes.bits(lanes.round_i32(whole));
        // 2^18 u = 2^exponent (1 + t), with 1 + t between the roots of 1/2 and of 2.
        let root = lanes.splat_u(ROOT_HALF);
        let above = lanes.sub_u(bits, root);
        *exponent = lanes.round_i32(lanes.shift_right::<23>(above));
        let mantissa = lanes.add_u(lanes.and(above, lanes.splat_u(0x007F_FFFF)), root);
        *t = lanes.sub(lanes.as_floats(mantissa), lanes.splat(1.0));
    }
    let mut radii = polynomials(lanes, t, LN.map(|c| -2.0 * c));
    for ((radius, exponent), t) in radii.iter_mut().zip(exponents).zip(t) {
        let series = lanes.mul(lanes.mul(t, t), *radius);
        let fraction = lanes.mul_add(t, lanes.splat(-2.0), series);
        let exponent = lanes.sub(exponent, lanes.splat(18.0));
        *radius = lanes.sqrt(lanes.mul_add(exponent, lanes.splat(-2.0 * LN_2), fraction));
    }
    radii
}

/// `sin(x) / x` and `cos(x)` as polynomials in `x²` on `[0, (pi / 2)²]`, with the smallest absolute
/// errors in sine and cosine: 3e-9 and 5e-8.
const SINE: [f32; 5] = [
    1.0,
    -0.166_666_48,
    0.008_332_9,
    -0.000_198_009,
    2.590_488_5e-6,
];
const COSINE: [f32; 5] = [
    1.0,
    -0.499_999_05,
    0.041_663_585,
    -0.001_385_370_4,
    2.315_393e-5,
];

/// Cosines and sines of angles that are uniform on the circle: the lowest 13 bits of a word choose one from
/// the right half, the bit above them mirrors it to the left.
#[inline(always)]
fn directions<L: Lanes>(lanes: L, words: [L::U; ABREAST]) -> ([L::F; ABREAST], [L::F; ABREAST]) {
    const SCALE: f32 = FRAC_PI_2 / (1_u32 << 31) as f32;
    // In the middle of its step, so that both signs are equally likely.
    const HALF_STEP: f32 = SCALE * (1_u32 << 18) as f32;
    let mut angles = [lanes.splat(0.0); ABREAST];
    let mut squares = angles;
    for ((angle, square), word) in angles.iter_mut().zip(&mut squares).zip(words) {
        let turn = lanes.round_i32(lanes.shift_left::<19>(word));
        *angle = lanes.mul_add(turn, lanes.splat(SCALE), lanes.splat(HALF_STEP));
        *square = lanes.mul(*angle, *angle);
    }
    let mut sines = polynomials(lanes, squares, SINE);
    let mut cosines = polynomials(lanes, squares, COSINE);
    for ((sine, angle), (cosine, word)) in sines
        .iter_mut()
        .zip(angles)
        .zip(cosines.iter_mut().zip(words))
    {
        *sine = lanes.mul(angle, *sine);
        let sign = lanes.and(lanes.shift_left::<18>(word), lanes.splat_u(0x8000_0000));
        *cosine = lanes.as_floats(lanes.xor(lanes.bits(*cosine), sign));
    }
    (cosines, sines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::philox_rounds;
    use crate::simd::Scalar;

    fn all(first: [u32; 4], key: [u32; 2]) -> [f32; BLOCK] {
        bytemuck::cast(normals(Scalar, first, key))
    }

    #[test]
    fn box_muller_agrees_with_double_precision() {
        for counter in 0..2_000_u32 {
            let first = [counter * 16, 1, 2, 3];
            let found = all(first, [4, 5]);
            let words = philox_rounds::<PIXEL_ROUNDS>(first, [4, 5]);
            for (k, word) in words.into_iter().enumerate() {
                for (l, word) in word.into_iter().enumerate() {
                    for (part, e) in reference(word).into_iter().enumerate() {
                        let f = f64::from(found[(2 * k + part) * LANES + l]);
                        assert!((f - e).abs() < 2e-6 * e.abs().max(1.0), "{f} for {e}");
                    }
                }
            }
        }
    }

    fn reference(word: u32) -> [f64; 2] {
        let u = f64::from((word >> 14) + 1) / f64::from(1 << 18);
        let step = f64::from((word << 19).cast_signed() >> 19) + 0.5;
        let a = step / f64::from(1 << 12) * std::f64::consts::FRAC_PI_2;
        let r = (-2.0 * u.ln()).sqrt();
        let sign = if word >> 13 & 1 == 1 { -1.0 } else { 1.0 };
        [r * a.cos() * sign, r * a.sin()]
    }

    #[test]
    fn the_extreme_words_give_finite_numbers() {
        for word in [0, 1, 0x1FFF, 0x2000, 0x3FFF, 0x4000, 0x8000_0000, u32::MAX] {
            let radius = radii(Scalar, [[word; LANES]; ABREAST])[0][0];
            assert!((0.0..5.0).contains(&radius), "{word}: {radius}");
            let ([cosine, _], [_, sine]) = directions(Scalar, [[word; LANES]; ABREAST]);
            let length = sine[0] * sine[0] + cosine[0] * cosine[0];
            assert!((length - 1.0).abs() < 1e-6, "{word}");
        }
        assert_eq!(radii(Scalar, [[u32::MAX; LANES]; ABREAST])[1][0], 0.0);
    }
}
