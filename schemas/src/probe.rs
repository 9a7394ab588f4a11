//! Probes: what is asked and what comes out.

mod result;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
pub use result::{
    Chosen, Intervals, MultiLabelScores, ProbeEntry, ProbeReport, RowCounts, Scores,
    SingleLabelScores,
};

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

/// How the settings of classifiers are found: C, and the neighbours and temperature of kNN. The test rows
/// have no part in it; they are predicted once, by a classifier fitted on all train rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choose {
    /// `c`, `neighbours` and `knn_temperature` as they stand.
    #[default]
    Fixed,
    /// Of a grid, those with the best headline score on the split's validation rows.
    Validation,
    /// Of a grid, those with the best headline score on a third of the train rows, held out by the rule
    /// of the split (`official`: a third of each class), while candidates are fitted on the rest.
    Holdout,
}

impl Choose {
    /// The name in configurations and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Validation => "validation",
            Self::Holdout => "holdout",
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
    /// Whether the next three are as they stand or chosen from grids. A comparison has them fixed unless
    /// it says otherwise; `chipmill probe` chooses them where the split has validation rows.
    pub choose: Choose,
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
    /// Resamples of the test rows that 95 % intervals are taken from; 0 means no intervals.
    pub resamples: u32,
    /// The supervised control, which takes a training of its own; without this table there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supervised: Option<SupervisedConfig>,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            split: ProbeSplit::Official,
            choose: Choose::Fixed,
            c: 1.0,
            neighbours: 20,
            knn_temperature: 0.1,
            seed: 0,
            batch_size: 128,
            resamples: 1_000,
            supervised: None,
        }
    }
}

impl ProbeConfig {
    /// Candidates for `c`, from the strongest penalty on: of equal scores the first is taken.
    pub const C_GRID: [f64; 7] = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0];
    /// Candidates for `neighbours`; more than there are train rows means all of them.
    pub const NEIGHBOURS_GRID: [u32; 7] = [1, 5, 10, 20, 50, 100, 200];
    /// Candidates for `knn_temperature`, with each of the above.
    pub const KNN_TEMPERATURE_GRID: [f64; 4] = [0.03, 0.1, 0.3, 1.0];

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
