//! From values to positions, and which values are worth a tick.

use crate::number;

/// How an axis spreads its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Evenly.
    Linear,
    /// By their logarithm; all values are above 0.
    Log,
}

/// Values of a range laid on positions. The range is never empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    values: (f64, f64),
    positions: (f64, f64),
    spread: Spread,
}

impl Scale {
    /// A scale; a range without width is widened about its value.
    #[must_use]
    pub fn new(values: (f64, f64), positions: (f64, f64), spread: Spread) -> Self {
        let (low, high) = values;
        let values = match spread {
            _ if low < high => values,
            Spread::Log => (low / 2.0, low * 2.0),
            Spread::Linear if low == 0.0 => (0.0, 1.0),
            Spread::Linear => (low - low.abs() * 0.25, low + low.abs() * 0.25),
        };
        Self {
            values,
            positions,
            spread,
        }
    }

    /// Position of a value.
    #[must_use]
    pub fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let share = match self.spread {
            Spread::Linear => (value - low) / (high - low),
            Spread::Log => (value.ln() - low.ln()) / (high.ln() - low.ln()),
        };
        self.positions.0 + share * (self.positions.1 - self.positions.0)
    }

    /// Smallest and largest value.
    #[must_use]
    pub const fn values(&self) -> (f64, f64) {
        self.values
    }

    /// Round values inside the range, about `wanted` of them, with their labels.
    #[must_use]
    pub fn ticks(&self, wanted: u32, label: Label) -> Vec<(f64, String)> {
        match self.spread {
            Spread::Linear => self.linear_ticks(wanted, label),
            Spread::Log => self.log_ticks(wanted),
        }
    }

    fn linear_ticks(&self, wanted: u32, label: Label) -> Vec<(f64, String)> {
        let (low, high) = self.values;
        let mut step = round_step((high - low) / f64::from(wanted.max(1)));
        if label == Label::Count {
            step = step.max(1.0);
        }
        let first = (low / step - 1e-6).ceil();
        (0..1000)
            .map(|k| (first + f64::from(k)) * step)
            .take_while(|&v| v <= high + step * 1e-6)
            .map(|v| (v, label.of(v, step)))
            .collect()
    }

    /// Powers of ten; with fewer than three of them, 2 and 5 times those as well.
    fn log_ticks(&self, wanted: u32) -> Vec<(f64, String)> {
        let (low, high) = self.values;
        let inside = |v: &f64| *v >= low * (1.0 - 1e-9) && *v <= high * (1.0 + 1e-9);
        let decades = (-30..=30).map(|k| 10f64.powi(k));
        let all: Vec<f64> = decades.clone().filter(inside).collect();
        let values: Vec<f64> = if all.len() < 3 {
            decades
                .flat_map(|d| [d, 2.0 * d, 5.0 * d])
                .filter(inside)
                .collect()
        } else {
            let every = all.len().div_ceil(wanted.max(1) as usize);
            all.into_iter().step_by(every).collect()
        };
        values.into_iter().map(|v| (v, plain(v))).collect()
    }
}

/// How the labels of an axis read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// Whole numbers with grouped thousands.
    Count,
    /// As many decimals as the step needs.
    Plain,
    /// Shares as percent.
    Percent,
    /// Differences of shares in points, with their sign.
    Points,
}

impl Label {
    fn of(self, value: f64, step: f64) -> String {
        match self {
            Self::Percent => format!(
                "{}\u{a0}%",
                number::fixed(value * 100.0, decimals(step * 100.0))
            ),
            Self::Points => {
                let text = number::fixed(value * 100.0, decimals(step * 100.0));
                let above = value > step * 1e-6;
                if above { format!("+{text}") } else { text }
            }
            Self::Count | Self::Plain if !(1e-4..1e7).contains(&step) => number::short(value),
            Self::Count | Self::Plain => number::fixed(value, decimals(step)),
        }
    }
}

/// Decimals that tell multiples of a step apart.
fn decimals(step: f64) -> usize {
    (0..8)
        .find(|&d| {
            let scaled = step * 10f64.powi(d);
            (scaled - scaled.round()).abs() < 1e-6 * scaled && scaled.round() >= 1.0
        })
        .map_or(8, |d| usize::try_from(d).unwrap_or_default())
}

/// The value without needless zeros.
fn plain(value: f64) -> String {
    if (1e-4..1e7).contains(&value) {
        number::fixed(value, decimals(value))
    } else {
        format!("{value:e}").replace('-', "\u{2212}")
    }
}

/// The next of 1, 2, 2.5, 5, 10 times a power of ten.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let wanted = rough / power * (1.0 - 1e-9);
    let factor = [1.0, 2.0, 2.5, 5.0].into_iter().find(|&f| f >= wanted);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(values: (f64, f64), spread: Spread, label: Label) -> Vec<String> {
        let scale = Scale::new(values, (0.0, 100.0), spread);
        scale.ticks(5, label).into_iter().map(|(_, l)| l).collect()
    }

    #[test]
    fn ticks_are_round() {
        let count = labels((0.0, 1000.0), Spread::Linear, Label::Count);
        assert_eq!(count, ["0", "200", "400", "600", "800", "1,000"]);
        let plain = labels((-3.9, -0.2), Spread::Linear, Label::Plain);
        assert_eq!(plain, ["\u{2212}3", "\u{2212}2", "\u{2212}1"]);
        let share = labels((0.0, 0.062), Spread::Linear, Label::Percent);
        assert_eq!(share, ["0\u{a0}%", "2\u{a0}%", "4\u{a0}%", "6\u{a0}%"]);
        assert_eq!(
            labels((1.0, 3.0), Spread::Linear, Label::Count),
            ["1", "2", "3"]
        );
        assert_eq!(
            labels((0.5, 2000.0), Spread::Log, Label::Plain),
            ["1", "10", "100", "1,000"]
        );
        assert_eq!(
            labels((0.03, 0.3), Spread::Log, Label::Plain),
            ["0.05", "0.1", "0.2"]
        );
    }

    #[test]
    fn a_range_without_width_is_widened() {
        for (value, spread) in [
            (0.0, Spread::Linear),
            (-2.0, Spread::Linear),
            (3.0, Spread::Log),
        ] {
            let scale = Scale::new((value, value), (0.0, 100.0), spread);
            assert!((0.0..=100.0).contains(&scale.at(value)), "{scale:?}");
            assert!(!scale.ticks(5, Label::Plain).is_empty(), "{scale:?}");
        }
    }

    proptest! {
        #[test]
        fn ticks_lie_inside_and_are_few(low in -1e6f64..1e6, width in 1e-6f64..1e6) {
            let scale = Scale::new((low, low + width), (0.0, 100.0), Spread::Linear);
            let ticks = scale.ticks(5, Label::Plain);
            prop_assert!(!ticks.is_empty() && ticks.len() <= 7, "{ticks:?}");
            for (value, _) in ticks {
                prop_assert!((-0.01..=100.01).contains(&scale.at(value)));
            }
        }
    }
}
