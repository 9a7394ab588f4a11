//! What holds of every split, whatever the rows.

use std::collections::{BTreeMap, BTreeSet};

use chipmill_schemas::patch::Split;
use chipmill_schemas::probe::ProbeSplit;
use proptest::prelude::*;

use super::split::{Parts, SplitRow, divide};

const TILES: [&str; 6] = ["T29SND", "T31UFS", "T32TNT", "T33UUP", "T34VDM", "T35VNH"];

/// (official split, tile, stratum) of a row.
fn rows() -> impl Strategy<Value = Vec<(Option<Split>, Option<usize>, u64)>> {
    let official = proptest::option::weighted(0.8, prop::sample::select(&Split::ALL[..]));
    let tile = proptest::option::weighted(0.9, 0..TILES.len());
    prop::collection::vec((official, tile, 0_u64..4), 0..120)
}

fn looked_at(rows: &[(Option<Split>, Option<usize>, u64)]) -> Vec<SplitRow<'static>> {
    let row = |&(official, tile, stratum): &(Option<Split>, Option<usize>, u64)| SplitRow {
        official,
        tile: tile.map(|t| TILES[t]),
        stratum,
    };
    rows.iter().map(row).collect()
}

fn all(parts: &Parts) -> Vec<usize> {
    [
        &parts.train[..],
        &parts.validation,
        &parts.test,
        &parts.unknown,
    ]
    .concat()
}

fn strata(rows: &[SplitRow<'_>], part: &[usize]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for &i in part {
        *counts.entry(rows[i].stratum).or_insert(0) += 1;
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_row_is_in_exactly_one_part_in_order_and_the_same_again(rows in rows(), seed: u64) {
        let rows = looked_at(&rows);
        for split in ProbeSplit::ALL {
            let found = divide(&rows, split, seed);
            prop_assert_eq!(&found, &divide(&rows, split, seed));
            let Ok(parts) = found else { continue };
            let mut seen = all(&parts);
            seen.sort_unstable();
            prop_assert!(seen.iter().copied().eq(0..rows.len()));
            for part in [&parts.train, &parts.validation, &parts.test, &parts.unknown] {
                prop_assert!(part.is_sorted());
            }
            prop_assert!(!parts.train.is_empty() && !parts.test.is_empty());
            prop_assert!(split == ProbeSplit::Official || parts.validation.is_empty());
        }
    }

    #[test]
    fn official_and_i_mod_3_place_every_row_by_itself(rows in rows(), seed: u64) {
        let rows = looked_at(&rows);
        if let Ok(parts) = divide(&rows, ProbeSplit::Official, seed) {
            let of = |part: &[usize], split| part.iter().all(|&i| rows[i].official == split);
            prop_assert!(of(&parts.train, Some(Split::Train)) && of(&parts.unknown, None));
            prop_assert!(of(&parts.validation, Some(Split::Validation)));
            prop_assert!(of(&parts.test, Some(Split::Test)));
        }
        if let Ok(parts) = divide(&rows, ProbeSplit::IMod3, seed) {
            prop_assert!(parts.test.iter().all(|i| i % 3 == 0));
            prop_assert!(parts.train.iter().all(|i| i % 3 != 0));
        }
    }

    #[test]
    fn a_stratum_gives_a_third_of_its_rows_to_the_test(rows in rows(), seed: u64) {
        let rows = looked_at(&rows);
        if let Ok(parts) = divide(&rows, ProbeSplit::Stratified, seed) {
            prop_assert_eq!(parts.test.len(), rows.len().div_ceil(3));
            let everywhere = strata(&rows, &(0..rows.len()).collect::<Vec<_>>());
            let tested = strata(&rows, &parts.test);
            for (stratum, count) in everywhere {
                let tested = tested.get(&stratum).copied().unwrap_or(0);
                prop_assert!((count / 3..=count.div_ceil(3)).contains(&tested));
            }
        }
    }

    #[test]
    fn no_tile_is_on_both_sides_and_rows_without_one_on_neither(rows in rows(), seed: u64) {
        let rows = looked_at(&rows);
        if let Ok(parts) = divide(&rows, ProbeSplit::ByTile, seed) {
            let tiles = |part: &[usize]| part.iter().map(|&i| rows[i].tile).collect::<BTreeSet<_>>();
            let (train, test) = (tiles(&parts.train), tiles(&parts.test));
            prop_assert!(train.is_disjoint(&test));
            prop_assert!(!train.contains(&None) && !test.contains(&None));
            prop_assert!(parts.unknown.iter().all(|&i| rows[i].tile.is_none()));
        }
    }
}
