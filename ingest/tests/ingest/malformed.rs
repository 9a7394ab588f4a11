//! Band files, label files and tables that are not what they should be: quarantined or refused by name.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use chipmill_ingest::IngestError;
use chipmill_ingest::fuzzing::tables as load;
use chipmill_schemas::band::Band;
use parquet::arrow::ArrowWriter;

use crate::support::*;

#[test]
fn patches_with_every_kind_of_broken_band_are_quarantined_and_the_rest_is_stored() {
    let dir = memory_dir();
    let folder = dir.path().join("folder");
    let whole = Patch::v2(0).band(Band::B01).clone();
    let mut patches = v2(60);
    let cuts = (0..whole.len()).step_by(64);
    let defective = cuts.len().min(40);
    for (patch, length) in patches.iter_mut().skip(10).zip(cuts) {
        patch.band(Band::B01).truncate(length);
    }
    *patches[1].band(Band::B02) = whole.clone();
    *patches[2].band(Band::B03) = Vec::new();
    *patches[3].band(Band::B04) = b"II*\0\x08\0\0\0".repeat(40);
    *patches[4].band(Band::B05) = vec![0xff; 300_000];
    write_folder(&folder, &patches);
    // A folder in place of a band, and one that cannot be followed.
    let at = |n: u16, band: Band| {
        let patch = Patch::v2(n);
        let tile = &patch.id[..patch.id.len() - 6];
        folder.join(format!("{tile}/{0}/{0}_{band}.tif", patch.id))
    };
    fs::remove_file(at(5, Band::B06)).unwrap();
    fs::create_dir(at(5, Band::B06)).unwrap();
    fs::remove_file(at(6, Band::B07)).unwrap();
    std::os::unix::fs::symlink("nowhere", at(6, Band::B07)).unwrap();
    let store = dir.path().join("store");
    let (summary, _) = stored(&options(&folder, &store));
    let broken = defective as u64 + 6;
    assert_eq!(
        (summary.patches, summary.quarantined),
        (60 - broken, broken)
    );
    for defect in &summary.defects {
        let band = defect.band.unwrap();
        let file = format!("{}_{band}.tif", defect.patch);
        assert!(defect.reason.contains(&file), "{defect:?}");
        assert!(defect.reason.len() > file.len() + 10, "{defect:?}");
    }
    assert!(chipmill_store::verify(&store, 2).unwrap().ok);
    let strict = chipmill_ingest::IngestOptions {
        strict: true,
        ..options(&folder, &dir.path().join("strict"))
    };
    assert!(matches!(run(&strict), Err(IngestError::Defective(_))));
}

