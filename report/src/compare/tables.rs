//! The tables beside the report, as comma-separated values.

use std::fmt::Write as _;

use chipmill_schemas::comparison::{ComparisonReport, Interval};
use serde::Serialize;

use super::read::ComparisonFolder;
use crate::table;

/// One line a planned run.
pub(super) fn runs(report: &ComparisonReport) -> String {
    let mut endpoints: Vec<_> = report
        .families
        .iter()
        .flat_map(|f| &f.arms)
        .map(|a| a.endpoint)
        .collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    let names: Vec<&str> = endpoints.iter().map(|e| e.name()).collect();
    let mut csv = format!(
        "folder,family,arm,seed,standing,step,max_steps,config_digest,seconds,pairs_per_s,data_wait,{},message\n",
        names.join(",")
    );
    for run in &report.runs {
        let mut cells = vec![
            text(&run.folder),
            text(&run.family),
            text(&run.arm),
            run.seed.to_string(),
            word(run.standing),
            run.step.to_string(),
            run.max_steps.to_string(),
            text(run.config_digest.as_deref().unwrap_or_default()),
            number(run.seconds),
            number(run.pairs_per_s),
            number(run.data_wait),
        ];
        cells.extend(endpoints.iter().map(|e| number(run.values.get(e).copied())));
        cells.push(text(run.message.as_deref().unwrap_or_default()));
        let _ = writeln!(csv, "{}", cells.join(","));
    }
    csv
}

/// One line a comparison and endpoint.
pub(super) fn comparisons(report: &ComparisonReport) -> String {
    let mut csv =
        "family,a,b,endpoint,seeds,mean,std,t_low,t_high,bca_low,bca_high,simultaneous_low,\
                   simultaneous_high,p,p_holm,verdict,resolvable_alone,resolvable_in_family\n"
            .to_owned();
    for family in &report.families {
        for result in &family.comparisons {
            let estimate = result.estimate.as_ref();
            let ends = |interval: Option<Interval>| {
                format!(
                    "{},{}",
                    number(interval.map(|i| i.low)),
                    number(interval.map(|i| i.high))
                )
            };
            let cells = [
                text(&family.name),
                text(&result.arms.a),
                text(&result.arms.b),
                result.endpoint.name().to_owned(),
                estimate.map_or(0, |e| e.differences.len()).to_string(),
                number(estimate.map(|e| e.mean)),
                number(estimate.map(|e| e.std)),
                ends(estimate.map(|e| e.t_interval)),
                ends(estimate.map(|e| e.bca_interval)),
                ends(result.simultaneous_interval),
                number(estimate.map(|e| e.p)),
                number(result.p_holm),
                word(result.verdict),
                number(result.power.map(|p| p.alone)),
                number(result.power.map(|p| p.in_family)),
            ];
            let _ = writeln!(csv, "{}", cells.join(","));
        }
    }
    csv
}

/// One line a metrics row of every run.
pub(super) fn curves(folder: &ComparisonFolder) -> String {
    let head = table::metrics_csv(&[]);
    let mut csv = format!("family,arm,seed,{head}");
    for run in &folder.runs {
        let Some(read) = &run.folder else { continue };
        let rows = table::metrics_csv(&read.metrics);
        for line in rows.lines().skip(1) {
            let _ = writeln!(
                csv,
                "{},{},{},{line}",
                text(&run.family),
                text(&run.arm),
                run.seed
            );
        }
    }
    csv
}

fn number(value: Option<f64>) -> String {
    let finite = value.filter(|v| v.is_finite());
    finite.map_or_else(String::new, |v| v.to_string())
}

/// A word as it stands in `comparison.json`.
fn word(value: impl Serialize) -> String {
    let json = serde_json::to_value(value).ok();
    json.and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Quoted where it has to be (RFC 4180).
fn text(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}
