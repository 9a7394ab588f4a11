//! What comes out of a probe.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProbeConfig;

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

impl Scores {
    /// The figures that are one number, by the names that they have in files, the headline first.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, f64)> {
        match self {
            Self::SingleLabel(s) => vec![
                ("accuracy", s.accuracy),
                ("balanced_accuracy", s.balanced_accuracy),
                ("macro_f1", s.macro_f1),
            ],
            Self::MultiLabel(s) => vec![
                ("macro_ap", s.macro_ap),
                ("micro_ap", s.micro_ap),
                ("macro_f1", s.macro_f1),
                ("micro_f1", s.micro_f1),
            ],
        }
    }

    /// Average precision by class; nothing of single-label scores.
    #[must_use]
    pub fn by_class(&self) -> &[Option<f64>] {
        match self {
            Self::SingleLabel(_) => &[],
            Self::MultiLabel(s) => &s.ap_by_class,
        }
    }
}

/// 95 % bootstrap intervals (bias corrected, accelerated) over the test rows. The classifier stays as
/// it is: they speak of the choice of test patches, taken as independent, and not of other seeds or
/// train rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Intervals {
    /// Resamples they are taken from.
    pub resamples: u32,
    /// Lower and upper bound of every score, by its name.
    pub scores: BTreeMap<String, [f64; 2]>,
    /// Those of the average precision by class, `None` where no resample has a positive row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ap_by_class: Vec<Option<[f64; 2]>>,
    /// How far the headline figure is behind that of the first entry, both scored on the same resamples;
    /// absent of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<[f64; 2]>,
}

/// Settings that were chosen, and on what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chosen {
    /// Rows they were chosen on.
    pub rows: u64,
    /// The headline score there, which is no estimate of that on new rows.
    pub score: f64,
    /// Inverse strength of the penalty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub c: Option<f64>,
    /// Neighbours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<u32>,
    /// Temperature of their weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knn_temperature: Option<f64>,
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
    /// How far other test rows might have moved them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// Its settings, where they were chosen and not fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
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
