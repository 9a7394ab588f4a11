//! The plan: what an ingest is to store, and how it is dealt out to units of work. Pure.
//!
//! A unit is one shard: up to `shard_patches` patches that follow each other in id order. The plan's
//! fingerprint is the digest of its terms, everything that decides over the store's bytes and the
//! balance; the number of threads and the place of the sources are not among them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use chipmill_schemas::ingest::Defect;
use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch_id::PatchId;
use chipmill_schemas::s1::S1Id;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::source::Notes;
use crate::{IngestError, IngestOptions, record};

/// Layout of the files in `.ingest`; another number is refused.
const LAYOUT: &str = "2";

/// The program that plans, and whose steps may work on a plan.
pub(crate) const WRITER: &str = concat!("chipmill ", env!("CARGO_PKG_VERSION"));

/// Everything that decides over the result, by name.
pub(crate) type Terms = BTreeMap<String, String>;

/// The plan as `.ingest/plan.json` keeps it. For folders it is all that a unit needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// BLAKE3 of the terms (hex).
    pub(crate) fingerprint: String,
    /// What the plan depends on.
    pub(crate) terms: Terms,
    /// The program that planned. Units of one store are made by one version.
    #[serde(default)]
    pub(crate) writer: String,
    /// What was asked for; paths are absolute.
    pub(crate) options: IngestOptions,
    /// The patches of folders; `None` when archives are among the sources, which tell their patches
    /// only as they are read.
    pub(crate) folders: Option<FolderPlan>,
    /// Sentinel-1, where a source of it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) s1: Option<S1Plan>,
}

/// A plan without its patches: enough to tell whether it is the same as another.
#[derive(Debug, Deserialize)]
pub(crate) struct PlanHead {
    pub(crate) fingerprint: String,
    pub(crate) terms: Terms,
}

/// What every layout of a plan has.
#[derive(Deserialize)]
struct Origin {
    #[serde(default)]
    terms: Terms,
    #[serde(default)]
    writer: String,
}

/// Reads a [`Plan`] or a [`PlanHead`], `None` when there is none.
///
/// # Errors
/// [`IngestError::OtherVersion`] for one of another layout, [`IngestError::Record`] for a damaged one.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, IngestError> {
    let damaged = match record::load(path) {
        Err(error @ IngestError::Record { .. }) => error,
        plan => return plan,
    };
    let origin: Option<Origin> = record::load(path).unwrap_or_default();
    Err(match origin {
        Some(origin) if !is_of_this_layout(&origin.terms) => other_version(path, &origin.writer),
        _ => damaged,
    })
}

impl Plan {
    /// Refuses a plan whose units another version makes: two versions may write other bytes for one unit,
    /// and of two processes at it, one's shard would stand beside the other's record.
    pub(crate) fn check_writer(&self, path: &Path) -> Result<(), IngestError> {
        if self.writer == WRITER && is_of_this_layout(&self.terms) {
            return Ok(());
        }
        Err(other_version(path, &self.writer))
    }
}

fn is_of_this_layout(terms: &Terms) -> bool {
    terms.get("layout").is_some_and(|layout| layout == LAYOUT)
}

fn other_version(path: &Path, writer: &str) -> IngestError {
    let unnamed = || "an earlier version, which did not sign".to_owned();
    IngestError::OtherVersion {
        plan: path.to_owned(),
        found: Some(writer.to_owned())
            .filter(|w| !w.is_empty())
            .unwrap_or_else(unnamed),
        this: WRITER,
    }
}

/// The Sentinel-1 sources.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct S1Plan {
    /// Whether archives are among them: these are read when all units are finished.
    pub(crate) archives: bool,
    /// Folders that hold patch folders.
    pub(crate) parents: Vec<PathBuf>,
    /// The patches of folders, in order, each with the index of its folder in `parents`.
    pub(crate) patches: Vec<(S1Id, u32)>,
    /// Whose Sentinel-1 a patch is, by its own label file (v1), where no table names it.
    pub(crate) pairs: BTreeMap<PackedId, S1Id>,
    /// Patches whose label file names a patch that another one has, with that patch.
    pub(crate) seconds: Vec<(PackedId, S1Id)>,
    /// Patches whose label file cannot be read, and why.
    pub(crate) unreadable: Vec<(S1Id, String)>,
}

/// What the listing of the folders gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FolderPlan {
    /// Folders that hold patch folders.
    pub(crate) parents: Vec<PathBuf>,
    /// The patches to store, in id order.
    pub(crate) patches: Vec<PlannedPatch>,
    /// Patches that lack a file.
    pub(crate) defects: Vec<Defect>,
    /// Patches left out by selection or limit.
    pub(crate) excluded: Vec<PackedId>,
    /// What was noticed.
    pub(crate) notes: Notes,
}

