//! The Sentinel-1 of one unit: its shard, its statistics and its record.

use std::sync::{Mutex, PoisonError};

use chipmill_schemas::ingest::Defect;
use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch::Split;
use chipmill_schemas::patch_id::PatchId;
use chipmill_schemas::s1::S1Id;
use chipmill_store::{S1Encoder, S1Pixels, StoreWriter};
use rayon::prelude::*;

use super::super::Job;
use super::spool::{Spool, Spooled};
use crate::IngestError;
use crate::decode;
use crate::decode::s1::{DecodedS1, NoS1};
use crate::plan::S1Plan;
use crate::record::{S1Record, StoredPatch, UnitHead};
use crate::source::s1::{RawS1, S1Files};
use crate::statistics::{S1Classes, S1Counts, S1Sums};

/// Patches a thread between two writes.
const GRAIN: usize = 16;

/// Where Sentinel-1 patches are found.
pub(super) struct Finder<'a> {
    pub(super) plan: &'a S1Plan,
    /// What archives held.
    pub(super) spool: Option<&'a Spool>,
}

/// What a thread works with.
#[derive(Default)]
struct Bench {
    pixels: S1Pixels,
    scratch: Vec<u8>,
    classes: S1Classes,
}

/// What became of the Sentinel-1 of one patch.
enum Outcome {
    Present(Present),
    Missing,
    Defective(Defect),
}

struct Present {
    chunk: Vec<u8>,
    split: Option<Split>,
    sums: S1Sums,
    decoded: DecodedS1,
}

/// Makes the Sentinel-1 shard of a unit, and records it.
pub(super) fn make(
    job: &Job<'_>,
    finder: &Finder<'_>,
    encoder: &S1Encoder,
    head: &UnitHead,
    writer: &StoreWriter,
) -> Result<S1Record, IngestError> {
    let patches = job.workspace.patches(head)?;
    let benches = Mutex::new(Vec::new());
    let mut record = S1Record {
        unit: head.unit,
        patch_ids_digest: head.patch_ids_digest.clone(),
        patches: head.stored as u64,
        ..S1Record::default()
    };
    let mut counts = S1Counts::default();
    let mut shard = writer.begin_s1_shard(head.unit)?;
    for block in patches.chunks(GRAIN * job.pool.current_num_threads()) {
        let outcomes = convert_block(job, finder, encoder, block, &benches)?;
        let bytes_before = record.bytes_in;
        for (patch, outcome) in block.iter().zip(outcomes) {
            let chunk = take(&mut record, &mut counts, &patch.id, outcome);
            shard.push(chunk.as_deref())?;
        }
        let bytes = record.bytes_in - bytes_before;
        job.progress.advance(block.len() as u64, bytes);
    }
    record.objects = vec![shard.end()?];
    let benches = benches.into_inner().unwrap_or_else(PoisonError::into_inner);
    benches
        .iter()
        .for_each(|b: &Bench| counts.add_classes(&b.classes));
    job.workspace.finish_s1(&record, &counts)?;
    Ok(record)
}

/// Takes an outcome into the record; gives the chunk of a patch that has one.
fn take(
    record: &mut S1Record,
    counts: &mut S1Counts,
    id: &PatchId,
    outcome: Outcome,
) -> Option<Vec<u8>> {
    match outcome {
        Outcome::Present(present) => {
            record.present += 1;
            record.bytes_in += present.decoded.bytes;
            counts.add(present.split, &present.sums);
            if present.decoded.through_gdal > 0 {
                let kind = "Sentinel-1 read through GDAL, not in the official TIFF layout";
                record.notes.add(kind, id.as_str());
            }
            return Some(present.chunk);
        }
        Outcome::Missing => record.missing.push(id.clone()),
        Outcome::Defective(defect) => record.quarantined.push(defect),
    }
    None
}

