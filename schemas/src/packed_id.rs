//! A patch id in sixteen bytes, for those who hold half a million of them.

use std::fmt;
use std::num::NonZeroU128;

use serde::{Deserialize, Serialize};

use crate::patch_id::{DatasetVersion, PatchId};

/// A [`PatchId`], packed. It unpacks to the very same id, and is ordered as ids are.
///
/// From the highest digit on: satellite, day, time (six digits to the base 11, 0 where the text has
/// ended, so that `T94033` comes after `T101031` as texts do), orbit and tile of v2 (0 in v1), H, V, and
/// which of the two have a leading zero: `04` comes before `4`, but `_0` before `_00`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackedId(NonZeroU128);

const TIME: u128 = 11u128.pow(6);
const TILE: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const TILES: u128 = 36u128.pow(5);
/// Orbits and tiles, and 0 for neither.
const PLACES: u128 = 1000 * TILES + 1;

impl From<&PatchId> for PackedId {
    fn from(id: &PatchId) -> Self {
        let text = id.as_str();
        let number = |text: &str| text.bytes().fold(0, |n, b| n * 10 + u128::from(b - b'0'));
        let mut parts = id.acquisition().split('_').skip(2);
        let (day, time) = parts
            .next()
            .and_then(|p| p.split_once('T'))
            .unwrap_or_default();
        let places = time.bytes().map(|b| u128::from(b - b'0') + 1);
        let time = places.chain(std::iter::repeat(0)).take(6);
        let time = time.fold(0, |n, digit| n * 11 + digit);
        let place = match (parts.nth(1), parts.next()) {
            (Some(orbit), Some(tile)) => {
                let digit = |b| TILE.iter().position(|&t| t == b).unwrap_or(0) as u128;
                let tile = tile[1..].bytes().fold(0, |n, b| n * 36 + digit(b));
                1 + number(&orbit[1..]) * TILES + tile
            }
            _ => 0,
        };
        let (h, v) = text[id.acquisition().len() + 1..]
            .split_once('_')
            .unwrap_or_default();
        let padded = |text: &str| text.len() == 2 && text.starts_with('0');
        let mut packed = u128::from(text.starts_with("S2B"));
        for (base, digit) in [
            (100_000_000, number(day)),
            (TIME, time),
            (PLACES, place),
            (100, u128::from(id.h())),
            (100, u128::from(id.v())),
            (2, u128::from(!padded(h))),
            (2, u128::from(padded(v) == (id.v() == 0))),
        ] {
            packed = packed * base + digit;
        }
        Self(NonZeroU128::MIN.saturating_add(packed))
    }
}

impl fmt::Display for PackedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl PackedId {
    /// The release whose naming it is.
    #[must_use]
    pub fn version(self) -> DatasetVersion {
        match (self.0.get() - 1) / (2 * 2 * 100 * 100) % PLACES {
            0 => DatasetVersion::V1,
            _ => DatasetVersion::V2,
        }
    }

    /// The id that was packed.
    #[must_use]
    pub fn unpack(self) -> PatchId {
        match self.text().as_str().parse() {
            Ok(id) => id,
            Err(_) => unreachable!("only ids are packed"),
        }
    }

    /// Written by hand: an ingest needs the text of half a million, some of them thrice.
    fn text(self) -> Text {
        let packed = self.0.get() - 1;
        // Two numbers of 64 bits, where a division takes a fraction of the time.
        let (mut rest, mut when) = (narrow(packed % PLACED), narrow(packed / PLACED));
        let (v_flag, h_flag) = (take(&mut rest, 2), take(&mut rest, 2));
        let (v, h, place) = (take(&mut rest, 100), take(&mut rest, 100), rest);
        let (time, day) = (take(&mut when, narrow(TIME)), take(&mut when, 100_000_000));
        let mut text = Text::default();
        text.push(if when == 1 { b"S2B" } else { b"S2A" });
        text.push(b"_MSIL2A_");
        text.number(day, 8);
        text.push(b"T");
        text.extend(digits(time, 11, 6).filter_map(|d| d.checked_sub(1)));
        if let Some(place) = place.checked_sub(1) {
            let tiles = narrow(TILES);
            text.push(b"_N9999_R");
            text.number(place / tiles, 3);
            text.push(b"_T");
            text.extend(digits(place % tiles, 36, 5));
        }
        let is_padded = [h_flag == 0, (v_flag == 1) == (v == 0)];
        for (number, is_padded) in [h, v].into_iter().zip(is_padded) {
            let two = place > 0 || is_padded || number > 9;
            text.push(b"_");
            text.number(number, if two { 2 } else { 1 });
        }
        text
    }
}

