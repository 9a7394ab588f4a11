//! From a chipmill store to shuffled, augmented two-view batches.

pub mod augment;
mod batch;
mod error;
mod fetch;
mod loader;
mod math;
mod plan;
mod rng;
mod sampler;
mod spec;
mod state;
mod stats;
#[cfg(test)]
mod testing;
mod workers;

pub use augment::{AugmentError, Augmenter, Scratch};
pub use batch::Batch;
pub use chipmill_schemas as schemas;
pub use error::LoaderError;
pub use loader::Loader;
pub use rng::{ViewKey, philox};
pub use sampler::{KeepLast, Order, Sampler};
pub use spec::LoaderSpec;
pub use state::LoaderState;
pub use stats::{Bottleneck, LoaderStats};
