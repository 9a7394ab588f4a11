//! Sentinel-1: the radar patch that belongs to a Sentinel-2 patch.
//!
//! Two polarisations of 120 x 120 pixels at 10 m, `f32`, in decibels. The files of v1.0 and v2.0 are the
//! same, and so are their names.

use std::fmt;
use std::num::NonZeroU128;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::patch::Split;

/// Pixels along a side of a Sentinel-1 patch.
pub const S1_SIDE: usize = 120;

/// Values of a Sentinel-1 patch: both polarisations.
pub const S1_LEN: usize = Polarisation::ALL.len() * S1_SIDE * S1_SIDE;

/// A polarisation: sent vertically, received vertically (`VV`) or horizontally (`VH`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[expect(missing_docs, reason = "the names are the polarisations' own")]
pub enum Polarisation {
    VV,
    VH,
}

impl Polarisation {
    /// Both, in the order of the store's axis.
    pub const ALL: [Self; 2] = [Self::VV, Self::VH];

    /// The name used in file names and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VV => "VV",
            Self::VH => "VH",
        }
    }

    /// Position in [`Polarisation::ALL`], the index on the store's axis.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Polarisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text is not the name of a Sentinel-1 patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the name of a Sentinel-1 patch: expected \
     `S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48`"
)]
pub struct S1IdError {
    /// The text found.
    pub text: String,
}

/// The name of a Sentinel-1 patch. It can only hold a name of the official form, gives back that very
/// text, and takes 16 bytes. Ids are ordered by satellite, time, tile, H and V.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct S1Id(NonZeroU128);

const PREFIX: [&str; 2] = ["S1A_IW_GRDH_1SDV_", "S1B_IW_GRDH_1SDV_"];

/// Characters of a tile, as digits to the base 36.
const TILE: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const TILES: u128 = 36u128.pow(5);

/// Places for H and for V: 100 with one digit at least, and as many with a leading zero.
const GRID: u128 = 200;

impl S1Id {
    /// The name, as it is written in the data set.
    #[must_use]
    pub fn text(&self) -> String {
        self.to_string()
    }

    /// The scene: everything before the tile. In v2 this is the name of the folder above the patch's.
    #[must_use]
    pub fn scene(&self) -> String {
        let text = self.to_string();
        text.get(..32).unwrap_or_default().to_owned()
    }
}

impl FromStr for S1Id {
    type Err = S1IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| S1IdError {
            text: text.chars().take(120).collect(),
        })
    }
}

fn parse(text: &str) -> Option<S1Id> {
    let satellite = PREFIX.iter().position(|p| text.starts_with(p))?;
    let rest = text.get(PREFIX[satellite].len()..)?;
    let mut parts = rest.split('_');
    let (day, time) = parts.next()?.split_once('T')?;
    let (tile, h, v) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || tile.len() != 5 {
        return None;
    }
    let mut number = satellite as u128;
    number = number * 100_000_000 + digits(day, 8)?;
    number = number * 1_000_000 + digits(time, 6)?;
    for byte in tile.bytes() {
        number = number * 36 + TILE.iter().position(|&t| t == byte)? as u128;
    }
    for place in [h, v] {
        let value = digits(place, place.len().clamp(1, 2))?;
        let padded = place.len() == 2 && value < 10;
        number = number * GRID + 2 * value + u128::from(padded);
    }
    Some(S1Id(NonZeroU128::MIN.saturating_add(number)))
}

fn digits(text: &str, length: usize) -> Option<u128> {
    let plain = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for S1Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.get() - 1;
        let mut take = |base: u128| {
            let digit = rest % base;
            rest /= base;
            digit
        };
        let (v, h) = (take(GRID), take(GRID));
        let mut tile = take(TILES);
        let (time, day, satellite) = (take(1_000_000), take(100_000_000), take(2));
        let mut name = ['0'; 5];
        for place in name.iter_mut().rev() {
            *place = char::from(TILE[usize::try_from(tile % 36).unwrap_or(0)]);
            tile /= 36;
        }
        let prefix = PREFIX[usize::from(satellite == 1)];
        write!(f, "{prefix}{day:08}T{time:06}_")?;
        name.iter().try_for_each(|c| write!(f, "{c}"))?;
        for place in [h, v] {
            let width = 1 + usize::from(place % 2 == 1);
            write!(f, "_{:0width$}", place / 2)?;
        }
        Ok(())
    }
}

