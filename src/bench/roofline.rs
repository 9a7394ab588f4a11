//! The least time that a view could take on this machine: its bytes at the bandwidth of memory, and its
//! arithmetic at the speed of the processor, one after the other.

use std::hint::black_box;
use std::time::Instant;

use chipmill_pipeline::{Augmenter, FusedWay, SimdPath, ViewKey, fused_products, normal_numbers};
use serde::Serialize;

use super::bandwidth::Bandwidth;
use super::chips::Chips;
use super::clock::Clock;
use super::median;

/// Views whose operations are counted.
const VIEWS: u32 = 256;
/// How long products are done for one measurement of their rate, in seconds.
const SECONDS: f64 = 5e-3;
/// Normal numbers that are made at a time: 16 KiB.
const NORMALS: usize = 4096;

/// Times in microseconds a view, of one thread.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Roofline {
    /// Native pixels of a patch.
    pub(crate) read_bytes: usize,
    pub(crate) written_bytes: usize,
    /// Additions, multiplications, both fused, divisions and roots of a view, on average.
    pub(crate) operations: f64,
    /// Fused products and sums, one after the other without anything else: the median.
    pub(crate) peak_operations_per_s: f64,
    pub(crate) memory_us: f64,
    pub(crate) compute_us: f64,
    /// Both together.
    pub(crate) us_per_view: f64,
    /// This time's part of the time that a view really took.
    pub(crate) reached: f64,
}

/// Measures the processor so many times; `us_per_view` is what a view took.
#[expect(clippy::cast_precision_loss, reason = "some millions of operations")]
pub(crate) fn roofline(
    augmenter: &Augmenter,
    (seed, written_bytes): (u64, usize),
    chips: &Chips,
    bandwidth: &Bandwidth,
    us_per_view: f64,
    repeats: u16,
) -> anyhow::Result<Roofline> {
    let keys = (0..VIEWS).map(|number| ViewKey {
        seed,
        epoch: 0,
        patch: number / 2,
        view: number % 2,
    });
    let operations = augmenter.count_operations(chips.get(0), keys) as f64 / f64::from(VIEWS);
    let pixels = augmenter.groups().iter().map(|&group| {
        let bands = augmenter.bands_of(group);
        bands * group.side() * group.side()
    });
    let read_bytes = pixels.sum::<usize>() * size_of::<u16>();
    let peak = peak(augmenter.simd(), repeats)?;
    // Bandwidth is of all threads, a view is one thread's.
    let threads = f64::from(bandwidth.threads);
    let memory_us =
        threads * (bandwidth.us_to_read(read_bytes) + bandwidth.us_to_write(written_bytes));
    let compute_us = 1e6 * operations / peak.max(1.0);
    Ok(Roofline {
        read_bytes,
        written_bytes,
        operations,
        peak_operations_per_s: peak,
        memory_us,
        compute_us,
        us_per_view: memory_us + compute_us,
        reached: (memory_us + compute_us) / us_per_view.max(1e-9),
    })
}

/// Fused products and sums per second of processor time.
fn peak(path: SimdPath, repeats: u16) -> anyhow::Result<f64> {
    let mut fastest = 0.0_f64;
    for way in [FusedWay::Few, FusedWay::Many] {
        let rounds = enough(path, way)?;
        let mut rates = Vec::new();
        for _ in 0..repeats {
            let clock = Clock::start();
            let done = fused_products(path, way, rounds)?;
            rates.push(per_second(done, clock.cpu()));
        }
        fastest = fastest.max(median(rates));
    }
    Ok(fastest)
}

/// Rounds that take long enough to be timed.
fn enough(path: SimdPath, way: FusedWay) -> anyhow::Result<u32> {
    let mut rounds = 1_000;
    loop {
        let started = Instant::now();
        fused_products(path, way, rounds)?;
        if started.elapsed().as_secs_f64() > SECONDS || rounds > u32::MAX / 2 {
            return Ok(rounds);
        }
        rounds *= 2;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn per_second(amount: u64, seconds: f64) -> f64 {
    amount as f64 / seconds.max(1e-9)
}

/// Nanoseconds of processor time that a normal number of noise takes, written to the innermost cache:
/// the median.
#[expect(clippy::cast_precision_loss, reason = "some thousands")]
pub(crate) fn ns_per_normal(path: SimdPath, repeats: u16) -> anyhow::Result<f64> {
    let mut out = vec![0.0; NORMALS];
    let key = |patch| ViewKey {
        seed: 0,
        epoch: 0,
        patch,
        view: 0,
    };
    // Until it takes long enough to be timed.
    let mut calls = 64;
    let mut time = |calls: u32| {
        let clock = Clock::start();
        for patch in 0..calls {
            normal_numbers(path, key(patch), black_box(&mut out))?;
        }
        anyhow::Ok(clock.cpu())
    };
    while time(calls)? < SECONDS && calls < 1 << 20 {
        calls *= 2;
    }
    let times = (0..repeats).map(|_| time(calls));
    let times = times.collect::<anyhow::Result<Vec<_>>>()?;
    Ok(1e9 * median(times) / (f64::from(calls) * NORMALS as f64))
}

impl Roofline {
    pub(crate) fn text(&self) -> String {
        format!(
            "The least that a view could take is {:.1} us: {:.1} us for reading {:.0} kB and writing \
             {:.0} kB,\nand {:.1} us for {:.2} million operations at this machine's {:.0} thousand \
             millions a second.\nReached: {:.0} % of that speed.",
            self.us_per_view,
            self.memory_us,
            self.read_bytes as f64 / 1e3,
            self.written_bytes as f64 / 1e3,
            self.compute_us,
            self.operations / 1e6,
            self.peak_operations_per_s / 1e9,
            100.0 * self.reached,
        )
    }
}
