//! Batches in order, made ahead of their use within a memory budget.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chipmill_schemas::config::OnCorrupt;
use chipmill_schemas::statistics::SetStatistics;
use chipmill_store::StoreReader;
use crossbeam_channel::{Sender, bounded};

use crate::augment::Augmenter;
use crate::batch::{Batch, Slot};
use crate::error::LoaderError;
use crate::fetch::Source;
use crate::locked;
use crate::make::{self, Maker};
use crate::memory::Memory;
use crate::plan::{Plan, Ticket};
use crate::pool::Pool;
use crate::ring::{InOrder, Lease, Made, Ring, feed};
use crate::sampler::Sampler;
use crate::spec::LoaderSpec;
use crate::state::LoaderState;
use crate::stats::{Counters, LoaderStats, Setting};
use crate::tune::{Bounds, Choice, Tuner, WINDOW, Window};
use crate::views::Views;

/// Batches that are being made at once, so that workers need not wait for the last samples of one.
const MOST_FEEDERS: usize = 3;
/// How long the consumer waits before it is told that it may hold all the memory itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Batches of a store, in order: an iterator that reads and augments ahead on threads of its own.
///
/// A batch is a function of (store, rows, view configuration, seed, epoch, ordinal), the same to the
/// last bit for any number of workers and any memory budget. Memory is a ring of slots, each of which
/// holds a whole batch; a slot comes back when its [`Batch`] is dropped. The budget counts slots,
/// working memory and the order of the epoch, but not the open store.
///
/// An error takes the place of the batch that it spoils; the batches after it can be had by going on.
/// Dropping the loader at any time stops and joins all its threads.
pub struct Loader {
    pub(crate) shared: Arc<Shared>,
    batches: InOrder<Outcome>,
    /// Position of the batch after the last one that was handed out, errors included.
    position: LoaderState,
    consumed: LoaderState,
    feeders: Vec<JoinHandle<()>>,
    ended: bool,
}

/// A batch or an error, and when it was there.
type Outcome = (make::Result<Batch>, Instant);

/// What all threads of a loader share.
pub(crate) struct Shared {
    pub(crate) maker: Maker,
    plan: Mutex<Plan>,
    memory: Memory,
    threads: usize,
    /// Slots that have been put into the ring.
    read_ahead: AtomicUsize,
    tuning: Option<Mutex<Tuning>>,
}

struct Tuning {
    tuner: Tuner,
    /// All that had happened when the last window ended.
    before: Window,
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
        let sampler = spec.sampler(reader.patches())?;
        let views = Views::compile(&spec.view, spec.views, spec.simd, statistics)?;
        Self::of(Box::new(reader), sampler, views, &spec)
    }

    /// The same with views that are compiled already, such as those with operations of your own: one
    /// augmenter a view, all of the same bands and side. Of `spec.view` the type of values alone is
    /// looked at, and `spec.simd` not at all.
    ///
    /// # Errors
    /// As [`start`](Self::start), and for augmenters that do not fit one another.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a specification is made for one loader"
    )]
    pub fn start_with(
        reader: StoreReader,
        augmenters: Vec<Augmenter>,
        spec: LoaderSpec,
    ) -> Result<Self, LoaderError> {
        let sampler = spec.sampler(reader.len())?;
        let views = Views::compiled(augmenters, spec.views, spec.view.dtype)?;
        Self::of(Box::new(reader), sampler, views, &spec)
    }

    pub(crate) fn of(
        source: Box<dyn Source>,
        sampler: Sampler,
        views: Views,
        spec: &LoaderSpec,
    ) -> Result<Self, LoaderError> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let fetched = MOST_FEEDERS * source.fetched_bytes();
        let (threads, memory) = afford(spec, &sampler, &views, cores, fetched)?;
        let tuner = (spec.workers == 0).then(|| {
            Tuner::new(Bounds {
                cores,
                workers: threads,
                slots: memory.slots,
            })
        });
        let Choice {
            workers,
            read_ahead,
        } = tuner.as_ref().map_or(
            Choice {
                workers: threads,
                read_ahead: memory.slots,
            },
            Tuner::choice,
        );
        let plan = Plan::new(sampler.clone(), spec.start, spec.epochs);
        let start = plan.next();
        let feeders = memory.slots.min(MOST_FEEDERS);
        let maker = Maker {
            source,
            views,
            sampler,
            seed: spec.seed,
            replace: spec.on_corrupt == OnCorrupt::Skip,
            counters: Counters::new(workers),
            pool: Pool::new(threads, workers)?,
            ring: Ring::new(memory.slots, feeders),
        };
        let before = maker.counters.window();
        let shared = Arc::new(Shared {
            maker,
            plan: Mutex::new(plan),
            memory,
            threads,
            read_ahead: AtomicUsize::new(0),
            tuning: tuner.map(|tuner| Mutex::new(Tuning { tuner, before })),
        });
        shared.read_ahead(read_ahead);
        let (ready, batches) = bounded(memory.slots);
        let mut loader = Self {
            shared,
            batches: InOrder::new(batches, memory.slots),
            position: start,
            consumed: start,
            feeders: Vec::new(),
            ended: false,
        };
        loader.start_feeders(feeders, &ready)?;
        Ok(loader)
    }

    fn start_feeders(
        &mut self,
        feeders: usize,
        ready: &Sender<Made<Outcome>>,
    ) -> Result<(), LoaderError> {
        for number in 0..feeders {
            let (shared, ready) = (Arc::clone(&self.shared), ready.clone());
            let feeder = std::thread::Builder::new()
                .name(format!("loader-feeder-{number}"))
                .spawn(move || shared.feed(&ready))
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
        self.shared.maker.sampler.batches_per_epoch()
    }

    /// Where time and memory have gone so far.
    #[must_use]
    pub fn stats(&self) -> LoaderStats {
        let Shared { maker, memory, .. } = &*self.shared;
        maker.counters.stats(Setting {
            memory: *memory,
            workers: maker.pool.active(),
            threads: self.shared.threads,
            tuned: self.shared.tuning.is_some(),
            simd: maker.views.common().simd().name(),
            read_ahead: self.shared.read_ahead.load(Relaxed),
            queue_depth: self.batches.waiting(),
            lent: maker.ring.lent(),
            lent_most: maker.ring.lent_most(),
        })
    }
}

