//! Units whose patches the plan names: folders. Each can be worked on alone, in any order.
//!
//! A patch found defective only when it is decoded would leave a hole. Then nothing is written for
//! its unit but a record that names it, and once all units are done the remaining patches are dealt
//! out anew; units whose patches stayed the same are finished already (see ADR 3).

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use chipmill_schemas::ingest::Defect;
use chipmill_store::{PatchPixels, StoreWriter, patch_ids_digest};
use rayon::prelude::*;

use super::convert::{Outcome, convert};
use super::{Job, Worked, lanes};
use crate::IngestError;
use crate::decode::Decoder;
use crate::plan::{self, FolderPlan, PlannedPatch, Unit};
use crate::record::UnitRecord;
use crate::source::{Notes, folder};
use crate::statistics::Histograms;

/// Patches that one thread takes at a time.
const GRAIN: usize = 16;

/// What is done about units that are not finished when the first pass begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    /// They are made.
    Make,
    /// They are an error: others were to make them.
    Refuse,
}

/// Works until every unit of the patches that are whole is finished.
pub(super) fn work(
    job: &Job<'_>,
    plan: &FolderPlan,
    mut pending: Pending,
) -> Result<Worked, IngestError> {
    let mut patches: Vec<&PlannedPatch> = plan.patches.iter().collect();
    let mut defects = plan.defects.clone();
    let mut advanced = 0;
    let records = loop {
        let records = pass(job, &plan.parents, &patches, pending, &mut advanced)?;
        pending = Pending::Make;
        let late: Vec<Defect> = records.iter().flat_map(|r| r.quarantined.clone()).collect();
        if late.is_empty() {
            break records;
        }
        let bad: HashSet<_> = late.iter().map(|d| d.patch.as_str()).collect();
        patches.retain(|p| !bad.contains(p.0.as_str()));
        defects.extend(late);
    };
    let mut histograms = Histograms::default();
    for record in &records {
        histograms.merge(&job.workspace.histograms(record)?);
    }
    Ok(Worked {
        records,
        defects,
        excluded: plan.excluded.clone(),
        notes: plan.notes.clone(),
        histograms,
    })
}

/// Finishes all units of these patches and gives their records in order.
fn pass(
    job: &Job<'_>,
    parents: &[PathBuf],
    patches: &[&PlannedPatch],
    of_pending: Pending,
    advanced: &mut u64,
) -> Result<Vec<UnitRecord>, IngestError> {
    let units = plan::units(patches.len(), job.options.shard_patches);
    let digest = |unit: &Unit| digest(&patches[unit.patches.clone()]);
    let (mut records, mut pending) = (Vec::new(), Vec::new());
    for unit in &units {
        match job.workspace.finished(unit.index, &digest(unit))? {
            Some(record) => records.push(record),
            None => pending.push(unit.clone()),
        }
    }
    if of_pending == Pending::Refuse && !pending.is_empty() {
        let units = pending.iter().map(|u| u.index).collect();
        return Err(IngestError::Unfinished { units });
    }
    let todo: usize = pending.iter().map(|u| u.patches.len()).sum();
    if *advanced == 0 {
        *advanced = (patches.len() - todo) as u64;
        job.progress.advance(*advanced, 0);
        job.recall(records.iter().flat_map(|r| &r.quarantined))?;
    }
    *advanced += todo as u64;
    job.progress.total(Some(*advanced));
    if pending.is_empty() {
        return Ok(records);
    }
    let writer = job.writer(patches.len() as u64)?;
    let make = |unit: &Unit| {
        let patches = &patches[unit.patches.clone()];
        make(job, parents, patches, unit.index, &writer)
    };
    records.extend(lanes::make(job, &pending, &make)?);
    records.sort_by_key(|r| r.unit);
    if records.len() < units.len() {
        return Err(IngestError::Interrupted {
            finished: records.len() as u64,
        });
    }
    Ok(records)
}

/// Names a unit's record: the digest of its patch ids.
pub(super) fn digest(patches: &[&PlannedPatch]) -> String {
    patch_ids_digest(patches.iter().map(|p| &p.0))
}

/// Makes one unit: its shard, its histograms and its record.
pub(super) fn make(
    job: &Job<'_>,
    parents: &[PathBuf],
    patches: &[&PlannedPatch],
    unit: u64,
    writer: &StoreWriter,
) -> Result<UnitRecord, IngestError> {
    let counters = Mutex::new(Vec::new());
    let outcomes: Vec<Vec<Outcome>> = job.pool.install(|| {
        let grains = patches.par_chunks(GRAIN);
        grains
            .map(|grain| convert_grain(job, parents, grain, &counters))
            .collect::<Result<_, _>>()
    })?;
    let mut record = UnitRecord {
        unit,
        patch_ids_digest: digest(patches),
        ..UnitRecord::default()
    };
    let (mut encoded, mut notes) = (Vec::with_capacity(patches.len()), Notes::default());
    for outcome in outcomes.into_iter().flatten() {
        match outcome {
            Ok(patch) => {
                patch.note(&mut notes);
                record.bytes_in += patch.bytes;
                record.patches.push(patch.stored);
                encoded.push(patch.encoded);
            }
            Err(defect) => record.quarantined.push(defect),
        }
    }
    if !record.quarantined.is_empty() {
        (record.patches, record.bytes_in) = (Vec::new(), 0);
        job.workspace.finish(&record, None)?;
        return Ok(record);
    }
    record.notes = notes;
    record.objects = writer.write_shard(unit, &encoded)?;
    let mut histograms = Histograms::default();
    let counted = counters
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    counted.iter().for_each(|h| histograms.merge(h));
    job.workspace.finish(&record, Some(&histograms))?;
    Ok(record)
}

/// Converts some patches and counts their pixels in histograms that are free or new.
fn convert_grain(
    job: &Job<'_>,
    parents: &[PathBuf],
    patches: &[&PlannedPatch],
    counters: &Mutex<Vec<Histograms>>,
) -> Result<Vec<Outcome>, IngestError> {
    let free = || counters.lock().unwrap_or_else(PoisonError::into_inner);
    let mut histograms = free().pop().unwrap_or_default();
    let (mut decoder, mut pixels) = (Decoder::default(), PatchPixels::zeroed());
    let mut outcomes = Vec::with_capacity(patches.len());
    let mut bytes = 0;
    for PlannedPatch(id, parent) in patches {
        let raw = folder::raw(parents, id, *parent);
        let outcome = convert(job, &mut decoder, &raw, &mut pixels)?;
        if let Ok(converted) = &outcome {
            bytes += converted.bytes;
            histograms.add(job.catalog.split(id), &pixels);
        }
        outcomes.push(outcome);
    }
    free().push(histograms);
    job.progress.advance(patches.len() as u64, bytes);
    Ok(outcomes)
}
