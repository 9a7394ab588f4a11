//! Batches in order, made ahead of their use within a memory budget.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chipmill_schemas::band::PATCH_BYTES;
use chipmill_schemas::statistics::SetStatistics;
use chipmill_store::StoreReader;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::augment::Augmenter;
use crate::batch::{Batch, Slot};
use crate::error::LoaderError;
use crate::fetch::Source;
use crate::plan::Plan;
use crate::sampler::Sampler;
use crate::spec::LoaderSpec;
use crate::state::LoaderState;
use crate::stats::{Counters, LoaderStats, Memory};
use crate::workers::{Made, Pool, Shared, feed, locked};

/// Slots beyond these help nobody: they only smooth out hiccups.
const MOST_SLOTS: usize = 16;
/// Batches that are being made at once, so that workers need not wait for the last samples of one.
const MOST_FEEDERS: usize = 3;
/// How long the consumer waits before it is told that it may hold all the memory itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Batches of a store, in order: an iterator that reads and augments ahead on threads of its own.
///
/// A batch is a function of (store, rows, view configuration, seed, epoch, ordinal), the same to the
/// last bit for any number of workers and any memory budget. Memory is set aside at the start: a ring
/// of slots, each of which holds a whole batch; a slot comes back when its [`Batch`] is dropped.
///
/// An error takes the place of the batch that it spoils; the batches after it can be had by going on.
/// Dropping the loader at any time stops and joins all its threads.
pub struct Loader {
    shared: Arc<Shared>,
    memory: Memory,
    /// Dropped to wake feeders that wait for a slot.
    running: Option<Sender<()>>,
    ready: Receiver<Made>,
    /// Batches that were made before those they follow.
    early: Vec<Made>,
    sequence: u64,
    /// Position of the batch after the last one that was handed out, errors included.
    position: LoaderState,
    consumed: LoaderState,
    feeders: Vec<JoinHandle<()>>,
    ended: bool,
}

