//! An experiment: arms x seeds, and what is asked of them, written down before anything runs.
//!
//! ```text
//! base configuration <- set <- family.set <- arm.set <- seed      one run: runs/<family>-<arm>-s<seed>
//! ```
//! Runs of the same seed are paired: they have the same initial weights, the same order of patches and
//! the same augmentations, so that an arm is compared with another seed by seed. What is compared, and
//! what is expected, stands in the same file; `validate` refuses a list that the seeds cannot resolve.

mod endpoint;
mod question;
mod runs;
mod validate;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::PretrainConfig;
use crate::probe::ProbeSplit;

pub use endpoint::{Endpoint, Endpoints};
pub use question::{
    Comparison, Expectation, Prediction, StatisticsConfig, seeds_needed, smallest_p,
};
pub use runs::{PlannedRun, same_experiment};

/// Where the configuration that all runs share comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Base {
    /// A TOML file of a pretraining run; the path is relative to the experiment's file.
    File(String),
    /// The same keys, in place. What `compare` keeps in its folder is always of this form.
    Table(#[schemars(with = "PretrainConfig")] toml::Table),
}

impl Default for Base {
    fn default() -> Self {
        Self::Table(toml::Table::new())
    }
}

/// An experiment, `EXPERIMENT.toml`; `experiment.toml` in the folder of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// Its name.
    pub name: String,
    /// What is asked, in one sentence.
    pub question: String,
    /// The configuration that all runs share.
    #[serde(default)]
    pub base: Base,
    /// Changes to it, as `key=value`.
    #[serde(default)]
    pub set: Vec<String>,
    /// One run of every arm for each; the unit of replication.
    pub seeds: Vec<u64>,
    /// How features are scored.
    pub probe: ExperimentProbe,
    /// What is compared.
    #[serde(default)]
    pub endpoints: Endpoints,
    /// How it is compared.
    #[serde(default)]
    pub statistics: StatisticsConfig,
    /// What differs between runs of one seed and family.
    #[serde(rename = "arm")]
    pub arms: Vec<Arm>,
    /// Groups of runs that share a setting, such as the batch size, and are judged together.
    #[serde(rename = "family")]
    pub families: Vec<Family>,
    /// What is expected, written down beforehand.
    #[serde(default, rename = "prediction")]
    pub predictions: Vec<Prediction>,
    /// A study of gradients on real batches, without training.
    #[serde(default)]
    pub gradients: Option<GradientStudyConfig>,
}

/// One configuration of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its name, part of the run folders' names: small letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// What a reader of the report sees; the name when there is none.
    #[serde(default)]
    pub label: Option<String>,
    /// Changes to the configuration, as `key=value`.
    #[serde(default)]
    pub set: Vec<String>,
    /// The encoder as it was initialised: nothing is trained, only probed.
    #[serde(default)]
    pub random_encoder: bool,
    /// Colour of its curves; given by its place in the list when there is none.
    #[serde(default)]
    pub colour: Option<Colour>,
}

impl Arm {
    /// What a reader sees.
    #[must_use]
    pub fn title(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }
}

/// Colour of an arm's curves, in light and dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// `SimCLR` in the notes' plots.
    Orange,
    /// Weighted DCL with its gradient passed, in the notes' plots.
    Blue,
    /// Weighted DCL with its gradient stopped, in the notes' plots.
    Red,
    /// Green.
    Green,
    /// Violet.
    Violet,
    /// Teal.
    Teal,
    /// Brown.
    Brown,
    /// Grey.
    Grey,
}

impl Colour {
    /// All, in the order in which arms without a colour of their own take them.
    pub const ALL: [Self; 8] = [
        Self::Orange,
        Self::Blue,
        Self::Red,
        Self::Green,
        Self::Violet,
        Self::Teal,
        Self::Brown,
        Self::Grey,
    ];
}

/// Runs that share a setting; Holm's correction is over the comparisons of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// Its name, part of the run folders' names: small letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// What a reader of the report sees; the name when there is none.
    #[serde(default)]
    pub label: Option<String>,
    /// Changes to the configuration, as `key=value`.
    #[serde(default)]
    pub set: Vec<String>,
    /// A probe every so many steps in this family, in place of `probe.every_steps`: families of other
    /// batch sizes have other numbers of steps.
    #[serde(default)]
    pub probe_every_steps: Option<u64>,
    /// Which arms, by name; empty means all.
    #[serde(default)]
    pub arms: Vec<String>,
    /// Whether differences are judged. `false` gives estimates and intervals alone, for fewer seeds
    /// than a verdict needs.
    #[serde(default = "yes")]
    pub verdicts: bool,
    /// What is compared, listed beforehand.
    #[serde(default, rename = "comparison")]
    pub comparisons: Vec<Comparison>,
}

impl Family {
    /// What a reader sees.
    #[must_use]
    pub fn title(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }
}

const fn yes() -> bool {
    true
}

/// A classifier on frozen features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeClassifier {
    /// Multinomial logistic regression, as `chipmill probe` has it; entry `encoder`.
    Multinomial,
    /// One logistic regression a class, the largest wins, as in the notes; entry
    /// `encoder_one_vs_rest`.
    OneVsRest,
    /// Weighted vote of the nearest neighbours; entry `encoder_knn`.
    Knn,
}

/// How features are scored, during training and at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentProbe {
    /// A single-label task: `notes4`, or a TOML file that defines one. Either this or `labels`.
    #[serde(default)]
    pub task: Option<String>,
    /// All labels of a nomenclature, 19 or 43.
    #[serde(default)]
    pub labels: Option<u32>,
    /// How rows are divided.
    #[serde(default)]
    pub split: ProbeSplit,
    /// A probe every so many steps as well, for the curves; 0 means at the end only.
    #[serde(default)]
    pub every_steps: u64,
    /// Which classifiers. `multinomial` is always among them.
    #[serde(default = "multinomial")]
    pub classifiers: Vec<ProbeClassifier>,
    /// Other settings of the probe, as `key=value` (see `chipmill schema probe`).
    #[serde(default)]
    pub set: Vec<String>,
}

fn multinomial() -> Vec<ProbeClassifier> {
    vec![ProbeClassifier::Multinomial]
}

impl ExperimentProbe {
    /// The `target` of the probe's result: the task's name, or `labels-19` / `labels-43`. `None` for
    /// a task from a file, whose name stands there.
    #[must_use]
    pub fn target(&self) -> Option<String> {
        match (&self.task, self.labels) {
            (Some(task), _) if is_file(task) => None,
            (Some(task), _) => Some(task.clone()),
            (None, labels) => Some(format!("labels-{}", labels.unwrap_or(19))),
        }
    }

    /// Whether a row has one class, so that there is an accuracy.
    #[must_use]
    pub const fn is_single_label(&self) -> bool {
        self.task.is_some()
    }
}

/// Whether a task is meant by its file.
fn is_file(task: &str) -> bool {
    std::path::Path::new(task)
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("toml"))
}

/// Gradients of `SimCLR` and DCL beside each other over temperatures, on real batches, for an encoder
/// that is not trained. Batch sizes are those of the families; written to `gradients.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GradientStudyConfig {
    /// Temperatures, > 0.
    pub temperatures: Vec<f32>,
    /// Batches a family.
    pub batches: u32,
    /// Seed of weights, order and augmentation.
    #[serde(default)]
    pub seed: u64,
}
