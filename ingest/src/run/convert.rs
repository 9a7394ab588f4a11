//! One raw patch to encoded chunks: decode, read the labels, encode.

use chipmill_schemas::ingest::Defect;
use chipmill_schemas::patch_id::{DatasetVersion, PatchId};
use chipmill_store::{EncodedPatch, PatchPixels};

use super::Job;
use crate::IngestError;
use crate::catalog::{Told, label_file};
use crate::decode::{DecodedPatch, Decoder, Undecoded, defect};
use crate::record::StoredPatch;
use crate::source::{FileRole, Notes, RawPatch};

/// A whole patch, ready to be stored.
pub(super) struct Converted {
    pub(super) stored: StoredPatch,
    pub(super) encoded: EncodedPatch,
    /// Bytes of its band files.
    pub(super) bytes: u64,
    through_gdal: u64,
}

/// A whole patch, or the defect that keeps it out.
pub(super) type Outcome = Result<Converted, Defect>;

/// Converts a patch; a defect is told to the listeners. `pixels` is overwritten.
///
/// # Errors
/// Troubles of the system, and any defect under `strict`.
pub(super) fn convert(
    job: &Job<'_>,
    decoder: &mut Decoder,
    raw: &RawPatch,
    pixels: &mut PatchPixels,
) -> Result<Outcome, IngestError> {
    let outcome = match decoder.decode(raw, pixels) {
        Ok(decoded) => whole(job, &raw.id, &decoded, pixels)?,
        Err(Undecoded::Defect(defect)) => Err(defect),
        Err(Undecoded::System(error)) => return Err(error),
    };
    if let Err(defect) = &outcome {
        job.quality.quarantine(defect)?;
    }
    Ok(outcome)
}

fn whole(
    job: &Job<'_>,
    id: &PatchId,
    decoded: &DecodedPatch,
    pixels: &PatchPixels,
) -> Result<Outcome, IngestError> {
    let mut told = match decoded.labels.as_deref().map(label_file::read) {
        None => Told::default(),
        Some(Ok(told)) => told,
        Some(Err(reason)) => {
            let file = FileRole::Labels.file_name(id.as_str());
            return Ok(Err(defect(id, None, format!("{file} {reason}"))));
        }
    };
    told.georeference = decoded.georeference.or(told.georeference);
    let encoded = job.encoder.encode(pixels)?;
    let stored = StoredPatch {
        id: id.clone(),
        told,
    };
    let (bytes, through_gdal) = (decoded.bytes, decoded.through_gdal);
    Ok(Ok(Converted {
        stored,
        encoded,
        bytes,
        through_gdal,
    }))
}

/// Bytes of the band files of a patch that is whole.
pub(super) fn bytes(outcome: &Outcome) -> u64 {
    outcome.as_ref().map_or(0, |patch| patch.bytes)
}

impl Converted {
    /// Counts what is remarkable about the patch.
    pub(super) fn note(&self, notes: &mut Notes) {
        let id = &self.stored.id;
        if self.through_gdal > 0 {
            notes.add(
                "patches read through GDAL, not in the official TIFF layout",
                id.as_str(),
            );
        }
        if id.version() == DatasetVersion::V1 && self.stored.told.labels_43.is_none() {
            notes.add(
                "v1 patches without a label file, stored with unknown labels",
                id.as_str(),
            );
        }
    }
}
