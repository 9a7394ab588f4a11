//! Files of a run folder.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// JSON has no NaN and no infinity: writers write `null`, and readers take it for NaN, so that a run
/// that diverged can still be read.
fn null_is_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Projections have collapsed to a point when their standard deviation is less than this share of that of
/// an even spread over the sphere, `1 / sqrt(dimension)`.
pub const POINT_BELOW: f64 = 0.1;
/// They have collapsed to a line when their effective rank is below this, where 8 or more was possible.
pub const LINE_BELOW: f64 = 2.0;
/// Ranks are judged where so many are possible.
const RANKS: u32 = 8;

/// How the projections of a batch have collapsed: what is learnt then tells patches apart no more, whatever
/// the loss says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Collapse {
    /// All of them to nearly the same point of the sphere.
    Point,
    /// All of them to nearly the same line through its centre.
    Line,
}

/// One line of `metrics.jsonl`. A number that is not finite stands there as `null`.
///
/// After a resume, steps may be logged again with a higher `attempt`: readers keep the last row of a
/// step. What not every run measures (`q_*`, `w_*`, `rank_me`), and scores of probes during training
/// (`probe_*`, on the steps that were probed), are absent where they were not measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsRow {
    /// Optimiser steps done, from 1; 0 for a probe of the initial encoder, whose other numbers are
    /// `null`.
    pub step: u64,
    /// Which start of the run wrote the row, from 0.
    pub attempt: u32,
    /// Epochs begun, from 0.
    pub epoch: u64,
    /// The loss of this step's batch.
    #[serde(deserialize_with = "null_is_nan")]
    pub loss: f64,
    /// Learning rate of this step.
    #[serde(deserialize_with = "null_is_nan")]
    pub learning_rate: f64,
    /// Share of the 2B anchors whose positive is more similar than every negative.
    #[serde(deserialize_with = "null_is_nan")]
    pub contrastive_accuracy: f64,
    /// Mean squared distance between the two views' unit projections.
    #[serde(deserialize_with = "null_is_nan")]
    pub alignment: f64,
    /// Log of the mean of `exp(-2 d²)` over pairs of unit projections.
    #[serde(deserialize_with = "null_is_nan")]
    pub uniformity: f64,
    /// Mean over dimensions of the standard deviation of unit projections; 0 means collapse.
    #[serde(deserialize_with = "null_is_nan")]
    pub embedding_std: f64,
    /// Norm of all parameters.
    #[serde(deserialize_with = "null_is_nan")]
    pub weight_norm: f64,
    /// Norm of all gradients.
    #[serde(deserialize_with = "null_is_nan")]
    pub gradient_norm: f64,
    /// Image pairs a second since the last row.
    #[serde(deserialize_with = "null_is_nan")]
    pub pairs_per_s: f64,
    /// Share of wall time spent waiting for the loader since the last row, 0..=1.
    #[serde(deserialize_with = "null_is_nan")]
    pub data_wait: f64,
    /// Mean over anchors of q, the negatives' share of the denominator: SimCLR's gradient is q times
    /// DCL's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q_mean: Option<f64>,
    /// 5th percentile of q.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q_p5: Option<f64>,
    /// 95th percentile of q.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q_p95: Option<f64>,
    /// 5th percentile of the weights of `dclw`, whose mean is 1; below 0 a pair is pushed apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub w_p5: Option<f64>,
    /// 95th percentile of the weights of `dclw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub w_p95: Option<f64>,
    /// Effective rank of the projections (`RankMe`), 1 to their width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_me: Option<f64>,
    /// How the projections have collapsed; absent when they have not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapsed: Option<Collapse>,
    /// Probe of the encoder as it is at this step: accuracy of the multinomial classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_accuracy: Option<f64>,
    /// The same classifier: mean over classes of its recall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_balanced_accuracy: Option<f64>,
    /// The same classifier: mean over classes of its F1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_macro_f1: Option<f64>,
    /// Accuracy of the one-vs-rest classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_one_vs_rest: Option<f64>,
    /// Accuracy of the kNN classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_knn: Option<f64>,
    /// Probe on a multi-label target: mean over classes of average precision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_macro_ap: Option<f64>,
    /// The same probe: average precision over all row-class pairs pooled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_micro_ap: Option<f64>,
}

impl MetricsRow {
    /// Whether the projections of this row's batch have collapsed, with a head of so many outputs and
    /// batches of so many patches: [`POINT_BELOW`], [`LINE_BELOW`]. A row without a measurement has not.
    #[must_use]
    pub fn collapse(&self, output: u32, batch_size: u32) -> Option<Collapse> {
        let even = f64::from(output).sqrt().recip();
        if self.embedding_std < POINT_BELOW * even {
            return Some(Collapse::Point);
        }
        let judged = output.min(batch_size) >= RANKS;
        let low = judged && self.rank_me.is_some_and(|rank| rank < LINE_BELOW);
        low.then_some(Collapse::Line)
    }

