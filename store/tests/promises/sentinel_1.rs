//! Sentinel-1 comes back as it was written, and damage of it is found.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use chipmill_schemas::manifest::Codec;
use chipmill_store::{S1Pixels, StoreReader, verify};
use zarrs::array::Array;
use zarrs::filesystem::FilesystemStore;

use crate::fixture::{CODECS, Fixture, files};

fn bits(pixels: &S1Pixels) -> Vec<u32> {
    pixels.values().iter().map(|v| v.to_bits()).collect()
}

#[test]
fn every_patch_gets_its_own_sentinel_1_back_to_the_bit_or_nan() {
    for codec in CODECS {
        for (patches, shard_patches) in [(1, 4), (4, 4), (7, 3), (5, 4)] {
            let fixture = Fixture::new(patches, shard_patches, codec).with_s1();
            let dir = tempfile::tempdir().unwrap();
            fixture.write(dir.path());
            let store = StoreReader::open(dir.path()).unwrap();
            assert!(store.has_s1());
            let mut pixels = S1Pixels::absent();
            for (index, expected) in (0..patches).zip(&fixture.s1) {
                assert_eq!(store.patch_has_s1(index).unwrap(), expected.is_some());
                assert_eq!(
                    store.read_s1(index, &mut pixels).unwrap(),
                    expected.is_some()
                );
                let absent = S1Pixels::absent();
                let expected = expected.as_ref().unwrap_or(&absent);
                assert!(bits(&pixels) == bits(expected), "{codec:?} #{index}");
            }
            assert!(store.read_s1(patches, &mut pixels).is_err());
            let report = verify(dir.path(), 2).unwrap();
            assert_eq!(report.defects, []);
        }
    }
}

#[test]
fn a_store_without_sentinel_1_says_so() {
    let dir = tempfile::tempdir().unwrap();
    Fixture::new(2, 2, Codec::Lz4).write(dir.path());
    let store = StoreReader::open(dir.path()).unwrap();
    let mut pixels = S1Pixels::absent();
    pixels.values_mut().fill(1.0);
    assert!(!store.has_s1() && !store.patch_has_s1(1).unwrap());
    assert!(!store.read_s1(1, &mut pixels).unwrap());
    assert!(pixels.values().iter().all(|v| v.is_nan()));
    assert_eq!(store.manifest().format_version.to_string(), "1.0");
    assert!(!dir.path().join("s1").exists());
}

#[test]
fn everything_that_1_0_has_is_the_same_with_sentinel_1_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let (without, with) = (dir.path().join("without"), dir.path().join("with"));
    Fixture::new(5, 2, Codec::Lz4).write(&without);
    Fixture::new(5, 2, Codec::Lz4).with_s1().write(&with);
    let (without, with) = (files(&without), files(&with));
    let differing = without
        .iter()
        .filter(|(name, bytes)| with.get(*name) != Some(bytes));
    assert_eq!(
        differing.map(|(name, _)| name).collect::<Vec<_>>(),
        ["zarr.json"]
    );
    let more: Vec<_> = with.keys().filter(|k| !without.contains_key(*k)).collect();
    let expected = [
        "polarisation/c.0",
        "polarisation/zarr.json",
        "s1/c.0.0.0.0",
        "s1/c.1.0.0.0",
        "s1/c.2.0.0.0",
        "s1/zarr.json",
        "s1_units.parquet",
    ];
    assert_eq!(more, expected);
}

#[test]
fn zarrs_reads_sentinel_1_as_one_array_with_nan_where_there_is_none() {
    for codec in CODECS {
        let fixture = Fixture::new(7, 3, codec).with_s1();
        let dir = tempfile::tempdir().unwrap();
        fixture.write(dir.path());
        let storage = Arc::new(FilesystemStore::new(dir.path()).unwrap());
        let array = Array::open(storage, "/s1").unwrap();
        let all: Vec<f32> = array.retrieve_array_subset(&array.subset_all()).unwrap();
        let absent = S1Pixels::absent();
        let patches = fixture
            .s1
            .iter()
            .map(|p| p.as_ref().unwrap_or(&absent).values());
        let expected: Vec<u32> = patches.flatten().map(|v| v.to_bits()).collect();
        assert!(all.iter().map(|v| v.to_bits()).eq(expected), "{codec:?}");
    }
}

#[test]
fn any_flipped_bit_of_sentinel_1_is_found_and_named() {
    let fixture = Fixture::new(5, 3, Codec::Lz4).with_s1();
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    let store = files(dir.path());
    let of_s1 = |name: &str| name.starts_with("s1") || name.starts_with("polarisation");
    for (object, bytes) in store.iter().filter(|(name, _)| of_s1(name)) {
        for round in 0..30usize {
            let at = round.wrapping_mul(0x9E37_79B9_7F4A_7C15) % bytes.len();
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (round % 8);
            fs::write(dir.path().join(object), &flipped).unwrap();
            let found = verify(dir.path(), 2).unwrap().defects;
            assert!(
                found.iter().any(|d| d.object == *object),
                "{object} byte {at}"
            );
            let in_chunk = object.ends_with(".0.0.0") && at < bytes.len() - (3 * 16 + 4);
            if in_chunk {
                let named: BTreeSet<_> = found.into_iter().filter_map(|d| d.patch).collect();
                assert_eq!(named.len(), 1, "{object} byte {at}");
                let reader = StoreReader::open(dir.path()).unwrap();
                let mut pixels = S1Pixels::absent();
                let errors = (0..5).filter_map(|i| reader.read_s1(i, &mut pixels).err());
                let errors: Vec<_> = errors.map(|e| e.to_string()).collect();
                assert!(errors.len() == 1 && errors[0].contains(named.first().unwrap()));
            }
        }
        fs::write(dir.path().join(object), bytes).unwrap();
    }
    let (a, b) = ("s1/c.0.0.0.0", "s1/c.1.0.0.0");
    fs::write(dir.path().join(a), &store[b]).unwrap();
    fs::remove_file(dir.path().join(b)).unwrap();
    let found = verify(dir.path(), 1).unwrap().defects;
    assert!([a, b].iter().all(|o| found.iter().any(|d| d.object == *o)));
}

#[test]
fn statistics_that_are_not_those_of_the_radar_pixels_are_found() {
    let mut fixture = Fixture::new(4, 2, Codec::Lz4).with_s1();
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    // The manifest is written anew, for other pixels than the shards hold.
    fixture.s1[0].as_mut().unwrap().values_mut()[3] = 40.0;
    let units = fixture.write_shards(dir.path());
    let s1_units = Fixture::new(4, 2, Codec::Lz4)
        .with_s1()
        .write_s1_shards(dir.path());
    let contents = chipmill_store::Contents {
        units: &units,
        statistics: fixture.statistics(),
        versions: &[],
        s1: Some(chipmill_store::S1Contents {
            units: &s1_units,
            statistics: fixture.s1_statistics(),
        }),
    };
    let writer = fixture.writer(dir.path());
    writer
        .finalize_contents(&fixture.rows[..], contents)
        .unwrap();
    let found: Vec<_> = verify(dir.path(), 1).unwrap().defects;
    let reasons: Vec<_> = found.into_iter().map(|d| d.reason).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons[0].contains("all patches, VV: max is 40"),
        "{reasons:?}"
    );
}
