//! Sentinel-1, once the Sentinel-2 units stand: place `i` of a shard is the radar patch of place `i`.
//!
//! Which radar patch belongs to a patch the tables say (`s1_name`), or v1's own label files where they
//! do not. Radar patches lie in another order than the patches they belong to, so archives go through a
//! spool; folders are read where they lie. A patch without Sentinel-1, or with a defective one, stays in
//! the store: its place in the shard is empty.

mod matching;
mod spool;
mod unit;

use std::collections::{BTreeMap, HashSet};

use chipmill_schemas::ingest::S1Summary;
use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::s1::S1Id;
use chipmill_store::{S1Encoder, StoreWriter};

use super::planned::Steps;
use super::{Job, lanes, object_bytes};
use crate::IngestError;
use crate::plan::{self, Plan, S1Plan};
use crate::record::{S1Record, UnitHead};
use crate::source::{Archive, Content, Notes, Source};
use crate::statistics::S1Counts;

use matching::{SECOND, UNREADABLE};
pub(super) use matching::{identities, plan as planned};
use spool::Spool;
use unit::Finder;

/// Sentinel-1 of all units: what it holds.
pub(super) struct S1Worked {
    /// One for each unit, in order.
    pub(super) records: Vec<S1Record>,
    /// Whose Sentinel-1 a patch is, where its own label file said so.
    pub(super) pairs: BTreeMap<PackedId, S1Id>,
    pub(super) notes: Notes,
    pub(super) counts: S1Counts,
}

/// Works until the Sentinel-1 of every unit is finished; nothing where no source of it was given.
pub(super) fn work(
    job: &Job<'_>,
    plan: &Plan,
    sources: &[Source],
    heads: &[UnitHead],
) -> Result<Option<S1Worked>, IngestError> {
    let Some(s1) = &plan.s1 else {
        return Ok(None);
    };
    job.progress.stage("Sentinel-1");
    let archives: Vec<_> = sources.iter().filter_map(archive_of_s1).collect();
    work_all(job, s1, &archives, heads, None).map(Some)
}

/// The end of an ingest in steps: units that engines were to make must be there, those that were dealt
/// out anew are made.
pub(super) fn finalize(
    job: &Job<'_>,
    steps: &Steps,
    heads: &[UnitHead],
) -> Result<Option<S1Worked>, IngestError> {
    let Some(s1) = &steps.s1 else {
        return Ok(None);
    };
    job.progress.stage("Sentinel-1");
    if s1.archives {
        let sources = Source::recognise_all(&steps.options.sources)?;
        let archives: Vec<_> = sources.iter().filter_map(archive_of_s1).collect();
        return work_all(job, s1, &archives, heads, None).map(Some);
    }
    let patches: Vec<_> = steps.folders.patches.iter().collect();
    let units = plan::units(patches.len(), steps.options.shard_patches);
    let digests = units
        .into_iter()
        .map(|u| super::planned::digest(&patches[u.patches]));
    let planned: HashSet<String> = digests.collect();
    work_all(job, s1, &[], heads, Some(&planned)).map(Some)
}

/// Makes the Sentinel-1 of one unit of folders; false when it was there.
pub(super) fn work_unit(
    job: &Job<'_>,
    s1: &S1Plan,
    head: &UnitHead,
    writer: &StoreWriter,
) -> Result<bool, IngestError> {
    let digest = &head.patch_ids_digest;
    if job.workspace.s1_finished(head.unit, digest)?.is_some() {
        return Ok(false);
    }
    job.check_stop(0)?;
    let encoder = S1Encoder::new(job.options.codec);
    let finder = Finder {
        plan: s1,
        spool: None,
    };
    unit::make(job, &finder, &encoder, head, writer)?;
    Ok(true)
}

/// Whether a source is an archive of Sentinel-1.
pub(super) fn is_archive(source: &Source) -> bool {
    archive_of_s1(source).is_some()
}

fn archive_of_s1(source: &Source) -> Option<&Archive> {
    match source {
        Source::Archive(archive) if archive.content == Content::S1 => Some(archive),
        _ => None,
    }
}

/// `theirs` are the digests of units that were others' to make.
fn work_all(
    job: &Job<'_>,
    s1: &S1Plan,
    archives: &[&Archive],
    heads: &[UnitHead],
    theirs: Option<&HashSet<String>>,
) -> Result<S1Worked, IngestError> {
    let mut records = Vec::new();
    let mut todo = Vec::new();
    for head in heads {
        match job
            .workspace
            .s1_finished(head.unit, &head.patch_ids_digest)?
        {
            Some(record) => records.push(record),
            None => todo.push(head),
        }
    }
    let is_theirs = |h: &&&UnitHead| theirs.is_some_and(|t| t.contains(&h.patch_ids_digest));
    let units: Vec<u64> = todo.iter().filter(is_theirs).map(|h| h.unit).collect();
    if !units.is_empty() {
        return Err(IngestError::Unfinished { units });
    }
    let wanted = Wanted::of(job, s1, heads)?;
    let spool = match archives {
        [] => None,
        archives => Some(Spool::fill(job, archives, &wanted, s1, !todo.is_empty())?),
    };
    let finder = Finder {
        plan: s1,
        spool: spool.as_ref(),
    };
    job.recall(records.iter().flat_map(|r| &r.quarantined))?;
    make_all(job, &finder, &todo, heads, &mut records)?;
    let mut counts = S1Counts::default();
    for record in &records {
        counts.merge(&job.workspace.s1_counts(record)?);
    }
    let mut notes = wanted.notes;
    let mut pairs = s1.pairs.clone();
    if let Some(spool) = spool {
        notes.merge(spool.notes());
        for (patch, name) in spool.pairs() {
            pairs.entry(*patch).or_insert(*name);
        }
    }
    Ok(S1Worked {
        records,
        pairs,
        notes,
        counts,
    })
}

