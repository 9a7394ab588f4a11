//! Ranges of the parameters that types cannot hold.

use chipmill_schemas::augment::{Augment, ColorModel, Jitter, ZoomScale};

use super::error::AugmentError;

/// Checks one operation, number `index` of the list, of a view with so many bands.
pub(super) fn operation(op: &Augment, index: usize, bands: usize) -> Result<(), AugmentError> {
    let at = Place {
        op: op.name(),
        index,
    };
    match op {
        Augment::FlipLeftRight(c)
        | Augment::FlipUpDown(c)
        | Augment::DropColor(c)
        | Augment::BandDrop(c) => at.probability(c.p),
        Augment::Rot90(_) => Ok(()),
        Augment::ZoomScale(zoom) => at.zoom(zoom),
        Augment::Jitter(jitter) => at.jitter(jitter, bands),
        Augment::GaussianBlur(blur) => {
            at.probability(blur.p)?;
            let [low, high] = blur.sigma;
            let good = low > 0.0 && low <= high && high.is_finite();
            at.check(
                good,
                "sigma",
                &blur.sigma,
                "[smallest, largest] in pixels, both above 0",
            )
        }
        Augment::GaussianNoise(noise) => {
            at.probability(noise.p)?;
            // Its square is computed with, and must be a number.
            let good = (0.0..=1e15).contains(&noise.std);
            at.check(good, "std", &noise.std, "0 to 1e15")
        }
        Augment::Clip(clip) => {
            let good = clip.min < clip.max;
            at.check(good, "min", &clip.min, "a number below max")
        }
    }
}

/// Where a parameter stands in the configuration.
struct Place {
    op: &'static str,
    index: usize,
}

impl Place {
    fn check(
        &self,
        good: bool,
        parameter: &str,
        found: &impl std::fmt::Debug,
        expected: &'static str,
    ) -> Result<(), AugmentError> {
        if good {
            return Ok(());
        }
        Err(AugmentError::Parameter {
            key: format!("view.augment[{}].{parameter}", self.index),
            op: Some(self.op),
            found: format!("{found:?}"),
            expected,
        })
    }

    fn probability(&self, p: f32) -> Result<(), AugmentError> {
        self.check((0.0..=1.0).contains(&p), "p", &p, "a probability, 0 to 1")
    }

    fn zoom(&self, zoom: &ZoomScale) -> Result<(), AugmentError> {
        let [low, high] = zoom.area;
        self.check(
            low > 0.0 && low <= high && high <= 1.0,
            "area",
            &zoom.area,
            "[smallest, largest] as fractions of the area, above 0 and up to 1",
        )?;
        let [low, high] = zoom.aspect;
        self.check(
            low > 0.0 && low <= high && high.is_finite(),
            "aspect",
            &zoom.aspect,
            "[smallest, largest] width / height, both above 0",
        )
    }

    fn jitter(&self, jitter: &Jitter, bands: usize) -> Result<(), AugmentError> {
        let widths = [
            ("brightness", jitter.brightness),
            ("contrast", jitter.contrast),
            ("saturation", jitter.saturation),
            ("hue", jitter.hue),
        ];
        for (name, width) in widths {
            let good = width >= 0.0 && width.is_finite();
            self.check(good, name, &width, "a half-width, 0 or more")?;
        }
        if let Some([low, high]) = jitter.clip {
            let range = [low, high];
            self.check(low < high, "clip", &range, "[lower bound, upper bound]")?;
        }
        if jitter.model == ColorModel::Bands {
            return Ok(());
        }
        if bands != 3 {
            return Err(AugmentError::HsvBands {
                key: format!("view.augment[{}].model", self.index),
                bands,
            });
        }
        let expected = "a part of a full turn, 0 to 1, with model = \"hsv\"";
        self.check(jitter.hue <= 1.0, "hue", &jitter.hue, expected)
    }
}
