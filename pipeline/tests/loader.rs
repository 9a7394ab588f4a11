//! The loader on real stores: order, determinism, resumption, errors.

#![cfg(test)]

#[path = "support/tiny_store.rs"]
mod tiny_store;

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
use proptest::prelude::*;

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
fn a_run_resumes_at_any_batch_with_other_workers_and_budget() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let whole = all(&reader, spec());
    // First, middle and last batch of an epoch, the next epoch's first, and the very end.
    for stop in [0, 1, 4, 7, 8, 9, 15, 16] {
        let mut first = Loader::start(reader.clone(), spec()).unwrap();
        let head = contents(&mut first, stop);
        let state = first.state();
        assert_eq!(
            (state.epoch, state.batch),
            (stop as u64 / 8, stop as u64 % 8)
        );
        drop(first);
        let rest = LoaderSpec {
            start: state,
            workers: 3,
            ..spec()
        };
        let budget_bytes = budget(&reader, &rest, 2);
        let tail = all(
            &reader,
            LoaderSpec {
                budget_bytes,
                ..rest
            },
        );
        assert!(
            [head, tail].concat() == whole,
            "stopped before batch {stop}"
        );
    }
}

#[test]
fn batches_made_ahead_do_not_count_as_consumed() {
    let folder = tempfile::tempdir().unwrap();
    let mut loader = Loader::start(store(&folder), spec()).unwrap();
    loader.next().unwrap().unwrap();
    while loader.stats().batches < 5 {
        std::thread::yield_now();
    }
    assert_eq!(loader.state(), LoaderState { epoch: 0, batch: 1 });
    let state = loader.state();
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<LoaderState>(&text).unwrap(), state);
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
fn views_have_the_shape_and_the_values_of_their_patches() {
    let folder = tempfile::tempdir().unwrap();
    let view = ViewConfig {
        normalise: Normalise::None,
        bands: BandChoice::List(vec![Band::B08, Band::B02]),
        preset: Preset::None,
        ..ViewConfig::default()
    };
    let plain = LoaderSpec {
        view,
        batch_size: 4,
        views: 3,
        order: Order::Sequential,
        ..spec()
    };
    let mut loader = Loader::start(store(&folder), plain).unwrap();
    assert_eq!(loader.batches_per_epoch(), 10);
    let batch = loader.nth(2).unwrap().unwrap();
    assert_eq!(batch.patches(), [8, 9, 10, 11]);
    assert_eq!(batch.shape(), [3, 4, 2, 120, 120]);
    let views = batch.views::<f32>().unwrap();
    for (view, sample, band, y, x) in [(0, 0, 0, 0, 0), (2, 3, 1, 119, 7), (1, 2, 0, 60, 119)] {
        let row = batch.patches()[sample];
        let expected = tiny_store::pixel(row, [Band::B08, Band::B02][band], y * 120 + x);
        assert_eq!(views[[view, sample, band, y, x]], f32::from(expected));
    }
    assert_eq!(
        batch.view::<f32>(1).unwrap(),
        &batch.data::<f32>().unwrap()[4 * 2 * 14_400..2 * 4 * 2 * 14_400]
    );
    assert!(batch.view::<f32>(3).unwrap().is_empty());
}

