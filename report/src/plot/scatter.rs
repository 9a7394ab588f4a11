//! Points of several classes in two dimensions. The axes have no unit and no labels: only neighbourhood
//! means something. A few points far off would press all others into a corner: the frame holds the middle
//! 96 % along each axis with some room, and points beyond it are drawn on its border.

use super::scale::{Scale, Spread};
use super::svg::{Anchor, Svg, shorten, text_width};

const WIDTH: f64 = 480.0;
const SIDE: f64 = 400.0;
/// Room for a label of the legend.
const LABEL: f64 = WIDTH - 42.0;
/// Share of the points left out of the frame's measure at each end.
const FAR: f64 = 0.02;
/// Room beside what was measured, as a share of it.
const ROOM: f64 = 0.15;

/// A named class and its points.
#[derive(Debug, Clone, PartialEq)]
pub struct Cloud {
    /// Its name.
    pub label: String,
    /// Class of its colour, such as `k-orange`.
    pub class: String,
    /// Points `(x, y)`.
    pub points: Vec<(f64, f64)>,
}

/// A chart of classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    /// What is drawn.
    pub title: String,
    /// A remark under the title.
    pub note: String,
    /// The classes.
    pub clouds: Vec<Cloud>,
}

impl Scatter {
    /// Draws the chart.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let (mut row, mut left) = (0.0, 14.0);
        let mut places = Vec::new();
        for cloud in &self.clouds {
            let width = text_width(&shorten(&cloud.label, LABEL)) + 28.0;
            if left + width > WIDTH && left > 14.0 {
                (row, left) = (row + 1.0, 14.0);
            }
            places.push((left, 61.0 + 19.0 * row));
            left += width;
        }
        let top = 58.0 + 19.0 * (row + 1.0);
        let mut svg = Svg::new(
            WIDTH,
            top + SIDE + 12.0,
            &format!("{}. {}", self.title, self.note),
        );
        svg.text("title", (14.0, 22.0), Anchor::Start, &self.title);
        svg.text("note", (14.0, 41.0), Anchor::Start, &self.note);
        let all = || {
            let points = self.clouds.iter().flat_map(|c| &c.points);
            points.filter(|p| p.0.is_finite() && p.1.is_finite())
        };
        let (Some(across), Some(up)) = (frame(all().map(|p| p.0)), frame(all().map(|p| p.1)))
        else {
            return svg;
        };
        let x = Scale::new(across, (24.0, WIDTH - 24.0), Spread::Linear);
        let y = Scale::new(up, (top + SIDE - 6.0, top + 6.0), Spread::Linear);
        for (cloud, (left, baseline)) in self.clouds.iter().zip(places) {
            let class = format!("dot {}", cloud.class);
            svg.dots(&class, &[(left + 5.0, baseline - 4.0)]);
            svg.text(
                "",
                (left + 13.0, baseline),
                Anchor::Start,
                &shorten(&cloud.label, LABEL),
            );
            let finite = cloud
                .points
                .iter()
                .filter(|p| p.0.is_finite() && p.1.is_finite());
            let inside = |v: f64, (low, high): (f64, f64)| v.clamp(low, high);
            let points: Vec<(f64, f64)> = finite
                .map(|p| (x.at(inside(p.0, across)), y.at(inside(p.1, up))))
                .collect();
            svg.dots(&class, &points);
        }
        svg
    }
}

/// The ends of an axis; `None` without a value.
fn frame(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let (&first, &last) = (sorted.first()?, sorted.last()?);
    let left_out = (1..=sorted.len())
        .take_while(|&i| share(i, sorted.len()) <= FAR)
        .count();
    let (low, high) = (sorted[left_out], sorted[sorted.len() - 1 - left_out]);
    let room = ROOM * (high - low);
    // Equal ends have no width to scale by.
    let (low, high) = ((low - room).max(first), (high + room).min(last));
    if low < high {
        Some((low, high))
    } else {
        Some((low - 1.0, high + 1.0))
    }
}

fn share(count: usize, of: usize) -> f64 {
    crate::number::float(count as u64) / crate::number::float(of as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_points_far_off_do_not_press_the_others_together() {
        let near = (0..98).map(|i| f64::from(i) / 97.0);
        let (low, high) = frame(near.chain([500.0, -900.0])).unwrap();
        assert!(
            (-0.2..=0.05).contains(&low) && (0.95..=1.2).contains(&high),
            "{low} {high}"
        );
        assert_eq!(frame([1.0, 2.0].into_iter()), Some((1.0, 2.0)));
        assert_eq!(frame([3.0].into_iter()), Some((2.0, 4.0)));
        assert_eq!(frame(std::iter::empty()), None);
    }
}
