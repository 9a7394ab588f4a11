//! What went to and fro between this process and object stores.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// Counts since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Requests sent, those that were tried again among them.
    pub requests: u64,
    /// Requests that failed in a way that may pass (no answer, 429, 5xx): these were tried again.
    pub failed: u64,
    /// Bytes of objects received.
    pub bytes_in: u64,
    /// Bytes of objects sent.
    pub bytes_out: u64,
    /// Bytes that came from the local cache instead.
    pub cached: u64,
    /// Pieces of the cache that were not what was put there, and were fetched anew.
    pub corrupt: u64,
}

pub(crate) static REQUESTS: AtomicU64 = AtomicU64::new(0);
pub(crate) static FAILED: AtomicU64 = AtomicU64::new(0);
pub(crate) static BYTES_IN: AtomicU64 = AtomicU64::new(0);
pub(crate) static BYTES_OUT: AtomicU64 = AtomicU64::new(0);
pub(crate) static CACHED: AtomicU64 = AtomicU64::new(0);
pub(crate) static CORRUPT: AtomicU64 = AtomicU64::new(0);

impl Traffic {
    /// All that this process has done so far.
    #[must_use]
    pub fn so_far() -> Self {
        let [requests, failed, bytes_in, bytes_out, cached, corrupt] =
            [&REQUESTS, &FAILED, &BYTES_IN, &BYTES_OUT, &CACHED, &CORRUPT]
                .map(|count| count.load(Relaxed));
        Self {
            requests,
            failed,
            bytes_in,
            bytes_out,
            cached,
            corrupt,
        }
    }

    /// What was done since an earlier moment.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            requests: self.requests - before.requests,
            failed: self.failed - before.failed,
            bytes_in: self.bytes_in - before.bytes_in,
            bytes_out: self.bytes_out - before.bytes_out,
            cached: self.cached - before.cached,
            corrupt: self.corrupt - before.corrupt,
        }
    }
}

pub(crate) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Relaxed);
}