impl Loader {
    /// Starts making batches of a store's patches, normalised by the statistics of all its patches.
    ///
    /// # Errors
    /// [`LoaderError`] naming the field that is out of range, the configuration key that cannot be
    /// used, or the bytes that two batches need when the budget has fewer.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a specification is made for one loader"
    )]
    pub fn start(reader: StoreReader, spec: LoaderSpec) -> Result<Self, LoaderError> {
        let empty = SetStatistics {
            split: None,
            patches: 0,
            bands: Vec::new(),
        };
        let statistics = reader.statistics(None).unwrap_or(&empty);
        let augmenter = Augmenter::compile(&spec.view, statistics)?;
        Self::of(Box::new(reader), augmenter, &spec)
    }

    pub(crate) fn of(
        source: Box<dyn Source>,
        augmenter: Augmenter,
        spec: &LoaderSpec,
    ) -> Result<Self, LoaderError> {
        let sampler = spec.sampler(source.patches())?;
        let workers = match spec.workers {
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            workers => workers,
        };
        let memory = memory(spec, &sampler, &augmenter, workers)?;
        let plan = Plan::new(sampler, spec.start, spec.epochs);
        let start = plan.next();
        let shared = Arc::new(Shared {
            source,
            seed: spec.seed,
            views: spec.views,
            plan: Mutex::new(plan),
            stop: AtomicBool::new(false),
            counters: Arc::new(Counters::new()),
            pool: Pool::new(workers)?,
            augmenter,
        });
        let (ready_sender, ready) = bounded(memory.slots);
        let (running, stopped) = bounded(0);
        let mut loader = Self {
            shared,
            memory,
            running: Some(running),
            ready,
            early: Vec::with_capacity(memory.slots),
            sequence: 0,
            position: start,
            consumed: start,
            feeders: Vec::new(),
            ended: false,
        };
        loader.start_feeders(&ring(memory), &stopped, &ready_sender)?;
        Ok(loader)
    }

    fn start_feeders(
        &mut self,
        (home, free): &(Sender<Slot>, Receiver<Slot>),
        stopped: &Receiver<()>,
        ready: &Sender<Made>,
    ) -> Result<(), LoaderError> {
        for number in 0..self.memory.slots.min(MOST_FEEDERS) {
            let shared = Arc::clone(&self.shared);
            let (home, free) = (home.clone(), free.clone());
            let (stopped, ready) = (stopped.clone(), ready.clone());
            let feeder = std::thread::Builder::new()
                .name(format!("loader-feeder-{number}"))
                .spawn(move || feed(&shared, &free, &home, &stopped, &ready))
                .map_err(LoaderError::Thread)?;
            self.feeders.push(feeder);
        }
        Ok(())
    }

    /// Position of the next batch to be consumed: a loader started there with the same specification
    /// gives the batches that this one would give next.
    ///
    /// A batch counts as consumed once the iterator has handed it out. An error does not, so that a
    /// run which ends on it takes that batch again.
    #[must_use]
    pub fn state(&self) -> LoaderState {
        self.consumed
    }

    /// Batches in an epoch.
    #[must_use]
    pub fn batches_per_epoch(&self) -> u64 {
        locked(&self.shared.plan).batches_per_epoch()
    }

    /// Where time and memory have gone so far.
    #[must_use]
    pub fn stats(&self) -> LoaderStats {
        let waiting = self.ready.len() + self.early.len();
        let workers = self.shared.pool.workers();
        self.shared.counters.stats(self.memory, workers, waiting)
    }

    /// Waits for the batch whose turn it is; `None` when the threads have ended without it.
    fn receive(&mut self) -> Option<Made> {
        loop {
            let turn = self.early.iter().position(|m| m.sequence == self.sequence);
            if let Some(index) = turn {
                return Some(self.early.swap_remove(index));
            }
            match self.ready.recv_timeout(PATIENCE) {
                Ok(made) => self.early.push(made),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.warn_of_waiting(),
            }
        }
    }

    fn warn_of_waiting(&self) {
        tracing::warn!(
            batch = %self.position,
            slots = self.memory.slots,
            lent = self.shared.counters.lent(),
            "no batch for {} s; if all slots are lent, batches have to be dropped before there can \
             be more",
            PATIENCE.as_secs(),
        );
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let waiting = Instant::now();
        let made = self.receive();
        self.shared.counters.consumer_wait(waiting.elapsed());
        let at = self.position;
        let Some(made) = made else {
            self.ended = true;
            let is_done = locked(&self.shared.plan).next() == at;
            return (!is_done).then_some(Err(LoaderError::WorkersLost { at }));
        };
        self.sequence += 1;
        self.position = at.after(self.batches_per_epoch());
        if made.batch.is_ok() {
            self.consumed = self.position;
        }
        Some(made.batch)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        self.running = None;
        for feeder in self.feeders.drain(..) {
            // A feeder does not panic; if one did, there is nothing left to stop.
            let _ = feeder.join();
        }
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("consumed", &self.consumed)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

/// How many slots the budget pays for.
fn memory(
    spec: &LoaderSpec,
    sampler: &Sampler,
    augmenter: &Augmenter,
    workers: usize,
) -> Result<Memory, LoaderError> {
    let samples = spec.batch_size.min(sampler.rows_per_epoch());
    let slot = (spec.views * augmenter.view_len())
        .saturating_mul(samples * size_of::<f32>())
        .saturating_add(samples * size_of::<u32>());
    // Pixels, and as much again for the compressed bytes they are decoded from.
    let of_worker = 2 * PATCH_BYTES + augmenter.scratch_bytes();
    // The orders of two epochs, and one being split over ranks.
    let orders = (2 * sampler.rows_per_epoch() + spec.rows.len()) * size_of::<u32>();
    let fixed = workers * of_worker + orders;
    let affordable = spec.budget_bytes.saturating_sub(fixed) / slot.max(1);
    if affordable < 2 {
        return Err(LoaderError::Budget {
            given: spec.budget_bytes,
            needed: slot.saturating_mul(2).saturating_add(fixed),
            slot,
            fixed,
            workers,
        });
    }
    Ok(Memory {
        slots: affordable.min(MOST_SLOTS),
        slot_bytes: slot,
        fixed_bytes: fixed,
    })
}

/// The ring: all slots, free.
fn ring(memory: Memory) -> (Sender<Slot>, Receiver<Slot>) {
    let (home, free) = bounded(memory.slots);
    for _ in 0..memory.slots {
        let slot = Slot {
            data: vec![0.0; memory.slot_bytes / size_of::<f32>()],
            patches: Vec::new(),
        };
        let _ = home.send(slot);
    }
    (home, free)
}
