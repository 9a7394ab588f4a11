//! The two names of a patch: v2's tables give the v1 name of each of their patches.
//!
//! v1 times are not the datatake times and v1 names lack the tile, so the names can be joined through
//! the column `s2v1_name` alone.

use std::sync::OnceLock;

use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch_id::DatasetVersion;

use super::Kept;
use super::rows::Rows;

/// v1 name and v2 id in order, made when the first v1 patch asks: a v2 ingest never needs it.
#[derive(Debug, Default)]
pub(super) struct Twins {
    by_v1_name: OnceLock<Vec<(PackedId, PackedId)>>,
}

impl Twins {
    /// The other name of a patch, where a table tells it.
    pub(super) fn of(&self, id: PackedId, listed: &Rows) -> Option<PackedId> {
        match id.version() {
            DatasetVersion::V2 => listed.get(id)?.s2v1_name,
            DatasetVersion::V1 => self.v2_of(id, listed),
        }
    }

    /// The v2 id of a v1 patch.
    pub(super) fn v2_of(&self, v1: PackedId, listed: &Rows) -> Option<PackedId> {
        let join = || {
            let pair = |(id, row): &(PackedId, Kept)| Some((row.s2v1_name?, *id));
            let mut pairs: Vec<_> = listed.iter().filter_map(pair).collect();
            pairs.sort_unstable();
            pairs
        };
        let pairs = self.by_v1_name.get_or_init(join);
        // Of several the last, as if each had replaced the one before.
        let at = pairs.partition_point(|p| p.0 <= v1).checked_sub(1)?;
        (pairs[at].0 == v1).then_some(pairs[at].1)
    }
}
