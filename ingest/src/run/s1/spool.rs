//! Sentinel-1 from archives: the pixels that are wanted go to a file as they come.
//!
//! Memory holds an index of about 50 bytes a patch. An interrupted spool begins anew; a complete one (its
//! index is there) is not read from the archives again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::s1::S1Id;
use chipmill_store::{ObjectWriter, S1Pixels, WriteError};
use crossbeam_channel::{Receiver as Incoming, Sender, bounded};
use serde::{Deserialize, Serialize};

use super::super::{Job, join};
use super::matching::{SECOND, Told, UNREADABLE, told};
use super::{UNUSED, Wanted};
use crate::IngestError;
use crate::decode::s1::{DecodedS1, NoS1, decode};
use crate::plan::S1Plan;
use crate::record;
use crate::source::archive::{self, S1Receiver};
use crate::source::folder::S1_REPEATED;
use crate::source::s1::RawS1;
use crate::source::{Archive, Notes};

/// Patches in flight between the reader of an archive and the threads that decode.
const WINDOW: usize = 32;

/// What lies where in the spool, and what the archives held besides.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    /// In order of names; the `k`-th patch of the spool begins at `k` times its length.
    patches: Vec<(S1Id, Spooled)>,
    pairs: BTreeMap<PackedId, S1Id>,
    notes: Notes,
}

/// One patch of the spool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Spooled {
    /// Its place, the bytes of its files, and how many of these went through GDAL.
    At(u64, u64, u64),
    /// The reason, in words.
    Defective(String),
}

/// A complete spool.
pub(super) struct Spool {
    index: Index,
    file: Option<File>,
}

impl Spool {
    /// Reads the archives into the spool, unless it is complete. Pixels are only needed where units are
    /// still to be made.
    pub(super) fn fill(
        job: &Job<'_>,
        archives: &[&Archive],
        wanted: &Wanted,
        s1: &S1Plan,
        needs_pixels: bool,
    ) -> Result<Self, IngestError> {
        let kept: Option<Index> = record::load(&job.workspace.s1_spool_index())?;
        let index = match kept {
            Some(index) => index,
            None => fill(job, archives, wanted, s1)?,
        };
        let path = job.workspace.s1_spool();
        let open = || File::open(&path).map_err(IngestError::reading(&path));
        let file = needs_pixels.then(open).transpose()?;
        Ok(Self { index, file })
    }

    pub(super) fn notes(&self) -> &Notes {
        &self.index.notes
    }

    pub(super) fn pairs(&self) -> &BTreeMap<PackedId, S1Id> {
        &self.index.pairs
    }

    /// The patch of that name.
    pub(super) fn find(&self, id: S1Id) -> Option<&Spooled> {
        let patches = &self.index.patches;
        let at = patches.binary_search_by_key(&id, |p| p.0).ok()?;
        Some(&patches[at].1)
    }

    /// Reads the pixels at a place.
    pub(super) fn read(
        &self,
        job: &Job<'_>,
        place: u64,
        scratch: &mut Vec<u8>,
        pixels: &mut S1Pixels,
    ) -> Result<(), IngestError> {
        let path = job.workspace.s1_spool();
        let length = spooled_length();
        scratch.resize(length, 0);
        let read = match &self.file {
            Some(file) => file.read_exact_at(scratch, place * length as u64),
            None => Err(std::io::ErrorKind::NotFound.into()),
        };
        read.map_err(IngestError::reading(&path))?;
        Ok(pixels.fill_from(scratch).map_err(WriteError::from)?)
    }
}

/// Bytes of a spooled patch: the pixels and their checksum.
const fn spooled_length() -> usize {
    chipmill_schemas::s1::S1_LEN * size_of::<f32>() + size_of::<u32>()
}

/// What a patch of an archive became: its bytes in the spool, or the reason why there are none.
type Arrival = (S1Id, Result<(Vec<u8>, DecodedS1), String>);

fn fill(
    job: &Job<'_>,
    archives: &[&Archive],
    wanted: &Wanted,
    s1: &S1Plan,
) -> Result<Index, IngestError> {
    let path = job.workspace.s1_spool();
    let mut spool = ObjectWriter::begin(&path).map_err(IngestError::writing(&path))?;
    let mut index = Index::default();
    let mut place = 0;
    let mut reader = Reader {
        job,
        wanted,
        named: match wanted.unnamed.is_empty() {
            true => HashSet::new(),
            false => job.catalog.s1_names(),
        },
        seen: s1.patches.iter().map(|p| p.0).collect(),
        pairs: HashMap::new(),
        notes: Notes::default(),
        raw_out: None,
    };
    for archive in archives {
        stream(job, archive, &mut reader, &mut |(id, outcome)| {
            let entry = match outcome {
                Err(reason) => Spooled::Defective(reason),
                Ok((bytes, decoded)) => {
                    let written = spool.write(&bytes);
                    written.map_err(IngestError::writing(&path))?;
                    place += 1;
                    Spooled::At(place - 1, decoded.bytes, decoded.through_gdal)
                }
            };
            index.patches.push((id, entry));
            Ok(())
        })?;
    }
    spool.commit().map_err(IngestError::writing(&path))?;
    index.patches.sort_by_key(|p| p.0);
    index.pairs = reader.pairs.into_iter().collect();
    index.notes.merge(&reader.notes);
    record::create(&job.workspace.s1_spool_index(), &index)?;
    Ok(index)
}

