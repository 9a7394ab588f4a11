//! Random numbers that are a function of what they are for.
//!
//! There is no generator that runs along: every number is [`philox()`] of a counter that says which
//! operation of which view of which patch it belongs to, under a key made of the seed and the epoch.
//! So nothing depends on threads, on the position in a batch or on what was drawn before, and there
//! is no state to save.

mod normal;
mod philox;

pub(crate) use normal::{BLOCK as NORMALS, Left, Normals, RUN as NORMALS_RUN, Radii};
pub use philox::philox;
use philox::philox_rounds;

use crate::simd::Lanes;

/// What random numbers are for: numbers of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The order of patches in an epoch.
    Order = 1,
    /// The augmentation of views.
    View = 2,
}

/// The key of one purpose, seed and epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochKey([u32; 2]);

impl EpochKey {
    pub(crate) fn new(purpose: Purpose, seed: u64, epoch: u64) -> Self {
        let [low, high] = halves(epoch);
        let words = philox([low, high, purpose as u32, 0], halves(seed));
        Self([words[0], words[1]])
    }

    /// The numbers of one counter space.
    pub(crate) fn stream(self, space: [u32; 3]) -> Stream {
        Stream {
            key: self.0,
            counter: [0, space[0], space[1], space[2]],
            words: [0; 4],
            used: 4,
        }
    }
}

fn halves(value: u64) -> [u32; 2] {
    [(value & 0xFFFF_FFFF) as u32, (value >> 32) as u32]
}

/// Which view of which patch: all that its augmentation depends on besides pixels and configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ViewKey {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, counted from 0.
    pub epoch: u64,
    /// Row of the patch in the store.
    pub patch: u32,
    /// View, counted from 0.
    pub view: u32,
}

/// The random numbers of one operation of one view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpKey {
    key: EpochKey,
    patch: u32,
    view: u32,
    op: u32,
}

const TWO_TO_32: f64 = 4_294_967_296.0;

/// The stream of an operation's pixels.
const PIXELS: u32 = 255;

impl OpKey {
    /// Operation number `op` (its place in the configuration) of a view.
    pub(crate) fn new(view: ViewKey, op: u32) -> Self {
        Self {
            key: EpochKey::new(Purpose::View, view.seed, view.epoch),
            patch: view.patch,
            view: view.view,
            op,
        }
    }

    /// One of the operation's independent streams; `number` is below 255.
    pub(crate) fn stream(self, number: u32) -> Stream {
        self.key.stream(self.space(number))
    }

    /// Number `index` of a stream, uniform in [0, 1), without those before it.
    pub(crate) fn uniform_at(self, number: u32, index: usize) -> f64 {
        let [a, b, c] = self.space(number);
        let block = u32::try_from(index / 4).unwrap_or(u32::MAX);
        let word = philox([block, a, b, c], self.key.0)[index % 4];
        f64::from(word) / TWO_TO_32
    }

    /// Standard normal numbers of the operation's pixels, from `64 block` on.
    #[inline(always)]
    pub(crate) fn normals<L: Lanes>(self, lanes: L, block: u32) -> Normals<L> {
        Normals::new(lanes, self.space(PIXELS), self.key.0, block)
    }

    /// The same, going on from where they were left.
    #[inline(always)]
    pub(crate) fn resume_normals<L: Lanes>(self, lanes: L, block: u32, left: &Left) -> Normals<L> {
        Normals::resume(lanes, self.space(PIXELS), self.key.0, block, left)
    }

    fn space(self, number: u32) -> [u32; 3] {
        [(self.op << 8) | number, self.view, self.patch]
    }
}

/// Consecutive random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    words: [u32; 4],
    used: usize,
}

