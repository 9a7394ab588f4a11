//! Separable Gaussian blur: along rows ([`rows`]), then along columns ([`columns`]).

/// Does something with a kernel's weights as an array of as many, up to [`MOST_WEIGHTS`], or something else: what
/// is known to the compiler stays in registers.
macro_rules! of_known_length {
    ($kernel:expr, |$weights:ident| $known:expr, else $other:expr) => {
        match *$kernel.weights() {
            [a] => of_known_length!(@ $weights, [a], $known),
            [a, b] => of_known_length!(@ $weights, [a, b], $known),
            [a, b, c] => of_known_length!(@ $weights, [a, b, c], $known),
            [a, b, c, d] => of_known_length!(@ $weights, [a, b, c, d], $known),
            [a, b, c, d, e] => of_known_length!(@ $weights, [a, b, c, d, e], $known),
            [a, b, c, d, e, f] => of_known_length!(@ $weights, [a, b, c, d, e, f], $known),
            [a, b, c, d, e, f, g] => of_known_length!(@ $weights, [a, b, c, d, e, f, g], $known),
            _ => $other,
        }
    };
    (@ $weights:ident, $array:expr, $known:expr) => {{
        let $weights = $array;
        $known
    }};
}

mod columns;
mod rows;

use chipmill_schemas::augment::{Border, GaussianBlur};

use crate::math::exp;
use crate::rng::OpKey;
use crate::simd::Lanes;
pub(crate) use columns::{
    blur_columns, blur_columns_to_bands, blur_columns_to_view, goes_to_bands,
};
pub(crate) use rows::{blur_along_rows, blur_rows, line_len};

/// Weights up to this are left out: they are lost in the rounding of `f32` sums.
const UNSEEN: f32 = 1e-9;
/// The most weights that have code of their own; as many as [`Lanes::outwards_of`] takes.
const MOST_WEIGHTS: usize = 7;
/// Largest radius, that of a view of 240 pixels a side.
const FARTHEST: usize = 12;

/// Pixels that the kernel reaches to each side: `floor(side / 20)`, at least 1.
pub(crate) fn radius(side: usize) -> usize {
    (side / 20).max(1)
}

/// The standard deviation drawn for a view, in pixels of the view; `None` without blur.
pub(crate) fn sigma(blur: &GaussianBlur, key: OpKey) -> Option<f64> {
    let [low, high] = blur.sigma.map(f64::from);
    key.stream(0)
        .chance(blur.p)
        .then(|| key.stream(1).between(low, high))
}

/// One side of a kernel: `weights[0]` counts once, `weights[k]` for the pixels `k` before and behind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct HalfKernel {
    weights: [f32; FARTHEST + 1],
    radius: usize,
    border: Border,
}

impl HalfKernel {
    /// `exp(-k² / (2 sigma²))` for `k` from 0 to `radius`, scaled so that the whole kernel adds up to 1;
    /// without weights too small to be seen.
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
    pub(crate) fn new(sigma: f64, radius: usize, border: Border) -> Self {
        let weight = |k: usize| {
            let distance = k as f64 / sigma;
            exp(-0.5 * distance * distance)
        };
        let radius = radius.min(FARTHEST);
        let all: [f64; FARTHEST + 1] =
            std::array::from_fn(|k| if k <= radius { weight(k) } else { 0.0 });
        let total = 1.0 + 2.0 * all[1..].iter().sum::<f64>();
        let weights = all.map(|w| (w / total) as f32);
        let seen = weights.iter().take_while(|&&w| w > UNSEEN).count();
        Self {
            weights,
            radius: seen.max(1) - 1,
            border,
        }
    }

    pub(crate) fn radius(&self) -> usize {
        self.radius
    }

    pub(crate) fn border(&self) -> Border {
        self.border
    }

    /// The weight of the middle, and those outwards.
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights[..=self.radius]
    }
}

#[inline(always)]
fn splats<L: Lanes, const N: usize>(lanes: L, weights: [f32; N], gain: f32) -> [L::F; N] {
    let mut splats = [lanes.splat(0.0); N];
    for (to, weight) in splats.iter_mut().zip(weights) {
        *to = lanes.splat(weight * gain);
    }
    splats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ks_p, op_keys};

    #[test]
    fn sigma_is_uniform_and_the_blur_as_likely_as_asked() {
        let blur = GaussianBlur::default();
        let mut drawn: Vec<f64> = op_keys(20_000)
            .filter_map(|key| sigma(&blur, key))
            .collect();
        assert!((4_750..5_250).contains(&drawn.len()), "{}", drawn.len());
        let [low, high] = blur.sigma.map(f64::from);
        assert!(ks_p(&mut drawn, |x| (x - low) / (high - low)) > 1e-3);
    }

    #[test]
    fn kernels_add_up_to_1_and_their_radius_follows_the_side() {
        assert_eq!([8, 32, 64, 120, 240].map(radius), [1, 1, 3, 6, 12]);
        for sigma in [0.1, 0.5, 1.0, 2.0, 50.0] {
            let kernel = HalfKernel::new(sigma, 6, Border::Reflect);
            let weights = kernel.weights();
            let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f32>();
            assert!((sum - 1.0).abs() < 1e-6);
            assert_eq!(weights.len() == 7, sigma >= 1.0, "{sigma}");
        }
    }
}
