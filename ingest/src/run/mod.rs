//! Plan, work, finalize.
//!
//! Folders are worked on unit by unit, in any order ([`planned`]). Archives are read once, front to
//! back ([`stream`]): in id order they fill shards directly, in any other order they go through a
//! spool ([`spool`]). Whichever way, shard `k` holds the whole patches `k * S ..` in id order, so
//! that the store is the same.

mod convert;
pub(crate) mod engine;
mod finalize;
mod flow;
mod lanes;
mod maps;
mod memory;
mod planned;
mod planning;
mod s1;
mod select;
mod spool;
mod stream;
mod turn;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use chipmill_schemas::ingest::{Defect, IngestSummary};
use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::selection::Selection;
use chipmill_store::{ObjectRecord, PatchEncoder, StoreShape, StoreWriter};
use rayon::ThreadPool;
use select::CompiledSelection;

pub(crate) use memory::share_heap;

use crate::catalog::Catalog;
use crate::plan::Plan;
use crate::quality::Quality;
use crate::record::{UnitHead, UnitRecord, Workspace};
use crate::source::{Notes, Source};
use crate::statistics::{Histograms, UnitHistograms};
use crate::{IngestError, IngestOptions, MAX_SHARD_PATCHES, Progress, cpu};

/// All that the stages share.
struct Job<'a> {
    options: &'a IngestOptions,
    catalog: Catalog,
    selection: CompiledSelection,
    /// Every patch is wanted, so that none needs to be looked up.
    takes_all: bool,
    workspace: Workspace,
    quality: Quality<'a>,
    encoder: PatchEncoder,
    pool: ThreadPool,
    stop: &'a AtomicBool,
    progress: &'a dyn Progress,
}

/// What is done about units that are not finished when work begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    /// They are made.
    Make,
    /// They are an error: others were to make them.
    Refuse,
}

/// All units are done: what they hold.
struct Worked {
    /// In order; together they are the store.
    records: Vec<UnitHead>,
    defects: Vec<Defect>,
    /// Patches of the sources that were not wanted.
    excluded: Vec<PackedId>,
    notes: Notes,
    histograms: Histograms,
}

pub(crate) fn ingest(
    options: &IngestOptions,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<IngestSummary, IngestError> {
    let (began, cpu_began) = (Instant::now(), cpu::seconds());
    progress.stage("plan");
    let mut job = Job::new(options, stop, progress)?;
    let sources = Source::recognise_all(&options.sources)?;
    let plan = planning::plan(&mut job, &sources)?;
    job.workspace.bind(&plan.fingerprint);
    let (mut summary, is_finished) = job.carry_out(&plan, &sources)?;
    summary.seconds = began.elapsed().as_secs_f64();
    if !is_finished {
        summary.patches_per_s = rate(summary.patches, summary.seconds);
    }
    summary.cpu_seconds = cpu::seconds() - cpu_began;
    Ok(summary)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of patches are far below 2^53"
)]
fn rate(patches: u64, seconds: f64) -> f64 {
    patches as f64 / seconds
}

fn check(options: &IngestOptions) -> Result<(), IngestError> {
    let wrong = |text: String| Err(IngestError::Options(text));
    if options.sources.is_empty() {
        return wrong("no source is given; expected a folder or an archive of patches".to_owned());
    }
    if !(1..=MAX_SHARD_PATCHES).contains(&options.shard_patches) {
        let found = options.shard_patches;
        return wrong(format!(
            "shard_patches is {found}, expected 1 to {MAX_SHARD_PATCHES}"
        ));
    }
    if !(0.0..=1.0).contains(&options.map_min_share) {
        let found = options.map_min_share;
        return wrong(format!("map_min_share is {found}, expected 0 to 1"));
    }
    Ok(())
}

