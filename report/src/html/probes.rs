//! Probes: a table of all scores, and their figures.

use chipmill_schemas::probe::{ProbeReport, Scores};
use maud::{Markup, html};

use super::figure_box;
use crate::number::{counted, grouped, percent, points};
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
    text += &format!(
        " Logistic regression with C = {}; kNN with {} neighbours at temperature {}.",
        config.c, config.neighbours, config.knn_temperature
    );
    text
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
                            }
                            @for (name, _) in &columns {
                                td.number data-name=(name) { (cell(&entry.scores, name)) }
                            }
                            td.number data-name=(AHEAD) {
                                @match lead.filter(|_| subject != Some(entry)) {
                                    Some(lead) => (points(lead - entry.scores.headline())),
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

/// Every figure of the scores, the headline first.
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
