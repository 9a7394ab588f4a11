//! Stores of every format that was released, kept as they were written.
//!
//! `tests/formats/<version>-<codec>` were written by the recipe below, with
//! `CHIPMILL_WRITE_FORMATS=1 cargo test -p chipmill-store --test promises formats`. A new format adds
//! folders and never changes those that are there.

use std::path::{Path, PathBuf};

use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::manifest::Codec;
use chipmill_store::{PatchPixels, S1Pixels, StoreReader, verify};

use crate::fixture::{Fixture, files};

const PATCHES: u32 = 3;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/formats")
        .join(name)
}

/// Every band of every patch has one value, so that the files stay tiny.
fn recipe(codec: Codec, has_s1: bool) -> Fixture {
    let mut fixture = Fixture::new(PATCHES, 2, codec);
    if has_s1 {
        fixture = fixture.with_s1();
    }
    for (patch, index) in fixture.s1.iter_mut().zip(0u8..) {
        let values = patch.iter_mut().flat_map(|p| p.values_mut());
        values.for_each(|v| *v = -10.5 - f32::from(index));
    }
    for (pixels, index) in fixture.pixels.iter_mut().zip(0u16..) {
        for (band, code) in Band::ALL.into_iter().zip(0u16..) {
            pixels.band_slice_mut(band).fill(1_000 + 100 * code + index);
        }
    }
    fixture
}

/// 1.1 has Sentinel-1; a store without it is still one of 1.0.
const KEPT: [(&str, Codec, bool); 4] = [
    ("1.0-lz4", Codec::Lz4, false),
    ("1.0-zstd", Codec::Zstd, false),
    ("1.1-lz4", Codec::Lz4, true),
    ("1.1-zstd", Codec::Zstd, true),
];

#[test]
fn stores_of_every_released_format_hold_what_was_written_into_them() {
    for (name, codec, has_s1) in KEPT {
        let (root, recipe) = (folder(name), recipe(codec, has_s1));
        if std::env::var_os("CHIPMILL_WRITE_FORMATS").is_some() && !root.exists() {
            recipe.write(&root);
        }
        let reader = StoreReader::open(&root).unwrap();
        let mut pixels = PatchPixels::zeroed();
        for (index, (row, expected)) in (0u32..).zip(recipe.rows.iter().zip(&recipe.pixels)) {
            reader.read(index, &Resolution::ALL, &mut pixels).unwrap();
            for band in Band::ALL {
                assert_eq!(pixels.band_slice(band), expected.band_slice(band), "{name}");
            }
            assert_eq!(
                reader.table().iter().nth(index as usize).as_ref(),
                Some(row)
            );
        }
        let mut pixels = S1Pixels::absent();
        for (index, expected) in (0u32..).zip(&recipe.s1) {
            assert_eq!(
                reader.read_s1(index, &mut pixels).unwrap(),
                expected.is_some()
            );
            let expected = expected.as_ref().map_or(&pixels, |e| e);
            assert!(
                expected.values()[0].is_nan() || pixels == *expected,
                "{name}"
            );
        }
        let report = verify(&root, 1).unwrap();
        assert!(
            report.ok && report.patches == u64::from(PATCHES),
            "{report:?}"
        );
    }
}

/// The promise of one release; where a library's update breaks it, the changelog says so.
#[test]
fn the_same_patches_give_the_same_bytes_on_every_machine() {
    for (name, codec, has_s1) in KEPT {
        let dir = tempfile::tempdir().unwrap();
        recipe(codec, has_s1).write(dir.path());
        let (kept, now) = (files(&folder(name)), files(dir.path()));
        let names = kept.keys().chain(now.keys());
        let differing: Vec<_> = names.filter(|n| kept.get(*n) != now.get(*n)).collect();
        assert!(differing.is_empty(), "{name}: {differing:?}");
    }
}
