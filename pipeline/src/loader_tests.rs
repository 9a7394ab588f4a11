//! The loader on sources that stall and panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::config::{Normalise, ViewConfig};
use chipmill_schemas::statistics::SetStatistics;
use chipmill_store::PatchPixels;

use crate::error::SourceError;
use crate::fetch::{ReadFailure, Source};
use crate::views::Views;
use crate::{KeepLast, Loader, LoaderError, LoaderSpec, Order};

/// Does `f` with the row of every read.
struct Scripted<F>(F);

impl<F: Fn(u32) -> Result<(), SourceError> + Send + Sync> Source for Scripted<F> {
    fn patches(&self) -> usize {
        64
    }

    fn name(&self, row: u32) -> String {
        format!("patch-{row}")
    }

    fn read(&self, row: u32, _: &[Resolution], _: &mut PatchPixels) -> Result<(), ReadFailure> {
        (self.0)(row).map_err(ReadFailure::Damaged)
    }
}

fn start(
    spec: &LoaderSpec,
    script: impl Fn(u32) -> Result<(), SourceError> + Send + Sync + 'static,
) -> Loader {
    let statistics = SetStatistics {
        split: None,
        patches: 0,
        bands: Vec::new(),
    };
    let views = Views::compile(&spec.view, spec.views, &statistics).unwrap();
    let source = Scripted(script);
    let sampler = spec.sampler(source.patches()).unwrap();
    Loader::of(Box::new(source), sampler, views, spec).unwrap()
}

fn spec() -> LoaderSpec {
    let view = ViewConfig {
        side: 8,
        normalise: Normalise::None,
        ..ViewConfig::default()
    };
    LoaderSpec {
        batch_size: 4,
        workers: 2,
        order: Order::Sequential,
        keep_last: KeepLast::Keep,
        epochs: Some(1),
        ..LoaderSpec::new((0..64).collect(), view)
    }
}

#[test]
fn a_panic_is_an_error_in_its_place_and_the_loader_goes_on() {
    let mut loader = start(&spec(), |row| {
        assert!(row != 21 && row != 23, "row {row} is cursed");
        Ok(())
    });
    for ordinal in 0..16 {
        let result = loader.next().unwrap();
        if ordinal != 5 {
            assert_eq!(result.unwrap().ordinal(), ordinal);
            continue;
        }
        // Of the two failures in the batch, always the first row's.
        let text = result.map(|_| ()).unwrap_err().to_string();
        assert_eq!(
            text,
            "batch 5 of epoch 0: a worker panicked at patch patch-21 (row 21): row 21 is cursed"
        );
    }
    assert!(loader.next().is_none());
    assert!(loader.next().is_none());
}

#[test]
fn errors_beyond_the_ring_do_not_block_anything() {
    let mut loader = start(&spec(), |row| Err(format!("no row {row}").into()));
    for _ in 0..8 {
        let result = loader.next().unwrap();
        assert!(matches!(result, Err(LoaderError::Read { .. })));
    }
    assert_eq!(loader.state(), crate::LoaderState::default());
    drop(loader);
    // Nobody takes anything: more errors than the channel holds, then the drop.
    let loader = start(&spec(), |_| Err("no".into()));
    std::thread::sleep(Duration::from_millis(20));
    drop(loader);
}

#[test]
fn a_stalled_read_holds_up_its_batch_alone() {
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    // Row 0 waits until rows of the second and third batch have been read.
    let mut loader = start(&spec(), move |row| {
        if row == 0 {
            while count.load(SeqCst) < 11 {
                std::thread::yield_now();
            }
        }
        count.fetch_add(1, SeqCst);
        Ok(())
    });
    assert_eq!(loader.next().unwrap().unwrap().ordinal(), 0);
    assert_eq!(loader.next().unwrap().unwrap().ordinal(), 1);
    assert!(read.load(SeqCst) >= 12);
}

#[test]
fn a_thousand_tiny_epochs_with_drops_in_between_lose_nothing() {
    let tiny = LoaderSpec {
        rows: (0..3).collect(),
        batch_size: 2,
        epochs: Some(50),
        ..spec()
    };
    for stop in 0..20 {
        let mut loader = start(&tiny, |_| Ok(()));
        let taken = loader.by_ref().take(5 * stop).map(Result::unwrap).count();
        assert_eq!(taken, 5 * stop);
    }
    let mut rows = [0; 3];
    for batch in start(&tiny, |_| Ok(())) {
        for &row in batch.unwrap().patches() {
            rows[row as usize] += 1;
        }
    }
    assert_eq!(rows, [50; 3]);
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
