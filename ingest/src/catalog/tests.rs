use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use super::*;

const V2: &str = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57";
const V1: &str = "S2A_MSIL2A_20170617T113321_4_55";

fn labels(names: &[&str]) -> ArrayRef {
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value(names.iter().map(Some));
    Arc::new(list.finish())
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

fn official(split: &str) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("patch_id", text(V2)),
        ("labels", labels(&["Arable land", "Pastures"])),
        ("split", text(split)),
        ("country", text("Austria")),
        (
            "contains_seasonal_snow",
            Arc::new(BooleanArray::from(vec![true])),
        ),
    ]
}

fn write_table(path: &Path, columns: Vec<(&'static str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn load(files: &[&Path]) -> Result<Catalog, IngestError> {
    Catalog::load(
        &files.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>(),
        None,
    )
}

#[test]
fn a_table_gives_split_country_labels_and_flags() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("any name");
    write_table(&path, official("validation"));
    let catalog = load(&[&path]).unwrap();
    let row = catalog.row(&V2.parse().unwrap(), &Told::default());
    assert_eq!(
        (row.split, row.country.as_deref()),
        (Some(Split::Validation), Some("Austria"))
    );
    assert_eq!((row.snow, row.cloud), (Some(true), None));
    assert_eq!(row.labels_19.unwrap().iter().collect::<Vec<_>>(), [2, 4]);
    assert_eq!(row.labels_43, None);
}

#[test]
fn a_faulty_table_is_refused_naming_file_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metadata.parquet");
    let refused = || load(&[&path]).unwrap_err().to_string();

    let text_missing = refused();
    assert!(text_missing.contains("metadata.parquet") && text_missing.contains("cannot be read"));
    write_table(
        &path,
        official("train")
            .into_iter()
            .filter(|c| c.0 != "split")
            .collect(),
    );
    let text_column = refused();
    assert!(text_column.contains("no column `split`"), "{text_column}");
    assert!(
        text_column.contains("patch_id, labels, country"),
        "{text_column}"
    );
    let mut wrong = official("train");
    wrong[1].1 = text("Pastures");
    write_table(&path, wrong);
    let text_type = refused();
    assert!(
        text_type.contains("`labels`") && text_type.contains("list of string"),
        "{text_type}"
    );
    let mut wrong = official("train");
    wrong[1].1 = labels(&["Pasture"]);
    write_table(&path, wrong);
    let text_class = refused();
    assert!(
        text_class.contains("`Pasture`") && text_class.contains("`Pastures`"),
        "{text_class}"
    );
    write_table(&path, official("holdout"));
    assert!(refused().contains("`holdout`"));

    write_table(&path, official("train"));
    let whole = std::fs::read(&path).unwrap();
    for length in (4..whole.len()).step_by(37) {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(refused().contains("truncated"), "cut at {length}");
    }
    std::fs::write(&path, b"\x89PNG something").unwrap();
    assert!(refused().contains("neither a parquet table"));
}

#[test]
fn v1_lists_give_splits_and_flags_by_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let list = |name: &str, ids: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, ids).unwrap();
        path
    };
    let train = list("train.csv", &format!("{V1}\n"));
    let val = list("val.csv", "S2B_MSIL2A_20170924T93020_69_24,S1A_IW\r\n");
    let snow = list(
        "patches_with_seasonal_snow.csv",
        "S2B_MSIL2A_20170924T93020_69_24\n",
    );
    let catalog = load(&[&train, &val, &snow]).unwrap();
    let row = catalog.row(&V1.parse().unwrap(), &Told::default());
    assert_eq!(
        (row.split, row.snow, row.cloud),
        (Some(Split::Train), Some(false), None)
    );
    let other = catalog.row(
        &"S2B_MSIL2A_20170924T93020_69_24".parse().unwrap(),
        &Told::default(),
    );
    assert_eq!(
        (other.split, other.snow),
        (Some(Split::Validation), Some(true))
    );

    let unnamed = list("names.csv", &format!("{V1}\n"));
    assert!(
        load(&[&unnamed])
            .unwrap_err()
            .to_string()
            .contains("train.csv")
    );
    let broken = list("test.csv", &format!("{V1}\nnonsense\n"));
    assert!(load(&[&broken]).unwrap_err().to_string().contains("line 2"));
    let both = list("test.csv", &format!("{V1}\n"));
    let conflict = load(&[&train, &both]).unwrap_err().to_string();
    assert!(
        conflict.contains(V1) && conflict.contains("split"),
        "{conflict}"
    );
}

#[test]
fn the_official_tables_list_all_549_488_patches() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let shared = std::env::var_os("CHIPMILL_SHARED").map_or_else(|| default.into(), PathBuf::from);
    let folder = shared.join("data/bigearthnet-v2-full-metadata");
    if !folder.is_dir() {
        println!("skipped: needs ../shared (data/bigearthnet-v2-full-metadata)");
        return;
    }
    let names = [
        "metadata.parquet",
        "metadata_for_patches_with_snow_cloud_or_shadow.parquet",
    ];
    let catalog = Catalog::load(&names.map(|n| folder.join(n)), None).unwrap();
    assert_eq!(catalog.expected().count(), 549_488);
    let count = |split| {
        catalog
            .listed
            .iter()
            .map(|(_, row)| row)
            .filter(|l| l.split == Some(split))
            .count()
    };
    assert_eq!(Split::ALL.map(count), [272_544, 139_577, 137_367]);
    let snow = catalog
        .listed
        .iter()
        .map(|(_, row)| row)
        .filter(|l| l.snow == Some(true))
        .count();
    let cloud = catalog
        .listed
        .iter()
        .map(|(_, row)| row)
        .filter(|l| l.cloud == Some(true))
        .count();
    assert_eq!((snow, cloud), (60_773, 8_677));
}

#[test]
fn a_list_of_no_names_tells_that_no_patch_is_on_it_and_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let (snow, cloud) = (
        dir.path().join("patches_with_seasonal_snow.csv"),
        dir.path().join("patches_with_cloud_and_shadow.csv"),
    );
    std::fs::write(&snow, "").unwrap();
    std::fs::write(&cloud, format!("{V1}\n")).unwrap();
    let catalog = load(&[&snow, &cloud]).unwrap();
    let row = catalog.row(&V1.parse().unwrap(), &Told::default());
    assert_eq!((row.snow, row.cloud), (Some(false), Some(true)));
    let note = "lists that name no patch: 1, such as patches_with_seasonal_snow.csv";
    assert_eq!(catalog.notes().lines(), [note]);

    let unnamed = dir.path().join("empty");
    std::fs::write(&unnamed, "\n\n").unwrap();
    assert!(
        load(&[&unnamed])
            .unwrap_err()
            .to_string()
            .contains("its file name must say of what")
    );
    let none_wanted = Catalog::load(&[], Some(&unnamed)).unwrap_err();
    assert!(
        none_wanted.to_string().contains("names no patch"),
        "{none_wanted}"
    );
}
