//! v2's reference maps give the 43-class labels that its tables lack.

use std::path::Path;

use chipmill_ingest::IngestOptions;
use chipmill_ingest::sample::{ArchiveKind, SampleOptions, write};
use chipmill_schemas::label::LabelSet;
use chipmill_schemas::patch::PatchRow;
use chipmill_schemas::patch_id::DatasetVersion;
use chipmill_schemas::selection::Selection;
use chipmill_store::StoreReader;

use crate::support::*;

const PATCHES: usize = 60;

fn sample(out: &Path, archive: Option<ArchiveKind>) {
    write(&SampleOptions {
        out: out.to_owned(),
        layout: DatasetVersion::V2,
        patches: PATCHES,
        seed: 3,
        archive,
        s1: false,
    })
    .unwrap();
}

fn with(raw: &Path, sources: &[&str], store: &Path) -> IngestOptions {
    let tables = [
        "metadata.parquet",
        "metadata_for_patches_with_snow_cloud_or_shadow.parquet",
    ];
    IngestOptions {
        sources: sources.iter().map(|s| raw.join(s)).collect(),
        metadata: tables.iter().map(|t| raw.join(t)).collect(),
        shard_patches: 32,
        ..options(raw, store)
    }
}

#[test]
fn maps_in_a_folder_or_an_archive_give_the_same_labels_and_the_same_store() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    sample(&at("folders"), None);
    sample(&at("archives"), Some(ArchiveKind::TarZst));
    let folders = with(
        &at("folders"),
        &["BigEarthNet-S2", "Reference_Maps"],
        &at("a"),
    );
    let (summary, expected) = stored(&folders);
    assert_eq!((summary.patches, summary.missing), (PATCHES as u64, 0));
    let reader = StoreReader::open(&at("a")).unwrap();
    let differs = |row: &PatchRow| row.labels_19 != row.labels_43.map(LabelSet::to_nineteen);
    assert!(reader.table().iter().all(|row| row.labels_43.is_some()));
    // Where a class covers a few pixels, the generator's table leaves it out: that is remarked.
    let differing = reader.table().iter().filter(differs).count();
    assert!(differing < PATCHES / 10);
    let note = format!("than the table, which were kept: {differing}, such as");
    assert!(
        summary.notes.len() == 1 && summary.notes[0].contains(&note),
        "{:?}",
        summary.notes
    );
    let archives = ["BigEarthNet-S2.tar.zst", "Reference_Maps.tar.zst"];
    let (_, objects) = stored(&with(&at("archives"), &archives, &at("b")));
    assert_same(&objects, &expected);
    // A folder above both holds both.
    let above = IngestOptions {
        sources: vec![at("folders")],
        ..with(&at("folders"), &[], &at("c"))
    };
    assert_same(&stored(&above).1, &expected);
}

#[test]
fn classes_of_the_maps_select_patches_and_a_share_makes_them_rarer() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    sample(&at("raw"), None);
    let sources = ["BigEarthNet-S2", "Reference_Maps"];
    let of = |min_share: f64, store: &str| {
        let options = IngestOptions {
            selection: Selection {
                labels_any: vec!["Airports".to_owned(), "Bare rock".to_owned()],
                ..Selection::default()
            },
            map_min_share: min_share,
            ..with(&at("raw"), &sources, &at(store))
        };
        run(&options).unwrap()
    };
    let (any, large) = (of(0.0, "a"), of(0.4, "b"));
    assert_eq!(any.patches + any.excluded, PATCHES as u64);
    assert!(large.patches < any.patches && any.patches < PATCHES as u64);
}

#[test]
fn a_map_that_cannot_be_read_leaves_the_43_labels_unknown_and_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    sample(&at("raw"), None);
    let maps = at("raw").join("Reference_Maps");
    let tile = std::fs::read_dir(maps)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let patch = std::fs::read_dir(tile).unwrap().next().unwrap().unwrap();
    let id = patch.file_name().into_string().unwrap();
    let map = patch.path().join(format!("{id}_reference_map.tif"));
    std::fs::write(map, b"II*\0 and then nothing").unwrap();
    let options = with(&at("raw"), &["BigEarthNet-S2", "Reference_Maps"], &at("a"));
    let summary = run(&options).unwrap();
    assert_eq!(summary.quarantined, 0);
    assert!(
        summary.notes.iter().any(|n| n.contains(&id)),
        "{:?}",
        summary.notes
    );
    let reader = StoreReader::open(&at("a")).unwrap();
    let row = reader.table().iter().find(|r| r.id.as_str() == id).unwrap();
    assert_eq!(row.labels_43, None);
    assert!(row.labels_19.is_some());
}
