//! What the files say of half a million patches, kept close together.
//!
//! A tree of them leaves its nodes half empty when ids come in order, as they do in the official files. So
//! the tree is there only while files are read and contradict each other or do not.

use std::collections::BTreeMap;

use chipmill_schemas::packed_id::PackedId;

use super::Kept;

/// Rows by patch, in the order of the ids.
#[derive(Debug, Default)]
pub(super) struct Rows(Box<[(PackedId, Kept)]>);

impl From<BTreeMap<PackedId, Kept>> for Rows {
    fn from(read: BTreeMap<PackedId, Kept>) -> Self {
        Self(read.into_iter().collect())
    }
}

impl Rows {
    pub(super) fn get(&self, id: PackedId) -> Option<&Kept> {
        let at = self.0.binary_search_by_key(&id, |row| row.0).ok()?;
        Some(&self.0[at].1)
    }

    pub(super) fn contains(&self, id: PackedId) -> bool {
        self.get(id).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of the ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(PackedId, Kept)> {
        self.0.iter()
    }
}
