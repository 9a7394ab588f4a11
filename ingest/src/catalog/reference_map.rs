//! v2's reference maps: one raster of CLC level-3 codes a patch, at 10 m. They give the 43-class
//! labels that v2's tables lack.

use std::collections::BTreeMap;

use chipmill_schemas::label::{CLC_43, LabelSet};

/// Pixels along a side.
const SIDE: usize = 120;

/// Pixels without CLC data.
const NO_DATA: u16 = 999;

/// The 44th class, which occurs in no v1 label: glaciers and perpetual snow.
const GLACIERS: u16 = 335;

/// The classes of a reference map, from the bytes of its `GeoTIFF`: those that cover at least
/// `min_share` of all 14,400 pixels, and at least one. The error is a reason in words.
///
/// # Shapes
/// The raster is `[120, 120]` of `u16`: CLC level-3 codes such as 211, or 999 where there is no data.
pub(crate) fn read(bytes: &[u8], min_share: f64) -> Result<LabelSet, String> {
    let mut codes = vec![0; SIDE * SIDE];
    crate::decode::read_raster(bytes, SIDE, &mut codes)?;
    labels(&codes, min_share)
}

fn labels(codes: &[u16], min_share: f64) -> Result<LabelSet, String> {
    let mut counts = BTreeMap::new();
    for code in codes {
        *counts.entry(*code).or_insert(0u32) += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "14,400 pixels")]
    let least = (min_share * codes.len() as f64).max(1.0);
    let mut set = LabelSet::default();
    for (code, count) in counts {
        if matches!(code, NO_DATA | GLACIERS) {
            continue;
        }
        let class = CLC_43.iter().position(|c| c.code == code);
        let class = class.ok_or_else(|| {
            format!("holds the code {code}, which is no CLC level-3 class (nor 999, no data)")
        })?;
        if f64::from(count) >= least {
            set.insert(class);
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(parts: &[(u16, usize)]) -> Vec<u16> {
        let mut codes: Vec<u16> = parts
            .iter()
            .flat_map(|&(code, n)| std::iter::repeat_n(code, n))
            .collect();
        codes.resize(SIDE * SIDE, NO_DATA);
        codes
    }

    fn names(codes: &[u16], min_share: f64) -> Vec<&'static str> {
        let set = labels(codes, min_share).unwrap();
        set.iter().map(|i| CLC_43[i].name).collect()
    }

    #[test]
    fn a_class_is_present_from_the_stated_share_of_all_pixels() {
        let codes = map(&[(124, 144), (332, 143), (335, 500), (211, 1)]);
        assert_eq!(
            names(&codes, 0.0),
            ["Airports", "Non-irrigated arable land", "Bare rock"]
        );
        assert_eq!(names(&codes, 0.01), ["Airports"]);
        assert_eq!(names(&codes, 0.02), [""; 0]);
    }

    #[test]
    fn an_unknown_code_is_named() {
        let error = labels(&map(&[(125, 3)]), 0.0).unwrap_err();
        assert!(error.contains("125"), "{error}");
    }

    #[test]
    fn what_is_no_map_is_refused() {
        assert!(read(b"II*\0", 0.0).is_err());
    }
}