/// A patch, and the index of the folder above its own in `parents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedPatch(pub(crate) PackedId, pub(crate) u32);

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Number of the unit, and of its shard.
    pub(crate) index: u64,
    /// Its patches, as positions in the list of patches to store.
    pub(crate) patches: Range<usize>,
}

/// Deals patches out to units: every unit but the last holds `shard_patches`.
pub(crate) fn units(patches: usize, shard_patches: u32) -> Vec<Unit> {
    let size = shard_patches.max(1) as usize;
    let starts = (0..patches).step_by(size);
    (0..)
        .zip(starts)
        .map(|(index, start)| Unit {
            index,
            patches: start..patches.min(start + size),
        })
        .collect()
}

/// The terms that follow from the options and the tables; `sources` says what the sources hold.
pub(crate) fn terms(
    options: &IngestOptions,
    catalog: &Catalog,
    sources: &[String],
    s1_sources: &[String],
) -> Terms {
    let or_none = |text: String| {
        if text.is_empty() {
            "none".to_owned()
        } else {
            text
        }
    };
    // Only names and numbers: this cannot fail.
    let selection = serde_json::to_string(&options.selection).unwrap_or_default();
    let terms = [
        ("layout", LAYOUT.to_owned()),
        ("shard_patches", options.shard_patches.to_string()),
        ("codec", options.codec.name().to_owned()),
        ("allow_subset", options.allow_subset.to_string()),
        ("selection", selection),
        (
            "patches",
            or_none(catalog.named_digest().unwrap_or_default().to_owned()),
        ),
        ("map_min_share", options.map_min_share.to_string()),
        ("metadata", or_none(catalog.digests().join(" "))),
        ("sources", sources.join("; ")),
    ];
    // Only where there is any, so that plans of earlier versions are known again.
    let s1 = (!s1_sources.is_empty()).then(|| ("s1", s1_sources.join("; ")));
    terms
        .into_iter()
        .chain(s1)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// BLAKE3 over the terms in the order of their names (hex).
pub(crate) fn fingerprint(terms: &Terms) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, value) in terms {
        hasher.update(format!("{name}={value}\n").as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// In words, in which terms a plan differs from another.
pub(crate) fn differences(before: &Terms, now: &Terms) -> String {
    let names: std::collections::BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let absent = "absent".to_owned();
    let difference = |name: &String| {
        let (a, b) = (
            before.get(name).unwrap_or(&absent),
            now.get(name).unwrap_or(&absent),
        );
        (a != b).then(|| format!("{name} was {a}, now {b}"))
    };
    names
        .into_iter()
        .filter_map(difference)
        .collect::<Vec<_>>()
        .join("; ")
}

/// What becomes of the patches that tables list and sources do not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Absent {
    /// Expected and not there.
    pub(crate) missing: Vec<PatchId>,
    /// Not wanted anyway.
    pub(crate) excluded: u64,
}

/// Sorts the patches that the files expect and the sources do not hold into missing and excluded.
pub(crate) fn absent(
    expected: impl Iterator<Item = PatchId>,
    is_held: impl Fn(&PatchId) -> bool,
    is_wanted: impl Fn(&PatchId) -> bool,
) -> Absent {
    let mut absent = Absent::default();
    for id in expected.filter(|id| !is_held(id)) {
        if is_wanted(&id) {
            absent.missing.push(id);
        } else {
            absent.excluded += 1;
        }
    }
    absent.missing.sort();
    absent
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_patch_is_in_exactly_one_unit_and_only_the_last_is_short(
            patches in 0usize..5000, size in 1u32..700,
        ) {
            let units = units(patches, size);
            let mut next = 0;
            for (i, unit) in units.iter().enumerate() {
                prop_assert_eq!((unit.index, unit.patches.start), (i as u64, next));
                let full = unit.patches.len() == size as usize;
                prop_assert!(full || (i + 1 == units.len() && !unit.patches.is_empty()));
                next = unit.patches.end;
            }
            prop_assert_eq!(next, patches);
        }
    }

    #[test]
    fn a_difference_is_named_with_both_values() {
        let terms = |codec: &str| Terms::from([("codec".to_owned(), codec.to_owned())]);
        assert_ne!(fingerprint(&terms("lz4")), fingerprint(&terms("zstd")));
        assert_eq!(
            differences(&terms("lz4"), &terms("zstd")),
            "codec was lz4, now zstd"
        );
    }
}