/// Flips one bit in the middle of an object.
fn corrupt(root: &Path, shard: &str) -> Result<(), Box<dyn Error>> {
    let path = root.join(shard);
    let mut bytes = std::fs::read(&path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(path, bytes)?;
    Ok(())
}

#[test]
fn a_corrupt_chunk_is_an_error_in_its_place_that_names_the_patch() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let sequential = LoaderSpec {
        order: Order::Sequential,
        epochs: Some(1),
        ..spec()
    };
    let whole = all(&reader, sequential.clone());
    let shard = chipmill_store::layout::shard_object(Resolution::M20, 1);
    corrupt(reader.path(), &shard).unwrap();
    let reader = StoreReader::open(reader.path()).unwrap();

    let mut loader = Loader::start(reader.clone(), sequential.clone()).unwrap();
    let mut failures = Vec::new();
    for expected in &whole {
        let before = loader.state();
        match loader.next().unwrap() {
            Ok(batch) => assert_eq!(batch.patches(), expected.1),
            Err(LoaderError::Read { at, row, patch, .. }) => {
                assert_eq!((at.epoch, at.batch), expected.0);
                assert!(expected.1.contains(&row));
                assert_eq!(patch, reader.table().id(row as usize).unwrap());
                assert_eq!(loader.state(), before, "an error is not consumed");
                failures.push(row);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(loader.next().is_none());
    let [row] = failures[..] else {
        panic!("one flipped bit spoils one batch: {failures:?}")
    };
    assert!((16..32).contains(&row), "the second shard holds row {row}");

    // Bands that do not need the damaged group are not disturbed.
    let ten_metre = LoaderSpec {
        view: ViewConfig {
            bands: BandChoice::Named(NamedBands::TenMetre),
            ..sequential.view.clone()
        },
        ..sequential
    };
    assert_eq!(all(&reader, ten_metre).len(), whole.len());
}

#[test]
fn half_precision_has_the_bits_of_the_single_precision_rounded_once() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let typed = |dtype| {
        let view = ViewConfig {
            dtype,
            ..spec().view
        };
        Loader::start(reader.clone(), LoaderSpec { view, ..spec() }).unwrap()
    };
    let mut loaders = [ViewType::F32, ViewType::F16, ViewType::Bf16].map(typed);
    let sizes = loaders.each_ref().map(|l| l.stats().slot_bytes);
    let values = 2 * 5 * 12 * 16 * 16;
    assert_eq!(sizes[0] - sizes[1], 2 * values, "two bytes less a value");
    assert_eq!(sizes[1], sizes[2]);
    for _ in 0..16 {
        let [single, half, brain] = loaders.each_mut().map(|l| l.next().unwrap().unwrap());
        let expected = single.data::<f32>().unwrap();
        let as_half: Vec<f16> = expected.iter().map(|&v| f16::from_f32(v)).collect();
        let as_brain: Vec<bf16> = expected.iter().map(|&v| bf16::from_f32(v)).collect();
        assert_eq!(half.data::<f16>().unwrap(), as_half);
        assert_eq!(brain.data::<bf16>().unwrap(), as_brain);
        assert_eq!(half.bytes().len() * 2, single.bytes().len());
        let [views, samples, bands, height, width] = brain.shape();
        let array = brain.views::<bf16>().unwrap();
        assert_eq!(array.dim(), (views, samples, bands, height, width));
        assert_eq!(
            array[[1, 0, 3, 2, 1]],
            brain.view::<bf16>(1).unwrap()[3 * 256 + 33]
        );
        assert_eq!(
            half.view_f32(1)[700],
            half.view::<f16>(1).unwrap()[700].to_f32()
        );
        assert_eq!(single.view_f32(1), single.view::<f32>(1).unwrap());
    }
}

#[test]
fn batches_have_the_same_bits_on_every_path_and_with_compiled_views() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let expected = all(&reader, spec());
    for path in SimdPath::ALL {
        let spec = LoaderSpec {
            simd: Some(path),
            ..spec()
        };
        match Loader::start(reader.clone(), spec) {
            Ok(mut loader) => {
                assert_eq!(loader.stats().simd, path.name());
                assert!(contents(&mut loader, usize::MAX) == expected, "{path}");
            }
            Err(error) => assert!(path.check().is_err(), "{path}: {error}"),
        }
    }
    let statistics = reader.statistics(None).unwrap();
    let view = || Augmenter::compile(&spec().view, statistics).unwrap();
    let start = |views| Loader::start_with(reader.clone(), views, spec());
    let mut loader = start(vec![view(), view()]).unwrap();
    assert!(contents(&mut loader, usize::MAX) == expected);
    let other = ViewConfig {
        side: 32,
        ..ViewConfig::default()
    };
    let other = Augmenter::compile(&other, statistics).unwrap();
    for (views, expected) in [
        (
            vec![view()],
            "`augmenters` is 1, expected one for each of 2 views",
        ),
        (
            vec![view(), other],
            "`augmenters` is views of 12 bands and side 32",
        ),
    ] {
        let error = start(views).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn another_type_than_the_batchs_is_an_error_that_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let view = ViewConfig {
        dtype: ViewType::F16,
        ..spec().view
    };
    let mut loader = Loader::start(store(&folder), LoaderSpec { view, ..spec() }).unwrap();
    let batch = loader.next().unwrap().unwrap();
    assert_eq!(batch.dtype(), ViewType::F16);
    // As wide as f16, and still another type.
    assert!(batch.view::<bf16>(0).is_err() && batch.data::<f16>().is_ok());
    assert_eq!(
        batch.views::<f32>().unwrap_err().to_string(),
        "the batch holds f16 values, but f32 was asked for; `view.dtype` sets the type"
    );
}

/// One epoch as the rows come, with views that differ as `each` says.
fn with_views(reader: &StoreReader, views: usize, each: Vec<ViewChange>) -> Vec<Vec<f32>> {
    let view = ViewConfig {
        each,
        ..spec().view
    };
    let one = LoaderSpec {
        view,
        views,
        order: Order::Sequential,
        batch_size: PATCHES as usize,
        epochs: Some(1),
        ..spec()
    };
    let batch = Loader::start(reader.clone(), one)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let view = |number| batch.view::<f32>(number).unwrap().to_vec();
    (0..views).map(view).collect()
}

#[test]
fn views_may_differ_in_operations_and_normalisation() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let alike = with_views(&reader, 3, Vec::new());
    let plain = ViewChange {
        preset: Some(Preset::None),
        ..ViewChange::default()
    };
    let standardised = ViewChange {
        normalise: Some(Normalise::Zscore),
        ..plain.clone()
    };
    let mixed = with_views(&reader, 3, vec![ViewChange::default(), plain, standardised]);
    assert_eq!(
        mixed[0], alike[0],
        "a view without changes is drawn as before"
    );
    // The evaluation path: the same pixels that a plain loader of one view gives.
    let evaluation = LoaderSpec {
        view: spec().view.evaluation(),
        views: 1,
        order: Order::Sequential,
        batch_size: PATCHES as usize,
        epochs: Some(1),
        ..spec()
    };
    let mut loader = Loader::start(reader.clone(), evaluation).unwrap();
    let batch = loader.next().unwrap().unwrap();
    assert_eq!(mixed[1], batch.view::<f32>(0).unwrap());
    // The tiny store's bands: percentiles 400 and 4,000, mean 2,000, deviation 900.
    for (unit, zscore) in mixed[1].iter().zip(&mixed[2]) {
        let value = unit * 3_600.0 + 400.0;
        assert!(((value - 2_000.0) / 900.0 - zscore).abs() < 1e-4);
    }
}

#[test]
fn as_many_entries_as_views_or_none_and_their_keys_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let message = |each| {
        let view = ViewConfig {
            each,
            ..ViewConfig::default()
        };
        let error = Loader::start(reader.clone(), LoaderSpec { view, ..spec() }).unwrap_err();
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        format!("{error} {cause}")
    };
    let one = message(vec![ViewChange::default()]);
    assert!(one.contains("`view.each` is 1 entries, expected none, or one for each of 2 views"));
    let bad = ViewChange {
        augment: Some(vec![Augment::BandDrop(Chance { p: -1.0 })]),
        ..ViewChange::default()
    };
    let found = message(vec![ViewChange::default(), bad]);
    assert!(
        found.contains("`view.each[1].augment[0].p` of `band_drop` is -1"),
        "{found}"
    );
}

