//! CPU time of the running thread, so that other work on the machine disturbs less.

use std::time::{Duration, Instant};

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};

use crate::on_cpu::on_cpu;

/// Time that the thread has spent on a CPU, as Linux counts it (in steps of a scheduler tick, some
/// milliseconds); elsewhere wall time.
#[derive(Debug)]
pub(crate) struct CpuTime;

/// Where counting began.
#[derive(Debug)]
pub(crate) enum Began {
    Cpu(Duration),
    Wall(Instant),
}

impl Measurement for CpuTime {
    type Intermediate = Began;
    type Value = Duration;

    fn start(&self) -> Began {
        on_cpu().map_or_else(|| Began::Wall(Instant::now()), Began::Cpu)
    }

    fn end(&self, began: Began) -> Duration {
        match began {
            Began::Cpu(began) => on_cpu().unwrap_or(began).saturating_sub(began),
            Began::Wall(began) => began.elapsed(),
        }
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Formatter
    }
}

struct Formatter;

impl ValueFormatter for Formatter {
    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(
        &self,
        typical: f64,
        throughput: &Throughput,
        values: &mut [f64],
    ) -> &'static str {
        WallTime
            .formatter()
            .scale_throughputs(typical, throughput, values)
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}
