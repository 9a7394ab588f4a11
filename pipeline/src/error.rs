//! What can go wrong between a store and a batch.

use chipmill_schemas::config::ViewType;

use crate::augment::AugmentError;
use crate::simd::SimdError;
use crate::state::LoaderState;

/// An error met while a patch is read.
pub(crate) type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// A loader cannot start, or a batch cannot be delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// A field of the specification out of its range.
    #[error("loader: `{field}` is {found}, expected {expected}")]
    Spec {
        /// Name of the field.
        field: &'static str,
        /// The value found.
        found: String,
        /// What would do.
        expected: String,
    },
    /// The view configuration cannot be used.
    #[error("loader: the view configuration cannot be used")]
    Augment(#[from] AugmentError),
    /// The processor lacks the vector instructions asked for.
    #[error("loader: the vector instructions cannot be used")]
    Simd(#[from] SimdError),
    /// Not even two batches fit the memory budget.
    #[error(
        "loader: the memory budget is {given} bytes, but two batches need {needed} bytes (2 x {slot} \
         bytes, and {fixed} bytes of working memory for {workers} workers); raise the budget, or \
         lower the batch size, the number of views or the side of a view"
    )]
    Budget {
        /// Bytes given.
        given: usize,
        /// Bytes needed at least.
        needed: usize,
        /// Bytes of one batch.
        slot: usize,
        /// Bytes of everything besides batches.
        fixed: usize,
        /// Worker threads.
        workers: usize,
    },
    /// A patch of a batch cannot be read.
    #[error("batch {at}: patch {patch} (row {row}) cannot be read")]
    Read {
        /// Position of the batch.
        at: LoaderState,
        /// Row of the patch in the store.
        row: u32,
        /// The patch.
        patch: String,
        /// Why.
        source: SourceError,
    },
    /// Reading or augmenting a patch panicked: a fault of the program.
    #[error("batch {at}: a worker panicked at patch {patch} (row {row}): {message}")]
    Panicked {
        /// Position of the batch.
        at: LoaderState,
        /// Row of the patch in the store.
        row: u32,
        /// The patch.
        patch: String,
        /// The panic's message.
        message: String,
    },
    /// The operating system gave no thread.
    #[error("loader: cannot start a worker thread")]
    Thread(#[source] std::io::Error),
    /// The worker threads are gone before the last batch.
    #[error("loader: the worker threads ended before batch {at}")]
    WorkersLost {
        /// Position of the batch that was waited for.
        at: LoaderState,
    },
}

/// A batch was asked for values of another type than it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the batch holds {found} values, but {asked} was asked for; `view.dtype` sets the type")]
pub struct WrongType {
    /// Type of the batch's values.
    pub found: ViewType,
    /// Name of the type asked for.
    pub asked: &'static str,
}
