//! The unit of work as an engine sees it: plan once, work on each unit wherever it may be, finalize
//! once. `ingest` does the same in one process.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use chipmill_schemas::ingest::{IngestSummary, PlanSummary, UnitSummary};

use super::{Job, finalize as finish, maps, object_bytes, planned, planning, rate, turn};
use crate::plan::{self, FolderPlan, Plan, PlannedPatch};
use crate::record::{self, UnitRecord, Workspace};
use crate::source::Source;
use crate::{IngestError, IngestOptions, Progress, cpu};

pub(crate) fn plan(
    options: &IngestOptions,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<PlanSummary, IngestError> {
    progress.stage("plan");
    let mut job = Job::new(options, stop, progress)?;
    let sources = Source::recognise_all(&options.sources)?;
    let plan = planning::plan(&mut job, &sources)?;
    let Some(folders) = &plan.folders else {
        let store = options.store.clone();
        return Err(IngestError::NoUnits { store });
    };
    planning::settle(&job, &plan)?;
    Ok(PlanSummary {
        fingerprint: plan.fingerprint.clone(),
        units: units(options, folders),
        patches: folders.patches.len() as u64,
        quarantined: folders.defects.len() as u64,
        excluded: folders.excluded.len() as u64,
        defects: folders.defects.clone(),
        notes: folders.notes.lines(),
    })
}

pub(crate) fn work(
    store: &Path,
    unit: u64,
    threads: usize,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<UnitSummary, IngestError> {
    let (options, folders) = planned(store, threads)?;
    let job = Job::new(&options, stop, progress)?;
    let all = plan::units(folders.patches.len(), options.shard_patches);
    let Some(wanted) = all.iter().find(|u| u.index == unit) else {
        let units = all.len() as u64;
        return Err(IngestError::NoUnit { unit, units });
    };
    let _turn = turn::shared(&job)?;
    let patches: Vec<&PlannedPatch> = folders.patches[wanted.patches.clone()].iter().collect();
    let finished = job.workspace.finished(unit, &planned::digest(&patches))?;
    if let Some(record) = finished {
        return Ok(summary(record, true));
    }
    job.check_stop(0)?;
    progress.total(Some(patches.len() as u64));
    let writer = job.writer(folders.patches.len() as u64)?;
    let record = planned::make(&job, &folders.parents, &patches, unit, &writer)?;
    Ok(summary(record, false))
}

pub(crate) fn finalize(
    store: &Path,
    threads: usize,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<IngestSummary, IngestError> {
    let (began, cpu_began) = (Instant::now(), cpu::seconds());
    let (options, folders) = planned(store, threads)?;
    let mut job = Job::new(&options, stop, progress)?;
    let _turn = turn::alone(&job)?;
    let report = record::load(&job.workspace.report())?;
    if let Some(summary) = report.filter(|_| planning::is_store(store)) {
        finish::tidy_late(&job);
        return Ok(summary);
    }
    maps::recall(&mut job)?;
    let worked = planned::work(&job, &folders, planned::Pending::Refuse)?;
    job.check_stop(worked.records.len())?;
    let mut summary = finish::finalize(&job, worked)?;
    summary.seconds = began.elapsed().as_secs_f64();
    summary.cpu_seconds = cpu::seconds() - cpu_began;
    summary.patches_per_s = rate(summary.patches, summary.seconds);
    Ok(summary)
}

/// The plan of a store, and the options it was made with.
fn planned(store: &Path, threads: usize) -> Result<(IngestOptions, FolderPlan), IngestError> {
    let plan: Option<Plan> = record::load(&Workspace::of(store).plan())?;
    let store = store.to_owned();
    let Some(plan) = plan else {
        return Err(IngestError::NoPlan { store });
    };
    let Some(folders) = plan.folders else {
        return Err(IngestError::NoUnits { store });
    };
    let options = IngestOptions {
        store,
        threads,
        ..plan.options
    };
    Ok((options, folders))
}

fn units(options: &IngestOptions, folders: &FolderPlan) -> u64 {
    plan::units(folders.patches.len(), options.shard_patches).len() as u64
}

fn summary(record: UnitRecord, was_finished: bool) -> UnitSummary {
    UnitSummary {
        unit: record.unit,
        patches: record.patches.len() as u64,
        quarantined: record.quarantined.len() as u64,
        bytes_in: record.bytes_in,
        bytes_out: object_bytes(&record.objects),
        was_finished,
        defects: record.quarantined,
    }
}
