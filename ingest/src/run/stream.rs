//! Archives in id order: whole patches fill one shard after the other as they come.
//!
//! A resumed stream is read again from its beginning (a compressed archive cannot be entered in the
//! middle), but patches in finished units are passed over unread. An archive that turns out not to
//! be in order goes through the spool instead.

use std::ops::ControlFlow;

use chipmill_schemas::ingest::Defect;
use chipmill_schemas::patch_id::PatchId;
use chipmill_store::{PatchPixels, ShardWriter, patch_ids_digest};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::convert::{Converted, Outcome};
use super::flow::{self, FlowEnd, Order};
use super::{Job, Worked, join, planning, spool};
use crate::IngestError;
use crate::record::{self, StreamEnd, UnitHead, UnitRecord};
use crate::source::{Content, Source};
use crate::statistics::{Histograms, UnitHistograms};

/// Works until the stream is in units.
pub(super) fn work(job: &Job<'_>, sources: &[Source]) -> Result<Worked, IngestError> {
    job.progress.total(expected(job));
    // Standard input cannot be read again once it turns out not to be in order.
    let only_once = |s: &Source| matches!(s, Source::Archive(a) if a.input.is_stdin() && a.content == Content::Patches);
    let unordered = job.workspace.unordered();
    let unordered =
        chipmill_store::object_exists(&unordered).map_err(IngestError::reading(&unordered))?;
    if unordered || sources.iter().any(only_once) {
        return spool::work(job, sources);
    }
    let mut records = job.workspace.finished_run()?;
    let end: Option<StreamEnd> = record::load(&job.workspace.stream_end())?;
    let end = match end {
        Some(end) => {
            job.recall(records.iter().flat_map(|r| &r.quarantined))?;
            job.recall(&end.quarantined)?;
            end
        }
        None => match fill(job, sources, &mut records)? {
            Filled::All(end) => end,
            Filled::OutOfOrder => {
                record::create(&job.workspace.unordered(), &())?;
                return spool::work(job, sources);
            }
        },
    };
    let mut histograms = Histograms::<u64>::default();
    for record in &records {
        histograms.merge(&job.workspace.histograms(record)?);
    }
    let in_units = records.iter().flat_map(|r| r.quarantined.clone());
    let defects = in_units.chain(end.quarantined).collect();
    Ok(Worked {
        records,
        defects,
        excluded: end.excluded,
        notes: end.notes,
        histograms,
    })
}

/// How many patches a stream may be expected to hold: what the tables list, up to the limit. What a
/// selection leaves of them is not known before.
pub(super) fn expected(job: &Job<'_>) -> Option<u64> {
    let limit = Some(job.limit()).filter(|&l| l < usize::MAX);
    let listed = (job.catalog.has_tables() && job.takes_all).then(|| job.catalog.listed());
    let least = listed.into_iter().chain(limit).min();
    least.map(|n| n as u64)
}

/// The last patch of the stream that a unit accounts for. After the last whole patch of the last unit
/// there may be defective ones.
fn through(job: &Job<'_>, head: &UnitHead) -> Result<Option<PatchId>, IngestError> {
    let patches = job.workspace.patches(head)?;
    let whole = patches.into_iter().map(|p| p.id);
    let defective = head.quarantined.iter();
    Ok(whole
        .chain(defective.filter_map(|d| d.patch.parse().ok()))
        .max())
}

enum Filled {
    All(StreamEnd),
    OutOfOrder,
}

/// Fills the units after those that are finished.
fn fill(
    job: &Job<'_>,
    sources: &[Source],
    records: &mut Vec<UnitHead>,
) -> Result<Filled, IngestError> {
    let finished: usize = records.iter().map(|r| r.stored).sum();
    job.progress.advance(finished as u64, 0);
    job.recall(records.iter().flat_map(|r| &r.quarantined))?;
    let through = match records.last() {
        Some(last) => through(job, last)?,
        None => None,
    };
    let first = records.len() as u64;
    let (hand_over, handed_over) = bounded(0);
    let mut filling = Filling {
        job,
        unit: Unit::new(first),
        hand_over,
    };
    let (end, rest, written) = std::thread::scope(|scope| {
        // The receiver moves with the writer: when it fails, handing over fails as well.
        let write = scope.spawn(move || end_all(job, handed_over));
        let sink = &mut |outcome, pixels: &PatchPixels| filling.take(outcome, pixels);
        let end = flow::run(job, sources, Order::Ascending, through.as_ref(), sink);
        let rest = filling.end(&end);
        (end, rest, join(write))
    });
    records.extend(written?);
    let end = end?;
    if end.out_of_order.is_some() {
        return Ok(Filled::OutOfOrder);
    }
    if end.broken {
        return Err(IngestError::Interrupted {
            finished: records.len() as u64,
        });
    }
    check_seen(job, &end)?;
    let units = records.len() as u64;
    let end = StreamEnd {
        units,
        quarantined: rest,
        excluded: end.excluded,
        notes: end.notes,
    };
    record::create(&job.workspace.stream_end(), &end)?;
    Ok(Filled::All(end))
}

