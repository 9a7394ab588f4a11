//! The files of `.ingest`: the plan, one record for each finished unit, and the report.
//!
//! Records are created, never changed: a record that is there means that the unit's shards are
//! complete on disk. Its name holds the digest of the unit's patch ids, so that a unit whose patches
//! changed (because one was found defective) is another unit.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chipmill_schemas::ingest::Defect;
use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch_id::PatchId;
use chipmill_store::{ObjectRecord, create_object, digest, is_address, object_names, read_object};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::IngestError;
use crate::catalog::Told;
use crate::source::Notes;
use crate::statistics::{self, Count, Histograms, S1Counts, UnitHistograms};

/// One stored patch, as a unit's record keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredPatch {
    pub(crate) id: PatchId,
    /// What its files said.
    pub(crate) told: Told,
}

/// What is known of a finished unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnitRecord {
    pub(crate) unit: u64,
    pub(crate) patch_ids_digest: String,
    /// The patches in its shard, in order. Empty when `quarantined` is not and the unit was planned:
    /// then nothing was written, and its patches are dealt out anew without the defective ones.
    pub(crate) patches: Vec<StoredPatch>,
    pub(crate) objects: Vec<ObjectRecord>,
    pub(crate) quarantined: Vec<Defect>,
    /// Bytes of the band files of the stored patches.
    pub(crate) bytes_in: u64,
    pub(crate) notes: Notes,
}

/// A finished unit without its patches: they stay in its record until they are asked for, so that the
/// memory of an ingest does not grow with them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct UnitHead {
    pub(crate) unit: u64,
    pub(crate) patch_ids_digest: String,
    /// Patches in its shard.
    #[serde(rename = "patches", deserialize_with = "count")]
    pub(crate) stored: usize,
    pub(crate) objects: Vec<ObjectRecord>,
    pub(crate) quarantined: Vec<Defect>,
    pub(crate) bytes_in: u64,
    pub(crate) notes: Notes,
}

impl From<UnitRecord> for UnitHead {
    fn from(record: UnitRecord) -> Self {
        Self {
            unit: record.unit,
            patch_ids_digest: record.patch_ids_digest,
            stored: record.patches.len(),
            objects: record.objects,
            quarantined: record.quarantined,
            bytes_in: record.bytes_in,
            notes: record.notes,
        }
    }
}

fn count<'de, D: serde::Deserializer<'de>>(list: D) -> Result<usize, D::Error> {
    Vec::<IgnoredAny>::deserialize(list).map(|list| list.len())
}

/// What is known of the Sentinel-1 of a finished unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct S1Record {
    pub(crate) unit: u64,
    /// Of the unit's patches, with Sentinel-1 or without.
    pub(crate) patch_ids_digest: String,
    /// How many patches the unit has.
    pub(crate) patches: u64,
    /// How many of them have Sentinel-1.
    pub(crate) present: u64,
    pub(crate) objects: Vec<ObjectRecord>,
    /// Patches whose Sentinel-1 no source holds.
    pub(crate) missing: Vec<PatchId>,
    pub(crate) quarantined: Vec<Defect>,
    /// Bytes of the files of the patches that are present.
    pub(crate) bytes_in: u64,
    pub(crate) notes: Notes,
}

/// The end of an archive stream: what it held besides the patches in units.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StreamEnd {
    /// Units that the stream filled.
    pub(crate) units: u64,
    /// Defective patches after the last unit.
    pub(crate) quarantined: Vec<Defect>,
    /// Patches that were not selected.
    pub(crate) excluded: Vec<PackedId>,
    pub(crate) notes: Notes,
}

/// The folder `.ingest` of a store.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    folder: PathBuf,
    /// For spools, which are written and read in the middle: a folder of this machine.
    scratch: PathBuf,
}

impl Workspace {
    pub(crate) fn of(store: &Path) -> Self {
        let folder = store.join(chipmill_store::layout::INGEST);
        let scratch = folder.clone();
        Self { folder, scratch }
    }

