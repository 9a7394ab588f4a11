//! Where the rows of a new store come from.

use chipmill_schemas::patch::PatchRow;

use crate::error::WriteError;

/// Rows in store order, made one after the other: the rows of all of BigEarthNet need not be in memory
/// at once.
pub trait RowSource {
    /// Gives every row, in order, and stops at the first error.
    ///
    /// # Errors
    /// Those of `give`; [`WriteError::Rows`] when a row cannot be made.
    fn rows(
        &self,
        give: &mut dyn FnMut(PatchRow) -> Result<(), WriteError>,
    ) -> Result<(), WriteError>;
}

impl RowSource for [PatchRow] {
    fn rows(
        &self,
        give: &mut dyn FnMut(PatchRow) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.iter().cloned().try_for_each(give)
    }
}
