//! Damage of every kind is found by verification, and by reading where pixels or the table are hit.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::ingest::StoreDefect;
use chipmill_schemas::manifest::Codec;
use chipmill_store::{PatchPixels, StoreReader, verify};

use crate::fixture::{CODECS, Fixture, files, mapped};

/// A counter-based generator, so that every run flips the same bits.
fn draw(counter: u64, below: usize) -> usize {
    let mut x = counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from((x ^ x >> 31) % below as u64).unwrap()
}

/// What verification finds; a root that can no longer be understood is a finding as well.
fn defects(root: &Path) -> Vec<StoreDefect> {
    match verify(root, 2) {
        Ok(report) => {
            assert_eq!(report.ok, report.defects.is_empty());
            report.defects
        }
        Err(e) => vec![StoreDefect {
            object: "zarr.json".to_owned(),
            patch: None,
            reason: e.to_string(),
        }],
    }
}

/// The patches that cannot be read, going by the errors' own words: the same by every way of reading.
fn unreadable(root: &Path) -> BTreeSet<String> {
    let (store, map) = (StoreReader::open(root).unwrap(), mapped(root));
    let (mut pixels, mut place) = (PatchPixels::zeroed(), vec![0.0; 80_000]);
    let mut named = BTreeSet::new();
    for (index, row) in (0u32..).zip(store.table()) {
        let read = store.read(index, &Resolution::ALL, &mut pixels);
        let floats = store.read_f32(None, index, &mut pixels, &mut place);
        let mapped = map.read_f32(None, index, &mut pixels, &mut place);
        assert_eq!(
            (floats.is_err(), mapped.is_err()),
            (read.is_err(), read.is_err())
        );
        for error in [read, floats, mapped].into_iter().filter_map(Result::err) {
            assert!(error.to_string().contains(row.id.as_str()), "{error}");
            assert!(error.source().is_some());
            named.insert(row.id.to_string());
        }
    }
    named
}

#[test]
fn one_flipped_bit_in_a_shard_is_found_by_verify_and_by_reading_and_names_the_patch() {
    for codec in CODECS {
        let fixture = Fixture::new(5, 3, codec);
        let dir = tempfile::tempdir().unwrap();
        fixture.write(dir.path());
        let shards = files(dir.path());
        let shards = shards.iter().filter(|(name, _)| name.ends_with(".0.0.0"));
        for (object, bytes) in shards {
            for round in 0..100 {
                let at = draw(round * 2, bytes.len());
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << draw(round * 2 + 1, 8);
                fs::write(dir.path().join(object), &flipped).unwrap();
                let found = defects(dir.path());
                assert!(
                    found.iter().any(|d| d.object == *object),
                    "{object} byte {at}"
                );
                let named: BTreeSet<_> = found.into_iter().filter_map(|d| d.patch).collect();
                let unread = unreadable(dir.path());
                assert!(
                    !unread.is_empty(),
                    "{codec:?} {object} byte {at} read as if whole"
                );
                // In a chunk, verify names its patch; in the index, all patches of the shard are lost.
                let in_index = at >= bytes.len() - (3 * 16 + 4);
                assert!(
                    in_index || (named == unread && named.len() == 1),
                    "{object} byte {at}"
                );
            }
            fs::write(dir.path().join(object), bytes).unwrap();
        }
        assert_eq!(defects(dir.path()), []);
    }
}

#[test]
fn one_flipped_bit_anywhere_else_is_found_by_verify_and_names_the_object() {
    let fixture = Fixture::new(5, 3, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    for (object, bytes) in files(dir.path()) {
        for round in 0..12 {
            let at = draw(round * 2, bytes.len());
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << draw(round * 2 + 1, 8);
            fs::write(dir.path().join(&object), &flipped).unwrap();
            let found = defects(dir.path());
            assert!(
                found.iter().any(|d| d.object == object),
                "{object} byte {at}: {found:?}"
            );
            if ["zarr.json", "patches.parquet"].contains(&object.as_str()) {
                let error = StoreReader::open(dir.path()).unwrap_err().to_string();
                assert!(
                    error.contains(&object) || error.contains("format"),
                    "{error}"
                );
            }
        }
        fs::write(dir.path().join(&object), &bytes).unwrap();
    }
    assert_eq!(defects(dir.path()), []);
}

#[test]
fn truncated_missing_and_swapped_shards_are_named() {
    let fixture = Fixture::new(6, 2, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    let (object, other) = ("20m/c.1.0.0.0", "20m/c.2.0.0.0");
    let (path, other_path) = (dir.path().join(object), dir.path().join(other));
    let whole = fs::read(&path).unwrap();
    let named = |object: &str| {
        let found = defects(dir.path());
        assert!(
            found.iter().any(|d| d.object == object),
            "{object}: {found:?}"
        );
    };

    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        named(object);
        assert_eq!(unreadable(dir.path()).len(), 2, "cut at {length}");
    }
    fs::remove_file(&path).unwrap();
    named(object);
    assert_eq!(unreadable(dir.path()).len(), 2);

    fs::write(&path, fs::read(&other_path).unwrap()).unwrap();
    fs::write(&other_path, &whole).unwrap();
    named(object);
    named(other);
}

#[test]
fn other_missing_objects_are_named() {
    let fixture = Fixture::new(3, 2, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    for (object, bytes) in files(dir.path()) {
        fs::remove_file(dir.path().join(&object)).unwrap();
        let found = defects(dir.path());
        assert!(
            found.iter().any(|d| d.object == object),
            "{object}: {found:?}"
        );
        fs::write(dir.path().join(&object), bytes).unwrap();
    }
}

#[test]
fn statistics_that_are_not_those_of_the_pixels_are_found() {
    let fixture = Fixture::new(3, 2, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    let units = fixture.write_shards(dir.path());
    let writer = fixture.writer(dir.path());
    let mut statistics = fixture.statistics();
    statistics[0].bands[8].mean += 0.5;
    statistics[1].bands[0].zeros += 1;
    statistics[2].bands[3].p50 = -1.0;
    writer
        .finalize(&fixture.rows, &units, statistics, &[])
        .unwrap();
    let found: Vec<_> = defects(dir.path()).into_iter().map(|d| d.reason).collect();
    let expected = [
        "all patches, band B8A: mean",
        "train, band B01: zeros",
        "test, band B04: min",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    assert!(
        found.iter().zip(expected).all(|(f, e)| f.contains(e)),
        "{found:?}"
    );
}

#[test]
fn the_report_is_the_same_for_any_number_of_threads() {
    let fixture = Fixture::new(9, 2, Codec::None);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    for (object, bytes) in files(dir.path()) {
        if object.ends_with(".0.0.0") {
            let mut flipped = bytes;
            flipped[100] ^= 1;
            fs::write(dir.path().join(object), flipped).unwrap();
        }
    }
    let report = verify(dir.path(), 1).unwrap();
    assert_eq!(report.defects.len(), 2 * 15);
    assert_eq!(report, verify(dir.path(), 4).unwrap());
}
