//! The budget of bytes, held against what the allocator really gave out.
//!
//! The tests of this program count every allocation of the process, so they take turns.

#![cfg(test)]

#[path = "support/counting.rs"]
mod counting;
#[path = "support/tiny_store.rs"]
mod tiny_store;

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chipmill_pipeline::{KeepLast, Loader, LoaderError, LoaderSpec, Order, Pages};
use chipmill_schemas::band::Resolution;
use chipmill_schemas::config::{OnCorrupt, ViewConfig, ViewType};
use chipmill_store::{PatchPixels, StoreReader};
use counting::{BYTES, CALLS, MOST};

/// One test at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

const PATCHES: u32 = 96;

/// A store of which every shard's offset table is loaded: those belong to the store, not to a loader.
fn store(folder: &tempfile::TempDir) -> StoreReader {
    let path = folder.path().join("store");
    tiny_store::write(&path, PATCHES).unwrap();
    let reader = StoreReader::open(&path).unwrap();
    let mut pixels = PatchPixels::zeroed();
    for row in 0..PATCHES {
        reader.read(row, &Resolution::ALL, &mut pixels).unwrap();
    }
    reader
}

fn spec(dtype: ViewType, batch_size: usize, workers: usize) -> LoaderSpec {
    let view = ViewConfig {
        side: 32,
        dtype,
        ..ViewConfig::default()
    };
    LoaderSpec {
        batch_size,
        workers,
        keep_last: KeepLast::Keep,
        on_corrupt: OnCorrupt::Skip,
        ..LoaderSpec::new((0..PATCHES).collect(), view)
    }
}

/// Bytes that two batches of a specification need.
fn least(reader: &StoreReader, spec: &LoaderSpec) -> usize {
    let poor = LoaderSpec {
        budget_bytes: 0,
        ..spec.clone()
    };
    match Loader::start(reader.clone(), poor) {
        Err(LoaderError::Budget { needed, .. }) => needed,
        other => panic!("{other:?}"),
    }
}

/// Peak of the bytes that a loader took while `batches` batches went through it, as many held as can be.
fn peak(reader: &StoreReader, spec: LoaderSpec, batches: usize) -> usize {
    let reader = reader.clone();
    let before = BYTES.load(SeqCst);
    MOST.store(before, SeqCst);
    let mut loader = Loader::start(reader, spec).unwrap();
    let mut held = std::collections::VecDeque::new();
    let most_held = loader.stats().read_ahead - 1;
    for _ in 0..batches {
        if held.len() == most_held {
            held.pop_front();
        }
        held.push_back(loader.next().unwrap().unwrap());
    }
    let stats = loader.stats();
    let peak = MOST.load(SeqCst) - before;
    assert!(stats.bytes_in_flight_max <= stats.budget_bytes);
    assert!(peak <= stats.bytes_in_flight_max, "{peak} {stats:?}");
    peak
}

#[test]
fn the_peak_of_all_memory_stays_within_the_budget_and_uses_it() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    for dtype in [ViewType::F32, ViewType::F16, ViewType::Bf16] {
        for batch_size in [1, 24] {
            for workers in [1, 6] {
                let spec = spec(dtype, batch_size, workers);
                let needed = least(&reader, &spec);
                for budget_bytes in [needed, needed + needed / 2] {
                    let spec = LoaderSpec {
                        budget_bytes,
                        ..spec.clone()
                    };
                    let peak = peak(&reader, spec, 8);
                    let case = format!("{dtype}, {batch_size} a batch, {workers} workers");
                    assert!(peak <= budget_bytes, "{case}: {peak} of {budget_bytes}");
                    // What is set aside and never used would be a batch less for everybody. Of what
                    // workers may need, half is for the worst chunks that there can be.
                    let slots = budget_bytes - workers * (1 << 20) - (64 << 10);
                    if batch_size > 1 {
                        assert!(
                            peak > slots * 6 / 10,
                            "{case}: only {peak} of {budget_bytes}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn orders_and_workers_that_are_found_count_as_well() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let pages = Order::Pages(Pages {
        page_rows: 4,
        window_pages: 6,
    });
    for order in [Order::Shuffled, Order::Sequential, pages] {
        for budget_bytes in [8 << 20, 24 << 20] {
            let spec = LoaderSpec {
                order,
                budget_bytes,
                ..spec(ViewType::F32, 8, 0)
            };
            let peak = peak(&reader, spec, 30);
            assert!(peak <= budget_bytes, "{order:?}: {peak} of {budget_bytes}");
        }
    }
}

/// Allocations during so many batches of a loader that has run for a while.
fn allocations(reader: &StoreReader, batch_size: usize, dtype: ViewType) -> usize {
    let spec = LoaderSpec {
        keep_last: KeepLast::Drop,
        ..spec(dtype, batch_size, 2)
    };
    let mut loader = Loader::start(reader.clone(), spec).unwrap();
    let mut pass = |batches| {
        for _ in 0..batches {
            loader.next().unwrap().unwrap();
        }
    };
    pass(30);
    let before = CALLS.load(SeqCst);
    pass(20);
    CALLS.load(SeqCst) - before
}

#[test]
fn a_warm_loader_allocates_by_the_batch_and_never_by_the_sample() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    for dtype in [ViewType::F32, ViewType::F16] {
        let (small, large) = (
            allocations(&reader, 2, dtype),
            allocations(&reader, 32, dtype),
        );
        // A few a batch, for its tasks. 30 samples more, in each of 20 batches, add nothing that
        // comes near to one each.
        assert!(large < 20 * 16, "{large}");
        assert!(large < small + 30 * 20 / 4, "{small} {large}");
    }
}