/// Refuses a stream without any patch that is wanted.
pub(super) fn check_seen(job: &Job<'_>, end: &FlowEnd) -> Result<(), IngestError> {
    match (end.seen, end.excluded.len()) {
        (0, 0) => Err(planning::no_patches(job, &end.notes.lines())),
        (0, found) => Err(IngestError::NothingSelected { found }),
        _ => Ok(()),
    }
}

/// A unit being filled.
struct Unit {
    record: UnitRecord,
    /// From the first patch on.
    shard: Option<ShardWriter>,
    histograms: UnitHistograms,
}

impl Unit {
    fn new(unit: u64) -> Self {
        let record = UnitRecord {
            unit,
            ..UnitRecord::default()
        };
        Self {
            record,
            shard: None,
            histograms: UnitHistograms::default(),
        }
    }

    fn push(&mut self, job: &Job<'_>, patch: Converted) -> Result<(), IngestError> {
        let shard = match &mut self.shard {
            Some(shard) => shard,
            // How many patches follow is not known: as many as a store can hold, perhaps.
            none => none.insert(job.writer(MOST_PATCHES)?.begin_shard(self.record.unit)?),
        };
        shard.push(&patch.encoded)?;
        patch.note(&mut self.record.notes);
        self.record.bytes_in += patch.bytes;
        self.record.patches.push(patch.stored);
        job.encoder.recycle(patch.encoded);
        Ok(())
    }
}

const MOST_PATCHES: u64 = u32::MAX as u64;

struct Filling<'a> {
    job: &'a Job<'a>,
    unit: Unit,
    /// Without a buffer: one unit is filled while one is fsynced, and no third is under way.
    hand_over: Sender<Unit>,
}

impl Filling<'_> {
    fn take(
        &mut self,
        outcome: Outcome,
        pixels: &PatchPixels,
    ) -> Result<ControlFlow<()>, IngestError> {
        match outcome {
            Err(defect) => self.unit.record.quarantined.push(defect),
            Ok(patch) => {
                let split = self.job.catalog.split(&patch.stored.id);
                self.unit.histograms.add(split, pixels);
                self.unit.push(self.job, patch)?;
            }
        }
        if self.unit.record.patches.len() < self.job.options.shard_patches as usize {
            return Ok(ControlFlow::Continue(()));
        }
        Ok(self.hand_over())
    }

    fn hand_over(&mut self) -> ControlFlow<()> {
        let next = Unit::new(self.unit.record.unit + 1);
        let handed_over = self.hand_over.send(std::mem::replace(&mut self.unit, next));
        if handed_over.is_err() || self.job.stop_wanted() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Hands over the last, short unit of a stream that was read to its end; gives the defects that
    /// are in no unit. Dropping the sender lets the writing thread end.
    fn end(mut self, end: &Result<FlowEnd, IngestError>) -> Vec<Defect> {
        let complete = end
            .as_ref()
            .is_ok_and(|e| !e.broken && e.out_of_order.is_none());
        if !complete {
            return Vec::new();
        }
        if self.unit.record.patches.is_empty() {
            return std::mem::take(&mut self.unit.record.quarantined);
        }
        // A writer that is gone has failed, and its error is what the caller sees.
        let _ = self.hand_over.send(self.unit);
        Vec::new()
    }
}

/// Ends the shards of full units and records them.
fn end_all(job: &Job<'_>, handed_over: Receiver<Unit>) -> Result<Vec<UnitHead>, IngestError> {
    let mut records = Vec::new();
    for unit in handed_over {
        let (mut record, Some(shard)) = (unit.record, unit.shard) else {
            continue;
        };
        record.patch_ids_digest = patch_ids_digest(record.patches.iter().map(|p| &p.id));
        record.objects = shard.end()?;
        records.push(job.finish(record, Some(unit.histograms))?);
    }
    Ok(records)
}
