//! How fast this machine's memory is: what no view can be cheaper than.

use std::hint::black_box;

use serde::Serialize;

use chipmill_store::prefer_large_pages;

use super::clock::Clock;
use super::median;

/// Larger than most caches that a core has to itself.
const BYTES: usize = 64 << 20;
/// Passes over a region in one round.
const PASSES: usize = 32;

/// Bytes per second of all threads together, each between memory regions of 64 MiB of its own: medians.
///
/// Time is the processor time of a thread, which counts waiting for memory but not the time of others.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Bandwidth {
    pub(crate) threads: u16,
    /// Read, nothing being written.
    pub(crate) read_bytes_per_s: f64,
    /// Written, nothing being read.
    pub(crate) write_bytes_per_s: f64,
    /// Copied; every byte is read once and written once.
    pub(crate) copy_bytes_per_s: f64,
}

#[expect(clippy::cast_precision_loss, reason = "sizes of views")]
impl Bandwidth {
    pub(crate) fn us_to_read(&self, bytes: usize) -> f64 {
        1e6 * bytes as f64 / self.read_bytes_per_s.max(1.0)
    }

    pub(crate) fn us_to_write(&self, bytes: usize) -> f64 {
        1e6 * bytes as f64 / self.write_bytes_per_s.max(1.0)
    }

    pub(crate) fn us_to_copy(&self, bytes: usize) -> f64 {
        1e6 * bytes as f64 / self.copy_bytes_per_s.max(1.0)
    }
}

/// Two regions of one thread.
struct Regions {
    from: Vec<u64>,
    to: Vec<u64>,
}

/// Measures so many times with so many threads, after once that is not counted.
pub(crate) fn bandwidth(repeats: u16, threads: u16) -> Bandwidth {
    let region = |value| {
        let mut region = vec![0; BYTES / size_of::<u64>()];
        prefer_large_pages(&mut region);
        region.fill(value);
        region
    };
    let regions = || Regions {
        from: region(1),
        to: region(2),
    };
    let mut all: Vec<Regions> = (0..threads).map(|_| regions()).collect();
    let mut rate = |work: fn(&mut Regions)| {
        round(&mut all, work);
        median((0..repeats).map(|_| round(&mut all, work)))
    };
    Bandwidth {
        threads,
        read_bytes_per_s: rate(|regions| {
            let sums = regions.from.as_chunks::<16>().0.iter();
            let add =
                |sums: [u64; 16], values: &[u64; 16]| std::array::from_fn(|i| sums[i] | values[i]);
            black_box(sums.fold([0; 16], add));
        }),
        write_bytes_per_s: rate(|regions| regions.to.fill(black_box(0))),
        copy_bytes_per_s: rate(|regions| regions.to.copy_from_slice(&regions.from)),
    }
}

/// Bytes per second of all threads, which do the work at the same time and often enough: some systems know
/// processor time to four milliseconds only, in which 64 MiB may be read.
#[expect(clippy::cast_precision_loss, reason = "64 MiB a thread")]
fn round(all: &mut [Regions], work: fn(&mut Regions)) -> f64 {
    let clock = Clock::start();
    let threads = all.len() as f64;
    std::thread::scope(|scope| {
        for regions in all {
            scope.spawn(move || (0..PASSES).for_each(|_| work(black_box(regions))));
        }
    });
    threads * threads * (PASSES * BYTES) as f64 / clock.cpu().max(1e-9)
}
