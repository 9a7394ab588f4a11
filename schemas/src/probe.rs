//! Probes: what is asked and what comes out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

/// How rows are divided for a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeSplit {
    /// The store's official splits: fitted on train, chosen on validation, tested on test.
    #[default]
    Official,
    /// The notes': row `i` of the task's patches in store order is test when `i mod 3 == 0`.
    // Results written before the name was settled have `i_mod3`.
    #[serde(rename = "i_mod_3", alias = "i_mod3")]
    IMod3,
    /// Per class, one third of the rows for test, drawn with the seed.
    Stratified,
    /// Whole tiles for test, about one third of the rows: no neighbours on both sides.
    ByTile,
}

impl ProbeSplit {
    /// All ways.
    pub const ALL: [Self; 4] = [Self::Official, Self::IMod3, Self::Stratified, Self::ByTile];

    /// The name in configurations and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::IMod3 => "i_mod_3",
            Self::Stratified => "stratified",
            Self::ByTile => "by_tile",
        }
    }
}

/// What the supervised control sees of a patch while it is trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SupervisedView {
    /// The view that features are computed on.
    Plain,
    /// The same, mirrored and turned at random: classes of land cover do not change with that.
    #[default]
    Flips,
    /// The run's own augmentation (that of its first view, where views differ).
    Run,
}

impl SupervisedView {
    /// What it is, in words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Plain => "views not augmented",
            Self::Flips => "views mirrored and turned by quarters at random",
            Self::Run => "views augmented as the run's",
        }
    }
}

/// The supervised control: the run's encoder from its initial weights, trained with the labels of the
/// probe's train rows. It has the run's optimiser, the learning rate falling to 0 as half a cosine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SupervisedConfig {
    /// Passes over the train rows; the last one is taken, whatever its scores.
    pub epochs: u32,
    /// Patches in a training step; all train rows where they are fewer.
    pub batch_size: u32,
    /// What it sees of a patch.
    pub view: SupervisedView,
}

impl Default for SupervisedConfig {
    fn default() -> Self {
        Self {
            epochs: 30,
            batch_size: 32,
            view: SupervisedView::default(),
        }
    }
}

/// A probe of frozen features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeConfig {
    /// How rows are divided.
    pub split: ProbeSplit,
    /// Inverse strength of the L2 penalty: minimises `0.5 |W|² + C sum CE`, intercepts free.
    pub c: f64,
    /// Neighbours of the kNN probe.
    pub neighbours: u32,
    /// Temperature of the kNN probe's weights `exp(cosine / T)`.
    pub knn_temperature: f64,
    /// Seed of the `stratified` and `by_tile` splits.
    pub seed: u64,
    /// Patches in a forward pass.
    pub batch_size: u32,
    /// The supervised control, which takes a training of its own; without this table there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supervised: Option<SupervisedConfig>,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            split: ProbeSplit::Official,
            c: 1.0,
            neighbours: 20,
            knn_temperature: 0.1,
            seed: 0,
            batch_size: 128,
            supervised: None,
        }
    }
}

impl ProbeConfig {
    /// Checks ranges that types cannot hold.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] naming the first key that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let bad = |key: &str, message: String| ConfigError::BadValue {
            key: key.to_owned(),
            message,
        };
        if !(self.c.is_finite() && self.c > 0.0) {
            return Err(bad(
                "c",
                format!("is {}, expected a number above 0", self.c),
            ));
        }
        if !(self.knn_temperature.is_finite() && self.knn_temperature > 0.0) {
            let message = format!("is {}, expected a number above 0", self.knn_temperature);
            return Err(bad("knn_temperature", message));
        }
        if self.neighbours == 0 || self.batch_size == 0 {
            return Err(bad(
                "neighbours, batch_size",
                "expected 1 or more".to_owned(),
            ));
        }
        // Batch norm has no variance of one patch.
        let supervised = self.supervised.unwrap_or_default();
        if supervised.epochs == 0 || supervised.batch_size < 2 {
            return Err(bad(
                "supervised.epochs, supervised.batch_size",
                "expected 1 or more, and 2 or more".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Rows used by a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowCounts {
    /// Fitted on.
    pub train: u64,
    /// Chosen on (0 where the split has none).
    pub validation: u64,
    /// Tested on.
    pub test: u64,
    /// Left out: two or more of the task's classes.
    pub several_classes: u64,
    /// Left out: labels or split unknown.
    pub unknown: u64,
}

/// Scores of a single-label classifier on the test rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SingleLabelScores {
    /// Share of rows whose class was predicted.
    pub accuracy: f64,
    /// Mean over classes of the recall.
    pub balanced_accuracy: f64,
    /// Mean over classes of F1.
    pub macro_f1: f64,
    /// `confusion[truth][prediction]`, in class order.
    pub confusion: Vec<Vec<u64>>,
}

/// Scores of a multi-label classifier on the test rows. Classes without a positive test row are left
/// out of the macro means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MultiLabelScores {
    /// Average precision over all row-class pairs pooled.
    pub micro_ap: f64,
    /// Mean over classes of average precision.
    pub macro_ap: f64,
    /// F1 over all pairs pooled, threshold 0.5.
    pub micro_f1: f64,
    /// Mean over classes of F1, threshold 0.5.
    pub macro_f1: f64,
    /// Classes in the macro means.
    pub scored_classes: u64,
    /// Average precision by class, `None` without a positive test row.
    pub ap_by_class: Vec<Option<f64>>,
}

/// Scores, by the kind of target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Scores {
    /// One class a row.
    SingleLabel(SingleLabelScores),
    /// Any number of labels a row.
    MultiLabel(MultiLabelScores),
}

impl Scores {
    /// The one figure that stands for the rest: accuracy, or macro average precision.
    #[must_use]
    pub const fn headline(&self) -> f64 {
        match self {
            Self::SingleLabel(s) => s.accuracy,
            Self::MultiLabel(s) => s.macro_ap,
        }
    }

    /// Name of the headline figure.
    #[must_use]
    pub const fn headline_name(&self) -> &'static str {
        match self {
            Self::SingleLabel(_) => "accuracy",
            Self::MultiLabel(_) => "macro AP",
        }
    }
}

/// One line of a probe's table: the encoder, or a control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeEntry {
    /// `encoder`, `encoder_one_vs_rest`, `encoder_knn`, `random_encoder`, `supervised`,
    /// `band_statistics` or `majority`.
    pub name: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Its scores on the test rows.
    pub scores: Scores,
}

/// The result of a probe, `probe/<target>.json` in the run folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeReport {
    /// The task's name, or `labels-19` / `labels-43`.
    pub target: String,
    /// Class names in order.
    pub classes: Vec<String>,
    /// Step of the checkpoint.
    pub step: u64,
    /// Settings.
    pub config: ProbeConfig,
    /// Rows used.
    pub rows: RowCounts,
    /// The encoder first, then the controls.
    pub entries: Vec<ProbeEntry>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_splits_name_is_its_name_in_files() {
        for split in ProbeSplit::ALL {
            let written = serde_json::to_string(&split).unwrap();
            assert_eq!(written, format!("\"{}\"", split.name()));
        }
        let old: ProbeSplit = serde_json::from_str("\"i_mod3\"").unwrap();
        assert_eq!(old, ProbeSplit::IMod3);
    }
}
