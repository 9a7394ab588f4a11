//! Which patches, in which order, in which batch: pure functions of seed and epoch.

mod pages;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use chipmill_schemas::config::{LoaderConfig, OrderKind};

use self::pages::PagedOrder;
use crate::rng::{EpochKey, Purpose, Stream};

pub use self::pages::Pages;

/// The order of an epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// A uniformly random permutation of its own for every epoch: 4 bytes a row of memory.
    #[default]
    Shuffled,
    /// Pages of neighbouring rows in random order, mixed within a window: 4 bytes a page and 4 bytes a
    /// row of the window.
    Pages(Pages),
    /// As the rows are given.
    Sequential,
}

impl Order {
    /// The order that a configuration asks for.
    #[must_use]
    pub fn of(config: &LoaderConfig) -> Self {
        match config.order {
            OrderKind::Uniform => Self::Shuffled,
            OrderKind::Pages => Self::Pages(Pages {
                page_rows: config.page_patches,
                window_pages: config.window_pages,
            }),
        }
    }
}

/// What becomes of the last, smaller batch of an epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeepLast {
    /// It is left out, so that all batches are equal; all ranks then have equally many.
    #[default]
    Drop,
    /// It is delivered: every row comes exactly once an epoch.
    Keep,
}

/// The order of every epoch, for one rank of `world`.
///
/// All ranks order alike and divide the order among them, so that together they hold every row exactly
/// once: every `world`-th position of a shuffled or sequential order, or so many consecutive pages of
/// a [`Pages`] order, that each may read pages of its own.
///
/// ```
/// use chipmill_pipeline::{KeepLast, Order, Sampler};
///
/// let sampler = Sampler::new((0..10).collect(), 7, Order::Shuffled, 4, KeepLast::Keep);
/// let epoch = sampler.epoch(0);
/// assert_eq!(sampler.batches_per_epoch(), 3);
/// assert_eq!(sampler.batch(2), 8..10);
/// assert_ne!(epoch, sampler.epoch(1));
/// ```
#[derive(Debug, Clone)]
pub struct Sampler {
    rows: Arc<[u32]>,
    seed: u64,
    order: Order,
    batch_size: usize,
    keep_last: KeepLast,
    rank: usize,
    world: usize,
}

impl Sampler {
    /// A sampler of these rows for a single process. A `batch_size`, and pages or windows, of 0 count
    /// as 1.
    #[must_use]
    pub fn new(
        rows: Arc<[u32]>,
        seed: u64,
        order: Order,
        batch_size: usize,
        keep_last: KeepLast,
    ) -> Self {
        Self {
            rows,
            seed,
            order,
            batch_size: batch_size.max(1),
            keep_last,
            rank: 0,
            world: 1,
        }
    }

    /// The same for process `rank` of `world`, or `None` unless `rank < world`.
    #[must_use]
    pub fn for_rank(self, rank: u32, world: u32) -> Option<Self> {
        (rank < world).then_some(Self {
            rank: rank as usize,
            world: world as usize,
            ..self
        })
    }

    /// This rank's rows of one epoch, in order.
    ///
    /// A shuffle is Fisher and Yates's, with random numbers from (seed, epoch) alone.
    #[must_use]
    pub fn epoch(&self, epoch: u64) -> Vec<u32> {
        let mut order = EpochOrder::default();
        let mut rows = Vec::with_capacity(self.rows_per_epoch());
        order.append(self, epoch, 0..self.rows_per_epoch(), &mut rows);
        rows
    }

    /// Rows of this rank in an epoch, before a last batch is dropped.
    #[must_use]
    pub fn rows_per_epoch(&self) -> usize {
        (self.rows.len() + self.world - 1 - self.rank) / self.world
    }

    /// Batches of this rank in an epoch.
    ///
    /// With [`KeepLast::Drop`] it is the same for all ranks; with [`KeepLast::Keep`] the first ranks may
    /// have one more.
    #[must_use]
    pub fn batches_per_epoch(&self) -> u64 {
        let batches = match self.keep_last {
            KeepLast::Drop => self.rows.len() / self.world / self.batch_size,
            KeepLast::Keep => self.rows_per_epoch().div_ceil(self.batch_size),
        };
        batches as u64
    }

    /// Positions within [`Self::epoch`] of batch `ordinal`; empty beyond the last.
    #[must_use]
    pub fn batch(&self, ordinal: u64) -> Range<usize> {
        if ordinal >= self.batches_per_epoch() {
            return 0..0;
        }
        let start = usize::try_from(ordinal).map_or(0, |o| o * self.batch_size);
        start..(start + self.batch_size).min(self.rows_per_epoch())
    }

