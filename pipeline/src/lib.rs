//! From a chipmill store to shuffled, augmented two-view batches.
