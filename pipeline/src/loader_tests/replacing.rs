//! Damaged patches: errors, or others in their place.

use std::collections::BTreeMap;

use chipmill_schemas::config::OnCorrupt;

use super::*;
use crate::Replaced;

/// Every seventh row.
fn every_seventh(row: u32) -> Result<(), ReadFailure> {
    if row.is_multiple_of(7) {
        damaged(row)
    } else {
        Ok(())
    }
}

fn skipping() -> LoaderSpec {
    LoaderSpec {
        on_corrupt: OnCorrupt::Skip,
        order: Order::Shuffled,
        epochs: Some(2),
        ..spec()
    }
}

/// Position, rows, replacements and bytes of a batch.
type Content = ((u64, u64), Vec<u32>, Vec<Replaced>, Vec<u8>);

fn contents(loader: Loader) -> Vec<Content> {
    let content = |batch: crate::Batch| {
        (
            (batch.epoch(), batch.ordinal()),
            batch.patches().to_vec(),
            batch.replaced().to_vec(),
            batch.bytes().to_vec(),
        )
    };
    loader.map(Result::unwrap).map(content).collect()
}

/// Views of a sample within the bytes of a batch.
fn views_of(content: &Content, sample: usize) -> Vec<&[u8]> {
    let samples = content.1.len();
    let len = content.3.len() / (2 * samples);
    let view = |v: usize| &content.3[(v * samples + sample) * len..][..len];
    vec![view(0), view(1)]
}

#[test]
fn a_damaged_patch_is_replaced_by_a_whole_one_that_is_not_in_the_batch() {
    let whole = contents(start(&skipping(), |_| Ok(())));
    let mut of_row = BTreeMap::new();
    for content in &whole {
        for (sample, &row) in content.1.iter().enumerate() {
            of_row.insert((content.0.0, row), views_of(content, sample));
        }
    }
    let found = contents(start(&skipping(), every_seventh));
    let mut replaced = 0;
    for (found, whole) in found.iter().zip(&whole) {
        let mut rows = whole.1.clone();
        for by in &found.2 {
            assert_eq!(by.damaged, rows[by.sample]);
            assert!(by.damaged.is_multiple_of(7) && !by.by.is_multiple_of(7));
            rows[by.sample] = by.by;
            replaced += 1;
        }
        assert_eq!(found.1, rows);
        let distinct: std::collections::BTreeSet<_> = rows.iter().collect();
        assert_eq!(distinct.len(), rows.len());
        for (sample, &row) in rows.iter().enumerate() {
            assert_eq!(views_of(found, sample), of_row[&(found.0.0, row)]);
        }
    }
    assert_eq!(replaced, 2 * 10);
}

#[test]
fn replacements_are_the_same_for_any_workers_and_after_any_resumption() {
    let expected = contents(start(&skipping(), every_seventh));
    for workers in [0, 1, 5] {
        let spec = LoaderSpec {
            workers,
            ..skipping()
        };
        assert!(contents(start(&spec, every_seventh)) == expected);
    }
    for stop in [1, 7, 15, 16, 31] {
        let mut first = start(&skipping(), every_seventh);
        let head = first.by_ref().take(stop).map(Result::unwrap).count();
        let rest = LoaderSpec {
            start: first.state(),
            workers: 1,
            ..skipping()
        };
        assert!(contents(start(&rest, every_seventh)) == expected[head..]);
    }
}

#[test]
fn replacements_are_counted_and_damaged_patches_named() {
    let mut loader = start(&skipping(), every_seventh);
    assert_eq!(loader.by_ref().map(Result::unwrap).count(), 32);
    let stats = loader.stats();
    assert_eq!(stats.replaced, 20);
    let rows: Vec<_> = stats.damaged.iter().map(|d| d.row).collect();
    assert_eq!(rows, (0..64).step_by(7).collect::<Vec<_>>());
    assert_eq!(stats.damaged[1].patch, "patch-7");
    assert_eq!(stats.damaged[1].reason, "no row 7");
    assert!(
        stats
            .summary()
            .contains("20 samples of damaged patches replaced")
    );
}

#[test]
fn what_is_not_damage_stays_an_error() {
    let mut loader = start(&skipping(), |row| match row {
        21 => Err(ReadFailure::Other("the disk has gone".into())),
        22 => panic!("cursed"),
        _ => every_seventh(row),
    });
    let errors: Vec<_> = loader.by_ref().filter_map(Result::err).collect();
    assert_eq!(errors.len(), 4, "two epochs: {errors:?}");
    for error in errors {
        match error {
            LoaderError::Read { row, .. } => assert_eq!(row, 21),
            LoaderError::Panicked { row, .. } => assert_eq!(row, 22),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_selection_without_a_whole_patch_is_an_error_that_names_one() {
    let mut loader = start(&skipping(), damaged);
    let expected = loader.shared.maker.sampler.epoch(0)[0];
    match loader.next().unwrap() {
        Err(LoaderError::Read { row, patch, .. }) => {
            assert_eq!((row, patch), (expected, format!("patch-{expected}")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_selection_no_larger_than_a_batch_repeats_a_patch_rather_than_fail() {
    let spec = LoaderSpec {
        rows: vec![1, 7, 3].into(),
        ..skipping()
    };
    for content in contents(start(&spec, every_seventh)) {
        let [by] = content.2[..] else {
            panic!("one row is damaged: {content:?}")
        };
        assert!([1, 3].contains(&by.by));
    }
}
