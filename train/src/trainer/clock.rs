//! Wall time between two metrics rows, and how much of it went into waiting for the loader.

use std::time::{Duration, Instant};

/// Counts pairs and waiting time since the last reading.
#[derive(Debug)]
pub(super) struct Clock {
    since: Instant,
    waited: Duration,
    pairs: u64,
}

/// What happened since the last reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    pub(super) pairs_per_s: f64,
    pub(super) data_wait: f64,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            since: Instant::now(),
            waited: Duration::ZERO,
            pairs: 0,
        }
    }

    /// Runs `f`, whose time counts as waiting.
    pub(super) fn waiting<T>(&mut self, f: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let value = f();
        self.waited += begin.elapsed();
        value
    }

    pub(super) fn count(&mut self, pairs: usize) {
        self.pairs += pairs as u64;
    }

    /// Reads and starts again.
    pub(super) fn read(&mut self) -> Reading {
        let wall = self.since.elapsed().as_secs_f64().max(1e-9);
        let reading = Reading {
            pairs_per_s: self.pairs as f64 / wall,
            data_wait: (self.waited.as_secs_f64() / wall).min(1.0),
        };
        *self = Self::start();
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_a_share_of_wall_time_and_a_reading_starts_again() {
        let mut clock = Clock::start();
        clock.waiting(|| std::thread::sleep(Duration::from_millis(5)));
        clock.count(8);
        let reading = clock.read();
        assert!(reading.data_wait > 0.0 && reading.data_wait <= 1.0);
        assert!(reading.pairs_per_s > 0.0);
        assert_eq!(clock.pairs, 0);
    }
}
