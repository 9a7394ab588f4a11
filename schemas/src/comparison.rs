//! The result of a comparison, `comparison.json`, and the files that may stand beside it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::experiment::{Comparison, Endpoint, Prediction, StatisticsConfig};
use crate::run::Environment;

/// Lower and upper end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether all of it lies above 0.
    #[must_use]
    pub fn is_above_zero(self) -> bool {
        self.low > 0.0
    }

    /// Whether all of it lies below 0.
    #[must_use]
    pub fn is_below_zero(self) -> bool {
        self.high < 0.0
    }
}

/// `comparison.json`: what was asked, every run, and what came out. It holds no time, path or host of
/// its own, so that the same runs give the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonReport {
    /// Version of this file's form.
    pub format: u32,
    /// Program that wrote it, and its version.
    pub program: String,
    /// The experiment's name.
    pub name: String,
    /// What was asked.
    pub question: String,
    /// Whether every run is there and was scored. Until then nothing is judged.
    pub complete: bool,
    /// What was asked and what came out, in three sentences.
    pub sentences: Vec<String>,
    /// The primary endpoint.
    pub primary: Endpoint,
    /// How differences were judged.
    pub statistics: StatisticsConfig,
    /// One entry a family.
    pub families: Vec<FamilyResult>,
    /// What needs no pretraining, by the same probe on the same test patches: one entry a control and
    /// endpoint.
    #[serde(default)]
    pub controls: Vec<ControlResult>,
    /// One entry a prediction, in the experiment's order.
    pub predictions: Vec<PredictionResult>,
    /// One entry a planned run, whether it is there or not.
    pub runs: Vec<RunResult>,
    /// What a reader must know before any figure.
    pub remarks: Vec<String>,
    /// Where the runs were made; one entry where all are alike.
    pub environments: Vec<Environment>,
}

/// How a planned run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStanding {
    /// Finished, and its last checkpoint was scored: it counts.
    Counted,
    /// There is no such run folder yet.
    Missing,
    /// At work, or killed.
    Running,
    /// Stopped on request.
    Interrupted,
    /// Stopped by an error.
    Failed,
    /// All steps done, but its last checkpoint was not scored.
    NotScored,
    /// Its configuration is not the one the experiment asks for: it does not count.
    Different,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunResult {
    /// Its folder inside `runs/`.
    pub folder: String,
    /// Its family.
    pub family: String,
    /// Its arm.
    pub arm: String,
    /// Its seed.
    pub seed: u64,
    /// How it stands.
    pub standing: RunStanding,
    /// Steps done.
    pub step: u64,
    /// Steps to do.
    pub max_steps: u64,
    /// Digest of its resolved configuration.
    pub config_digest: Option<String>,
    /// Seconds of training behind the logged rows.
    pub seconds: Option<f64>,
    /// Mean over the logged rows: pairs a second.
    pub pairs_per_s: Option<f64>,
    /// Mean over the logged rows: share of time spent waiting for data.
    pub data_wait: Option<f64>,
    /// The endpoints' values; those of a run that does not count are left out.
    pub values: BTreeMap<Endpoint, f64>,
    /// Why it failed, or what is different.
    pub message: Option<String>,
}

/// The runs of a family, judged together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FamilyResult {
    /// Its name.
    pub name: String,
    /// Whether differences were to be judged.
    pub verdicts: bool,
    /// The smallest two-sided p that its seeds can give.
    pub smallest_p: f64,
    /// One entry an arm and endpoint.
    pub arms: Vec<ArmResult>,
    /// The comparisons listed, the primary endpoint's first.
    pub comparisons: Vec<ComparisonResult>,
}

/// One endpoint of one arm over its seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArmResult {
    /// The arm.
    pub arm: String,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Runs that count.
    pub runs: u64,
    /// Mean over them.
    pub mean: Option<f64>,
    /// Standard deviation over them (divisor `runs - 1`); two runs or more.
    pub std: Option<f64>,
    /// Student's t interval of the mean.
    pub interval: Option<Interval>,
}

/// One endpoint of a control. Controls are scored with the runs of the random encoder, or with every run
/// where there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ControlResult {
    /// The entry of the probe, such as `band_statistics` or `majority`.
    pub control: String,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Runs whose probe has it.
    pub runs: u64,
    /// Mean over them.
    pub mean: f64,
    /// Standard deviation over them (divisor `runs - 1`); 0 for what depends on no seed.
    pub std: Option<f64>,
}

/// How p was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignFlip {
    /// Over every assignment of signs.
    Exact,
    /// Over assignments drawn with the experiment's key.
    Resampled,
}

