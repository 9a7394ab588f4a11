//! One row a quantity: every seed's value, their mean and its intervals, on one axis.

use super::lines::bounds;
use super::scale::{Label, Scale, Spread};
use super::svg::{Anchor, Svg, shorten, text_width};

const WIDTH: f64 = 480.0;
const ROW: f64 = 46.0;
const TOP: f64 = 56.0;
const MAX_LABEL: f64 = 186.0;

/// One row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// Its name.
    pub label: String,
    /// What it says, under the name.
    pub text: String,
    /// Class of its colour, such as `k-orange`.
    pub class: String,
    /// One value a seed.
    pub points: Vec<f64>,
    /// Their mean.
    pub mean: Option<f64>,
    /// Interval of the mean: the thick line.
    pub interval: Option<(f64, f64)>,
    /// A wider one: the thin line.
    pub wide: Option<(f64, f64)>,
}

/// A chart of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct RowChart {
    /// What is drawn, with its unit.
    pub title: String,
    /// A remark under the title.
    pub note: String,
    /// How values are labelled.
    pub label: Label,
    /// Whether 0 is marked and always visible: the rows are differences.
    pub about_zero: bool,
    /// What stands left and right of 0.
    pub sides: Option<(String, String)>,
    /// The rows, from the top.
    pub rows: Vec<Row>,
}

impl RowChart {
    /// Draws the chart.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let bottom = TOP + ROW * crate::number::float(self.rows.len() as u64);
        let label = format!("{}. {}", self.title, self.note);
        let mut svg = Svg::new(WIDTH, bottom + 44.0, &label);
        svg.text("title", (14.0, 22.0), Anchor::Start, &self.title);
        svg.text("note", (14.0, 41.0), Anchor::Start, &self.note);
        let widths = self.rows.iter().flat_map(|r| [&r.label, &r.text]);
        let left = widths
            .map(|t| text_width(t))
            .fold(60.0, f64::max)
            .min(MAX_LABEL)
            + 42.0;
        let Some(values) = self.extent() else {
            let centre = (WIDTH / 2.0, bottom);
            svg.text("note", centre, Anchor::Middle, "nothing was measured yet");
            return svg;
        };
        let x = Scale::new(values, (left, WIDTH - 18.0), Spread::Linear);
        for (value, label) in x.ticks(4, self.label) {
            let at = x.at(value);
            svg.line("rule", (at, TOP), (at, bottom));
            svg.text("note", (at, bottom + 17.0), Anchor::Middle, &label);
        }
        if self.about_zero {
            svg.line("zero", (x.at(0.0), TOP - 4.0), (x.at(0.0), bottom + 4.0));
        }
        if let Some((low, high)) = &self.sides {
            svg.text("note", (left, bottom + 35.0), Anchor::Start, low);
            svg.text("note", (WIDTH - 14.0, bottom + 35.0), Anchor::End, high);
        }
        for (k, row) in (0u32..).zip(&self.rows) {
            draw_row(&mut svg, row, TOP + ROW * f64::from(k), &x);
        }
        svg
    }

    fn extent(&self) -> Option<(f64, f64)> {
        let values = self.rows.iter().flat_map(|r| {
            let ends = [r.interval, r.wide].into_iter().flatten();
            let ends = ends.flat_map(|(low, high)| [low, high]);
            r.points.iter().copied().chain(r.mean).chain(ends)
        });
        let zero = self.about_zero.then_some(0.0);
        let any = self
            .rows
            .iter()
            .any(|r| r.mean.is_some() || !r.points.is_empty());
        let (low, high) = bounds(values.chain(zero)).filter(|_| any)?;
        let room = ((high - low) * 0.06).max(1e-6);
        Some((low - room, high + room))
    }
}

fn draw_row(svg: &mut Svg, row: &Row, top: f64, x: &Scale) {
    svg.text(
        "value",
        (14.0, top + 19.0),
        Anchor::Start,
        &shorten(&row.label, MAX_LABEL),
    );
    svg.text(
        "note",
        (14.0, top + 36.0),
        Anchor::Start,
        &shorten(&row.text, MAX_LABEL + 10.0),
    );
    let middle = top + ROW / 2.0;
    let class = &row.class;
    // Each seed has a height of its own, the same in every row.
    let height = |k: usize| middle + 9.0 + f64::from(u32::try_from(k % 3).unwrap_or(0)) * 3.5;
    let points = row.points.iter().enumerate();
    let points: Vec<(f64, f64)> = points.map(|(k, &v)| (x.at(v), height(k))).collect();
    svg.dots(&format!("dot {class}"), &points);
    let at = middle - 4.0;
    for (interval, weight, edge) in [(row.wide, "thin", 3.0), (row.interval, "thick", 0.0)] {
        let Some((low, high)) = interval else {
            continue;
        };
        svg.line(
            &format!("{weight} {class}"),
            (x.at(low), at),
            (x.at(high), at),
        );
        if edge > 0.0 {
            for end in [low, high] {
                let end = x.at(end);
                svg.line(
                    &format!("{weight} {class}"),
                    (end, at - edge),
                    (end, at + edge),
                );
            }
        }
    }
    if let Some(mean) = row.mean {
        let tip = format!("{}: {}", row.label, row.text);
        svg.circle(&format!("centre {class}"), (x.at(mean), at), 5.5, &tip);
    }
}
