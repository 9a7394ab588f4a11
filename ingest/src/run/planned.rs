//! Units whose patches the plan names: folders. Each can be worked on alone, in any order.
//!
//! A patch found defective only when it is decoded would leave a hole. Then nothing is written for
//! its unit but a record that names it, and once all units are done the remaining patches are dealt
//! out anew; units whose patches stayed the same are finished already (see ADR 3).

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chipmill_schemas::ingest::Defect;
use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch_id::PatchId;
use chipmill_store::{PatchPixels, ShardWriter, StoreWriter, packed_ids_digest};
use rayon::prelude::*;

use super::convert::{Converted, Outcome, convert};
use super::{Job, Pending, Worked, lanes};
use crate::decode::Decoder;
use crate::plan::{self, FolderPlan, Plan, PlannedPatch, S1Plan, Unit};
use crate::record::{UnitHead, UnitRecord, Workspace};
use crate::source::{Notes, folder};
use crate::statistics::{Histograms, UnitHistograms};
use crate::{IngestError, IngestOptions};

/// Patches that one thread takes at a time.
const GRAIN: usize = 8;

/// Grains a thread between two writes: encoded patches are on disk before the next ones need memory.
const GRAINS: usize = 2;

/// A plan that can be worked on in steps.
pub(super) struct Steps {
    pub(super) fingerprint: String,
    pub(super) options: IngestOptions,
    pub(super) folders: FolderPlan,
    pub(super) s1: Option<S1Plan>,
}

impl Steps {
    /// The plan of a store, and the options it was made with.
    pub(super) fn load(store: &Path, threads: usize) -> Result<Self, IngestError> {
        let path = Workspace::of(store).plan();
        let store = store.to_owned();
        let Some(plan) = plan::load::<Plan>(&path)? else {
            return Err(IngestError::NoPlan { store });
        };
        plan.check_writer(&path)?;
        let Some(folders) = plan.folders else {
            return Err(IngestError::NoUnits { store });
        };
        let options = IngestOptions {
            store,
            threads,
            ..plan.options
        };
        let s1 = plan.s1;
        Ok(Self {
            fingerprint: plan.fingerprint,
            options,
            folders,
            s1,
        })
    }
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
        let ids = late.iter().filter_map(|d| d.patch.parse::<PatchId>().ok());
        let bad: HashSet<_> = ids.map(|id| PackedId::from(&id)).collect();
        patches.retain(|p| !bad.contains(&p.0));
        defects.extend(late);
    };
    let mut histograms = Histograms::<u64>::default();
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
) -> Result<Vec<UnitHead>, IngestError> {
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
    packed_ids_digest(patches.iter().map(|p| p.0))
}

/// Makes one unit: its shard, its histograms and its record.
pub(super) fn make(
    job: &Job<'_>,
    parents: &[PathBuf],
    patches: &[&PlannedPatch],
    unit: u64,
    writer: &StoreWriter,
) -> Result<UnitHead, IngestError> {
    let benches = Mutex::new(Vec::new());
    let mut record = UnitRecord {
        unit,
        patch_ids_digest: digest(patches),
        ..UnitRecord::default()
    };
    let mut shard = writer.begin_shard(unit)?;
    for block in patches.chunks(GRAIN * GRAINS * job.pool.current_num_threads()) {
        for outcome in convert_block(job, parents, block, &benches)? {
            match outcome {
                Ok(patch) => push(job, &mut record, &mut shard, patch)?,
                Err(defect) => record.quarantined.push(defect),
            }
        }
    }
    if !record.quarantined.is_empty() {
        (record.patches, record.bytes_in, record.notes) = (Vec::new(), 0, Notes::default());
        return job.finish(record, None);
    }
    if let Some(finished) = finished_meanwhile(job, &record)? {
        return Ok(finished);
    }
    record.objects = shard.end()?;
    let benches = benches.into_inner().unwrap_or_else(PoisonError::into_inner);
    let counted = benches.into_iter().map(|b| b.histograms);
    let merged = |mut sum: UnitHistograms, more: UnitHistograms| {
        sum.merge(&more);
        sum
    };
    let histograms = counted.reduce(merged).unwrap_or_default();
    job.finish(record, Some(histograms))
}

/// At an address nothing keeps two processes from one unit. Whoever comes late leaves the shard as it is:
/// meanwhile patches may have been dealt out anew, and it may be another one.
fn finished_meanwhile(job: &Job<'_>, record: &UnitRecord) -> Result<Option<UnitHead>, IngestError> {
    if !chipmill_store::is_address(&job.options.store) {
        return Ok(None);
    }
    job.workspace
        .finished(record.unit, &record.patch_ids_digest)
}

/// Appends a whole patch, unless a defect has already made the unit one that is not written.
fn push(
    job: &Job<'_>,
    record: &mut UnitRecord,
    shard: &mut ShardWriter,
    patch: Converted,
) -> Result<(), IngestError> {
    if record.quarantined.is_empty() {
        shard.push(&patch.encoded)?;
        patch.note(&mut record.notes);
        record.bytes_in += patch.bytes;
        record.patches.push(patch.stored);
    }
    job.encoder.recycle(patch.encoded);
    Ok(())
}

/// What a thread works with.
#[derive(Default)]
struct Bench {
    decoder: Decoder,
    pixels: PatchPixels,
    histograms: UnitHistograms,
}

/// Converts some patches on all threads, with benches that are free or new.
fn convert_block(
    job: &Job<'_>,
    parents: &[PathBuf],
    patches: &[&PlannedPatch],
    benches: &Mutex<Vec<Bench>>,
) -> Result<Vec<Outcome>, IngestError> {
    let free = || benches.lock().unwrap_or_else(PoisonError::into_inner);
    let convert = |grain: &[&PlannedPatch]| {
        let mut bench = free().pop().unwrap_or_default();
        let outcomes = convert_grain(job, parents, grain, &mut bench);
        free().push(bench);
        outcomes
    };
    // One thread works best alone: on the pool it would wake and wait for every block.
    let outcomes: Result<Vec<Vec<_>>, _> = match job.pool.current_num_threads() {
        1 => patches.chunks(GRAIN).map(convert).collect(),
        _ => {
            let grains = || patches.par_chunks(GRAIN).map(convert).collect();
            job.pool.install(grains)
        }
    };
    Ok(outcomes?.into_iter().flatten().collect())
}

/// Converts some patches and counts their pixels.
fn convert_grain(
    job: &Job<'_>,
    parents: &[PathBuf],
    patches: &[&PlannedPatch],
    bench: &mut Bench,
) -> Result<Vec<Outcome>, IngestError> {
    let mut outcomes = Vec::with_capacity(patches.len());
    let mut bytes = 0;
    for PlannedPatch(id, parent) in patches {
        let raw = folder::raw(parents, id.unpack(), *parent);
        let outcome = convert(job, &mut bench.decoder, &raw, &mut bench.pixels)?;
        if let Ok(converted) = &outcome {
            bytes += converted.bytes;
            let split = job.catalog.split(&raw.id);
            bench.histograms.add(split, &bench.pixels);
        }
        outcomes.push(outcome);
    }
    job.progress.advance(patches.len() as u64, bytes);
    Ok(outcomes)
}
