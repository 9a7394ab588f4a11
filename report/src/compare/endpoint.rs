//! From a run to the numbers that are compared.

use std::collections::BTreeMap;

use chipmill_schemas::experiment::{Endpoint, ExperimentConfig};
use chipmill_schemas::probe::{ProbeReport, Scores};
use chipmill_schemas::run::MetricsRow;

use super::read::ComparisonRun;
use crate::number::{float, grouped};

/// The probe of the run's last checkpoint on the experiment's target.
///
/// # Errors
/// Why there is none that counts, in words.
pub fn last_probe<'a>(
    run: &'a ComparisonRun,
    experiment: &ExperimentConfig,
) -> Result<&'a ProbeReport, String> {
    let probes = run.folder.as_ref().map_or(&[][..], |f| &f.probes);
    let probe = match experiment.probe.target() {
        Some(target) => probes.iter().find(|p| p.target == target),
        None => probes.first().filter(|_| probes.len() == 1),
    };
    let Some(probe) = probe else {
        return Err("its last checkpoint has not been probed".to_owned());
    };
    if probe.step != run.max_steps() {
        return Err(format!(
            "its probe is of step {}, not of the last step {}",
            grouped(probe.step),
            grouped(run.max_steps())
        ));
    }
    if probe.config.split != experiment.probe.split {
        return Err(format!(
            "its probe has the split {}, the experiment asks for {}",
            probe.config.split.name(),
            experiment.probe.split.name()
        ));
    }
    let primary = match experiment.endpoints.primary {
        Endpoint::EarlyArea => curve_endpoint(experiment),
        endpoint => endpoint,
    };
    match of_probe(probe, primary) {
        Some(_) => Ok(probe),
        None => Err(format!("its probe has no {}", primary.title())),
    }
}

/// Every endpoint of the experiment that the run has a finite value of. A run that does not count has
/// none.
#[must_use]
pub fn values(run: &ComparisonRun, experiment: &ExperimentConfig) -> BTreeMap<Endpoint, f64> {
    let counted = run.standing == chipmill_schemas::comparison::RunStanding::Counted;
    let Some(probe) = last_probe(run, experiment).ok().filter(|_| counted) else {
        return BTreeMap::new();
    };
    let value = |endpoint| match endpoint {
        Endpoint::EarlyArea if run.random_encoder => of_probe(probe, curve_endpoint(experiment)),
        Endpoint::EarlyArea => early(run, experiment),
        other => of_probe(probe, other),
    };
    let all = experiment.endpoints.all();
    all.filter_map(|e| Some((e, value(e)?))).collect()
}

fn early(run: &ComparisonRun, experiment: &ExperimentConfig) -> Option<f64> {
    let points = curve(run, curve_endpoint(experiment));
    let end = float(run.max_steps()) * experiment.endpoints.early_share;
    area(&points, end)
}

/// What the curves show, and `early_area` is of: the primary endpoint, or the headline where that is
/// `early_area` itself.
#[must_use]
pub fn curve_endpoint(experiment: &ExperimentConfig) -> Endpoint {
    match experiment.endpoints.primary {
        Endpoint::EarlyArea if experiment.probe.is_single_label() => Endpoint::ProbeAccuracy,
        Endpoint::EarlyArea => Endpoint::ProbeMacroAp,
        other => other,
    }
}

fn of_probe(probe: &ProbeReport, endpoint: Endpoint) -> Option<f64> {
    let scores = |name: &str| Some(&probe.entries.iter().find(|e| e.name == name)?.scores);
    match endpoint {
        Endpoint::ProbeOneVsRest => finite(scores("encoder_one_vs_rest")?.headline()),
        Endpoint::ProbeKnn => finite(scores("encoder_knn")?.headline()),
        _ => of_scores(scores("encoder")?, endpoint),
    }
}

/// The endpoint's value in the scores of one classifier, where it is a score of just one.
#[must_use]
pub fn of_scores(scores: &Scores, endpoint: Endpoint) -> Option<f64> {
    finite(match (endpoint, scores) {
        (Endpoint::ProbeAccuracy, Scores::SingleLabel(s)) => s.accuracy,
        (Endpoint::ProbeBalancedAccuracy, Scores::SingleLabel(s)) => s.balanced_accuracy,
        (Endpoint::ProbeMacroF1, Scores::SingleLabel(s)) => s.macro_f1,
        (Endpoint::ProbeMacroF1, Scores::MultiLabel(s)) => s.macro_f1,
        (Endpoint::ProbeMacroAp, Scores::MultiLabel(s)) => s.macro_ap,
        (Endpoint::ProbeMicroAp, Scores::MultiLabel(s)) => s.micro_ap,
        _ => return None,
    })
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The endpoint's value in a row of the metrics, where the step was probed.
#[must_use]
pub fn of_row(row: &MetricsRow, endpoint: Endpoint) -> Option<f64> {
    match endpoint {
        Endpoint::ProbeAccuracy => row.probe_accuracy,
        Endpoint::ProbeBalancedAccuracy => row.probe_balanced_accuracy,
        Endpoint::ProbeMacroF1 => row.probe_macro_f1,
        Endpoint::ProbeOneVsRest => row.probe_one_vs_rest,
        Endpoint::ProbeKnn => row.probe_knn,
        Endpoint::ProbeMacroAp => row.probe_macro_ap,
        Endpoint::ProbeMicroAp => row.probe_micro_ap,
        Endpoint::EarlyArea => None,
    }
}

/// The probes during training: `(step, score)` by step.
#[must_use]
pub fn curve(run: &ComparisonRun, endpoint: Endpoint) -> Vec<(f64, f64)> {
    let rows = run.folder.as_ref().map_or(&[][..], |f| &f.metrics);
    let point = |row: &MetricsRow| Some((float(row.step), of_row(row, endpoint)?));
    let points = rows.iter().filter_map(point);
    points.filter(|p| p.1.is_finite()).collect()
}

/// Trapezoidal area under the points from the first to `end`, divided by its width; the last stretch
/// is cut at `end`. `None` when the points do not reach over it.
#[must_use]
pub fn area(points: &[(f64, f64)], end: f64) -> Option<f64> {
    let &(first, _) = points.first()?;
    if first >= end || points.last()?.0 < end {
        return None;
    }
    let mut sum = 0.0;
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if x0 >= end {
            break;
        }
        let x = x1.min(end);
        let y = y0 + (y1 - y0) * (x - x0) / (x1 - x0);
        sum += (x - x0) * f64::midpoint(y0, y);
    }
    Some(sum / (end - first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_mean_height_up_to_the_end() {
        let line: Vec<(f64, f64)> = (0..=10).map(|i| (f64::from(i), f64::from(i))).collect();
        assert_eq!(area(&line, 10.0), Some(5.0));
        assert_eq!(area(&line, 2.5), Some(1.25));
        assert_eq!(area(&[(1.0, 0.5), (9.0, 0.5)], 3.0), Some(0.5));
        assert_eq!(area(&line, 11.0), None);
        assert_eq!(area(&[(5.0, 1.0)], 5.0), None);
        assert_eq!(area(&[], 1.0), None);
    }

    #[test]
    fn a_late_start_that_rises_has_a_smaller_area_than_an_early_one() {
        let early = [(0.0, 0.6), (10.0, 0.8), (20.0, 0.8)];
        let late = [(0.0, 0.6), (10.0, 0.7), (20.0, 0.8)];
        assert!(area(&early, 20.0) > area(&late, 20.0));
    }
}
