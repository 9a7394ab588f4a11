//! The loader on sources that stall, fail and panic.

mod replacing;
mod shutdown;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::config::{Normalise, ViewConfig};
use chipmill_schemas::statistics::SetStatistics;
use chipmill_store::PatchPixels;

use crate::fetch::{ReadFailure, Source};
use crate::views::Views;
use crate::{KeepLast, Loader, LoaderError, LoaderSpec, Order};

/// Does `f` with the row of every read, and then gives pixels of that row's number.
struct Scripted<F>(F);

impl<F: Fn(u32) -> Result<(), ReadFailure> + Send + Sync> Source for Scripted<F> {
    fn patches(&self) -> usize {
        65
    }

    fn name(&self, row: u32) -> String {
        assert_ne!(row, NAMELESS, "nobody knows its name");
        format!("patch-{row}")
    }

    fn read(
        &self,
        row: u32,
        groups: &[Resolution],
        into: &mut PatchPixels,
    ) -> Result<(), ReadFailure> {
        (self.0)(row)?;
        for &group in groups {
            into.group_slice_mut(group)
                .fill(u16::try_from(row).unwrap());
        }
        Ok(())
    }
}

/// A row at whose name the source panics: a fault that no sample is guarded against.
const NAMELESS: u32 = 64;

fn damaged(row: u32) -> Result<(), ReadFailure> {
    Err(ReadFailure::Damaged(format!("no row {row}").into()))
}

fn start(
    spec: &LoaderSpec,
    script: impl Fn(u32) -> Result<(), ReadFailure> + Send + Sync + 'static,
) -> Loader {
    let statistics = SetStatistics {
        split: None,
        patches: 0,
        bands: Vec::new(),
    };
    let views = Views::compile(&spec.view, spec.views, spec.simd, &statistics).unwrap();
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
    let mut loader = start(&spec(), damaged);
    for _ in 0..8 {
        let result = loader.next().unwrap();
        assert!(matches!(result, Err(LoaderError::Read { .. })));
    }
    assert_eq!(loader.state(), crate::LoaderState::default());
    drop(loader);
    // Nobody takes anything: more errors than the channel holds, then the drop.
    let loader = start(&spec(), damaged);
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
fn a_stalled_read_lets_the_rest_of_the_ring_fill() {
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    // All but one of 16 batches fit the ring, and all their other rows are read while row 0 waits.
    let mut loader = start(&spec(), move |row| {
        while row == 0 && count.load(SeqCst) < 63 {
            std::thread::yield_now();
        }
        count.fetch_add(1, SeqCst);
        Ok(())
    });
    assert_eq!(loader.stats().slots, 16);
    for ordinal in 0..16 {
        assert_eq!(loader.next().unwrap().unwrap().ordinal(), ordinal);
    }
    assert_eq!(read.load(SeqCst), 64);
}

#[test]
fn a_loader_that_finds_its_workers_itself_changes_them_and_no_values() {
    let slow = |_| {
        std::thread::sleep(Duration::from_millis(1));
        Ok(())
    };
    let tuned = LoaderSpec {
        workers: 0,
        max_workers: 24,
        epochs: None,
        ..spec()
    };
    let mut loader = start(&tuned, slow);
    let cores = loader.stats().workers;
    let mut expected = start(
        &LoaderSpec {
            epochs: None,
            ..spec()
        },
        |_| Ok(()),
    );
    // Reads wait and do nothing else, so that more workers are bound to be tried.
    while loader.stats().changes == 0 {
        let (found, expected) = (loader.next().unwrap(), expected.next().unwrap());
        assert_eq!(found.unwrap().bytes(), expected.unwrap().bytes());
    }
    let stats = loader.stats();
    assert!(stats.tuned && stats.workers > cores.min(23), "{stats:?}");
    assert!(!expected.stats().tuned);
}
