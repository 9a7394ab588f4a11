//! Where a loader stands.

use serde::{Deserialize, Serialize};

/// Position of the next batch to be consumed: all that is needed to go on, under any number of
/// workers and any memory budget, given the same store, rows, seed and batch size.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LoaderState {
    /// Epoch, counted from 0.
    pub epoch: u64,
    /// Batch within the epoch, counted from 0.
    pub batch: u64,
}

impl LoaderState {
    /// The position after this one, in epochs of so many batches.
    pub(crate) fn after(self, batches_per_epoch: u64) -> Self {
        Self {
            batch: self.batch + 1,
            ..self
        }
        .within(batches_per_epoch)
    }

    /// The end of an epoch is the start of the next.
    pub(crate) fn within(self, batches_per_epoch: u64) -> Self {
        if self.batch < batches_per_epoch {
            return self;
        }
        Self {
            epoch: self.epoch + 1,
            batch: 0,
        }
    }
}

impl std::fmt::Display for LoaderState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of epoch {}", self.batch, self.epoch)
    }
}
