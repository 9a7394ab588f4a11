//! v1's `_labels_metadata.json` of a Sentinel-1 patch: which Sentinel-2 patch it belongs to.

use chipmill_schemas::patch_id::PatchId;
use serde::Deserialize;

#[derive(Deserialize)]
struct LabelFile {
    corresponding_s2_patch: String,
}

/// Reads a label file; the error is a reason in words. The labels are those of the Sentinel-2 patch and
/// are not looked at.
pub(crate) fn read(bytes: &[u8]) -> Result<PatchId, String> {
    let file: LabelFile = serde_json::from_slice(bytes)
        .map_err(|e| super::label_file::shortened(&format!("is no Sentinel-1 label file: {e}")))?;
    let id = file.corresponding_s2_patch.parse();
    id.map_err(|e| format!("names no patch in `corresponding_s2_patch`: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_label_file_names_its_patch() {
        let file = br#"{"labels": ["Pastures"], "projection": "PROJCS[]",
            "corresponding_s2_patch": "S2A_MSIL2A_20170613T101031_70_48",
            "scene_source": "S1A_IW_GRDH_1SDV_20170613T165043", "acquisition_time": "2017-06-13T16:50:43"}"#;
        let id = read(file).unwrap();
        assert_eq!(id.as_str(), "S2A_MSIL2A_20170613T101031_70_48");
        assert!(read(b"{}").unwrap_err().contains("corresponding_s2_patch"));
        let other = br#"{"corresponding_s2_patch": "somewhere"}"#;
        assert!(read(other).unwrap_err().contains("`somewhere`"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
