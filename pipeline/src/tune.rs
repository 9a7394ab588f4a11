//! Finding the number of workers and the read-ahead.
//!
//! Nothing that is delivered depends on what is found here. Every window of time, the loader tells
//! what it did and what it waited for:
//!
//! - The consumer never waited: the loader keeps up, and nothing is changed.
//! - The consumer waited and so did feeders, for memory: batches come unevenly, and one more of them is
//!   made ahead, as far as the budget goes.
//! - The consumer waited and workers spent most of their time fetching: they may wait for the disk, and
//!   half as many again are tried. The try is kept if at least 5 % more samples came, else taken back;
//!   the next one comes after twice as long.
//! - The consumer waited, and workers spent most of their time augmenting: that needs a core each, and
//!   workers beyond the number of cores are taken away.

use std::time::Duration;

/// How much is judged at a time.
pub(crate) const WINDOW: Duration = Duration::from_millis(250);
/// Share of the time that somebody may wait before it counts.
const WAITS: f64 = 0.05;
/// By how much a try has to be better.
const GAIN: f64 = 1.05;
/// Windows to rest after a first failed try, and at most.
const REST: u32 = 8;
const LONGEST_REST: u32 = 256;
/// Batches that go round at first: three in the making and one with the consumer.
const FIRST_READ_AHEAD: usize = 4;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Workers that may work at once.
    pub(crate) workers: usize,
    /// Slots that go round.
    pub(crate) read_ahead: usize,
}

/// What happened within one window. Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) seconds: f64,
    pub(crate) samples: u64,
    /// Sums over workers.
    pub(crate) fetch_busy: f64,
    pub(crate) augment_busy: f64,
    /// Sum over feeders.
    pub(crate) slot_wait: f64,
    pub(crate) consumer_wait: f64,
}

impl Window {
    /// What happened after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            seconds: self.seconds - before.seconds,
            samples: self.samples - before.samples,
            fetch_busy: self.fetch_busy - before.fetch_busy,
            augment_busy: self.augment_busy - before.augment_busy,
            slot_wait: self.slot_wait - before.slot_wait,
            consumer_wait: self.consumer_wait - before.consumer_wait,
        }
    }
}

/// Bounds on what may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) cores: usize,
    pub(crate) workers: usize,
    pub(crate) slots: usize,
}

#[derive(Debug)]
pub(crate) struct Tuner {
    bounds: Bounds,
    choice: Choice,
    trying: Option<Try>,
    rest: u32,
    next_rest: u32,
}

/// A number of workers that has to prove itself.
#[derive(Debug, Clone, Copy)]
struct Try {
    before: usize,
    rate_before: f64,
}

