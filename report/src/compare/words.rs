//! What verdicts, outcomes and predictions are called, on the page as in the text.

use chipmill_schemas::comparison::{PredictionOutcome, PredictionResult, Verdict};
use chipmill_schemas::experiment::{Expectation, ExperimentConfig};

use super::sentences::title;
use crate::number::fixed;

/// A verdict: its class on the page, and its words.
pub(super) const fn verdict(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Above => ("above", "above"),
        Verdict::Below => ("below", "below"),
        Verdict::NoDifference => ("open", "no difference detected"),
        Verdict::Incomplete => ("open", "seeds missing"),
        Verdict::EstimateOnly => ("open", "not judged"),
    }
}

/// How a prediction fared, likewise.
pub(super) const fn outcome(outcome: PredictionOutcome) -> (&'static str, &'static str) {
    match outcome {
        PredictionOutcome::Met => ("met", "met"),
        PredictionOutcome::Contradicted => ("contradicted", "not met: contradicted"),
        PredictionOutcome::Unresolved => ("open", "not met: left open"),
        PredictionOutcome::Incomplete => ("open", "seeds missing"),
    }
}

/// What a prediction means in figures.
pub(super) fn meaning(experiment: &ExperimentConfig, p: &PredictionResult) -> String {
    let prediction = &p.prediction;
    let family = |name: &str| {
        experiment
            .family(name)
            .map_or(name.to_owned(), |f| f.title().to_owned())
    };
    let (a, b) = (
        title(experiment, &prediction.a),
        title(experiment, &prediction.b),
    );
    let mut text = format!(
        "{a} \u{2212} {b}, {}, {}",
        p.endpoint.title(),
        family(&prediction.family)
    );
    if let Some(other) = &prediction.than_in {
        text += &format!(", minus the same at {}", family(other));
    }
    text += &match (prediction.expect, prediction.within) {
        (Expectation::Above, _) => ": above 0".to_owned(),
        (Expectation::Below, _) => ": below 0".to_owned(),
        (Expectation::Level, within) => {
            format!(
                ": within \u{b1}{} points",
                fixed(within.unwrap_or(0.0) * 100.0, 1)
            )
        }
    };
    text
}
