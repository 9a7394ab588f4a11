//! Patches by row, from wherever they lie.

use std::io::ErrorKind;
use std::ops::Range;

use chipmill_schemas::band::{PATCH_BYTES, Resolution};
use chipmill_store::{FetchError, Fetched, PatchPixels, ReadError, StoreReader, is_address};

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

    /// Fetches the groups of a batch's patches with few requests, where they lie far away.
    fn fetch(&self, _rows: &[u32], _groups: &[Resolution]) -> Option<Fetched> {
        None
    }

    /// The most bytes that are held for a patch between fetching and reading it.
    fn fetched_bytes(&self) -> usize {
        0
    }

    /// As [`read`](Self::read), without asking again for what was fetched.
    fn read_fetched(
        &self,
        _fetched: Option<&Fetched>,
        row: u32,
        groups: &[Resolution],
        into: &mut PatchPixels,
    ) -> Result<(), ReadFailure> {
        self.read(row, groups, into)
    }

    /// A hint that the groups of some pages of consecutive patches will be read before long.
    fn prefetch(&self, _pages: &[Range<u32>], _groups: &[Resolution]) {}
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
        Source::read_fetched(self, None, row, groups, into)
    }

    fn fetch(&self, rows: &[u32], groups: &[Resolution]) -> Option<Fetched> {
        Self::fetch(self, rows, groups)
    }

    /// Compressed chunks are no larger than their pixels, and what lies between those that are fetched
    /// together is no more than they are.
    fn fetched_bytes(&self) -> usize {
        if is_address(self.path()) {
            2 * PATCH_BYTES
        } else {
            0
        }
    }

    fn read_fetched(
        &self,
        fetched: Option<&Fetched>,
        row: u32,
        groups: &[Resolution],
        into: &mut PatchPixels,
    ) -> Result<(), ReadFailure> {
        Self::read_fetched(self, fetched, row, groups, into).map_err(|error| {
            if is_damage(&error) {
                ReadFailure::Damaged(error.into())
            } else {
                ReadFailure::Other(error.into())
            }
        })
    }

    fn prefetch(&self, pages: &[Range<u32>], groups: &[Resolution]) {
        Self::prefetch(self, pages, groups);
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
