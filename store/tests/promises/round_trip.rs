//! What is written is what is read, by this crate and by zarrs, in the same bytes every time.

use std::sync::Arc;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::manifest::Codec;
use chipmill_schemas::patch::Split;
use chipmill_store::{PatchPixels, StoreReader, digest, verify};
use zarrs::array::Array;
use zarrs::filesystem::FilesystemStore;

use crate::fixture::{CODECS, Fixture, files};

/// One patch alone, one full shard, a last shard that is partly filled, one patch over.
const SIZES: [(u32, u32); 4] = [(1, 4), (4, 4), (7, 3), (5, 4)];

#[test]
fn every_patch_comes_back_with_every_codec_and_size() {
    for codec in CODECS {
        for (patches, shard_patches) in SIZES {
            let fixture = Fixture::new(patches, shard_patches, codec);
            let dir = tempfile::tempdir().unwrap();
            fixture.write(dir.path());
            let store = StoreReader::open(dir.path()).unwrap();
            assert_eq!(store.table().to_rows(), fixture.rows);
            assert_eq!(store.len(), patches as usize);
            let mut pixels = PatchPixels::zeroed();
            for (index, expected) in (0..patches).zip(&fixture.pixels) {
                store.read(index, &Resolution::ALL, &mut pixels).unwrap();
                assert!(
                    pixels == *expected,
                    "{codec:?} {patches}/{shard_patches} #{index}"
                );
            }
            let report = verify(dir.path(), 2).unwrap();
            assert_eq!(report.defects, []);
            assert!(report.ok && report.patches == u64::from(patches));
        }
    }
}

#[test]
fn only_the_groups_asked_for_are_touched() {
    for codec in CODECS {
        let fixture = Fixture::new(2, 2, codec);
        let dir = tempfile::tempdir().unwrap();
        fixture.write(dir.path());
        let store = StoreReader::open(dir.path()).unwrap();
        let (before, expected) = (&fixture.pixels[0], &fixture.pixels[1]);
        for group in Resolution::ALL {
            let mut pixels = before.clone();
            store.read(1, &[group], &mut pixels).unwrap();
            for other in Resolution::ALL {
                let from = if other == group { expected } else { before };
                assert!(
                    pixels.group_slice(other) == from.group_slice(other),
                    "{codec:?}: {other:?} after {group:?}"
                );
            }
        }
        let error = store.read(2, &[], &mut before.clone()).unwrap_err();
        assert!(error.to_string().contains("2 patches"), "{error}");
    }
}

#[test]
fn a_damaged_chunk_leaves_the_other_groups_alone() {
    for codec in CODECS {
        let fixture = Fixture::new(1, 1, codec);
        let dir = tempfile::tempdir().unwrap();
        fixture.write(dir.path());
        for group in Resolution::ALL {
            let object = format!("{}/c.0.0.0.0", group.name());
            let path = dir.path().join(object);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[50] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        let store = StoreReader::open(dir.path()).unwrap();
        for group in Resolution::ALL {
            let mut pixels = fixture.pixels[0].clone();
            let error = store.read(0, &[group], &mut pixels).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("corrupt"), "{codec:?}: {source}");
            for other in Resolution::ALL.into_iter().filter(|&o| o != group) {
                let kept = fixture.pixels[0].group_slice(other);
                assert!(pixels.group_slice(other) == kept, "{codec:?}: {other:?}");
            }
        }
    }
}

#[test]
fn zarrs_reads_our_shards_as_one_array() {
    for codec in CODECS {
        let fixture = Fixture::new(7, 3, codec);
        let dir = tempfile::tempdir().unwrap();
        fixture.write(dir.path());
        let storage = Arc::new(FilesystemStore::new(dir.path()).unwrap());
        for resolution in Resolution::ALL {
            let path = format!("/{}", resolution.name());
            let array = Array::open(Arc::clone(&storage), &path).unwrap();
            let all: Vec<u16> = array.retrieve_array_subset(&array.subset_all()).unwrap();
            let groups = fixture.pixels.iter().map(|p| p.group_slice(resolution));
            assert!(
                all == groups.collect::<Vec<_>>().concat(),
                "{codec:?} {path}"
            );
        }
    }
}

