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
}

impl IngestSummary {
    /// Whether the data has defects (exit code 1).
    #[must_use]
    pub const fn has_defects(&self) -> bool {
        self.quarantined > 0 || self.missing > 0
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
