//! Which rows a probe is fitted, chosen and tested on.

use std::collections::BTreeMap;

use chipmill_pipeline::philox;
use chipmill_schemas::patch::Split;
use chipmill_schemas::probe::ProbeSplit;

/// What a split looks at, of one row of the target, in store order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitRow<'a> {
    /// Official split.
    pub official: Option<Split>,
    /// Tile.
    pub tile: Option<&'a str>,
    /// What to spread evenly over the parts: the class, or the set of labels as bits.
    pub stratum: u64,
}

/// Positions in the list of rows, ascending; every row is in exactly one part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Fitted on.
    pub train: Vec<usize>,
    /// Chosen on; only the official split has it.
    pub validation: Vec<usize>,
    /// Tested on.
    pub test: Vec<usize>,
    /// Left out: no official split, or no tile, where the split needs one.
    pub unknown: Vec<usize>,
}

/// Rows cannot be split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A part that is needed is empty.
    #[error(
        "split `{split}` of {rows} rows leaves none for {part} ({unknown} rows have no {needs}): use \
         another split, or a store with more patches"
    )]
    Empty {
        /// The split.
        split: &'static str,
        /// `train` or `test`.
        part: &'static str,
        /// Rows of the target.
        rows: usize,
        /// Rows that the split cannot place.
        unknown: usize,
        /// What it needs to place them.
        needs: &'static str,
    },
}

