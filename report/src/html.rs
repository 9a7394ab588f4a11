//! The report as one HTML file: no script, no font, no image from anywhere else.

mod probes;
pub(crate) mod setup;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::figures::{self, Figure};
use crate::health::{self, Finding, Weight};
use crate::number;
use crate::plot::theme;
use crate::read::RunFolder;
use crate::{score, summary};
use chipmill_schemas::run::RunState;

const STYLE: &str = include_str!("html/style.css");

/// The whole page.
#[must_use]
pub fn page(run: &RunFolder) -> String {
    let curves = figures::curves(run);
    let body = html! {
        (header(run))
        (head_lines(run))
        (probes::section(run))
        (curve_section(run, &curves))
        (setup::configuration(run))
        (setup::environment(run))
        (setup::repeat(run))
        footer {
            p {
                "Every plot is also an SVG file in " code { "plots/" } " beside this file, \
                 and the logged figures are in " code { "plots/metrics.csv" } "."
            }
        }
    };
    frame(&format!("{} \u{b7} chipmill run", run.name), "", &body)
}

/// A page that needs nothing but itself.
pub(crate) fn frame(title: &str, style: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(theme::page_css())) (PreEscaped(STYLE)) (PreEscaped(style)) }
            }
            body { main { (body) } }
        }
    };
    page.into_string()
}

fn header(run: &RunFolder) -> Markup {
    let (state, class) = match run.status.as_ref().map(|s| s.state) {
        Some(RunState::Finished) => ("finished", "good"),
        Some(RunState::Failed) => ("failed", "bad"),
        Some(RunState::Interrupted) => ("interrupted", "so-so"),
        Some(RunState::Running) => ("running", "so-so"),
        None => ("no status", "bad"),
    };
    html! {
        header {
            p.kind { "chipmill run" }
            h1 { (run.name) " " span.pill.(class) { (state) } }
        }
    }
}

fn head_lines(run: &RunFolder) -> Markup {
    html! {
        section.summary aria-label="Summary" {
            @for sentence in summary::summary(run) { p { (sentence) } }
        }
        @for finding in health::findings(run) { (finding_line(&finding)) }
        (tiles(run))
    }
}

fn finding_line(finding: &Finding) -> Markup {
    match finding.weight {
        Weight::Alert => html! { p.finding.alert role="alert" { (finding.text) } },
        Weight::Note => html! { p.finding { (finding.text) } },
    }
}

/// The figures that people look for first.
fn tiles(run: &RunFolder) -> Markup {
    let mut tiles: Vec<(String, String)> = Vec::new();
    if let Some((report, subject)) = run
        .probes
        .first()
        .and_then(|r| Some((r, score::subject(r)?)))
    {
        let value = subject.scores.headline();
        let name = format!(
            "{}, {}",
            score::title(report),
            subject.scores.headline_name()
        );
        tiles.push((number::percent(value), name));
        if let Some(random) = report.entries.iter().find(|e| e.name == "random_encoder") {
            let lead = number::points(value - random.scores.headline());
            tiles.push((lead, "points against a random encoder".to_owned()));
        }
    }
    if let Some(last) = run.metrics.last() {
        tiles.push((
            number::grouped(summary::steps_done(run)),
            "steps".to_owned(),
        ));
        tiles.push((number::short(last.loss), "last loss".to_owned()));
    }
    if let Some(rate) = health::mean(&run.metrics, |r| r.pairs_per_s) {
        tiles.push((number::short(rate), "pairs a second, mean".to_owned()));
    }
    if let Some(wait) = health::mean(&run.metrics, |r| r.data_wait) {
        tiles.push((
            number::percent(wait),
            "of the time waiting for data".to_owned(),
        ));
    }
    html! {
        @if !tiles.is_empty() {
            dl.tiles {
                @for (value, name) in &tiles {
                    div { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}

fn curve_section(run: &RunFolder, curves: &[Figure]) -> Markup {
    html! {
        section {
            h2 { "Curves" }
            @match curves.is_empty() {
                true => { p.remark { "Nothing was logged." } }
                false => {
                    p.remark {
                        "Dots are the rows as logged (" (number::grouped(run.metrics.len() as u64))
                        "). Smooth lines, where there are enough rows, are for the eye only: no \
                         figure on this page is taken from them."
                    }
                    div.figures { @for figure in curves { (figure_box(figure)) } }
                }
            }
        }
    }
}

pub(crate) fn figure_box(figure: &Figure) -> Markup {
    html! {
        figure id=(figure.name) {
            (PreEscaped(figure.svg.inline()))
            figcaption { (figure.caption) }
        }
    }
}