    /// Puts the spools of a store at an address into this machine's folder for temporary files, each plan's
    /// for itself.
    pub(crate) fn bind(&mut self, fingerprint: &str) {
        if is_address(&self.folder) {
            let place = self.folder.as_os_str().as_encoded_bytes();
            let name = digest(&[place, fingerprint.as_bytes()].concat());
            self.scratch = std::env::temp_dir().join(format!("chipmill-{}", &name[..16]));
        }
    }

    /// What is of no use once the store is finished. Beside a folder's store only what is large.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let mut leftovers = vec![self.spool(), self.s1_spool()];
        if is_address(&self.folder) {
            leftovers.extend([
                self.spool_index(),
                self.spool_histograms(),
                self.s1_spool_index(),
            ]);
        }
        leftovers
    }

    /// All folders that files of this workspace lie in.
    pub(crate) fn folders(&self) -> [PathBuf; 3] {
        ["", "units", "s1"].map(|name| self.folder.join(name))
    }

    pub(crate) fn plan(&self) -> PathBuf {
        self.folder.join("plan.json")
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.folder.join("report.json")
    }

    pub(crate) fn stream_end(&self) -> PathBuf {
        self.folder.join("stream.json")
    }

    pub(crate) fn reference_maps(&self) -> PathBuf {
        self.folder.join("reference_maps.json")
    }

    /// Present once an archive was found not to be in id order.
    pub(crate) fn unordered(&self) -> PathBuf {
        self.folder.join("unordered")
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.scratch.join("spool.bin")
    }

    pub(crate) fn spool_index(&self) -> PathBuf {
        self.scratch.join("spool.json")
    }

    pub(crate) fn spool_histograms(&self) -> PathBuf {
        self.scratch.join("spool.hist")
    }

    pub(crate) fn s1_spool(&self) -> PathBuf {
        self.scratch.join("s1_spool.bin")
    }

    pub(crate) fn s1_spool_index(&self) -> PathBuf {
        self.scratch.join("s1_spool.json")
    }

    fn unit(&self, unit: u64, digest: &str, extension: &str) -> PathBuf {
        self.file_of("units", unit, digest, extension)
    }

    fn file_of(&self, folder: &str, unit: u64, digest: &str, extension: &str) -> PathBuf {
        let short = &digest[..digest.len().min(16)];
        let name = format!("{unit:06}-{short}.{extension}");
        self.folder.join(folder).join(name)
    }

    /// The record of a unit, if it is finished.
    pub(crate) fn finished(
        &self,
        unit: u64,
        digest: &str,
    ) -> Result<Option<UnitHead>, IngestError> {
        let path = self.unit(unit, digest, "json");
        let head: Option<UnitHead> = load(&path)?;
        match head {
            Some(h) if h.unit != unit || h.patch_ids_digest != digest => {
                Err(of_other_patches(path, h.unit))
            }
            head => Ok(head),
        }
    }

    /// The patches of a finished unit, in order.
    pub(crate) fn patches(&self, head: &UnitHead) -> Result<Vec<StoredPatch>, IngestError> {
        let path = self.unit(head.unit, &head.patch_ids_digest, "json");
        let record: Option<UnitRecord> = load(&path)?;
        match record {
            Some(record) if record.patches.len() == head.stored => Ok(record.patches),
            Some(record) => Err(of_other_patches(path, record.unit)),
            None => Err(IngestError::Record {
                path,
                reason: "it went away".to_owned(),
            }),
        }
    }

    /// The record of a unit's Sentinel-1, if that is finished.
    pub(crate) fn s1_finished(
        &self,
        unit: u64,
        digest: &str,
    ) -> Result<Option<S1Record>, IngestError> {
        let path = self.file_of("s1", unit, digest, "json");
        let record: Option<S1Record> = load(&path)?;
        match record {
            Some(r) if r.unit != unit || r.patch_ids_digest != digest => {
                Err(of_other_patches(path, r.unit))
            }
            record => Ok(record),
        }
    }

    /// Records that the Sentinel-1 of a unit is finished, as [`finish`](Self::finish) does the unit.
    pub(crate) fn finish_s1(
        &self,
        record: &S1Record,
        counts: &S1Counts,
    ) -> Result<(), IngestError> {
        let digest = &record.patch_ids_digest;
        let path = self.file_of("s1", record.unit, digest, "hist");
        let bytes = counts.to_bytes().map_err(IngestError::writing(&path))?;
        chipmill_store::write_object(&path, &bytes).map_err(IngestError::writing(&path))?;
        create(&self.file_of("s1", record.unit, digest, "json"), record)
    }

    /// The statistics of the Sentinel-1 of a finished unit.
    pub(crate) fn s1_counts(&self, record: &S1Record) -> Result<S1Counts, IngestError> {
        let path = self.file_of("s1", record.unit, &record.patch_ids_digest, "hist");
        let bytes = read_object(&path).map_err(IngestError::reading(&path))?;
        S1Counts::from_bytes(&bytes).map_err(|reason| IngestError::Record { path, reason })
    }

    /// The records of units 0, 1, 2 ... of a stream, as far as they go without a gap.
    pub(crate) fn finished_run(&self) -> Result<Vec<UnitHead>, IngestError> {
        let mut names = names(&self.folder.join("units"))?;
        names.retain(|n| n.ends_with(".json"));
        names.sort();
        let mut run: Vec<UnitHead> = Vec::new();
        for name in names {
            let path = self.folder.join("units").join(&name);
            let head: UnitHead = load(&path)?.ok_or_else(|| IngestError::Record {
                path,
                reason: "it went away while it was read".to_owned(),
            })?;
            if head.unit == run.len() as u64 {
                run.push(head);
            }
        }
        Ok(run)
    }

    /// Records that a unit is finished; its shards must be on disk. The histograms come first, so
    /// that a record never lacks them.
    pub(crate) fn finish(
        &self,
        record: &UnitRecord,
        histograms: Option<&UnitHistograms>,
    ) -> Result<(), IngestError> {
        if let Some(histograms) = histograms {
            let path = self.unit(record.unit, &record.patch_ids_digest, "hist");
            save_histograms(&path, histograms)?;
        }
        create(
            &self.unit(record.unit, &record.patch_ids_digest, "json"),
            record,
        )
    }

    /// The histograms of a finished unit.
    pub(crate) fn histograms(&self, head: &UnitHead) -> Result<Histograms, IngestError> {
        load_histograms(&self.unit(head.unit, &head.patch_ids_digest, "hist"))
    }
}

