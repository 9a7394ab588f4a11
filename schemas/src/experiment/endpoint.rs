//! What is compared: one number a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One number of a run. Scores are those of the probe of the last checkpoint, never of the best.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Accuracy of the multinomial probe.
    ProbeAccuracy,
    /// Mean over classes of its recall.
    ProbeBalancedAccuracy,
    /// Mean over classes of its F1.
    ProbeMacroF1,
    /// Accuracy of the one-vs-rest probe.
    ProbeOneVsRest,
    /// Accuracy of the kNN probe.
    ProbeKnn,
    /// Mean over classes of average precision (multi-label).
    ProbeMacroAp,
    /// Average precision over all row-class pairs pooled (multi-label).
    ProbeMicroAp,
    /// Area under the curve of the probes during training, from the first of them to
    /// `early_share` of the steps, divided by its width: the mean score of that stretch.
    EarlyArea,
}

impl Endpoint {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::ProbeAccuracy,
        Self::ProbeBalancedAccuracy,
        Self::ProbeMacroF1,
        Self::ProbeOneVsRest,
        Self::ProbeKnn,
        Self::ProbeMacroAp,
        Self::ProbeMicroAp,
        Self::EarlyArea,
    ];

    /// The name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProbeAccuracy => "probe_accuracy",
            Self::ProbeBalancedAccuracy => "probe_balanced_accuracy",
            Self::ProbeMacroF1 => "probe_macro_f1",
            Self::ProbeOneVsRest => "probe_one_vs_rest",
            Self::ProbeKnn => "probe_knn",
            Self::ProbeMacroAp => "probe_macro_ap",
            Self::ProbeMicroAp => "probe_micro_ap",
            Self::EarlyArea => "early_area",
        }
    }

    /// As a person reads it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::ProbeAccuracy => "accuracy",
            Self::ProbeBalancedAccuracy => "balanced accuracy",
            Self::ProbeMacroF1 => "macro F1",
            Self::ProbeOneVsRest => "one-vs-rest accuracy",
            Self::ProbeKnn => "kNN accuracy",
            Self::ProbeMacroAp => "macro AP",
            Self::ProbeMicroAp => "micro AP",
            Self::EarlyArea => "early area",
        }
    }

    /// Whether it speaks of rows with one class (`Some(true)`), of rows with any number of labels
    /// (`Some(false)`), or of either.
    #[must_use]
    pub const fn wants_single_label(self) -> Option<bool> {
        match self {
            Self::ProbeAccuracy
            | Self::ProbeBalancedAccuracy
            | Self::ProbeOneVsRest
            | Self::ProbeKnn => Some(true),
            Self::ProbeMacroAp | Self::ProbeMicroAp => Some(false),
            Self::ProbeMacroF1 | Self::EarlyArea => None,
        }
    }
}

/// Which numbers are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoints {
    /// The one that the question is about.
    pub primary: Endpoint,
    /// Others, reported beside it.
    pub secondary: Vec<Endpoint>,
    /// What of the steps `early_area` is over, 0..=1.
    pub early_share: f64,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            primary: Endpoint::ProbeAccuracy,
            secondary: Vec::new(),
            early_share: 0.25,
        }
    }
}

impl Endpoints {
    /// The primary one, then the others.
    pub fn all(&self) -> impl Iterator<Item = Endpoint> + '_ {
        std::iter::once(self.primary).chain(self.secondary.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoints_name_is_its_name_in_files() {
        for endpoint in Endpoint::ALL {
            let written = serde_json::to_string(&endpoint).unwrap();
            assert_eq!(written, format!("\"{}\"", endpoint.name()));
        }
    }
}
