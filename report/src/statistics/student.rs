//! Student's t: quantiles, and the interval of a mean.

use chipmill_schemas::comparison::Interval;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::{float, mean, std};

/// The value below which a t variable of so many degrees of freedom lies with this probability; `None`
/// without a degree of freedom or outside 0..1.
#[must_use]
pub fn t_quantile(probability: f64, degrees: f64) -> Option<f64> {
    let inside = probability > 0.0 && probability < 1.0;
    let t = StudentsT::new(0.0, 1.0, degrees).ok().filter(|_| inside)?;
    Some(t.inverse_cdf(probability))
}

/// Cumulative distribution of the standard normal.
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    Normal::standard().cdf(x)
}

/// Quantile of the standard normal; infinite at 0 and 1.
#[must_use]
pub fn normal_quantile(probability: f64) -> f64 {
    Normal::standard().inverse_cdf(probability.clamp(0.0, 1.0))
}

/// Interval of the mean: `mean ± t(1 - (1 - level)/2; n - 1) std / sqrt(n)`. `None` of fewer than two
/// values.
#[must_use]
pub fn interval(values: &[f64], level: f64) -> Option<Interval> {
    let (centre, spread) = (mean(values)?, std(values)?);
    let quantile = t_quantile(f64::midpoint(1.0, level), float(values.len()) - 1.0)?;
    let half = quantile * spread / float(values.len()).sqrt();
    Some(Interval {
        low: centre - half,
        high: centre + half,
    })
}
