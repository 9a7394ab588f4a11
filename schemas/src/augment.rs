//! Augmentation as data: the operations, their parameters and units, and the presets.
//!
//! What each operation computes is defined in `chipmill_pipeline::augment`. All probabilities and
//! draws are per view, never per batch. Pixel values are those after normalisation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One operation. Operations run in the order they are listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Augment {
    /// Mirror left and right with probability `p`.
    FlipLeftRight(Chance),
    /// Mirror top and bottom with probability `p`.
    FlipUpDown(Chance),
    /// Rotate by 0, 90, 180 or 270 degrees, equally likely.
    Rot90(Rot90),
    /// Random crop, resized back. Always applied.
    ZoomScale(ZoomScale),
    /// Brightness, contrast, saturation and hue. Always applied.
    Jitter(Jitter),
    /// Gaussian blur with probability `p`.
    GaussianBlur(GaussianBlur),
    /// Gaussian noise with probability `p`.
    GaussianNoise(GaussianNoise),
    /// Every band becomes the mean over the bands, with probability `p`.
    DropColor(Chance),
    /// Each band becomes zero with probability `p`, on its own.
    BandDrop(Chance),
    /// Clip to a range.
    Clip(Clip),
}

impl Augment {
    /// The value of `op` in a configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FlipLeftRight(_) => "flip_left_right",
            Self::FlipUpDown(_) => "flip_up_down",
            Self::Rot90(_) => "rot90",
            Self::ZoomScale(_) => "zoom_scale",
            Self::Jitter(_) => "jitter",
            Self::GaussianBlur(_) => "gaussian_blur",
            Self::GaussianNoise(_) => "gaussian_noise",
            Self::DropColor(_) => "drop_color",
            Self::BandDrop(_) => "band_drop",
            Self::Clip(_) => "clip",
        }
    }
}

/// An operation that happens or does not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// Probability, 0..=1.
    pub p: f32,
}

/// Rotation by multiples of 90 degrees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rot90 {}

/// How the crop's size is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CropSampler {
    /// The notes' original (TensorFlow): aspect uniform, then an integer *height* uniform between the
    /// heights of the smallest and the largest area. Mean area 0.495 for `[0.2, 1]`.
    #[default]
    HeightUniform,
    /// As torchvision: the *area* uniform, aspect log-uniform. Mean area 0.54 for `[0.2, 1]`.
    AreaUniform,
}

/// Interpolation of a resize. Where it makes the image smaller by a factor of 2 or more, each output
/// pixel is the average of its area instead, whatever the filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Keys' cubic convolution with a = -0.5, half-pixel centres, no antialiasing.
    #[default]
    Bicubic,
    /// Linear in both directions, half-pixel centres, no antialiasing.
    Bilinear,
    /// The nearest pixel.
    Nearest,
}

/// Random crop, resized to the view's side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ZoomScale {
    /// Smallest and largest crop as a fraction of the area, in (0, 1].
    pub area: [f32; 2],
    /// Smallest and largest width / height.
    pub aspect: [f32; 2],
    /// How the size is drawn.
    pub sampler: CropSampler,
    /// Interpolation.
    pub filter: Filter,
}

impl Default for ZoomScale {
    fn default() -> Self {
        Self {
            area: [0.2, 1.0],
            aspect: [0.75, 4.0 / 3.0],
            sampler: CropSampler::default(),
            filter: Filter::default(),
        }
    }
}

/// Whether a random factor is drawn once for a view or for each band.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One factor for all bands: keeps band ratios such as NDVI under brightness.
    #[default]
    Shared,
    /// One factor a band.
    PerChannel,
}

/// What saturation and hue mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColorModel {
    /// For any number of bands: saturation blends with the mean over bands, `x := m + f (x - m)`; hue
    /// multiplies each band by a gain of its own.
    #[default]
    Bands,
    /// HSV, for exactly three bands in the order red, green, blue.
    Hsv,
}

/// The order of jitter's four steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JitterOrder {
    /// A uniformly random order for each view.
    #[default]
    Random,
    /// Brightness, contrast, saturation, hue.
    Fixed,
}

/// Photometric jitter. The four numbers are half-widths: a factor is drawn from
/// `U(max(0, 1 - w), 1 + w)`; 0 switches the step off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Jitter {
    /// Multiplies.
    pub brightness: f32,
    /// Scales about the band's spatial mean.
    pub contrast: f32,
    /// Scales about the mean over bands (or HSV's S).
    pub saturation: f32,
    /// Per-band gain `U(1 - w, 1 + w)` (or HSV's H shifted by `U(-w, w)` of a full turn).
    pub hue: f32,
    /// Scope of brightness and contrast.
    pub scope: Scope,
    /// What saturation and hue mean.
    pub model: ColorModel,
    /// Order of the steps.
    pub order: JitterOrder,
    /// Clip to this range after each step.
    pub clip: Option<[f32; 2]>,
}

impl Jitter {
    /// The notes' one strength `s`: half-widths 0.8 s, 0.8 s, 0.8 s and 0.2 s. A magnitude, not a
    /// probability.
    #[must_use]
    pub fn of_strength(s: f32) -> Self {
        Self {
            brightness: 0.8 * s,
            contrast: 0.8 * s,
            saturation: 0.8 * s,
            hue: 0.2 * s,
            scope: Scope::Shared,
            model: ColorModel::Bands,
            order: JitterOrder::Random,
            clip: Some([0.0, 1.0]),
        }
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::of_strength(1.0)
    }
}

