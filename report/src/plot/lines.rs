//! Curves over steps: the measured points faint, a smooth line through them.

use super::curve::Curve;
use super::scale::{Label, Scale, Spread};
use super::svg::{Anchor, Svg, text_width};

/// Natural size of the drawing.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 280.0;
const TOP: f64 = 54.0;
const BOTTOM: f64 = HEIGHT - 42.0;
const RIGHT: f64 = WIDTH - 16.0;

/// The least that the value axis shows, beside all points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Include {
    /// The points alone.
    Points,
    /// Zero as well.
    Zero,
    /// All of 0..=1.
    Share,
}

/// A named curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Shown in the legend when there are several.
    pub label: String,
    /// What is drawn.
    pub curve: Curve,
}

/// A value worth comparing with: a dashed line with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The value.
    pub value: f64,
    /// Its name.
    pub label: String,
}

/// A chart of curves.
#[derive(Debug, Clone, PartialEq)]
pub struct LineChart {
    /// What is drawn, with its unit.
    pub title: String,
    /// A remark under the title, such as the last value.
    pub note: String,
    /// Name of the horizontal axis, which counts.
    pub x: String,
    /// How values are labelled.
    pub label: Label,
    /// How values are spread; [`Spread::Log`] needs values above 0.
    pub spread: Spread,
    /// What the value axis shows at least.
    pub include: Include,
    /// The curves; up to two have a colour of their own.
    pub series: Vec<Series>,
    /// Values to compare with.
    pub references: Vec<Reference>,
    /// Positions at which the same thing happened, such as a resume.
    pub events: Vec<f64>,
    /// What happened there.
    pub event: String,
}

impl LineChart {
    /// Draws the chart; without a single point it says so.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let mut svg = Svg::new(WIDTH, HEIGHT, &format!("{}. {}", self.title, self.note));
        svg.text("title", (14.0, 22.0), Anchor::Start, &self.title);
        svg.text("note", (14.0, 41.0), Anchor::Start, &self.note);
        let Some((x_values, y_values)) = self.extent() else {
            let centre = (WIDTH / 2.0, HEIGHT / 2.0);
            svg.text("note", centre, Anchor::Middle, "no finite value was logged");
            return svg;
        };
        let y = Scale::new(y_values, (BOTTOM, TOP), self.spread);
        let y_ticks = y.ticks(5, self.label);
        let widest = y_ticks
            .iter()
            .map(|(_, l)| text_width(l))
            .fold(0.0, f64::max);
        let x = Scale::new(x_values, (widest + 26.0, RIGHT), Spread::Linear);
        self.draw_axes(&mut svg, &x, &y, &y_ticks);
        self.draw_legend(&mut svg);
        self.draw_references(&mut svg, &x, &y);
        for (series, class) in self.series.iter().zip(["s1", "s2"].into_iter().cycle()) {
            draw_curve(&mut svg, &series.curve, class, &x, &y);
        }
        svg
    }

    /// Smallest and largest x and y of everything that must be visible.
    fn extent(&self) -> Option<((f64, f64), (f64, f64))> {
        let points = || self.series.iter().flat_map(|s| &s.curve.raw);
        let (low, high) = bounds(points().map(|p| p.1))?;
        let x = bounds(points().map(|p| p.0).chain([0.0]))?;
        // Room for the name above the line.
        let references = self
            .references
            .iter()
            .flat_map(|r| [r.value, r.value * 1.12]);
        let (low, high) = match self.include {
            Include::Share => (low.min(0.0), high.max(1.0)),
            Include::Zero => {
                let (low, high) = bounds(references.chain([low, high, 0.0]))?;
                (low * 1.05, high * 1.05)
            }
            Include::Points if self.spread == Spread::Log => (low / 1.15, high * 1.15),
            Include::Points => {
                let (low, high) = bounds(references.chain([low, high]))?;
                let room = (high - low) * 0.05;
                (low - room, high + room)
            }
        };
        Some((x, (low, high)))
    }

    fn draw_axes(&self, svg: &mut Svg, x: &Scale, y: &Scale, y_ticks: &[(f64, String)]) {
        let left = x.at(x.values().0);
        for (value, label) in y_ticks {
            let at = y.at(*value);
            svg.line("rule", (left, at), (RIGHT, at));
            svg.text("note", (left - 8.0, at + 4.0), Anchor::End, label);
        }
        svg.line("axis", (left, BOTTOM), (RIGHT, BOTTOM));
        for (value, label) in x.ticks(5, Label::Count) {
            let at = x.at(value);
            svg.line("axis", (at, BOTTOM), (at, BOTTOM + 4.0));
            let half = text_width(&label) / 2.0;
            let (at, anchor) = if at + half > WIDTH - 4.0 {
                (WIDTH - 4.0, Anchor::End)
            } else {
                (at, Anchor::Middle)
            };
            svg.text("note", (at, BOTTOM + 17.0), anchor, &label);
        }
        let (first, last) = x.values();
        let events: Vec<f64> = self
            .events
            .iter()
            .copied()
            .filter(|e| (first..=last).contains(e))
            .collect();
        for &event in &events {
            svg.line("event", (x.at(event), TOP), (x.at(event), BOTTOM));
        }
        let mut name = self.x.clone();
        if !events.is_empty() {
            name += &format!(" (dotted: {})", self.event);
        }
        svg.text("note", (RIGHT, HEIGHT - 8.0), Anchor::End, &name);
    }

    fn draw_legend(&self, svg: &mut Svg) {
        if self.series.len() < 2 {
            return;
        }
        let mut at = RIGHT;
        let named: Vec<_> = self
            .series
            .iter()
            .zip(["s1", "s2"].into_iter().cycle())
            .collect();
        for (series, class) in named.into_iter().rev() {
            svg.text("", (at, 22.0), Anchor::End, &series.label);
            at -= text_width(&series.label) + 6.0;
            svg.line(&format!("smooth {class}"), (at - 16.0, 18.0), (at, 18.0));
            at -= 30.0;
        }
    }

    fn draw_references(&self, svg: &mut Svg, x: &Scale, y: &Scale) {
        let left = x.at(x.values().0);
        for reference in &self.references {
            let at = y.at(reference.value);
            if !(TOP - 1.0..=BOTTOM + 1.0).contains(&at) {
                continue;
            }
            svg.line("reference", (left, at), (RIGHT, at));
            let above = if at - 16.0 < TOP { 14.0 } else { -5.0 };
            svg.text(
                "note",
                (RIGHT - 2.0, at + above),
                Anchor::End,
                &reference.label,
            );
        }
    }
}

fn draw_curve(svg: &mut Svg, curve: &Curve, class: &str, x: &Scale, y: &Scale) {
    let place = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        points.iter().map(|&(a, b)| (x.at(a), y.at(b))).collect()
    };
    match (curve.raw.len(), curve.smooth.is_empty()) {
        (0, _) => {}
        (1, _) => svg.dots(&format!("lone {class}"), &place(&curve.raw)),
        (_, true) => {
            svg.dots(&format!("raw {class}"), &place(&curve.raw));
            svg.path(&format!("smooth {class}"), &place(&curve.raw));
        }
        (_, false) => {
            svg.dots(&format!("raw {class}"), &place(&curve.raw));
            svg.path(&format!("smooth {class}"), &place(&curve.smooth));
        }
    }
}

pub(crate) fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((low.min(v), high.max(v))),
    })
}