impl Serialize for S1Id {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for S1Id {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Statistics of one polarisation over all finite pixels of a set of patches. Unit: decibel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct S1BandStatistics {
    /// The polarisation.
    pub polarisation: Polarisation,
    /// Finite pixels: all others are over these alone.
    pub count: u64,
    /// Pixels that are NaN or infinite.
    pub not_finite: u64,
    /// Arithmetic mean, of sums in `f64` in the order of rows.
    pub mean: f64,
    /// Population standard deviation (divisor `count`).
    pub std: f64,
    /// Smallest value.
    pub min: f32,
    /// 1st percentile. Percentiles are read from a histogram of 16,000 classes of 0.01 dB from -100 to
    /// 60 dB, by linear interpolation inside the class, and are so within 0.01 dB of the exact ones
    /// there; beyond that range they are `min` or `max`.
    pub p1: f64,
    /// 2nd percentile.
    pub p2: f64,
    /// Median.
    pub p50: f64,
    /// 98th percentile.
    pub p98: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest value.
    pub max: f32,
}

/// Statistics of both polarisations over one set of patches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct S1SetStatistics {
    /// The split, or `None` for all patches.
    pub split: Option<Split>,
    /// Patches in the set that have Sentinel-1.
    pub patches: u64,
    /// VV, then VH; a polarisation without a finite pixel is left out.
    pub bands: Vec<S1BandStatistics>,
}

/// What the manifest says of Sentinel-1, in stores that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct S1Manifest {
    /// The axis of the array.
    pub polarisations: Vec<Polarisation>,
    /// Patches that have Sentinel-1; the others' chunks are absent and read as NaN.
    pub patches: u64,
    /// Statistics: all patches first, then each split that occurs among those with Sentinel-1.
    pub statistics: Vec<S1SetStatistics>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: &str = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48";

    #[test]
    fn a_name_gives_its_scene_and_its_text() {
        let id: S1Id = NAME.parse().unwrap();
        assert_eq!(id.text(), NAME);
        assert_eq!(id.scene(), "S1A_IW_GRDH_1SDV_20170613T165043");
    }

    #[test]
    fn other_texts_are_refused_by_name() {
        for bad in [
            "",
            "S1C_IW_GRDH_1SDV_20170613T165043_33UUP_70_48",
            "S1A_IW_GRDH_1SDV_20170613T165043",
            "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70",
            "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_480",
            "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48_",
            "S1A_IW_GRDH_1SDV_20170613T165043_33uup_70_48",
            "S1A_IW_GRDH_1SDV_2017061T165043_33UUP_70_48",
            "S1A_IW_GRDH_1SDV_20170613T165043_33UUP__48",
            "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_+7_48",
        ] {
            assert_eq!(bad.parse::<S1Id>().unwrap_err().text, bad);
        }
    }

    proptest! {
        #[test]
        fn ids_round_trip(b in any::<bool>(), day in 0u32..100_000_000, time in 0u32..1_000_000,
                          tile in "[0-9A-Z]{5}", h in "[0-9]{1,2}", v in "[0-9]{1,2}") {
            let craft = if b { "S1B" } else { "S1A" };
            let text = format!("{craft}_IW_GRDH_1SDV_{day:08}T{time:06}_{tile}_{h}_{v}");
            let id: S1Id = text.parse().unwrap();
            prop_assert_eq!(id.to_string(), text);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<S1Id>(&json).unwrap(), id);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<S1Id>();
        }
    }
}
