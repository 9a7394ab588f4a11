//! The bias-corrected and accelerated bootstrap interval of a mean (B. Efron, J. Am. Stat. Assoc. 82,
//! 1987).

use chipmill_schemas::comparison::Interval;

use super::random::Random;
use super::student::{normal_cdf, normal_quantile};
use super::{float, mean};

/// Interval of the mean from `resamples` resamples of the values. `None` of fewer than two values.
#[must_use]
pub fn bca_interval(
    values: &[f64],
    level: f64,
    resamples: u32,
    random: &mut Random,
) -> Option<Interval> {
    let mut means: Vec<f64> = Vec::with_capacity(resamples as usize);
    for _ in 0..resamples {
        let mut sum = 0.0;
        for _ in values {
            sum += values.get(random.below(values.len())).copied()?;
        }
        means.push(sum / float(values.len()));
    }
    bca_of(values, level, means)
}

/// The interval for given means of resamples:
/// the quantiles `Φ(z0 + (z0 + z) / (1 - a (z0 + z)))` of those means, where `z` is the normal quantile
/// of the interval's end, `z0` that of the share of means below the observed one (ties by half), and
/// `a` the acceleration from leaving one value out at a time.
pub(crate) fn bca_of(values: &[f64], level: f64, mut means: Vec<f64>) -> Option<Interval> {
    let observed = mean(values)?;
    if values.len() < 2 || means.is_empty() {
        return None;
    }
    means.sort_by(f64::total_cmp);
    if means.first() == means.last() {
        let value = means[0];
        return Some(Interval {
            low: value,
            high: value,
        });
    }
    // Resamples that hold the same values in another order differ from the mean in the last bits.
    let close = 1e-12 * values.iter().map(|v| v.abs()).fold(0.0, f64::max);
    let below = means.partition_point(|m| *m < observed - close);
    let up_to = means.partition_point(|m| *m <= observed + close);
    let bias = normal_quantile(float(below + up_to) / (2.0 * float(means.len())));
    let acceleration = acceleration(values, observed);
    let end = |probability: f64| {
        let z = bias + normal_quantile(probability);
        let at = normal_cdf(bias + z / (1.0 - acceleration * z));
        quantile(&means, if at.is_finite() { at } else { probability })
    };
    let tail = (1.0 - level) / 2.0;
    Some(Interval {
        low: end(tail),
        high: end(1.0 - tail),
    })
}

/// `sum d³ / (6 (sum d²)^1.5)` over `d`, the mean of the left-one-out means minus each of them.
fn acceleration(values: &[f64], observed: f64) -> f64 {
    let others = float(values.len()) - 1.0;
    let (mut squares, mut cubes) = (0.0, 0.0);
    for value in values {
        // The mean without `value` is `observed - (value - observed) / (n - 1)`.
        let d = (value - observed) / others;
        squares += d * d;
        cubes += d * d * d;
    }
    if squares > 0.0 {
        cubes / (6.0 * squares.powf(1.5))
    } else {
        0.0
    }
}

/// Linear interpolation between order statistics of sorted values.
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let at = probability.clamp(0.0, 1.0) * (float(sorted.len()) - 1.0);
    let (floor, last) = (at.floor(), sorted.len() - 1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "lies within the slice"
    )]
    let low = (floor as usize).min(last);
    let (a, b) = (sorted[low], sorted[(low + 1).min(last)]);
    a + (b - a) * (at - floor)
}
