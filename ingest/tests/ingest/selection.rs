//! What is not wanted is excluded before its pixels are read.

use std::fs;
use std::path::Path;

use chipmill_ingest::{IngestError, IngestOptions};
use chipmill_schemas::band::Band;
use chipmill_schemas::patch::Split;
use chipmill_schemas::selection::Selection;
use chipmill_store::StoreReader;

use crate::support::*;

/// Ten v1 patches; the even ones are rice fields, and the pixels of the others are damaged.
fn rice_and_damage() -> Vec<Patch> {
    let patch = |n: u16| {
        let mut patch = Patch::v1(n);
        if n.is_multiple_of(2) {
            let json = r#"{"labels": ["Rice fields"]}"#;
            patch.files.last_mut().unwrap().1 = json.as_bytes().to_vec();
        } else {
            patch.band(Band::B02).truncate(99);
        }
        patch
    };
    (0..10).map(patch).collect()
}

fn rice() -> Selection {
    Selection {
        labels_any: vec!["Rice fields".to_owned()],
        ..Selection::default()
    }
}

fn ids(store: &Path) -> Vec<String> {
    let reader = StoreReader::open(store).unwrap();
    reader.table().iter().map(|r| r.id.to_string()).collect()
}

#[test]
fn labels_of_v1_select_before_any_pixel_is_read_in_every_form_of_source() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let patches = rice_and_damage();
    let mut shuffled = patches.clone();
    shuffled.reverse();
    write_folder(&at("folder"), &patches);
    fs::write(at("archive"), tar(&patches)).unwrap();
    fs::write(at("shuffled"), tar(&shuffled)).unwrap();
    let mut first_objects = None;
    for form in ["folder", "archive", "shuffled"] {
        let options = IngestOptions {
            selection: rice(),
            ..options(&at(form), &at(&format!("store-{form}")))
        };
        let (summary, objects) = stored(&options);
        let counts = (summary.patches, summary.excluded, summary.quarantined);
        assert_eq!(counts, (5, 5, 0), "{form}");
        assert_same(first_objects.get_or_insert(objects.clone()), &objects);
    }
}

#[test]
fn an_interrupted_selection_of_a_stream_goes_on_with_the_same_patches() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("archive"), tar(&rice_and_damage())).unwrap();
    let options = |store: &str| IngestOptions {
        selection: rice(),
        shard_patches: 2,
        ..options(&at("archive"), &at(store))
    };
    let (summary, objects) = stored(&options("whole"));
    // The first unit's record is all that a killed ingest may have left.
    run(&options("cut")).unwrap();
    for gone in ["zarr.json", ".ingest/stream.json", ".ingest/report.json"] {
        fs::remove_file(at("cut").join(gone)).unwrap();
    }
    let records: Vec<_> = fs::read_dir(at("cut/.ingest/units"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    for record in records {
        let name = record.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("000000") {
            fs::remove_file(record).unwrap();
        }
    }
    let again = run(&options("cut")).unwrap();
    assert_eq!(timeless(again), timeless(summary));
    assert_same(&crate::support::objects(&at("cut")), &objects);
}

#[test]
fn splits_flags_and_names_select_by_the_tables_alone() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let patches: Vec<_> = (0..9).map(Patch::v1).collect();
    write_folder(&at("folder"), &patches);
    let list = |name: &str, numbers: &[u16]| {
        let lines = numbers.iter().map(|&n| format!("{}\n", Patch::v1(n).id));
        fs::write(at(name), lines.collect::<String>()).unwrap();
        at(name)
    };
    let metadata = vec![
        list("train.csv", &[0, 1, 2, 3, 11]),
        list("test.csv", &[4, 5, 6]),
        list("patches_with_seasonal_snow.csv", &[3, 7]),
    ];
    let base = IngestOptions {
        metadata,
        ..options(&at("folder"), &at("a"))
    };
    let train = IngestOptions {
        selection: Selection {
            splits: vec![Split::Train],
            exclude_snow: true,
            ..Selection::default()
        },
        ..base.clone()
    };
    let summary = run(&train).unwrap();
    assert_eq!(ids(&at("a")), [0, 1, 2].map(|n| Patch::v1(n).id));
    // Patch 11 is of the split, and no source holds it.
    assert_eq!((summary.excluded, summary.missing), (6, 1));

    let named = IngestOptions {
        patches: Some(list("wanted.txt", &[2, 5, 12])),
        store: at("b"),
        ..base.clone()
    };
    let summary = run(&named).unwrap();
    assert_eq!(ids(&at("b")), [2, 5].map(|n| Patch::v1(n).id));
    assert_eq!(summary.missing_ids, [Patch::v1(12).id]);
    assert_eq!(summary.excluded, 8);

    let none = IngestOptions {
        patches: Some(list("none.txt", &[12])),
        store: at("c"),
        ..base
    };
    let error = run(&none).unwrap_err();
    assert!(
        matches!(error, IngestError::NothingSelected { found: 9 }),
        "{error}"
    );
}

#[test]
fn another_selection_is_another_plan() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    write_folder(&source, &rice_and_damage());
    let of = |selection| IngestOptions {
        selection,
        ..options(&source, &dir.path().join("store"))
    };
    run(&of(rice())).unwrap();
    let refused = run(&of(Selection::default())).unwrap_err().to_string();
    assert!(refused.contains("selection was"), "{refused}");
}
