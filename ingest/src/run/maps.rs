//! The reference maps among the sources, read before anything is planned: they decide over labels, and
//! labels may decide over what is wanted.
//!
//! What they gave is kept in `.ingest`, so that a repeated ingest does not decode half a million maps
//! again.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use chipmill_schemas::label::LabelSet;
use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch_id::PatchId;
use crossbeam_channel::{Sender, bounded};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Job;
use crate::IngestError;
use crate::catalog::reference_map;
use crate::record;
use crate::source::archive::{self, Receiver};
use crate::source::folder::{self, Listing};
use crate::source::{Archive, Content, FileRole, Notes, RawPatch, ReadFailure, Source};

/// Maps in flight between the reader of an archive and the threads that decode.
const WINDOW: usize = 64;

/// What all maps gave, as `.ingest/reference_maps.json` keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Maps {
    /// Where it comes from, and the share asked for.
    identity: String,
    labels: BTreeMap<PackedId, LabelSet>,
    pub(super) notes: Notes,
}

/// Reads the maps of all sources into the catalog.
pub(super) fn read(
    job: &mut Job<'_>,
    sources: &[Source],
    listing: &Listing,
) -> Result<Notes, IngestError> {
    let archives: Vec<_> = sources.iter().filter_map(archive_of_maps).collect();
    if archives.is_empty() && listing.maps.is_empty() {
        return Ok(Notes::default());
    }
    let identity = identity(job, &archives, listing)?;
    let path = job.workspace.reference_maps();
    let kept: Option<Maps> = record::load(&path)?;
    let maps = match kept.filter(|m| m.identity == identity) {
        Some(maps) => maps,
        None => {
            job.progress.stage("reference maps");
            let mut maps = decode_all(job, &archives, listing)?;
            maps.identity = identity;
            record::replace(&path, &maps)?;
            maps
        }
    };
    job.catalog.add_mapped(maps.labels);
    Ok(maps.notes)
}

/// Takes in what an earlier call read.
pub(super) fn recall(job: &mut Job<'_>) -> Result<(), IngestError> {
    let kept: Option<Maps> = record::load(&job.workspace.reference_maps())?;
    if let Some(maps) = kept {
        job.catalog.add_mapped(maps.labels);
    }
    Ok(())
}

fn archive_of_maps(source: &Source) -> Option<&Archive> {
    match source {
        Source::Archive(archive) if archive.content == Content::ReferenceMaps => Some(archive),
        _ => None,
    }
}

fn identity(
    job: &Job<'_>,
    archives: &[&Archive],
    listing: &Listing,
) -> Result<String, IngestError> {
    let mut parts = vec![format!("share {}", job.options.map_min_share)];
    for archive in archives {
        let path = std::path::PathBuf::from(archive.input.name());
        parts.push(
            archive
                .input
                .identity()
                .map_err(IngestError::reading(&path))?,
        );
    }
    let ids = chipmill_store::packed_ids_digest(listing.maps.iter().map(|m| m.0));
    parts.push(format!("folders with {} maps ({ids})", listing.maps.len()));
    Ok(parts.join("; "))
}

/// One map: its patch, and its classes or the reason why it has none.
type Decoded = (PatchId, Result<LabelSet, String>);

fn decode_all(
    job: &Job<'_>,
    archives: &[&Archive],
    listing: &Listing,
) -> Result<Maps, IngestError> {
    let mut maps = Maps::default();
    let of_folders: Vec<Decoded> = job.pool.install(|| {
        let maps = listing.maps.par_iter();
        maps.map(|(id, parent)| (id.unpack(), *parent))
            .filter(|(id, _)| job.catalog.names(id))
            .map(|(id, parent)| decode(job, &folder::raw(&listing.parents, id, parent)))
            .collect::<Result<_, _>>()
    })?;
    of_folders.into_iter().for_each(|m| maps.take(m));
    for archive in archives {
        decode_archive(job, archive, &mut maps)?;
    }
    Ok(maps)
}

fn decode(job: &Job<'_>, raw: &RawPatch) -> Result<Decoded, IngestError> {
    let role = FileRole::ReferenceMap;
    let file = role.file_name(raw.id.as_str());
    let mut scratch = Vec::new();
    let labels = match raw.read(role, &mut scratch) {
        Ok(bytes) => {
            let labels = reference_map::read(bytes, job.options.map_min_share);
            labels.map_err(|reason| format!("{file} {reason}"))
        }
        Err(ReadFailure::Flaw(flaw)) => Err(flaw.reason(&file)),
        Err(ReadFailure::System(error)) => return Err(error),
    };
    Ok((raw.id.clone(), labels))
}

fn decode_archive(job: &Job<'_>, archive: &Archive, maps: &mut Maps) -> Result<(), IngestError> {
    let (raw_out, raw_in) = bounded::<RawPatch>(WINDOW);
    let (decoded_out, decoded_in) = bounded(WINDOW);
    std::thread::scope(|scope| {
        for _ in 0..job.pool.current_num_threads() {
            let (raw_in, decoded_out) = (raw_in.clone(), decoded_out.clone());
            // With nobody receiving, the archive's reader ends at its next map.
            scope.spawn(move || {
                raw_in
                    .iter()
                    .all(|raw| decoded_out.send(decode(job, &raw)).is_ok())
            });
        }
        drop((raw_in, decoded_out));
        let mut splitter = Splitter { job, raw_out };
        let reader = scope.spawn(move || archive::stream(archive, &mut splitter));
        let taken = decoded_in
            .into_iter()
            .try_for_each(|decoded| decoded.map(|m| maps.take(m)));
        let notes = super::join(reader)?;
        maps.notes.merge(&notes);
        taken
    })?;
    if job.stop_wanted() {
        return Err(IngestError::Interrupted { finished: 0 });
    }
    Ok(())
}

impl Maps {
    /// A map that cannot be used leaves its patch without 43-class labels; it is no defect of it.
    fn take(&mut self, (id, labels): Decoded) {
        match labels {
            Ok(labels) => {
                self.labels.entry(PackedId::from(&id)).or_insert(labels);
            }
            Err(reason) => {
                let kind = "reference maps that cannot be used, labels/43 stay unknown";
                self.notes.add(kind, &reason);
            }
        }
    }
}

/// Gives the maps of an archive to the threads that decode.
struct Splitter<'a> {
    job: &'a Job<'a>,
    raw_out: Sender<RawPatch>,
}

impl Receiver for Splitter<'_> {
    fn wants(&mut self, id: &PatchId) -> bool {
        self.job.catalog.names(id)
    }

    fn receive(&mut self, _: PatchId, patch: Option<RawPatch>) -> ControlFlow<()> {
        let gone = patch.is_some_and(|patch| self.raw_out.send(patch).is_err());
        if gone || self.job.stop_wanted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
