//! The comparison as one HTML file: no script, no font, no image from anywhere else.

mod arms;
mod findings;
mod looks;
mod setup;

use chipmill_schemas::comparison::{ComparisonReport, RunStanding};
use maud::{Markup, html};

use super::figures::{Drawings, FamilyDrawings};
use super::read::ComparisonFolder;
use super::sentences;
use crate::figures::Figure;
use crate::html::{figure_box, frame};
use crate::number::{counted, duration, grouped};

const OWN_STYLE: &str = include_str!("html/style.css");

/// The whole page.
#[must_use]
pub(super) fn page(
    folder: &ComparisonFolder,
    report: &ComparisonReport,
    drawings: &Drawings,
) -> String {
    let body = html! {
        (header(report))
        section.summary aria-label="Summary" {
            @for sentence in &report.sentences { p { (sentence) } }
        }
        @for remark in &report.remarks { p.finding { (remark) } }
        (tiles(folder, report))
        (curves(drawings))
        (findings::section(folder, report, drawings))
        (findings::predictions(&folder.experiment, report))
        (arms::section(&folder.experiment, report, drawings))
        (monitors(drawings))
        (looks::confusion(drawings))
        (looks::gradients(drawings))
        (looks::features(folder, drawings))
        (setup::runs(folder, report))
        (setup::statistics(&folder.experiment))
        (setup::environments(report))
        (setup::repeat(folder, report))
        footer {
            p {
                "Every figure is also an SVG file in " code { "plots/" } ", every number in "
                code { "comparison.json" } ", " code { "comparisons.csv" } ", "
                code { "runs.csv" } " and " code { "curves.csv" } " beside this file."
            }
        }
    };
    frame(
        &format!("{} \u{b7} chipmill comparison", report.name),
        OWN_STYLE,
        &body,
    )
}

fn header(report: &ComparisonReport) -> Markup {
    let all = report.runs.len();
    let counted_runs = standing(report, RunStanding::Counted);
    let (class, state) = match report.complete {
        true => ("good", "complete".to_owned()),
        false => ("so-so", format!("{counted_runs} of {all} runs")),
    };
    html! {
        header {
            p.kind { "chipmill comparison" }
            h1 { (report.name) " " span.pill.(class) { (state) } }
        }
    }
}

fn standing(report: &ComparisonReport, standing: RunStanding) -> usize {
    let same = |r: &&chipmill_schemas::comparison::RunResult| r.standing == standing;
    report.runs.iter().filter(same).count()
}

fn tiles(folder: &ComparisonFolder, report: &ComparisonReport) -> Markup {
    let experiment = &folder.experiment;
    let mut tiles = vec![
        (grouped(experiment.arms.len() as u64), "arms".to_owned()),
        (
            grouped(experiment.seeds.len() as u64),
            "paired seeds an arm".to_owned(),
        ),
        (
            format!(
                "{} / {}",
                standing(report, RunStanding::Counted),
                report.runs.len()
            ),
            "runs finished and scored".to_owned(),
        ),
    ];
    if let Some(seconds) = sentences::median_seconds(report) {
        tiles.push((duration(seconds), "of training a run, median".to_owned()));
    }
    if let Some(seconds) = sentences::total_seconds(report) {
        tiles.push((duration(seconds), "of training in all".to_owned()));
    }
    html! {
        dl.tiles {
            @for (value, name) in &tiles { div { dt { (name) } dd { (value) } } }
        }
    }
}

fn curves(drawings: &Drawings) -> Markup {
    let figures: Vec<&Figure> = drawings
        .families
        .iter()
        .filter_map(|f| f.curve.as_ref())
        .collect();
    html! {
        section {
            h2 { "Accuracy over training" }
            @match figures.is_empty() {
                true => { p.remark { "No run was probed during training." } }
                false => { (switched("curves", &figures)) }
            }
        }
    }
}

fn monitors(drawings: &Drawings) -> Markup {
    let family = |f: &FamilyDrawings| -> Markup {
        let figures: Vec<&Figure> = f.monitors.iter().collect();
        switched(&format!("monitors-{}", f.name), &figures)
    };
    let any = drawings.families.iter().any(|f| !f.monitors.is_empty());
    html! {
        section {
            h2 { "Loss and monitors" }
            @if !any { p.remark { "Nothing was logged yet." } }
            @for f in drawings.families.iter().filter(|f| !f.monitors.is_empty()) {
                @if drawings.families.len() > 1 { h3 { (f.title) } }
                (family(f))
            }
        }
    }
}

/// Figures with a switch between the means as measured and smoothed ones.
fn switched(name: &str, figures: &[&Figure]) -> Markup {
    let id = format!("smooth-{name}");
    html! {
        div.switched {
            input.switch type="checkbox" id=(id);
            label for=(id) { "Smooth the lines (for the eye only: no number is taken from them)" }
            div.figures { @for figure in figures { (figure_box(figure)) } }
        }
    }
}

/// Figures behind a line to click on, for what not every reader wants.
fn folded(title: &str, figures: &[&Figure]) -> Markup {
    html! {
        @if !figures.is_empty() {
            details {
                summary { (title) " (" (counted(figures.len() as u64, "figure", "figures")) ")" }
                div.figures { @for figure in figures { (figure_box(figure)) } }
            }
        }
    }
}
