//! Normal numbers by the Box-Muller transform, in lanes.

use std::f32::consts::LN_2;

use super::philox_rounds;
use crate::simd::{LANES, Lanes};

/// Normal numbers of a block: what a step of [`Normals`] gives.
pub(crate) const BLOCK: usize = 8 * LANES;

/// Blocks that follow on one seed: as many as sixteen rows of 120 pixels have.
pub(crate) const RUN: u32 = 15;

/// Rounds of Philox for the seeds of pixels' numbers: the fewest that its authors found to pass all of
/// `BigCrush` (table 2 of their paper); ten, as for everything else, are their margin of safety.
const SEED_ROUNDS: usize = 7;

/// Independent standard normal numbers, 128 a block.
///
/// Each lane is a xoshiro128+ (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021) of
/// its own. Block `k` lies in run `k / 15`, at whose beginning lane `l` takes the four words of Philox's counter
/// `16 (k / 15) + l` as its state: so any block can be made without those of other runs, and a word costs a third of
/// what it does from Philox.
///
/// Each word `w` gives a pair `r cos a, r sin a`, where `r = sqrt(-2 ln u)`. Bits 13 to 30 make
/// `u = 1 - (w >> 13 & 0x3FFFF) / 2^18`, in (0, 1]; bits 0 to 12 choose an angle `a` from the right half of the circle,
/// which bit 31 mirrors to the left: the lowest, which are the weakest of a xoshiro128+, tell directions of less than a
/// tenth of a degree apart. The largest magnitude is 4.995; a true normal number is beyond that once in 1.7 million.
/// Lanes `l` of the vectors `2 j` and `2 j + 1` of a block are the pair of lane `l`'s word `j` there.
pub(crate) struct Normals<L: Lanes> {
    /// First words of Philox's counters are numbers of lanes, the others are these.
    space: [u32; 3],
    key: [u32; 2],
    state: [L::U; 4],
    /// The next block.
    block: u32,
}

impl<L: Lanes> Normals<L> {
    /// From a block on.
    #[inline(always)]
    pub(crate) fn new(lanes: L, space: [u32; 3], key: [u32; 2], block: u32) -> Self {
        let mut normals = Self {
            space,
            key,
            state: [lanes.splat_u(0); 4],
            block,
        };
        let passed = block % RUN;
        if passed > 0 {
            normals.seed(lanes);
            for _ in 0..4 * passed {
                normals.word(lanes);
            }
        }
        normals
    }

    /// The next block.
    #[inline(always)]
    pub(crate) fn next(&mut self, lanes: L) -> [L::F; 8] {
        let (radii, directions) = self.polar(lanes);
        let mut normals = [lanes.splat(0.0); 8];
        for (pair, (radius, (cosine, sine))) in both(&mut normals, radii, directions) {
            *pair = [lanes.mul(radius, cosine), lanes.mul(radius, sine)];
        }
        normals
    }

    /// Adds the next block, times `std`, to values.
    #[inline(always)]
    pub(crate) fn add(&mut self, lanes: L, std: L::F, values: &mut [L::F; 8]) {
        let (radii, directions) = self.polar(lanes);
        for (pair, (radius, (cosine, sine))) in both(values, radii, directions) {
            let radius = lanes.mul(radius, std);
            *pair = [
                lanes.mul_add(radius, cosine, pair[0]),
                lanes.mul_add(radius, sine, pair[1]),
            ];
        }
    }

    /// The next words' radii, cosines and sines.
    #[inline(always)]
    fn polar(&mut self, lanes: L) -> ([L::F; ABREAST], Directions<L>) {
        if self.block.is_multiple_of(RUN) {
            self.seed(lanes);
        }
        self.block = self.block.wrapping_add(1);
        let mut words = [lanes.splat_u(0); ABREAST];
        for word in &mut words {
            *word = self.word(lanes);
        }
        (radii(lanes, words), directions(lanes, words))
    }

    #[inline(always)]
    fn seed(&mut self, lanes: L) {
        let [a, b, c] = self.space;
        const COUNTERS: u32 = 16;
        const _: () = assert!(COUNTERS as usize == LANES);
        let first = (self.block / RUN).wrapping_mul(COUNTERS);
        let words = philox_rounds::<SEED_ROUNDS>([first, a, b, c], self.key);
        for (state, words) in self.state.iter_mut().zip(&words) {
            *state = lanes.load_u(words);
        }
    }

    /// A word of every lane.
    #[inline(always)]
    fn word(&mut self, lanes: L) -> L::U {
        let [a, b, c, d] = self.state;
        let (c, d) = (lanes.xor(c, a), lanes.xor(d, b));
        let shifted = lanes.shift_left::<9>(b);
        let word = lanes.add_u(self.state[0], self.state[3]);
        self.state = [
            lanes.xor(a, d),
            lanes.xor(b, c),
            lanes.xor(c, shifted),
            lanes.rotate_left::<11>(d),
        ];
        word
    }
}

