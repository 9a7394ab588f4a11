//! From a chipmill store to shuffled, augmented two-view batches.
//!
//! ```
//! use chipmill_pipeline::schemas::{config::ViewConfig, selection::Selection, task::Task};
//! use chipmill_pipeline::{Loader, LoaderSpec};
//! use chipmill_store::StoreReader;
//! # mod tiny_store {
//! #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tiny_store.rs"));
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("store");
//! # tiny_store::write(&path, 20)?;
//!
//! let reader = StoreReader::open(&path)?;
//! let rows = Selection::default().rows(reader.table(), Task::built_in)?;
//! let view = ViewConfig { side: 32, ..ViewConfig::default() };
//! let spec = LoaderSpec { batch_size: 8, epochs: Some(1), ..LoaderSpec::new(rows.into(), view) };
//! let mut loader = Loader::start(reader, spec)?;
//! for batch in &mut loader {
//!     let batch = batch?;
//!     let (first, second) = (batch.view::<f32>(0)?, batch.view::<f32>(1)?); // [sample, band, y, x]
//!     println!("patches {:?}: 2 x {} values", batch.patches(), first.len().min(second.len()));
//! }
//! println!("{}", loader.stats().summary());
//! # assert_eq!(loader.stats().batches, 2);
//! # Ok(())
//! # }
//! ```
//!
//! # The data's way
//! | stage | takes | gives |
//! |---|---|---|
//! | [`Sampler`] | rows, seed, epoch, rank | the order of an epoch, cut into batches |
//! | fetch | a row | a patch's `u16` pixels at native resolution, only the groups that are needed |
//! | [`augment`] | pixels, configuration, [`ViewKey`] | one view, written in place into the batch |
//! | [`Loader`] | the above, on threads of its own | [`Batch`]es in order, within a budget of bytes |
//!
//! # Promises
//! - A batch is a function of (store, rows, configuration, seed, epoch, ordinal), the same to the last
//!   bit for any number of workers, any budget and any vector instructions ([`SimdPath`]).
//! - [`LoaderState`], two numbers, is all that a run needs to go on where it was.
//! - Everything in flight is counted in bytes, and the budget is decided at the start.
//! - An unreadable patch, or a panic, is an error in the place of its batch that names the patch; with
//!   [`on_corrupt`](LoaderSpec::on_corrupt) set to skip, another patch takes a damaged one's place,
//!   always the same.

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;

pub mod augment;
mod batch;
mod element;
mod error;
mod fetch;
mod loader;
#[cfg(test)]
mod loader_tests;
mod make;
mod math;
mod memory;
mod mixing;
mod plan;
mod pool;
mod replace;
mod ring;
mod rng;
mod sampler;
mod simd;
mod spec;
mod state;
mod stats;
mod sync;
#[cfg(test)]
mod testing;
mod tune;
mod values;
mod views;

pub use augment::{AugmentError, Augmenter, Scratch};
pub use batch::{Batch, Replaced};
pub use chipmill_schemas as schemas;
pub use element::Element;
pub use error::{LoaderError, WrongType};
pub use half::{bf16, f16};
pub use loader::Loader;
pub use mixing::Mixing;
pub use rng::{ViewKey, philox};
pub use sampler::{KeepLast, Order, Pages, Sampler};
pub use simd::{FusedWay, SimdError, SimdPath, fused_products, normal_numbers};
pub use spec::LoaderSpec;
pub use state::LoaderState;
pub use stats::{Bottleneck, Damaged, LoaderStats, StageStats};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; what a panicking thread left behind is still whole, since no lock is held over foreign code.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
