//! All units are done: the tables, the report, and last the root metadata that make them a store.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::ingest::IngestSummary;
use chipmill_schemas::patch::PatchRow;
use chipmill_schemas::patch_id::{DatasetVersion, PatchId};
use chipmill_store::{UnitRow, remove_object, remove_stale_temporaries};

use super::{Job, Worked, object_bytes};
use crate::IngestError;
use crate::plan::{Absent, absent};
use crate::record::{self, UnitRecord};
use crate::source::Notes;

/// Writes everything but the shards. The report is recorded before the store opens, so that a store
/// always has one.
pub(super) fn finalize(job: &Job<'_>, mut worked: Worked) -> Result<IngestSummary, IngestError> {
    job.progress.stage("finalize");
    worked.defects.sort_by(|a, b| a.patch.cmp(&b.patch));
    let stored: usize = worked.records.iter().map(|r| r.patches.len()).sum();
    if stored == 0 {
        return Err(nothing(job, worked));
    }
    let summary = balance(job, &worked);
    record::create(&job.workspace.report(), &summary)?;
    remove_leftover_shards(job, &worked.records)?;
    let rows = rows(job, &worked.records);
    let units: Vec<_> = worked.records.into_iter().map(unit_row).collect();
    let versions: BTreeSet<_> = rows.iter().map(|r| r.id.version()).collect();
    let versions: Vec<_> = versions.into_iter().collect();
    let writer = job.writer(rows.len() as u64)?;
    writer.finalize(&rows, &units, worked.histograms.statistics(), &versions)?;
    tidy(job)?;
    Ok(summary)
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
fn balance(job: &Job<'_>, worked: &Worked) -> IngestSummary {
    let stored = || {
        worked
            .records
            .iter()
            .flat_map(|r| &r.patches)
            .map(|p| &p.id)
    };
    let mut notes = worked.notes.clone();
    worked.records.iter().for_each(|r| notes.merge(&r.notes));
    note_tables(job, stored(), &mut notes);
    let absent = absent_from(job, worked);
    let patches = stored().count() as u64;
    IngestSummary {
        patches,
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
        ..IngestSummary::default()
    }
}

/// What the tables do not know of the stored patches, or know otherwise.
fn note_tables<'a>(job: &Job<'_>, stored: impl Iterator<Item = &'a PatchId>, notes: &mut Notes) {
    for id in stored {
        if job.catalog.has_tables() && !job.catalog.lists(id) {
            notes.add("patches that no metadata file lists", id.as_str());
        }
        if job.catalog.map_contradicts(id) {
            let kind = "patches whose reference map gives other 19-class labels than the table, \
                        which were kept";
            notes.add(kind, id.as_str());
        }
    }
}

/// The patches that the tables expect and the sources do not hold, under either of their names.
fn absent_from(job: &Job<'_>, worked: &Worked) -> Absent {
    let stored = worked
        .records
        .iter()
        .flat_map(|r| &r.patches)
        .map(|p| &p.id);
    let bad = worked.defects.iter().filter_map(|d| d.patch.parse().ok());
    let bad: Vec<PatchId> = bad.collect();
    let held: HashSet<&PatchId> = stored.chain(&bad).chain(&worked.excluded).collect();
    let has_v1 = held.iter().any(|id| id.version() == DatasetVersion::V1);
    let is_held = |id: &PatchId| {
        let is_v2 = id.version() == DatasetVersion::V2;
        let twin = || {
            job.catalog
                .twin(id)
                .is_some_and(|twin| held.contains(&twin))
        };
        held.contains(id) || ((has_v1 || !is_v2) && twin())
    };
    let is_wanted = |id: &PatchId| !job.wants_a_subset() && job.wants_listed(id);
    absent(job.catalog.expected(), is_held, is_wanted)
}

fn rows(job: &Job<'_>, records: &[UnitRecord]) -> Vec<PatchRow> {
    let stored = records.iter().flat_map(|r| &r.patches);
    stored.map(|p| job.catalog.row(&p.id, &p.told)).collect()
}

fn unit_row(record: UnitRecord) -> UnitRow {
    UnitRow {
        unit: record.unit,
        patch_ids_digest: record.patch_ids_digest,
        patches: record.patches.len() as u64,
        objects: record.objects,
    }
}

/// Shards beyond the last: written in a pass before defective patches were taken out. Temporaries
/// may be another process's, still being written.
fn remove_leftover_shards(job: &Job<'_>, records: &[UnitRecord]) -> Result<(), IngestError> {
    let objects = records.iter().flat_map(|r| &r.objects);
    let kept: HashSet<&str> = objects.map(|o| o.path.as_str()).collect();
    for resolution in Resolution::ALL {
        for name in record::names(&job.options.store.join(resolution.name()))? {
            let object = format!("{}/{name}", resolution.name());
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
    remove(&job.workspace.spool())?;
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
