//! Orders are permutations, alike for all ranks, and as random as they say.

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

/// Number of a permutation of four among all of them.
fn rank_of(order: &[u32]) -> usize {
    order.iter().enumerate().fold(0, |rank, (i, a)| {
        let smaller = order[i + 1..].iter().filter(|&b| b < a).count();
        rank * (4 - i) + smaller
    })
}

#[test]
fn every_permutation_is_equally_likely() {
    let mut counts = [0_u64; 24];
    for epoch in 0..24_000 {
        let order = sampler(4, 3, Order::Shuffled).epoch(epoch);
        counts[rank_of(&order)] += 1;
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

fn paged(rows: u32, page_rows: u32, window_pages: u32) -> Sampler {
    let pages = Pages {
        page_rows,
        window_pages,
    };
    sampler(rows, 8, Order::Pages(pages))
}

#[test]
fn a_window_holds_whole_pages_in_any_order() {
    let sampler = paged(1_000, 10, 4);
    for epoch in 0..3 {
        let order = sampler.epoch(epoch);
        for window in order.chunks(40) {
            let mut rows = window.to_vec();
            rows.sort_unstable();
            assert_ne!(rows, window);
            for page in rows.chunks(10) {
                assert!(page[0].is_multiple_of(10) && page[9] == page[0] + 9);
            }
        }
        assert_ne!(order, sampler.epoch(epoch + 1));
    }
}

#[test]
fn pages_come_in_every_order_equally_likely() {
    let mut counts = [0_u64; 6];
    for epoch in 0..6_000 {
        let order = paged(3, 1, 1).epoch(epoch);
        counts[order[0] as usize * 2 + usize::from(order[1] > order[2])] += 1;
    }
    assert!(chi_square_p(&counts, &[1.0 / 6.0; 6]) > 1e-3, "{counts:?}");
}

#[test]
fn a_window_as_large_as_all_rows_is_a_uniform_shuffle() {
    let mut counts = [0_u64; 24];
    for epoch in 0..24_000 {
        counts[rank_of(&paged(4, 2, 2).epoch(epoch))] += 1;
    }
    assert!(chi_square_p(&counts, &[1.0 / 24.0; 24]) > 1e-3);
}

#[test]
fn a_page_order_holds_one_window_and_the_list_of_pages() {
    let (sampler, uniform) = (paged(100_000, 16, 64), sampler(100_000, 8, Order::Shuffled));
    // The window's rows, and what is announced of two windows.
    assert_eq!(sampler.order_bytes(), 4 * (6_250 + 9 * 1_024));
    assert_eq!(uniform.order_bytes(), 400_000);
    let (mut order, mut rows) = (EpochOrder::default(), Vec::new());
    for start in (0..100_000).step_by(100) {
        rows.clear();
        order.append(&sampler, 3, start..start + 100, &mut rows);
        let held = order.bytes();
        assert!(held <= 4 * (6_250 + 1_024), "{held}");
    }
}

#[test]
fn every_row_is_announced_once_before_it_is_read_and_never_more_than_two_windows_ahead() {
    let sampler = paged(1_003, 10, 4).for_rank(1, 2).unwrap();
    for start in [0, 40, 130] {
        let (mut order, mut announced) = (EpochOrder::default(), Vec::new());
        let (mut known, mut read) = (std::collections::BTreeSet::new(), Vec::new());
        for from in (start..sampler.rows_per_epoch()).step_by(7) {
            let to = (from + 7).min(sampler.rows_per_epoch());
            order.append(&sampler, 2, from..to, &mut read);
            order.announce(&sampler, &(from..to), &mut announced);
            for range in announced.drain(..) {
                assert!(range.len() <= 10);
                assert!(range.into_iter().all(|row| known.insert(row)), "twice");
            }
            assert!(read.iter().all(|row| known.contains(row)));
            assert!(known.len() <= read.len() + 2 * 40);
        }
    }
}

#[test]
fn ranks_read_pages_of_their_own() {
    let mut pages = std::collections::BTreeMap::new();
    for rank in 0..4 {
        let mine = paged(1_600, 16, 5).for_rank(rank, 4).unwrap();
        for row in mine.epoch(0) {
            *pages.entry((row / 16, rank)).or_insert(0) += 1;
        }
    }
    // 100 pages, 25 a rank: none is shared.
    assert_eq!(pages.len(), 100);
    assert!(pages.values().all(|&rows| rows == 16));
}

fn orders() -> impl Strategy<Value = Order> {
    let pages = (1..20_u32, 1..9_u32).prop_map(|(page_rows, window_pages)| {
        Order::Pages(Pages {
            page_rows,
            window_pages,
        })
    });
    prop_oneof![Just(Order::Shuffled), Just(Order::Sequential), pages]
}

proptest! {
    #[test]
    fn an_order_read_from_anywhere_is_the_same(
        rows in 1..300_u32, world in 1..4_u32, order in orders(), epoch in 0..9_u64,
        cuts in prop::collection::vec(0..300_usize, 1..9),
    ) {
        for rank in 0..world {
            let sampler = sampler(rows, 1, order).for_rank(rank, world).unwrap();
            let whole = sampler.epoch(epoch);
            let mut held = EpochOrder::default();
            for cut in &cuts {
                let start = cut % (whole.len() + 1);
                let end = (start + 7).min(whole.len());
                let mut found = Vec::new();
                held.append(&sampler, epoch + 1, start..end, &mut found);
                found.clear();
                held.append(&sampler, epoch, start..end, &mut found);
                prop_assert_eq!(&found, &whole[start..end]);
            }
        }
    }


    #[test]
    fn ranks_partition_every_epoch(
        rows in 0..200_u32, world in 1..9_u32, seed: u64, epoch in 0..50_u64, batch in 1..17_usize,
        order in orders(),
    ) {
        let mut seen = Vec::new();
        for rank in 0..world {
            let all = Sampler::new((0..rows).collect(), seed, order, batch, KeepLast::Keep);
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
