//! How fast this machine's memory is: what no view can be cheaper than.

use std::hint::black_box;

use serde::Serialize;

use super::clock::Clock;
use super::median;

/// Larger than most caches that a core has to itself.
const BYTES: usize = 64 << 20;

/// Bytes per second of one thread, between memory regions of 64 MiB: medians.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Bandwidth {
    /// Written, nothing being read.
    pub(crate) write_bytes_per_s: f64,
    /// Copied; every byte is read once and written once.
    pub(crate) copy_bytes_per_s: f64,
}

#[expect(clippy::cast_precision_loss, reason = "sizes of views")]
impl Bandwidth {
    pub(crate) fn us_to_write(&self, bytes: usize) -> f64 {
        1e6 * bytes as f64 / self.write_bytes_per_s.max(1.0)
    }

    pub(crate) fn us_to_copy(&self, bytes: usize) -> f64 {
        1e6 * bytes as f64 / self.copy_bytes_per_s.max(1.0)
    }
}

/// Measures so many times, after once that is not counted.
#[expect(clippy::cast_precision_loss, reason = "64 MiB")]
pub(crate) fn bandwidth(repeats: u16) -> Bandwidth {
    let mut from = vec![1_u8; BYTES];
    let mut to = vec![2_u8; BYTES];
    let mut rate = |work: &mut dyn FnMut(&mut [u8], &mut [u8])| {
        work(&mut from, &mut to);
        let measure = |_| {
            let clock = Clock::start();
            work(black_box(&mut from), black_box(&mut to));
            BYTES as f64 / clock.cpu().max(1e-9)
        };
        median((0..repeats).map(measure))
    };
    Bandwidth {
        write_bytes_per_s: rate(&mut |_, to| to.fill(black_box(3))),
        copy_bytes_per_s: rate(&mut |from, to| to.copy_from_slice(from)),
    }
}
