//! Normal numbers by the Box-Muller transform, in lanes.

use std::f32::consts::{FRAC_PI_2, LN_2};

use crate::simd::{LANES, Lanes};

/// Normal numbers that one call of [`normals`] gives.
pub(crate) const BLOCK: usize = 4 * LANES;

/// Rounds of Philox for the numbers of pixels: the fewest that its authors found to pass all of
/// `BigCrush` (table 2 of their paper); ten, as for everything else, are their margin of safety.
const PIXEL_ROUNDS: usize = 7;

/// 64 independent standard normal numbers from the counters `first` and the 15 after it.
///
/// With the words `w0 .. w3` of a counter, `(w0, w1)` and `(w2, w3)` each give a pair
/// `r cos a, r sin a`, where `r = sqrt(-2 ln u)`, `u = ((w0 >> 8) + 1) / 2^24` lies in (0, 1] and the
/// angle `a` is uniform on the circle from the 32 bits of `w1`. The largest magnitude is 5.77.
/// Lane `l` of element `k` is the `k`-th number of counter `l`.
#[inline(always)]
pub(crate) fn normals<L: Lanes>(lanes: L, first: [u32; 4], key: [u32; 2]) -> [L::F; 4] {
    let [w0, w1, w2, w3] = lanes.philox::<PIXEL_ROUNDS>(first, key);
    let (r, (cosine, sine)) = (radius(lanes, w0), direction(lanes, w1));
    let (s, (other_cosine, other_sine)) = (radius(lanes, w2), direction(lanes, w3));
    [
        lanes.mul(r, cosine),
        lanes.mul(r, sine),
        lanes.mul(s, other_cosine),
        lanes.mul(s, other_sine),
    ]
}

/// `c[0] + c[1] x + ...`
#[inline(always)]
fn polynomial<L: Lanes, const N: usize>(lanes: L, x: L::F, c: [f32; N]) -> L::F {
    let mut sum = lanes.splat(c[N - 1]);
    for k in (0..N - 1).rev() {
        sum = lanes.mul_add(sum, x, lanes.splat(c[k]));
    }
    sum
}

/// The bits of the largest `f32` not above the root of 1/2.
const ROOT_HALF: u32 = 0x3F35_04F3;

/// `(ln(1 + t) - t) / t²` on `[sqrt(1/2) - 1, sqrt(2) - 1]`: the polynomial of this degree with the
/// smallest relative error in `ln(1 + t)`, 1.8e-7.
const LN: [f32; 7] = [
    -0.500_003_23,
    0.333_347_15,
    -0.249_712_27,
    0.199_068_86,
    -0.172_432_43,
    0.161_804_79,
    -0.100_822_845,
];

/// `sqrt(-2 ln u)` with `u = ((word >> 8) + 1) / 2^24`.
#[inline(always)]
fn radius<L: Lanes>(lanes: L, word: L::U) -> L::F {
    let whole = lanes.add_u(lanes.shift_right::<8>(word), lanes.splat_u(1));
    let bits = lanes.bits(lanes.from_i32(whole));
    // 2^24 u = 2^exponent (1 + t), with 1 + t between the roots of 1/2 and of 2.
    let root = lanes.splat_u(ROOT_HALF);
    let above = lanes.sub_u(bits, root);
    let exponent = lanes.from_i32(lanes.shift_right::<23>(above));
    let mantissa = lanes.add_u(lanes.and(above, lanes.splat_u(0x007F_FFFF)), root);
    let t = lanes.sub(lanes.from_bits(mantissa), lanes.splat(1.0));
    let series = lanes.mul(lanes.mul(t, t), polynomial(lanes, t, LN.map(|c| -2.0 * c)));
    let minus_two = lanes.splat(-2.0);
    let fraction = lanes.mul_add(t, minus_two, series);
    let exponent = lanes.sub(exponent, lanes.splat(24.0));
    lanes.sqrt(lanes.mul_add(exponent, lanes.splat(-2.0 * LN_2), fraction))
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
    2.315_393_1e-5,
];

/// Cosine and sine of an angle that is uniform on the circle: the low 31 bits of `word` choose it from
/// the right half, the top bit mirrors it to the left.
#[inline(always)]
fn direction<L: Lanes>(lanes: L, word: L::U) -> (L::F, L::F) {
    const SCALE: f32 = FRAC_PI_2 / (1_u32 << 31) as f32;
    let turn = lanes.from_i32(lanes.shift_left::<1>(word));
    let x = lanes.mul(turn, lanes.splat(SCALE));
    let square = lanes.mul(x, x);
    let sine = lanes.mul(x, polynomial(lanes, square, SINE));
    let cosine = polynomial(lanes, square, COSINE);
    let sign = lanes.and(word, lanes.splat_u(0x8000_0000));
    (lanes.from_bits(lanes.xor(lanes.bits(cosine), sign)), sine)
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
            for (l, offset) in (0..LANES).zip(0_u32..) {
                let words = philox_rounds::<PIXEL_ROUNDS>([first[0] + offset, 1, 2, 3], [4, 5]).map(|w| w[0]);
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
            let half_turns = f64::from((angle << 1).cast_signed()) / f64::from(1_u32 << 31);
            let a = half_turns * std::f64::consts::FRAC_PI_2;
            let r = (-2.0 * u.ln()).sqrt();
            let sign = if angle >> 31 == 1 { -1.0 } else { 1.0 };
            [r * a.cos() * sign, r * a.sin()]
        };
        let ([a, b], [c, d]) = (pair(words[0], words[1]), pair(words[2], words[3]));
        [a, b, c, d]
    }

    #[test]
    fn the_extreme_words_give_finite_numbers() {
        for word in [0, 1, 255, 256, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
            let radius = radius(Scalar, [word; LANES])[0];
            assert!((0.0..5.8).contains(&radius), "{word}: {radius}");
            let (cosine, sine) = direction(Scalar, [word; LANES]);
            let length = sine[0] * sine[0] + cosine[0] * cosine[0];
            assert!((length - 1.0).abs() < 1e-6, "{word}");
        }
        assert_eq!(radius(Scalar, [u32::MAX; LANES])[0], 0.0);
    }
}
