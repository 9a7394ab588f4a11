//! Two files to the Sentinel-1 pixels of a patch.

use chipmill_schemas::s1::{Polarisation, S1_SIDE};
use chipmill_store::S1Pixels;

use super::read_band;
use crate::IngestError;
use crate::source::s1::{RawS1, S1Role};
use crate::source::{Flaw, ReadFailure};

/// Why there are no pixels: a reason in words, or a matter of the system.
#[derive(Debug)]
pub(crate) enum NoS1 {
    Defect(String),
    System(IngestError),
}

/// What was read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DecodedS1 {
    /// Bytes of the two files.
    pub(crate) bytes: u64,
    /// Files that went through GDAL.
    pub(crate) through_gdal: u64,
}

/// Reads and checks both files of a patch; `scratch` only ever grows. After an error the pixels are of no
/// use.
///
/// # Shapes
/// `pixels`: `[2, 120, 120]` of `f32`, decibels as in the files.
pub(crate) fn decode(
    raw: &RawS1,
    scratch: &mut Vec<u8>,
    pixels: &mut S1Pixels,
) -> Result<DecodedS1, NoS1> {
    let mut decoded = DecodedS1::default();
    for polarisation in Polarisation::ALL {
        let role = S1Role::Band(polarisation);
        let file = role.file_name(raw.id);
        let bytes = raw.read(role, scratch).map_err(|f| no_s1(&file, f))?;
        decoded.bytes += bytes.len() as u64;
        let out = pixels.slice_mut(polarisation);
        let read = read_band(bytes, S1_SIDE, out);
        let (_, gdal) = read.map_err(|reason| NoS1::Defect(format!("{file} {reason}")))?;
        decoded.through_gdal += u64::from(gdal);
    }
    Ok(decoded)
}

fn no_s1(file: &str, failure: ReadFailure) -> NoS1 {
    match failure {
        ReadFailure::System(error) => NoS1::System(error),
        ReadFailure::Flaw(Flaw::Missing) => {
            NoS1::Defect(format!("{file} is missing; Sentinel-1 has VV and VH"))
        }
        ReadFailure::Flaw(flaw) => NoS1::Defect(flaw.reason(file)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::decode::{raster, strict};
    use crate::source::s1::S1Files;

    #[test]
    fn both_readers_give_the_pixels_of_an_original_file() {
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
        let shared =
            std::env::var_os("CHIPMILL_SHARED").map_or_else(|| beside.into(), PathBuf::from);
        let scene = "S1A_IW_GRDH_1SDV_20170613T165043";
        let name = format!("{scene}_33UUP_70_48");
        let folder = shared.join(format!("data/bigearthnet-v2/BigEarthNet-S1/{scene}/{name}"));
        if !folder.is_dir() {
            println!("skipped: needs ../shared (data/bigearthnet-v2/BigEarthNet-S1)");
            return;
        }
        let raw = RawS1 {
            id: name.parse().unwrap(),
            files: S1Files::Folder(folder.clone()),
        };
        let mut pixels = S1Pixels::absent();
        let decoded = decode(&raw, &mut Vec::new(), &mut pixels).unwrap();
        assert_eq!((decoded.bytes, decoded.through_gdal), (2 * 58_024, 0));
        for polarisation in Polarisation::ALL {
            let file = folder.join(S1Role::Band(polarisation).file_name(raw.id));
            let bytes = std::fs::read(file).unwrap();
            let (mut ours, mut theirs) = (vec![0f32; 14_400], vec![0f32; 14_400]);
            let place = strict::read(&bytes, S1_SIDE, &mut ours).unwrap();
            assert_eq!(raster::read(&bytes, S1_SIDE, &mut theirs).unwrap(), place);
            assert!(ours == theirs && ours == pixels.slice(polarisation));
            // Backscatter in decibels, from asphalt to forest edges.
            assert!(ours.iter().all(|v| (-60.0..40.0).contains(v)));
        }
    }

    #[test]
    fn a_file_of_sentinel_2_is_no_file_of_sentinel_1() {
        let mut out = vec![0f32; 400];
        let tiff = crate::decode::tests::tiff(20, [16, 1]);
        let reason = read_band(&tiff, 20, &mut out).unwrap_err();
        assert!(reason.contains("UInt16, expected Float32"), "{reason}");
    }
}
