//! What opens as a store, and what is said of everything else.

use std::fs;
use std::path::Path;

use chipmill_schemas::manifest::Codec;
use chipmill_schemas::patch_id::DatasetVersion;
use chipmill_store::{OpenError, StoreReader, StoreShape, StoreWriter, WriteError, digest, verify};

use crate::fixture::{Fixture, files};

fn message(path: &Path) -> String {
    StoreReader::open(path).unwrap_err().to_string()
}

#[test]
fn nothing_opens_before_finalize_has_ended() {
    let fixture = Fixture::new(5, 2, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    assert!(message(&root).contains("no such folder"));
    fixture.writer(&root);
    assert!(message(&root).contains("no `zarr.json`"));
    fs::create_dir(root.join(".ingest")).unwrap();
    fixture.write_shards(&root);
    let error = StoreReader::open(&root).unwrap_err();
    assert!(matches!(error, OpenError::Incomplete { .. }), "{error}");
    assert!(matches!(
        verify(&root, 1),
        Err(OpenError::Incomplete { .. })
    ));
    fixture.write(&root);
    StoreReader::open(&root).unwrap();
}

#[test]
fn a_file_and_foreign_zarr_data_are_no_stores() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"text").unwrap();
    assert!(message(&file).contains("it is a file"));
    let node = dir.path().join("zarr.json");
    fs::write(&node, b"{\"zarr_format\": 3, \"node_type\": \"group\"}").unwrap();
    assert!(message(dir.path()).contains("attributes.chipmill"));
    fs::write(&node, b"{\"zarr_fo").unwrap();
    assert!(message(dir.path()).contains("not JSON"));
}

#[test]
fn another_major_version_is_refused_with_found_supported_writer_and_remedy() {
    let fixture = Fixture::new(1, 1, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    let node = dir.path().join("zarr.json");
    let text = fs::read_to_string(&node).unwrap();
    let writer = format!("chipmill {}", env!("CARGO_PKG_VERSION"));
    for (version, remedy) in [("2.3", "newer"), ("0.9", "ingest the patches again")] {
        let version = format!("\"format_version\": \"{version}\"");
        let other = text
            .replace("\"format_version\": \"1.0\"", &version)
            .replace(&writer, "chipmill 9.9.9");
        assert_ne!(other, text);
        fs::write(&node, other).unwrap();
        let error = message(dir.path());
        let parts = [&version[19..22], "1.x", "chipmill 9.9.9", remedy];
        assert!(parts.iter().all(|p| error.contains(p)), "{error}");
        assert!(matches!(
            verify(dir.path(), 1),
            Err(OpenError::Version { .. })
        ));
    }
}

#[test]
fn a_newer_minor_version_is_read_and_its_additions_ignored() {
    let fixture = Fixture::new(2, 2, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    let node = dir.path().join("zarr.json");
    let text = fs::read_to_string(&node).unwrap();
    let added = "\"format_version\": \"1.7\",\n      \"mood\": \"fine\"";
    let newer = text.replace("\"format_version\": \"1.0\"", added);
    assert_ne!(newer, text);
    fs::write(&node, sealed(&newer)).unwrap();
    let store = StoreReader::open(dir.path()).unwrap();
    assert_eq!(store.manifest().format_version.minor, 7);
    assert!(verify(dir.path(), 1).unwrap().ok);
}

/// A root that was changed, with the digest that it has now, as `docs/format.md` tells it.
fn sealed(root: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(root).unwrap();
    let old = document["attributes"]["chipmill_integrity"]["digest"]
        .as_str()
        .unwrap();
    let blank = root.replace(old, &"0".repeat(64));
    let new = digest(blank.as_bytes());
    root.replace(old, &new)
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let shape = Fixture::new(1, 1, Codec::None).shape;
    let error = StoreWriter::new(&file.join("store"), shape).unwrap_err();
    assert!(error.to_string().contains("file/store"), "{error}");
}

#[test]
fn finalize_refuses_what_is_not_whole_and_leaves_no_store() {
    let fixture = Fixture::new(5, 2, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    let units = fixture.write_shards(dir.path());
    let writer = fixture.writer(dir.path());
    let finalize = |rows: &[_], units: &[_], statistics| {
        let result = writer.finalize(rows, units, statistics, &[DatasetVersion::V2]);
        assert!(!dir.path().join("zarr.json").exists());
        result.unwrap_err().to_string()
    };
    let (rows, statistics) = (&fixture.rows, fixture.statistics());

    let error = finalize(&rows[..4], &units, statistics.clone());
    assert!(error.contains("4 rows, expected 5"), "{error}");
    let mut swapped = rows.clone();
    swapped.swap(1, 2);
    let error = finalize(&swapped, &units, statistics.clone());
    assert!(error.contains("must not come after"), "{error}");
    let error = finalize(rows, &units[..2], statistics.clone());
    assert!(error.contains("no unit holds 1 patches"), "{error}");
    let mut doubled = units.clone();
    doubled[1].objects = doubled[0].objects.clone();
    let error = finalize(rows, &doubled, statistics.clone());
    assert!(error.contains("10m/c.0.0.0.0: 2 units"), "{error}");
    let mut other = units.clone();
    other[1].patch_ids_digest = other[0].patch_ids_digest.clone();
    let error = finalize(rows, &other, statistics.clone());
    assert!(error.contains("unit 1 holds other patches"), "{error}");
    let error = finalize(rows, &units, statistics[1..].to_vec());
    assert!(error.contains("statistics cover"), "{error}");
    fs::write(dir.path().join("20m/c.1.0.0.0"), b"short").unwrap();
    let error = finalize(rows, &units, statistics);
    assert!(error.contains("20m/c.1.0.0.0: it has 5 bytes"), "{error}");
}

#[test]
fn impossible_shapes_and_shards_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let shape = |patches, shard_patches| StoreShape {
        patches,
        shard_patches,
        codec: Codec::None,
    };
    for bad in [shape(0, 4), shape(4, 0), shape(1 << 32, 4)] {
        let error = StoreWriter::new(dir.path(), bad).unwrap_err();
        assert!(matches!(error, WriteError::Shape { .. }), "{error}");
    }
    let writer = StoreWriter::new(dir.path(), shape(5, 4)).unwrap();
    for (shard, patches) in [(0, 3), (1, 4), (2, 0), (u64::MAX, 1)] {
        let patches = vec![Default::default(); patches];
        let error = writer.write_shard(shard, &patches).unwrap_err();
        assert!(matches!(error, WriteError::ShardLength { .. }), "{error}");
    }
}

#[test]
fn temporaries_of_a_killed_writer_are_gone_after_the_next_run() {
    let fixture = Fixture::new(3, 2, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    fixture.writer(dir.path());
    for name in [
        "10m/c.0.0.0.0.1-7.tmp",
        "zarr.json.1-9.tmp",
        "labels/zarr.json.5-5.tmp",
    ] {
        fs::write(dir.path().join(name), b"half a").unwrap();
    }
    fixture.write(dir.path());
    assert!(files(dir.path()).keys().all(|name| !name.ends_with(".tmp")));
}

#[test]
fn a_store_holds_no_time_path_or_host() {
    let fixture = Fixture::new(3, 2, Codec::Lz4);
    let write = || {
        let dir = tempfile::tempdir().unwrap();
        fixture.write(&dir.path().join("a name of its own"));
        files(&dir.path().join("a name of its own"))
    };
    let first = write();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(first == write());
}
