//! What a batch holds: shapes, types, and views that differ.

use super::*;

#[test]
fn views_have_the_shape_and_the_values_of_their_patches() {
    let folder = tempfile::tempdir().unwrap();
    let view = ViewConfig {
        normalise: Normalise::None,
        bands: BandChoice::List(vec![Band::B08, Band::B02]),
        preset: Preset::None,
        ..ViewConfig::default()
    };
    let plain = LoaderSpec {
        view,
        batch_size: 4,
        views: 3,
        order: Order::Sequential,
        ..spec()
    };
    let mut loader = Loader::start(store(&folder), plain).unwrap();
    assert_eq!(loader.batches_per_epoch(), 10);
    let batch = loader.nth(2).unwrap().unwrap();
    assert_eq!(batch.patches(), [8, 9, 10, 11]);
    assert_eq!(batch.shape(), [3, 4, 2, 120, 120]);
    let views = batch.views::<f32>().unwrap();
    for (view, sample, band, y, x) in [(0, 0, 0, 0, 0), (2, 3, 1, 119, 7), (1, 2, 0, 60, 119)] {
        let row = batch.patches()[sample];
        let expected = tiny_store::pixel(row, [Band::B08, Band::B02][band], y * 120 + x);
        assert_eq!(views[[view, sample, band, y, x]], f32::from(expected));
    }
    assert_eq!(
        batch.view::<f32>(1).unwrap(),
        &batch.data::<f32>().unwrap()[4 * 2 * 14_400..2 * 4 * 2 * 14_400]
    );
    assert!(batch.view::<f32>(3).unwrap().is_empty());
}

#[test]
fn half_precision_has_the_bits_of_the_single_precision_rounded_once() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let typed = |dtype| {
        let view = ViewConfig {
            dtype,
            ..spec().view
        };
        Loader::start(reader.clone(), LoaderSpec { view, ..spec() }).unwrap()
    };
    let mut loaders = [ViewType::F32, ViewType::F16, ViewType::Bf16].map(typed);
    let sizes = loaders.each_ref().map(|l| l.stats().slot_bytes);
    let values = 2 * 5 * 12 * 16 * 16;
    assert_eq!(sizes[0] - sizes[1], 2 * values, "two bytes less a value");
    assert_eq!(sizes[1], sizes[2]);
    for _ in 0..16 {
        let [single, half, brain] = loaders.each_mut().map(|l| l.next().unwrap().unwrap());
        let expected = single.data::<f32>().unwrap();
        let as_half: Vec<f16> = expected.iter().map(|&v| f16::from_f32(v)).collect();
        let as_brain: Vec<bf16> = expected.iter().map(|&v| bf16::from_f32(v)).collect();
        assert_eq!(half.data::<f16>().unwrap(), as_half);
        assert_eq!(brain.data::<bf16>().unwrap(), as_brain);
        assert_eq!(half.bytes().len() * 2, single.bytes().len());
        let [views, samples, bands, height, width] = brain.shape();
        let array = brain.views::<bf16>().unwrap();
        assert_eq!(array.dim(), (views, samples, bands, height, width));
        assert_eq!(
            array[[1, 0, 3, 2, 1]],
            brain.view::<bf16>(1).unwrap()[3 * 256 + 33]
        );
        assert_eq!(
            half.view_f32(1)[700],
            half.view::<f16>(1).unwrap()[700].to_f32()
        );
        assert_eq!(single.view_f32(1), single.view::<f32>(1).unwrap());
    }
}