#[test]
fn a_corrupt_chunk_is_skipped_when_asked_for_and_batches_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let shard = chipmill_store::layout::shard_object(Resolution::M20, 1);
    corrupt(reader.path(), &shard).unwrap();
    let reader = StoreReader::open(reader.path()).unwrap();
    let skipping = LoaderSpec {
        on_corrupt: OnCorrupt::Skip,
        ..spec()
    };
    let expected = all(&reader, skipping.clone());
    assert_eq!(expected.len(), 16);
    let mut loader = Loader::start(
        reader.clone(),
        LoaderSpec {
            workers: 5,
            ..skipping.clone()
        },
    )
    .unwrap();
    assert!(contents(&mut loader, usize::MAX) == expected);
    let stats = loader.stats();
    let [damaged] = &stats.damaged[..] else {
        panic!("one flipped bit: {:?}", stats.damaged)
    };
    assert_eq!(stats.replaced, 2, "once an epoch");
    assert_eq!(
        damaged.patch,
        reader.table().id(damaged.row as usize).unwrap()
    );
    assert!(
        damaged
            .reason
            .contains("the chunk is corrupt: its crc32c is"),
        "{}",
        damaged.reason
    );
    assert!(
        expected
            .iter()
            .all(|content| !content.1.contains(&damaged.row))
    );

    // A shard that is gone damages all its patches; half the selection is left to take their place.
    std::fs::remove_file(reader.path().join(&shard)).unwrap();
    let reader = StoreReader::open(reader.path()).unwrap();
    let mut loader = Loader::start(reader, skipping).unwrap();
    assert_eq!(loader.by_ref().map(Result::unwrap).count(), 16);
    assert_eq!(loader.stats().replaced, 2 * 16);
    assert_eq!(loader.stats().damaged.len(), 16);
}

