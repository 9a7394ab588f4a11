//! All units are done: the tables, the report, and last the root metadata that make them a store.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::ingest::IngestSummary;
use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch::PatchRow;
use chipmill_schemas::patch_id::{DatasetVersion, PatchId};
use chipmill_schemas::s1::S1Id;
use chipmill_store::layout::S1;
use chipmill_store::{
    Contents, ObjectRecord, RowSource, S1Contents, UnitRow, WriteError, remove_object,
    remove_stale_temporaries,
};

use super::s1::S1Worked;
use super::{Job, Worked, object_bytes};
use crate::IngestError;
use crate::plan::{Absent, absent};
use crate::record::{self, S1Record, UnitHead};
use crate::source::Notes;

/// Writes everything but the shards. The report is recorded before the store opens, so that a store
/// always has one.
pub(super) fn finalize(
    job: &Job<'_>,
    mut worked: Worked,
    s1: Option<&S1Worked>,
) -> Result<IngestSummary, IngestError> {
    job.progress.stage("finalize");
    worked.defects.sort_by(|a, b| a.patch.cmp(&b.patch));
    let stored: usize = worked.records.iter().map(|r| r.stored).sum();
    if stored == 0 {
        return Err(nothing(job, worked));
    }
    // Up to 31 MB, where bright pixels occur in all bands and splits: not to be had beside the tables.
    let statistics = std::mem::take(&mut worked.histograms).statistics();
    let stored = Stored::of(job, &worked.records)?;
    let summary = balance(job, &worked, s1, &stored);
    record::create(&job.workspace.report(), &summary)?;
    let of_s1 = s1
        .into_iter()
        .flat_map(|s1| &s1.records)
        .flat_map(|r| &r.objects);
    let objects = worked.records.iter().flat_map(|r| &r.objects);
    remove_leftover_shards(job, objects.chain(of_s1))?;
    let units: Vec<_> = worked.records.iter().map(unit_row).collect();
    let versions: Vec<_> = stored.versions.iter().copied().collect();
    let s1_units: Vec<_> = s1
        .into_iter()
        .flat_map(|s1| &s1.records)
        .map(s1_unit_row)
        .collect();
    let contents = Contents {
        units: &units,
        statistics,
        versions: &versions,
        s1: s1.map(|s1| S1Contents {
            units: &s1_units,
            statistics: s1.counts.statistics(),
        }),
    };
    let pairs = s1.map(|s1| &s1.pairs);
    let rows = Rows {
        job,
        records: &worked.records,
        pairs,
    };
    let writer = job.writer(stored.ids.len() as u64)?;
    writer.finalize_contents(&rows, contents)?;
    tidy(job)?;
    Ok(summary)
}

/// What the records say of the stored patches, taken in one unit at a time.
struct Stored {
    /// In order.
    ids: Vec<PackedId>,
    versions: BTreeSet<DatasetVersion>,
    notes: Notes,
}

impl Stored {
    fn of(job: &Job<'_>, records: &[UnitHead]) -> Result<Self, IngestError> {
        let mut stored = Self {
            ids: Vec::with_capacity(records.iter().map(|r| r.stored).sum()),
            versions: BTreeSet::new(),
            notes: Notes::default(),
        };
        for head in records {
            for patch in job.workspace.patches(head)? {
                note_tables(job, &patch.id, &mut stored.notes);
                stored.versions.insert(patch.id.version());
                stored.ids.push(PackedId::from(&patch.id));
            }
        }
        Ok(stored)
    }
}

/// The rows of the patch table, made from one unit's record at a time.
struct Rows<'a> {
    job: &'a Job<'a>,
    records: &'a [UnitHead],
    pairs: Option<&'a BTreeMap<PackedId, S1Id>>,
}

impl RowSource for Rows<'_> {
    fn rows(
        &self,
        give: &mut dyn FnMut(PatchRow) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        for head in self.records {
            let patches = self.job.workspace.patches(head);
            for patch in patches.map_err(|e| WriteError::Rows(Box::new(e)))? {
                let mut row = self.job.catalog.row(&patch.id, &patch.told);
                if let (None, Some(pairs)) = (&row.s1_name, self.pairs) {
                    let paired = pairs.get(&PackedId::from(&patch.id));
                    row.s1_name = paired.map(ToString::to_string);
                }
                give(row)?;
            }
        }
        Ok(())
    }
}

fn nothing(job: &Job<'_>, worked: Worked) -> IngestError {
    let quarantined = worked.defects.len() as u64;
    match worked.defects.into_iter().next() {
        Some(first) => IngestError::NothingWhole {
            quarantined,
            first: Box::new(first),
        },
        None => super::planning::no_patches(job, &worked.notes.lines()),
    }
}