fn make_all(
    job: &Job<'_>,
    finder: &Finder<'_>,
    todo: &[&UnitHead],
    heads: &[UnitHead],
    records: &mut Vec<S1Record>,
) -> Result<(), IngestError> {
    let patches = |heads: &mut dyn Iterator<Item = &UnitHead>| -> u64 {
        heads.map(|h| h.stored as u64).sum()
    };
    let all = patches(&mut heads.iter());
    // The meter goes on from the Sentinel-2 patches.
    job.progress.total(Some(2 * all));
    job.progress
        .advance(all - patches(&mut todo.iter().copied()), 0);
    if todo.is_empty() {
        return Ok(());
    }
    let writer = job.writer(all)?;
    let encoder = S1Encoder::new(job.options.codec);
    let make = |head: &&UnitHead| unit::make(job, finder, &encoder, head, &writer);
    records.extend(lanes::make(job, todo, &make)?);
    records.sort_by_key(|r| r.unit);
    if records.len() < heads.len() {
        return Err(IngestError::Interrupted {
            finished: heads.len() as u64,
        });
    }
    Ok(())
}

/// The Sentinel-1 patches that stored patches ask for.
struct Wanted {
    names: HashSet<S1Id>,
    /// Stored patches whose Sentinel-1 no table and no label file in a folder names.
    unnamed: HashSet<PackedId>,
    /// Sentinel-1 patches of folders that no stored patch asks for.
    notes: Notes,
}

const UNUSED: &str = "Sentinel-1 patches without a stored patch, passed over";

impl Wanted {
    fn of(job: &Job<'_>, s1: &S1Plan, heads: &[UnitHead]) -> Result<Self, IngestError> {
        let mut wanted = Self {
            names: HashSet::new(),
            unnamed: HashSet::new(),
            notes: Notes::default(),
        };
        let mut paired = HashSet::new();
        for head in heads {
            for patch in job.workspace.patches(head)? {
                let packed = PackedId::from(&patch.id);
                let named = job.catalog.s1_of(&patch.id);
                match (named, s1.pairs.get(&packed)) {
                    (Some(name), _) => drop(wanted.names.insert(name)),
                    (None, Some(name)) => {
                        paired.insert(packed);
                        wanted.names.insert(*name);
                    }
                    (None, None) => drop(wanted.unnamed.insert(packed)),
                }
            }
        }
        wanted.note(s1, &paired);
        Ok(wanted)
    }

    /// Notes what is not asked for; `paired` are the stored patches that label files gave theirs.
    fn note(&mut self, s1: &S1Plan, paired: &HashSet<PackedId>) {
        let asks = !paired.is_empty() || !self.unnamed.is_empty();
        let unreadable = s1.unreadable.iter().filter(|_| asks);
        let seconds = s1.seconds.iter().filter(|s| paired.contains(&s.0));
        let mut noted: HashSet<S1Id> = HashSet::new();
        for (id, reason) in unreadable {
            noted.insert(*id);
            self.notes.add(UNREADABLE, reason);
        }
        for (_, id) in seconds {
            noted.insert(*id);
            self.notes.add(SECOND, &id.text());
        }
        for (id, _) in &s1.patches {
            if !self.names.contains(id) && !noted.contains(id) {
                self.notes.add(UNUSED, &id.text());
            }
        }
    }
}

impl S1Worked {
    /// The balance of Sentinel-1.
    pub(super) fn summary(&self, job: &Job<'_>, notes: &mut Notes) -> S1Summary {
        let mut summary = S1Summary::default();
        for record in &self.records {
            notes.merge(&record.notes);
            summary.s1_patches += record.present;
            summary.s1_bytes_in += record.bytes_in;
            summary.s1_bytes_out += object_bytes(&record.objects);
            summary
                .s1_defects
                .extend(record.quarantined.iter().cloned());
            let missing = record.missing.iter().map(ToString::to_string);
            summary.s1_missing_ids.extend(missing);
        }
        summary.s1_quarantined = summary.s1_defects.len() as u64;
        summary.s1_missing = summary.s1_missing_ids.len() as u64;
        if job.options.allow_subset {
            for id in summary.s1_missing_ids.drain(..) {
                notes.add("patches without Sentinel-1, as a subset may be", &id);
            }
            summary.s1_excluded = std::mem::take(&mut summary.s1_missing);
        }
        summary
    }
}