/// Divides rows; a pure function of its arguments. The seed matters to `stratified` and `by_tile`.
///
/// # Errors
/// [`SplitError::Empty`] when nothing is left to fit or to test on.
pub fn divide(rows: &[SplitRow<'_>], split: ProbeSplit, seed: u64) -> Result<Parts, SplitError> {
    let parts = match split {
        ProbeSplit::Official => official(rows),
        ProbeSplit::IMod3 => every_third(0..rows.len()),
        ProbeSplit::Stratified => stratified(rows, seed),
        ProbeSplit::ByTile => by_tile(rows, seed),
    };
    let empty = |part| SplitError::Empty {
        split: split.name(),
        part,
        rows: rows.len(),
        unknown: parts.unknown.len(),
        needs: if split == ProbeSplit::ByTile {
            "tile"
        } else {
            "official split"
        },
    };
    if parts.train.is_empty() {
        Err(empty("train"))
    } else if parts.test.is_empty() {
        Err(empty("test"))
    } else {
        Ok(parts)
    }
}

fn official(rows: &[SplitRow<'_>]) -> Parts {
    let mut parts = Parts::default();
    for (i, row) in rows.iter().enumerate() {
        match row.official {
            Some(Split::Train) => parts.train.push(i),
            Some(Split::Validation) => parts.validation.push(i),
            Some(Split::Test) => parts.test.push(i),
            None => parts.unknown.push(i),
        }
    }
    parts
}

/// Of a sequence of rows, the first of every three for test.
fn every_third(rows: impl Iterator<Item = usize>) -> Parts {
    let mut parts = Parts::default();
    for (i, row) in rows.enumerate() {
        let part = if i.is_multiple_of(3) {
            &mut parts.test
        } else {
            &mut parts.train
        };
        part.push(row);
    }
    parts.test.sort_unstable();
    parts.train.sort_unstable();
    parts
}

/// Every third row, in random order within strata: of `n` rows of a stratum, `n / 3` rounded up or
/// down; of all rows, exactly a third.
fn stratified(rows: &[SplitRow<'_>], seed: u64) -> Parts {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&i| (rows[i].stratum, draw(seed, i as u64), i));
    every_third(order.into_iter())
}

/// Tiles in random order; each goes to test if that brings test closer to a third of the rows.
fn by_tile(rows: &[SplitRow<'_>], seed: u64) -> Parts {
    let mut parts = Parts::default();
    let mut tiles: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        match row.tile {
            Some(tile) => tiles.entry(tile).or_default().push(i),
            None => parts.unknown.push(i),
        }
    }
    let known = rows.len() - parts.unknown.len();
    let mut tiles: Vec<(u64, Vec<usize>)> = (0_u64..)
        .zip(tiles.into_values())
        .map(|(t, rows)| (draw(seed, t), rows))
        .collect();
    tiles.sort_by_key(|(draw, rows)| (*draw, rows[0]));
    for (_, tile) in tiles {
        let distance = |test: usize| (3 * test).abs_diff(known);
        let closer = distance(parts.test.len() + tile.len()) < distance(parts.test.len());
        if closer {
            parts.test.extend(tile);
        } else {
            parts.train.extend(tile);
        }
    }
    parts.test.sort_unstable();
    parts.train.sort_unstable();
    parts
}

/// A random number of an item under a seed.
fn draw(seed: u64, item: u64) -> u64 {
    let low = |v: u64| (v & 0xFFFF_FFFF) as u32;
    let counter = [low(item), low(item >> 32), 0, 0];
    let [a, b, ..] = philox(counter, [low(seed), low(seed >> 32)]);
    u64::from(a) << 32 | u64::from(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: SplitRow<'static> = SplitRow {
        official: None,
        tile: None,
        stratum: 0,
    };

    fn assert_whole(parts: &Parts, rows: usize) {
        let lists = [&parts.train, &parts.validation, &parts.test, &parts.unknown];
        let mut all: Vec<usize> = lists.into_iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..rows).collect::<Vec<_>>());
        assert!(lists.iter().all(|list| list.is_sorted()));
    }

    #[test]
    fn the_official_split_is_the_stores_and_rows_without_one_are_unknown() {
        let of = |official| SplitRow { official, ..NONE };
        let rows = [
            Some(Split::Test),
            None,
            Some(Split::Train),
            Some(Split::Validation),
        ]
        .map(of);
        let parts = divide(&rows, ProbeSplit::Official, 0).unwrap();
        assert_eq!((parts.train, parts.validation), (vec![2], vec![3]));
        assert_eq!((parts.test, parts.unknown), (vec![0], vec![1]));
    }

    #[test]
    fn i_mod_3_tests_on_rows_0_3_6() {
        let parts = divide(&[NONE; 8], ProbeSplit::IMod3, 0).unwrap();
        assert_eq!(
            (parts.test, parts.train),
            (vec![0, 3, 6], vec![1, 2, 4, 5, 7])
        );
    }

    #[test]
    fn stratified_takes_a_third_of_every_class_and_another_one_for_another_seed() {
        let rows: Vec<SplitRow<'_>> = (0..100)
            .map(|i| SplitRow {
                stratum: u64::from(i % 7 == 0),
                ..NONE
            })
            .collect();
        let parts = divide(&rows, ProbeSplit::Stratified, 5).unwrap();
        assert_whole(&parts, 100);
        let rare = parts.test.iter().filter(|&&i| i % 7 == 0).count();
        assert!(
            rare == 5 && parts.test.len() == 34,
            "{rare} {}",
            parts.test.len()
        );
        assert_eq!(parts, divide(&rows, ProbeSplit::Stratified, 5).unwrap());
        assert_ne!(parts, divide(&rows, ProbeSplit::Stratified, 6).unwrap());
    }

    #[test]
    fn no_tile_is_on_both_sides_and_test_is_about_a_third() {
        let names: Vec<String> = (0..12).map(|t| format!("T33U{t:02}")).collect();
        // Tiles of 1 to 12 rows.
        let tile = |t: usize| SplitRow {
            tile: Some(&names[t]),
            ..NONE
        };
        let mut rows: Vec<SplitRow<'_>> = (0..12)
            .flat_map(|t| std::iter::repeat_n(tile(t), t + 1))
            .collect();
        rows.push(NONE);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let parts = divide(&rows, ProbeSplit::ByTile, seed).unwrap();
            assert_whole(&parts, 79);
            assert_eq!(parts.unknown, [78]);
            assert!(
                parts
                    .train
                    .iter()
                    .all(|&a| parts.test.iter().all(|&b| rows[a].tile != rows[b].tile))
            );
            assert!(
                (20..=32).contains(&parts.test.len()),
                "{}",
                parts.test.len()
            );
            seen.insert(parts.test);
        }
        assert!(seen.len() > 10);
    }

    #[test]
    fn a_split_without_a_part_is_an_error_that_says_which() {
        let rows = [SplitRow {
            tile: Some("T33UUP"),
            ..NONE
        }; 5];
        let error = divide(&rows, ProbeSplit::ByTile, 0)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`by_tile` of 5 rows") && error.contains("test"),
            "{error}"
        );
        let error = divide(&rows, ProbeSplit::Official, 0)
            .unwrap_err()
            .to_string();
        assert!(error.contains("5 rows have no official split"), "{error}");
        assert!(divide(&[], ProbeSplit::IMod3, 0).is_err());
        assert!(divide(&[NONE], ProbeSplit::Stratified, 0).is_err());
    }
}
