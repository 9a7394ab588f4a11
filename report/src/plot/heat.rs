//! A confusion matrix: rows are the truth, columns the prediction, shaded by the share of the row.

use super::svg::{Anchor, Svg, shorten, text_width};
use crate::number;

const MAX_LABEL: f64 = 170.0;
const WIDTH: f64 = 480.0;
const TOP: f64 = 96.0;

/// A confusion matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// What is drawn.
    pub title: String,
    /// A remark under the title.
    pub note: String,
    /// Class names.
    pub classes: Vec<String>,
    /// `counts[truth][prediction]`.
    pub counts: Vec<Vec<u64>>,
}

impl HeatMap {
    /// Draws the matrix. Classes are numbered, so that columns need no room for names.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let labels: Vec<String> = (1..)
            .zip(&self.classes)
            .map(|(i, c)| format!("{c}  {i}"))
            .collect();
        let widest = labels.iter().map(|l| text_width(l)).fold(0.0, f64::max);
        let left = widest.min(MAX_LABEL) + 32.0;
        let count = number::float(self.classes.len().max(1) as u64);
        let side = ((WIDTH - left - 14.0) / count).min(64.0);
        let height = side.min(44.0);
        let mut svg = Svg::new(WIDTH, TOP + height * count + 14.0, &self.title);
        svg.text("title", (14.0, 22.0), Anchor::Start, &self.title);
        svg.text("note", (14.0, 41.0), Anchor::Start, &self.note);
        svg.text("note", (left, TOP - 26.0), Anchor::Start, "predicted");
        svg.text("note", (left - 8.0, TOP - 8.0), Anchor::End, "truth");
        for (k, label) in (0u32..).zip(&labels) {
            let column = left + side * (f64::from(k) + 0.5);
            svg.text(
                "note",
                (column, TOP - 8.0),
                Anchor::Middle,
                &(k + 1).to_string(),
            );
            let row = TOP + height * (f64::from(k) + 0.5) + 4.0;
            svg.text("", (left - 8.0, row), Anchor::End, &shorten_name(label));
        }
        for (truth, row) in (0u32..).zip(&self.counts) {
            let total = row.iter().sum::<u64>();
            for (predicted, &cell) in (0u32..).zip(row) {
                let corner = (
                    left + side * f64::from(predicted),
                    TOP + height * f64::from(truth),
                );
                let tip = self.tip(truth, predicted, cell, total);
                draw_cell(&mut svg, corner, (side, height), cell, total, &tip);
            }
        }
        svg
    }

    fn tip(&self, truth: u32, predicted: u32, cell: u64, total: u64) -> String {
        let name = |i: u32| self.classes.get(i as usize).map_or("?", String::as_str);
        format!(
            "{} taken for {}: {} of {}",
            name(truth),
            name(predicted),
            number::grouped(cell),
            number::grouped(total)
        )
    }
}

/// Shortens the name before its number.
fn shorten_name(label: &str) -> String {
    match label.rsplit_once("  ") {
        Some((name, index)) => format!("{}  {index}", shorten(name, MAX_LABEL - 22.0)),
        None => label.to_owned(),
    }
}

fn draw_cell(
    svg: &mut Svg,
    corner: (f64, f64),
    size: (f64, f64),
    cell: u64,
    total: u64,
    tip: &str,
) {
    let share = number::float(cell) / number::float(total.max(1));
    let inner = (size.0 - 1.5, size.1 - 1.5);
    svg.shaded("cell", 0.06 + 0.94 * share, corner, inner, tip);
    let text = number::grouped(cell);
    if text_width(&text) < size.0 && size.1 >= 14.0 {
        let at = (corner.0 + size.0 / 2.0, corner.1 + size.1 / 2.0 + 4.0);
        let class = if share > 0.5 { "filled" } else { "" };
        svg.text(class, at, Anchor::Middle, &text);
    }
}
