//! Which patches, in which order, in which batch: pure functions of seed and epoch.

use std::ops::Range;
use std::sync::Arc;

use crate::rng::{EpochKey, Purpose};

/// The order of an epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// A uniformly random permutation of its own for every epoch.
    #[default]
    Shuffled,
    /// As the rows are given.
    Sequential,
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
/// All ranks shuffle alike and take every `world`-th position of the shuffled rows, so that together
/// they hold every row exactly once.
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
    /// A sampler of these rows for a single process. A `batch_size` of 0 counts as 1.
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
    /// The shuffle is Fisher and Yates's, with random numbers from (seed, epoch) alone.
    #[must_use]
    pub fn epoch(&self, epoch: u64) -> Vec<u32> {
        let mut rows = self.rows.to_vec();
        if self.order == Order::Shuffled {
            let mut stream = EpochKey::new(Purpose::Order, self.seed, epoch).stream([0; 3]);
            for i in (1..rows.len()).rev() {
                let bound = u32::try_from(i + 1).unwrap_or(u32::MAX);
                rows.swap(i, stream.below(bound) as usize);
            }
        }
        if self.world > 1 {
            return rows
                .into_iter()
                .skip(self.rank)
                .step_by(self.world)
                .collect();
        }
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
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::chi_square_p;

    fn sampler(rows: u32, seed: u64, order: Order) -> Sampler {
        Sampler::new((0..rows).collect(), seed, order, 4, KeepLast::Keep)
    }

    #[test]
    fn sequential_order_is_the_given_one() {
        let rows: Arc<[u32]> = vec![9, 3, 5].into();
        let sampler = Sampler::new(rows, 1, Order::Sequential, 2, KeepLast::Drop);
        assert_eq!(sampler.epoch(4), [9, 3, 5]);
        assert_eq!(sampler.batches_per_epoch(), 1);
        assert!(sampler.for_rank(2, 2).is_none());
    }

    #[test]
    fn every_permutation_is_equally_likely() {
        let mut counts = [0_u64; 24];
        for epoch in 0..24_000 {
            let order = sampler(4, 3, Order::Shuffled).epoch(epoch);
            let rank = order.iter().enumerate().fold(0, |rank, (i, a)| {
                let smaller = order[i + 1..].iter().filter(|&b| b < a).count();
                rank * (4 - i) + smaller
            });
            counts[rank] += 1;
        }
        assert!(
            chi_square_p(&counts, &[1.0 / 24.0; 24]) > 1e-3,
            "{counts:?}"
        );
    }

    #[test]
    fn neighbours_do_not_stay_together() {
        let order = sampler(10_000, 0, Order::Shuffled).epoch(0);
        let near = order.windows(2).filter(|w| w[0].abs_diff(w[1]) < 100);
        // Expected: 2 * 99 / 10,000 of the pairs, standard deviation about 14.
        assert!((130..270).contains(&near.count()));
    }

    proptest! {
        #[test]
        fn ranks_partition_every_epoch(
            rows in 0..200_u32, world in 1..9_u32, seed: u64, epoch in 0..50_u64, batch in 1..17_usize,
        ) {
            let mut seen = Vec::new();
            for rank in 0..world {
                let all = Sampler::new((0..rows).collect(), seed, Order::Shuffled, batch, KeepLast::Keep);
                let mine = all.for_rank(rank, world).unwrap();
                let order = mine.epoch(epoch);
                prop_assert_eq!(order.len(), mine.rows_per_epoch());
                for ordinal in 0..mine.batches_per_epoch() {
                    let positions = mine.batch(ordinal);
                    prop_assert!(!positions.is_empty() && positions.len() <= batch);
                    seen.extend_from_slice(&order[positions]);
                }
                prop_assert!(mine.batch(mine.batches_per_epoch()).is_empty());
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..rows).collect::<Vec<_>>());
        }

        #[test]
        fn dropping_gives_all_ranks_equally_many_whole_batches(
            rows in 0..200_u32, world in 1..9_u32, batch in 1..17_usize,
        ) {
            let sampler = |rank| {
                Sampler::new((0..rows).collect(), 5, Order::Shuffled, batch, KeepLast::Drop)
                    .for_rank(rank, world)
                    .unwrap()
            };
            let batches = sampler(0).batches_per_epoch();
            for rank in 0..world {
                prop_assert_eq!(sampler(rank).batches_per_epoch(), batches);
                for ordinal in 0..batches {
                    prop_assert_eq!(sampler(rank).batch(ordinal).len(), batch);
                }
            }
        }
    }
}
