//! Threads that fill batches from a store for a while.

use std::sync::atomic::{AtomicUsize, Ordering};

use chipmill_schemas::band::{PATCH_BYTES, Resolution};
use chipmill_store::{PatchPixels, StoreReader, prefer_large_pages};
use clap::ValueEnum;
use serde::Serialize;

use super::cache;
use super::clock::Clock;

/// Values of one patch.
pub(crate) const VALUES: usize = PATCH_BYTES / size_of::<u16>();

/// How far a patch goes. The differences between the stages tell where the time is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// Stored bytes from the file system into a buffer: system calls alone.
    Stored,
    /// Checksum compared, decompressed to u16.
    Pixels,
    /// Converted to f32 in the batch as well: the whole way.
    Batch,
}

/// What all threads share.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub(crate) store: &'a StoreReader,
    pub(crate) order: &'a [u32],
    pub(crate) stage: Stage,
    /// At least so long, unless `once`.
    pub(crate) seconds: f64,
    /// Every patch of the order once, and no longer.
    pub(crate) once: bool,
    /// Position in the order of the next batch.
    pub(crate) next: AtomicUsize,
}

/// One round.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Round {
    pub(crate) chips: usize,
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
    /// Bytes that came from storage and not from the file cache, where the system tells it.
    pub(crate) disk_bytes: Option<u64>,
}

impl Round {
    #[expect(clippy::cast_precision_loss, reason = "chips of some seconds")]
    pub(crate) fn per_second(&self) -> f64 {
        self.chips as f64 / self.wall_s.max(1e-9)
    }

    #[expect(clippy::cast_precision_loss, reason = "chips of some seconds")]
    pub(crate) fn per_cpu_second(&self) -> f64 {
        self.chips as f64 / self.cpu_s.max(1e-9)
    }
}

/// What one thread reads into, kept from round to round.
#[derive(Debug)]
pub(crate) struct Slot {
    pixels: PatchPixels,
    stored: [Vec<u8>; 3],
    batch: Vec<f32>,
}

impl Slot {
    pub(crate) fn new(batch: usize) -> Self {
        let mut values = vec![0.0; batch * VALUES];
        prefer_large_pages(&mut values);
        Self {
            pixels: PatchPixels::zeroed(),
            stored: Default::default(),
            batch: values,
        }
    }

    fn fill(&mut self, work: &Work<'_>, rows: &[u32]) -> anyhow::Result<()> {
        let fetched = match work.stage {
            Stage::Stored => None,
            Stage::Pixels | Stage::Batch => work.store.fetch(rows, &Resolution::ALL),
        };
        for (&row, out) in rows.iter().zip(self.batch.chunks_exact_mut(VALUES)) {
            if work.stage == Stage::Stored {
                for (resolution, stored) in Resolution::ALL.into_iter().zip(&mut self.stored) {
                    work.store.read_stored(row, resolution, stored)?;
                }
                continue;
            }
            let (fetched, pixels) = (fetched.as_ref(), &mut self.pixels);
            match work.stage {
                Stage::Batch => work.store.read_f32(fetched, row, pixels, out)?,
                _ => work
                    .store
                    .read_fetched(fetched, row, &Resolution::ALL, pixels)?,
            }
        }
        Ok(())
    }
}

/// One round with as many threads as there are slots.
pub(crate) fn round(work: &Work<'_>, slots: &mut [Slot]) -> anyhow::Result<Round> {
    let disk = cache::from_disk();
    let clock = Clock::start();
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = slots
            .iter_mut()
            .map(|slot| scope.spawn(|| fill_for_a_while(work, slot, &clock)))
            .collect();
        let ended = threads.into_iter().map(|t| t.join());
        ended
            .map(|count| count.map_err(|_| anyhow::anyhow!("a reading thread panicked"))?)
            .collect::<anyhow::Result<Vec<usize>>>()
    })?;
    Ok(Round {
        chips: counts.iter().sum(),
        wall_s: clock.wall(),
        cpu_s: clock.cpu(),
        disk_bytes: cache::from_disk()
            .zip(disk)
            .map(|(after, before)| after.saturating_sub(before)),
    })
}

/// Takes batch after batch from the order until the time is over; gives the number of chips.
fn fill_for_a_while(work: &Work<'_>, slot: &mut Slot, clock: &Clock) -> anyhow::Result<usize> {
    let size = slot.batch.len() / VALUES;
    let batches = work.order.len().div_ceil(size);
    let mut chips = 0;
    while work.once || clock.wall() < work.seconds {
        let batch = work.next.fetch_add(1, Ordering::Relaxed);
        if work.once && batch >= batches {
            break;
        }
        let start = batch % batches * size;
        let rows = &work.order[start..work.order.len().min(start + size)];
        slot.fill(work, rows)?;
        std::hint::black_box(&slot.batch);
        chips += rows.len();
    }
    Ok(chips)
}
