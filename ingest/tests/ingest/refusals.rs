//! What cannot be ingested is refused with a message that names it.

use std::fs;
use std::path::Path;

use chipmill_ingest::IngestOptions;
use chipmill_schemas::selection::Selection;

use crate::support::*;

fn refused(options: &IngestOptions) -> String {
    let text = chain(&run(options).unwrap_err());
    assert!(!options.store.join("zarr.json").exists());
    text
}

#[test]
fn a_source_that_is_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let to_store = |source: &Path| options(source, &at("store"));
    let absent = refused(&to_store(&at("absent")));
    assert!(
        absent.contains("absent") && absent.contains("No such file"),
        "{absent}"
    );
    fs::write(at("text.tar"), "this is no archive").unwrap();
    let text = refused(&to_store(&at("text.tar")));
    assert!(
        text.contains("text.tar") && text.contains(".tar.zst"),
        "{text}"
    );
    fs::create_dir(at("empty")).unwrap();
    let empty = refused(&to_store(&at("empty")));
    assert!(
        empty.contains("no patches in") && empty.contains("found nothing"),
        "{empty}"
    );
    fs::write(at("empty/readme.txt"), "x").unwrap();
    let other = refused(&to_store(&at("empty")));
    assert!(
        other.contains("not understood") && other.contains("readme.txt"),
        "{other}"
    );
    fs::write(at("other.tar"), tar(&[])).unwrap();
    assert!(!at("store").join("10m").exists());
}

#[test]
fn a_missing_or_garbage_metadata_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    write_folder(&folder, &v2(2));
    let mut options = options(&folder, &dir.path().join("store"));
    options.metadata = vec![dir.path().join("metadata.parquet")];
    let missing = refused(&options);
    assert!(
        missing.contains("metadata.parquet") && missing.contains("No such file"),
        "{missing}"
    );
    fs::write(&options.metadata[0], b"PAR1 and then nothing PAR1").unwrap();
    let garbage = refused(&options);
    assert!(
        garbage.contains("metadata.parquet") && garbage.contains("damaged"),
        "{garbage}"
    );
}

#[test]
fn an_archive_that_is_cut_or_damaged_is_named_and_leaves_nothing_that_opens() {
    let dir = tempfile::tempdir().unwrap();
    let whole = tar(&v2(5));
    let zstd = zstd::encode_all(&whole[..], 3).unwrap();
    let gzip = gzip(&whole);
    let mut flipped = gzip.clone();
    let checksum = flipped.len() - 6;
    flipped[checksum] ^= 0x40;
    let cases = [
        ("cut.tar", &whole[..whole.len() / 2]),
        ("cut.tar.zst", &zstd[..zstd.len() / 2]),
        ("cut.tar.gz", &gzip[..gzip.len() - 4]),
        ("flipped.tar.gz", &flipped[..]),
    ];
    for (name, bytes) in cases {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let text = refused(&options(&path, &dir.path().join(format!("store-{name}"))));
        assert!(
            text.contains(name) && text.contains("damaged or cut short"),
            "{text}"
        );
    }
}

#[test]
fn a_hostile_archive_writes_nothing_outside_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = tar(&v2(2));
    bytes.truncate(bytes.len() - 1024);
    let mut hostile = tar::Builder::new(Vec::new());
    for name in ["../escaped", "/chipmill-escaped", "store/10m/c.0.0.0.0"] {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(3);
        header.set_cksum();
        hostile.append(&header, &b"bad"[..]).unwrap();
    }
    bytes.extend(hostile.into_inner().unwrap());
    let path = dir.path().join("a.tar");
    fs::write(&path, bytes).unwrap();
    let (summary, _) = stored(&options(&path, &dir.path().join("store")));
    assert_eq!(summary.patches, 2);
    assert_eq!(
        summary
            .notes
            .iter()
            .filter(|n| n.contains("refused"))
            .count(),
        2
    );
    let mut names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["a.tar", "store"]);
    assert!(!Path::new("/chipmill-escaped").exists());
}

#[test]
fn a_folder_that_holds_something_else_does_not_become_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    write_folder(&folder, &v2(2));
    let store = dir.path().join("store");
    fs::create_dir(&store).unwrap();
    fs::write(store.join("thesis.tex"), "x").unwrap();
    let occupied = refused(&options(&folder, &store));
    assert!(occupied.contains("thesis.tex"), "{occupied}");
    fs::remove_file(store.join("thesis.tex")).unwrap();
    run(&options(&folder, &store)).unwrap();
    fs::remove_dir_all(store.join(".ingest")).unwrap();
    let text = chain(&run(&options(&folder, &store)).unwrap_err());
    assert!(text.contains("finished store"), "{text}");
}

#[test]
fn impossible_options_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), &dir.path().join("store"));
    assert!(
        refused(&IngestOptions {
            sources: vec![],
            ..options.clone()
        })
        .contains("no source")
    );
    assert!(
        refused(&IngestOptions {
            shard_patches: 0,
            ..options.clone()
        })
        .contains("1 to 1024")
    );
    assert!(
        refused(&IngestOptions {
            map_min_share: 1.5,
            ..options.clone()
        })
        .contains("0 to 1")
    );
    let with = |selection| IngestOptions {
        selection,
        ..options.clone()
    };
    let atlantis = refused(&with(Selection {
        countries: vec!["Atlantis".to_owned()],
        ..Selection::default()
    }));
    assert!(
        atlantis.contains("`Atlantis`") && atlantis.contains("no country"),
        "{atlantis}"
    );
    let label = refused(&with(Selection {
        labels_any: vec!["Airport".to_owned()],
        ..Selection::default()
    }));
    assert!(label.contains("`Airports`"), "{label}");
}

#[test]
fn a_shard_that_cannot_be_written_ends_the_ingest_of_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let patches = v2(23);
    let mut shuffled = patches.clone();
    shuffled.reverse();
    write_folder(&at("folder"), &patches);
    fs::write(at("archive"), tar(&patches)).unwrap();
    fs::write(at("shuffled"), tar(&shuffled)).unwrap();
    for form in ["folder", "archive", "shuffled"] {
        let store = at(&format!("store-{form}"));
        let options = options(&at(form), &store);
        // Plan first, so that the folder may hold something; then put a folder in a shard's way.
        let stop = std::sync::atomic::AtomicBool::new(true);
        chipmill_ingest::ingest(&options, &stop, &chipmill_ingest::Silent).unwrap_err();
        let in_the_way = store.join("10m/c.1.0.0.0/x");
        fs::create_dir_all(&in_the_way).unwrap();
        let text = refused(&options);
        assert!(
            text.contains("cannot write") && text.contains("c.1.0.0.0"),
            "{form}: {text}"
        );
        fs::remove_dir_all(in_the_way.parent().unwrap()).unwrap();
        assert_eq!(run(&options).unwrap().patches, 23);
    }
}
