//! Where a loader's time and memory go.

mod counters;

use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

pub(crate) use self::counters::Counters;
use crate::memory::Memory;

/// Damaged patches that the statistics name.
const MOST_NAMED: usize = 64;

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

/// One stage of the loader, in seconds summed over those who work there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageStats {
    /// `order`, `fetch`, `augment` or `deliver`.
    pub name: &'static str,
    /// At work. For `deliver` that is the consumer's own work between two batches.
    pub busy_s: f64,
    /// Idle for want of input. `fetch`: workers for whom there was no sample to take. `augment` has
    /// none, since a worker goes on with what it has fetched. `deliver`: the consumer waited.
    pub wait_in_s: f64,
    /// Held up by what comes after. `order`: batches that could have begun, but no memory was free.
    /// `augment`: finished batches that waited for the consumer.
    pub wait_out_s: f64,
}

/// A patch whose chunks are damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damaged {
    /// Its row in the store.
    pub row: u32,
    /// Its name.
    pub patch: String,
    /// What is wrong with it.
    pub reason: String,
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
    /// Ordering epochs and cutting them into batches.
    pub order_busy_s: f64,
    /// Workers reading and decoding patches.
    pub fetch_busy_s: f64,
    /// Workers augmenting views.
    pub augment_busy_s: f64,
    /// Workers that were allowed to work and had nothing to do.
    pub worker_idle_s: f64,
    /// Ready to make a batch, but no memory was free: the consumer held it, or batches waited for it.
    pub slot_wait_s: f64,
    /// Finished batches waited for the consumer.
    pub ready_wait_s: f64,
    /// The consumer waited for a batch.
    pub consumer_wait_s: f64,
    /// The same, stage by stage along the data's way.
    pub stages: Vec<StageStats>,
    /// Batches that are made and wait for the consumer.
    pub queue_depth: usize,
    /// Workers that may work at once now.
    pub workers: usize,
    /// Worker threads: `workers` can become as many.
    pub threads: usize,
    /// Whether the loader finds `workers` and `read_ahead` itself.
    pub tuned: bool,
    /// How often it changed its mind.
    pub changes: u64,
    /// The vector instructions that views are computed with: `scalar`, `avx2` or `avx512`.
    pub simd: &'static str,
    /// Slots that go round now: batches in the making, waiting, or with the consumer.
    pub read_ahead: usize,
    /// Slots that the budget pays for; `read_ahead` can become as many.
    pub slots: usize,
    /// Bytes of one slot.
    pub slot_bytes: usize,
    /// Bytes in use now: lent slots, working memory and the order of the epoch.
    pub bytes_in_flight: usize,
    /// The most bytes that were in use at once.
    pub bytes_in_flight_max: usize,
    /// The bound on them.
    pub budget_bytes: usize,
    /// Samples that show another patch than their own, which is damaged.
    pub replaced: u64,
    /// Damaged patches, by row; the first 64 that were met.
    pub damaged: Vec<Damaged>,
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
        let capacity = self.fetch_busy_s + self.augment_busy_s + self.worker_idle_s;
        let chosen = if self.tuned { " (chosen)" } else { "" };
        let mut line = format!(
            "bottleneck: {}; {:.0} views/s; consumer waited {:.0} % of {:.1} s; {} workers{chosen} \
             fetched {:.0} % and augmented {:.0} % of their time; {} batches ahead, {:.0} MiB at most",
            self.bottleneck(),
            self.views as f64 / self.elapsed_s.max(1e-9),
            share(self.consumer_wait_s, self.elapsed_s),
            self.elapsed_s,
            self.workers,
            share(self.fetch_busy_s, capacity),
            share(self.augment_busy_s, capacity),
            self.read_ahead,
            self.bytes_in_flight_max as f64 / f64::from(1 << 20),
        );
        if self.replaced > 0 {
            line += &format!("; {} samples of damaged patches replaced", self.replaced);
        }
        line
    }
}

/// What the loader knows besides its counters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) memory: Memory,
    pub(crate) workers: usize,
    pub(crate) threads: usize,
    pub(crate) tuned: bool,
    pub(crate) simd: &'static str,
    pub(crate) read_ahead: usize,
    pub(crate) queue_depth: usize,
    pub(crate) lent: usize,
    pub(crate) lent_most: usize,
}

