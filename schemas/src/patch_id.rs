//! Patch ids of BigEarthNet v1.0 and v2.0.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which release a patch id belongs to; the two name patches differently.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum DatasetVersion {
    /// BigEarthNet v1.0: `S2A_MSIL2A_20170617T113321_4_55`.
    #[serde(rename = "v1")]
    V1,
    /// BigEarthNet v2.0 (reBEN): `S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57`.
    #[serde(rename = "v2")]
    V2,
}

impl DatasetVersion {
    /// `v1` or `v2`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

impl fmt::Display for DatasetVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text is not a patch id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a BigEarthNet patch id: expected v1 `S2A_MSIL2A_20170617T113321_4_55` or v2 \
     `S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57`"
)]
pub struct PatchIdError {
    /// The text found.
    pub text: String,
}

/// The id of one patch. It can only hold a name that matches the official form, and gives back that
/// very text.
///
/// v1 times are kept as text: 69,866 names lack the leading zero of the hour and 13,599 have 60 or
/// 61 seconds, so they are no times. Ids are ordered by acquisition, then H, then V: for v2 this is
/// the order of the official archive's members; for v1 (H and V without leading zeros) it is not the
/// order of a folder listing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PatchId {
    text: Box<str>,
    acquisition_len: u8,
    h: u8,
    v: u8,
}

impl PatchId {
    /// The id as written in the data set.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The acquisition: everything before `_H_V`. In v2 this is the name of the tile folder.
    #[must_use]
    pub fn acquisition(&self) -> &str {
        &self.text[..usize::from(self.acquisition_len)]
    }

    /// Column of the patch in its tile, 0..=99, from the west.
    #[must_use]
    pub fn h(&self) -> u8 {
        self.h
    }

    /// Row of the patch in its tile, 0..=99, from the north.
    #[must_use]
    pub fn v(&self) -> u8 {
        self.v
    }

    /// The release whose naming this is.
    #[must_use]
    pub fn version(&self) -> DatasetVersion {
        if self.tile().is_some() {
            DatasetVersion::V2
        } else {
            DatasetVersion::V1
        }
    }

    /// The MGRS tile with its `T`, such as `T33UUP`. v1 names do not hold it.
    #[must_use]
    pub fn tile(&self) -> Option<&str> {
        self.acquisition().split('_').nth(5)
    }

    /// The day of acquisition as `YYYY-MM-DD`.
    #[must_use]
    pub fn date(&self) -> String {
        let d = &self.text[11..19];
        format!("{}-{}-{}", &d[..4], &d[4..6], &d[6..])
    }

    /// Finds an id at the start of a file name such as `<id>_B8A.tif`; gives the id and the rest
    /// without the joining underscore (`B8A.tif`).
    #[must_use]
    pub fn split_file_name(name: &str) -> Option<(Self, &str)> {
        let mut cut = None;
        for (at, _) in name.match_indices('_') {
            if let Ok(id) = name[..at].parse::<Self>() {
                cut = Some((id, &name[at + 1..]));
            }
        }
        cut
    }
}

impl FromStr for PatchId {
    type Err = PatchIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| PatchIdError {
            text: text.chars().take(120).collect(),
        })
    }
}

fn parse(text: &str) -> Option<PatchId> {
    if !text.is_ascii() || text.len() > 64 {
        return None;
    }
    let parts: Vec<&str> = text.split('_').collect();
    let v2 = match parts.len() {
        5 => false,
        8 => true,
        _ => return None,
    };
    let time_digits = if v2 { 6..=6 } else { 5..=6 };
    let grid_digits = if v2 { 2..=2 } else { 1..=2 };
    let (day, time) = parts[2].split_once('T')?;
    let well_formed = matches!(parts[0], "S2A" | "S2B")
        && parts[1] == "MSIL2A"
        && digits(day, 8..=8)
        && digits(time, time_digits)
        && (!v2 || (parts[3] == "N9999" && is_orbit(parts[4]) && is_tile(parts[5])));
    let (h, v) = (parts[parts.len() - 2], parts[parts.len() - 1]);
    if !well_formed || !digits(h, grid_digits.clone()) || !digits(v, grid_digits) {
        return None;
    }
    Some(PatchId {
        acquisition_len: u8::try_from(text.len() - h.len() - v.len() - 2).ok()?,
        h: h.parse().ok()?,
        v: v.parse().ok()?,
        text: text.into(),
    })
}

