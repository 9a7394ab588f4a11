//! How patches become views.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::augment::{Augment, Filter, Preset};
use crate::band::Band;

/// A usual choice of bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamedBands {
    /// All twelve.
    All,
    /// B04, B03, B02: red, green, blue.
    Rgb,
    /// B02, B03, B04, B08.
    TenMetre,
    /// Without the two 60 m bands.
    Ten,
}

/// Which bands a view has, in which order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BandChoice {
    /// A usual choice.
    Named(NamedBands),
    /// A list, in the order given.
    List(Vec<Band>),
}

impl BandChoice {
    /// The bands, in the order of the view's band axis.
    #[must_use]
    pub fn bands(&self) -> Vec<Band> {
        match self {
            Self::Named(NamedBands::All) => Band::ALL.to_vec(),
            Self::Named(NamedBands::Rgb) => vec![Band::B04, Band::B03, Band::B02],
            Self::Named(NamedBands::TenMetre) => vec![Band::B02, Band::B03, Band::B04, Band::B08],
            Self::Named(NamedBands::Ten) => {
                let sixty = [Band::B01, Band::B09];
                Band::ALL
                    .into_iter()
                    .filter(|b| !sixty.contains(b))
                    .collect()
            }
            Self::List(bands) => bands.clone(),
        }
    }
}

/// How raw digital numbers become floats. Both forms are affine: nothing is clipped here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Per band: the store's 1st percentile becomes 0, the 99th becomes 1.
    #[default]
    Unit,
    /// Per band: minus the store's mean, divided by its standard deviation.
    Zscore,
    /// The digital number itself.
    None,
}

/// How patches become views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ViewConfig {
    /// Bands, in this order.
    pub bands: BandChoice,
    /// Side of a view in pixels, 8..=240.
    pub side: u32,
    /// How 20 m and 60 m bands come to 10 m, and how an un-cropped patch comes to `side`.
    pub upsample: Filter,
    /// How digital numbers become floats.
    pub normalise: Normalise,
    /// The operations by name.
    pub preset: Preset,
    /// The operations one by one, in place of the preset's.
    pub augment: Option<Vec<Augment>>,
}

impl Default for ViewConfig {
    fn default() -> Self {
        Self {
            bands: BandChoice::Named(NamedBands::All),
            side: 120,
            upsample: Filter::Bilinear,
            normalise: Normalise::Unit,
            preset: Preset::Notes,
            augment: None,
        }
    }
}

impl ViewConfig {
    /// The operations that apply: the explicit list, else the preset's.
    #[must_use]
    pub fn operations(&self) -> Vec<Augment> {
        self.augment
            .clone()
            .unwrap_or_else(|| self.preset.operations())
    }

    /// The same view without augmentation: what features are computed on.
    #[must_use]
    pub fn evaluation(&self) -> Self {
        Self {
            preset: Preset::None,
            augment: None,
            ..self.clone()
        }
    }
}
