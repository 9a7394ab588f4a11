//! The same patches give the same store, whatever form they come in.

use std::fs;
use std::path::PathBuf;

use chipmill_schemas::manifest::Codec;
use chipmill_store::StoreReader;

use crate::support::*;

#[test]
fn folders_and_archives_of_every_kind_and_order_give_byte_identical_stores() {
    let dir = tempfile::tempdir().unwrap();
    let patches = v2(11);
    let folder = dir.path().join("folder");
    write_folder(&folder, &patches);
    let (summary, expected) = stored(&options(&folder, &dir.path().join("expected")));
    assert_eq!(
        (summary.patches, summary.shards, summary.quarantined),
        (11, 3, 0)
    );

    let shuffled: Vec<_> = [7, 2, 9, 0, 10, 4, 1, 8, 3, 6, 5]
        .map(|i: usize| patches[i].clone())
        .into();
    let plain = tar(&patches);
    let archives = [
        ("plain", plain.clone()),
        ("gzip", gzip(&plain)),
        ("zstd", zstd::encode_all(&plain[..], 3).unwrap()),
        ("shuffled", gzip(&tar(&shuffled))),
    ];
    for (name, bytes) in archives {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        for threads in [1, 3] {
            let store = dir.path().join(format!("store-{name}-{threads}"));
            let options = chipmill_ingest::IngestOptions {
                threads,
                ..options(&path, &store)
            };
            let (other, objects) = stored(&options);
            assert_same(&objects, &expected);
            assert_eq!(timeless(other), timeless(summary.clone()), "{name}");
            assert!(!store.join(".ingest/spool.bin").exists());
        }
    }
}

#[test]
fn the_number_of_threads_has_no_influence_on_the_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    write_folder(&folder, &v2(37));
    for codec in [Codec::Lz4, Codec::Zstd, Codec::None] {
        let with = |threads: usize| {
            let store = dir.path().join(format!("{codec:?}-{threads}"));
            stored(&chipmill_ingest::IngestOptions {
                threads,
                codec,
                ..options(&folder, &store)
            })
            .1
        };
        let one = with(1);
        assert_same(&with(2), &one);
        assert_same(&with(5), &one);
    }
}

#[test]
fn a_second_copy_of_a_patch_is_noted_and_the_first_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut copy = Patch::v2(1);
    copy.files = Patch::v2(5)
        .files
        .into_iter()
        .map(|(n, b)| (n.replace(&Patch::v2(5).id, &copy.id), b))
        .collect();
    let patches = [Patch::v2(0), Patch::v2(1), copy, Patch::v2(2)];
    let path = dir.path().join("a.tar");
    fs::write(&path, tar(&patches)).unwrap();
    // Files of one folder that are not neighbours are two patches; those of neighbours are one.
    let apart = [
        patches[0].clone(),
        patches[1].clone(),
        patches[3].clone(),
        patches[2].clone(),
    ];
    fs::write(dir.path().join("apart.tar"), tar(&apart)).unwrap();
    let store = dir.path().join("apart");
    let (summary, _) = stored(&options(&dir.path().join("apart.tar"), &store));
    assert_eq!(summary.patches, 3);
    assert!(
        summary.notes.iter().any(|n| n.contains("more than once")),
        "{:?}",
        summary.notes
    );
    let mut pixels = chipmill_store::PatchPixels::zeroed();
    let reader = StoreReader::open(&store).unwrap();
    reader
        .read(1, &chipmill_schemas::band::Resolution::ALL, &mut pixels)
        .unwrap();
    assert_eq!(
        pixels.band_slice(chipmill_schemas::band::Band::B01)[0],
        1011
    );

    let (summary, _) = stored(&options(&path, &dir.path().join("doubled")));
    assert_eq!((summary.patches, summary.quarantined), (2, 1));
    assert!(
        summary.defects[0].reason.contains("twice"),
        "{:?}",
        summary.defects
    );
}

#[test]
fn a_limit_takes_the_first_patches_of_either_form() {
    let dir = tempfile::tempdir().unwrap();
    let patches = v2(9);
    let (folder, archive) = (dir.path().join("folder"), dir.path().join("archive"));
    write_folder(&folder, &patches);
    fs::write(&archive, tar(&patches)).unwrap();
    let with = |source, name: &str| {
        let options = options(source, &dir.path().join(name));
        stored(&chipmill_ingest::IngestOptions {
            selection: first(5),
            ..options
        })
    };
    let (summary, expected) = with(&folder, "a");
    assert_eq!(
        (summary.patches, summary.excluded, summary.missing),
        (5, 4, 0)
    );
    let (summary, objects) = with(&archive, "b");
    assert_eq!((summary.patches, summary.missing), (5, 0));
    assert_same(&objects, &expected);
}

#[test]
fn several_sources_make_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let patches = v2(9);
    let (a, b, all) = (
        dir.path().join("a"),
        dir.path().join("b"),
        dir.path().join("all"),
    );
    write_folder(&a, &patches[5..]);
    fs::write(&b, tar(&patches[..6])).unwrap();
    write_folder(&all, &patches);
    let expected = stored(&options(&all, &dir.path().join("expected"))).1;
    let mut both = options(&a, &dir.path().join("both"));
    both.sources.push(b);
    let (summary, objects) = stored(&both);
    assert_eq!(summary.patches, 9);
    assert_same(&objects, &expected);
}

#[test]
fn the_parts_of_a_split_archive_are_one_stream_when_given_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let patches = v2(9);
    let (whole, folder) = (gzip(&tar(&patches)), dir.path().join("folder"));
    write_folder(&folder, &patches);
    let (_, expected) = stored(&options(&folder, &dir.path().join("a")));
    let parts: Vec<_> = ["aa", "ab", "ac"]
        .iter()
        .map(|suffix| dir.path().join(format!("BigEarthNet-S2.tar.gz{suffix}")))
        .collect();
    let length = whole.len().div_ceil(3);
    for (part, bytes) in parts.iter().zip(whole.chunks(length)) {
        fs::write(part, bytes).unwrap();
    }
    let with = |sources: &[PathBuf], store: &str| chipmill_ingest::IngestOptions {
        sources: sources.to_vec(),
        ..options(&folder, &dir.path().join(store))
    };
    let (summary, objects) = stored(&with(&parts, "b"));
    assert_eq!(summary.patches, 9);
    assert_same(&objects, &expected);

    let lacking = chain(&run(&with(&parts[..2], "c")).unwrap_err());
    assert!(
        lacking.contains("gzab") && lacking.contains("all parts"),
        "{lacking}"
    );
    let swapped = [parts[0].clone(), parts[2].clone()];
    let refused = run(&with(&swapped, "d")).unwrap_err().to_string();
    assert!(refused.contains("in their order"), "{refused}");
}
