//! The comparison as one Markdown file, `results.md`: for a repository, an issue, a lab book.

use std::fmt::Write as _;

use chipmill_schemas::comparison::{ComparisonReport, FamilyResult};
use chipmill_schemas::experiment::{Endpoint, ExperimentConfig, Family};

use super::controls::by_control;
use super::figures::{Drawings, FamilyDrawings};
use super::read::ComparisonFolder;
use super::sentences::{
    bracketed, estimate_words, level_of, median_seconds, p_text, signed, title, total_seconds,
};
use super::words::{meaning, outcome, verdict};
use crate::figures::Figure;
use crate::html::setup::facts;
use crate::number::{counted, duration, fixed, percent};
use crate::score;

/// The whole text. Pictures are those in `plots/`.
pub(super) fn text(
    folder: &ComparisonFolder,
    report: &ComparisonReport,
    drawings: &Drawings,
) -> String {
    let experiment = &folder.experiment;
    let mut out = format!("# {}\n", report.name);
    for paragraph in report.sentences.iter().chain(&report.remarks) {
        let _ = write!(out, "\n{paragraph}\n");
    }
    let families = experiment.families.iter().zip(&report.families);
    for ((family, result), drawn) in families.zip(&drawings.families) {
        let _ = write!(out, "\n## {}\n", family.title());
        pictures(&mut out, drawn);
        differences(&mut out, experiment, family, result);
        arms(&mut out, experiment, family, result, report);
    }
    pictures_of(&mut out, &drawings.gradients);
    predictions(&mut out, experiment, report);
    provenance(&mut out, report);
    out.replace('\u{a0}', " ")
}

/// The pictures that answer the question: curves, differences, arms.
fn pictures(out: &mut String, drawn: &FamilyDrawings) {
    let first = [
        drawn.curve.as_ref(),
        drawn.differences.first(),
        drawn.arms.first(),
    ];
    pictures_of(out, first.into_iter().flatten());
}

fn pictures_of<'a>(out: &mut String, figures: impl IntoIterator<Item = &'a Figure>) {
    for figure in figures {
        let _ = write!(
            out,
            "\n![{}](plots/{}.svg)\n",
            cell(&figure.caption),
            figure.name
        );
    }
}

fn differences(
    out: &mut String,
    experiment: &ExperimentConfig,
    family: &Family,
    result: &FamilyResult,
) {
    if family.comparisons.is_empty() {
        return;
    }
    let level = level_of(experiment);
    table(
        out,
        &[
            "comparison",
            "endpoint",
            "mean, points",
            &format!("{level} % t interval"),
            "BCa bootstrap",
            "p",
            "p, Holm",
            "verdict",
            "resolvable, points",
        ],
        1,
    );
    for c in &result.comparisons {
        let e = c.estimate.as_ref();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "\u{2013}".to_owned());
        let cells = [
            format!(
                "{} \u{2212} {}",
                title(experiment, &c.arms.a),
                title(experiment, &c.arms.b)
            ),
            c.endpoint.title().to_owned(),
            or_none(e.map(|e| signed(e.mean))),
            or_none(e.map(|e| bracketed(e.t_interval))),
            or_none(e.map(|e| bracketed(e.bca_interval))),
            or_none(e.map(|e| p_text(e.p))),
            or_none(c.p_holm.map(p_text)),
            verdict(c.verdict).1.to_owned(),
            or_none(c.power.map(|p| fixed(p.alone * 100.0, 1))),
        ];
        line(out, &cells);
    }
}

fn arms(
    out: &mut String,
    experiment: &ExperimentConfig,
    family: &Family,
    result: &FamilyResult,
    report: &ComparisonReport,
) {
    let endpoints: Vec<Endpoint> = experiment.endpoints.all().collect();
    let mut heads = vec!["arm"];
    heads.extend(endpoints.iter().map(|e| e.title()));
    heads.push("seeds");
    table(out, &heads, 0);
    for arm in experiment.arms_of(family) {
        let of_arm = result.arms.iter().filter(|a| a.arm == arm.name);
        let mut cells = vec![arm.title().to_owned()];
        cells.extend(of_arm.clone().map(|a| spread(a.mean, a.std)));
        cells.push(of_arm.map(|a| a.runs).max().unwrap_or(0).to_string());
        line(out, &cells);
    }
    for (name, of_control) in by_control(&report.controls) {
        let of = |e: &Endpoint| of_control.iter().find(|c| c.endpoint == *e);
        let mut cells = vec![format!("*{}*", score::label(name))];
        cells.extend(
            endpoints
                .iter()
                .map(|e| spread(of(e).map(|c| c.mean), of(e).and_then(|c| c.std))),
        );
        cells.push(
            of_control
                .iter()
                .map(|c| c.runs)
                .max()
                .unwrap_or(0)
                .to_string(),
        );
        line(out, &cells);
    }
    let _ = write!(
        out,
        "\nMean over seeds, and in brackets their standard deviation in points; *controls* in italics.\n"
    );
}

fn spread(mean: Option<f64>, std: Option<f64>) -> String {
    match (mean, std) {
        (Some(mean), Some(std)) => format!("{} ({})", percent(mean), fixed(std * 100.0, 1)),
        (Some(mean), None) => percent(mean),
        _ => "\u{2013}".to_owned(),
    }
}

fn predictions(out: &mut String, experiment: &ExperimentConfig, report: &ComparisonReport) {
    if report.predictions.is_empty() {
        return;
    }
    out.push_str("\n## Predictions, written down before the runs\n");
    table(
        out,
        &["prediction", "meaning", "measured, points", "outcome"],
        4,
    );
    for p in &report.predictions {
        let cells = [
            p.prediction.text.clone(),
            meaning(experiment, p),
            p.estimate
                .as_ref()
                .map_or_else(|| "no pairs yet".to_owned(), estimate_words),
            outcome(p.outcome).1.to_owned(),
        ];
        line(out, &cells);
    }
}

/// Where and at what cost the runs were made.
fn provenance(out: &mut String, report: &ComparisonReport) {
    out.push_str("\n## How it was made\n\n");
    if let (Some(median), Some(total)) = (median_seconds(report), total_seconds(report)) {
        let _ = writeln!(
            out,
            "- {}; {} of training in the median, {} in all",
            counted(report.runs.len() as u64, "run", "runs"),
            duration(median),
            duration(total)
        );
    }
    for environment in &report.environments {
        for (name, value) in facts(environment) {
            if name != "Parameters" {
                let _ = writeln!(out, "- {}: {}", name.to_lowercase(), cell(&value));
            }
        }
    }
    out.push_str(
        "\nEvery number is in `comparison.json`, `comparisons.csv` and `runs.csv`; `experiment.toml` is what \
         was asked. How it is judged: docs/comparison.md.\n",
    );
}

/// The head of a table; the columns after the `text`-th are set as numbers.
fn table(out: &mut String, heads: &[&str], text: usize) {
    out.push('\n');
    line(
        out,
        &heads.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>(),
    );
    let rule = |i: usize| if i <= text { "---" } else { "---:" };
    let rules: Vec<&str> = (0..heads.len()).map(rule).collect();
    let _ = writeln!(out, "|{}|", rules.join("|"));
}

fn line(out: &mut String, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|c| cell(c)).collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// What breaks neither a table nor a picture's words.
fn cell(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line
        .replace('|', "\\|")
        .replace('[', "\\[")
        .replace(']', "\\]")
}