impl Stream {
    /// The next 32 random bits.
    pub(crate) fn word(&mut self) -> u32 {
        if self.used == 4 {
            self.words = philox(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Uniform in [0, 1), a multiple of 2^-32.
    pub(crate) fn uniform(&mut self) -> f64 {
        f64::from(self.word()) / TWO_TO_32
    }

    /// Uniform in [low, high).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// True with probability `p`; never for 0, always for 1.
    pub(crate) fn chance(&mut self, p: f32) -> bool {
        self.uniform() < f64::from(p)
    }

    /// Uniform among `0 .. n`, without modulo bias; 0 for an `n` of 0.
    ///
    /// Lemire, "Fast Random Integer Generation in an Interval", 2019: the high word of a product, with
    /// the few low words rejected that would make some results likelier.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        let rejected = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.word()) * u64::from(n);
            if (product & 0xFFFF_FFFF) as u32 >= rejected {
                return (product >> 32) as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Scalar;
    use crate::testing::{chi_square_p, ks_p};

    fn key(view: u32) -> ViewKey {
        ViewKey {
            seed: 11,
            epoch: 3,
            patch: 5,
            view,
        }
    }

    #[test]
    fn a_number_depends_on_every_part_of_its_key() {
        let first = |k: ViewKey, op: u32, number: u32| OpKey::new(k, op).stream(number).word();
        let base = key(0);
        let words = [
            first(base, 0, 0),
            first(ViewKey { seed: 12, ..base }, 0, 0),
            first(
                ViewKey {
                    seed: 11 | 1 << 40,
                    ..base
                },
                0,
                0,
            ),
            first(ViewKey { epoch: 4, ..base }, 0, 0),
            first(
                ViewKey {
                    epoch: 3 | 1 << 40,
                    ..base
                },
                0,
                0,
            ),
            first(ViewKey { patch: 6, ..base }, 0, 0),
            first(key(1), 0, 0),
            first(base, 1, 0),
            first(base, 0, 1),
        ];
        let distinct: std::collections::HashSet<u32> = words.into_iter().collect();
        assert_eq!(distinct.len(), words.len());
        assert_eq!(first(base, 0, 0), words[0]);
    }

    #[test]
    fn uniform_numbers_pass_kolmogorov_and_smirnov() {
        let mut stream = OpKey::new(key(0), 0).stream(0);
        let mut sample: Vec<f64> = (0..20_000).map(|_| stream.uniform()).collect();
        assert!(ks_p(&mut sample, |x| x) > 1e-3);
        // Across views instead of along a stream.
        let one = |view| OpKey::new(key(view), 0).stream(0).uniform();
        let mut sample: Vec<f64> = (0..20_000).map(one).collect();
        assert!(ks_p(&mut sample, |x| x) > 1e-3);
    }

    #[test]
    fn integers_are_equally_likely() {
        for n in [2_u32, 3, 4, 7, 120] {
            let mut stream = OpKey::new(key(n), 1).stream(0);
            let mut counts = vec![0_u64; n as usize];
            for _ in 0..20_000 {
                counts[stream.below(n) as usize] += 1;
            }
            let p = chi_square_p(&counts, &vec![1.0 / f64::from(n); n as usize]);
            assert!(p > 1e-3, "{n}: p = {p}");
        }
        assert_eq!(OpKey::new(key(0), 0).stream(0).below(0), 0);
        assert_eq!(OpKey::new(key(0), 0).stream(0).below(1), 0);
    }

    #[test]
    fn large_ranges_reject_instead_of_being_biased() {
        // With n = 3 * 2^30 a plain product would give the multiples of 3 twice as often.
        let n = 3 << 30;
        let mut stream = OpKey::new(key(0), 2).stream(0);
        let mut counts = [0_u64; 3];
        for _ in 0..30_000 {
            counts[(stream.below(n) % 3) as usize] += 1;
        }
        assert!(chi_square_p(&counts, &[1.0 / 3.0; 3]) > 1e-3);
    }

    #[test]
    fn chances_of_0_and_1_are_certain() {
        let mut stream = OpKey::new(key(0), 0).stream(0);
        assert!((0..10_000).all(|_| !stream.chance(0.0)));
        assert!((0..10_000).all(|_| stream.chance(1.0)));
        let hits = (0..20_000).filter(|_| stream.chance(0.25)).count();
        assert!((4_750..5_250).contains(&hits), "{hits}");
    }

    #[test]
    fn normal_numbers_pass_kolmogorov_and_smirnov_and_do_not_correlate() {
        let op = OpKey::new(key(0), 4);
        let all: Vec<f64> = (0..600)
            .flat_map(|block| op.normals(Scalar, block).next(Scalar).concat())
            .map(f64::from)
            .collect();
        let mut sorted = all.clone();
        assert!(ks_p(&mut sorted, crate::testing::normal_cdf) > 1e-3);
        let n = all.len() as f64;
        for lag in [1, 15, 16, 32, 64, 128, 1_920] {
            let r: f64 = all.iter().zip(&all[lag..]).map(|(a, b)| a * b).sum::<f64>() / n;
            assert!(r.abs() < 4.0 / n.sqrt(), "lag {lag}: {r}");
        }
        let fourth: f64 = all.iter().map(|x| x.powi(4)).sum::<f64>() / n;
        assert!((fourth - 3.0).abs() < 0.2, "kurtosis {fourth}");
    }
}
