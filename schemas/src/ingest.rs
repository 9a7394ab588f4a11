//! What ingest says: defects, the balance of patches, the summary.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::band::Band;

/// One patch that could not be stored, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Defect {
    /// The patch id, or the text that should have been one.
    pub patch: String,
    /// The band, where one band is to blame.
    pub band: Option<Band>,
    /// What was found, and what was expected.
    pub reason: String,
}

/// The result of an ingest. Every patch of the sources and the tables is in exactly one of `patches`,
/// `quarantined`, `missing` and `excluded`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IngestSummary {
    /// Patches in the store.
    pub patches: u64,
    /// Patches in the source that are defective; see `defects`.
    pub quarantined: u64,
    /// Patches in the tables that no source holds; see `missing_ids`.
    pub missing: u64,
    /// Patches left out on purpose.
    pub excluded: u64,
    /// Shards written.
    pub shards: u64,
    /// Bytes of `GeoTIFF` read.
    pub bytes_in: u64,
    /// Bytes of store objects written.
    pub bytes_out: u64,
    /// Wall time.
    pub seconds: f64,
    /// CPU time, user and system, of the whole process.
    pub cpu_seconds: f64,
    /// `patches / seconds`; 0 when no work was needed.
    pub patches_per_s: f64,
    /// The quarantined patches.
    pub defects: Vec<Defect>,
    /// The missing patches.
    pub missing_ids: Vec<String>,
    /// Things that were noticed and harmed nothing, such as files that were not understood.
    pub notes: Vec<String>,
    /// Sentinel-1, where a source of it was given.
    #[serde(flatten)]
    pub s1: Option<S1Summary>,
}

/// What became of Sentinel-1. Every stored patch is in exactly one of `s1_patches`, `s1_quarantined`,
/// `s1_missing` and `s1_excluded`; its Sentinel-2 pixels are stored in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct S1Summary {
    /// Patches with Sentinel-1.
    pub s1_patches: u64,
    /// Patches whose Sentinel-1 files are defective; see `s1_defects`.
    pub s1_quarantined: u64,
    /// Patches whose Sentinel-1 no source holds; see `s1_missing_ids`.
    pub s1_missing: u64,
    /// The same under `allow_subset`: left out on purpose.
    pub s1_excluded: u64,
    /// Bytes of Sentinel-1 `GeoTIFF` read.
    pub s1_bytes_in: u64,
    /// Bytes of Sentinel-1 shards written.
    pub s1_bytes_out: u64,
    /// The patches without Sentinel-1 because of a defect.
    pub s1_defects: Vec<Defect>,
    /// The patches without Sentinel-1 because there is none.
    pub s1_missing_ids: Vec<String>,
}

impl IngestSummary {
    /// Whether the data has defects (exit code 1).
    #[must_use]
    pub fn has_defects(&self) -> bool {
        let of_s1 = |s1: &S1Summary| s1.s1_quarantined > 0 || s1.s1_missing > 0;
        self.quarantined > 0 || self.missing > 0 || self.s1.as_ref().is_some_and(of_s1)
    }
}

/// What `ingest plan` planned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanSummary {
    /// BLAKE3 (hex) of everything that decides over the store's bytes.
    pub fingerprint: String,
    /// Units of work, numbered from 0; each is one shard.
    pub units: u64,
    /// Patches to store.
    pub patches: u64,
    /// Patches that lack a file; see `defects`.
    pub quarantined: u64,
    /// Patches of the sources that are left out on purpose.
    pub excluded: u64,
    /// The quarantined patches.
    pub defects: Vec<Defect>,
    /// Things that were noticed and harmed nothing.
    pub notes: Vec<String>,
}

/// What became of one unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnitSummary {
    /// Its number.
    pub unit: u64,
    /// Patches in its shard; none when one of them is defective: `ingest finalize` then deals out the
    /// rest anew.
    pub patches: u64,
    /// Defective patches; see `defects`.
    pub quarantined: u64,
    /// Bytes of `GeoTIFF` read.
    pub bytes_in: u64,
    /// Bytes of store objects written.
    pub bytes_out: u64,
    /// Whether the unit had been finished before.
    pub was_finished: bool,
    /// The quarantined patches.
    pub defects: Vec<Defect>,
}

/// One thing wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreDefect {
    /// The object, as a path inside the store.
    pub object: String,
    /// The patch, where one is to blame.
    pub patch: Option<String>,
    /// What was found, and what was expected.
    pub reason: String,
}

/// The result of `verify`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyReport {
    /// No defects.
    pub ok: bool,
    /// Patches whose chunks were decoded and whose checksums held.
    pub patches: u64,
    /// Objects whose digests were compared.
    pub objects: u64,
    /// Bytes read.
    pub bytes: u64,
    /// All that is wrong.
    pub defects: Vec<StoreDefect>,
}
