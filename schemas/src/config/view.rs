//! How patches become views.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;
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

/// The type of a view's values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ViewType {
    /// IEEE 754 single precision, 4 bytes a value.
    #[default]
    F32,
    /// IEEE 754 half precision, 2 bytes: 11 significant bits, at most 65,504.
    F16,
    /// The upper half of a single, 2 bytes: 8 significant bits, the range of a single.
    Bf16,
}

impl ViewType {
    /// The name in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Bytes of one value.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

impl std::fmt::Display for ViewType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// In what one view differs from the others; what is absent is as in the table `view` itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ViewChange {
    /// How digital numbers become floats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalise: Option<Normalise>,
    /// The operations by name, in place of `view.preset` and `view.augment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// The operations one by one, in place of all presets and of `view.augment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<Vec<Augment>>,
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
    /// The type of values.
    pub dtype: ViewType,
    /// One entry a view where views differ from one another; empty when all are drawn alike. Views
    /// share bands, side, upsampling and type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub each: Vec<ViewChange>,
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
            dtype: ViewType::F32,
            each: Vec::new(),
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
            each: Vec::new(),
            ..self.clone()
        }
    }

    /// View number `view` on its own: the same with that view's entry of `each` put in.
    #[must_use]
    pub fn of_view(&self, view: usize) -> Self {
        let mut one = Self {
            each: Vec::new(),
            ..self.clone()
        };
        let Some(change) = self.each.get(view) else {
            return one;
        };
        one.normalise = change.normalise.unwrap_or(self.normalise);
        if let Some(preset) = change.preset {
            (one.preset, one.augment) = (preset, None);
        }
        if change.augment.is_some() {
            one.augment.clone_from(&change.augment);
        }
        one
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let bad = |key: &str, message: String| {
            Err(ConfigError::BadValue {
                key: format!("view.{key}"),
                message,
            })
        };
        if !(8..=240).contains(&self.side) {
            return bad("side", format!("is {}, expected 8..=240", self.side));
        }
        if self.bands.bands().is_empty() {
            return bad("bands", "is empty, expected one band or more".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PretrainConfig, resolve};

    fn view(text: &str) -> PretrainConfig {
        resolve(Some(("test.toml", text)), &[]).unwrap()
    }

    #[test]
    fn a_view_differs_only_in_what_its_own_entry_says() {
        let text = "[view]\npreset = \"simclr\"\ndtype = \"bf16\"\nside = 64\n\
                    [[view.each]]\n\
                    [[view.each]]\npreset = \"none\"\nnormalise = \"zscore\"";
        let config = view(text);
        config.validate().unwrap();
        let (first, second) = (config.view.of_view(0), config.view.of_view(1));
        assert_eq!(first.operations(), Preset::Simclr.operations());
        assert_eq!(first.normalise, Normalise::Unit);
        assert_eq!(second.operations(), []);
        assert_eq!(second.normalise, Normalise::Zscore);
        assert_eq!((second.side, second.dtype), (64, ViewType::Bf16));
        assert!(second.each.is_empty());
        let text = toml::to_string(&config).unwrap();
        assert_eq!(view(&text), config);
        assert!(config.view.evaluation().each.is_empty());
    }

    #[test]
    fn a_views_own_operations_win_over_every_preset() {
        let text = "[view]\naugment = [{op = \"rot90\"}]\n\
                    [[view.each]]\npreset = \"none\"\n\
                    [[view.each]]\npreset = \"notes\"\naugment = [{op = \"clip\"}]";
        let config = view(text).view;
        assert_eq!(config.of_view(0).operations(), []);
        assert_eq!(config.of_view(1).operations()[0].name(), "clip");
        assert_eq!(config.of_view(2).operations()[0].name(), "rot90");
    }

    #[test]
    fn pretraining_takes_two_entries_or_none() {
        let config = view("[[view.each]]\npreset = \"none\"");
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with("`view.each`: has 1 entries"), "{error}");
    }
}
