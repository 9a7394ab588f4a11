//! Which patches are wanted, decided before any pixel is read.

use chipmill_schemas::patch_id::PatchId;
use chipmill_schemas::selection::Selection;
use chipmill_schemas::task::Task;

use super::Job;
use crate::IngestError;
use crate::catalog::{Catalog, Told, label_file};
use crate::source::{FileRole, RawPatch, ReadFailure};

pub(super) use chipmill_schemas::selection::CompiledSelection;

/// Understands the names in a selection.
pub(super) fn compile(
    selection: &Selection,
    catalog: &Catalog,
) -> Result<CompiledSelection, IngestError> {
    let known = catalog.countries();
    for country in &selection.countries {
        if !known.contains(country.as_str()) {
            let known: Vec<_> = known.into_iter().collect();
            let found = if known.is_empty() {
                "the metadata files name no country".to_owned()
            } else {
                format!("the metadata files know {}", known.join(", "))
            };
            let text = format!("no patch is in country `{country}`; {found}");
            return Err(IngestError::Options(text));
        }
    }
    Ok(selection.compile(Task::built_in)?)
}

impl Job<'_> {
    /// The most patches to take.
    pub(super) fn limit(&self) -> usize {
        match self.options.selection.limit {
            0 => usize::MAX,
            limit => limit,
        }
    }

    /// Whether absent patches are excluded rather than missing.
    pub(super) fn wants_a_subset(&self) -> bool {
        self.options.allow_subset || self.options.selection.limit > 0
    }

    /// Whether all that the tables say of a patch selects it; unknown labels do not.
    pub(super) fn wants_listed(&self, id: &PatchId) -> bool {
        self.catalog.names(id) && self.keeps(id, &Told::default())
    }

    /// Whether a patch may be wanted, before its files are looked at.
    pub(super) fn may_want(&self, id: &PatchId) -> bool {
        self.catalog.names(id) && (self.must_look(id) || self.keeps(id, &Told::default()))
    }

    /// Whether only the patch's own label file tells if it is wanted.
    pub(super) fn must_look(&self, id: &PatchId) -> bool {
        self.selection.asks_for_labels() && !self.catalog.knows_labels(id)
    }

    /// Whether a patch is wanted. A label file that cannot be understood is left to be found
    /// defective.
    ///
    /// # Errors
    /// The label file cannot be read for a reason that is not the patch's own.
    pub(super) fn wants(&self, raw: &RawPatch) -> Result<bool, IngestError> {
        if !self.must_look(&raw.id) || !self.catalog.names(&raw.id) {
            return Ok(self.wants_listed(&raw.id));
        }
        let mut scratch = Vec::new();
        match raw.read(FileRole::Labels, &mut scratch) {
            Ok(bytes) => {
                Ok(label_file::read(bytes).map_or(true, |told| self.keeps(&raw.id, &told)))
            }
            Err(ReadFailure::Flaw(_)) => Ok(self.wants_listed(&raw.id)),
            Err(ReadFailure::System(error)) => Err(error),
        }
    }

    fn keeps(&self, id: &PatchId, told: &Told) -> bool {
        self.takes_all || self.selection.keeps(&self.catalog.row(id, told))
    }
}
