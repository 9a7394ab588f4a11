//! The three objects of one shard, filled patch by patch.

use std::path::Path;

use chipmill_schemas::band::Resolution;

use crate::digest::ObjectRecord;
use crate::encode::EncodedPatch;
use crate::error::WriteError;
use crate::layout;
use crate::piecewise::StoreObject;
use crate::shard::Index;

/// One shard in the making, begun by [`StoreWriter::begin_shard`](crate::StoreWriter::begin_shard).
///
/// Patches go to disk as they come. The objects appear when [`end`](Self::end) is called; dropped before
/// that, the shard leaves nothing.
#[derive(Debug)]
pub struct ShardWriter {
    shard: u64,
    slots: u32,
    patches: usize,
    groups: [Group; 3],
}

/// One array's object of a shard.
#[derive(Debug)]
pub(crate) struct Group {
    object: StoreObject,
    index: Index,
}

impl ShardWriter {
    pub(crate) fn begin(root: &Path, shard: u64, slots: u32) -> Result<Self, WriteError> {
        let [a, b, c] = Resolution::ALL.map(|r| Group::begin(root, layout::shard_object(r, shard)));
        Ok(Self {
            shard,
            slots,
            patches: 0,
            groups: [a?, b?, c?],
        })
    }

    /// Appends the next patch.
    ///
    /// # Errors
    /// [`WriteError::ShardLength`] when the shard is full; [`WriteError::Io`].
    pub fn push(&mut self, patch: &EncodedPatch) -> Result<(), WriteError> {
        if self.patches == self.slots as usize {
            return Err(self.length(self.patches + 1));
        }
        self.patches += 1;
        let mut groups = Resolution::ALL.into_iter().zip(&mut self.groups);
        groups.try_for_each(|(resolution, group)| group.push(patch.chunk(resolution)))
    }

    /// Patches in it so far.
    #[must_use]
    pub fn patches(&self) -> usize {
        self.patches
    }

    /// Completes the three objects: when this returns they are on disk, whole.
    ///
    /// # Errors
    /// [`WriteError::ShardLength`] when there is no patch; [`WriteError::Io`].
    pub fn end(self) -> Result<Vec<ObjectRecord>, WriteError> {
        if self.patches == 0 {
            return Err(self.length(0));
        }
        let slots = self.slots;
        let groups = self.groups.into_iter();
        groups.map(|group| group.end(slots)).collect()
    }

    fn length(&self, found: usize) -> WriteError {
        WriteError::ShardLength {
            shard: self.shard,
            found,
            expected: u64::from(self.slots),
        }
    }
}

impl Group {
    pub(crate) fn begin(root: &Path, name: String) -> Result<Self, WriteError> {
        Ok(Self {
            object: StoreObject::begin(root, name)?,
            index: Index::default(),
        })
    }

    pub(crate) fn push_missing(&mut self) {
        self.index.push_missing();
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), WriteError> {
        self.index.push(chunk.len());
        self.object.push(chunk)
    }

    pub(crate) fn end(mut self, slots: u32) -> Result<ObjectRecord, WriteError> {
        self.object.push(&self.index.to_bytes(slots))?;
        self.object.end()
    }
}