/// What must not matter to a run that goes on.
fn any_way_of_working() -> impl Strategy<Value = (usize, usize)> {
    (0..5_usize, 2..7_usize)
}

fn any_order() -> impl Strategy<Value = Order> {
    let pages = (1..9_u32, 1..6_u32).prop_map(|(page_rows, window_pages)| {
        Order::Pages(Pages {
            page_rows,
            window_pages,
        })
    });
    prop_oneof![Just(Order::Shuffled), Just(Order::Sequential), pages]
}

fn any_type() -> impl Strategy<Value = ViewType> {
    prop_oneof![
        Just(ViewType::F32),
        Just(ViewType::F16),
        Just(ViewType::Bf16)
    ]
}

#[test]
fn a_run_resumes_anywhere_under_any_order_type_and_rank_and_any_other_way_of_working() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let config = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let strategy = (
        any_order(),
        any_type(),
        (0..3_u32, 3..4_u32).prop_flat_map(|(rank, _)| (Just(rank), rank + 1..4)),
        (1..8_usize, prop::bool::ANY),
        (any_way_of_working(), any_way_of_working()),
        prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64],
    );
    proptest!(config, |((order, dtype, (rank, world), (batch_size, keep), (before, after), stop) in strategy)| {
        let view = ViewConfig { side: 8, dtype, ..spec().view };
        let run = LoaderSpec {
            view,
            order,
            rank,
            world,
            batch_size,
            keep_last: if keep { KeepLast::Keep } else { KeepLast::Drop },
            ..spec()
        };
        let way = |spec: LoaderSpec, (workers, slots)| {
            let spec = LoaderSpec { workers, max_workers: 3, ..spec };
            LoaderSpec { budget_bytes: budget(&reader, &spec, slots), ..spec }
        };
        let mut first = Loader::start(reader.clone(), way(run.clone(), before)).unwrap();
        let whole = all(&reader, run.clone());
        prop_assert_eq!(whole.len() as u64, 2 * first.batches_per_epoch());
        // The first, the last, or a batch between.
        let stop = (stop * (whole.len() - 1) as f64).round() as usize;
        prop_assert!(contents(&mut first, stop) == whole[..stop]);
        let text = serde_json::to_string(&first.state()).unwrap();
        drop(first);
        let start = serde_json::from_str(&text).unwrap();
        let rest = way(LoaderSpec { start, ..run }, after);
        prop_assert!(all(&reader, rest) == whole[stop..]);
    });
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
