//! Probes: a table of all scores, and their figures.

use chipmill_schemas::probe::{Choose, ProbeEntry, ProbeReport, Scores};
use maud::{Markup, html};

use super::figure_box;
use crate::number::{counted, fixed, grouped, percent, points};
use crate::read::RunFolder;
use crate::{figures, score};

/// How far the encoder is ahead of a control.
const AHEAD: &str = "Encoder ahead by, points";

pub(super) fn section(run: &RunFolder) -> Markup {
    html! {
        section {
            h2 { "Probes of the frozen features" }
            @if run.probes.is_empty() {
                p.remark {
                    "None yet. " code { "chipmill probe" } " makes one, with " code { "--labels 19" }
                    " or " code { "--task NAME" } "."
                }
            }
            @for report in &run.probes {
                h3 { (score::title(report)) }
                p.remark { (rows(report)) }
                (table(report))
                div.figures { @for figure in figures::probe(report) { (figure_box(&figure)) } }
            }
        }
    }
}

/// Which rows and settings the scores come from.
fn rows(report: &ProbeReport) -> String {
    let (rows, config) = (&report.rows, &report.config);
    let mut text = format!(
        "Features of step {}; split {}: fitted on {}",
        grouped(report.step),
        config.split.name(),
        counted(rows.train, "row", "rows")
    );
    if rows.validation > 0 {
        text += &format!(", {} for validation", grouped(rows.validation));
    }
    text += &format!(", tested on {}.", grouped(rows.test));
    let left_out = [
        (rows.several_classes, "with several of the classes"),
        (rows.unknown, "with unknown labels or split"),
    ];
    let left_out: Vec<String> = left_out
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| format!("{} {why}", grouped(count)))
        .collect();
    if !left_out.is_empty() {
        text += &format!(" Left out: {}.", left_out.join(", "));
    }
    text += &settings(report);
    let resamples = report.entries.iter().find_map(|e| e.intervals.as_ref());
    if let Some(intervals) = resamples {
        text += &format!(
            " In small print: 95 % bootstrap intervals, {} resamples of the test patches, which say \
             nothing of other seeds; differences on the same resamples.",
            grouped(intervals.resamples.into())
        );
    }
    text
}

/// Fixed settings, or what the chosen ones were chosen on.
fn settings(report: &ProbeReport) -> String {
    let config = &report.config;
    let on = match config.choose {
        Choose::Fixed => {
            return format!(
                " Logistic regression with C = {}; kNN with {} neighbours at temperature {}.",
                config.c, config.neighbours, config.knn_temperature
            );
        }
        Choose::Validation => "the validation rows",
        Choose::Holdout => "a held-out third of the rows fitted on",
    };
    format!(" C, and kNN's neighbours and temperature, were chosen on {on}.")
}

fn table(report: &ProbeReport) -> Markup {
    let subject = score::subject(report);
    let lead = subject.map(|s| s.scores.headline());
    let columns = subject.map_or(Vec::new(), |s| columns(&s.scores));
    html! {
        div.scroll {
            table.scores {
                thead {
                    tr {
                        th scope="col" { "Classifier" }
                        @for (name, _) in &columns { th.number scope="col" { (name) } }
                        th.number scope="col" { (AHEAD) }
                    }
                }
                tbody {
                    @for entry in &report.entries {
                        tr.lead[subject == Some(entry)] {
                            th scope="row" {
                                (score::label(&entry.name))
                                span.what { (entry.description) }
                                @if let Some(chosen) = score::chosen(entry) {
                                    span.what { (chosen) }
                                }
                            }
                            @for (name, _) in &columns {
                                td.number data-name=(name) {
                                    (cell(&entry.scores, name))
                                    (small(bounds(entry, name), |v| fixed(v * 100.0, 1)))
                                }
                            }
                            td.number data-name=(AHEAD) {
                                @match lead.filter(|_| subject != Some(entry)) {
                                    Some(lead) => {
                                        (points(lead - entry.scores.headline()))
                                        (small(behind(entry), points))
                                    }
                                    None => "",
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(scores: &Scores, name: &str) -> String {
    let found = columns(scores).into_iter().find(|(n, _)| *n == name);
    found.map_or_else(|| "\u{2013}".to_owned(), |(_, value)| percent(value))
}

/// An interval below a figure.
fn small(bounds: Option<[f64; 2]>, text: impl Fn(f64) -> String) -> Markup {
    html! {
        @if let Some([low, high]) = bounds {
            span.what { (text(low)) " to " (text(high)) }
        }
    }
}

/// The interval of a column's figure.
fn bounds(entry: &ProbeEntry, column: &str) -> Option<[f64; 2]> {
    let place = columns(&entry.scores)
        .iter()
        .position(|(name, _)| *name == column)?;
    score::bootstrap(entry, entry.scores.named().get(place)?.0)
}

fn behind(entry: &ProbeEntry) -> Option<[f64; 2]> {
    entry.intervals.as_ref()?.behind
}

/// Every figure of the scores, in the order of [`Scores::named`].
fn columns(scores: &Scores) -> Vec<(&'static str, f64)> {
    match scores {
        Scores::SingleLabel(s) => vec![
            ("Accuracy", s.accuracy),
            ("Balanced accuracy", s.balanced_accuracy),
            ("Macro F1", s.macro_f1),
        ],
        Scores::MultiLabel(s) => vec![
            ("Macro AP", s.macro_ap),
            ("Micro AP", s.micro_ap),
            ("Macro F1", s.macro_f1),
            ("Micro F1", s.micro_f1),
        ],
    }
}
