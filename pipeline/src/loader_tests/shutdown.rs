//! Whatever happens, and whenever the loader is dropped, its threads end.

use std::sync::mpsc;

use super::*;
use crate::augment::{CustomOp, CustomView, Random};
use crate::{Augmenter, Batch, LoaderState};

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

/// Panics at every view that shows row 6, in its first view alone.
#[derive(Debug)]
struct Cursed;

impl CustomOp for Cursed {
    fn name(&self) -> &'static str {
        "cursed"
    }

    fn apply(&self, view: &mut CustomView<'_>, _: &mut Random) {
        assert_ne!(view.band_mut(0)[0].to_bits(), 6.0_f32.to_bits(), "row 6");
    }
}

#[test]
fn a_panic_in_an_operation_of_one_view_is_an_error_and_the_loader_goes_on() {
    let plain = ViewConfig {
        preset: chipmill_schemas::augment::Preset::None,
        ..spec().view
    };
    let statistics = SetStatistics {
        split: None,
        patches: 0,
        bands: Vec::new(),
    };
    let view = || Augmenter::compile(&plain, &statistics).unwrap();
    let views = Views::compiled(vec![view().with_op(0, Cursed), view()], 2, plain.dtype).unwrap();
    let source = Scripted(|_| Ok(()));
    let sampler = spec().sampler(source.patches()).unwrap();
    let loader = Loader::of(Box::new(source), sampler, views, &spec()).unwrap();
    let mut errors = 0;
    for (ordinal, batch) in (0..).zip(loader) {
        match batch {
            Ok(batch) => {
                assert_eq!(batch.ordinal(), ordinal);
                // The views of all other batches are whole.
                let row = batch.patches()[0] as f32;
                let len = batch.view::<f32>(0).unwrap().len() / batch.samples();
                for view in 0..2 {
                    let values = &batch.view::<f32>(view).unwrap()[..len];
                    assert!(values.iter().all(|&v| (v - row).abs() < 1e-3));
                }
            }
            Err(LoaderError::Panicked {
                at, row, message, ..
            }) => {
                assert_eq!((ordinal, at.batch, row), (1, 1, 6));
                assert!(message.contains("row 6"), "{message}");
                errors += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(errors, 1);
}
