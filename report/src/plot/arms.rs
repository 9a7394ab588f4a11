//! Curves of several arms: every seed's points faint, the mean over seeds as a line, a band about it.
//!
//! A smoothed line is drawn as well, but hidden; a page may offer to show it in place of the other.

use super::curve::{SMOOTHED_FROM, bandwidth, smooth};
use super::lines::{Include, bounds};
use super::scale::{Label, Scale, Spread};
use super::svg::{Anchor, Svg, text_width};
use crate::statistics::{mean, std};

const WIDTH: f64 = 480.0;
const PLOT_HEIGHT: f64 = 210.0;
const RIGHT: f64 = WIDTH - 16.0;
/// Points of a line; more cannot be told apart.
const LINE_POINTS: usize = 240;
/// Points of one seed that are drawn.
const SEED_POINTS: usize = 80;

/// One arm.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ArmSeries {
    /// Its name in the legend.
    pub label: String,
    /// Class of its colour, such as `k-orange`, and perhaps `dashed`.
    pub class: String,
    /// Points `(x, y)` of all seeds.
    pub points: Vec<(f64, f64)>,
    /// Mean over seeds.
    pub line: Vec<(f64, f64)>,
    /// The same, smoothed for the eye; empty when there are too few points.
    pub smooth: Vec<(f64, f64)>,
    /// `(x, low, high)` about the mean.
    pub band: Vec<(f64, f64, f64)>,
    /// What theory says, dotted.
    pub theory: Vec<(f64, f64)>,
}

impl ArmSeries {
    /// From the curves of the seeds: the mean and a band of one standard deviation to either side, at
    /// the positions that all of them have.
    #[must_use]
    pub fn of_seeds(
        label: &str,
        class: &str,
        seeds: &[Vec<(f64, f64)>],
        with_points: bool,
    ) -> Self {
        let seeds: Vec<&Vec<(f64, f64)>> = seeds.iter().filter(|s| !s.is_empty()).collect();
        let mut line = Vec::new();
        let mut band = Vec::new();
        for (x, values) in common(&seeds) {
            let Some(centre) = mean(&values) else {
                continue;
            };
            line.push((x, centre));
            if let Some(spread) = std(&values) {
                band.push((x, centre - spread, centre + spread));
            }
        }
        let positions: Vec<f64> = line.iter().map(|p| p.0).collect();
        let smooth = if line.len() < SMOOTHED_FROM {
            Vec::new()
        } else {
            smooth(&line, 2.0 * bandwidth(&positions))
        };
        let points = seeds.iter().filter(|_| with_points);
        Self {
            label: label.to_owned(),
            class: class.to_owned(),
            points: points.flat_map(|s| every(s, SEED_POINTS)).collect(),
            line: every(&line, LINE_POINTS),
            smooth,
            band: every(&band, LINE_POINTS),
            theory: Vec::new(),
        }
    }
}

/// The values of all seeds at the positions that all have, by ascending position.
fn common(seeds: &[&Vec<(f64, f64)>]) -> Vec<(f64, Vec<f64>)> {
    let Some((first, others)) = seeds.split_first() else {
        return Vec::new();
    };
    let at = |points: &[(f64, f64)], x: f64| {
        let found = points.binary_search_by(|p| p.0.total_cmp(&x));
        found.ok().map(|i| points[i].1)
    };
    let of = |&(x, y): &(f64, f64)| {
        let rest: Option<Vec<f64>> = others.iter().map(|s| at(s, x)).collect();
        Some((x, [&[y][..], &rest?].concat()))
    };
    first.iter().filter_map(of).collect()
}

/// Evenly picked, the last one among them.
fn every<T: Copy>(points: &[T], most: usize) -> Vec<T> {
    let step = points.len().div_ceil(most).max(1);
    let last = points.len().saturating_sub(1);
    let keep = |(i, p): (usize, &T)| (i % step == 0 || i == last).then_some(*p);
    points.iter().enumerate().filter_map(keep).collect()
}

/// A chart of arms.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmChart {
    /// What is drawn, with its unit.
    pub title: String,
    /// A remark under the title.
    pub note: String,
    /// Name of the horizontal axis.
    pub x: String,
    /// How positions are spread.
    pub x_spread: Spread,
    /// How positions are labelled.
    pub x_label: Label,
    /// How values are labelled.
    pub label: Label,
    /// What the value axis shows at least.
    pub include: Include,
    /// The arms.
    pub series: Vec<ArmSeries>,
}

