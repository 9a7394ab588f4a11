//! What the metadata files and the label files say of patches.
//!
//! v2 tables (`metadata.parquet`) and v1 lists of names (splits, snow, cloud) are recognised by
//! content. v1's 43-class labels come from the JSON beside the band files; see [`label_file`].

pub mod label_file;
mod list;
mod table;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use chipmill_schemas::label::LabelSet;
use chipmill_schemas::patch::{Georeference, PatchRow, Split};
use chipmill_schemas::patch_id::{DatasetVersion, PatchId};
use serde::{Deserialize, Serialize};

use crate::IngestError;
use list::ListRole;

/// What the metadata files say of one patch. `None`: they do not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    split: Option<Split>,
    country: Option<Box<str>>,
    snow: Option<bool>,
    cloud: Option<bool>,
    labels_19: Option<LabelSet>,
    s1_name: Option<Box<str>>,
    s2v1_name: Option<Box<str>>,
}

/// What a patch's own files say of it, besides the pixels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) georeference: Option<Georeference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) labels_43: Option<LabelSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tile: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) date: Option<String>,
}

/// All metadata files together.
#[derive(Debug, Default)]
pub struct Catalog {
    listed: BTreeMap<PatchId, Listed>,
    digests: Vec<String>,
    has_snow_list: bool,
    has_cloud_list: bool,
}

impl Catalog {
    /// Reads metadata files, in any order.
    ///
    /// # Errors
    /// [`IngestError::Metadata`] naming the file (and column or line) that is missing, damaged or of
    /// another kind; [`IngestError::Conflict`] when two files contradict each other.
    pub fn load(files: &[PathBuf]) -> Result<Self, IngestError> {
        let mut catalog = Self::default();
        for path in files {
            let bytes = head_checked(path)?;
            catalog
                .digests
                .push(blake3::hash(&bytes).to_hex().to_string());
            if bytes.starts_with(table::MAGIC) {
                table::read(path, &mut |id, row| catalog.add(path, id, row))?;
            } else {
                catalog.load_list(path, &bytes)?;
            }
        }
        catalog.digests.sort();
        catalog.digests.dedup();
        Ok(catalog)
    }

    /// Whether any metadata file was given.
    #[must_use]
    pub fn has_tables(&self) -> bool {
        !self.digests.is_empty()
    }

    /// BLAKE3 digests of the files, sorted: what they say does not depend on their order.
    #[must_use]
    pub fn digests(&self) -> &[String] {
        &self.digests
    }

    /// All patches that the files list, in id order.
    pub fn ids(&self) -> impl Iterator<Item = &PatchId> {
        self.listed.keys()
    }

    /// Whether the files list a patch.
    #[must_use]
    pub fn lists(&self, id: &PatchId) -> bool {
        self.listed.contains_key(id)
    }

    /// The patch's split, where known.
    #[must_use]
    pub fn split(&self, id: &PatchId) -> Option<Split> {
        self.listed.get(id)?.split
    }

    /// The row of the patch table. 19-class labels are the table's, or else follow from the 43.
    pub(crate) fn row(&self, id: &PatchId, told: &Told) -> PatchRow {
        let from_id = PatchRow::from_id(id.clone());
        let listed = self.listed.get(id).cloned().unwrap_or_default();
        let derived = told.labels_43.map(LabelSet::to_nineteen);
        let on_list = |flag: Option<bool>, given: bool| {
            flag.or((given && id.version() == DatasetVersion::V1).then_some(false))
        };
        PatchRow {
            tile: from_id.tile.or_else(|| told.tile.clone()),
            date: told.date.clone().unwrap_or(from_id.date),
            split: listed.split,
            country: listed.country.map(String::from),
            snow: on_list(listed.snow, self.has_snow_list),
            cloud: on_list(listed.cloud, self.has_cloud_list),
            labels_43: told.labels_43,
            labels_19: listed.labels_19.or(derived),
            georeference: told.georeference,
            s1_name: listed.s1_name.map(String::from),
            s2v1_name: listed.s2v1_name.map(String::from),
            id: from_id.id,
        }
    }

    fn load_list(&mut self, path: &Path, bytes: &[u8]) -> Result<(), IngestError> {
        let (role, ids) = list::read(path, bytes)?;
        match role {
            ListRole::Snow => self.has_snow_list = true,
            ListRole::Cloud => self.has_cloud_list = true,
            ListRole::Split(_) => {}
        }
        ids.into_iter()
            .try_for_each(|id| self.add(path, id, role.listed()))
    }

    /// Joins what one more file says to what is known.
    fn add(&mut self, path: &Path, id: PatchId, new: Listed) -> Result<(), IngestError> {
        let known = self.listed.entry(id.clone()).or_default();
        let contradiction = join("split", &mut known.split, new.split)
            .and_then(|()| join("country", &mut known.country, new.country))
            .and_then(|()| join("contains_seasonal_snow", &mut known.snow, new.snow))
            .and_then(|()| join("contains_cloud_or_shadow", &mut known.cloud, new.cloud))
            .and_then(|()| join("labels", &mut known.labels_19, new.labels_19))
            .and_then(|()| join("s1_name", &mut known.s1_name, new.s1_name))
            .and_then(|()| join("s2v1_name", &mut known.s2v1_name, new.s2v1_name));
        contradiction.map_err(|(column, before, found)| IngestError::Conflict {
            path: path.to_owned(),
            patch: id,
            column,
            before,
            found,
        })
    }
}

type Contradiction = (&'static str, String, String);

fn join<T: PartialEq + std::fmt::Debug>(
    column: &'static str,
    known: &mut Option<T>,
    new: Option<T>,
) -> Result<(), Contradiction> {
    match (&known, new) {
        (Some(before), Some(found)) if *before != found => {
            Err((column, format!("{before:?}"), format!("{found:?}")))
        }
        (None, new) => {
            *known = new;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The bytes of a metadata file. The official tables have 3.6 MB; a file that is something else (an
/// archive, say) is refused by its first bytes before it is read.
fn head_checked(path: &Path) -> Result<Vec<u8>, IngestError> {
    const PIECE: u64 = 4096;
    let failed = |e: std::io::Error| IngestError::metadata(path, format!("cannot be read: {e}"));
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.by_ref()
        .take(PIECE)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if !bytes.starts_with(table::MAGIC) && !list::is_list(&bytes) {
        let reason = "is neither a parquet table (v2 metadata.parquet) nor a list of v1 patch \
                      names, one a line (train.csv, patches_with_seasonal_snow.csv)";
        return Err(IngestError::metadata(path, reason));
    }
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