fn of_other_patches(path: PathBuf, unit: u64) -> IngestError {
    let reason = format!("it is the record of unit {unit} with other patches");
    IngestError::Record { path, reason }
}

pub(crate) fn save_histograms<N: Count>(
    path: &Path,
    histograms: &Histograms<N>,
) -> Result<(), IngestError> {
    let bytes = statistics::to_bytes(histograms).map_err(IngestError::writing(path))?;
    chipmill_store::write_object(path, &bytes).map_err(IngestError::writing(path))
}

pub(crate) fn load_histograms(path: &Path) -> Result<Histograms, IngestError> {
    let bytes = read_object(path).map_err(IngestError::reading(path))?;
    statistics::from_bytes(&bytes).map_err(|reason| IngestError::Record {
        path: path.to_owned(),
        reason,
    })
}

/// Creates a JSON file unless it is there: then somebody finished the same work first.
pub(crate) fn create<T: Serialize>(path: &Path, value: &T) -> Result<(), IngestError> {
    let json = serde_json::to_vec(value)
        .map_err(|e| IngestError::writing(path)(std::io::Error::other(e)))?;
    create_object(path, &json).map_err(IngestError::writing(path))?;
    Ok(())
}

/// Writes a JSON file whatever was there: for what can be made again.
pub(crate) fn replace<T: Serialize>(path: &Path, value: &T) -> Result<(), IngestError> {
    let json = serde_json::to_vec(value)
        .map_err(|e| IngestError::writing(path)(std::io::Error::other(e)))?;
    chipmill_store::write_object(path, &json).map_err(IngestError::writing(path))
}

/// Reads a JSON file, `None` when there is none.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, IngestError> {
    let bytes = match read_object(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(IngestError::reading(path))?,
    };
    let damaged = |e: serde_json::Error| IngestError::Record {
        path: path.to_owned(),
        reason: e.to_string(),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// The names in a folder; none when there is no folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, IngestError> {
    object_names(folder).map_err(IngestError::reading(folder))
}
