//! The two names of a patch: v2's tables give the v1 name of each of their patches.
//!
//! v1 times are not the datatake times and v1 names lack the tile, so the names can be joined through
//! the column `s2v1_name` alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use chipmill_schemas::patch_id::{DatasetVersion, PatchId};

use super::Listed;

/// v1 name to v2 id, made when the first v1 patch asks: a v2 ingest never needs it.
#[derive(Debug, Default)]
pub(super) struct Twins {
    by_v1_name: OnceLock<HashMap<PatchId, PatchId>>,
}

impl Twins {
    /// The other name of a patch, where a table tells it.
    pub(super) fn of(&self, id: &PatchId, listed: &BTreeMap<PatchId, Listed>) -> Option<PatchId> {
        match id.version() {
            DatasetVersion::V2 => listed.get(id)?.s2v1_name.as_ref()?.parse().ok(),
            DatasetVersion::V1 => self.v2_of(id, listed).cloned(),
        }
    }

    /// The v2 id of a v1 patch.
    pub(super) fn v2_of(
        &self,
        v1: &PatchId,
        listed: &BTreeMap<PatchId, Listed>,
    ) -> Option<&PatchId> {
        let join = || {
            let pair = |(id, row): (&PatchId, &Listed)| {
                Some((row.s2v1_name.as_ref()?.parse().ok()?, id.clone()))
            };
            listed.iter().filter_map(pair).collect()
        };
        self.by_v1_name.get_or_init(join).get(v1)
    }
}
