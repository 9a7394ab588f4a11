//! Normal numbers by the Box-Muller transform, in lanes.

use std::f32::consts::LN_2;

use super::philox_rounds;
use crate::simd::{LANES, Lanes, Row};

/// Normal numbers of a block: what a step of [`Normals`] gives.
pub(crate) const BLOCK: usize = 4 * LANES;

/// Blocks that follow on one seed: those of a band of 120 pixels a side, and some.
pub(crate) const RUN: u32 = 256;

/// Rounds of Philox for the seeds of pixels' numbers: the fewest that its authors found to pass all of
/// `BigCrush` (table 2 of their paper); ten, as for everything else, are their margin of safety.
const SEED_ROUNDS: usize = 7;

/// Independent standard normal numbers, 64 a block.
///
/// Each lane is a xoshiro128+ (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021) of
/// its own. Block `k` lies in run `k / 256`, at whose beginning lane `l` takes the four words of Philox's counter
/// `16 (k / 256) + l` as its state: so any block can be made without those of other runs, and a word costs a third of
/// what it does from Philox. Those of its own run are passed over, unless it is known where they were left ([`Left`]).
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

/// Where numbers were left: whose they are, the next block, and the state before it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Left {
    of: Option<([u32; 3], [u32; 2])>,
    block: u32,
    /// Bits of words.
    state: [Row<f32>; 4],
}

impl<L: Lanes> Normals<L> {
    /// From a block on, which is best the one at which these numbers were left.
    #[inline(always)]
    pub(crate) fn resume(
        lanes: L,
        space: [u32; 3],
        key: [u32; 2],
        block: u32,
        left: &Left,
    ) -> Self {
        if left.of != Some((space, key)) || left.block != block {
            return Self::new(lanes, space, key, block);
        }
        let mut state = [lanes.splat_u(0); 4];
        for (state, words) in state.iter_mut().zip(&left.state) {
            *state = lanes.bits(lanes.load(words));
        }
        Self {
            space,
            key,
            state,
            block,
        }
    }

