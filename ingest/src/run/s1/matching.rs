//! Which Sentinel-1 patches the folders hold, and whose those are that no table names.

use std::collections::btree_map::Entry;
use std::path::PathBuf;

use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::s1::S1Id;
use rayon::prelude::*;

use super::super::Job;
use super::archive_of_s1;
use crate::IngestError;
use crate::catalog::s1_label_file;
use crate::plan::S1Plan;
use crate::source::folder::Listing;
use crate::source::s1::{RawS1, S1Files, S1Role};
use crate::source::{Flaw, ReadFailure, Source};

/// Label files that were opened and cannot be used.
pub(super) const UNREADABLE: &str =
    "Sentinel-1 label files that cannot be read, their patches are not matched";

/// Radar patches beside the one that a patch got.
pub(super) const SECOND: &str =
    "Sentinel-1 patches of a patch that has another one, which comes first by name";

/// The plan of Sentinel-1, where a source of it was given.
pub(in crate::run) fn plan(
    job: &Job<'_>,
    sources: &[Source],
    listing: &Listing,
) -> Result<Option<S1Plan>, IngestError> {
    let archives = sources.iter().any(|s| archive_of_s1(s).is_some());
    if !archives && listing.s1.is_empty() {
        return Ok(None);
    }
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(IngestError::reading(path));
    let mut plan = S1Plan {
        archives,
        parents: listing
            .parents
            .iter()
            .map(absolute)
            .collect::<Result<_, _>>()?,
        patches: listing.s1.clone(),
        ..S1Plan::default()
    };
    pair(job, &mut plan)?;
    Ok(Some(plan))
}

/// What tells these sources from others, in words.
pub(in crate::run) fn identities(
    sources: &[Source],
    s1: Option<&S1Plan>,
) -> Result<Vec<String>, IngestError> {
    let mut said = Vec::new();
    for archive in sources.iter().filter_map(archive_of_s1) {
        let path = PathBuf::from(archive.input.name());
        let identity = archive.input.identity();
        said.push(identity.map_err(IngestError::reading(&path))?);
    }
    if let Some(s1) = s1.filter(|s1| !s1.patches.is_empty()) {
        let mut hasher = blake3::Hasher::new();
        for (id, _) in &s1.patches {
            hasher.update(id.text().as_bytes()).update(b"\n");
        }
        for (patch, id) in &s1.pairs {
            hasher.update(format!("{patch} {id}\n").as_bytes());
        }
        let (patches, digest) = (s1.patches.len(), hasher.finalize().to_hex());
        said.push(format!(
            "folders with {patches} patches ({})",
            &digest[..16]
        ));
    }
    Ok(said)
}

/// Reads the label files of the patches that no table names.
fn pair(job: &Job<'_>, plan: &mut S1Plan) -> Result<(), IngestError> {
    let named = job.catalog.s1_names();
    let unnamed = plan
        .patches
        .par_iter()
        .filter(|(id, _)| !named.contains(id));
    let read: Vec<(S1Id, Told)> = job.pool.install(|| {
        let told = unnamed.map(|(id, parent)| {
            let folder = plan.parents[*parent as usize].join(id.text());
            let raw = RawS1 {
                id: *id,
                files: S1Files::Folder(folder),
            };
            told(&raw).map(|told| (*id, told))
        });
        told.collect::<Result<_, _>>()
    })?;
    for (id, told) in read {
        match told {
            Told::Nothing => {}
            Told::Nonsense(reason) => plan.unreadable.push((id, reason)),
            // In order of names: the first stays.
            Told::Of(patch) => match plan.pairs.entry(patch) {
                Entry::Vacant(place) => drop(place.insert(id)),
                Entry::Occupied(_) => plan.seconds.push((patch, id)),
            },
        }
    }
    Ok(())
}

/// What a label file says.
pub(super) enum Told {
    /// There is none.
    Nothing,
    /// It cannot be used, for this reason.
    Nonsense(String),
    Of(PackedId),
}

/// Reads the label file of a Sentinel-1 patch.
pub(super) fn told(raw: &RawS1) -> Result<Told, IngestError> {
    let file = S1Role::Labels.file_name(raw.id);
    let mut scratch = Vec::new();
    match raw.read(S1Role::Labels, &mut scratch) {
        Ok(bytes) => Ok(match s1_label_file::read(bytes) {
            Ok(patch) => Told::Of(PackedId::from(&patch)),
            Err(reason) => Told::Nonsense(format!("{file} {reason}")),
        }),
        Err(ReadFailure::Flaw(Flaw::Missing)) => Ok(Told::Nothing),
        Err(ReadFailure::Flaw(flaw)) => Ok(Told::Nonsense(flaw.reason(&file))),
        Err(ReadFailure::System(error)) => Err(error),
    }
}
