//! The plan: what an ingest is to store, and how it is dealt out to units of work. Pure.
//!
//! A unit is one shard: up to `shard_patches` patches that follow each other in id order. The plan's
//! fingerprint is the digest of its terms, everything that decides over the store's bytes and the
//! balance; the number of threads and the place of the sources are not among them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use chipmill_schemas::ingest::Defect;
use chipmill_schemas::patch_id::PatchId;
use serde::{Deserialize, Serialize};

use crate::IngestOptions;
use crate::catalog::Catalog;

/// Layout of the files in `.ingest`; another number is refused.
const LAYOUT: &str = "1";

/// Everything that decides over the result, by name.
pub type Terms = BTreeMap<String, String>;

/// The plan as `.ingest/plan.json` keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// BLAKE3 of the terms (hex).
    pub fingerprint: String,
    /// What the plan depends on.
    pub terms: Terms,
    /// Folders that hold patch folders; empty when archives are among the sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<PathBuf>,
    /// The patches to store, in id order, each with the index of its folder in `parents`; empty when
    /// archives are among the sources, which tell their patches only as they are read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<(PatchId, usize)>,
    /// Patches that the listing of the folders shows to be defective.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<Defect>,
}

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Number of the unit, and of its shard.
    pub index: u64,
    /// Its patches, as positions in the list of patches to store.
    pub patches: Range<usize>,
}

/// Deals patches out to units: every unit but the last holds `shard_patches`.
#[must_use]
pub fn units(patches: usize, shard_patches: u32) -> Vec<Unit> {
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
#[must_use]
pub fn terms(options: &IngestOptions, catalog: &Catalog, sources: &[String]) -> Terms {
    let limit = options
        .limit
        .map_or_else(|| "none".to_owned(), |l| l.to_string());
    let metadata = match catalog.digests() {
        [] => "none".to_owned(),
        digests => digests.join(" "),
    };
    let terms = [
        ("layout", LAYOUT.to_owned()),
        ("shard_patches", options.shard_patches.to_string()),
        ("codec", options.codec.name().to_owned()),
        ("allow_subset", options.allow_subset.to_string()),
        ("limit", limit),
        ("metadata", metadata),
        ("sources", sources.join("; ")),
    ];
    terms
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// BLAKE3 over the terms in the order of their names (hex).
#[must_use]
pub fn fingerprint(terms: &Terms) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, value) in terms {
        hasher.update(format!("{name}={value}\n").as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// In words, in which terms a plan differs from another.
#[must_use]
pub fn differences(before: &Terms, now: &Terms) -> String {
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
pub struct Absent {
    /// Listed, expected and not there.
    pub missing: Vec<PatchId>,
    /// Left out on purpose.
    pub excluded: u64,
}

/// Compares the tables with what the sources hold: `found` are the patches taken from the sources
/// (stored or quarantined), `passed_over` those that a limit left out, each in id order.
///
/// `found`, `passed_over`, `missing` and the rest of `excluded` add up to the union of both.
pub fn absent<'a>(
    listed: impl IntoIterator<Item = &'a PatchId>,
    found: &[&PatchId],
    passed_over: &[&PatchId],
    subset_is_wanted: bool,
) -> Absent {
    let held =
        |id: &&PatchId| found.binary_search(id).is_ok() || passed_over.binary_search(id).is_ok();
    let not_held: Vec<_> = listed.into_iter().filter(|id| !held(id)).cloned().collect();
    let mut absent = Absent {
        excluded: passed_over.len() as u64,
        ..Absent::default()
    };
    if subset_is_wanted {
        absent.excluded += not_held.len() as u64;
    } else {
        absent.missing = not_held;
    }
    absent
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

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

        #[test]
        fn found_missing_and_excluded_add_up_to_the_union(
            tables in proptest::collection::btree_set(0u8..100, 0..40),
            source in proptest::collection::btree_set(0u8..100, 0..40),
            limit in proptest::option::of(1usize..40), allow in any::<bool>(),
        ) {
            let id = |v: &u8| format!("S2A_MSIL2A_20170617T113321_4_{v}").parse().unwrap();
            let ids = |set: &BTreeSet<u8>| set.iter().map(id).collect::<Vec<PatchId>>();
            let (listed, held) = (ids(&tables), ids(&source));
            let held: Vec<_> = held.iter().collect();
            let (found, over) = held.split_at(limit.unwrap_or(held.len()).min(held.len()));
            let absent = absent(&listed, found, over, allow || limit.is_some());
            let sum = found.len() + absent.missing.len() + usize::try_from(absent.excluded).unwrap();
            prop_assert_eq!(sum, tables.union(&source).count());
            prop_assert!(absent.missing.is_empty() || !(allow || limit.is_some()));
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
