//! Keys and statistics for the tests of random draws.

use crate::rng::{OpKey, ViewKey};

/// Keys of one operation of the first view of so many patches.
pub(crate) fn op_keys(patches: u32) -> impl Iterator<Item = OpKey> {
    (0..patches).map(|patch| {
        let key = ViewKey {
            seed: 6,
            epoch: 1,
            patch,
            view: 0,
        };
        OpKey::new(key, 5)
    })
}

/// Probability of a chi-square statistic at least as large as that of `counts` under `expected`
/// probabilities (Wilson and Hilferty's cube-root approximation).
pub(crate) fn chi_square_p(counts: &[u64], expected: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    let statistic: f64 = counts
        .iter()
        .zip(expected)
        .map(|(&count, p)| (count as f64 - total * p).powi(2) / (total * p))
        .sum();
    let freedom = (counts.len() - 1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    let z = ((statistic / freedom).cbrt() - (1.0 - spread)) / spread.sqrt();
    1.0 - normal_cdf(z)
}

/// Probability of a Kolmogorov-Smirnov distance at least as large as that between `sample` and the
/// continuous distribution function `cdf`. Sorts the sample.
pub(crate) fn ks_p(sample: &mut [f64], cdf: impl Fn(f64) -> f64) -> f64 {
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let distance = sample
        .iter()
        .enumerate()
        .map(|(i, &x)| {
            let (f, i) = (cdf(x), i as f64);
            (f - i / n).abs().max(((i + 1.0) / n - f).abs())
        })
        .fold(0.0, f64::max);
    let t = (n.sqrt() + 0.12 + 0.11 / n.sqrt()) * distance;
    let term = |k: f64| (-2.0 * (k * t).powi(2)).exp() * if k % 2.0 == 1.0 { 2.0 } else { -2.0 };
    (1..=50)
        .map(f64::from)
        .map(term)
        .sum::<f64>()
        .clamp(0.0, 1.0)
}

/// Distribution function of the standard normal, by Simpson's rule on its density.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    let z = z.clamp(-8.0, 8.0);
    let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let steps = 400;
    let h = z / f64::from(steps);
    let inner: f64 = (1..steps)
        .map(|i| density(f64::from(i) * h) * if i % 2 == 1 { 4.0 } else { 2.0 })
        .sum();
    0.5 + h / 3.0 * (density(0.0) + inner + density(z))
}