#[test]
fn the_bytes_are_the_same_for_any_number_of_threads() {
    let fixture = Fixture::new(11, 2, Codec::Lz4);
    let write = |threads: usize| {
        let dir = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| fixture.write(dir.path()));
        files(dir.path())
    };
    let (one, four) = (write(1), write(4));
    assert!(one == four);
    assert!(one.keys().all(|name| !name.ends_with(".tmp")));
}

#[test]
fn finalizing_again_changes_no_byte() {
    let fixture = Fixture::new(3, 2, Codec::Zstd);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    let before = files(dir.path());
    fixture.write(dir.path());
    assert!(before == files(dir.path()));
}

#[test]
fn shards_have_the_bytes_that_format_1_gave_them() {
    let golden = GOLDEN.iter().map(|(codec, digests)| (*codec, *digests));
    for (codec, digests) in golden {
        let dir = tempfile::tempdir().unwrap();
        let units = Fixture::new(3, 2, codec).write_shards(dir.path());
        let objects = units.iter().flat_map(|u| &u.objects);
        let text: String = objects
            .map(|o| format!("{} {}\n", o.digest, o.path))
            .collect();
        assert_eq!(digest(text.as_bytes()), digests, "{codec:?}\n{text}");
    }
}

/// BLAKE3 over the lines `digest path` of the six shards.
const GOLDEN: [(Codec, &str); 3] = [
    (
        Codec::Lz4,
        "092dcd7f91701b9e92fdc359b085f22a4268e399ed42966f0d185094b22c6317",
    ),
    (
        Codec::Zstd,
        "dceb70ad0dcdfc306a945ed2c17c14261272cfd4ddba91a622344ffa70a226dc",
    ),
    (
        Codec::None,
        "a5cd83b809d05df302de3f2dc46398b54cb3c98f617e0a212665a263fe539260",
    ),
];

#[test]
fn statistics_are_found_by_split() {
    let fixture = Fixture::new(4, 4, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    let store = StoreReader::open(dir.path()).unwrap();
    let patches = |split| store.statistics(split).map(|s| s.patches);
    assert_eq!(patches(None), Some(4));
    assert_eq!(patches(Some(Split::Train)), Some(2));
    assert_eq!(patches(Some(Split::Validation)), None);
}

#[test]
fn many_threads_read_one_store() {
    let fixture = Fixture::new(9, 2, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    let store = StoreReader::open(dir.path()).unwrap();
    std::thread::scope(|scope| {
        for start in 0..8u32 {
            let (store, fixture) = (store.clone(), &fixture);
            scope.spawn(move || {
                let mut pixels = PatchPixels::zeroed();
                for step in 0..45 {
                    let index = (start + step * 4) % 9;
                    store.read(index, &Resolution::ALL, &mut pixels).unwrap();
                    assert!(pixels == fixture.pixels[index as usize]);
                }
            });
        }
    });
}

#[test]
fn announcing_any_rows_changes_nothing_and_hides_no_damage() {
    let fixture = Fixture::new(9, 2, Codec::Lz4);
    let dir = tempfile::tempdir().unwrap();
    fixture.write(dir.path());
    let store = StoreReader::open(dir.path()).unwrap();
    #[expect(clippy::reversed_empty_ranges, reason = "it must not matter")]
    for rows in [0..9, 1..2, 3..3, 7..3, 8..1_000, 2_000..u32::MAX] {
        store.prefetch(&[rows], &Resolution::ALL);
    }
    let mut pixels = PatchPixels::zeroed();
    for (index, expected) in (0..9).zip(&fixture.pixels) {
        store.read(index, &Resolution::ALL, &mut pixels).unwrap();
        assert!(pixels == *expected);
    }
    let object = chipmill_store::layout::shard_object(Resolution::M20, 1);
    std::fs::remove_file(dir.path().join(object)).unwrap();
    let store = StoreReader::open(dir.path()).unwrap();
    store.prefetch(std::slice::from_ref(&(0..9)), &Resolution::ALL);
    assert!(store.read(3, &[Resolution::M20], &mut pixels).is_err());
    store.read(3, &[Resolution::M10], &mut pixels).unwrap();
}