/// Streams an archive: one thread reads, others decode, this one takes the outcomes as they come.
fn stream(
    job: &Job<'_>,
    archive: &Archive,
    reader: &mut Reader<'_>,
    take: &mut dyn FnMut(Arrival) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let (raw_out, raw_in) = bounded::<RawS1>(WINDOW);
    let (arrived, arrivals) = bounded(WINDOW);
    reader.raw_out = Some(raw_out);
    std::thread::scope(|scope| {
        for _ in 0..job.pool.current_num_threads() {
            let (raw_in, arrived) = (raw_in.clone(), arrived.clone());
            scope.spawn(move || decode_all(&raw_in, &arrived));
        }
        drop((raw_in, arrived));
        let reading = scope.spawn(move || {
            let notes = archive::stream_s1(archive, reader);
            // With the sender gone the threads end.
            reader.raw_out = None;
            notes.map(|notes| reader.notes.merge(&notes))
        });
        // With nobody receiving, the archive's reader ends at its next patch.
        let taken = arrivals
            .into_iter()
            .try_for_each(|a| a.and_then(&mut *take));
        join(reading)?;
        taken
    })?;
    job.check_stop(0)
}

fn decode_all(raw_in: &Incoming<RawS1>, arrived: &Sender<Result<Arrival, IngestError>>) {
    let (mut pixels, mut scratch) = (S1Pixels::absent(), Vec::new());
    for raw in raw_in {
        let outcome = match decode(&raw, &mut scratch, &mut pixels) {
            Ok(decoded) => {
                let mut bytes = Vec::with_capacity(spooled_length());
                let spooled = pixels.to_bytes(&mut bytes);
                spooled.map(|()| Ok((bytes, decoded))).map_err(Into::into)
            }
            Err(NoS1::Defect(reason)) => Ok(Err(reason)),
            Err(NoS1::System(error)) => Err(error),
        };
        if arrived.send(outcome.map(|o| (raw.id, o))).is_err() {
            return;
        }
    }
}

/// Gives the wanted patches of an archive to the threads that decode.
struct Reader<'a> {
    job: &'a Job<'a>,
    wanted: &'a Wanted,
    /// What the tables name, where label files are asked for what they do not.
    named: HashSet<S1Id>,
    /// In folders, or earlier in an archive.
    seen: HashSet<S1Id>,
    pairs: HashMap<PackedId, S1Id>,
    notes: Notes,
    raw_out: Option<Sender<RawS1>>,
}

impl Reader<'_> {
    /// Whether the patch's own label file may tell that it is wanted.
    fn must_look(&self, id: S1Id) -> bool {
        !self.wanted.unnamed.is_empty() && !self.named.contains(&id)
    }

    /// Whether a patch that no table names belongs to a stored one, which gets the first by name.
    fn is_paired(&mut self, raw: &RawS1) -> Result<bool, IngestError> {
        match told(raw)? {
            Told::Nothing => {}
            Told::Nonsense(reason) => {
                self.notes.add(UNREADABLE, &reason);
                return Ok(false);
            }
            Told::Of(patch) if self.wanted.unnamed.contains(&patch) => {
                match self.pairs.get_mut(&patch) {
                    Some(other) => {
                        let (first, second) = (raw.id.min(*other), raw.id.max(*other));
                        self.notes.add(SECOND, &second.text());
                        let is_first = first != *other;
                        *other = first;
                        return Ok(is_first);
                    }
                    None => drop(self.pairs.insert(patch, raw.id)),
                }
                return Ok(true);
            }
            Told::Of(_) => {}
        }
        self.notes.add(UNUSED, &raw.id.text());
        Ok(false)
    }

    fn let_in(&mut self, raw: RawS1) -> Result<bool, IngestError> {
        let wants = self.wanted.names.contains(&raw.id) || self.is_paired(&raw)?;
        let send = |raw| {
            self.raw_out
                .as_ref()
                .is_some_and(|out| out.send(raw).is_ok())
        };
        Ok(!wants || send(raw))
    }
}

impl S1Receiver for Reader<'_> {
    fn wants(&mut self, id: S1Id) -> bool {
        let is_new = !self.seen.contains(&id);
        is_new && (self.wanted.names.contains(&id) || self.must_look(id))
    }

    fn receive(&mut self, id: S1Id, patch: Option<RawS1>) -> ControlFlow<()> {
        let goes_on = if !self.seen.insert(id) {
            self.notes.add(S1_REPEATED, &id.text());
            true
        } else if let Some(raw) = patch {
            // Files in memory are read without the system.
            self.let_in(raw).unwrap_or(false)
        } else {
            self.notes.add(UNUSED, &id.text());
            true
        };
        if goes_on && !self.job.stop_wanted() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}
