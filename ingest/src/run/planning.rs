//! The plan of this ingest, and whether the store's folder is free for it.

use std::path::{Path, PathBuf};

use chipmill_schemas::ingest::IngestSummary;
use chipmill_store::layout::{INGEST, NODE};
use chipmill_store::packed_ids_digest;
use rayon::prelude::*;

use super::{Job, maps, s1};
use crate::plan::{self, FolderPlan, Plan, PlanHead, PlannedPatch, S1Plan};
use crate::record;
use crate::source::folder::Listing;
use crate::source::{Content, Source};
use crate::{IngestError, IngestOptions};

/// Looks at the sources and plans. Writes nothing but what the reference maps gave.
pub(super) fn plan(job: &mut Job<'_>, sources: &[Source]) -> Result<Plan, IngestError> {
    check_place(job)?;
    let mut listing = list(job, sources)?;
    let notes = maps::read(job, sources, &listing)?;
    listing.notes.merge(&notes);
    let s1 = s1::planned(job, sources, &listing)?;
    let s1_said = s1::identities(sources, s1.as_ref())?;
    if sources.iter().any(is_archive_of_patches) {
        let others = sources.iter().filter(|s| !s1::is_archive(s));
        let said = others
            .map(|s| identity(s, &listing))
            .collect::<Result<Vec<_>, _>>()?;
        return planned(job, (&said, &s1_said), None, s1);
    }
    let folders = deal(job, listing)?;
    let digest = packed_ids_digest(folders.patches.iter().map(|p| p.0));
    let said = format!(
        "folders with {} patches to store ({}) and {} defective ones",
        folders.patches.len(),
        short(&digest),
        folders.defects.len()
    );
    planned(job, (&[said], &s1_said), Some(folders), s1)
}

fn planned(
    job: &Job<'_>,
    (sources, s1_sources): (&[String], &[String]),
    folders: Option<FolderPlan>,
    s1: Option<S1Plan>,
) -> Result<Plan, IngestError> {
    let terms = plan::terms(job.options, &job.catalog, sources, s1_sources);
    Ok(Plan {
        fingerprint: plan::fingerprint(&terms),
        terms,
        writer: plan::WRITER.to_owned(),
        options: absolute(job.options)?,
        folders,
        s1,
    })
}

/// The options with paths that hold wherever a unit is worked on.
fn absolute(options: &IngestOptions) -> Result<IngestOptions, IngestError> {
    let absolute = |path: &PathBuf| match path.as_os_str() {
        name if name == "-" => Ok(path.clone()),
        _ => std::path::absolute(path).map_err(IngestError::reading(path)),
    };
    let all = |paths: &[PathBuf]| paths.iter().map(absolute).collect::<Result<_, _>>();
    Ok(IngestOptions {
        sources: all(&options.sources)?,
        metadata: all(&options.metadata)?,
        patches: options.patches.as_ref().map(absolute).transpose()?,
        ..options.clone()
    })
}

fn is_archive_of_patches(source: &Source) -> bool {
    matches!(source, Source::Archive(a) if a.content == Content::Patches)
}

/// All folders among the sources.
fn list(job: &Job<'_>, sources: &[Source]) -> Result<Listing, IngestError> {
    let mut listing = Listing::default();
    for source in sources {
        if let Source::Folder(path) = source {
            listing.merge(job.pool.install(|| Listing::of(path))?);
        }
    }
    Ok(listing)
}

