//! The twelve Sentinel-2 L2A bands of BigEarthNet and the three native resolutions they come in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of one patch at native resolution: 4 x 120² + 6 x 60² + 2 x 20² pixels of `u16`.
pub const PATCH_BYTES: usize = 160_000;

/// Side of a patch on the ground, in metres.
pub const PATCH_METRES: u32 = 1_200;

/// One Sentinel-2 band of a BigEarthNet patch. B10 (cirrus) does not exist in L2A.
///
/// The derived order is the canonical one, by wavelength: `B8A` comes before `B09`, where a string
/// sort would put it last.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[expect(missing_docs, reason = "the names are the bands' own")]
pub enum Band {
    B01,
    B02,
    B03,
    B04,
    B05,
    B06,
    B07,
    B08,
    B8A,
    B09,
    B11,
    B12,
}

impl Band {
    /// All bands, by wavelength. Every array with a band axis of 12 uses this order.
    pub const ALL: [Self; 12] = [
        Self::B01,
        Self::B02,
        Self::B03,
        Self::B04,
        Self::B05,
        Self::B06,
        Self::B07,
        Self::B08,
        Self::B8A,
        Self::B09,
        Self::B11,
        Self::B12,
    ];

    /// The name used in file names and in the store, such as `B8A`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::B01 => "B01",
            Self::B02 => "B02",
            Self::B03 => "B03",
            Self::B04 => "B04",
            Self::B05 => "B05",
            Self::B06 => "B06",
            Self::B07 => "B07",
            Self::B08 => "B08",
            Self::B8A => "B8A",
            Self::B09 => "B09",
            Self::B11 => "B11",
            Self::B12 => "B12",
        }
    }

    /// Position in [`Band::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The native resolution.
    #[must_use]
    pub const fn resolution(self) -> Resolution {
        match self {
            Self::B02 | Self::B03 | Self::B04 | Self::B08 => Resolution::M10,
            Self::B01 | Self::B09 => Resolution::M60,
            _ => Resolution::M20,
        }
    }

    /// Position among the bands of its resolution group, the index on the store's band axis.
    #[must_use]
    pub const fn index_in_group(self) -> usize {
        match self {
            Self::B02 | Self::B05 | Self::B01 => 0,
            Self::B03 | Self::B06 | Self::B09 => 1,
            Self::B04 | Self::B07 => 2,
            Self::B08 | Self::B8A => 3,
            Self::B11 => 4,
            Self::B12 => 5,
        }
    }

    /// The band of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.name() == name)
    }
}

impl std::fmt::Display for Band {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A native ground sampling distance, and with it a group of bands in the store.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Resolution {
    /// 10 m: 120 x 120 pixels.
    #[serde(rename = "10m")]
    M10,
    /// 20 m: 60 x 60 pixels.
    #[serde(rename = "20m")]
    M20,
    /// 60 m: 20 x 20 pixels.
    #[serde(rename = "60m")]
    M60,
}

impl Resolution {
    /// All resolutions, finest first.
    pub const ALL: [Self; 3] = [Self::M10, Self::M20, Self::M60];

    /// Name of the group in the store: `10m`, `20m` or `60m`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::M10 => "10m",
            Self::M20 => "20m",
            Self::M60 => "60m",
        }
    }

    /// Position in [`Resolution::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The group's bands in store order (a subsequence of [`Band::ALL`]).
    #[must_use]
    pub const fn bands(self) -> &'static [Band] {
        match self {
            Self::M10 => &[Band::B02, Band::B03, Band::B04, Band::B08],
            Self::M20 => &[
                Band::B05,
                Band::B06,
                Band::B07,
                Band::B8A,
                Band::B11,
                Band::B12,
            ],
            Self::M60 => &[Band::B01, Band::B09],
        }
    }

    /// Side of a band raster in pixels.
    #[must_use]
    pub const fn side(self) -> usize {
        match self {
            Self::M10 => 120,
            Self::M20 => 60,
            Self::M60 => 20,
        }
    }

    /// Ground sampling distance in metres.
    #[must_use]
    pub const fn metres(self) -> u32 {
        match self {
            Self::M10 => 10,
            Self::M20 => 20,
            Self::M60 => 60,
        }
    }

    /// Pixels of one patch in this group, all bands: the `u16` values of one chunk.
    #[must_use]
    pub const fn chunk_len(self) -> usize {
        self.bands().len() * self.side() * self.side()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_holds_exactly_160_000_bytes() {
        let values: usize = Resolution::ALL.iter().map(|r| r.chunk_len()).sum();
        assert_eq!(values * 2, PATCH_BYTES);
    }

    #[test]
    fn bands_are_ordered_by_wavelength_and_not_by_name() {
        let names: Vec<_> = Band::ALL.iter().map(|b| b.name()).collect();
        assert_eq!(names[7..10], ["B08", "B8A", "B09"]);
        assert!(Band::ALL.windows(2).all(|w| w[0] < w[1]));
        assert!(Band::ALL.iter().enumerate().all(|(i, b)| b.index() == i));
    }

    #[test]
    fn every_band_is_in_exactly_its_group() {
        for band in Band::ALL {
            assert_eq!(band.resolution().bands()[band.index_in_group()], band);
            assert_eq!(Band::from_name(band.name()), Some(band));
        }
    }
}
