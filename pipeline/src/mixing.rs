//! How well an order mixes what lies together.

/// Pairs of samples of one group (a shard, a tile) that share a batch, beside what a uniform shuffle
/// would give.
///
/// Neighbours of one tile look alike. In a batch of a contrastive loss they count as negatives, though
/// they hardly are: the fewer such pairs, the better.
///
/// ```
/// use chipmill_pipeline::Mixing;
///
/// // Eight rows, four to a shard, read as they lie: all pairs of each batch are of one shard.
/// let order: Vec<u32> = (0..8).collect();
/// let mixing = Mixing::of(&order, 4, |row| row / 4);
/// assert_eq!((mixing.same, mixing.pairs), (12, 12));
/// // Of all 28 pairs of rows 12 are of one shard: by chance there would be 12 * 12 / 28.
/// assert!((mixing.ratio() - 28.0 / 12.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Mixing {
    /// Pairs of samples that share a batch.
    pub pairs: u64,
    /// Those of one group.
    pub same: u64,
    /// How many of them a uniform shuffle of the same rows would have on average.
    pub expected: f64,
}

impl Mixing {
    /// Counts the pairs of an epoch's order, cut into batches; `group_of` tells the group of a row.
    /// A `batch_size` of 0 counts as 1.
    #[must_use]
    pub fn of(order: &[u32], batch_size: usize, group_of: impl Fn(u32) -> u32) -> Self {
        let mut groups: Vec<u32> = order.iter().map(|&row| group_of(row)).collect();
        let (mut all, mut same) = (0, 0);
        for batch in groups.chunks_mut(batch_size.max(1)) {
            all += pairs(batch.len());
            same += same_pairs(batch);
        }
        let by_chance = same_pairs(&mut groups) as f64 / pairs(order.len()).max(1) as f64;
        Self {
            pairs: all,
            same,
            expected: all as f64 * by_chance,
        }
    }

    /// Pairs of one group relative to a uniform shuffle: about 1 for a uniform shuffle, larger where
    /// neighbours stay together. 1 where there can be none.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        if self.expected > 0.0 {
            self.same as f64 / self.expected
        } else {
            1.0
        }
    }
}

fn pairs(of: usize) -> u64 {
    let of = of as u64;
    of * of.saturating_sub(1) / 2
}

/// Pairs of equal values; sorts them.
fn same_pairs(groups: &mut [u32]) -> u64 {
    groups.sort_unstable();
    groups
        .chunk_by(|a, b| a == b)
        .map(|run| pairs(run.len()))
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{KeepLast, Order, Pages, Sampler};

    /// BigEarthNet's size, as the figures of the documentation have it.
    const ROWS: u32 = 480_000;
    const SHARD: u32 = 256;
    const BATCH: usize = 256;

    fn pages(page_rows: u32, window_pages: u32) -> Pages {
        Pages {
            page_rows,
            window_pages,
        }
    }

    fn measured(order: Order) -> f64 {
        let sampler = Sampler::new((0..ROWS).collect(), 3, order, BATCH, KeepLast::Keep);
        Mixing::of(&sampler.epoch(0), BATCH, |row| row / SHARD).ratio()
    }

    #[test]
    fn a_uniform_shuffle_has_as_many_pairs_of_one_shard_as_chance_gives() {
        // 61,200,000 pairs, of which 1 in 1,882 is of one shard: a standard deviation of 0.55 %.
        let ratio = measured(Order::Shuffled);
        assert!((ratio - 1.0).abs() < 0.025, "{ratio}");
        let uniform = pages(ROWS, 1).expected_mixing(ROWS as usize, SHARD as usize);
        assert!((uniform - 1.0).abs() < 1e-2, "{uniform}");
    }

    #[test]
    fn pages_mix_as_badly_as_the_formula_says() {
        // (page, window in pages, the figure to one or two digits)
        for (page, window, figure) in [
            (SHARD, 1, 1_882.0),
            (SHARD, 32, 59.0),
            (SHARD, 128, 15.0),
            (16, 512, 4.4),
        ] {
            let pages = pages(page, window);
            let expected = pages.expected_mixing(ROWS as usize, SHARD as usize);
            assert!(
                (expected / figure - 1.0).abs() < 0.025,
                "{pages:?}: {expected}"
            );
            let found = measured(Order::Pages(pages));
            // The last window is smaller, and batches reach over the borders of windows.
            assert!(
                (found / expected - 1.0).abs() < 0.05,
                "{pages:?}: {found}, {expected}"
            );
        }
    }

    proptest! {
        #[test]
        fn pairs_are_counted_as_a_naive_loop_counts_them(
            order in prop::collection::vec(0..60_u32, 0..80), batch in 1..20_usize, group in 1..9_u32,
        ) {
            let mixing = Mixing::of(&order, batch, |row| row / group);
            let count = |rows: &[u32]| {
                let (mut all, mut same) = (0_u64, 0_u64);
                for (i, a) in rows.iter().enumerate() {
                    for b in &rows[i + 1..] {
                        all += 1;
                        same += u64::from(a / group == b / group);
                    }
                }
                (all, same)
            };
            let (all, same) = order.chunks(batch).map(count).fold((0, 0), |x, y| (x.0 + y.0, x.1 + y.1));
            prop_assert_eq!((mixing.pairs, mixing.same), (all, same));
            let (every, like) = count(&order);
            let expected = all as f64 * like as f64 / every.max(1) as f64;
            prop_assert!((mixing.expected - expected).abs() < 1e-9);
        }
    }
}