fn convert_block(
    job: &Job<'_>,
    finder: &Finder<'_>,
    encoder: &S1Encoder,
    patches: &[StoredPatch],
    benches: &Mutex<Vec<Bench>>,
) -> Result<Vec<Outcome>, IngestError> {
    let free = || benches.lock().unwrap_or_else(PoisonError::into_inner);
    let convert = |grain: &[StoredPatch]| {
        let mut bench = free().pop().unwrap_or_default();
        let ids = grain.iter().map(|p| &p.id);
        let outcomes = ids.map(|id| convert(job, finder, encoder, id, &mut bench));
        let outcomes: Result<Vec<_>, IngestError> = outcomes.collect();
        free().push(bench);
        outcomes
    };
    let outcomes: Result<Vec<Vec<_>>, _> = match job.pool.current_num_threads() {
        1 => patches.chunks(GRAIN).map(convert).collect(),
        _ => {
            let grains = || patches.par_chunks(GRAIN / 4).map(convert).collect();
            job.pool.install(grains)
        }
    };
    Ok(outcomes?.into_iter().flatten().collect())
}

fn convert(
    job: &Job<'_>,
    finder: &Finder<'_>,
    encoder: &S1Encoder,
    id: &PatchId,
    bench: &mut Bench,
) -> Result<Outcome, IngestError> {
    let decoded = match finder.read(job, id, bench)? {
        Read::Whole(decoded) => decoded,
        Read::Missing => return Ok(Outcome::Missing),
        Read::Defective(reason) => {
            let reason = format!("stored without Sentinel-1: {reason}");
            let defect = decode::defect(id, None, reason);
            job.quality.quarantine(&defect)?;
            return Ok(Outcome::Defective(defect));
        }
    };
    let split = job.catalog.split(id);
    let sums = bench.classes.add(split, &bench.pixels);
    let mut chunk = Vec::new();
    encoder.encode(&bench.pixels, &mut chunk)?;
    Ok(Outcome::Present(Present {
        chunk,
        split,
        sums,
        decoded,
    }))
}

enum Read {
    Whole(DecodedS1),
    Missing,
    Defective(String),
}

impl Finder<'_> {
    /// The radar patch of a patch: as the tables name it, or its own label file.
    fn name_of(&self, job: &Job<'_>, id: &PatchId) -> Option<S1Id> {
        job.catalog.s1_of(id).or_else(|| {
            let packed = PackedId::from(id);
            let in_archives = || self.spool?.pairs().get(&packed).copied();
            self.plan.pairs.get(&packed).copied().or_else(in_archives)
        })
    }

    /// Reads the pixels of a patch; folders come before archives.
    fn read(&self, job: &Job<'_>, id: &PatchId, bench: &mut Bench) -> Result<Read, IngestError> {
        let Some(name) = self.name_of(job, id) else {
            return Ok(Read::Missing);
        };
        let (scratch, pixels) = (&mut bench.scratch, &mut bench.pixels);
        if let Ok(at) = self.plan.patches.binary_search_by_key(&name, |p| p.0) {
            let parent = &self.plan.parents[self.plan.patches[at].1 as usize];
            let files = S1Files::Folder(parent.join(name.text()));
            let raw = RawS1 { id: name, files };
            return match decode::s1::decode(&raw, scratch, pixels) {
                Ok(decoded) => Ok(Read::Whole(decoded)),
                Err(NoS1::Defect(reason)) => Ok(Read::Defective(reason)),
                Err(NoS1::System(error)) => Err(error),
            };
        }
        let spooled = self.spool.and_then(|s| Some((s, s.find(name)?)));
        match spooled {
            None => Ok(Read::Missing),
            Some((_, Spooled::Defective(reason))) => Ok(Read::Defective(reason.clone())),
            Some((spool, Spooled::At(place, bytes, through_gdal))) => {
                spool.read(job, *place, scratch, pixels)?;
                Ok(Read::Whole(DecodedS1 {
                    bytes: *bytes,
                    through_gdal: *through_gdal,
                }))
            }
        }
    }
}
