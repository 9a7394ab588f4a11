//! Whatever happens, and whenever the loader is dropped, its threads end.

use std::sync::mpsc;

use super::*;
use crate::{Batch, LoaderState};

#[test]
fn a_thousand_tiny_epochs_lose_nothing() {
    let tiny = LoaderSpec {
        rows: (0..3).collect(),
        batch_size: 2,
        epochs: Some(1_000),
        order: Order::Shuffled,
        ..spec()
    };
    let mut rows = [0; 3];
    for (number, batch) in start(&tiny, |_| Ok(())).enumerate() {
        let batch = batch.unwrap();
        let at = (batch.epoch(), batch.ordinal());
        assert_eq!(at, (number as u64 / 2, number as u64 % 2));
        for &row in batch.patches() {
            rows[row as usize] += 1;
        }
    }
    assert_eq!(rows, [1_000; 3]);
}

#[test]
fn a_loader_can_be_dropped_at_every_ordinal_whatever_came_before() {
    type Script = fn(u32) -> Result<(), ReadFailure>;
    let scripts: [Script; 3] = [
        |_| Ok(()),
        |row| if row % 3 == 0 { damaged(row) } else { Ok(()) },
        |row| {
            assert!(row % 5 != 0, "cursed");
            Ok(())
        },
    ];
    for script in scripts {
        let alive = Arc::new(());
        for stop in 0..=16 {
            let held = Arc::clone(&alive);
            let mut loader = start(&spec(), move |row| {
                let _ = &held;
                script(row)
            });
            let taken: Vec<_> = loader.by_ref().take(stop).map(|b| b.is_ok()).collect();
            assert_eq!(taken.len(), stop);
            drop(loader);
            assert_eq!(Arc::strong_count(&alive), 1, "a thread is left");
        }
    }
}

#[test]
fn a_drop_waits_for_a_stalled_read_and_for_nothing_else() {
    let (release, released) = mpsc::channel::<()>();
    let (stall, stalled) = mpsc::channel();
    let released = std::sync::Mutex::new(released);
    let loader = start(&spec(), move |row| {
        if row == 9 {
            stall.send(()).unwrap();
            // An error means that the test is over.
            let _ = released.lock().unwrap().recv();
        }
        Ok(())
    });
    stalled.recv().unwrap();
    let dropping = std::thread::spawn(move || drop(loader));
    release.send(()).unwrap();
    dropping.join().unwrap();
}

#[test]
fn batches_outlive_their_loader_and_free_its_memory_one_by_one() {
    let mut loader = start(&spec(), |_| Ok(()));
    let batches: Vec<Batch> = loader.by_ref().take(5).map(Result::unwrap).collect();
    let values: Vec<Vec<u8>> = batches.iter().map(|b| b.bytes().to_vec()).collect();
    drop(loader);
    for (batch, values) in batches.into_iter().zip(values) {
        assert_eq!(batch.bytes(), values);
    }
}

#[test]
fn a_fault_of_the_loader_itself_is_an_error_and_an_end() {
    let spec = LoaderSpec {
        workers: 1,
        rows: (0..=NAMELESS).collect(),
        ..spec()
    };
    let mut loader = start(&spec, |row| {
        if row == NAMELESS {
            damaged(row)
        } else {
            Ok(())
        }
    });
    let results: Vec<_> = loader.by_ref().map(|batch| batch.map(drop)).collect();
    let (last, before) = results.split_last().unwrap();
    assert!(before.iter().all(Result::is_ok));
    assert!(
        matches!(last, Err(LoaderError::WorkersLost { .. })),
        "{last:?}"
    );
    let expected = LoaderState {
        epoch: 0,
        batch: before.len() as u64,
    };
    assert_eq!(loader.state(), expected);
}

#[test]
fn dropping_the_loader_ends_its_threads() {
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let mut loader = start(&spec(), move |_| {
        let _ = &held;
        Ok(())
    });
    loader.next().unwrap().unwrap();
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(loader);
    assert_eq!(Arc::strong_count(&alive), 1);
}
