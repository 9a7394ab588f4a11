//! Archives in any order: encoded patches go to a file as they come, and from there to shards.
//!
//! Memory holds an index of 48 bytes a patch, and the units in flight. An interrupted spool
//! begins anew; a complete one (its index is there) is not read from the archive again.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use chipmill_schemas::ingest::Defect;
use chipmill_schemas::packed_id::PackedId;
use chipmill_store::{
    EncodedPatch, ObjectWriter, PatchPixels, StoreWriter, WriteError, packed_ids_digest,
};
use serde::{Deserialize, Serialize};

use super::convert::{Converted, Outcome};
use super::flow::{self, Order};
use super::{Job, Worked, lanes, stream};
use crate::IngestError;
use crate::plan::{self, Unit};
use crate::record::{self, StoredPatch, UnitHead, UnitRecord};
use crate::source::{Notes, Source};
use crate::statistics::Histograms;

/// What lies where in the spool, and what the stream held besides.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    /// In id order.
    patches: Vec<Spooled>,
    quarantined: Vec<Defect>,
    excluded: Vec<PackedId>,
    notes: Notes,
}

/// A patch of the spool: its chunks, and behind them what its files said, as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Spooled {
    id: PackedId,
    offset: u64,
    chunks: u32,
    told: u32,
    bytes_in: u64,
}

/// Works until the stream is in units.
pub(super) fn work(job: &Job<'_>, sources: &[Source]) -> Result<Worked, IngestError> {
    let index: Option<Index> = record::load(&job.workspace.spool_index())?;
    let index = match index {
        Some(index) => {
            job.recall(&index.quarantined)?;
            index
        }
        None => spool(job, sources)?,
    };
    let records = assemble(job, &index)?;
    let histograms = record::load_histograms(&job.workspace.spool_histograms())?;
    Ok(Worked {
        records,
        defects: index.quarantined,
        excluded: index.excluded,
        notes: index.notes,
        histograms,
    })
}

/// Reads the stream into the spool.
fn spool(job: &Job<'_>, sources: &[Source]) -> Result<Index, IngestError> {
    let mut spooling = Spooling::begin(job)?;
    let sink = &mut |outcome, pixels: &PatchPixels| spooling.take(outcome, pixels);
    let end = flow::run(job, sources, Order::Any, None, sink)?;
    if end.broken {
        return Err(IngestError::Interrupted { finished: 0 });
    }
    stream::check_seen(job, &end)?;
    let mut index = spooling.finish()?;
    index.excluded = end.excluded;
    index.notes.merge(&end.notes);
    record::create(&job.workspace.spool_index(), &index)?;
    Ok(index)
}

/// Spools into a temporary, which becomes the spool when it is complete.
struct Spooling<'a> {
    job: &'a Job<'a>,
    spool: ObjectWriter,
    offset: u64,
    index: Index,
    histograms: Histograms,
}

impl<'a> Spooling<'a> {
    fn begin(job: &'a Job<'a>) -> Result<Self, IngestError> {
        let path = job.workspace.spool();
        Ok(Self {
            job,
            spool: ObjectWriter::begin(&path).map_err(IngestError::writing(&path))?,
            offset: 0,
            index: Index::default(),
            histograms: Histograms::default(),
        })
    }

    fn take(
        &mut self,
        outcome: Outcome,
        pixels: &PatchPixels,
    ) -> Result<ControlFlow<()>, IngestError> {
        match outcome {
            Err(defect) => self.index.quarantined.push(defect),
            Ok(patch) => {
                let split = self.job.catalog.split(&patch.stored.id);
                self.histograms.add(split, pixels);
                self.push(patch)?;
            }
        }
        let stop = self.job.stop_wanted();
        Ok(if stop {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    fn push(&mut self, patch: Converted) -> Result<(), IngestError> {
        patch.note(&mut self.index.notes);
        let path = self.job.workspace.spool();
        let mut bytes = patch.encoded.to_bytes();
        let chunks = bytes.len();
        let told = serde_json::to_writer(&mut bytes, &patch.stored.told);
        told.map_err(|e| IngestError::writing(&path)(e.into()))?;
        self.spool
            .write(&bytes)
            .map_err(IngestError::writing(&path))?;
        self.index.patches.push(Spooled {
            id: PackedId::from(&patch.stored.id),
            offset: self.offset,
            chunks: length(chunks),
            told: length(bytes.len() - chunks),
            bytes_in: patch.bytes,
        });
        self.offset += bytes.len() as u64;
        self.job.encoder.recycle(patch.encoded);
        Ok(())
    }

    /// Everything is on disk before the index, which says so, is.
    fn finish(mut self) -> Result<Index, IngestError> {
        let done = self.spool.commit();
        done.map_err(IngestError::writing(&self.job.workspace.spool()))?;
        record::save_histograms(&self.job.workspace.spool_histograms(), &self.histograms)?;
        self.index.patches.sort_by_key(|p| p.id);
        Ok(self.index)
    }
}

/// Far below 2^32: a patch has 160,000 bytes of pixels, and a label file is capped.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Makes the units that are not finished.
fn assemble(job: &Job<'_>, index: &Index) -> Result<Vec<UnitHead>, IngestError> {
    let units = plan::units(index.patches.len(), job.options.shard_patches);
    let digest =
        |u: &Unit| packed_ids_digest(index.patches[u.patches.clone()].iter().map(|p| p.id));
    let (mut records, mut pending) = (Vec::new(), Vec::new());
    for unit in &units {
        match job.workspace.finished(unit.index, &digest(unit))? {
            // What a record of the time before the disorder was found notes is in the index as well.
            Some(head) => records.push(UnitHead {
                notes: Notes::default(),
                ..head
            }),
            None => pending.push(unit.clone()),
        }
    }
    if pending.is_empty() {
        return Ok(records);
    }
    let path = job.workspace.spool();
    let file = File::open(&path).map_err(IngestError::reading(&path))?;
    let writer = job.writer(index.patches.len() as u64)?;
    let make = |unit: &Unit| {
        let patches = &index.patches[unit.patches.clone()];
        make(job, &file, patches, (unit.index, digest(unit)), &writer)
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

fn make(
    job: &Job<'_>,
    spool: &File,
    patches: &[Spooled],
    (unit, patch_ids_digest): (u64, String),
    writer: &StoreWriter,
) -> Result<UnitHead, IngestError> {
    let path = job.workspace.spool();
    let mut shard = writer.begin_shard(unit)?;
    let mut record = UnitRecord {
        unit,
        patch_ids_digest,
        bytes_in: patches.iter().map(|p| p.bytes_in).sum(),
        ..UnitRecord::default()
    };
    let mut bytes = Vec::new();
    for patch in patches {
        bytes.resize(patch.chunks as usize + patch.told as usize, 0);
        spool
            .read_exact_at(&mut bytes, patch.offset)
            .map_err(IngestError::reading(&path))?;
        let (chunks, told) = bytes.split_at(patch.chunks as usize);
        shard.push(&EncodedPatch::from_bytes(chunks).map_err(WriteError::from)?)?;
        let told = serde_json::from_slice(told).map_err(|e| IngestError::Record {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        record.patches.push(StoredPatch {
            id: patch.id.unpack(),
            told,
        });
    }
    record.objects = shard.end()?;
    job.finish(record, None)
}
