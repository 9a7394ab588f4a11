//! A defective patch is quarantined by name, and the rest is stored as if it had never been there.

use std::fs;
use std::path::Path;

use chipmill_ingest::{IngestError, IngestOptions};
use chipmill_schemas::band::Band;
use chipmill_schemas::ingest::Defect;

use crate::support::*;

/// Eleven patches; the given ones are made defective.
fn with_defects() -> Vec<Patch> {
    let mut patches = v2(11);
    patches[1] = patches[1].clone().without(Band::B8A).without(Band::B11);
    patches[4].band(Band::B02).truncate(20_000);
    *patches[5].band(Band::B05) = tiff(20, &[7; 400]);
    *patches[10].band(Band::B12) = b"<html>".to_vec();
    patches
}

fn whole() -> Vec<Patch> {
    let mut patches = v2(11);
    for i in [10, 5, 4, 1] {
        patches.remove(i);
    }
    patches
}

fn check(defects: &[Defect]) {
    let expected = [
        (1, Band::B8A, vec!["_B8A.tif is missing", "B8A B11"]),
        (4, Band::B02, vec!["cut short", "file has 20000"]),
        (5, Band::B05, vec!["is 20 x 20 pixels, expected 60 x 60"]),
        (10, Band::B12, vec!["_B12.tif", "has 6 bytes"]),
    ];
    assert_eq!(defects.len(), expected.len(), "{defects:?}");
    for (defect, (number, band, words)) in defects.iter().zip(expected) {
        assert_eq!(
            (&defect.patch, defect.band),
            (&Patch::v2(number).id, Some(band))
        );
        assert!(
            words.iter().all(|w| defect.reason.contains(w)),
            "{}",
            defect.reason
        );
    }
}

#[test]
fn defective_patches_are_quarantined_by_name_and_the_rest_is_stored_densely() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write_folder(&at("whole"), &whole());
    write_folder(&at("folder"), &with_defects());
    fs::write(at("archive"), tar(&with_defects())).unwrap();
    let mut shuffled = with_defects();
    shuffled.rotate_left(6);
    fs::write(at("shuffled"), tar(&shuffled)).unwrap();

    let expected = stored(&options(&at("whole"), &at("expected"))).1;
    for form in ["folder", "archive", "shuffled"] {
        let (summary, objects) = stored(&options(&at(form), &at(&format!("store-{form}"))));
        assert_eq!((summary.patches, summary.quarantined), (7, 4), "{form}");
        assert!(summary.has_defects());
        check(&summary.defects);
        assert_same(&objects, &expected);
        let report = chipmill_store::verify(&at(&format!("store-{form}")), 1).unwrap();
        assert!(report.ok, "{form}: {:?}", report.defects);
    }
}

#[test]
fn a_v1_patch_with_an_unreadable_label_file_is_quarantined_and_one_without_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut patches: Vec<_> = (0..4).map(Patch::v1).collect();
    patches[1].files[12].1 = br#"{"labels": ["Bear rock"]}"#.to_vec();
    patches[2].files.remove(12);
    let folder = dir.path().join("folder");
    write_folder(&folder, &patches);
    let store = dir.path().join("store");
    let (summary, _) = stored(&options(&folder, &store));
    assert_eq!((summary.patches, summary.quarantined), (3, 1));
    assert_eq!(summary.defects[0].band, None);
    assert!(
        summary.defects[0].reason.contains("`Bear rock`"),
        "{:?}",
        summary.defects
    );
    assert!(
        summary
            .notes
            .iter()
            .any(|n| n.contains("without a label file")),
        "{:?}",
        summary.notes
    );
    let reader = chipmill_store::StoreReader::open(&store).unwrap();
    let labels: Vec<_> = reader
        .table()
        .iter()
        .map(|r| r.labels_43.map(|l| l.count()))
        .collect();
    assert_eq!(labels, [Some(2), None, Some(2)]);
}

#[test]
fn under_strict_the_first_defect_ends_the_ingest_and_nothing_opens() {
    let dir = tempfile::tempdir().unwrap();
    let strict = |source: &Path, store: &str| {
        let options = options(source, &dir.path().join(store));
        let error = run(&IngestOptions {
            strict: true,
            ..options.clone()
        })
        .unwrap_err();
        assert!(matches!(error, IngestError::Defective(_)), "{error}");
        assert!(error.to_string().contains(&Patch::v2(4).id), "{error}");
        assert!(chipmill_store::StoreReader::open(&options.store).is_err());
        // Without it the same store can be finished.
        assert_eq!(run(&options).unwrap().quarantined, 1);
    };
    let mut patches = v2(11);
    patches[4].band(Band::B02).truncate(20_000);
    let (folder, archive) = (dir.path().join("folder"), dir.path().join("archive"));
    write_folder(&folder, &patches);
    fs::write(&archive, tar(&patches)).unwrap();
    strict(&folder, "a");
    strict(&archive, "b");
}

#[test]
fn when_no_patch_is_whole_there_is_an_error_and_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let patches: Vec<_> = v2(3).into_iter().map(|p| p.without(Band::B01)).collect();
    let folder = dir.path().join("folder");
    write_folder(&folder, &patches);
    let store = dir.path().join("store");
    let error = run(&options(&folder, &store)).unwrap_err().to_string();
    assert!(
        error.contains("all 3 patches") && error.contains("_B01.tif is missing"),
        "{error}"
    );
    assert!(!store.join("zarr.json").exists());
}

#[test]
fn a_late_defect_that_makes_the_last_shard_needless_leaves_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut patches = v2(9);
    patches[3].band(Band::B02).truncate(20_000);
    write_folder(&at("folder"), &patches);
    patches.remove(3);
    write_folder(&at("whole"), &patches);
    let expected = stored(&options(&at("whole"), &at("expected"))).1;
    let (summary, objects) = stored(&options(&at("folder"), &at("store")));
    assert_eq!((summary.patches, summary.shards), (8, 2));
    assert_same(&objects, &expected);
}