impl Counters {
    pub(crate) fn stats(&self, setting: Setting) -> LoaderStats {
        let memory = setting.memory;
        let in_flight = |lent| lent * memory.slot_bytes + memory.fixed_bytes;
        let (fetch_busy_s, augment_busy_s) = (self.fetch.seconds(), self.augment.seconds());
        let (worker_seconds, changes) = self.active();
        let mut stats = LoaderStats {
            batches: self.batches.load(Relaxed),
            samples: self.samples.load(Relaxed),
            views: self.views.load(Relaxed),
            elapsed_s: self.started.elapsed().as_secs_f64(),
            order_busy_s: self.order.seconds(),
            fetch_busy_s,
            augment_busy_s,
            worker_idle_s: (worker_seconds - fetch_busy_s - augment_busy_s).max(0.0),
            slot_wait_s: self.slot_wait.seconds(),
            ready_wait_s: self.ready_wait.seconds(),
            consumer_wait_s: self.consumer_wait.seconds(),
            stages: Vec::new(),
            queue_depth: setting.queue_depth,
            workers: setting.workers,
            threads: setting.threads,
            tuned: setting.tuned,
            changes,
            simd: setting.simd,
            read_ahead: setting.read_ahead,
            slots: memory.slots,
            slot_bytes: memory.slot_bytes,
            bytes_in_flight: in_flight(setting.lent),
            bytes_in_flight_max: in_flight(setting.lent_most),
            budget_bytes: memory.budget,
            replaced: self.replaced.load(Relaxed),
            damaged: self.damaged_patches(),
        };
        stats.stages = stages(&stats, self.consumer_busy());
        stats
    }
}

fn stages(stats: &LoaderStats, consumer_busy_s: f64) -> Vec<StageStats> {
    let stage = |name, busy_s, wait_in_s, wait_out_s| StageStats {
        name,
        busy_s,
        wait_in_s,
        wait_out_s,
    };
    vec![
        stage("order", stats.order_busy_s, 0.0, stats.slot_wait_s),
        stage("fetch", stats.fetch_busy_s, stats.worker_idle_s, 0.0),
        stage("augment", stats.augment_busy_s, 0.0, stats.ready_wait_s),
        stage("deliver", consumer_busy_s, stats.consumer_wait_s, 0.0),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn setting() -> Setting {
        Setting {
            memory: Memory {
                budget: 1_000,
                slots: 2,
                slot_bytes: 100,
                fixed_bytes: 7,
            },
            workers: 1,
            threads: 4,
            tuned: true,
            simd: "scalar",
            read_ahead: 2,
            queue_depth: 0,
            lent: 1,
            lent_most: 2,
        }
    }

    #[test]
    fn the_busier_stage_is_named_when_the_consumer_waits() {
        let stats = LoaderStats {
            elapsed_s: 10.0,
            ..Counters::new(1).stats(setting())
        };
        assert_eq!(
            (stats.bytes_in_flight, stats.bytes_in_flight_max),
            (107, 207)
        );
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

    #[test]
    fn every_second_of_a_worker_is_busy_or_idle_and_all_of_it_can_be_printed() {
        let counters = Counters::new(2);
        let (millis, began) = (Duration::from_millis, Instant::now());
        std::thread::sleep(millis(20));
        counters.workers_changed(3);
        counters.sample(2, millis(3), millis(5));
        counters.slot_wait(millis(7));
        counters.consumer_wait(began);
        let stats = counters.stats(setting());
        let accounted = stats.fetch_busy_s + stats.augment_busy_s + stats.worker_idle_s;
        assert!(accounted >= 2.0 * 0.020, "{accounted}");
        assert!(accounted <= 3.0 * stats.elapsed_s);
        assert_eq!(stats.changes, 1);
        let json = serde_json::to_value(&stats).unwrap();
        let names: Vec<_> = stats.stages.iter().map(|s| s.name).collect();
        assert_eq!(names, ["order", "fetch", "augment", "deliver"]);
        assert_eq!(json["stages"][0]["wait_out_s"], 0.007);
        assert_eq!(json["stages"][1]["busy_s"], 0.003);
    }

    #[test]
    fn so_many_damaged_patches_are_named_and_no_more() {
        let counters = Counters::new(1);
        for row in (0..100).rev().chain(0..100) {
            let cause = std::io::Error::other("the chunk is corrupt").into();
            counters.damaged(row, || format!("patch-{row}"), &cause, true);
        }
        let damaged = counters.stats(setting()).damaged;
        assert_eq!(damaged.len(), MOST_NAMED);
        assert!(damaged.is_sorted_by_key(|d| d.row));
        assert_eq!(damaged[63].patch, "patch-99");
        assert_eq!(damaged[63].reason, "the chunk is corrupt");
    }
}
