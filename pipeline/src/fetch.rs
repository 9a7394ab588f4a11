//! Patches by row, from wherever they lie.

use chipmill_schemas::band::Resolution;
use chipmill_store::{PatchPixels, StoreReader};

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
    ) -> Result<(), SourceError>;
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
    ) -> Result<(), SourceError> {
        Ok(Self::read(self, row, groups, into)?)
    }
}
