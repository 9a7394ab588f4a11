//! All units are done: the tables, the report, and last the root metadata that make them a store.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::ingest::IngestSummary;
use chipmill_schemas::patch::PatchRow;
use chipmill_schemas::patch_id::PatchId;
use chipmill_store::UnitRow;

use super::planning::Planned;
use super::{Job, Worked, object_bytes};
use crate::IngestError;
use crate::plan::absent;
use crate::record::{self, UnitRecord};

/// Writes everything but the shards. The report is recorded before the store opens, so that a store
/// always has one.
pub(super) fn finalize(
    job: &Job<'_>,
    planned: &Planned,
    mut worked: Worked,
) -> Result<IngestSummary, IngestError> {
    job.progress.stage("finalize");
    worked.defects.sort_by(|a, b| a.patch.cmp(&b.patch));
    let stored: usize = worked.records.iter().map(|r| r.patches.len()).sum();
    if stored == 0 {
        return Err(nothing(job, worked));
    }
    let summary = balance(job, planned, &worked);
    record::create(&job.workspace.report(), &summary)?;
    remove_leftover_shards(job, &worked.records)?;
    let rows = rows(job, &worked.records);
    let units: Vec<_> = worked.records.into_iter().map(unit_row).collect();
    let versions: BTreeSet<_> = rows.iter().map(|r| r.id.version()).collect();
    let versions: Vec<_> = versions.into_iter().collect();
    let writer = job.writer(rows.len() as u64)?;
    writer.finalize(&rows, &units, worked.histograms.statistics(), &versions)?;
    remove_spool(job)?;
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
fn balance(job: &Job<'_>, planned: &Planned, worked: &Worked) -> IngestSummary {
    let stored = worked
        .records
        .iter()
        .flat_map(|r| &r.patches)
        .map(|p| &p.id);
    let bad: Vec<PatchId> = worked
        .defects
        .iter()
        .filter_map(|d| d.patch.parse().ok())
        .collect();
    let mut notes = worked.notes.clone();
    worked.records.iter().for_each(|r| notes.merge(&r.notes));
    if job.catalog.has_tables() {
        for id in stored.clone().filter(|id| !job.catalog.lists(id)) {
            notes.add("patches that no metadata file lists", id.as_str());
        }
    }
    let mut found: Vec<&PatchId> = stored.collect();
    let patches = found.len() as u64;
    found.extend(&bad);
    found.sort();
    let passed_over: Vec<_> = planned.passed_over.iter().collect();
    let subset_is_wanted = job.options.allow_subset || job.options.limit.is_some();
    let absent = absent(job.catalog.ids(), &found, &passed_over, subset_is_wanted);
    IngestSummary {
        patches,
        quarantined: worked.defects.len() as u64,
        missing: absent.missing.len() as u64,
        excluded: absent.excluded,
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

/// The spool is as large as the store; its index and everything else stay.
fn remove_spool(job: &Job<'_>) -> Result<(), IngestError> {
    remove(&job.workspace.spool())
}

/// Another process may have removed it first.
fn remove(path: &Path) -> Result<(), IngestError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(IngestError::writing(path)(e)),
        _ => Ok(()),
    }
}