#[test]
fn label_files_of_every_wrong_kind_quarantine_their_patch_by_name() {
    let labels = |rest: &str| format!(r#"{{"labels": ["Pastures"]{rest}}}"#).into_bytes();
    let deep = |n: usize| labels(&format!(r#", "x": {}{}"#, "[".repeat(n), "]".repeat(n)));
    let mut text = labels("");
    text.insert(13, 0xff);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (text, "no v1 label file"),
        (Vec::new(), "EOF"),
        (b"null".to_vec(), "null"),
        (b"[]".to_vec(), "label file"),
        (b"{}".to_vec(), "missing field `labels`"),
        (br#"{"labels": null}"#.to_vec(), "null"),
        (br#"{"labels": "Pastures"}"#.to_vec(), "string"),
        (br#"{"labels": [7]}"#.to_vec(), "integer"),
        (br#"{"labels": ["Pasture"]}"#.to_vec(), "`Pasture`"),
        (br#"{"labels": ["Pastures"]"#.to_vec(), "EOF"),
        (labels(r#", "labels": []"#), "duplicate field `labels`"),
        (
            labels(r#", "coordinates": {"ulx": NaN, "uly": 0}"#),
            "no v1 label file",
        ),
        (
            labels(r#", "coordinates": {"ulx": 1e999, "uly": 0}"#),
            "number out of range",
        ),
        (
            labels(r#", "coordinates": {"ulx": "1", "uly": 0}"#),
            "string",
        ),
        (deep(10_000)[..9_000].to_vec(), "no v1 label file"),
        (
            labels(&format!(r#", "y": "{}""#, "a".repeat(100 << 20))),
            "more than",
        ),
        (
            format!(r#"{{"labels": ["{}"]}}"#, "b".repeat(200_000)).into_bytes(),
            "`bbbb",
        ),
    ];
    let dir = memory_dir();
    let folder = dir.path().join("folder");
    let mut patches: Vec<_> = (0..).map(Patch::v1).take(cases.len() + 2).collect();
    for (patch, (bytes, _)) in patches.iter_mut().zip(&cases) {
        patch.files[12].1.clone_from(bytes);
    }
    // What is not looked at may be as deep as it likes.
    patches[cases.len()].files[12].1 = deep(10_000);
    write_folder(&folder, &patches);
    let (summary, _) = stored(&options(&folder, &dir.path().join("store")));
    let defect = |patch: &Patch| summary.defects.iter().find(|d| d.patch == patch.id);
    for (patch, (_, words)) in patches.iter().zip(&cases) {
        let defect = defect(patch).unwrap_or_else(|| panic!("{words}: {} is stored", patch.id));
        let file = format!("{}_labels_metadata.json", patch.id);
        assert!(defect.reason.contains(&file), "{}", defect.reason);
        assert!(defect.reason.contains(words), "{words}: {}", defect.reason);
        assert!(defect.reason.len() < 1_000, "{} bytes", defect.reason.len());
    }
    assert_eq!(
        (summary.patches, summary.quarantined),
        (2, cases.len() as u64)
    );
}

const ID: &str = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57";

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn lists(values: &[&str]) -> ArrayRef {
    let mut list = ListBuilder::new(StringBuilder::new());
    values.iter().for_each(|v| list.append_value([Some(*v)]));
    Arc::new(list.finish())
}

fn table() -> Vec<(&'static str, ArrayRef)> {
    let other = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_58";
    vec![
        ("patch_id", texts(&[ID, other])),
        ("labels", lists(&["Pastures", "Arable land"])),
        ("split", texts(&["train", "test"])),
        ("country", texts(&["Austria", "Serbia"])),
        (
            "contains_seasonal_snow",
            Arc::new(BooleanArray::from(vec![true, false])),
        ),
    ]
}

fn write_table(path: &Path, columns: Vec<(&'static str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_table_with_a_column_of_another_type_is_refused_by_that_column() {
    let dir = memory_dir();
    let path = dir.path().join("metadata.parquet");
    for column in 0..table().len() {
        let mut columns = table();
        columns[column].1 = Arc::new(Int64Array::from(vec![1, 2]));
        write_table(&path, columns);
        let text = load(&path).unwrap_err().to_string();
        let name = table()[column].0;
        assert!(
            text.contains(name) && text.contains("metadata.parquet"),
            "{text}"
        );
    }
}

#[test]
fn a_table_with_a_flipped_bit_anywhere_is_read_or_refused_by_name() {
    let dir = memory_dir();
    let path = dir.path().join("metadata.parquet");
    write_table(&path, table());
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut read) = (0, 0);
    let bits = if is_long_campaign() { 8 } else { 1 };
    for bit in (0..whole.len() * 8).step_by(8 / bits) {
        let mut flipped = whole.clone();
        // Without the long campaign, one bit of each byte, another one every time.
        let bit = bit + if bits == 1 { bit / 8 * 5 % 8 } else { 0 };
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        match load(&path) {
            Ok(_) => read += 1,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("metadata.parquet"), "bit {bit}: {text}");
                refused += 1;
            }
        }
    }
    println!("{refused} refused, {read} read");
    assert!(refused > whole.len() / 4, "{refused} refused, {read} read");
}
