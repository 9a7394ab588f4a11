//! What happens to a defective patch: it is quarantined, or it ends the ingest.

use chipmill_schemas::ingest::Defect;

use crate::{IngestError, Progress};

/// Decides over defects and tells of them.
pub(crate) struct Quality<'a> {
    pub(crate) strict: bool,
    pub(crate) progress: &'a dyn Progress,
}

impl Quality<'_> {
    /// Quarantines a patch.
    ///
    /// # Errors
    /// [`IngestError::Defective`] under `strict`.
    pub(crate) fn quarantine(&self, defect: &Defect) -> Result<(), IngestError> {
        if self.strict {
            return Err(IngestError::Defective(defect.clone()));
        }
        // The listener decides how much of it a user sees.
        tracing::debug!(patch = defect.patch, reason = defect.reason, "quarantined");
        self.progress.defect(defect);
        Ok(())
    }
}
