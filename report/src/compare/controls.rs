//! What needs no pretraining, on the same test patches: whoever reads of arms must see it beside them.

use std::collections::BTreeMap;

use chipmill_schemas::comparison::{ComparisonReport, ControlResult};
use chipmill_schemas::experiment::{Endpoint, ExperimentConfig};

use super::endpoint;
use super::read::ComparisonFolder;
use super::sentences::and;
use crate::number::percent;
use crate::score;
use crate::statistics::{mean, std};

/// The control that is trained with labels for the task itself: to be below it is no surprise.
const SUPERVISED: &str = "supervised";

/// Every control that some run's probe has, in the probes' order. The random encoder is left to its arm
/// where the experiment has one.
pub(super) fn controls(folder: &ComparisonFolder) -> Vec<ControlResult> {
    let experiment = &folder.experiment;
    let has_random = experiment.arms.iter().any(|arm| arm.random_encoder);
    let mut order: Vec<&str> = Vec::new();
    let mut found: BTreeMap<(usize, Endpoint), Vec<f64>> = BTreeMap::new();
    let probes = folder
        .runs
        .iter()
        .filter_map(|run| endpoint::last_probe(run, experiment).ok());
    for entry in probes.flat_map(score::controls) {
        if has_random && entry.name == "random_encoder" {
            continue;
        }
        let known = order.iter().position(|name| *name == entry.name);
        let place = known.unwrap_or_else(|| {
            order.push(&entry.name);
            order.len() - 1
        });
        for endpoint in experiment.endpoints.all() {
            let value = endpoint::of_scores(&entry.scores, endpoint);
            found.entry((place, endpoint)).or_default().extend(value);
        }
    }
    let result = |((place, endpoint), values): ((usize, Endpoint), Vec<f64>)| {
        let first = *values.first()?;
        // What depends on no seed is the same number each time, and its mean that number to the bit.
        let same = values.iter().all(|v| v.to_bits() == first.to_bits());
        let spread = std(&values).map(|s| if same { 0.0 } else { s });
        Some(ControlResult {
            control: order[place].to_owned(),
            endpoint,
            runs: values.len() as u64,
            mean: if same { first } else { mean(&values)? },
            std: spread,
        })
    };
    found.into_iter().filter_map(result).collect()
}

/// Says so when what needs no pretraining is above every arm on the primary endpoint.
pub(super) fn remark(experiment: &ExperimentConfig, report: &ComparisonReport) -> Option<String> {
    let is_arm_trained = |name: &str| experiment.arm(name).is_some_and(|a| !a.random_encoder);
    let arms = report.families.iter().flat_map(|f| &f.arms);
    let best = arms
        .filter(|a| a.endpoint == report.primary && is_arm_trained(&a.arm))
        .filter_map(|a| Some((a.mean?, experiment.arm(&a.arm)?.title())))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    let above: Vec<String> = report
        .controls
        .iter()
        .filter(|c| c.endpoint == report.primary && c.control != SUPERVISED && c.mean > best.0)
        .map(|c| {
            format!(
                "{} ({})",
                score::label(&c.control).to_lowercase(),
                percent(c.mean)
            )
        })
        .collect();
    let names: Vec<&str> = above.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        format!(
            "No arm reaches {}: the best, {}, has a mean {} of {}. Differences between arms speak of how well \
             they learn, not of features that one should use on this store.",
            and(&names),
            best.1,
            report.primary.title(),
            percent(best.0),
        )
    })
}

/// The controls in their order, each with its endpoints.
pub(super) fn by_control(controls: &[ControlResult]) -> Vec<(&str, &[ControlResult])> {
    let groups = controls.chunk_by(|a, b| a.control == b.control);
    groups.map(|g| (g[0].control.as_str(), g)).collect()
}