/// Sorts the listed patches into those to store, those that lack a file, and those not wanted.
fn deal(job: &Job<'_>, listing: Listing) -> Result<FolderPlan, IngestError> {
    if listing.patches.is_empty() {
        return Err(no_patches(job, &listing.notes.lines()));
    }
    let wanted = job.pool.install(|| {
        let patches = listing.patches.par_iter();
        patches
            .map(|p| job.wants(&listing.raw(p)))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let mut folders = FolderPlan {
        parents: listing
            .parents
            .iter()
            .map(absolute_folder)
            .collect::<Result<_, _>>()?,
        notes: listing.notes,
        ..FolderPlan::default()
    };
    let (mut taken, found) = (0, listing.patches.len());
    let most = wanted.iter().filter(|wanted| **wanted).count();
    folders.patches.reserve_exact(most.min(job.limit()));
    for (patch, wanted) in listing.patches.into_iter().zip(wanted) {
        if !wanted || taken == job.limit() {
            folders.excluded.push(patch.id);
            continue;
        }
        taken += 1;
        match patch.defect() {
            None => folders.patches.push(PlannedPatch(patch.id, patch.parent)),
            Some(defect) => {
                job.quality.quarantine(&defect)?;
                folders.defects.push(defect);
            }
        }
    }
    if taken == 0 {
        return Err(IngestError::NothingSelected { found });
    }
    Ok(folders)
}

fn absolute_folder(path: &PathBuf) -> Result<PathBuf, IngestError> {
    std::path::absolute(path).map_err(IngestError::reading(path))
}

/// The error of an ingest whose sources hold no patch.
pub(super) fn no_patches(job: &Job<'_>, notes: &[String]) -> IngestError {
    let paths: Vec<_> = job
        .options
        .sources
        .iter()
        .map(|p| p.display().to_string())
        .collect();
    let notes = if notes.is_empty() {
        "found nothing".to_owned()
    } else {
        notes.join("; ")
    };
    IngestError::NoPatches {
        sources: paths.join(", "),
        notes,
    }
}

/// What tells one source from another, whatever its name and place.
fn identity(source: &Source, listing: &Listing) -> Result<String, IngestError> {
    match source {
        Source::Folder(_) => {
            let digest = packed_ids_digest(listing.patches.iter().map(|p| p.id));
            let patches = listing.patches.len();
            Ok(format!(
                "folders with {patches} patches ({})",
                short(&digest)
            ))
        }
        Source::Archive(archive) => {
            let path = PathBuf::from(archive.input.name());
            archive
                .input
                .identity()
                .map_err(IngestError::reading(&path))
        }
    }
}

fn short(digest: &str) -> &str {
    &digest[..digest.len().min(16)]
}

/// Makes the plan that of the store's folder, or finds that it is already. Gives the summary of an
/// ingest that is finished.
///
/// # Errors
/// [`IngestError::OtherPlan`] and [`IngestError::Occupied`] when the folder is not free for it.
pub(super) fn settle(job: &Job<'_>, plan: &Plan) -> Result<Option<IngestSummary>, IngestError> {
    let store = &job.options.store;
    let path = job.workspace.plan();
    check_place(job)?;
    if !exists(&path)? {
        chipmill_store::check_creation(&path).map_err(IngestError::writing(&path))?;
        // Another process may plan the same at this moment: then its plan decides.
        record::create(&path, plan)?;
    }
    let settled: Option<PlanHead> = plan::load(&path)?;
    match settled {
        Some(settled) if settled.fingerprint == plan.fingerprint => {}
        Some(settled) => {
            let differences = plan::differences(&settled.terms, &plan.terms);
            return Err(IngestError::OtherPlan {
                store: store.clone(),
                differences,
            });
        }
        None => {
            let reason = "its plan went away while it was read; is another ingest deleting it?";
            return Err(IngestError::Occupied {
                store: store.clone(),
                reason: reason.to_owned(),
            });
        }
    }
    if !is_store(store)? {
        return Ok(None);
    }
    record::load(&job.workspace.report())
}

/// Whether the store is finished: its root metadata are written last.
pub(super) fn is_store(store: &Path) -> Result<bool, IngestError> {
    exists(&store.join(NODE))
}

fn exists(path: &Path) -> Result<bool, IngestError> {
    chipmill_store::object_exists(path).map_err(IngestError::reading(path))
}

/// A folder is free when it is empty, or when an ingest was planned for it.
fn check_place(job: &Job<'_>) -> Result<(), IngestError> {
    let is_planned = || exists(&job.workspace.plan());
    if is_planned()? {
        return Ok(());
    }
    check_free(&job.options.store).or_else(|e| if is_planned()? { Ok(()) } else { Err(e) })
}

fn check_free(store: &Path) -> Result<(), IngestError> {
    let occupied = |reason: String| {
        Err(IngestError::Occupied {
            store: store.to_owned(),
            reason,
        })
    };
    if store.exists() && !store.is_dir() {
        return occupied("it is a file, expected a folder or a new name".to_owned());
    }
    let names = record::names(store)?;
    if names.iter().any(|n| n == NODE) {
        return occupied(
            "it holds a finished store without the records of its ingest; choose another folder"
                .to_owned(),
        );
    }
    match names.into_iter().find(|n| n != INGEST) {
        Some(name) => occupied(format!(
            "it already holds `{name}`; choose an empty or new folder"
        )),
        None => Ok(()),
    }
}