#[test]
fn batches_have_the_same_bits_on_every_path_and_with_compiled_views() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let expected = all(&reader, spec());
    for path in SimdPath::ALL {
        let spec = LoaderSpec {
            simd: Some(path),
            ..spec()
        };
        match Loader::start(reader.clone(), spec) {
            Ok(mut loader) => {
                assert_eq!(loader.stats().simd, path.name());
                assert!(contents(&mut loader, usize::MAX) == expected, "{path}");
            }
            Err(error) => assert!(path.check().is_err(), "{path}: {error}"),
        }
    }
    let statistics = reader.statistics(None).unwrap();
    let view = || Augmenter::compile(&spec().view, statistics).unwrap();
    let start = |views| Loader::start_with(reader.clone(), views, spec());
    let mut loader = start(vec![view(), view()]).unwrap();
    assert!(contents(&mut loader, usize::MAX) == expected);
    let other = ViewConfig {
        side: 32,
        ..ViewConfig::default()
    };
    let other = Augmenter::compile(&other, statistics).unwrap();
    for (views, expected) in [
        (
            vec![view()],
            "`augmenters` is 1, expected one for each of 2 views",
        ),
        (
            vec![view(), other],
            "`augmenters` is views of 12 bands and side 32",
        ),
    ] {
        let error = start(views).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn another_type_than_the_batchs_is_an_error_that_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let view = ViewConfig {
        dtype: ViewType::F16,
        ..spec().view
    };
    let mut loader = Loader::start(store(&folder), LoaderSpec { view, ..spec() }).unwrap();
    let batch = loader.next().unwrap().unwrap();
    assert_eq!(batch.dtype(), ViewType::F16);
    // As wide as f16, and still another type.
    assert!(batch.view::<bf16>(0).is_err() && batch.data::<f16>().is_ok());
    assert_eq!(
        batch.views::<f32>().unwrap_err().to_string(),
        "the batch holds f16 values, but f32 was asked for; `view.dtype` sets the type"
    );
}

/// One epoch as the rows come, with views that differ as `each` says.
fn with_views(reader: &StoreReader, views: usize, each: Vec<ViewChange>) -> Vec<Vec<f32>> {
    let view = ViewConfig {
        each,
        ..spec().view
    };
    let one = LoaderSpec {
        view,
        views,
        order: Order::Sequential,
        batch_size: PATCHES as usize,
        epochs: Some(1),
        ..spec()
    };
    let batch = Loader::start(reader.clone(), one)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let view = |number| batch.view::<f32>(number).unwrap().to_vec();
    (0..views).map(view).collect()
}

#[test]
fn views_may_differ_in_operations_and_normalisation() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let alike = with_views(&reader, 3, Vec::new());
    let plain = ViewChange {
        preset: Some(Preset::None),
        ..ViewChange::default()
    };
    let standardised = ViewChange {
        normalise: Some(Normalise::Zscore),
        ..plain.clone()
    };
    let mixed = with_views(&reader, 3, vec![ViewChange::default(), plain, standardised]);
    assert_eq!(
        mixed[0], alike[0],
        "a view without changes is drawn as before"
    );
    // The evaluation path: the same pixels that a plain loader of one view gives.
    let evaluation = LoaderSpec {
        view: spec().view.evaluation(),
        views: 1,
        order: Order::Sequential,
        batch_size: PATCHES as usize,
        epochs: Some(1),
        ..spec()
    };
    let mut loader = Loader::start(reader.clone(), evaluation).unwrap();
    let batch = loader.next().unwrap().unwrap();
    assert_eq!(mixed[1], batch.view::<f32>(0).unwrap());
    // The tiny store's bands: percentiles 400 and 4,000, mean 2,000, deviation 900.
    for (unit, zscore) in mixed[1].iter().zip(&mixed[2]) {
        let value = unit * 3_600.0 + 400.0;
        assert!(((value - 2_000.0) / 900.0 - zscore).abs() < 1e-4);
    }
}

#[test]
fn as_many_entries_as_views_or_none_and_their_keys_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let message = |each| {
        let view = ViewConfig {
            each,
            ..ViewConfig::default()
        };
        let error = Loader::start(reader.clone(), LoaderSpec { view, ..spec() }).unwrap_err();
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        format!("{error} {cause}")
    };
    let one = message(vec![ViewChange::default()]);
    assert!(one.contains("`view.each` is 1 entries, expected none, or one for each of 2 views"));
    let bad = ViewChange {
        augment: Some(vec![Augment::BandDrop(Chance { p: -1.0 })]),
        ..ViewChange::default()
    };
    let found = message(vec![ViewChange::default(), bad]);
    assert!(
        found.contains("`view.each[1].augment[0].p` of `band_drop` is -1"),
        "{found}"
    );
}
