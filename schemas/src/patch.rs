//! One row of the patch table: all that is known of a patch besides its pixels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::label::{LabelSet, Nomenclature};
use crate::patch_id::PatchId;

/// Official split of a patch. v1's lists call validation `val`; the store says `validation`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For fitting.
    Train,
    /// For choosing hyper-parameters.
    Validation,
    /// Read once, at the end.
    Test,
}

impl Split {
    /// All splits.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// `train`, `validation` or `test`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// The split of that name; `val` is understood as validation.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "train" => Some(Self::Train),
            "val" | "validation" => Some(Self::Validation),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a patch lies: its coordinate system and its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Georeference {
    /// EPSG code of the projected coordinate system, such as 32633 (UTM zone 33N).
    pub epsg: u32,
    /// Easting of the upper left corner, in metres.
    pub ulx: f64,
    /// Northing of the upper left corner, in metres.
    pub uly: f64,
}

/// One row of `patches.parquet`. Row `i` describes index `i` of every array of the store.
///
/// `None` means that no source told it, never "no".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PatchRow {
    /// The patch.
    pub id: PatchId,
    /// MGRS tile with its `T` (`T33UUP`): from the id in v2, from the JSON's `tile_source` in v1.
    pub tile: Option<String>,
    /// Official split.
    pub split: Option<Split>,
    /// Country name as in the v2 tables.
    pub country: Option<String>,
    /// Day of acquisition, `YYYY-MM-DD`.
    pub date: String,
    /// Seasonal snow.
    pub snow: Option<bool>,
    /// Cloud or cloud shadow.
    pub cloud: Option<bool>,
    /// 43-class labels.
    pub labels_43: Option<LabelSet>,
    /// 19-class labels.
    pub labels_19: Option<LabelSet>,
    /// Coordinate system and origin, from the `GeoTIFF`.
    pub georeference: Option<Georeference>,
    /// The matching Sentinel-1 patch, as the v2 tables name it.
    pub s1_name: Option<String>,
    /// The patch's v1 name, as the v2 tables give it.
    pub s2v1_name: Option<String>,
}

impl PatchRow {
    /// A row that knows only what the id tells.
    #[must_use]
    pub fn from_id(id: PatchId) -> Self {
        Self {
            tile: id.tile().map(str::to_owned),
            date: id.date(),
            id,
            split: None,
            country: None,
            snow: None,
            cloud: None,
            labels_43: None,
            labels_19: None,
            georeference: None,
            s1_name: None,
            s2v1_name: None,
        }
    }

    /// The labels in one nomenclature, `None` where unknown.
    #[must_use]
    pub fn labels(&self, nomenclature: Nomenclature) -> Option<LabelSet> {
        match nomenclature {
            Nomenclature::Clc43 => self.labels_43,
            Nomenclature::Nineteen => self.labels_19,
        }
    }
}
