//! Twelve band files to one whole patch.
//!
//! The strict parser reads the layout that all official files have; anything else goes through GDAL
//! and is counted. Where both accept a file they give the same pixels.

mod raster;
pub(crate) mod s1;
mod strict;

use chipmill_schemas::band::Band;
use chipmill_schemas::ingest::Defect;
use chipmill_schemas::patch::Georeference;
use chipmill_schemas::patch_id::PatchId;
use chipmill_store::PatchPixels;
use gdal::raster::GdalType;

pub use raster::{gdal_drivers, gdal_version};

use crate::IngestError;
use crate::source::{FileRole, Flaw, OpenPatch, RawPatch, ReadFailure, missing_bands};
use strict::{NotStrict, Sample};

/// What the files of a patch hold besides pixels, once all twelve bands were read and checked.
#[derive(Debug, Default)]
pub(crate) struct DecodedPatch {
    /// Of the first 10 m band, B02.
    pub(crate) georeference: Option<Georeference>,
    /// The label file (v1), if there is one.
    pub(crate) labels: Option<Vec<u8>>,
    /// Bytes of the twelve band files.
    pub(crate) bytes: u64,
    /// Band files that went through GDAL.
    pub(crate) through_gdal: u64,
}

/// Why there is no decoded patch: a matter of the patch, or of the system.
#[derive(Debug)]
pub(crate) enum Undecoded {
    Defect(Defect),
    System(IngestError),
}

/// Decodes patches one after the other, reusing its buffer.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    scratch: Vec<u8>,
}

impl Decoder {
    /// Reads and checks all files of a patch. After an error the pixels are of no use.
    ///
    /// # Shapes
    /// `pixels`: `u16` in three groups `[band, y, x]`, digital numbers as in the files.
    pub(crate) fn decode(
        &mut self,
        raw: &RawPatch,
        pixels: &mut PatchPixels,
    ) -> Result<DecodedPatch, Undecoded> {
        if let Some(defect) = missing_bands(&raw.id, &raw.missing()) {
            return Err(Undecoded::Defect(defect));
        }
        let mut patch = DecodedPatch::default();
        let first = FileRole::Band(Band::B01);
        let open = raw.open().map_err(|f| undecoded(&raw.id, first, f))?;
        for band in Band::ALL {
            let out = pixels.band_slice_mut(band);
            let georeference = match self.at_once(&open, band, out) {
                Some((georeference, bytes)) => {
                    patch.bytes += bytes;
                    georeference
                }
                None => self.band(&raw.id, &open, band, out, &mut patch)?,
            };
            if band == Band::B02 {
                patch.georeference = georeference;
            }
        }
        patch.labels = self.labels(&raw.id, &open)?;
        Ok(patch)
    }

    /// A file on disk in the official layout, all of whose pixels came in one call to the system: its place
    /// and its bytes. Of any other file this says nothing.
    fn at_once(
        &mut self,
        open: &OpenPatch<'_>,
        band: Band,
        out: &mut [u16],
    ) -> Option<(Option<Georeference>, u64)> {
        let bytes = open.read_once(FileRole::Band(band), &mut self.scratch)?;
        let georeference = strict::read(bytes, band.resolution().side(), out).ok()?;
        Some((georeference, bytes.len() as u64))
    }

    /// Any file.
    fn band(
        &mut self,
        id: &PatchId,
        open: &OpenPatch<'_>,
        band: Band,
        out: &mut [u16],
        patch: &mut DecodedPatch,
    ) -> Result<Option<Georeference>, Undecoded> {
        let (role, side) = (FileRole::Band(band), band.resolution().side());
        let bytes = match open.read(role, &mut self.scratch) {
            Ok(bytes) => bytes,
            Err(failure) => return Err(undecoded(id, role, failure)),
        };
        patch.bytes += bytes.len() as u64;
        let (georeference, gdal) = read_band(bytes, side, out).map_err(|reason| {
            let reason = format!("{} {reason}", role.file_name(id.as_str()));
            Undecoded::Defect(defect(id, Some(band), reason))
        })?;
        patch.through_gdal += u64::from(gdal);
        Ok(georeference)
    }

    fn labels(&mut self, id: &PatchId, open: &OpenPatch<'_>) -> Result<Option<Vec<u8>>, Undecoded> {
        match open.read(FileRole::Labels, &mut self.scratch) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(ReadFailure::Flaw(Flaw::Missing)) => Ok(None),
            Err(failure) => Err(undecoded(id, FileRole::Labels, failure)),
        }
    }
}

/// Reads a square raster of `u16` of any layout; the error is a reason in words.
pub(crate) fn read_raster(bytes: &[u8], side: usize, out: &mut [u16]) -> Result<(), String> {
    read_band(bytes, side, out).map(|_| ())
}

/// The second value tells whether GDAL read it.
fn read_band<T: Sample + GdalType>(
    bytes: &[u8],
    side: usize,
    out: &mut [T],
) -> Result<(Option<Georeference>, bool), String> {
    match strict::read(bytes, side, out) {
        Ok(georeference) => Ok((georeference, false)),
        Err(NotStrict::Broken(reason)) => Err(reason),
        Err(NotStrict::Foreign(why)) => {
            tracing::trace!(why, "through GDAL");
            raster::read(bytes, side, out).map(|georeference| (georeference, true))
        }
    }
}

/// For the fuzz target: asserts that GDAL gives the same pixels and place as the strict parser, where it
/// gives any.
pub(crate) fn read_alike(bytes: &[u8], side: usize, out: &mut [u16]) {
    if let Ok(place) = strict::read(bytes, side, out) {
        let mut theirs = vec![0u16; out.len()];
        if let Ok(their_place) = raster::read(bytes, side, &mut theirs) {
            assert!(out == theirs);
            assert!(their_place.is_none() || place == their_place);
        }
    }
}

fn undecoded(id: &PatchId, role: FileRole, failure: ReadFailure) -> Undecoded {
    let band = match role {
        FileRole::Band(band) => Some(band),
        FileRole::Labels | FileRole::ReferenceMap => None,
    };
    match failure {
        ReadFailure::System(error) => Undecoded::System(error),
        ReadFailure::Flaw(flaw) => {
            Undecoded::Defect(defect(id, band, flaw.reason(&role.file_name(id.as_str()))))
        }
    }
}

/// A defect of a patch.
pub(crate) fn defect(id: &PatchId, band: Option<Band>, reason: String) -> Defect {
    Defect {
        patch: id.to_string(),
        band,
        reason,
    }
}

/// GDAL's name of a pixel type, from TIFF's `BitsPerSample` and `SampleFormat`.
fn type_name(bits: u32, format: u32) -> String {
    match format {
        1 => format!("UInt{bits}"),
        2 => format!("Int{bits}"),
        3 => format!("Float{bits}"),
        _ => format!("{bits} bits of sample format {format}"),
    }
}

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod tests;
