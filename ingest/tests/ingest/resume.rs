//! An ingest that is stopped goes on where it was, and ends with the same bytes.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chipmill_ingest::{IngestError, IngestOptions, Progress, ingest};
use chipmill_schemas::band::Band;
use chipmill_schemas::manifest::Codec;
use chipmill_store::StoreReader;

use crate::support::*;

/// Wants a stop once so many patches were worked on.
struct StopAfter {
    patches: u64,
    seen: AtomicU64,
    stop: AtomicBool,
}

impl Progress for StopAfter {
    fn advance(&self, patches: u64, _: u64) {
        if self.seen.fetch_add(patches, Ordering::Relaxed) + patches >= self.patches {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

pub(crate) fn interrupted(options: &IngestOptions, patches: u64) -> bool {
    let stop = StopAfter {
        patches,
        seen: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    match ingest(options, &stop.stop, &stop) {
        Err(IngestError::Interrupted { .. }) => {
            assert!(
                StoreReader::open(&options.store).is_err(),
                "an interrupted store opens"
            );
            true
        }
        Err(error) => panic!("{}", chain(&error)),
        Ok(_) => false,
    }
}

fn patches_with_a_defect() -> Vec<Patch> {
    let mut patches = v2(23);
    patches[6].band(Band::B03).truncate(1000);
    patches
}

#[test]
fn an_interrupted_ingest_goes_on_and_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let patches = patches_with_a_defect();
    let mut shuffled = patches.clone();
    shuffled.reverse();
    write_folder(&at("folder"), &patches);
    fs::write(at("archive"), tar(&patches)).unwrap();
    fs::write(at("shuffled"), tar(&shuffled)).unwrap();
    let (summary, expected) = stored(&options(&at("folder"), &at("expected")));
    for form in ["folder", "archive", "shuffled"] {
        for threads in [1, 2] {
            let store = at(&format!("{form}-{threads}"));
            let options = IngestOptions {
                threads,
                ..options(&at(form), &store)
            };
            let mut interruptions = 0;
            while interrupted(&options, 5 + interruptions * 5) {
                interruptions += 1;
                assert!(interruptions < 100);
            }
            assert!(interruptions > 0, "{form}");
            let (resumed, objects) = stored(&options);
            assert_same(&objects, &expected);
            assert_eq!(timeless(resumed), timeless(summary.clone()), "{form}");
        }
    }
}

#[test]
fn a_stop_before_the_start_leaves_nothing_that_opens() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("folder"), &v2(3));
    let options = options(&dir.path().join("folder"), &dir.path().join("store"));
    let result = ingest(&options, &AtomicBool::new(true), &chipmill_ingest::Silent);
    assert!(matches!(
        result,
        Err(IngestError::Interrupted { finished: 0 })
    ));
    assert!(StoreReader::open(&options.store).is_err());
    assert_eq!(run(&options).unwrap().patches, 3);
}

#[test]
fn a_finished_store_is_left_alone_and_the_summary_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    write_folder(&folder, &patches_with_a_defect());
    let options = options(&folder, &dir.path().join("store"));
    let first = run(&options).unwrap();
    let root = options.store.join("zarr.json");
    let written = fs::metadata(&root).unwrap().modified().unwrap();
    let second = run(&options).unwrap();
    assert_eq!(fs::metadata(&root).unwrap().modified().unwrap(), written);
    assert_eq!(second.patches_per_s, 0.0);
    assert!(second.has_defects());
    assert_eq!(timeless(second), timeless(first));
}

#[test]
fn an_ingest_with_other_options_or_other_patches_is_refused_naming_what_differs() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    write_folder(&folder, &v2(3));
    let options = options(&folder, &dir.path().join("store"));
    run(&options).unwrap();
    let refused = |options: &IngestOptions| {
        let error = run(options).unwrap_err();
        assert!(matches!(error, IngestError::OtherPlan { .. }), "{error}");
        error.to_string()
    };
    let codec = refused(&IngestOptions {
        codec: Codec::Zstd,
        ..options.clone()
    });
    assert!(codec.contains("codec was lz4, now zstd"), "{codec}");
    let shard = refused(&IngestOptions {
        shard_patches: 8,
        ..options.clone()
    });
    assert!(shard.contains("shard_patches was 4, now 8"), "{shard}");
    write_folder(&folder, &[Patch::v2(3)]);
    let patches = refused(&options);
    assert!(
        patches.contains("3 patches") && patches.contains("4 patches"),
        "{patches}"
    );
}

#[test]
fn what_a_kill_leaves_behind_does_not_block_the_next_ingest() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let patches = v2(11);
    write_folder(&at("folder"), &patches);
    let expected = stored(&options(&at("folder"), &at("expected"))).1;
    let options = options(&at("folder"), &at("store"));
    assert!(interrupted(&options, 1));
    // A shard without its record, half a temporary, and a record whose shards are whole.
    fs::write(options.store.join("10m/c.2.0.0.0"), b"half a shard").unwrap();
    fs::write(options.store.join("20m/c.2.0.0.0.999-1.tmp"), b"half").unwrap();
    let (_, objects) = stored(&options);
    assert_same(&objects, &expected);
}

#[test]
fn two_ingests_of_one_plan_at_a_time_make_one_whole_store() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let patches = patches_with_a_defect();
    write_folder(&at("folder"), &patches);
    fs::write(at("archive"), tar(&patches)).unwrap();
    let expected = stored(&options(&at("folder"), &at("expected"))).1;
    for form in ["folder", "archive"] {
        let options = options(&at(form), &at(&format!("store-{form}")));
        std::thread::scope(|scope| {
            let both = [0, 1].map(|_| scope.spawn(|| run(&options).map_err(|e| chain(&e))));
            for ingest in both {
                assert_eq!(ingest.join().unwrap().unwrap().patches, 22);
            }
        });
        assert_same(&objects(&options.store), &expected);
        assert_no_temporaries(&options.store);
    }
}

fn assert_no_temporaries(store: &Path) {
    let left: Vec<_> = objects(store)
        .into_keys()
        .filter(|p| p.extension().is_some_and(|e| e == "tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
