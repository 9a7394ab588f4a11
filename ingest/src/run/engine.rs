//! The unit of work as an engine sees it: plan once, work on each unit wherever it may be, finalize
//! once. `ingest` does the same in one process.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use chipmill_schemas::ingest::{IngestSummary, PlanSummary, UnitSummary};

use super::{
    Job, Pending, finalize as finish, maps, object_bytes, planned, planning, rate, s1, turn,
};
use crate::plan::{self, FolderPlan, PlannedPatch};
use crate::record::{self, UnitHead};
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
    let planned::Steps {
        options,
        folders,
        s1,
        ..
    } = planned::Steps::load(store, threads)?;
    let job = Job::new(&options, stop, progress)?;
    let all = plan::units(folders.patches.len(), options.shard_patches);
    let Some(wanted) = all.iter().find(|u| u.index == unit) else {
        let units = all.len() as u64;
        return Err(IngestError::NoUnit { unit, units });
    };
    let _turn = turn::shared(&job)?;
    let patches: Vec<&PlannedPatch> = folders.patches[wanted.patches.clone()].iter().collect();
    let finished = job.workspace.finished(unit, &planned::digest(&patches))?;
    let writer = || job.writer(folders.patches.len() as u64);
    let was_finished = finished.is_some();
    let head = match finished {
        Some(head) => head,
        None => {
            job.check_stop(0)?;
            progress.total(Some(patches.len() as u64));
            planned::make(&job, &folders.parents, &patches, unit, &writer()?)?
        }
    };
    // Sentinel-1 in archives is read when the store is finalized.
    let Some(s1) = s1.filter(|s1| !s1.archives && head.quarantined.is_empty()) else {
        return Ok(summary(head, was_finished));
    };
    let made = s1::work_unit(&job, &s1, &head, &writer()?)?;
    Ok(summary(head, was_finished && !made))
}

pub(crate) fn finalize(
    store: &Path,
    threads: usize,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<IngestSummary, IngestError> {
    let (began, cpu_began) = (Instant::now(), cpu::seconds());
    let steps = planned::Steps::load(store, threads)?;
    let mut job = Job::new(&steps.options, stop, progress)?;
    job.workspace.bind(&steps.fingerprint);
    let _turn = turn::alone(&job)?;
    let report = record::load(&job.workspace.report())?;
    let is_store = planning::is_store(store)?;
    if let Some(summary) = report.filter(|_| is_store) {
        finish::tidy_late(&job);
        return Ok(summary);
    }
    maps::recall(&mut job)?;
    let worked = planned::work(&job, &steps.folders, Pending::Refuse)?;
    job.check_stop(worked.records.len())?;
    let s1 = s1::finalize(&job, &steps, &worked.records)?;
    let mut summary = finish::finalize(&job, worked, s1.as_ref())?;
    summary.seconds = began.elapsed().as_secs_f64();
    summary.cpu_seconds = cpu::seconds() - cpu_began;
    summary.patches_per_s = rate(summary.patches, summary.seconds);
    Ok(summary)
}

fn units(options: &IngestOptions, folders: &FolderPlan) -> u64 {
    plan::units(folders.patches.len(), options.shard_patches).len() as u64
}

fn summary(record: UnitHead, was_finished: bool) -> UnitSummary {
    UnitSummary {
        unit: record.unit,
        patches: record.stored as u64,
        quarantined: record.quarantined.len() as u64,
        bytes_in: record.bytes_in,
        bytes_out: object_bytes(&record.objects),
        was_finished,
        defects: record.quarantined,
    }
}