/// The summary without times: those are of a call, not of the store.
fn balance(
    job: &Job<'_>,
    worked: &Worked,
    s1: Option<&S1Worked>,
    stored: &Stored,
) -> IngestSummary {
    let mut notes = worked.notes.clone();
    worked.records.iter().for_each(|r| notes.merge(&r.notes));
    notes.merge(job.catalog.notes());
    notes.merge(&stored.notes);
    let absent = absent_from(job, worked, stored);
    let s1_summary = s1.map(|s1| {
        notes.merge(&s1.notes);
        s1.summary(job, &mut notes)
    });
    IngestSummary {
        patches: stored.ids.len() as u64,
        quarantined: worked.defects.len() as u64,
        missing: absent.missing.len() as u64,
        excluded: worked.excluded.len() as u64 + absent.excluded,
        shards: worked.records.len() as u64,
        bytes_in: worked.records.iter().map(|r| r.bytes_in).sum(),
        bytes_out: worked
            .records
            .iter()
            .map(|r| object_bytes(&r.objects))
            .sum(),
        defects: worked.defects.clone(),
        missing_ids: absent.missing.iter().map(ToString::to_string).collect(),
        notes: notes.lines(),
        s1: s1_summary,
        ..IngestSummary::default()
    }
}

/// What the tables do not know of a stored patch, or know otherwise.
fn note_tables(job: &Job<'_>, id: &PatchId, notes: &mut Notes) {
    if job.catalog.has_tables() && !job.catalog.lists(id) {
        notes.add("patches that no metadata file lists", id.as_str());
    }
    if job.catalog.map_contradicts(id) {
        let kind = "patches whose reference map gives other 19-class labels than the table, which \
                    were kept";
        notes.add(kind, id.as_str());
    }
}

/// The patches that the tables expect and the sources do not hold, under either of their names.
fn absent_from(job: &Job<'_>, worked: &Worked, stored: &Stored) -> Absent {
    let bad = worked.defects.iter();
    let bad = bad.filter_map(|d| Some(PackedId::from(&d.patch.parse::<PatchId>().ok()?)));
    let excluded = worked.excluded.iter().copied();
    let mut held: Vec<PackedId> = bad.chain(excluded).collect();
    let has_v1 = stored.versions.contains(&DatasetVersion::V1)
        || held.iter().any(|id| id.version() == DatasetVersion::V1);
    held.sort_unstable();
    let holds = |id: &PatchId| {
        let id = PackedId::from(id);
        stored.ids.binary_search(&id).is_ok() || held.binary_search(&id).is_ok()
    };
    let is_held = |id: &PatchId| {
        let is_v2 = id.version() == DatasetVersion::V2;
        let twin = || job.catalog.twin(id).is_some_and(|twin| holds(&twin));
        holds(id) || ((has_v1 || !is_v2) && twin())
    };
    let is_wanted = |id: &PatchId| !job.wants_a_subset() && job.wants_listed(id);
    absent(job.catalog.expected(), is_held, is_wanted)
}

fn unit_row(head: &UnitHead) -> UnitRow {
    UnitRow {
        unit: head.unit,
        patch_ids_digest: head.patch_ids_digest.clone(),
        patches: head.stored as u64,
        objects: head.objects.clone(),
    }
}

fn s1_unit_row(record: &S1Record) -> UnitRow {
    UnitRow {
        unit: record.unit,
        patch_ids_digest: record.patch_ids_digest.clone(),
        patches: record.patches,
        objects: record.objects.clone(),
    }
}

/// Shards beyond the last: written in a pass before defective patches were taken out. Temporaries
/// may be another process's, still being written.
fn remove_leftover_shards<'a>(
    job: &Job<'_>,
    objects: impl Iterator<Item = &'a ObjectRecord>,
) -> Result<(), IngestError> {
    let kept: HashSet<&str> = objects.map(|o| o.path.as_str()).collect();
    for array in Resolution::ALL
        .map(Resolution::name)
        .into_iter()
        .chain([S1])
    {
        for name in record::names(&job.options.store.join(array))? {
            let object = format!("{array}/{name}");
            let is_shard = name.starts_with("c.") && !name.ends_with(".tmp");
            if is_shard && !kept.contains(object.as_str()) {
                remove(&job.options.store.join(&object))?;
            }
        }
    }
    Ok(())
}

/// Removes what a finished ingest does not need: the spool, which is as large as the store, and what
/// killed processes left half written. Its index and everything else stay.
pub(super) fn tidy(job: &Job<'_>) -> Result<(), IngestError> {
    for leftover in job.workspace.leftovers() {
        remove(&leftover)?;
    }
    for folder in job.workspace.folders() {
        remove_stale_temporaries(&folder).map_err(IngestError::writing(&folder))?;
    }
    Ok(())
}

/// Tidies up after a process that was killed at the very end. The store may have become read-only since.
pub(super) fn tidy_late(job: &Job<'_>) {
    if let Err(error) = tidy(job) {
        tracing::warn!(%error, "leftovers of an earlier ingest stay");
    }
}

fn remove(path: &Path) -> Result<(), IngestError> {
    remove_object(path).map_err(IngestError::writing(path))
}
