//! The counts that all threads of a loader keep.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::{Damaged, MOST_NAMED};
use crate::error::SourceError;
use crate::locked;
use crate::tune::Window;

#[derive(Debug)]
pub(crate) struct Counters {
    pub(super) started: Instant,
    pub(super) batches: AtomicU64,
    pub(super) samples: AtomicU64,
    pub(super) views: AtomicU64,
    pub(super) order: Busy,
    pub(super) fetch: Busy,
    pub(super) augment: Busy,
    pub(super) slot_wait: Busy,
    pub(super) ready_wait: Busy,
    pub(super) consumer_wait: Busy,
    /// From the first time that the consumer asked for a batch.
    consumer_began: Mutex<Option<Instant>>,
    pub(super) replaced: AtomicU64,
    damaged: Mutex<BTreeMap<u32, Damaged>>,
    active: Mutex<Active>,
}

/// Sum of durations.
#[derive(Debug, Default)]
pub(super) struct Busy(AtomicU64);

impl Busy {
    fn add(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Relaxed);
    }

    pub(super) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.0.load(Relaxed)).as_secs_f64()
    }
}

/// How long how many workers have been allowed to work.
#[derive(Debug)]
struct Active {
    workers: usize,
    since: Instant,
    worker_seconds: f64,
    changes: u64,
}

impl Active {
    fn worker_seconds(&self) -> f64 {
        self.worker_seconds + self.since.elapsed().as_secs_f64() * self.workers as f64
    }
}

impl Counters {
    pub(crate) fn new(workers: usize) -> Self {
        let started = Instant::now();
        Self {
            started,
            batches: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            views: AtomicU64::new(0),
            order: Busy::default(),
            fetch: Busy::default(),
            augment: Busy::default(),
            slot_wait: Busy::default(),
            ready_wait: Busy::default(),
            consumer_wait: Busy::default(),
            consumer_began: Mutex::new(None),
            replaced: AtomicU64::new(0),
            damaged: Mutex::default(),
            active: Mutex::new(Active {
                workers,
                since: started,
                worker_seconds: 0.0,
                changes: 0,
            }),
        }
    }

    pub(crate) fn sample(&self, views: u64, fetch: Duration, augment: Duration) {
        self.samples.fetch_add(1, Relaxed);
        self.views.fetch_add(views, Relaxed);
        self.fetch.add(fetch);
        self.augment.add(augment);
    }

    /// A batch's patches came from afar, before any of them was read.
    pub(crate) fn fetched(&self, time: Duration) {
        self.fetch.add(time);
    }

    pub(crate) fn batch(&self) {
        self.batches.fetch_add(1, Relaxed);
    }

    pub(crate) fn order(&self, time: Duration) {
        self.order.add(time);
    }

    pub(crate) fn slot_wait(&self, time: Duration) {
        self.slot_wait.add(time);
    }

    pub(crate) fn ready_wait(&self, time: Duration) {
        self.ready_wait.add(time);
    }

    pub(crate) fn consumer_wait(&self, since: Instant) {
        self.consumer_wait.add(since.elapsed());
        locked(&self.consumer_began).get_or_insert(since);
    }

    pub(crate) fn replaced(&self, samples: u64) {
        self.replaced.fetch_add(samples, Relaxed);
    }

    /// Keeps the name of a damaged patch, and warns of it when it is first met and does not become an
    /// error.
    pub(crate) fn damaged(
        &self,
        row: u32,
        name: impl FnOnce() -> String,
        error: &SourceError,
        skipped: bool,
    ) {
        let mut damaged = locked(&self.damaged);
        if damaged.len() >= MOST_NAMED || damaged.contains_key(&row) {
            return;
        }
        let patch = name();
        let reason = reason(error.as_ref());
        if skipped {
            tracing::warn!(
                row,
                patch,
                reason,
                "damaged patch: another one takes its place"
            );
        }
        damaged.insert(row, Damaged { row, patch, reason });
    }

    pub(super) fn damaged_patches(&self) -> Vec<Damaged> {
        locked(&self.damaged).values().cloned().collect()
    }

    /// Notes that from now on so many workers may work.
    pub(crate) fn workers_changed(&self, workers: usize) {
        let mut active = locked(&self.active);
        active.worker_seconds = active.worker_seconds();
        active.since = Instant::now();
        active.workers = workers;
        active.changes += 1;
    }

    /// Seconds that workers might have worked, and how often their number has changed.
    pub(super) fn active(&self) -> (f64, u64) {
        let active = locked(&self.active);
        (active.worker_seconds(), active.changes)
    }

    /// Seconds that the consumer spent on its own work.
    pub(super) fn consumer_busy(&self) -> f64 {
        let began = *locked(&self.consumer_began);
        let since = began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        (since - self.consumer_wait.seconds()).max(0.0)
    }

    /// All that has happened so far, as one window.
    pub(crate) fn window(&self) -> Window {
        Window {
            seconds: self.started.elapsed().as_secs_f64(),
            samples: self.samples.load(Relaxed),
            fetch_busy: self.fetch.seconds(),
            augment_busy: self.augment.seconds(),
            slot_wait: self.slot_wait.seconds(),
            consumer_wait: self.consumer_wait.seconds(),
        }
    }
}

/// An error with its causes, in one line.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