/// How a blur treats pixels beyond the border.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// Mirrored about the border pixel, which is not repeated.
    #[default]
    Reflect,
    /// Zeros, as the notes' original: borders darken.
    Zero,
}

/// Separable Gaussian blur, kernel radius `floor(side / 20)` (at least 1), weights adding up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GaussianBlur {
    /// Probability, 0..=1.
    pub p: f32,
    /// Smallest and largest standard deviation, in pixels of the view.
    pub sigma: [f32; 2],
    /// Pixels beyond the border.
    pub border: Border,
}

impl Default for GaussianBlur {
    fn default() -> Self {
        Self {
            p: 0.25,
            sigma: [0.1, 2.0],
            border: Border::Reflect,
        }
    }
}

/// Independent normal noise on every pixel and band.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GaussianNoise {
    /// Probability, 0..=1.
    pub p: f32,
    /// Standard deviation, in normalised units, 0 to 1e15.
    pub std: f32,
}

impl Default for GaussianNoise {
    fn default() -> Self {
        Self { p: 0.25, std: 0.1 }
    }
}

/// Clip to a range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Clip {
    /// Lower bound.
    pub min: f32,
    /// Upper bound.
    pub max: f32,
}

impl Default for Clip {
    fn default() -> Self {
        Self { min: 0.0, max: 1.0 }
    }
}

/// A named list of operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// The notes' policy.
    #[default]
    Notes,
    /// `SimCLR`'s, with the multispectral counterparts of its colour steps.
    Simclr,
    /// The policy that loaders are compared with in benchmarks.
    Peers,
    /// No operation: the evaluation path.
    None,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 4] = [Self::Notes, Self::Simclr, Self::Peers, Self::None];

    /// The name in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notes => "notes",
            Self::Simclr => "simclr",
            Self::Peers => "peers",
            Self::None => "none",
        }
    }

    /// The preset's operations, in order.
    #[must_use]
    pub fn operations(self) -> Vec<Augment> {
        let flips = [
            Augment::FlipLeftRight(Chance { p: 0.5 }),
            Augment::FlipUpDown(Chance { p: 0.5 }),
            Augment::Rot90(Rot90 {}),
        ];
        let blur = Augment::GaussianBlur(GaussianBlur::default());
        let noise = Augment::GaussianNoise(GaussianNoise::default());
        let drop_color = Augment::DropColor(Chance { p: 0.25 });
        let rest: Vec<Augment> = match self {
            Self::None => return Vec::new(),
            Self::Notes => vec![
                Augment::ZoomScale(ZoomScale::default()),
                Augment::Jitter(Jitter::default()),
                blur,
                noise,
                drop_color,
                Augment::Clip(Clip::default()),
            ],
            Self::Simclr => vec![
                Augment::ZoomScale(ZoomScale {
                    sampler: CropSampler::AreaUniform,
                    ..ZoomScale::default()
                }),
                Augment::Jitter(Jitter {
                    clip: None,
                    ..Jitter::of_strength(0.5)
                }),
                Augment::DropColor(Chance { p: 0.2 }),
                Augment::GaussianBlur(GaussianBlur {
                    p: 0.5,
                    ..GaussianBlur::default()
                }),
            ],
            Self::Peers => vec![
                Augment::ZoomScale(ZoomScale {
                    area: [0.64, 1.0],
                    aspect: [1.0, 1.0],
                    sampler: CropSampler::HeightUniform,
                    filter: Filter::Bilinear,
                }),
                Augment::Jitter(Jitter {
                    saturation: 0.0,
                    hue: 0.0,
                    scope: Scope::PerChannel,
                    order: JitterOrder::Fixed,
                    clip: None,
                    ..Jitter::default()
                }),
                drop_color,
                blur,
                noise,
            ],
        };
        flips.into_iter().chain(rest).collect()
    }
}

impl std::fmt::Display for Preset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Preset {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|p| p.name() == name)
            .ok_or_else(|| format!("no preset is named `{name}`; there are {names}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notes_preset_has_the_notes_order_and_strengths() {
        let ops = Preset::Notes.operations();
        let names: Vec<_> = ops.iter().map(Augment::name).collect();
        assert_eq!(
            names,
            [
                "flip_left_right",
                "flip_up_down",
                "rot90",
                "zoom_scale",
                "jitter",
                "gaussian_blur",
                "gaussian_noise",
                "drop_color",
                "clip"
            ]
        );
        let Augment::Jitter(jitter) = &ops[4] else {
            panic!("jitter is fifth")
        };
        assert_eq!((jitter.brightness, jitter.hue), (0.8, 0.2));
    }

    #[test]
    fn operations_are_serde_values() {
        let text = "op = \"gaussian_blur\"\np = 0.25\nsigma = [0.1, 2.0]\n";
        let op: Augment = toml::from_str(text).unwrap();
        assert_eq!(op, Augment::GaussianBlur(GaussianBlur::default()));
        assert!(toml::from_str::<Augment>("op = \"gaussian_blur\"\nsigm = 1.0").is_err());
    }
}