impl Shared {
    /// The body of a feeder: makes batches until the last one, or until the loader is dropped.
    fn feed(&self, ready: &Sender<Made<Outcome>>) {
        let counters = &self.maker.counters;
        let _stop = StopIfPanicking(&self.maker.ring);
        let idle_since = Cell::new(Instant::now());
        let next = |slot: &mut Slot| {
            let began = Instant::now();
            counters.slot_wait(began - idle_since.get());
            let ticket = locked(&self.plan).take(&mut slot.patches)?;
            counters.order(began.elapsed());
            Some((ticket.sequence, ticket))
        };
        let make = |ticket: Ticket, lease: Lease<Slot>| {
            let groups = self.maker.views.common().groups();
            self.maker.source.prefetch(&ticket.announced, groups);
            let batch = self.maker.make(&ticket, lease);
            counters.batch();
            self.tune();
            idle_since.set(Instant::now());
            (batch, idle_since.get())
        };
        feed(&self.maker.ring, next, make, ready);
    }

    /// Lets so many slots go round.
    fn read_ahead(&self, slots: usize) {
        while self.read_ahead.load(Relaxed) < slots {
            self.read_ahead.fetch_add(1, Relaxed);
            self.maker.ring.add();
        }
    }

    /// Judges the last window, if it is over.
    fn tune(&self) {
        let Some(tuning) = &self.tuning else { return };
        // If another feeder is at it, that will do.
        let Ok(mut tuning) = tuning.try_lock() else {
            return;
        };
        let now = self.maker.counters.window();
        let window = now.since(&tuning.before);
        if window.seconds < WINDOW.as_secs_f64() {
            return;
        }
        tuning.before = now;
        if let Some((choice, why)) = tuning.tuner.observe(&window) {
            let Choice {
                workers,
                read_ahead,
            } = choice;
            tracing::info!(workers, read_ahead, why, "loader: chosen");
            if workers != self.maker.pool.active() {
                self.maker.pool.set_active(workers);
                self.maker.counters.workers_changed(workers);
            }
            self.read_ahead(read_ahead);
        }
    }
}

/// A feeder that panics, which none should, must not leave the others and the consumer waiting for
/// the batch that it took.
struct StopIfPanicking<'a>(&'a Ring<Slot>);

impl Drop for StopIfPanicking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

fn warn_of_waiting(shared: &Shared, position: LoaderState) {
    tracing::warn!(
        batch = %position,
        slots = shared.read_ahead.load(Relaxed),
        lent = shared.maker.ring.lent(),
        "no batch for {} s; if all slots are lent, batches have to be dropped before there can be \
         more",
        PATIENCE.as_secs(),
    );
}

impl Iterator for Loader {
    type Item = Result<Batch, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let (shared, at, asked) = (&self.shared, self.position, Instant::now());
        let made = self.batches.next(PATIENCE, || warn_of_waiting(shared, at));
        let counters = &shared.maker.counters;
        counters.consumer_wait(asked);
        let Some((batch, made)) = made else {
            self.ended = true;
            let is_done = locked(&shared.plan).next() == at;
            return (!is_done).then_some(Err(LoaderError::WorkersLost { at }));
        };
        counters.ready_wait(asked.saturating_duration_since(made));
        self.position = at.after(self.batches_per_epoch());
        if batch.is_ok() {
            self.consumed = self.position;
        }
        Some(batch.map_err(|failed| failed.0))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        let ring = &self.shared.maker.ring;
        ring.stop();
        for feeder in self.feeders.drain(..) {
            // A feeder does not panic; if one did, there is nothing left to stop.
            let _ = feeder.join();
        }
        self.batches.clear();
        ring.drain();
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("consumed", &self.consumed)
            .field("memory", &self.shared.memory)
            .finish_non_exhaustive()
    }
}

/// How many threads, and how much memory, the budget pays for. Where the loader finds the number of
/// workers itself, it rather has fewer threads than fewer than four batches, or than none.
fn afford(
    spec: &LoaderSpec,
    sampler: &Sampler,
    views: &Views,
    cores: usize,
    fetched: usize,
) -> Result<(usize, Memory), LoaderError> {
    let (most, tuned) = spec.threads(cores);
    let least = if tuned { 1 } else { most };
    let with = |threads| Memory::plan(spec, sampler, views, threads, fetched);
    let found = |slots| {
        let mut plans = (least..=most).rev().map(|threads| (threads, with(threads)));
        plans.find_map(|(threads, plan)| Some((threads, plan.ok().filter(|m| m.slots >= slots)?)))
    };
    match found(4).or_else(|| found(2)) {
        Some(found) => Ok(found),
        None => with(least).map(|memory| (least, memory)),
    }
}