    /// Bytes that an [`EpochOrder`] of this sampler, and what it announces, hold at most.
    pub(crate) fn order_bytes(&self) -> usize {
        let rows = match self.order {
            Order::Sequential => 0,
            Order::Shuffled => self.rows.len(),
            Order::Pages(pages) => {
                let window = pages.window_rows().min(self.rows_per_epoch());
                // Two windows of ranges of one row each, in a list that has grown to twice its size.
                let announced = 2 * 2 * 2 * window;
                self.rows.len().div_ceil(pages.page_rows()) + window + announced
            }
        };
        rows * size_of::<u32>()
    }

    /// The row of the selection that takes the place of a damaged one, draw by draw.
    pub(crate) fn replacements(&self, epoch: u64, damaged: u32) -> impl Iterator<Item = u32> + '_ {
        let mut stream = self.stream(epoch, [REPLACEMENTS, damaged, 0]);
        let bound = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        std::iter::repeat_with(move || self.rows[stream.below(bound) as usize])
    }

    fn stream(&self, epoch: u64, space: [u32; 3]) -> Stream {
        EpochKey::new(Purpose::Order, self.seed, epoch).stream(space)
    }

    /// The first of this rank's positions where ranks hold consecutive ones.
    fn first_position(&self) -> usize {
        let (each, more) = (self.rows.len() / self.world, self.rows.len() % self.world);
        self.rank * each + self.rank.min(more)
    }
}

// Counter spaces of an epoch's order: numbers of different spaces are independent.
const ROWS: u32 = 0;
const PAGES: u32 = 1;
const WINDOWS: u32 = 2;
const REPLACEMENTS: u32 = 3;

/// As much of the order of an epoch as has to be held to read it from its start to its end, in memory
/// that is taken once.
#[derive(Debug, Default)]
pub(crate) struct EpochOrder {
    epoch: Option<u64>,
    /// All of this rank's rows, or those of one window.
    rows: Vec<u32>,
    paged: PagedOrder,
}

impl EpochOrder {
    /// Appends the rows at these positions of an epoch.
    pub(crate) fn append(
        &mut self,
        sampler: &Sampler,
        epoch: u64,
        positions: Range<usize>,
        into: &mut Vec<u32>,
    ) {
        match sampler.order {
            Order::Sequential => {
                let position = |p: usize| sampler.rows[sampler.rank + p * sampler.world];
                into.extend(positions.map(position));
            }
            Order::Shuffled => {
                if self.epoch != Some(epoch) {
                    self.shuffle(sampler, epoch);
                }
                into.extend_from_slice(&self.rows[positions]);
            }
            Order::Pages(pages) => {
                if self.epoch != Some(epoch) {
                    self.paged.begin(sampler, pages, epoch);
                }
                self.paged
                    .append(sampler, pages, epoch, positions, &mut self.rows, into);
            }
        }
        self.epoch = Some(epoch);
    }

    /// Appends to `into` the rows that will be read soon after those at `positions`, which have been
    /// appended last: what a disk may load ahead. Only a [`Pages`] order knows any.
    pub(crate) fn announce(
        &mut self,
        sampler: &Sampler,
        positions: &Range<usize>,
        into: &mut Vec<Range<u32>>,
    ) {
        if let Order::Pages(pages) = sampler.order {
            self.paged.announce(sampler, pages, positions, into);
        }
    }

    /// Bytes taken.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        (self.rows.capacity() + self.paged.capacity()) * size_of::<u32>()
    }

    fn shuffle(&mut self, sampler: &Sampler, epoch: u64) {
        let rows = &mut self.rows;
        rows.clear();
        rows.reserve_exact(sampler.rows.len());
        rows.extend_from_slice(&sampler.rows);
        shuffle(rows, &mut sampler.stream(epoch, [ROWS, 0, 0]));
        let mine = sampler.rows_per_epoch();
        if sampler.world > 1 {
            for i in 0..mine {
                rows[i] = rows[sampler.rank + i * sampler.world];
            }
        }
        rows.truncate(mine);
    }
}

/// Fisher and Yates's shuffle.
fn shuffle(values: &mut [u32], stream: &mut Stream) {
    for i in (1..values.len()).rev() {
        let bound = u32::try_from(i + 1).unwrap_or(u32::MAX);
        values.swap(i, stream.below(bound) as usize);
    }
}
