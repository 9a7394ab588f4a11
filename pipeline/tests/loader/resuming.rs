//! Runs that are cut and go on.

use proptest::prelude::*;

use super::*;

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
        prop_oneof![Just(0), Just(100), 0..100_usize],
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
        let stop = stop * (whole.len() - 1) / 100;
        prop_assert!(contents(&mut first, stop) == whole[..stop]);
        let text = serde_json::to_string(&first.state()).unwrap();
        drop(first);
        let start = serde_json::from_str(&text).unwrap();
        let rest = way(LoaderSpec { start, ..run }, after);
        prop_assert!(all(&reader, rest) == whole[stop..]);
    });
}
