//! Reads the sources one after the other and lets patches into the flow.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;

use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch_id::PatchId;

use super::{FlowEnd, Order};
use crate::IngestError;
use crate::run::Job;
use crate::source::archive::{self, Receiver};
use crate::source::folder::Listing;
use crate::source::{Content, MemoryFiles, Notes, RawFiles, RawPatch, Source};

/// Where patches enter the flow.
pub(super) trait Gate {
    /// False when nobody receives any more.
    fn let_in(&mut self, raw: RawPatch) -> bool;

    /// The memory of a patch that is done with, if any lies ready.
    fn memory(&mut self) -> Option<Box<MemoryFiles>>;

    /// Whether the flow has ended behind the gate.
    fn is_closed(&self) -> bool;
}

pub(super) struct Reader<'a, G> {
    job: &'a Job<'a>,
    order: Order,
    through: Option<PatchId>,
    /// All ids so far, where order does not tell which came before.
    seen: HashSet<PackedId>,
    last: Option<PatchId>,
    spare: Option<Box<MemoryFiles>>,
    gate: G,
    end: FlowEnd,
}

impl<'a, G: Gate> Reader<'a, G> {
    pub(super) fn new(job: &'a Job<'a>, order: Order, through: Option<&PatchId>, gate: G) -> Self {
        Self {
            job,
            order,
            through: through.cloned(),
            seen: HashSet::new(),
            last: None,
            spare: None,
            gate,
            end: FlowEnd::default(),
        }
    }

    /// Reads everything, or until nobody receives any more. Gives back the gate.
    pub(super) fn read(mut self, sources: &[Source]) -> (Result<FlowEnd, IngestError>, G) {
        let read = self.read_all(sources);
        (read.map(|()| self.end), self.gate)
    }

    fn read_all(&mut self, sources: &[Source]) -> Result<(), IngestError> {
        for source in sources {
            let notes = match source {
                // Maps are read already, what they gave is in the catalog; Sentinel-1 comes later.
                Source::Archive(a) if a.content != Content::Patches => continue,
                Source::Archive(archive) => archive::stream(archive, self)?,
                Source::Folder(path) => self.folder(path)?,
            };
            self.end.notes.merge(&notes);
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> Result<Notes, IngestError> {
        let listing = self.job.pool.install(|| Listing::of(path))?;
        for patch in &listing.patches {
            let id = patch.id.unpack();
            let raw = self.wants(&id).then(|| listing.raw(patch));
            if self.receive(id, raw).is_break() {
                break;
            }
        }
        Ok(listing.notes)
    }

    fn is_over(&self) -> bool {
        let limit = self.end.seen >= self.job.limit() as u64;
        limit || self.end.out_of_order.is_some() || self.gate.is_closed()
    }

    /// Whether the patch was met before; under [`Order::Ascending`] also notices disorder.
    fn is_repeated(&mut self, id: &PatchId) -> bool {
        if self.order == Order::Any {
            return !self.seen.insert(PackedId::from(id));
        }
        let descends = self.last.as_ref().is_some_and(|last| id < last);
        if descends {
            self.end.out_of_order = Some(id.clone());
        }
        self.last
            .replace(id.clone())
            .is_some_and(|last| last == *id)
    }

    /// Stored by an earlier call.
    fn is_stored(&self, id: &PatchId) -> bool {
        self.through.as_ref().is_some_and(|through| id <= through)
    }

    /// Keeps the memory of a patch that does not enter the flow.
    fn put_back(&mut self, patch: Option<RawPatch>) {
        if let Some(RawFiles::Memory(memory)) = patch.map(|p| p.files) {
            self.spare = Some(memory);
        }
    }
}

impl<G: Gate> Receiver for Reader<'_, G> {
    fn wants(&mut self, id: &PatchId) -> bool {
        let is_new = !self.is_stored(id) && !self.seen.contains(&PackedId::from(id));
        (is_new || self.job.must_look(id)) && self.job.may_want(id)
    }

    fn memory(&mut self) -> Box<MemoryFiles> {
        let spare = self.spare.take().or_else(|| self.gate.memory());
        let mut memory = spare.unwrap_or_default();
        memory.clear();
        memory
    }

    fn receive(&mut self, id: PatchId, patch: Option<RawPatch>) -> ControlFlow<()> {
        if patch.as_ref().is_some_and(RawPatch::is_only_a_map) {
            let kind = "reference maps among patches, not used: give them as a source of their own";
            self.end.notes.add(kind, id.as_str());
            self.put_back(patch);
            return ControlFlow::Continue(());
        }
        if self.is_repeated(&id) {
            let kind = "patches found more than once, taken from the first place";
            self.end.notes.add(kind, id.as_str());
            self.put_back(patch);
            return ControlFlow::Continue(());
        }
        if self.end.out_of_order.is_some() {
            return ControlFlow::Break(());
        }
        // A label file that cannot be read now cannot be read by the worker either, which says so.
        let wanted = match &patch {
            Some(raw) => self.job.wants(raw).unwrap_or(true),
            None => self.job.may_want(&id),
        };
        if !wanted {
            self.end.excluded.push(PackedId::from(&id));
            self.put_back(patch);
            return ControlFlow::Continue(());
        }
        self.end.seen += 1;
        let patch = patch.filter(|_| !self.is_stored(&id));
        let open = patch.is_none_or(|patch| self.gate.let_in(patch));
        if open && !self.is_over() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}