impl Tuner {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            choice: Choice {
                workers: bounds.cores.min(bounds.workers).max(1),
                read_ahead: FIRST_READ_AHEAD.min(bounds.slots),
            },
            bounds,
            trying: None,
            rest: 0,
            next_rest: REST,
        }
    }

    pub(crate) fn choice(&self) -> Choice {
        self.choice
    }

    /// Judges a window; the new choice, and why, if it is another.
    pub(crate) fn observe(&mut self, window: &Window) -> Option<(Choice, &'static str)> {
        let before = self.choice;
        let why = self.judge(window);
        (self.choice != before).then_some((self.choice, why))
    }

    fn judge(&mut self, window: &Window) -> &'static str {
        let rate = window.samples as f64 / window.seconds.max(1e-9);
        if let Some(tried) = self.trying.take() {
            if rate < GAIN * tried.rate_before {
                self.choice.workers = tried.before;
                self.rest = self.next_rest;
                self.next_rest = (2 * self.next_rest).min(LONGEST_REST);
                return "more workers brought nothing";
            }
            self.next_rest = REST;
        }
        if window.consumer_wait <= WAITS * window.seconds {
            return "the consumer does not wait";
        }
        if window.slot_wait > WAITS * window.seconds && self.choice.read_ahead < self.bounds.slots {
            self.choice.read_ahead += 1;
            return "the consumer waited while batches waited for memory";
        }
        if window.fetch_busy <= window.augment_busy {
            self.choice.workers = self.choice.workers.min(self.bounds.cores);
            return "augmenting needs a core a worker";
        }
        if self.rest > 0 {
            self.rest -= 1;
            return "a try failed not long ago";
        }
        let more = (self.choice.workers * 3)
            .div_ceil(2)
            .min(self.bounds.workers);
        if more > self.choice.workers {
            self.trying = Some(Try {
                before: self.choice.workers,
                rate_before: rate,
            });
            self.choice.workers = more;
        }
        "fetching takes longer than augmenting"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        cores: 2,
        workers: 16,
        slots: 9,
    };

    /// A machine that fetches and augments: a fetch waits `wait` seconds for a disk that serves
    /// `disk` requests at once; the rest needs one of two cores.
    struct Machine {
        wait: f64,
        disk: f64,
        work: f64,
        consumer: f64,
    }

    impl Machine {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of samples"
        )]
        fn window(&self, choice: Choice) -> Window {
            let workers = choice.workers as f64;
            let by_workers = workers / (self.wait + self.work);
            let by_disk = self.disk / self.wait.max(1e-12);
            let by_cores = 2.0 / self.work;
            let possible = by_workers.min(by_disk).min(by_cores);
            let rate = possible.min(1.0 / self.consumer);
            Window {
                seconds: 0.25,
                samples: (rate * 0.25) as u64,
                fetch_busy: 0.25 * (workers - rate * self.work).min(rate * self.wait * 9.0),
                augment_busy: 0.25 * rate * self.work,
                slot_wait: 0.0,
                consumer_wait: 0.25 * (1.0 - rate * self.consumer),
            }
        }

        fn tuned(&self, windows: usize) -> (Choice, usize) {
            let mut tuner = Tuner::new(BOUNDS);
            let mut changes = 0;
            for _ in 0..windows {
                let window = self.window(tuner.choice());
                changes += usize::from(tuner.observe(&window).is_some());
            }
            (tuner.choice(), changes)
        }
    }

    #[test]
    fn a_slow_disk_gets_as_many_readers_as_it_can_serve() {
        let machine = Machine {
            wait: 5e-3,
            disk: 8.0,
            work: 1e-4,
            consumer: 1e-9,
        };
        let (choice, changes) = machine.tuned(400);
        assert!((8..=12).contains(&choice.workers), "{choice:?}");
        // Ever rarer tries once it is found.
        assert!(changes < 30, "{changes}");
    }

    #[test]
    fn augmenting_gets_no_more_workers_than_cores() {
        let machine = Machine {
            wait: 1e-6,
            disk: 1e3,
            work: 2e-4,
            consumer: 1e-9,
        };
        assert_eq!(machine.tuned(100).0.workers, 2);
        let mut tuner = Tuner::new(BOUNDS);
        tuner.choice.workers = 9;
        tuner.observe(&machine.window(tuner.choice()));
        assert_eq!(tuner.choice().workers, 2);
    }

    #[test]
    fn a_loader_that_keeps_up_is_left_alone() {
        let machine = Machine {
            wait: 1e-3,
            disk: 100.0,
            work: 1e-4,
            consumer: 1.0,
        };
        assert_eq!(machine.tuned(100).1, 0);
    }

    #[test]
    fn read_ahead_grows_only_while_both_sides_wait_and_within_the_ring() {
        let mut tuner = Tuner::new(BOUNDS);
        assert_eq!(tuner.choice().read_ahead, 4);
        let uneven = Window {
            seconds: 0.25,
            samples: 100,
            fetch_busy: 0.1,
            augment_busy: 0.3,
            slot_wait: 0.2,
            consumer_wait: 0.1,
        };
        for _ in 0..20 {
            tuner.observe(&uneven);
        }
        assert_eq!(
            tuner.choice(),
            Choice {
                workers: 2,
                read_ahead: 9
            }
        );
        let mut still = Tuner::new(BOUNDS);
        still.observe(&Window {
            consumer_wait: 0.0,
            ..uneven
        });
        still.observe(&Window {
            slot_wait: 0.0,
            ..uneven
        });
        assert_eq!(still.choice().read_ahead, 4);
    }

    #[test]
    fn bounds_below_the_usual_hold() {
        let bounds = Bounds {
            cores: 8,
            workers: 3,
            slots: 2,
        };
        let expected = Choice {
            workers: 3,
            read_ahead: 2,
        };
        assert_eq!(Tuner::new(bounds).choice(), expected);
    }
}
