//! Confusion matrices, gradients over temperatures, maps of features and sheets of patches.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::super::figures::Drawings;
use super::super::read::ComparisonFolder;
use super::folded;
use crate::figures::Figure;
use crate::html::figure_box;
use crate::number::grouped;

/// Sheets beyond so many bytes together are named, not shown: the page must stay one that opens.
const SHEET_BYTES: usize = 16 << 20;

pub(super) fn confusion(drawings: &Drawings) -> Markup {
    let figures: Vec<&Figure> = drawings
        .families
        .iter()
        .flat_map(|f| &f.confusion)
        .collect();
    html! {
        @if !figures.is_empty() {
            section {
                h2 { "Confusion matrices" }
                (folded("One an arm, the seeds together", &figures))
            }
        }
    }
}

pub(super) fn gradients(drawings: &Drawings) -> Markup {
    html! {
        @if !drawings.gradients.is_empty() {
            section {
                h2 { "Gradients over temperatures" }
                p.remark {
                    "SimCLR's gradient of an anchor is q times DCL's. Where the temperature is high or \
                     the batch large, q is near 1 for every anchor, and no training can tell the two \
                     losses apart."
                }
                div.figures { @for figure in &drawings.gradients { (figure_box(figure)) } }
            }
        }
    }
}

pub(super) fn features(folder: &ComparisonFolder, drawings: &Drawings) -> Markup {
    html! {
        @if !drawings.features.is_empty() {
            section {
                h2 { "Maps of features" }
                div.figures { @for figure in &drawings.features { (figure_box(figure)) } }
            }
        }
        @if !folder.sheets.is_empty() {
            section { h2 { "Sheets" } (sheets(folder)) }
        }
    }
}

fn sheets(folder: &ComparisonFolder) -> Markup {
    let mut room = SHEET_BYTES;
    let mut shown = Vec::new();
    let mut named = Vec::new();
    for (name, bytes) in &folder.sheets {
        match room.checked_sub(bytes.len()) {
            Some(rest) => {
                room = rest;
                shown.push((name, STANDARD.encode(bytes)));
            }
            None => named.push((name, bytes.len() as u64)),
        }
    }
    html! {
        @for (name, data) in &shown {
            figure.sheet {
                img alt=(sheet_title(name)) src={ "data:image/png;base64," (data) };
                figcaption { (sheet_title(name)) }
            }
        }
        @for (name, size) in &named {
            p.remark { code { "sheets/" (name) ".png" } " (" (grouped(*size)) " bytes) is too large for this page." }
        }
    }
}

/// `neighbours-arable-land` as `Nearest neighbours: arable land`.
fn sheet_title(name: &str) -> String {
    let words = |name: &str| name.replace(['-', '_'], " ");
    match (name, name.strip_prefix("neighbours-")) {
        (_, Some(class)) => format!("Nearest neighbours: {}", words(class)),
        ("augmentations", _) => {
            "Patches, the encoder's picture of them, and augmented views with what was drawn"
                .to_owned()
        }
        _ => words(name),
    }
}
