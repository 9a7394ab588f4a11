//! The unit of work as an engine sees it: plan once, work on each unit wherever it may be, finalize
//! once. `ingest` does the same in one process.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use chipmill_schemas::ingest::{IngestSummary, PlanSummary, UnitSummary};

use super::{
    Job, Pending, finalize as finish, maps, object_bytes, planned, planning, rate, s1, turn,
};
use crate::plan::{self, FolderPlan, PlannedPatch, Unit};
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
    if sources.iter().any(Source::is_stdin) {
        let text = "standard input is gone when `ingest finalize` runs; give the archive as a file, or \
                    call `ingest` for all steps at once";
        return Err(IngestError::Options(text.to_owned()));
    }
    let plan = planning::plan(&mut job, &sources)?;
    let Some(folders) = &plan.folders else {
        let store = options.store.clone();
        return Err(IngestError::NoUnits { store });
    };
    planning::settle(&job, &plan)?;
    Ok(plan_summary(&plan.fingerprint, options, folders))
}

pub(crate) fn planned(store: &Path) -> Result<PlanSummary, IngestError> {
    let steps = planned::Steps::load(store, 1)?;
    Ok(plan_summary(
        &steps.fingerprint,
        &steps.options,
        &steps.folders,
    ))
}

fn plan_summary(fingerprint: &str, options: &IngestOptions, folders: &FolderPlan) -> PlanSummary {
    let units = plan::units(folders.patches.len(), options.shard_patches);
    PlanSummary {
        fingerprint: fingerprint.to_owned(),
        units: units.len() as u64,
        patches: folders.patches.len() as u64,
        quarantined: folders.defects.len() as u64,
        excluded: folders.excluded.len() as u64,
        defects: folders.defects.clone(),
        notes: folders.notes.lines(),
    }
}

pub(crate) fn work(
    store: &Path,
    units: &[Range<u64>],
    threads: usize,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<Vec<UnitSummary>, IngestError> {
    let steps = planned::Steps::load(store, threads)?;
    let job = Job::new(&steps.options, stop, progress)?;
    let wanted = wanted(&steps, units)?;
    let patches = wanted.iter().map(|unit| unit.patches.len() as u64);
    progress.total(Some(patches.sum()));
    let work = |unit: &Unit| work_unit(&job, &steps, unit);
    wanted.iter().map(work).collect()
}

/// The units asked for; a range may reach beyond the last unit, but not begin there.
fn wanted(steps: &planned::Steps, ranges: &[Range<u64>]) -> Result<Vec<Unit>, IngestError> {
    let all = plan::units(steps.folders.patches.len(), steps.options.shard_patches);
    let count = all.len() as u64;
    if let Some(range) = ranges.iter().find(|r| r.start >= count) {
        let unit = range.start;
        return Err(IngestError::NoUnit { unit, units: count });
    }
    let of = |range: &Range<u64>| {
        let range = range.clone();
        all.iter().filter(move |unit| range.contains(&unit.index))
    };
    Ok(ranges.iter().flat_map(of).cloned().collect())
}

fn work_unit(
    job: &Job<'_>,
    steps: &planned::Steps,
    unit: &Unit,
) -> Result<UnitSummary, IngestError> {
    let folders = &steps.folders;
    let _turn = turn::shared(job)?;
    let patches: Vec<&PlannedPatch> = folders.patches[unit.patches.clone()].iter().collect();
    let finished = job
        .workspace
        .finished(unit.index, &planned::digest(&patches))?;
    let writer = || job.writer(folders.patches.len() as u64);
    let was_finished = finished.is_some();
    let head = match finished {
        Some(head) => {
            job.progress.advance(patches.len() as u64, 0);
            head
        }
        None => {
            job.check_stop(0)?;
            check_source(folders, &patches)?;
            planned::make(job, &folders.parents, &patches, unit.index, &writer()?)?
        }
    };
    // Sentinel-1 in archives is read when the store is finalized.
    let s1 = steps.s1.as_ref().filter(|s1| !s1.archives);
    let Some(s1) = s1.filter(|_| head.quarantined.is_empty()) else {
        return Ok(summary(head, was_finished));
    };
    let made = s1::work_unit(job, s1, &head, &writer()?)?;
    Ok(summary(head, was_finished && !made))
}

/// On a machine that does not see the source, every patch would pass for a defective one.
fn check_source(folders: &FolderPlan, patches: &[&PlannedPatch]) -> Result<(), IngestError> {
    let parents: BTreeSet<u32> = patches.iter().map(|p| p.1).collect();
    let parents = parents
        .into_iter()
        .filter_map(|p| folders.parents.get(p as usize));
    let mut absent = parents.filter(|folder| !folder.is_dir());
    absent.next().map_or(Ok(()), |folder| {
        let folder = folder.clone();
        Err(IngestError::NoSourceHere { folder })
    })
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
