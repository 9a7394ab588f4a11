//! Batches, and the ring of memory that they are lent.

use std::sync::Arc;

use crossbeam_channel::Sender;
use ndarray::ArrayView5;

use crate::state::LoaderState;
use crate::stats::Counters;

/// Memory of one batch. It goes round: free, being filled, waiting, with the consumer, free.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) data: Vec<f32>,
    pub(crate) patches: Vec<u32>,
}

/// A slot that is out of the ring; on drop it goes back.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) slot: Slot,
    pub(crate) home: Sender<Slot>,
    pub(crate) counters: Arc<Counters>,
}

impl Lease {
    pub(crate) fn new(slot: Slot, home: Sender<Slot>, counters: Arc<Counters>) -> Self {
        counters.lend();
        Self {
            slot,
            home,
            counters,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.counters.give_back();
        // Without a loader at the other end the memory is simply freed.
        let _ = self.home.send(std::mem::take(&mut self.slot));
    }
}

/// One batch: so many views of so many patches.
///
/// The batch lends its memory from the loader: drop it when its values have been used, so that the
/// next batches can be made.
#[derive(Debug)]
pub struct Batch {
    lease: Lease,
    at: LoaderState,
    /// `[view, sample, band, y, x]`.
    shape: [usize; 5],
}

impl Batch {
    pub(crate) fn new(lease: Lease, at: LoaderState, shape: [usize; 5]) -> Self {
        Self { lease, at, shape }
    }

    /// The epoch that the batch belongs to.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.at.epoch
    }

    /// The batch's number within its epoch.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.at.batch
    }

    /// Rows of the patches in the store, one for each sample.
    #[must_use]
    pub fn patches(&self) -> &[u32] {
        &self.lease.slot.patches
    }

    /// Number of samples: patches in the batch.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.shape[1]
    }

    /// All values.
    ///
    /// # Shapes
    /// `[view, sample, band, y, x]` in C order, `f32`, normalised units.
    #[must_use]
    pub fn data(&self) -> &[f32] {
        &self.lease.slot.data[..self.shape.iter().product()]
    }

    /// All values as an array.
    ///
    /// # Shapes
    /// `[view, sample, band, y, x]`, `f32`, normalised units.
    #[must_use]
    pub fn views(&self) -> ArrayView5<'_, f32> {
        match ArrayView5::from_shape(self.shape, self.data()) {
            Ok(view) => view,
            Err(_) => unreachable!("`data` has as many values as the shape asks for"),
        }
    }

    /// View number `view` of all samples; empty when there is none of that number.
    ///
    /// # Shapes
    /// `[sample, band, y, x]` in C order, `f32`, normalised units.
    #[must_use]
    pub fn view(&self, view: usize) -> &[f32] {
        let length: usize = self.shape[1..].iter().product();
        self.data().chunks_exact(length).nth(view).unwrap_or(&[])
    }

    /// Length of each axis: `[view, sample, band, y, x]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 5] {
        self.shape
    }
}
