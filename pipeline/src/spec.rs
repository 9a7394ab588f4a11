//! What a loader is asked to do.

use std::sync::Arc;

use chipmill_schemas::config::{LoaderConfig, OnCorrupt, ViewConfig};

use crate::error::LoaderError;
use crate::sampler::{KeepLast, Order, Sampler};
use crate::simd::SimdPath;
use crate::state::LoaderState;

/// What a [`Loader`](crate::Loader) is asked to do. [`LoaderSpec::new`] fills in the usual values.
#[derive(Debug, Clone)]
pub struct LoaderSpec {
    /// Rows of the store to use, as a [`Selection`](chipmill_schemas::selection::Selection) gives them.
    pub rows: Arc<[u32]>,
    /// How patches become views.
    pub view: ViewConfig,
    /// Views of each patch.
    pub views: usize,
    /// Patches in a batch.
    pub batch_size: usize,
    /// Worker threads. 0 lets the loader find their number, and how many batches are made ahead,
    /// by what it waits for; what it found is in [`LoaderStats`](crate::LoaderStats).
    pub workers: usize,
    /// The most threads that `workers = 0` may come to; 0 means four a core, 64 at most. They count
    /// in the budget whether they work or not.
    pub max_workers: usize,
    /// Vector instructions to compute views with, the same bits whichever; `None` takes the fastest of
    /// this processor.
    pub simd: Option<SimdPath>,
    /// Bound on the memory of everything in flight, in bytes: batches being made, waiting or held by
    /// the consumer, working memory of the workers, orders of epochs.
    pub budget_bytes: usize,
    /// Seed of order and augmentation.
    pub seed: u64,
    /// Order of patches.
    pub order: Order,
    /// What becomes of the last, smaller batch of an epoch.
    pub keep_last: KeepLast,
    /// What becomes of a patch whose chunks are damaged: an error, or another patch in its place.
    /// That one is the first readable row, among `rows` drawn by (seed, epoch, damaged row), that is
    /// not in the batch already.
    pub on_corrupt: OnCorrupt,
    /// Where to begin.
    pub start: LoaderState,
    /// The epoch to end before, counted from 0 whatever `start` is; `None` goes on for ever.
    pub epochs: Option<u64>,
    /// This process's number among `world`.
    pub rank: u32,
    /// Processes that share the rows.
    pub world: u32,
}

impl LoaderSpec {
    /// Two views of each patch, shuffled, 128 patches a batch without a smaller last one, as many
    /// workers as prove useful, 1 GiB, damage as an error, seed 0, from the start and without end.
    #[must_use]
    pub fn new(rows: Arc<[u32]>, view: ViewConfig) -> Self {
        Self {
            rows,
            view,
            views: 2,
            batch_size: 128,
            workers: 0,
            max_workers: 0,
            simd: None,
            budget_bytes: 1 << 30,
            seed: 0,
            order: Order::Shuffled,
            keep_last: KeepLast::Drop,
            on_corrupt: OnCorrupt::Error,
            start: LoaderState::default(),
            epochs: None,
            rank: 0,
            world: 1,
        }
    }

    /// As [`new`](Self::new), with all that a configuration says: batch size, workers, budget, order,
    /// what becomes of damaged patches.
    #[must_use]
    pub fn of(rows: Arc<[u32]>, view: ViewConfig, loader: &LoaderConfig) -> Self {
        Self {
            batch_size: loader.batch_size as usize,
            workers: loader.workers as usize,
            max_workers: loader.max_workers as usize,
            budget_bytes: (loader.budget_mib as usize) << 20,
            order: Order::of(loader),
            on_corrupt: loader.on_corrupt,
            ..Self::new(rows, view)
        }
    }

    /// The most threads that the loader may use, and whether it finds their number itself.
    pub(crate) fn threads(&self, cores: usize) -> (usize, bool) {
        match (self.workers, self.max_workers) {
            (0, 0) => ((4 * cores).min(64).max(cores), true),
            (0, most) => (most, true),
            (workers, _) => (workers, false),
        }
    }

    /// Checks the specification against a store of so many patches, and gives its sampler.
    pub(crate) fn sampler(&self, patches: usize) -> Result<Sampler, LoaderError> {
        let bad = |field, found: String, expected: String| LoaderError::Spec {
            field,
            found,
            expected,
        };
        let least_one = || "1 or more".to_owned();
        if self.views == 0 {
            return Err(bad("views", "0".to_owned(), least_one()));
        }
        if self.batch_size == 0 {
            return Err(bad("batch_size", "0".to_owned(), least_one()));
        }
        if let Some(row) = self.rows.iter().find(|&&row| row as usize >= patches) {
            let expected = format!("rows of a store of {patches} patches");
            return Err(bad("rows", format!("a list with {row}"), expected));
        }
        if let Order::Pages(pages) = self.order {
            for (field, found) in [
                ("order.page_rows", pages.page_rows),
                ("order.window_pages", pages.window_pages),
            ] {
                if found == 0 {
                    return Err(bad(field, "0".to_owned(), least_one()));
                }
            }
        }
        let rows = Arc::clone(&self.rows);
        let sampler = Sampler::new(rows, self.seed, self.order, self.batch_size, self.keep_last);
        let sampler = sampler.for_rank(self.rank, self.world).ok_or_else(|| {
            let expected = format!("a number below world = {}", self.world);
            bad("rank", self.rank.to_string(), expected)
        })?;
        let batches = sampler.batches_per_epoch();
        if batches == 0 {
            let expected = format!(
                "{} or more for one batch (or a smaller batch_size, or KeepLast::Keep)",
                self.batch_size * self.world as usize
            );
            return Err(bad("rows", format!("{} rows", self.rows.len()), expected));
        }
        if self.start.batch > batches {
            let expected = format!("a batch of an epoch of {batches}: same rows and batch size");
            return Err(bad("start", format!("batch {}", self.start), expected));
        }
        Ok(sampler)
    }
}
