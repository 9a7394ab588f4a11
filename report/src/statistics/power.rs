//! What a number of seeds can resolve.
//!
//! The difference of a paired t test follows a noncentral t distribution with noncentrality
//! `delta sqrt(n) / std` (W. S. Gosset's statistic under an alternative; N. L. Johnson, B. L. Welch,
//! Biometrika 31, 1940). The sign-flip test of the verdicts has nearly the same power where its
//! smallest p allows a verdict at all.

use statrs::function::gamma::ln_gamma;

use super::float;
use super::student::{normal_cdf, t_quantile};

/// Intervals of Simpson's rule over the chi density.
const INTERVALS: u32 = 400;

/// Probability that a noncentral t variable is at most `t`: with `u = sqrt(chi² / degrees)`,
/// `P = ∫ Φ(t u - shift) f(u) du`.
#[must_use]
pub fn noncentral_t_cdf(t: f64, degrees: f64, shift: f64) -> f64 {
    // `u` has mean near 1 and standard deviation near 1 / sqrt(2 degrees); with few degrees its
    // density begins at 0.
    let spread = (2.0 * degrees).sqrt().recip();
    let from = (1.0 - 12.0 * spread).max(0.0);
    let to = 1.0 + 12.0 * spread;
    let width = (to - from) / f64::from(INTERVALS);
    let log_scale = degrees / 2.0 * (degrees / 2.0).ln() - ln_gamma(degrees / 2.0) + 2f64.ln();
    let density = |u: f64| {
        if u <= 0.0 {
            // Only one degree of freedom has density at 0.
            let at_zero = degrees <= 1.0;
            return if at_zero { log_scale.exp() } else { 0.0 };
        }
        (log_scale + (degrees - 1.0) * u.ln() - degrees * u * u / 2.0).exp()
    };
    let term = |k: u32| {
        let u = from + width * f64::from(k);
        let weight = match k {
            0 | INTERVALS => 1.0,
            k if k % 2 == 1 => 4.0,
            _ => 2.0,
        };
        weight * density(u) * normal_cdf(t * u - shift)
    };
    ((0..=INTERVALS).map(term).sum::<f64>() * width / 3.0).clamp(0.0, 1.0)
}

/// Power of a two-sided paired t test of `seeds` differences whose true mean is `ratio` standard
/// deviations, at level `alpha`. 0 with fewer than two seeds.
#[must_use]
pub fn power(ratio: f64, seeds: usize, alpha: f64) -> f64 {
    let degrees = float(seeds) - 1.0;
    let Some(bar) = t_quantile(1.0 - alpha / 2.0, degrees) else {
        return 0.0;
    };
    let shift = ratio.abs() * float(seeds).sqrt();
    1.0 - noncentral_t_cdf(bar, degrees, shift) + noncentral_t_cdf(-bar, degrees, shift)
}

/// The smallest true mean difference, in standard deviations of the differences, that is found with
/// this power; `None` with fewer than two seeds.
#[must_use]
pub fn resolvable(seeds: usize, alpha: f64, wanted: f64) -> Option<f64> {
    if seeds < 2 {
        return None;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while power(high, seeds, alpha) < wanted {
        high *= 2.0;
        if high > 1e6 {
            return None;
        }
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if power(middle, seeds, alpha) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(f64::midpoint(low, high))
}

/// The fewest seeds with which a true mean of `ratio` standard deviations is found with this power;
/// `None` beyond `most`.
#[must_use]
pub fn seeds_for(ratio: f64, alpha: f64, wanted: f64, most: usize) -> Option<usize> {
    let enough = |n: usize| power(ratio, n, alpha) >= wanted;
    if !enough(most) {
        return None;
    }
    // Power grows with the number of seeds.
    let (mut low, mut high) = (1, most);
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}
