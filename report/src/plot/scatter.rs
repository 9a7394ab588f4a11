//! Points of several classes in two dimensions. The axes have no unit and no labels: only neighbourhood
//! means something.

use super::lines::bounds;
use super::scale::{Scale, Spread};
use super::svg::{Anchor, Svg, text_width};

const WIDTH: f64 = 480.0;
const SIDE: f64 = 400.0;

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
            let width = text_width(&cloud.label) + 28.0;
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
        let (Some(x), Some(y)) = (bounds(all().map(|p| p.0)), bounds(all().map(|p| p.1))) else {
            return svg;
        };
        let x = Scale::new(x, (24.0, WIDTH - 24.0), Spread::Linear);
        let y = Scale::new(y, (top + SIDE - 6.0, top + 6.0), Spread::Linear);
        for (cloud, (left, baseline)) in self.clouds.iter().zip(places) {
            let class = format!("dot {}", cloud.class);
            svg.dots(&class, &[(left + 5.0, baseline - 4.0)]);
            svg.text("", (left + 13.0, baseline), Anchor::Start, &cloud.label);
            let finite = cloud
                .points
                .iter()
                .filter(|p| p.0.is_finite() && p.1.is_finite());
            let points: Vec<(f64, f64)> = finite.map(|p| (x.at(p.0), y.at(p.1))).collect();
            svg.dots(&class, &points);
        }
        svg
    }
}