/// All numbers of which an id has one for its place, H, V and their zeros.
const PLACED: u128 = PLACES * 100 * 100 * 2 * 2;

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Takes the lowest digit to a base away.
fn take(rest: &mut u64, base: u64) -> u64 {
    let digit = *rest % base;
    *rest /= base;
    digit
}

/// The digits of a number, the highest first.
fn digits(number: u64, base: u64, count: u32) -> impl Iterator<Item = usize> {
    let powers = (0..count).rev().map(move |power| base.pow(power));
    powers.map(move |power| usize::try_from(number / power % base).unwrap_or(0))
}

/// Bytes of the longest id, one of v2.
const LONGEST: usize = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57".len();

/// The text of an id in the making.
struct Text {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            bytes: [0; LONGEST],
            length: 0,
        }
    }
}

impl Text {
    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    fn extend(&mut self, digits: impl Iterator<Item = usize>) {
        digits.for_each(|digit| self.push(&[TILE[digit]]));
    }

    fn number(&mut self, number: u64, places: u32) {
        self.extend(digits(number, 10, places));
    }

    fn as_str(&self) -> &str {
        match std::str::from_utf8(&self.bytes[..self.length]) {
            Ok(text) => text,
            Err(_) => unreachable!("only ASCII is pushed"),
        }
    }
}

impl fmt::Debug for PackedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackedId({self})")
    }
}

impl Serialize for PackedId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PackedId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        PatchId::deserialize(d).map(|id| Self::from(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> impl Strategy<Value = PatchId> {
        let v1 = "S2[AB]_MSIL2A_20[01][0-9]{5}T[0-9]{5,6}_[0-9]{1,2}_[0-9]{1,2}";
        let v2 =
            "S2[AB]_MSIL2A_20[01][0-9]{5}T[0-9]{6}_N9999_R[0-9]{3}_T[0-9A-Z]{5}_[0-9]{2}_[0-9]{2}";
        prop_oneof![v1, v2].prop_map(|text| text.parse().unwrap())
    }

    /// Another id that has the beginning of this one, so that the order is decided late.
    fn near() -> impl Strategy<Value = (PatchId, PatchId)> {
        (id(), id(), 8usize..40).prop_filter_map("no id", |(a, b, cut)| {
            let start = a.as_str().get(..cut)?;
            let near = format!("{start}{}", b.as_str().get(cut..)?);
            Some((a, near.parse().ok()?))
        })
    }

    proptest! {
        #[test]
        fn an_id_unpacks_to_itself(id in id()) {
            let packed = PackedId::from(&id);
            prop_assert_eq!(&packed.unpack(), &id);
            prop_assert_eq!(packed.version(), id.version());
            let json = serde_json::to_string(&packed).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&id).unwrap());
            prop_assert_eq!(serde_json::from_str::<PackedId>(&json).unwrap(), packed);
        }

        #[test]
        fn packed_ids_are_ordered_as_ids_are(a in id(), b in id(), (c, d) in near()) {
            prop_assert_eq!(PackedId::from(&a).cmp(&PackedId::from(&b)), a.cmp(&b));
            prop_assert_eq!(PackedId::from(&c).cmp(&PackedId::from(&d)), c.cmp(&d));
        }
    }

    #[test]
    fn leading_zeros_are_ordered_as_texts_are() {
        let places = ["0", "00", "4", "04", "40"];
        let all = places.map(|h| places.map(|v| format!("S2A_MSIL2A_20170617T113321_{h}_{v}")));
        let ids: Vec<PatchId> = all
            .as_flattened()
            .iter()
            .map(|t| t.parse().unwrap())
            .collect();
        for a in &ids {
            assert_eq!(PackedId::from(a).unpack(), *a);
            for b in &ids {
                assert_eq!(
                    PackedId::from(a).cmp(&PackedId::from(b)),
                    a.cmp(b),
                    "{a} {b}"
                );
            }
        }
    }

    #[test]
    fn unknown_costs_nothing() {
        assert_eq!(size_of::<Option<PackedId>>(), 16);
    }
}
