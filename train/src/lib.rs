//! From two-view batches to encoders and probe scores, with Burn.
