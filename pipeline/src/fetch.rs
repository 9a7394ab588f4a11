//! Patches by row, from wherever they lie.

use std::io::ErrorKind;
use std::ops::Range;

use chipmill_schemas::band::Resolution;
use chipmill_store::{FetchError, PatchPixels, ReadError, StoreReader};

use crate::error::SourceError;

/// Where the loader reads patches. The store's reader is one; tests have others.
pub(crate) trait Source: Send + Sync {
    /// Number of patches.
    fn patches(&self) -> usize;

    /// What a patch is called.
    fn name(&self, row: u32) -> String;

    /// Reads the groups of a patch; other groups of `into` are left as they are.
    fn read(
        &self,
        row: u32,
        groups: &[Resolution],
        into: &mut PatchPixels,
    ) -> Result<(), ReadFailure>;

    /// A hint that the groups of consecutive patches will be read before long.
    fn prefetch(&self, _rows: Range<u32>, _groups: &[Resolution]) {}
}

/// Why a patch could not be read.
#[derive(Debug)]
pub(crate) enum ReadFailure {
    /// What is stored is not what was written: it will be the same next time.
    Damaged(SourceError),
    /// Anything else, such as a file system that fails: next time it may be read.
    Other(SourceError),
}

impl Source for StoreReader {
    fn patches(&self) -> usize {
        self.len()
    }

    fn name(&self, row: u32) -> String {
        let id = self.table().id(row as usize);
        id.unwrap_or_default().to_owned()
    }

    fn read(
        &self,
        row: u32,
        groups: &[Resolution],
        into: &mut PatchPixels,
    ) -> Result<(), ReadFailure> {
        Self::read(self, row, groups, into).map_err(|error| {
            if is_damage(&error) {
                ReadFailure::Damaged(error.into())
            } else {
                ReadFailure::Other(error.into())
            }
        })
    }

    fn prefetch(&self, rows: Range<u32>, groups: &[Resolution]) {
        Self::prefetch(self, rows, groups);
    }
}

/// Whether an error tells of the stored bytes: a checksum, an index, an object that is absent or ends
/// too early.
fn is_damage(error: &ReadError) -> bool {
    match error {
        ReadError::OutOfRange { .. } => false,
        ReadError::Patch { source, .. } => match source {
            FetchError::Index(_) | FetchError::Chunk(_) => true,
            FetchError::Io(error) => {
                matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof)
            }
        },
    }
}