/// Words that are worked on side by side: the steps of one depend on each other, so that a processor would wait
/// for most of them, and four share the constants of every step. [`Lanes::abreast`] keeps them side by side.
const ABREAST: usize = 4;

/// `c[0] + c[1] x + ...` of each `x`.
#[inline(always)]
fn polynomials<L: Lanes, const N: usize>(
    lanes: L,
    x: [L::F; ABREAST],
    c: &[f32; N],
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

/// Cosines and sines.
type Directions<L> = ([<L as Lanes>::F; ABREAST], [<L as Lanes>::F; ABREAST]);

/// Pairs of values, each with its radius, its cosine and its sine.
#[inline(always)]
fn both<F: Copy>(
    values: &mut [F; 8],
    radii: [F; ABREAST],
    (cosines, sines): ([F; ABREAST], [F; ABREAST]),
) -> impl Iterator<Item = (&mut [F; 2], (F, (F, F)))> {
    let pairs = values.as_chunks_mut().0;
    pairs
        .iter_mut()
        .zip(radii.into_iter().zip(cosines.into_iter().zip(sines)))
}

/// The bits of 1.
const ONE: u32 = 0x3F80_0000;

/// The bits of the largest `f32` not above the root of 1/2.
const ROOT_HALF: u32 = 0x3F35_04F3;

/// `(ln(1 + t) - t) / t²` on `[sqrt(1/2) - 1, sqrt(2) - 1]`: the polynomial of this degree with the
/// smallest relative error in `ln(1 + t)`, 8.5e-6. Neighbouring `u` are 3.8e-6 apart.
///
/// Times -2 beforehand: what is computed along the way would be put together in memory, and read from there only
/// after everything that was streamed before.
const MINUS_TWICE_LN: [f32; 5] = [
    -2.0 * -0.499_917_42,
    -2.0 * 0.332_740_3,
    -2.0 * -0.253_879_67,
    -2.0 * 0.219_281_06,
    -2.0 * -0.142_160_55,
];

/// `sqrt(-2 ln u)` with `u = 1 - (word >> 13 & 0x3FFFF) / 2^18`.
#[inline(always)]
fn radii<L: Lanes>(lanes: L, words: [L::U; ABREAST]) -> [L::F; ABREAST] {
    const MINUS_TWICE_LN_2: f32 = -2.0 * LN_2 / (1_u32 << 23) as f32;
    let mut exponents = [lanes.splat(0.0); ABREAST];
    let mut t = exponents;
    for ((t, exponent), word) in t.iter_mut().zip(&mut exponents).zip(words) {
        // The bits as the fraction of a number from 1 to 2: what that lacks to 2 is exact.
        let fraction = lanes.and(lanes.shift_right::<8>(word), lanes.splat_u(0x007F_FFE0));
        let over = lanes.as_floats(lanes.xor(fraction, lanes.splat_u(ONE)));
        let u = lanes.bits(lanes.sub(lanes.splat(2.0), over));
        // u = 2^exponent (1 + t), with 1 + t between the roots of 1/2 and of 2.
        let root = lanes.splat_u(ROOT_HALF);
        let above = lanes.sub_u(u, root);
        *exponent = lanes.round_i32(lanes.and(above, lanes.splat_u(0xFF80_0000)));
        let mantissa = lanes.add_u(lanes.and(above, lanes.splat_u(0x007F_FFFF)), root);
        *t = lanes.sub(lanes.as_floats(mantissa), lanes.splat(1.0));
    }
    let t = lanes.abreast(t);
    let mut radii = lanes.abreast(polynomials(lanes, t, &MINUS_TWICE_LN));
    for ((radius, exponent), t) in radii.iter_mut().zip(exponents).zip(t) {
        let slope = lanes.mul_add(*radius, t, lanes.splat(-2.0));
        let whole = lanes.mul(exponent, lanes.splat(MINUS_TWICE_LN_2));
        *radius = lanes.sqrt(lanes.mul_add(slope, t, whole));
    }
    radii
}

/// `sin(pi x) / x` and `cos(pi x)` as polynomials in `x²` on `[0, 1/4]`, with the smallest absolute errors in sine and
/// cosine: 5.9e-7 and 5e-8. Neighbouring angles are 3.8e-4 apart.
const SINE: [f32; 4] = [3.141_582, -5.167_143, 2.541_899, -0.554_636_2];
const COSINE: [f32; 5] = [1.0, -4.934_793, 4.058_411_6, -1.331_880_1, 0.219_696_79];

/// Cosines and sines of angles that are uniform on the circle.
#[inline(always)]
fn directions<L: Lanes>(lanes: L, words: [L::U; ABREAST]) -> Directions<L> {
    // In the middle of its step, so that both signs are equally likely.
    const HALF_STEP: u32 = 1 << 9;
    let mut angles = [lanes.splat(0.0); ABREAST];
    let mut squares = angles;
    for ((angle, square), word) in angles.iter_mut().zip(&mut squares).zip(words) {
        let fraction = lanes.and(lanes.shift_left::<10>(word), lanes.splat_u(0x007F_FC00));
        let over = lanes.as_floats(lanes.xor(fraction, lanes.splat_u(ONE + HALF_STEP)));
        *angle = lanes.sub(over, lanes.splat(1.5));
        *square = lanes.mul(*angle, *angle);
    }
    let squares = lanes.abreast(squares);
    let mut sines = lanes.abreast(polynomials(lanes, squares, &SINE));
    let mut cosines = lanes.abreast(polynomials(lanes, squares, &COSINE));
    for ((sine, angle), (cosine, word)) in sines
        .iter_mut()
        .zip(angles)
        .zip(cosines.iter_mut().zip(words))
    {
        *sine = lanes.mul(angle, *sine);
        let sign = lanes.and(word, lanes.splat_u(0x8000_0000));
        *cosine = lanes.as_floats(lanes.xor(lanes.bits(*cosine), sign));
    }
    (cosines, sines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Scalar;

    const SPACE: [u32; 3] = [1, 2, 3];
    const KEY: [u32; 2] = [4, 5];

    /// xoshiro128+ as its authors publish it, one lane at a time.
    fn plain_words(run: u32, lane: usize, count: usize) -> Vec<u32> {
        let first = [run * 16, SPACE[0], SPACE[1], SPACE[2]];
        let mut s = philox_rounds::<SEED_ROUNDS>(first, KEY).map(|word| word[lane]);
        let mut next = || {
            let result = s[0].wrapping_add(s[3]);
            let t = s[1] << 9;
            s[2] ^= s[0];
            s[3] ^= s[1];
            s[1] ^= s[2];
            s[0] ^= s[3];
            s[2] ^= t;
            s[3] = s[3].rotate_left(11);
            result
        };
        (0..count).map(|_| next()).collect()
    }

    fn reference(word: u32) -> [f64; 2] {
        let u = 1.0 - f64::from(word >> 13 & 0x3_FFFF) / f64::from(1 << 18);
        let step = f64::from(word & 0x1FFF) + 0.5;
        let a = (step / f64::from(1 << 13) - 0.5) * std::f64::consts::PI;
        let r = (-2.0 * u.ln()).sqrt();
        let sign = if word >> 31 == 1 { -1.0 } else { 1.0 };
        [r * a.cos() * sign, r * a.sin()]
    }

    #[test]
    fn normal_numbers_are_those_of_the_published_generator_and_of_double_precision() {
        let mut normals = Normals::new(Scalar, SPACE, KEY, 0);
        let mut furthest: f64 = 0.0;
        for run in 0..5 {
            let words: Vec<_> = (0..LANES)
                .map(|lane| plain_words(run, lane, 4 * RUN as usize))
                .collect();
            for block in 0..RUN as usize {
                let found: [[f32; LANES]; 8] = normals.next(Scalar);
                for (l, words) in words.iter().enumerate() {
                    for (k, &word) in words[4 * block..][..4].iter().enumerate() {
                        for (part, e) in reference(word).into_iter().enumerate() {
                            let f = f64::from(found[2 * k + part][l]);
                            furthest = furthest.max((f - e).abs() / e.abs().max(1.0));
                        }
                    }
                }
            }
        }
        assert!(furthest < 1e-5, "{furthest}");
    }

    #[test]
    fn every_block_is_the_same_wherever_one_begins() {
        let mut normals = Normals::new(Scalar, SPACE, KEY, 0);
        for block in 0..3 * RUN {
            let here = Normals::new(Scalar, SPACE, KEY, block).next(Scalar);
            assert!(normals.next(Scalar) == here, "{block}");
        }
    }

    #[test]
    fn the_extreme_words_give_finite_numbers() {
        for word in [0, 1, 0x1FFF, 0x2000, 0x7FFF_E000, 0x8000_0000, u32::MAX] {
            let radius = radii(Scalar, [[word; LANES]; ABREAST])[0][0];
            assert!((0.0..5.0).contains(&radius), "{word}: {radius}");
            let ([cosine, ..], [.., sine]) = directions(Scalar, [[word; LANES]; ABREAST]);
            let length = sine[0] * sine[0] + cosine[0] * cosine[0];
            assert!((length - 1.0).abs() < 2e-5, "{word}");
        }
        assert_eq!(radii(Scalar, [[0; LANES]; ABREAST])[1][0], 0.0);
    }
}