fn digits(text: &str, len: std::ops::RangeInclusive<usize>) -> bool {
    len.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_orbit(text: &str) -> bool {
    text.strip_prefix('R').is_some_and(|d| digits(d, 3..=3))
}

fn is_tile(text: &str) -> bool {
    text.strip_prefix('T').is_some_and(|t| {
        t.len() == 5
            && t.bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    })
}

impl Ord for PatchId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.acquisition()
            .cmp(other.acquisition())
            .then(self.h.cmp(&other.h))
            .then(self.v.cmp(&other.v))
            .then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for PatchId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for PatchId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for PatchId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PatchId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PatchId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A BigEarthNet patch id, v1 or v2.",
            "pattern": "^S2[AB]_MSIL2A_\\d{8}T(\\d{5,6}_\\d{1,2}_\\d{1,2}|\\d{6}_N9999_R\\d{3}_T[0-9A-Z]{5}_\\d{2}_\\d{2})$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V1: &str = "S2A_MSIL2A_20170617T113321_4_55";
    const V2: &str = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57";

    #[test]
    fn both_releases_parse_and_give_their_parts() {
        let v1: PatchId = V1.parse().unwrap();
        assert_eq!((v1.version(), v1.h(), v1.v()), (DatasetVersion::V1, 4, 55));
        assert_eq!(v1.acquisition(), "S2A_MSIL2A_20170617T113321");
        assert_eq!((v1.tile(), v1.date().as_str()), (None, "2017-06-17"));
        let v2: PatchId = V2.parse().unwrap();
        assert_eq!((v2.version(), v2.h(), v2.v()), (DatasetVersion::V2, 26, 57));
        assert_eq!(v2.tile(), Some("T33UUP"));
        assert_eq!(
            v2.acquisition(),
            "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
        );
    }

    #[test]
    fn the_hour_bug_and_impossible_seconds_of_v1_are_kept() {
        for name in [
            "S2B_MSIL2A_20170924T93020_69_24",
            "S2B_MSIL2A_20170924T94161_1_2",
        ] {
            assert_eq!(name.parse::<PatchId>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn other_texts_are_refused_by_name() {
        for bad in [
            "",
            "S2C_MSIL2A_20170617T113321_4_55",
            "S2A_MSIL2A_20170617T113321_4",
            "S2A_MSIL2A_20170617T113321_4_555",
            "S2A_MSIL2A_20170617T1133211_4_55",
            "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_6_57",
            "S2A_MSIL2A_20170613T101031_N9998_R022_T33UUP_26_57",
            "../S2A_MSIL2A_20170617T113321_4_55",
            "S2A_MSIL2A_20170617T113321_4_55\n",
        ] {
            let error = bad.parse::<PatchId>().unwrap_err();
            assert_eq!(error.text, bad);
        }
    }

    #[test]
    fn file_names_split_into_id_and_rest() {
        let name = format!("{V2}_B8A.tif");
        let (id, rest) = PatchId::split_file_name(&name).unwrap();
        assert_eq!((id.as_str(), rest), (V2, "B8A.tif"));
        let name = format!("{V1}_labels_metadata.json");
        let (id, rest) = PatchId::split_file_name(&name).unwrap();
        assert_eq!((id.as_str(), rest), (V1, "labels_metadata.json"));
        assert!(PatchId::split_file_name("metadata.parquet").is_none());
    }

    proptest! {
        #[test]
        fn ids_round_trip(v2 in any::<bool>(), b in any::<bool>(), day in 0u32..100_000_000,
                          time in 0u32..1_000_000, orbit in 0u32..1000, tile in "[0-9A-Z]{5}",
                          short in any::<bool>(), h in 0u8..100, v in 0u8..100) {
            let craft = if b { "S2B" } else { "S2A" };
            let text = if v2 {
                format!("{craft}_MSIL2A_{day:08}T{time:06}_N9999_R{orbit:03}_T{tile}_{h:02}_{v:02}")
            } else if short {
                format!("{craft}_MSIL2A_{day:08}T{:05}_{h}_{v}", time % 100_000)
            } else {
                format!("{craft}_MSIL2A_{day:08}T{time:06}_{h}_{v}")
            };
            let id: PatchId = text.parse().unwrap();
            prop_assert_eq!(id.as_str(), &text);
            prop_assert_eq!((id.h(), id.v()), (h, v));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<PatchId>(&json).unwrap(), id);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<PatchId>();
            let _ = PatchId::split_file_name(&text);
        }

        #[test]
        fn v2_order_is_the_order_of_the_archive(a in 0u8..100, b in 0u8..100, c in 0u8..100, d in 0u8..100) {
            let name = |h, v| format!("S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_{h:02}_{v:02}");
            let (x, y) = (name(a, b), name(c, d));
            let (p, q): (PatchId, PatchId) = (x.parse().unwrap(), y.parse().unwrap());
            prop_assert_eq!(p.cmp(&q), x.cmp(&y));
        }
    }
}
