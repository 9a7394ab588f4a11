//! A ring of slots: memory that goes round between the feeders who fill it and the one who uses it.
//!
//! ```text
//!   free ──lease──> feeder ──make──> ready ──in order──> consumer ──drop──> free
//! ```
//! A feeder takes a free slot first and a place in the order second, so that the earliest batch under
//! way always has memory. Everything that is made keeps its slot until it has been consumed, whether it
//! is a batch or an error: so no more can be under way than there are slots, and no channel ever fills.
//!
//! This file knows nothing of batches, and takes its threads' tools from `crate::sync`: a model
//! checker runs it as it is.

use std::time::Duration;

use crate::sync::{
    Arc, AtomicBool, AtomicUsize, Ordering, Receiver, RecvTimeoutError, Sender, bounded,
};

/// What a feeder finds when it asks for memory.
enum Free<S> {
    Slot(S),
    Stop,
}

/// The free slots, and how many are not free.
pub(crate) struct Ring<S> {
    home: Sender<Free<S>>,
    free: Receiver<Free<S>>,
    feeders: usize,
    stopped: AtomicBool,
    lent: AtomicUsize,
    lent_most: AtomicUsize,
}

impl<S: Default> Ring<S> {
    /// A ring without slots, for at most so many, and for so many feeders.
    pub(crate) fn new(slots: usize, feeders: usize) -> Arc<Self> {
        // Room for the messages that stop feeders, so that nobody who sends ever waits.
        let (home, free) = bounded(slots + feeders);
        Arc::new(Self {
            home,
            free,
            feeders,
            stopped: AtomicBool::new(false),
            lent: AtomicUsize::new(0),
            lent_most: AtomicUsize::new(0),
        })
    }

    /// Puts one more slot, still empty, into the ring.
    pub(crate) fn add(&self) {
        let _ = self.home.send(Free::Slot(S::default()));
    }

    /// Waits for a free slot; `None` when the ring has been stopped.
    pub(crate) fn lease(self: &Arc<Self>) -> Option<Lease<S>> {
        match self.free.recv() {
            Ok(Free::Slot(slot)) if !self.is_stopped() => {
                let lent = self.lent.fetch_add(1, Ordering::Relaxed) + 1;
                self.lent_most.fetch_max(lent, Ordering::Relaxed);
                let ring = Arc::clone(self);
                Some(Lease { slot, ring })
            }
            _ => None,
        }
    }

    /// Wakes all feeders that wait, and lets nobody have a slot any more.
    pub(crate) fn stop(&self) {
        if self.stopped.swap(true, Ordering::SeqCst) {
            return;
        }
        for _ in 0..self.feeders {
            let _ = self.home.send(Free::Stop);
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Frees the memory of the slots that nobody holds: for a stopped ring without feeders, which a
    /// batch may still keep alive.
    pub(crate) fn drain(&self) {
        while self.free.try_recv().is_ok() {}
    }

    /// Slots that are not free now.
    pub(crate) fn lent(&self) -> usize {
        self.lent.load(Ordering::Relaxed)
    }

    /// The most slots that were not free at once.
    pub(crate) fn lent_most(&self) -> usize {
        self.lent_most.load(Ordering::Relaxed)
    }
}

/// A slot that is out of the ring; on drop it goes back.
pub(crate) struct Lease<S: Default> {
    pub(crate) slot: S,
    ring: Arc<Ring<S>>,
}

impl<S: Default> Drop for Lease<S> {
    fn drop(&mut self) {
        self.ring.lent.fetch_sub(1, Ordering::Relaxed);
        // After the end there is nobody to fill it: its memory is freed.
        if !self.ring.is_stopped() {
            let slot = std::mem::take(&mut self.slot);
            let _ = self.ring.home.send(Free::Slot(slot));
        }
    }
}

/// Something that has been made, with its place in the order. It holds a lease.
pub(crate) struct Made<B> {
    pub(crate) sequence: u64,
    pub(crate) made: B,
}

/// The body of a feeder: makes one thing after the other, until `next` has no more or the ring is
/// stopped.
///
/// `next` gives the place in the order and what is to be made there; what `make` gives keeps the lease.
pub(crate) fn feed<S: Default, T, B>(
    ring: &Arc<Ring<S>>,
    next: impl Fn(&mut S) -> Option<(u64, T)>,
    make: impl Fn(T, Lease<S>) -> B,
    ready: &Sender<Made<B>>,
) {
    while let Some(mut lease) = ring.lease() {
        let Some((sequence, task)) = next(&mut lease.slot) else {
            return;
        };
        let made = make(task, lease);
        if ring.is_stopped() || ready.send(Made { sequence, made }).is_err() {
            return;
        }
    }
}

/// The consumer's end: what was made early waits until it is its turn.
pub(crate) struct InOrder<B> {
    ready: Receiver<Made<B>>,
    early: Vec<Made<B>>,
    sequence: u64,
}

impl<B> InOrder<B> {
    pub(crate) fn new(ready: Receiver<Made<B>>, slots: usize) -> Self {
        Self {
            ready,
            early: Vec::with_capacity(slots),
            sequence: 0,
        }
    }

    /// Waits for what is next; `None` when all feeders have ended without it. Whenever `patience` has
    /// passed, `still_waiting` is called.
    pub(crate) fn next(
        &mut self,
        patience: Duration,
        mut still_waiting: impl FnMut(),
    ) -> Option<B> {
        loop {
            let turn = self.early.iter().position(|m| m.sequence == self.sequence);
            if let Some(index) = turn {
                self.sequence += 1;
                return Some(self.early.swap_remove(index).made);
            }
            match self.ready.recv_timeout(patience) {
                Ok(made) => self.early.push(made),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => still_waiting(),
            }
        }
    }

    /// How many are made and have not been taken.
    pub(crate) fn waiting(&self) -> usize {
        self.ready.len() + self.early.len()
    }

    /// Gives up all that has been made.
    pub(crate) fn clear(&mut self) {
        self.early.clear();
        while self.ready.try_recv().is_ok() {}
    }
}