impl ArmChart {
    /// Draws the chart; without a single point it says so.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let legend = self.legend();
        let rows = legend.last().map_or(0.0, |l| l.1 + 1.0);
        let top = 58.0 + 19.0 * rows;
        let bottom = top + PLOT_HEIGHT;
        let label = format!("{}. {}", self.title, self.note);
        let mut svg = Svg::new(WIDTH, bottom + 42.0, &label);
        svg.text("title", (14.0, 22.0), Anchor::Start, &self.title);
        svg.text("note", (14.0, 41.0), Anchor::Start, &self.note);
        let Some((x_values, y_values)) = self.extent() else {
            let centre = (WIDTH / 2.0, top + PLOT_HEIGHT / 2.0);
            svg.text("note", centre, Anchor::Middle, "nothing was measured yet");
            return svg;
        };
        self.draw_legend(&mut svg, &legend);
        let y = Scale::new(y_values, (bottom, top), Spread::Linear);
        let y_ticks = y.ticks(5, self.label);
        let widest = y_ticks
            .iter()
            .map(|(_, l)| text_width(l))
            .fold(0.0, f64::max);
        let x = Scale::new(x_values, (widest + 26.0, RIGHT), self.x_spread);
        self.draw_axes(&mut svg, &x, (&y, &y_ticks), bottom);
        for series in &self.series {
            draw_series(&mut svg, series, &x, &y);
        }
        svg
    }

    /// Place of each name: index of the series, row, left edge.
    fn legend(&self) -> Vec<(usize, f64, f64)> {
        let (mut row, mut at) = (0.0, 14.0);
        let mut places = Vec::new();
        for (index, series) in self.series.iter().enumerate() {
            let width = text_width(&series.label) + 40.0;
            if at + width > WIDTH && at > 14.0 {
                (row, at) = (row + 1.0, 14.0);
            }
            places.push((index, row, at));
            at += width;
        }
        places
    }

    fn draw_legend(&self, svg: &mut Svg, places: &[(usize, f64, f64)]) {
        for &(index, row, at) in places {
            let Some(series) = self.series.get(index) else {
                continue;
            };
            let y = 61.0 + 19.0 * row;
            svg.line(
                &format!("mean {}", series.class),
                (at, y - 4.0),
                (at + 18.0, y - 4.0),
            );
            svg.text("", (at + 23.0, y), Anchor::Start, &series.label);
        }
    }

    fn extent(&self) -> Option<((f64, f64), (f64, f64))> {
        let points = || {
            self.series.iter().flat_map(|s| {
                let band = s.band.iter().flat_map(|b| [(b.0, b.1), (b.0, b.2)]);
                let rest = s.points.iter().chain(&s.line).chain(&s.theory).copied();
                band.chain(rest)
            })
        };
        let (low, high) = bounds(points().map(|p| p.1))?;
        let mut x = bounds(points().map(|p| p.0))?;
        if self.x_spread == Spread::Linear {
            x.0 = x.0.min(0.0);
        }
        let room = ((high - low) * 0.05).max(1e-9);
        let y = match self.include {
            Include::Share => (low.min(0.0), high.max(1.0)),
            Include::Zero => (low.min(0.0) * 1.05, high.max(0.0) * 1.05),
            Include::Points => (low - room, high + room),
        };
        Some((x, y))
    }

    fn draw_axes(
        &self,
        svg: &mut Svg,
        x: &Scale,
        (y, y_ticks): (&Scale, &[(f64, String)]),
        bottom: f64,
    ) {
        let left = x.at(x.values().0);
        for (value, label) in y_ticks {
            let at = y.at(*value);
            svg.line("rule", (left, at), (RIGHT, at));
            svg.text("note", (left - 8.0, at + 4.0), Anchor::End, label);
        }
        svg.line("axis", (left, bottom), (RIGHT, bottom));
        for (value, label) in x.ticks(5, self.x_label) {
            let at = x.at(value);
            svg.line("axis", (at, bottom), (at, bottom + 4.0));
            let overhang = at + text_width(&label) / 2.0 > WIDTH - 4.0;
            let (at, anchor) = if overhang {
                (WIDTH - 4.0, Anchor::End)
            } else {
                (at, Anchor::Middle)
            };
            svg.text("note", (at, bottom + 17.0), anchor, &label);
        }
        svg.text("note", (RIGHT, bottom + 34.0), Anchor::End, &self.x);
    }
}

fn draw_series(svg: &mut Svg, series: &ArmSeries, x: &Scale, y: &Scale) {
    let place = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        points.iter().map(|&(a, b)| (x.at(a), y.at(b))).collect()
    };
    let class = &series.class;
    if series.band.len() > 1 {
        let low = series.band.iter().map(|&(a, low, _)| (a, low));
        let high = series.band.iter().rev().map(|&(a, _, high)| (a, high));
        let outline: Vec<(f64, f64)> = low.chain(high).collect();
        svg.path(&format!("area {class}"), &place(&outline));
    }
    svg.dots(&format!("dot {class}"), &place(&series.points));
    if !series.theory.is_empty() {
        svg.path(&format!("theory {class}"), &place(&series.theory));
    }
    match (series.line.len(), series.smooth.is_empty()) {
        (0, _) => {}
        (1, _) => svg.dots(&format!("lone dot {class}"), &place(&series.line)),
        (_, true) => svg.path(&format!("mean {class}"), &place(&series.line)),
        (_, false) => {
            svg.path(&format!("mean measured {class}"), &place(&series.line));
            svg.path(&format!("mean smoothed {class}"), &place(&series.smooth));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_over_the_steps_that_all_seeds_have() {
        let seeds = [
            vec![(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)],
            vec![(0.0, 3.0), (2.0, 5.0)],
            Vec::new(),
        ];
        let series = ArmSeries::of_seeds("a", "k-red", &seeds, true);
        assert_eq!(series.line, [(0.0, 2.0), (2.0, 4.0)]);
        let spread = 2f64.sqrt();
        assert_eq!(
            series.band,
            [
                (0.0, 2.0 - spread, 2.0 + spread),
                (2.0, 4.0 - spread, 4.0 + spread)
            ]
        );
        assert_eq!((series.points.len(), series.smooth.len()), (5, 0));
    }

    #[test]
    fn long_curves_keep_their_end() {
        let long: Vec<(f64, f64)> = (0..1000).map(|i| (f64::from(i), 0.5)).collect();
        let series = ArmSeries::of_seeds("a", "k-red", &[long], false);
        assert!(series.line.len() <= LINE_POINTS + 1 && series.points.is_empty());
        assert_eq!(series.line.last(), Some(&(999.0, 0.5)));
    }
}
