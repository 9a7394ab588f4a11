//! Predictions, held against what came out.

use chipmill_schemas::comparison::{
    Estimate, FamilyResult, PairedDifference, PredictionBasis, PredictionOutcome, PredictionResult,
    Verdict,
};
use chipmill_schemas::experiment::{
    Comparison, Endpoint, Expectation, ExperimentConfig, Prediction,
};

use super::judge::{Values, estimate};

pub(super) fn predictions(
    experiment: &ExperimentConfig,
    families: &[FamilyResult],
    values: &Values,
) -> Vec<PredictionResult> {
    let one = |prediction: &Prediction| {
        let endpoint = prediction.endpoint.unwrap_or(experiment.endpoints.primary);
        let differences = differences(prediction, endpoint, values);
        let complete = differences.len() == experiment.seeds.len();
        let name = name(prediction, endpoint);
        let estimate = estimate(differences, &experiment.statistics, &name);
        let listed = listed(prediction, endpoint, families);
        let (outcome, basis) = match (listed, &estimate) {
            (Some(verdict), _) => (
                by_verdict(prediction.expect, verdict),
                PredictionBasis::Verdict,
            ),
            (None, Some(e)) if complete => (by_interval(prediction, e), PredictionBasis::Interval),
            (None, _) => (PredictionOutcome::Incomplete, PredictionBasis::Interval),
        };
        PredictionResult {
            prediction: prediction.clone(),
            endpoint,
            estimate,
            outcome,
            basis,
        }
    };
    experiment.predictions.iter().map(one).collect()
}

/// The same key as the comparison's own, so that the same differences have the same figures.
fn name(prediction: &Prediction, endpoint: Endpoint) -> String {
    let mut name = format!(
        "{}/{}/{}/{}",
        prediction.family,
        prediction.a,
        prediction.b,
        endpoint.name()
    );
    if let Some(other) = &prediction.than_in {
        name += &format!("/than in {other}");
    }
    name
}

/// `a - b`, or that minus `a - b` of the other family, for every seed that has all of them.
fn differences(
    prediction: &Prediction,
    endpoint: Endpoint,
    values: &Values,
) -> Vec<PairedDifference> {
    let arms = Comparison {
        a: prediction.a.clone(),
        b: prediction.b.clone(),
    };
    let here = values.differences(&prediction.family, &arms, endpoint);
    let Some(other) = &prediction.than_in else {
        return here;
    };
    let there = values.differences(other, &arms, endpoint);
    let both = |d: &PairedDifference| {
        let other = there.iter().find(|o| o.seed == d.seed)?;
        Some(PairedDifference {
            seed: d.seed,
            difference: d.difference - other.difference,
        })
    };
    here.iter().filter_map(both).collect()
}

/// The verdict of the same comparison, seen from the prediction's side. `level` asks for more than "no
/// difference detected", so that it is held against the interval.
fn listed(
    prediction: &Prediction,
    endpoint: Endpoint,
    families: &[FamilyResult],
) -> Option<Verdict> {
    if prediction.than_in.is_some() || prediction.expect == Expectation::Level {
        return None;
    }
    let family = families.iter().find(|f| f.name == prediction.family)?;
    let (a, b) = (&prediction.a, &prediction.b);
    family.comparisons.iter().find_map(|c| {
        let same = c.endpoint == endpoint && c.verdict != Verdict::EstimateOnly;
        match (&c.arms.a, &c.arms.b) {
            (x, y) if same && x == a && y == b => Some(c.verdict),
            (x, y) if same && x == b && y == a => Some(mirrored(c.verdict)),
            _ => None,
        }
    })
}

const fn mirrored(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Above => Verdict::Below,
        Verdict::Below => Verdict::Above,
        other => other,
    }
}

fn by_verdict(expect: Expectation, verdict: Verdict) -> PredictionOutcome {
    match (verdict, expect) {
        (Verdict::Above, Expectation::Above) | (Verdict::Below, Expectation::Below) => {
            PredictionOutcome::Met
        }
        (Verdict::Above | Verdict::Below, _) => PredictionOutcome::Contradicted,
        (Verdict::NoDifference, _) => PredictionOutcome::Unresolved,
        (Verdict::Incomplete | Verdict::EstimateOnly, _) => PredictionOutcome::Incomplete,
    }
}

fn by_interval(prediction: &Prediction, estimate: &Estimate) -> PredictionOutcome {
    let interval = estimate.t_interval;
    let within = prediction.within.unwrap_or(0.0);
    let (met, contradicted) = match prediction.expect {
        Expectation::Above => (interval.is_above_zero(), interval.is_below_zero()),
        Expectation::Below => (interval.is_below_zero(), interval.is_above_zero()),
        Expectation::Level => (
            interval.low > -within && interval.high < within,
            interval.low > within || interval.high < -within,
        ),
    };
    match (met, contradicted) {
        (true, _) => PredictionOutcome::Met,
        (_, true) => PredictionOutcome::Contradicted,
        _ => PredictionOutcome::Unresolved,
    }
}
