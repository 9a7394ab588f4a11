//! Where a loader's time and memory go.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::Serialize;

/// What keeps batches from coming faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bottleneck {
    /// Reading and decoding patches.
    Fetch,
    /// Augmenting views.
    Augment,
    /// Whoever takes the batches: the loader keeps up.
    Consumer,
}

impl Bottleneck {
    /// `fetch`, `augment` or `consumer`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Augment => "augment",
            Self::Consumer => "consumer",
        }
    }
}

impl std::fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a loader has done so far. Times in seconds; `..._busy` are sums over workers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoaderStats {
    /// Batches made.
    pub batches: u64,
    /// Patches read.
    pub samples: u64,
    /// Views rendered.
    pub views: u64,
    /// Time since the start.
    pub elapsed_s: f64,
    /// Workers reading and decoding patches.
    pub fetch_busy_s: f64,
    /// Workers augmenting views.
    pub augment_busy_s: f64,
    /// Ready to make a batch, but no memory was free: the consumer held it, or batches waited for it.
    pub slot_wait_s: f64,
    /// The consumer waited for a batch.
    pub consumer_wait_s: f64,
    /// Batches that are made and wait for the consumer.
    pub queue_depth: usize,
    /// Worker threads.
    pub workers: usize,
    /// Slots of the ring: batches that memory is set aside for.
    pub slots: usize,
    /// Bytes of one slot.
    pub slot_bytes: usize,
    /// The most bytes that were in use at once: lent slots, working memory and orders of epochs.
    pub bytes_in_flight_max: usize,
}

/// Share of the time that a consumer may wait before the loader counts as the slower.
const WAITS: f64 = 0.05;

impl LoaderStats {
    /// What keeps batches from coming faster.
    #[must_use]
    pub fn bottleneck(&self) -> Bottleneck {
        if self.consumer_wait_s <= WAITS * self.elapsed_s {
            Bottleneck::Consumer
        } else if self.fetch_busy_s > self.augment_busy_s {
            Bottleneck::Fetch
        } else {
            Bottleneck::Augment
        }
    }

    /// One line that names the bottleneck and the figures behind it.
    #[must_use]
    pub fn summary(&self) -> String {
        let share = |part: f64, whole: f64| 100.0 * part / whole.max(1e-9);
        let capacity = self.elapsed_s * self.workers as f64;
        format!(
            "bottleneck: {}; {:.0} views/s; consumer waited {:.0} % of {:.1} s; {} workers fetched \
             {:.0} % and augmented {:.0} % of their time",
            self.bottleneck(),
            self.views as f64 / self.elapsed_s.max(1e-9),
            share(self.consumer_wait_s, self.elapsed_s),
            self.elapsed_s,
            self.workers,
            share(self.fetch_busy_s, capacity),
            share(self.augment_busy_s, capacity),
        )
    }
}

/// Counts of all threads of a loader.
#[derive(Debug)]
pub(crate) struct Counters {
    started: Instant,
    batches: AtomicU64,
    samples: AtomicU64,
    views: AtomicU64,
    fetch: Busy,
    augment: Busy,
    slot_wait: Busy,
    consumer_wait: Busy,
    lent: AtomicUsize,
    lent_max: AtomicUsize,
}

/// Sum of durations.
#[derive(Debug, Default)]
struct Busy(AtomicU64);

impl Busy {
    fn add(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Relaxed);
    }

    fn seconds(&self) -> f64 {
        Duration::from_nanos(self.0.load(Relaxed)).as_secs_f64()
    }
}

/// Memory of a loader, decided at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) slots: usize,
    pub(crate) slot_bytes: usize,
    /// Bytes of everything besides slots.
    pub(crate) fixed_bytes: usize,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            batches: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            views: AtomicU64::new(0),
            fetch: Busy::default(),
            augment: Busy::default(),
            slot_wait: Busy::default(),
            consumer_wait: Busy::default(),
            lent: AtomicUsize::new(0),
            lent_max: AtomicUsize::new(0),
        }
    }

    pub(crate) fn lend(&self) {
        let lent = self.lent.fetch_add(1, Relaxed) + 1;
        self.lent_max.fetch_max(lent, Relaxed);
    }

    pub(crate) fn give_back(&self) {
        self.lent.fetch_sub(1, Relaxed);
    }

    pub(crate) fn lent(&self) -> usize {
        self.lent.load(Relaxed)
    }

    pub(crate) fn sample(&self, views: u64, fetch: Duration, augment: Duration) {
        self.samples.fetch_add(1, Relaxed);
        self.views.fetch_add(views, Relaxed);
        self.fetch.add(fetch);
        self.augment.add(augment);
    }

    pub(crate) fn batch(&self) {
        self.batches.fetch_add(1, Relaxed);
    }

    pub(crate) fn slot_wait(&self, time: Duration) {
        self.slot_wait.add(time);
    }

    pub(crate) fn consumer_wait(&self, time: Duration) {
        self.consumer_wait.add(time);
    }

    pub(crate) fn stats(&self, memory: Memory, workers: usize, queue_depth: usize) -> LoaderStats {
        let lent_max = self.lent_max.load(Relaxed);
        LoaderStats {
            batches: self.batches.load(Relaxed),
            samples: self.samples.load(Relaxed),
            views: self.views.load(Relaxed),
            elapsed_s: self.started.elapsed().as_secs_f64(),
            fetch_busy_s: self.fetch.seconds(),
            augment_busy_s: self.augment.seconds(),
            slot_wait_s: self.slot_wait.seconds(),
            consumer_wait_s: self.consumer_wait.seconds(),
            queue_depth,
            workers,
            slots: memory.slots,
            slot_bytes: memory.slot_bytes,
            bytes_in_flight_max: lent_max * memory.slot_bytes + memory.fixed_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busier_stage_is_named_when_the_consumer_waits() {
        let memory = Memory {
            slots: 2,
            slot_bytes: 100,
            fixed_bytes: 7,
        };
        let counters = Counters::new();
        counters.lend();
        counters.lend();
        counters.give_back();
        let stats = LoaderStats {
            elapsed_s: 10.0,
            ..counters.stats(memory, 1, 0)
        };
        assert_eq!(stats.bytes_in_flight_max, 207);
        assert_eq!(stats.bottleneck(), Bottleneck::Consumer);
        let waited = LoaderStats {
            consumer_wait_s: 5.0,
            fetch_busy_s: 1.0,
            augment_busy_s: 4.0,
            ..stats
        };
        assert_eq!(waited.bottleneck(), Bottleneck::Augment);
        assert!(waited.summary().starts_with("bottleneck: augment"));
        let read = LoaderStats {
            fetch_busy_s: 5.0,
            ..waited
        };
        assert_eq!(read.bottleneck(), Bottleneck::Fetch);
    }
}