impl<'a> Job<'a> {
    fn new(
        options: &'a IngestOptions,
        stop: &'a AtomicBool,
        progress: &'a dyn Progress,
    ) -> Result<Self, IngestError> {
        check(options)?;
        memory::hold_on();
        let name = |i| format!("ingest-{i}");
        let threads = rayon::ThreadPoolBuilder::new().num_threads(options.threads);
        let catalog = Catalog::load(&options.metadata, options.patches.as_deref())?;
        let all = Selection {
            limit: options.selection.limit,
            ..Selection::default()
        };
        Ok(Self {
            options,
            selection: select::compile(&options.selection, &catalog)?,
            takes_all: options.selection == all,
            catalog,
            workspace: Workspace::of(&options.store),
            quality: Quality {
                strict: options.strict,
                progress,
            },
            encoder: PatchEncoder::new(options.codec),
            pool: threads.thread_name(name).build()?,
            stop,
            progress,
        })
    }

    /// Does what is left to do. The second value tells that nothing was.
    fn carry_out(
        &self,
        plan: &Plan,
        sources: &[Source],
    ) -> Result<(IngestSummary, bool), IngestError> {
        let mut finished = planning::settle(self, plan)?;
        let mut turn = None;
        if finished.is_none() {
            turn = turn::alone(self)?;
            // Whoever had the turn before may have finished the store.
            finished = planning::settle(self, plan)?;
        }
        if let Some(summary) = finished {
            finalize::tidy_late(self);
            return Ok((summary, true));
        }
        let worked = self.work(plan, sources)?;
        self.check_stop(worked.records.len())?;
        let s1 = s1::work(self, plan, sources, &worked.records)?;
        self.check_stop(worked.records.len())?;
        let summary = self.finalize(worked, s1.as_ref())?;
        drop(turn);
        Ok((summary, false))
    }

    /// Finalizes where the patches were worked on: an allocator gives a thread's memory to that thread
    /// again, and what the patches took is free now.
    fn finalize(
        &self,
        worked: Worked,
        s1: Option<&s1::S1Worked>,
    ) -> Result<IngestSummary, IngestError> {
        self.encoder.forget_recycled();
        memory::give_back();
        match self.pool.current_num_threads() {
            1 => finalize::finalize(self, worked, s1),
            _ => self.pool.install(|| finalize::finalize(self, worked, s1)),
        }
    }

    fn work(&self, plan: &Plan, sources: &[Source]) -> Result<Worked, IngestError> {
        self.check_stop(0)?;
        self.progress.stage("work");
        match &plan.folders {
            Some(folders) => planned::work(self, folders, Pending::Make),
            None => stream::work(self, sources),
        }
    }

    /// Records that a unit is finished; its shard must be on disk. Its memory goes back: tables of counts grow
    /// in the midst of what is in flight, and gaps that every unit leaves elsewhere would add up.
    fn finish(
        &self,
        record: UnitRecord,
        histograms: Option<UnitHistograms>,
    ) -> Result<UnitHead, IngestError> {
        self.workspace.finish(&record, histograms.as_ref())?;
        drop(histograms);
        let head = record.into();
        memory::give_back();
        Ok(head)
    }

    /// Tells of the defects that an earlier call found.
    fn recall<'d>(&self, defects: impl IntoIterator<Item = &'d Defect>) -> Result<(), IngestError> {
        defects
            .into_iter()
            .try_for_each(|d| self.quality.quarantine(d))
    }

    /// Ends the ingest between units when a stop is wanted.
    fn check_stop(&self, finished: usize) -> Result<(), IngestError> {
        if self.stop_wanted() {
            return Err(IngestError::Interrupted {
                finished: finished as u64,
            });
        }
        Ok(())
    }

    fn stop_wanted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The writer of a store of so many patches.
    fn writer(&self, patches: u64) -> Result<StoreWriter, IngestError> {
        let shape = StoreShape {
            patches,
            shard_patches: self.options.shard_patches,
            codec: self.options.codec,
        };
        Ok(StoreWriter::new(&self.options.store, shape)?)
    }
}

fn object_bytes(objects: &[ObjectRecord]) -> u64 {
    objects.iter().map(|o| o.bytes).sum()
}

/// The result of a thread; its panic goes on in this one.
fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
