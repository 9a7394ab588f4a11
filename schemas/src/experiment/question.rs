//! What is asked of the runs, and how it is answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Endpoint;

/// Two arms of a family; the difference is `a` minus `b`, seed by seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Arm.
    pub a: String,
    /// The arm that it is measured against.
    pub b: String,
}

/// What a prediction says of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// `a` is above `b`.
    Above,
    /// `a` is below `b`.
    Below,
    /// They differ by less than `within`.
    Level,
}

/// Something expected, written down before the runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// What is expected, in words.
    pub text: String,
    /// The family.
    pub family: String,
    /// Arm.
    pub a: String,
    /// The arm that it is measured against.
    pub b: String,
    /// Which number; the primary endpoint when there is none.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
    /// What of the difference `a - b`.
    pub expect: Expectation,
    /// For `level`: how far apart is still level, such as 0.01 for one point.
    #[serde(default)]
    pub within: Option<f64>,
    /// Another family: the prediction is then of the difference of differences, `a - b` here minus
    /// `a - b` there.
    #[serde(default)]
    pub than_in: Option<String>,
}

/// How differences are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StatisticsConfig {
    /// Rate of false positives allowed in a family, 0..1; intervals cover `1 - alpha`.
    pub alpha: f64,
    /// Resamples of the bootstrap, and of the sign-flip test beyond
    /// [`StatisticsConfig::EXACT_UP_TO`] seeds.
    pub resamples: u32,
    /// Key of the resampling: the same key, the same figures.
    pub key: u64,
}

impl StatisticsConfig {
    /// With so many seeds or fewer, the sign-flip test goes through every assignment of signs.
    pub const EXACT_UP_TO: usize = 16;
}

impl Default for StatisticsConfig {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            resamples: 10_000,
            key: 0,
        }
    }
}

/// The smallest two-sided p that the sign-flip test can give for so many paired differences: both
/// assignments that agree with the differences in all signs, of `2^seeds`; by resampling,
/// `1 / (resamples + 1)`.
#[must_use]
pub fn smallest_p(seeds: usize, resamples: u32) -> f64 {
    if seeds > StatisticsConfig::EXACT_UP_TO {
        return 1.0 / (f64::from(resamples) + 1.0);
    }
    let exponent = i32::try_from(seeds).unwrap_or(i32::MAX);
    (2.0 / 2f64.powi(exponent)).min(1.0)
}

/// The fewest seeds with which the smallest p passes Holm's first step, `alpha / comparisons`.
#[must_use]
pub fn seeds_needed(comparisons: usize, alpha: f64) -> usize {
    let asked = alpha / (comparisons.max(1) as f64);
    (1..=64)
        .find(|&n| 2.0 / 2f64.powi(n) <= asked)
        .map_or(64, |n| usize::try_from(n).unwrap_or(64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_seeds_resolve_six_comparisons_and_not_seven() {
        assert_eq!(smallest_p(8, 10_000), 2.0 / 256.0);
        assert_eq!(
            [1, 2, 3, 4, 6, 7].map(|m| seeds_needed(m, 0.05)),
            [6, 7, 7, 8, 8, 9]
        );
        assert!(smallest_p(8, 10_000) <= 0.05 / 6.0 && smallest_p(8, 10_000) > 0.05 / 7.0);
        assert_eq!(smallest_p(1, 10_000), 1.0);
        assert_eq!(smallest_p(40, 9_999), 1e-4);
    }
}