    /// The row of a step at which nothing but a probe was measured, such as step 0: every monitor is
    /// NaN.
    #[must_use]
    pub fn unmeasured(step: u64, attempt: u32) -> Self {
        Self {
            step,
            attempt,
            loss: f64::NAN,
            learning_rate: f64::NAN,
            contrastive_accuracy: f64::NAN,
            alignment: f64::NAN,
            uniformity: f64::NAN,
            embedding_std: f64::NAN,
            weight_norm: f64::NAN,
            gradient_norm: f64::NAN,
            pairs_per_s: f64::NAN,
            data_wait: f64::NAN,
            ..Self::default()
        }
    }
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// At work, or killed.
    Running,
    /// Stopped on request, with a checkpoint.
    Interrupted,
    /// Stopped by an error.
    Failed,
    /// All steps done.
    Finished,
}

/// `status.json`, rewritten atomically.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunStatus {
    /// State.
    pub state: RunState,
    /// Steps done.
    pub step: u64,
    /// Steps to do.
    pub max_steps: u64,
    /// Starts so far, from 0.
    pub attempt: u32,
    /// Step of the newest checkpoint.
    pub checkpoint: Option<u64>,
    /// Why it failed.
    pub message: Option<String>,
    /// The first row's step since which the projections have been collapsed in every row; absent while they
    /// are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapsed_since: Option<u64>,
}

/// A file of encoder weights that a run began with, in place of those of its seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InitialWeights {
    /// Where it lay.
    pub path: String,
    /// BLAKE3 of its bytes (hex).
    pub blake3: String,
}

/// `environment.json`: where and with what a run was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Program and version.
    pub program: String,
    /// Features the program was built with.
    pub features: Vec<String>,
    /// Command line.
    pub command: Vec<String>,
    /// Device asked for, such as `cpu`.
    pub device: String,
    /// Processor.
    pub cpu: String,
    /// Logical cores available.
    pub cores: u32,
    /// Operating system.
    pub os: String,
    /// Digest of the store's manifest.
    pub store_digest: String,
    /// Digest of the resolved configuration.
    pub config_digest: String,
    /// Patches selected.
    pub patches: u64,
    /// Parameters of encoder and projection head.
    pub parameters: u64,
    /// The weights that it began with, where they came from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_weights: Option<InitialWeights>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_diverged_reads_back() {
        let row = MetricsRow {
            step: 7,
            loss: f64::NAN,
            gradient_norm: f64::INFINITY,
            ..MetricsRow::default()
        };
        let text = serde_json::to_string(&row).unwrap();
        let back: MetricsRow = serde_json::from_str(&text).unwrap();
        assert!(back.loss.is_nan() && back.gradient_norm.is_nan());
        assert_eq!((back.step, back.weight_norm), (7, 0.0));
        assert!(serde_json::from_str::<MetricsRow>("{\"step\": 7}").is_err());
    }

    #[test]
    fn a_point_and_a_line_are_collapse_and_an_even_spread_is_not() {
        let row = |embedding_std, rank| MetricsRow {
            embedding_std,
            rank_me: Some(rank),
            ..MetricsRow::default()
        };
        // An even spread over 256 dimensions has 1 / 16.
        assert_eq!(row(0.06, 90.0).collapse(256, 128), None);
        assert_eq!(row(0.0063, 90.0).collapse(256, 128), None);
        assert_eq!(row(0.0062, 90.0).collapse(256, 128), Some(Collapse::Point));
        assert_eq!(row(0.06, 1.9).collapse(256, 128), Some(Collapse::Line));
        assert_eq!(row(0.06, 1.9).collapse(256, 4), None);
        assert_eq!(MetricsRow::unmeasured(0, 0).collapse(256, 128), None);
    }

    #[test]
    fn a_row_of_a_probe_alone_holds_nothing_else() {
        let row = MetricsRow {
            probe_accuracy: Some(0.5),
            ..MetricsRow::unmeasured(0, 2)
        };
        let json = serde_json::to_value(row).unwrap();
        let fields = json.as_object().unwrap();
        let measured =
            |(name, value): (&String, &serde_json::Value)| (!value.is_null()).then(|| name.clone());
        let mut names: Vec<String> = fields.iter().filter_map(measured).collect();
        names.sort();
        assert_eq!(names, ["attempt", "epoch", "probe_accuracy", "step"]);
    }
}