    /// Leaves them for [`Self::resume`].
    #[inline(always)]
    pub(crate) fn leave(&self, lanes: L, left: &mut Left) {
        left.of = Some((self.space, self.key));
        left.block = self.block;
        for (words, state) in left.state.iter_mut().zip(self.state) {
            lanes.store(lanes.as_floats(state), words);
        }
    }

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
            for _ in 0..passed {
                let _ = normals.words(lanes);
            }
        }
        normals
    }

    /// The next block.
    #[inline(always)]
    pub(crate) fn next(&mut self, lanes: L) -> [L::F; 4] {
        let mut normals = [lanes.splat(0.0); 4];
        let one = Radii::new(lanes, 1.0);
        self.begin(lanes);
        let (radii, (cosines, sines)) = self.polar(lanes, &one);
        for i in 0..ABREAST {
            normals[2 * i] = lanes.mul(radii[i], cosines[i]);
            normals[2 * i + 1] = lanes.mul(radii[i], sines[i]);
        }
        normals
    }

    /// Adds the next block, with the standard deviation that the radii are made for, to values.
    #[inline(always)]
    pub(crate) fn add(&mut self, lanes: L, radii: &Radii<L>, values: &mut [L::F; 4]) {
        self.begin(lanes);
        let (radii, (cosines, sines)) = self.polar(lanes, radii);
        for i in 0..ABREAST {
            values[2 * i] = lanes.mul_add(radii[i], cosines[i], values[2 * i]);
            values[2 * i + 1] = lanes.mul_add(radii[i], sines[i], values[2 * i + 1]);
        }
    }

    #[inline(always)]
    fn begin(&mut self, lanes: L) {
        if self.block.is_multiple_of(RUN) {
            self.seed(lanes);
        }
        self.block = self.block.wrapping_add(1);
    }

    /// The next words' radii, cosines and sines.
    #[inline(always)]
    fn polar(&mut self, lanes: L, radii: &Radii<L>) -> ([L::F; ABREAST], Directions<L>) {
        let words = self.words(lanes);
        polar(lanes, words, radii)
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

    /// A block's words.
    #[inline(always)]
    fn words(&mut self, lanes: L) -> [L::U; ABREAST] {
        [self.word(lanes), self.word(lanes)]
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
/// for most of them; and more than two take more registers than there are.
const ABREAST: usize = 2;

/// Cosines and sines.
type Directions<L> = ([<L as Lanes>::F; ABREAST], [<L as Lanes>::F; ABREAST]);

/// One step of Horner's scheme of each `x`.
#[inline(always)]
fn step<L: Lanes>(lanes: L, sums: &mut [L::F; ABREAST], x: [L::F; ABREAST], c: L::F) {
    for i in 0..ABREAST {
        sums[i] = lanes.mul_add(sums[i], x[i], c);
    }
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

/// What radii are made with: coefficients of `-2 ln u` times the square of a standard deviation, so that its root need
/// not be multiplied.
pub(crate) struct Radii<L: Lanes> {
    /// [`MINUS_TWICE_LN`].
    curve: [L::F; MINUS_TWICE_LN.len()],
    /// `-2`.
    slope: L::F,
    /// `-2 ln 2`, for an exponent where it stands in a float.
    whole: L::F,
}

impl<L: Lanes> Radii<L> {
    #[inline(always)]
    pub(crate) fn new(lanes: L, std: f32) -> Self {
        const MINUS_TWICE_LN_2: f32 = -2.0 * LN_2 / (1_u32 << 23) as f32;
        let square = std * std;
        let mut curve = [lanes.splat(0.0); MINUS_TWICE_LN.len()];
        for (to, c) in curve.iter_mut().zip(MINUS_TWICE_LN) {
            *to = lanes.splat(c * square);
        }
        Self {
            curve,
            slope: lanes.splat(-2.0 * square),
            whole: lanes.splat(MINUS_TWICE_LN_2 * square),
        }
    }
}

/// `u = 2^exponent (1 + t)`, with `1 + t` between the roots of 1/2 and of 2: `t`, and the exponent times 2^23.
#[inline(always)]
fn parted<L: Lanes>(lanes: L, word: L::U) -> (L::F, L::F) {
    // The bits as the fraction of a number from 1 to 2: what that lacks to 2 is exact.
    let fraction = lanes.and(lanes.shift_right::<8>(word), lanes.splat_u(0x007F_FFE0));
    let over = lanes.as_floats(lanes.xor(fraction, lanes.splat_u(ONE)));
    let u = lanes.bits(lanes.sub(lanes.splat(2.0), over));
    let root = lanes.splat_u(ROOT_HALF);
    let exponent = lanes.and(lanes.sub_u(u, root), lanes.splat_u(0xFF80_0000));
    let mantissa = lanes.sub_u(u, exponent);
    let t = lanes.sub(lanes.as_floats(mantissa), lanes.splat(1.0));
    (t, lanes.round_i32(exponent))
}

/// `sin(pi x) / x` and `cos(pi x)` as polynomials in `x²` on `[0, 1/4]`, with the smallest absolute errors in sine and
/// cosine: 5.9e-7 and 5e-8. Neighbouring angles are 3.8e-4 apart.
const SINE: [f32; 4] = [3.141_582, -5.167_143, 2.541_899, -0.554_636_2];
const COSINE: [f32; 5] = [1.0, -4.934_793, 4.058_411_6, -1.331_880_1, 0.219_696_79];

/// An angle from the right half of the circle, in half turns, and its square.
#[inline(always)]
fn angle<L: Lanes>(lanes: L, word: L::U) -> (L::F, L::F) {
    // In the middle of its step, so that both signs are equally likely.
    const HALF_STEP: u32 = 1 << 9;
    let fraction = lanes.and(lanes.shift_left::<10>(word), lanes.splat_u(0x007F_FC00));
    let over = lanes.as_floats(lanes.xor(fraction, lanes.splat_u(ONE + HALF_STEP)));
    let angle = lanes.sub(over, lanes.splat(1.5));
    (angle, lanes.mul(angle, angle))
}

/// `sqrt(-2 ln u)` with `u = 1 - (word >> 13 & 0x3FFFF) / 2^18`, and cosines and sines of angles that are uniform on the
/// circle.
#[inline(always)]
fn polar<L: Lanes>(
    lanes: L,
    words: [L::U; ABREAST],
    radii: &Radii<L>,
) -> ([L::F; ABREAST], Directions<L>) {
    let ((t0, e0), (t1, e1)) = (parted(lanes, words[0]), parted(lanes, words[1]));
    let ((a0, x0), (a1, x1)) = (angle(lanes, words[0]), angle(lanes, words[1]));
    let [t0, t1, x0, x1] = lanes.abreast([t0, t1, x0, x1]);
    let (t, squares, exponents, angles) = ([t0, t1], [x0, x1], [e0, e1], [a0, a1]);
    let mut slopes = [radii.curve[4]; ABREAST];
    let mut cosines = [lanes.splat(COSINE[4]); ABREAST];
    let mut sines = [lanes.splat(SINE[3]); ABREAST];
    for k in (0..4).rev() {
        step(lanes, &mut slopes, t, radii.curve[k]);
        step(lanes, &mut cosines, squares, lanes.splat(COSINE[k]));
        if k < 3 {
            step(lanes, &mut sines, squares, lanes.splat(SINE[k]));
        }
    }
    step(lanes, &mut slopes, t, radii.slope);
    let mut made = slopes;
    for i in 0..ABREAST {
        let whole = lanes.mul(exponents[i], radii.whole);
        made[i] = lanes.sqrt(lanes.mul_add(slopes[i], t[i], whole));
        sines[i] = lanes.mul(angles[i], sines[i]);
        let sign = lanes.and(words[i], lanes.splat_u(0x8000_0000));
        cosines[i] = lanes.as_floats(lanes.xor(lanes.bits(cosines[i]), sign));
    }
    (made, (cosines, sines))
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
                .map(|lane| plain_words(run, lane, ABREAST * RUN as usize))
                .collect();
            for block in 0..RUN as usize {
                let found: [[f32; LANES]; 4] = normals.next(Scalar);
                for (l, words) in words.iter().enumerate() {
                    for (k, &word) in words[ABREAST * block..][..ABREAST].iter().enumerate() {
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
        let mut left = Left::default();
        for block in 0..3 * RUN {
            let here = Normals::new(Scalar, SPACE, KEY, block).next(Scalar);
            assert!(normals.next(Scalar) == here, "{block}");
            let mut resumed = Normals::resume(Scalar, SPACE, KEY, block, &left);
            assert!(resumed.next(Scalar) == here, "{block}");
            resumed.leave(Scalar, &mut left);
        }
        // What was left is of other numbers, or of another place.
        let other = [SPACE[0], SPACE[1], SPACE[2] + 1];
        for (space, block) in [(other, 3 * RUN), (SPACE, 5)] {
            let here = Normals::new(Scalar, space, KEY, block).next(Scalar);
            let resumed = Normals::resume(Scalar, space, KEY, block, &left).next(Scalar);
            assert!(resumed == here, "{space:?} {block}");
        }
    }

    #[test]
    fn the_extreme_words_give_finite_numbers() {
        let one = Radii::new(Scalar, 1.0);
        for word in [0, 1, 0x1FFF, 0x2000, 0x7FFF_E000, 0x8000_0000, u32::MAX] {
            let (radii, ([cosine, ..], [.., sine])) = polar(Scalar, [[word; LANES]; ABREAST], &one);
            let radius = radii[0][0];
            assert!((0.0..5.0).contains(&radius), "{word}: {radius}");
            let length = sine[0] * sine[0] + cosine[0] * cosine[0];
            assert!((length - 1.0).abs() < 2e-5, "{word}");
        }
        let (radii, _) = polar(Scalar, [[0; LANES]; ABREAST], &one);
        assert_eq!(radii[1][0], 0.0);
    }
}
