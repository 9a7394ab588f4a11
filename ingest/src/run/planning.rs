//! The plan of this ingest, and whether the store's folder is free for it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use chipmill_schemas::ingest::IngestSummary;
use chipmill_schemas::patch_id::PatchId;
use chipmill_store::layout::{INGEST, NODE};
use chipmill_store::patch_ids_digest;

use super::Job;
use crate::IngestError;
use crate::plan::{self, Plan};
use crate::record;
use crate::source::Source;
use crate::source::folder::Listing;

/// A plan with what it was made from.
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// The folders' patches; `None` when an archive is among the sources.
    pub(super) listing: Option<Listing>,
    /// Patches of the folders that the limit leaves out, in id order.
    pub(super) passed_over: Vec<PatchId>,
}

/// Looks at the sources and plans; writes nothing.
pub(super) fn plan(job: &Job<'_>, sources: &[Source]) -> Result<Planned, IngestError> {
    let only_folders = sources.iter().all(|s| matches!(s, Source::Folder(_)));
    if !only_folders {
        let said = sources
            .iter()
            .map(|s| identity(job, s))
            .collect::<Result<Vec<_>, _>>()?;
        let terms = plan::terms(job.options, &job.catalog, &said);
        let plan = planned(terms);
        return Ok(Planned {
            plan,
            listing: None,
            passed_over: Vec::new(),
        });
    }
    let mut listing = list(job, sources)?;
    let limit = job
        .options
        .limit
        .unwrap_or(usize::MAX)
        .min(listing.patches.len());
    let passed_over = listing
        .patches
        .split_off(limit)
        .into_iter()
        .map(|p| p.id)
        .collect();
    let mut whole = Vec::new();
    let mut defects = Vec::new();
    for patch in &listing.patches {
        match patch.defect() {
            None => whole.push((patch.id.clone(), patch.parent)),
            Some(defect) => {
                job.quality.quarantine(&defect)?;
                defects.push(defect);
            }
        }
    }
    let said = format!(
        "folders with {} patches to store ({}) and {} defective ones",
        whole.len(),
        short(&patch_ids_digest(whole.iter().map(|(id, _)| id))),
        defects.len()
    );
    let mut plan = planned(plan::terms(job.options, &job.catalog, &[said]));
    plan.parents.clone_from(&listing.parents);
    (plan.patches, plan.defects) = (whole, defects);
    Ok(Planned {
        plan,
        listing: Some(listing),
        passed_over,
    })
}

fn planned(terms: plan::Terms) -> Plan {
    let fingerprint = plan::fingerprint(&terms);
    Plan {
        fingerprint,
        terms,
        parents: Vec::new(),
        patches: Vec::new(),
        defects: Vec::new(),
    }
}

fn list(job: &Job<'_>, sources: &[Source]) -> Result<Listing, IngestError> {
    let mut listing = Listing::default();
    for source in sources {
        listing.merge(job.pool.install(|| Listing::of(source.path()))?);
    }
    if listing.patches.is_empty() {
        return Err(no_patches(job, &listing.notes.lines()));
    }
    Ok(listing)
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
fn identity(job: &Job<'_>, source: &Source) -> Result<String, IngestError> {
    match source {
        Source::Folder(path) => {
            let listing = job.pool.install(|| Listing::of(path))?;
            let digest = patch_ids_digest(listing.patches.iter().map(|p| &p.id));
            Ok(format!(
                "folder with {} patches ({})",
                listing.patches.len(),
                short(&digest)
            ))
        }
        Source::Archive(path, _) => archive_identity(path).map_err(IngestError::reading(path)),
    }
}

/// Length and digest of both ends: reading all of a 60 GB archive only to recognise it would cost
/// more than ingesting it.
fn archive_identity(path: &Path) -> std::io::Result<String> {
    const END: u64 = 1 << 16;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut ends = Vec::new();
    file.by_ref().take(END).read_to_end(&mut ends)?;
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    file.take(END).read_to_end(&mut ends)?;
    let digest = blake3::hash(&ends).to_hex().to_string();
    Ok(format!("archive of {length} bytes ({})", short(&digest)))
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
    if !path.is_file() {
        // Another process may have planned the same in the meantime: then its plan decides.
        check_free(store).or_else(|e| if path.is_file() { Ok(()) } else { Err(e) })?;
        record::create(&path, plan)?;
    }
    let settled: Option<Plan> = record::load(&path)?;
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
    if !store.join(NODE).is_file() {
        return Ok(None);
    }
    record::load(&job.workspace.report())
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
