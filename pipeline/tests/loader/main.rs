//! The loader on real stores: order, determinism, resumption, errors.

#![cfg(test)]

mod damage;
mod resuming;
#[path = "../support/tiny_store.rs"]
mod tiny_store;
mod views;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use chipmill_pipeline::{
    Augmenter, Batch, KeepLast, Loader, LoaderError, LoaderSpec, LoaderState, Order, Pages,
    SimdPath, bf16, f16,
};
use chipmill_schemas::augment::{Augment, Chance, Preset};
use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::config::{
    BandChoice, NamedBands, Normalise, OnCorrupt, ViewChange, ViewConfig, ViewType,
};
use chipmill_store::StoreReader;

const PATCHES: u32 = 37;

fn store(folder: &tempfile::TempDir) -> StoreReader {
    let path = folder.path().join("store");
    tiny_store::write(&path, PATCHES).unwrap();
    StoreReader::open(&path).unwrap()
}

fn spec() -> LoaderSpec {
    let view = ViewConfig {
        side: 16,
        bands: BandChoice::Named(NamedBands::All),
        ..ViewConfig::default()
    };
    LoaderSpec {
        batch_size: 5,
        workers: 2,
        seed: 42,
        keep_last: KeepLast::Keep,
        epochs: Some(2),
        ..LoaderSpec::new((0..PATCHES).collect(), view)
    }
}

/// Bytes that hold exactly so many slots of `spec`, found by asking for too little.
fn budget(reader: &StoreReader, spec: &LoaderSpec, slots: usize) -> usize {
    let poor = LoaderSpec {
        budget_bytes: 0,
        ..spec.clone()
    };
    match Loader::start(reader.clone(), poor) {
        Err(LoaderError::Budget { slot, fixed, .. }) => fixed + slots * slot,
        other => panic!("{other:?}"),
    }
}

/// Position, rows and values of one batch.
type Content = ((u64, u64), Vec<u32>, Vec<u8>);

fn contents(loader: &mut Loader, most: usize) -> Vec<Content> {
    let content = |batch: Result<Batch, LoaderError>| {
        let batch = batch.unwrap();
        (
            (batch.epoch(), batch.ordinal()),
            batch.patches().to_vec(),
            batch.bytes().to_vec(),
        )
    };
    loader.take(most).map(content).collect()
}

fn all(reader: &StoreReader, spec: LoaderSpec) -> Vec<Content> {
    contents(
        &mut Loader::start(reader.clone(), spec).unwrap(),
        usize::MAX,
    )
}

#[test]
fn batches_are_the_same_to_the_last_bit_for_any_workers_and_budget() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let expected = all(
        &reader,
        LoaderSpec {
            workers: 1,
            ..spec()
        },
    );
    assert_eq!(expected.len(), 16);
    let positions: Vec<_> = expected.iter().map(|c| c.0).collect();
    let in_order: Vec<_> = (0..2).flat_map(|e| (0..8).map(move |b| (e, b))).collect();
    assert_eq!(positions, in_order);
    for workers in [1, 2, 8] {
        for slots in [2, 3, 7] {
            let spec = LoaderSpec { workers, ..spec() };
            let budget_bytes = budget(&reader, &spec, slots);
            let spec = LoaderSpec {
                budget_bytes,
                ..spec
            };
            let mut loader = Loader::start(reader.clone(), spec).unwrap();
            assert!(
                contents(&mut loader, usize::MAX) == expected,
                "{workers} {slots}"
            );
            let stats = loader.stats();
            assert_eq!((stats.slots, stats.workers), (slots, workers));
            assert!(stats.bytes_in_flight_max <= budget_bytes);
            assert_eq!((stats.batches, stats.samples, stats.views), (16, 74, 148));
        }
    }
}

#[test]
fn every_row_comes_exactly_once_an_epoch_over_all_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let world = 3;
    let mut counts: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    for rank in 0..world {
        let mine = LoaderSpec {
            rank,
            world,
            ..spec()
        };
        for ((epoch, _), patches, _) in all(&reader, mine) {
            for patch in patches {
                *counts.entry((epoch, patch)).or_default() += 1;
            }
        }
    }
    assert_eq!(counts.len(), 2 * PATCHES as usize);
    assert!(counts.values().all(|&n| n == 1));
}

