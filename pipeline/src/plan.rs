//! Which batch is made next.

use std::ops::Range;
use std::sync::Arc;

use crate::sampler::Sampler;
use crate::state::LoaderState;

/// One batch to be made.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Number of the batch since the loader's start.
    pub(crate) sequence: u64,
    pub(crate) at: LoaderState,
    epoch_order: Arc<Vec<u32>>,
    positions: Range<usize>,
}

impl Ticket {
    /// Rows of the batch's patches.
    pub(crate) fn rows(&self) -> &[u32] {
        &self.epoch_order[self.positions.clone()]
    }
}

/// Hands out the batches one after the other.
#[derive(Debug)]
pub(crate) struct Plan {
    sampler: Sampler,
    epochs: Option<u64>,
    next: LoaderState,
    sequence: u64,
    /// The order of epoch `next.epoch`, once asked for.
    order: Option<(u64, Arc<Vec<u32>>)>,
}

impl Plan {
    pub(crate) fn new(sampler: Sampler, start: LoaderState, epochs: Option<u64>) -> Self {
        Self {
            next: start.within(sampler.batches_per_epoch()),
            sampler,
            epochs,
            sequence: 0,
            order: None,
        }
    }

    /// The next batch, or `None` after the last.
    pub(crate) fn take(&mut self) -> Option<Ticket> {
        if self.is_done() {
            return None;
        }
        let at = self.next;
        let order = match &self.order {
            Some((epoch, order)) if *epoch == at.epoch => Arc::clone(order),
            _ => {
                // The old order goes first: batches still being made may hold it, nothing else does.
                self.order = None;
                let order = Arc::new(self.sampler.epoch(at.epoch));
                self.order = Some((at.epoch, Arc::clone(&order)));
                order
            }
        };
        let ticket = Ticket {
            sequence: self.sequence,
            at,
            epoch_order: order,
            positions: self.sampler.batch(at.batch),
        };
        self.sequence += 1;
        self.next = at.after(self.sampler.batches_per_epoch());
        Some(ticket)
    }

    /// Position of the next batch.
    pub(crate) fn next(&self) -> LoaderState {
        self.next
    }

    pub(crate) fn batches_per_epoch(&self) -> u64 {
        self.sampler.batches_per_epoch()
    }

    fn is_done(&self) -> bool {
        self.epochs.is_some_and(|end| self.next.epoch >= end)
    }
}
