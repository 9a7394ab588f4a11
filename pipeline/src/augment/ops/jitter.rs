//! Brightness, contrast, saturation and hue.

use chipmill_schemas::augment::{ColorModel, Jitter, JitterOrder, Scope};

use crate::rng::OpKey;

/// One of jitter's four steps. The numbers are those of their random streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Brightness = 1,
    Contrast = 2,
    Saturation = 3,
    Hue = 4,
}

/// What is drawn for one view. Nothing is stored: every number is computed from the key when asked
/// for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawn<'a> {
    config: &'a Jitter,
    key: OpKey,
}

impl<'a> Drawn<'a> {
    pub(crate) fn new(config: &'a Jitter, key: OpKey) -> Self {
        Self { config, key }
    }

    /// The steps in this view's order; those of half-width 0 are off.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step> + use<'a> {
        let mut steps = [
            Step::Brightness,
            Step::Contrast,
            Step::Saturation,
            Step::Hue,
        ];
        if self.config.order == JitterOrder::Random {
            let mut stream = self.key.stream(0);
            for (i, bound) in [(3, 4), (2, 3), (1, 2)] {
                steps.swap(i, stream.below(bound) as usize);
            }
        }
        let drawn = *self;
        steps.into_iter().filter(move |&s| drawn.width(s) > 0.0)
    }

    fn width(&self, step: Step) -> f32 {
        match step {
            Step::Brightness => self.config.brightness,
            Step::Contrast => self.config.contrast,
            Step::Saturation => self.config.saturation,
            Step::Hue => self.config.hue,
        }
    }

    /// The step's factor for one band (for hue in HSV: the part of a full turn).
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
    pub(crate) fn factor(&self, step: Step, band: usize) -> f32 {
        let width = f64::from(self.width(step));
        let own = match step {
            Step::Brightness | Step::Contrast => self.config.scope == Scope::PerChannel,
            Step::Saturation => false,
            Step::Hue => self.config.model == ColorModel::Bands,
        };
        let u = self.key.uniform_at(step as u32, if own { band } else { 0 });
        if step == Step::Hue && self.config.model == ColorModel::Hsv {
            return (width * (2.0 * u - 1.0)) as f32;
        }
        let low = (1.0 - width).max(0.0);
        (low + (1.0 + width - low) * u) as f32
    }
}

pub(super) fn describe(config: &Jitter, bands: usize, key: OpKey) -> String {
    let drawn = Drawn::new(config, key);
    let text = |step: Step| {
        let mut factors: Vec<String> = (0..bands)
            .map(|band| format!("{:.2}", drawn.factor(step, band)))
            .collect();
        if factors.windows(2).all(|w| w[0] == w[1]) {
            factors.truncate(1);
        }
        let name = match step {
            Step::Brightness => "brightness",
            Step::Contrast => "contrast",
            Step::Saturation => "saturation",
            Step::Hue => "hue",
        };
        format!("{name} {}", factors.join(" "))
    };
    let steps: Vec<String> = drawn.steps().map(text).collect();
    steps.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{chi_square_p, ks_p, op_keys};

    const ALL: [Step; 4] = [
        Step::Brightness,
        Step::Contrast,
        Step::Saturation,
        Step::Hue,
    ];

    #[test]
    fn every_order_of_the_steps_is_equally_likely() {
        let config = Jitter::default();
        let mut counts = std::collections::BTreeMap::new();
        for key in op_keys(24_000) {
            let order: Vec<u32> = Drawn::new(&config, key).steps().map(|s| s as u32).collect();
            *counts.entry(order).or_insert(0_u64) += 1;
        }
        let counts: Vec<u64> = counts.into_values().collect();
        assert!(
            chi_square_p(&counts, &[1.0 / 24.0; 24]) > 1e-3,
            "{counts:?}"
        );
    }

    #[test]
    fn factors_are_uniform_between_their_limits() {
        let config = Jitter {
            brightness: 1.5,
            model: ColorModel::Hsv,
            ..Jitter::default()
        };
        let limits = [(0.0, 2.5), (0.2, 1.8), (0.2, 1.8), (-0.2, 0.2)];
        for (step, (low, high)) in ALL.into_iter().zip(limits) {
            let factor = |key| f64::from(Drawn::new(&config, key).factor(step, 0));
            let mut drawn: Vec<f64> = op_keys(10_000).map(factor).collect();
            assert!(
                ks_p(&mut drawn, |x| (x - low) / (high - low)) > 1e-3,
                "{step:?}"
            );
        }
    }

    #[test]
    fn scopes_share_factors_between_bands_or_do_not() {
        for (scope, model) in [
            (Scope::Shared, ColorModel::Hsv),
            (Scope::PerChannel, ColorModel::Bands),
        ] {
            let config = Jitter {
                scope,
                model,
                ..Jitter::default()
            };
            for key in op_keys(50) {
                let drawn = Drawn::new(&config, key);
                let same = |step| drawn.factor(step, 0) == drawn.factor(step, 1);
                assert_eq!(same(Step::Brightness), scope == Scope::Shared);
                assert_eq!(same(Step::Contrast), scope == Scope::Shared);
                assert!(same(Step::Saturation));
                assert_eq!(same(Step::Hue), model == ColorModel::Hsv);
            }
        }
    }

    #[test]
    fn steps_of_width_0_are_off() {
        let config = Jitter {
            saturation: 0.0,
            hue: 0.0,
            order: JitterOrder::Fixed,
            ..Jitter::default()
        };
        let key = op_keys(1).next().unwrap();
        let steps: Vec<Step> = Drawn::new(&config, key).steps().collect();
        assert_eq!(steps, [Step::Brightness, Step::Contrast]);
    }
}
