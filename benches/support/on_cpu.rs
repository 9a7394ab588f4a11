//! CPU time of the running thread.

use std::time::Duration;

/// Time that the thread has spent on a CPU, as Linux counts it (in steps of a scheduler tick, some
/// milliseconds); elsewhere none.
pub(crate) fn on_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