#[test]
fn epochs_and_seeds_give_other_orders_and_other_views() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let base = all(&reader, spec());
    let other = all(&reader, LoaderSpec { seed: 43, ..spec() });
    assert_ne!(base[0].1, base[8].1, "epochs");
    assert_ne!(base[0].1, other[0].1, "seeds");
    // The same patch looks different in the other epoch, and in the other view.
    let sequential = LoaderSpec {
        order: Order::Sequential,
        batch_size: 1,
        ..spec()
    };
    let plain = all(&reader, sequential);
    assert_eq!(plain[0].1, plain[PATCHES as usize].1);
    assert_ne!(plain[0].2, plain[PATCHES as usize].2);
    let (left, right) = plain[0].2.split_at(4 * 12 * 256);
    assert_ne!(left, right);
}

#[test]
fn a_loader_can_be_dropped_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    for consumed in [0, 1, 2, 5] {
        for slots in [2, 4] {
            let endless = LoaderSpec {
                epochs: None,
                budget_bytes: budget(&reader, &spec(), slots),
                ..spec()
            };
            let mut loader = Loader::start(reader.clone(), endless).unwrap();
            // Batches that outlive their loader keep their values.
            let held: Vec<_> = loader.by_ref().take(consumed.min(slots - 1)).collect();
            drop(loader);
            for batch in held {
                assert_eq!(
                    batch.unwrap().data::<f32>().unwrap().len(),
                    2 * 5 * 12 * 16 * 16
                );
            }
        }
    }
}

#[test]
fn a_slow_consumer_gets_every_batch_within_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let expected = all(&reader, spec());
    let budget_bytes = budget(&reader, &spec(), 3);
    let slow = LoaderSpec {
        budget_bytes,
        ..spec()
    };
    let mut loader = Loader::start(reader, slow).unwrap();
    let mut found = Vec::new();
    for _ in 0..16 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        found.extend(contents(&mut loader, 1));
        assert!(loader.stats().queue_depth <= 3);
    }
    assert!(loader.next().is_none());
    assert!(found == expected);
    assert!(loader.stats().bytes_in_flight_max <= budget_bytes);
}

#[test]
fn every_row_comes_exactly_once_an_epoch_in_pages_over_all_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let pages = Pages {
        page_rows: 4,
        window_pages: 3,
    };
    let mut counts: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    for rank in 0..3 {
        let mine = LoaderSpec {
            rank,
            world: 3,
            order: Order::Pages(pages),
            ..spec()
        };
        for ((epoch, _), patches, _) in all(&reader, mine) {
            patches
                .into_iter()
                .for_each(|patch| *counts.entry((epoch, patch)).or_default() += 1);
        }
    }
    assert_eq!(counts.len(), 2 * PATCHES as usize);
    assert!(counts.values().all(|&n| n == 1));
}

#[test]
fn impossible_specifications_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let message = |spec: LoaderSpec| {
        let error = Loader::start(reader.clone(), spec).map(|_| ()).unwrap_err();
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        format!("{error} {cause}")
    };
    let rows = |rows: Vec<u32>| LoaderSpec {
        rows: rows.into(),
        ..spec()
    };
    let start = LoaderState { epoch: 0, batch: 9 };
    let bad = ViewConfig {
        augment: Some(vec![Augment::DropColor(Chance { p: 1.5 })]),
        ..ViewConfig::default()
    };
    let cases = [
        (rows(vec![1, 37]), "`rows` is a list with 37"),
        (rows(vec![]), "`rows` is 0 rows"),
        (LoaderSpec { views: 0, ..spec() }, "`views`"),
        (
            LoaderSpec {
                batch_size: 0,
                ..spec()
            },
            "`batch_size`",
        ),
        (
            LoaderSpec {
                rank: 2,
                world: 2,
                ..spec()
            },
            "`rank`",
        ),
        (
            LoaderSpec { start, ..spec() },
            "`start` is batch 9 of epoch 0",
        ),
        (
            LoaderSpec {
                budget_bytes: 1_000,
                ..spec()
            },
            "budget is 1000 bytes, but two batches need",
        ),
        (
            LoaderSpec {
                view: bad,
                ..spec()
            },
            "`view.augment[0].p` of `drop_color` is 1.5",
        ),
    ];
    for (spec, expected) in cases {
        let found = message(spec);
        assert!(found.contains(expected), "{found}");
    }
}
