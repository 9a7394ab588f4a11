//! Which batch is made next.

use std::ops::Range;

use crate::sampler::{EpochOrder, Sampler};
use crate::state::LoaderState;

/// One batch to be made.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Number of the batch since the loader's start.
    pub(crate) sequence: u64,
    pub(crate) at: LoaderState,
    /// Rows that will be read before long.
    pub(crate) announced: Vec<Range<u32>>,
}

/// Hands out the batches one after the other.
#[derive(Debug)]
pub(crate) struct Plan {
    sampler: Sampler,
    order: EpochOrder,
    epochs: Option<u64>,
    next: LoaderState,
    sequence: u64,
}

impl Plan {
    pub(crate) fn new(sampler: Sampler, start: LoaderState, epochs: Option<u64>) -> Self {
        Self {
            next: start.within(sampler.batches_per_epoch()),
            order: EpochOrder::default(),
            sampler,
            epochs,
            sequence: 0,
        }
    }

    /// The next batch, its rows written into `rows`, or `None` after the last.
    pub(crate) fn take(&mut self, rows: &mut Vec<u32>) -> Option<Ticket> {
        if self.is_done() {
            return None;
        }
        let at = self.next;
        let positions = self.sampler.batch(at.batch);
        rows.clear();
        rows.reserve_exact(positions.len());
        self.order
            .append(&self.sampler, at.epoch, positions.clone(), rows);
        let mut announced = Vec::new();
        self.order
            .announce(&self.sampler, &positions, &mut announced);
        let sequence = self.sequence;
        self.sequence += 1;
        self.next = at.after(self.sampler.batches_per_epoch());
        Some(Ticket {
            sequence,
            at,
            announced,
        })
    }

    /// Position of the next batch.
    pub(crate) fn next(&self) -> LoaderState {
        self.next
    }

    fn is_done(&self) -> bool {
        self.epochs.is_some_and(|end| self.next.epoch >= end)
    }
}
