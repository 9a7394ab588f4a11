//! Stored, quarantined, missing and excluded patches add up to the union of sources and tables.

use std::collections::BTreeSet;
use std::fs;

use chipmill_ingest::IngestOptions;
use chipmill_schemas::band::Band;
use proptest::prelude::*;

use crate::support::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_patch_of_sources_and_tables_is_counted_once(
        held in proptest::collection::btree_set(0u16..12, 1..8),
        listed in proptest::collection::btree_set(0u16..12, 0..8),
        bad in proptest::collection::vec((0u16..12, any::<bool>()), 0..3),
        named in proptest::option::of(proptest::collection::btree_set(0u16..12, 1..8)),
        limit in proptest::option::of(1usize..8),
        allow_subset in any::<bool>(),
        archive in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut patches: Vec<_> = held.iter().map(|&n| Patch::v1(n)).collect();
        for patch in &mut patches {
            for (number, cut) in &bad {
                if patch.id == Patch::v1(*number).id {
                    let file = patch.band(Band::B09);
                    if *cut { file.truncate(100) } else { *file = tiff(60, &[1; 3600]) }
                }
            }
        }
        let source = dir.path().join("source");
        if archive {
            fs::write(&source, tar(&patches)).unwrap();
        } else {
            write_folder(&source, &patches);
        }
        let mut options = IngestOptions { selection: first(limit.unwrap_or(0)), allow_subset, ..options(&source, &dir.path().join("store")) };
        if !listed.is_empty() {
            let list = dir.path().join("train.csv");
            fs::write(&list, listed.iter().map(|&n| Patch::v1(n).id + "\n").collect::<String>()).unwrap();
            options.metadata.push(list);
        }
        if let Some(named) = &named {
            let file = dir.path().join("wanted.txt");
            fs::write(&file, named.iter().map(|&n| Patch::v1(n).id + "\n").collect::<String>()).unwrap();
            options.patches = Some(file);
        }
        let bad: BTreeSet<_> = bad.iter().map(|b| b.0).collect();
        let wanted = |n: &&u16| named.as_ref().is_none_or(|w| w.contains(n));
        let taken: Vec<_> = held.iter().filter(wanted).take(limit.unwrap_or(99)).collect();
        let whole = taken.iter().filter(|&&n| !bad.contains(n)).count();
        if whole == 0 {
            prop_assert!(run(&options).is_err());
            return Ok(());
        }
        let summary = run(&options).unwrap();
        prop_assert_eq!(summary.patches, whole as u64);
        prop_assert_eq!(summary.quarantined, (taken.len() - whole) as u64);
        prop_assert_eq!(summary.missing, summary.missing_ids.len() as u64);
        let sum = summary.patches + summary.quarantined + summary.missing + summary.excluded;
        // What an archive holds beyond the limit is never read; if no table lists it, it is unknown.
        let last = taken.last().filter(|_| archive && limit == Some(taken.len()));
        let read = held.iter().filter(|n| last.is_none_or(|last| n <= last));
        let read: BTreeSet<_> = read.copied().collect();
        let expected = &listed | &named.clone().unwrap_or_default();
        prop_assert_eq!(sum, (&read | &expected).len() as u64);
        if allow_subset || limit.is_some() {
            prop_assert_eq!(summary.missing, 0);
        } else {
            let missing = expected.difference(&held).filter(wanted).count();
            prop_assert_eq!(summary.missing, missing as u64);
        }
    }
}
