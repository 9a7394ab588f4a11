//! Patches as `f32` in a batch, read and mapped.

use std::error::Error;
use std::fs;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::manifest::Codec;
use chipmill_store::{PatchPixels, StoreReader};

use crate::fixture::{CODECS, Fixture, mapped};

const VALUES: usize = 80_000;

#[test]
fn a_patch_as_floats_is_its_pixels_for_every_codec_mapped_or_not_at_every_alignment() {
    for codec in CODECS {
        let fixture = Fixture::new(5, 3, codec);
        let dir = tempfile::tempdir().unwrap();
        fixture.write(dir.path());
        for store in [StoreReader::open(dir.path()).unwrap(), mapped(dir.path())] {
            let mut work = PatchPixels::zeroed();
            for (index, pixels) in (0u32..).zip(&fixture.pixels) {
                let groups = Resolution::ALL.iter().flat_map(|&r| pixels.group_slice(r));
                let expected: Vec<f32> = groups.map(|&v| f32::from(v)).collect();
                let offset = index as usize;
                let mut batch = vec![-1.0; VALUES + 8];
                let place = &mut batch[offset..offset + VALUES];
                store.read_f32(None, index, &mut work, place).unwrap();
                assert!(
                    batch[offset..offset + VALUES] == expected,
                    "{codec:?} #{index}"
                );
                let (before, after) = (&batch[..offset], &batch[offset + VALUES..]);
                assert!(before.iter().chain(after).all(|&v| v == -1.0));
            }
        }
    }
}

#[test]
#[should_panic(expected = "one patch")]
fn a_place_of_another_length_is_a_mistake_of_the_caller() {
    let fixture = Fixture::new(1, 1, Codec::None);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    let store = StoreReader::open(dir.path()).unwrap();
    let mut place = vec![0.0; VALUES - 1];
    let _ = store.read_f32(None, 0, &mut PatchPixels::zeroed(), &mut place);
}

#[test]
fn a_shard_that_is_missing_or_shorter_than_its_index_says_is_an_error_under_a_map_as_well() {
    let fixture = Fixture::new(4, 2, Codec::None);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    let path = dir.path().join("20m/c.1.0.0.0");
    let whole = fs::read(&path).unwrap();
    let (mut work, mut place) = (PatchPixels::zeroed(), vec![0.0; VALUES]);
    fs::write(&path, &whole[whole.len() / 2..]).unwrap();
    let error = mapped(dir.path()).read_f32(None, 3, &mut work, &mut place);
    let error = error.unwrap_err().to_string();
    assert!(error.contains(fixture.rows[3].id.as_str()) && error.contains("20m/c.1.0.0.0"));
    fs::remove_file(&path).unwrap();
    mapped(dir.path())
        .read_f32(None, 3, &mut work, &mut place)
        .unwrap_err();
    mapped(dir.path())
        .read_f32(None, 1, &mut work, &mut place)
        .unwrap();
}

/// The promise that maps ask for is broken here, before the last patch was ever read: no signal, but an error.
#[cfg(target_os = "linux")]
#[test]
fn a_shard_that_was_shortened_after_it_was_mapped_is_an_error_for_patches_not_read_before() {
    let fixture = Fixture::new(4, 4, Codec::None);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    let store = mapped(dir.path());
    let (mut work, mut place) = (PatchPixels::zeroed(), vec![0.0; VALUES]);
    store.read_f32(None, 0, &mut work, &mut place).unwrap();
    let path = dir.path().join("10m/c.0.0.0.0");
    let shard = fs::OpenOptions::new().write(true).open(path).unwrap();
    shard.set_len(120_000).unwrap();
    store.read_f32(None, 0, &mut work, &mut place).unwrap();
    let error = store.read_f32(None, 3, &mut work, &mut place).unwrap_err();
    assert!(
        error.to_string().contains(fixture.rows[3].id.as_str()),
        "{error}"
    );
    let source = error.source().map(|e| e.to_string()).unwrap_or_default();
    assert!(source.contains("changed while it was mapped"), "{source}");
}
