//! What came out: differences, predictions, arms.

use chipmill_schemas::comparison::{
    ComparisonReport, ComparisonResult, FamilyResult, PredictionBasis, Verdict,
};
use chipmill_schemas::experiment::{Endpoint, ExperimentConfig};
use maud::{Markup, html};

use super::super::figures::Drawings;
use super::super::read::ComparisonFolder;
use super::super::sentences::{bracketed, estimate_words, level_of, p_text, signed, title};
use super::super::words::{meaning, outcome, verdict};
use crate::figures::Figure;
use crate::html::figure_box;
use crate::number::{counted, fixed, percent};

pub(super) fn section(
    folder: &ComparisonFolder,
    report: &ComparisonReport,
    drawings: &Drawings,
) -> Markup {
    let experiment = &folder.experiment;
    let compared = experiment
        .families
        .iter()
        .any(|f| !f.comparisons.is_empty());
    let first: Vec<&Figure> = drawings
        .families
        .iter()
        .filter_map(|f| f.differences.first())
        .collect();
    let others: Vec<&Figure> = drawings
        .families
        .iter()
        .flat_map(|f| f.differences.iter().skip(1))
        .collect();
    html! {
        section {
            h2 { "Differences" }
            @if !compared { p.remark { "No comparison was listed." } }
            @if compared {
                p.remark {
                    "Only what was listed beforehand is compared, seed by seed, on the last checkpoint. "
                    "Points are hundredths: 1 point of accuracy is 0.01."
                }
                div.figures { @for figure in &first { (figure_box(figure)) } }
                @for (family, result) in experiment.families.iter().zip(&report.families) {
                    @if !family.comparisons.is_empty() {
                        h3 { (family.title()) }
                        (table(experiment, result, |e| e == report.primary))
                        (notes(experiment, report, result))
                    }
                }
                @if !experiment.endpoints.secondary.is_empty() {
                    details {
                        summary { "Secondary endpoints" }
                        @for (family, result) in experiment.families.iter().zip(&report.families) {
                            @if !family.comparisons.is_empty() {
                                h3 { (family.title()) }
                                (table(experiment, result, |e| e != report.primary))
                            }
                        }
                        div.figures { @for figure in &others { (figure_box(figure)) } }
                    }
                }
            }
        }
    }
}

/// The comparisons on some endpoints.
fn table(
    experiment: &ExperimentConfig,
    result: &FamilyResult,
    wanted: impl Fn(Endpoint) -> bool,
) -> Markup {
    let level = level_of(experiment);
    let interval = format!("{level}\u{a0}% t interval");
    html! {
        div.scroll {
            table.scores {
                thead {
                    tr {
                        th scope="col" { "Comparison" }
                        th.number scope="col" { "Mean, points" }
                        th.number scope="col" { (interval) }
                        th.number scope="col" { "BCa bootstrap" }
                        th.number scope="col" { "p" }
                        th.number scope="col" { "p, Holm" }
                        th scope="col" { "Verdict" }
                    }
                }
                tbody {
                    @for c in result.comparisons.iter().filter(|c| wanted(c.endpoint)) {
                        tr { (row(experiment, c, &interval)) }
                    }
                }
            }
        }
    }
}

fn row(experiment: &ExperimentConfig, c: &ComparisonResult, interval: &str) -> Markup {
    let (a, b) = (title(experiment, &c.arms.a), title(experiment, &c.arms.b));
    let estimate = c.estimate.as_ref();
    let pairs = estimate.map_or(0, |e| e.differences.len()) as u64;
    let (class, words) = verdict(c.verdict);
    html! {
        th scope="row" {
            (a) " \u{2212} " (b)
            span.what {
                (c.endpoint.title()) ", " (counted(pairs, "pair", "pairs"))
            }
        }
        td.number data-name="Mean, points" { @if let Some(e) = estimate { (signed(e.mean)) } }
        td.number data-name=(interval) { @if let Some(e) = estimate { (bracketed(e.t_interval)) } }
        td.number data-name="BCa bootstrap" { @if let Some(e) = estimate { (bracketed(e.bca_interval)) } }
        td.number data-name="p" { @if let Some(e) = estimate { (p_text(e.p)) } }
        td.number data-name="p, Holm" { @if let Some(p) = c.p_holm { (p_text(p)) } }
        td data-name="Verdict" { span.verdict.(class) { (words) } }
    }
}

/// What the seeds of the family can resolve.
fn notes(
    experiment: &ExperimentConfig,
    report: &ComparisonReport,
    result: &FamilyResult,
) -> Markup {
    let of_primary = result
        .comparisons
        .iter()
        .filter(|c| c.endpoint == report.primary);
    html! {
        p.remark {
            "The smallest two-sided p of " (counted(experiment.seeds.len() as u64, "seed", "seeds"))
            " is " (p_text(result.smallest_p)) "."
            @if !result.verdicts {
                " The family asked for estimates alone: nothing is judged, and intervals are not \
                 corrected for their number."
            }
        }
        ul.remark {
            @for c in of_primary.filter(|c| c.verdict != Verdict::Incomplete) {
                @if let Some(power) = c.power {
                    li {
                        (title(experiment, &c.arms.a)) " \u{2212} " (title(experiment, &c.arms.b))
                        ": a true difference of " (fixed(power.alone * 100.0, 1))
                        " points would be found with " (percent(power.power)) " probability in this \
                         comparison alone, " (fixed(power.in_family * 100.0, 1))
                        " points at Holm's first step"
                        @if let Some(seeds) = power.seeds_for_observed {
                            "; one as large as was seen needs " (counted(seeds, "seed", "seeds"))
                        }
                        "."
                    }
                }
            }
        }
    }
}

pub(super) fn predictions(experiment: &ExperimentConfig, report: &ComparisonReport) -> Markup {
    html! {
        @if !report.predictions.is_empty() {
            section {
                h2 { "Predictions" }
                p.remark {
                    "Written down before the runs. \u{201c}Verdict\u{201d}: held against the corrected \
                     verdict of the same comparison; \u{201c}interval\u{201d}: against the uncorrected t \
                     interval."
                }
                div.scroll {
                    table.scores {
                        thead {
                            tr {
                                th scope="col" { "Prediction" }
                                th scope="col" { "Measured, points" }
                                th scope="col" { "By" }
                                th scope="col" { "Outcome" }
                            }
                        }
                        tbody {
                            @for p in &report.predictions {
                                tr {
                                    th scope="row" {
                                        (p.prediction.text)
                                        span.what { (meaning(experiment, p)) }
                                    }
                                    td data-name="Measured, points" {
                                        @match &p.estimate {
                                            Some(e) => { span.nowrap { (estimate_words(e)) } }
                                            None => { "no pairs yet" }
                                        }
                                    }
                                    td data-name="By" {
                                        @match p.basis {
                                            PredictionBasis::Verdict => "verdict",
                                            PredictionBasis::Interval => "interval",
                                        }
                                    }
                                    @let (class, words) = outcome(p.outcome);
                                    td data-name="Outcome" { span.verdict.(class) { (words) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