/// What can be said of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// `a` is above `b`: the family's corrected p is at most alpha.
    Above,
    /// `a` is below `b`, likewise.
    Below,
    /// No difference was detected. That is not a proof of none: the interval says what remains
    /// possible.
    NoDifference,
    /// Seeds are missing; judging what is there so far would be peeking.
    Incomplete,
    /// The family is not judged: estimates alone.
    EstimateOnly,
}

/// The difference of one seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairedDifference {
    /// The seed.
    pub seed: u64,
    /// `a - b`.
    pub difference: f64,
}

/// What can be said of one set of paired differences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// Seed by seed.
    pub differences: Vec<PairedDifference>,
    /// Mean difference.
    pub mean: f64,
    /// Standard deviation of the differences (divisor `n - 1`).
    pub std: f64,
    /// Student's t interval of the mean difference, level `1 - alpha`.
    pub t_interval: Interval,
    /// Bias-corrected and accelerated bootstrap interval of the same level.
    pub bca_interval: Interval,
    /// Two-sided p of the sign-flip test.
    pub p: f64,
    /// How.
    pub p_method: SignFlip,
}

/// One comparison on one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonResult {
    /// What is compared.
    #[serde(flatten)]
    pub arms: Comparison,
    /// On what.
    pub endpoint: Endpoint,
    /// What came out; two pairs or more.
    pub estimate: Option<Estimate>,
    /// t interval at level `1 - alpha / m` (Bonferroni): the intervals of all `m` comparisons of the
    /// family cover together.
    pub simultaneous_interval: Option<Interval>,
    /// p, corrected by Holm over the family's comparisons on this endpoint.
    pub p_holm: Option<f64>,
    /// What can be said.
    pub verdict: Verdict,
    /// What the seeds could have resolved.
    pub power: Option<PowerNote>,
}

/// What a t test of so many paired differences resolves with 80 % power, given their standard
/// deviation as observed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PowerNote {
    /// Pairs.
    pub seeds: u64,
    /// Power.
    pub power: f64,
    /// Smallest true difference found that often at level alpha, this comparison alone.
    pub alone: f64,
    /// The same at level `alpha / m`, Holm's first step.
    pub in_family: f64,
    /// Seeds with which the observed mean difference would be found that often at level alpha; `None`
    /// beyond 1,000.
    pub seeds_for_observed: Option<u64>,
}

/// How a prediction fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PredictionOutcome {
    /// As predicted.
    Met,
    /// Not met: the interval excludes what was predicted.
    Contradicted,
    /// Not met: the interval holds both what was predicted and its contrary.
    Unresolved,
    /// Runs are missing.
    Incomplete,
}

/// What a prediction was held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PredictionBasis {
    /// The verdict of a comparison listed for the same arms and endpoint, corrected by Holm.
    Verdict,
    /// The t interval, without correction.
    Interval,
}

/// A prediction and how it fared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PredictionResult {
    /// As it was written down.
    pub prediction: Prediction,
    /// The endpoint meant.
    pub endpoint: Endpoint,
    /// What was measured.
    pub estimate: Option<Estimate>,
    /// How it fared.
    pub outcome: PredictionOutcome,
    /// By what.
    pub basis: PredictionBasis,
}

/// A map of features in two dimensions, `features/<name>.json` in the comparison's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureMap {
    /// What is drawn, such as `SimCLR, batch 32, seed 0`.
    pub title: String,
    /// How features came to two dimensions, such as `PCA of 1,200 test patches`.
    pub method: String,
    /// Class names.
    pub classes: Vec<String>,
    /// One entry a patch: two coordinates and the number of its class.
    pub points: Vec<(f64, f64, u32)>,
}

/// `gradients.json`: gradients of `SimCLR` and DCL beside each other, without training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GradientStudy {
    /// Batches behind each row.
    pub batches: u32,
    /// Dimensions of the projections.
    pub dimensions: u32,
    /// One entry a family and temperature.
    pub rows: Vec<GradientRow>,
}

/// One temperature at one batch size. `q` is the share of the negatives in an anchor's denominator,
/// `U / (e^S+ + U)`: the factor between an anchor's gradients of `SimCLR` and of DCL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GradientRow {
    /// The family.
    pub family: String,
    /// Pairs in a batch.
    pub batch_size: u32,
    /// Temperature.
    pub temperature: f64,
    /// Mean over batches of the cosine between the gradients with respect to all projections.
    pub cosine: f64,
    /// Mean over batches of `|gradient of SimCLR| / |gradient of DCL|`.
    pub norm_ratio: f64,
    /// Mean cosine of the positive pairs.
    pub positive_cosine: f64,
    /// Mean of q over all anchors.
    pub q_mean: f64,
    /// Its 5th percentile.
    pub q_p5: f64,
    /// Its 95th percentile.
    pub q_p95: f64,
    /// Anchors by q, in equal bins over 0..=1.
    pub q_histogram: Vec<u64>,
}
