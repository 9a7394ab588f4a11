//! The arms beside each other, and the controls below them.

use chipmill_schemas::comparison::{ComparisonReport, ControlResult, FamilyResult};
use chipmill_schemas::experiment::{Endpoint, ExperimentConfig};
use maud::{Markup, html};

use super::super::controls::by_control;
use super::super::figures::{Drawings, class};
use super::folded;
use crate::figures::Figure;
use crate::html::figure_box;
use crate::number::{fixed, grouped, percent};
use crate::score;

pub(super) fn section(
    experiment: &ExperimentConfig,
    report: &ComparisonReport,
    drawings: &Drawings,
) -> Markup {
    let figures: Vec<&Figure> = drawings
        .families
        .iter()
        .filter_map(|f| f.arms.first())
        .collect();
    let others: Vec<&Figure> = drawings
        .families
        .iter()
        .flat_map(|f| f.arms.iter().skip(1))
        .collect();
    html! {
        section {
            h2 { "Arms" }
            @for (family, result) in experiment.families.iter().zip(&report.families) {
                h3 { (family.title()) }
                (arm_table(experiment, result, &report.controls))
            }
            div.figures { @for figure in &figures { (figure_box(figure)) } }
            (folded("Secondary endpoints", &others))
        }
    }
}

/// Mean and standard deviation over seeds of every endpoint, the controls below.
fn arm_table(
    experiment: &ExperimentConfig,
    result: &FamilyResult,
    controls: &[ControlResult],
) -> Markup {
    let endpoints: Vec<_> = experiment.endpoints.all().collect();
    let Some(family) = experiment.family(&result.name) else {
        return html! {};
    };
    html! {
        div.scroll {
            table.scores {
                thead {
                    tr {
                        th scope="col" { "Arm" }
                        @for e in &endpoints { th.number scope="col" { (e.title()) } }
                        th.number scope="col" { "Seeds" }
                    }
                }
                tbody {
                    @for arm in experiment.arms_of(family) {
                        @let of_arm = result.arms.iter().filter(|a| a.arm == arm.name);
                        @let seeds = of_arm.clone().map(|a| a.runs).max().unwrap_or(0);
                        tr {
                            th scope="row" {
                                span class={ "swatch " (class(experiment, arm)) } {}
                                (arm.title())
                            }
                            @for a in of_arm { (score_cell(a.endpoint, a.mean, a.std)) }
                            td.number data-name="Seeds" { (grouped(seeds)) }
                        }
                    }
                    @for (name, of_control) in by_control(controls) {
                        @let seeds = of_control.iter().map(|c| c.runs).max().unwrap_or(0);
                        tr.control {
                            th scope="row" { (score::label(name)) span.what { "control" } }
                            @for &e in &endpoints {
                                @let found = of_control.iter().find(|c| c.endpoint == e);
                                (score_cell(e, found.map(|c| c.mean), found.and_then(|c| c.std)))
                            }
                            td.number data-name="Seeds" { (grouped(seeds)) }
                        }
                    }
                }
            }
        }
        p.remark { "Mean over seeds, and in brackets their standard deviation in points." }
    }
}

fn score_cell(endpoint: Endpoint, mean: Option<f64>, std: Option<f64>) -> Markup {
    html! {
        td.number data-name=(endpoint.title()) {
            @match (mean, std) {
                (Some(mean), Some(std)) => { (percent(mean)) " (" (fixed(std * 100.0, 1)) ")" }
                (Some(mean), None) => (percent(mean)),
                _ => "\u{2013}",
            }
        }
    }
}
