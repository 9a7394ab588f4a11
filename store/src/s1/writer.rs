//! One shard of Sentinel-1, filled patch by patch.

use std::path::Path;

use crate::digest::ObjectRecord;
use crate::error::WriteError;
use crate::layout;
use crate::shard_writer::Group;

/// One shard of Sentinel-1 in the making, begun by
/// [`StoreWriter::begin_s1_shard`](crate::StoreWriter::begin_s1_shard). Its places are those of the
/// Sentinel-2 shard of the same number.
///
/// Patches go to disk as they come. The object appears when [`end`](Self::end) is called; dropped before
/// that, the shard leaves nothing.
#[derive(Debug)]
pub struct S1ShardWriter {
    shard: u64,
    slots: u32,
    patches: usize,
    group: Group,
}

impl S1ShardWriter {
    pub(crate) fn begin(root: &Path, shard: u64, slots: u32) -> Result<Self, WriteError> {
        Ok(Self {
            shard,
            slots,
            patches: 0,
            group: Group::begin(root, layout::s1_shard_object(shard))?,
        })
    }

    /// Appends the chunk of the next patch, as [`S1Encoder`](crate::S1Encoder) made it, or `None` for a
    /// patch that has no Sentinel-1.
    ///
    /// # Errors
    /// [`WriteError::ShardLength`] when the shard is full; [`WriteError::Io`].
    pub fn push(&mut self, chunk: Option<&[u8]>) -> Result<(), WriteError> {
        if self.patches == self.slots as usize {
            return Err(self.length(self.patches + 1));
        }
        self.patches += 1;
        match chunk {
            Some(chunk) => self.group.push(chunk),
            None => {
                self.group.push_missing();
                Ok(())
            }
        }
    }

    /// Completes the object: when this returns it is on disk, whole.
    ///
    /// # Errors
    /// [`WriteError::ShardLength`] when no patch was appended; [`WriteError::Io`].
    pub fn end(self) -> Result<ObjectRecord, WriteError> {
        if self.patches == 0 {
            return Err(self.length(0));
        }
        self.group.end(self.slots)
    }

    fn length(&self, found: usize) -> WriteError {
        WriteError::ShardLength {
            shard: self.shard,
            found,
            expected: u64::from(self.slots),
        }
    }
}
