//! Horizontal bars of shares, with optional intervals and marks of others to compare with.

use super::scale::{Label, Scale, Spread};
use super::svg::{Anchor, Svg, shorten, text_width};
use crate::number;

const WIDTH: f64 = 480.0;
const BAR: f64 = 16.0;
const MAX_LABEL: f64 = 190.0;

/// How a bar is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shade {
    /// What the chart is about.
    Lead,
    /// Another reading of the same.
    Kin,
    /// A control.
    Control,
}

impl Shade {
    const fn class(self) -> &'static str {
        match self {
            Self::Lead => "bar lead",
            Self::Kin => "bar kin",
            Self::Control => "bar",
        }
    }
}

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Its name.
    pub label: String,
    /// Its length, 0..=1; `None` leaves a remark in its place.
    pub value: Option<f64>,
    /// Lower and upper end of an interval about the value.
    pub interval: Option<(f64, f64)>,
    /// How it is painted.
    pub shade: Shade,
    /// Values of others, in the order of [`BarChart::marks`].
    pub marks: Vec<Option<f64>>,
}

/// A chart of bars.
#[derive(Debug, Clone, PartialEq)]
pub struct BarChart {
    /// What is drawn.
    pub title: String,
    /// A remark under the title.
    pub note: String,
    /// What stands in place of a bar without a value.
    pub without: String,
    /// The bars, from the top.
    pub bars: Vec<Bar>,
    /// Names of the others that are marked on each bar; up to two.
    pub marks: Vec<String>,
}

impl BarChart {
    /// Draws the chart. Bars begin at 0; the axis ends at the next round value.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let row = if self.bars.len() > 8 { 22.0 } else { 30.0 };
        let top = if self.marks.is_empty() { 54.0 } else { 74.0 };
        let bottom = top + row * number::float(self.bars.len() as u64);
        let mut svg = Svg::new(
            WIDTH,
            bottom + 30.0,
            &format!("{}. {}", self.title, self.note),
        );
        svg.text("title", (14.0, 22.0), Anchor::Start, &self.title);
        svg.text("note", (14.0, 41.0), Anchor::Start, &self.note);
        self.draw_legend(&mut svg);
        let widths = self.bars.iter().map(|b| text_width(&b.label));
        let left = widths.fold(0.0, f64::max).min(MAX_LABEL) + 36.0;
        let x = Scale::new((0.0, self.end()), (left, WIDTH - 68.0), Spread::Linear);
        for (value, label) in x.ticks(4, Label::Percent) {
            let at = x.at(value);
            svg.line("rule", (at, top), (at, bottom));
            svg.text("note", (at, bottom + 17.0), Anchor::Middle, &label);
        }
        for (k, bar) in (0u32..).zip(&self.bars) {
            self.draw_bar(&mut svg, bar, top + row * (f64::from(k) + 0.5), &x);
        }
        svg.line("axis", (left, top), (left, bottom));
        svg
    }

    fn end(&self) -> f64 {
        let of = |b: &Bar| {
            let marks = b.marks.iter().flatten().copied().fold(0.0, f64::max);
            let upper = b.interval.map_or(0.0, |i| i.1);
            b.value.unwrap_or(0.0).max(upper).max(marks)
        };
        let largest = self.bars.iter().map(of).fold(0.0, f64::max);
        ((largest * 10.0).ceil() / 10.0).clamp(0.1, 1.0)
    }

    fn draw_legend(&self, svg: &mut Svg) {
        let mut at = 14.0;
        for (name, class) in self.marks.iter().zip(["mark", "mark s2"]) {
            svg.circle(class, (at + 5.0, 57.0), 4.0, name);
            svg.text("", (at + 14.0, 61.0), Anchor::Start, name);
            at += text_width(name) + 34.0;
        }
    }

    fn draw_bar(&self, svg: &mut Svg, bar: &Bar, middle: f64, x: &Scale) {
        let left = x.at(0.0);
        let label = shorten(&bar.label, MAX_LABEL);
        svg.text("", (left - 8.0, middle + 4.0), Anchor::End, &label);
        let Some(value) = bar.value.filter(|v| v.is_finite()) else {
            svg.text(
                "note",
                (left + 8.0, middle + 4.0),
                Anchor::Start,
                &self.without,
            );
            return;
        };
        let tip = format!("{}: {}", bar.label, number::percent(value));
        let size = (x.at(value) - left, BAR);
        svg.rect(bar.shade.class(), (left, middle - BAR / 2.0), size, &tip);
        let mut end = x.at(value);
        if let Some((low, high)) = bar.interval {
            end = end.max(x.at(high));
            svg.line("whisker", (x.at(low), middle), (x.at(high), middle));
            for edge in [x.at(low), x.at(high)] {
                svg.line("whisker", (edge, middle - 4.0), (edge, middle + 4.0));
            }
        }
        for ((name, mark), class) in self.marks.iter().zip(&bar.marks).zip(["mark", "mark s2"]) {
            if let Some(mark) = mark.filter(|m| m.is_finite()) {
                let tip = format!("{}, {name}: {}", bar.label, number::percent(mark));
                svg.circle(class, (x.at(mark), middle), 4.0, &tip);
                end = end.max(x.at(mark));
            }
        }
        let at = (end + 8.0, middle + 4.0);
        svg.text("value", at, Anchor::Start, &number::percent(value));
    }
}
