//! v1 patches take from the v2 tables what v1 does not tell, through `s2v1_name`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use chipmill_ingest::IngestOptions;
use chipmill_schemas::patch::Split;
use chipmill_schemas::selection::Selection;
use chipmill_store::StoreReader;
use parquet::arrow::ArrowWriter;

use crate::support::*;

/// A v2 table of patches `0..count`, whose v1 names are those of the same numbers.
fn write_table(path: &Path, count: u16) {
    let texts = |of: &dyn Fn(u16) -> String| -> ArrayRef {
        Arc::new((0..count).map(|n| Some(of(n))).collect::<StringArray>())
    };
    let mut labels = ListBuilder::new(StringBuilder::new());
    (0..count).for_each(|_| labels.append_value([Some("Pastures")]));
    let country = |n: u16| if n < 2 { "Austria" } else { "Ireland" };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("patch_id", texts(&|n| Patch::v2(n).id)),
        ("labels", Arc::new(labels.finish())),
        ("split", texts(&|_| "validation".to_owned())),
        ("country", texts(&|n| country(n).to_owned())),
        ("s2v1_name", texts(&|n| Patch::v1(n).id)),
        (
            "contains_seasonal_snow",
            Arc::new((0..count).map(|n| Some(n == 3)).collect::<BooleanArray>()),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn v1_patches_are_joined_to_their_v2_rows_and_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let patches: Vec<_> = (0..5).map(Patch::v1).collect();
    write_folder(&at("raw"), &patches);
    write_table(&at("metadata.parquet"), 7);
    let options = IngestOptions {
        metadata: vec![at("metadata.parquet")],
        ..options(&at("raw"), &at("a"))
    };
    let summary = run(&options).unwrap();
    // Rows 5 and 6 are in the table under their v2 ids, and in no source under either name.
    assert_eq!((summary.patches, summary.missing), (5, 2));
    assert_eq!(summary.missing_ids, [Patch::v2(5).id, Patch::v2(6).id]);
    assert_eq!(summary.notes, [""; 0]);
    let reader = StoreReader::open(&at("a")).unwrap();
    let row = &reader.table().get(3).unwrap();
    assert_eq!(
        (row.country.as_deref(), row.split),
        (Some("Ireland"), Some(Split::Validation))
    );
    assert_eq!(row.snow, Some(true));
    // The patch's own label file comes before the table.
    assert_eq!(row.labels_19, row.labels_43.map(|l| l.to_nineteen()));

    let austria = IngestOptions {
        selection: Selection {
            countries: vec!["Austria".to_owned()],
            ..Selection::default()
        },
        store: at("b"),
        ..options.clone()
    };
    let summary = run(&austria).unwrap();
    assert_eq!(
        (summary.patches, summary.excluded, summary.missing),
        (2, 5, 0)
    );
}

#[test]
fn v1_lists_come_before_the_v2_table() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write_folder(&at("raw"), &(0..3).map(Patch::v1).collect::<Vec<_>>());
    write_table(&at("metadata.parquet"), 3);
    std::fs::write(at("test.csv"), format!("{}\n", Patch::v1(1).id)).unwrap();
    let options = IngestOptions {
        metadata: vec![at("test.csv"), at("metadata.parquet")],
        ..options(&at("raw"), &at("a"))
    };
    let summary = run(&options).unwrap();
    assert_eq!(
        (summary.patches, summary.missing, summary.excluded),
        (3, 0, 0)
    );
    let reader = StoreReader::open(&at("a")).unwrap();
    let splits: Vec<_> = reader.table().iter().map(|r| r.split).collect();
    assert_eq!(splits, [None, Some(Split::Test), None]);
}
