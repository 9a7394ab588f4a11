//! The real patches, where they are at hand.

use std::fs;
use std::path::{Path, PathBuf};

use chipmill_ingest::IngestOptions;
use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::label::{CLC_43, Nomenclature};
use chipmill_schemas::patch::Split;
use chipmill_store::{PatchPixels, StoreReader};

use crate::support::*;

/// A folder of real data, or a visible skip.
fn real(name: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let shared = std::env::var_os("CHIPMILL_SHARED").map_or_else(|| default.into(), PathBuf::from);
    let path = shared.join("data").join(name);
    if !path.is_dir() {
        println!("skipped: needs ../shared (data/{name})");
        return None;
    }
    Some(path)
}

fn real_options(data: &Path, source: &Path, store: &Path) -> IngestOptions {
    let tables = [
        "metadata.parquet",
        "metadata_for_patches_with_snow_cloud_or_shadow.parquet",
    ];
    let metadata = tables.iter().map(|t| data.join(t)).collect();
    IngestOptions {
        metadata,
        shard_patches: 150,
        ..options(source, store)
    }
}

/// Every stored pixel of every band equals what GDAL reads from the file.
fn assert_pixels_equal_gdal(store: &Path, file: impl Fn(&str, Band) -> PathBuf) {
    let reader = StoreReader::open(store).unwrap();
    let mut pixels = PatchPixels::zeroed();
    for (index, row) in (0u32..).zip(reader.table()) {
        reader.read(index, &Resolution::ALL, &mut pixels).unwrap();
        for band in Band::ALL {
            let dataset = gdal::Dataset::open(file(row.id.as_str(), band)).unwrap();
            let side = band.resolution().side();
            let raster = dataset.rasterband(1).unwrap();
            let expected = raster
                .read_as::<u16>((0, 0), (side, side), (side, side), None)
                .unwrap();
            assert_eq!(
                pixels.band_slice(band),
                expected.data(),
                "{} {band}",
                row.id
            );
        }
        let place = gdal::Dataset::open(file(row.id.as_str(), Band::B02)).unwrap();
        let transform = place.geo_transform().unwrap();
        let found = row.georeference.unwrap();
        assert_eq!(
            (found.ulx, found.uly),
            (transform[0], transform[3]),
            "{}",
            row.id
        );
        let code = place.spatial_ref().unwrap().auth_code().unwrap();
        assert_eq!(i64::from(found.epsg), i64::from(code), "{}", row.id);
    }
}

#[test]
fn the_400_v2_patches_are_stored_with_labels_split_and_flags_from_archive_and_folder_alike() {
    let Some(data) = real("bigearthnet-v2-400") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let archive = data.join("BigEarthNet-S2.tar.zst");
    let store = dir.path().join("from-archive");
    let (summary, objects) = stored(&real_options(&data, &archive, &store));
    let counts = (
        summary.patches,
        summary.quarantined,
        summary.missing,
        summary.excluded,
    );
    assert_eq!(counts, (400, 0, 0, 0));
    assert_eq!((summary.shards, summary.bytes_in), (3, 400 * 164_560));
    assert_eq!(summary.notes, Vec::<String>::new());

    let reader = StoreReader::open(&store).unwrap();
    let table = reader.table();
    let of = |split| table.iter().filter(|r| r.split == Some(split)).count();
    assert_eq!(Split::ALL.map(of), [168, 98, 134]);
    assert!(
        table
            .iter()
            .all(|r| r.labels_19.is_some_and(|l| l.count() > 0) && r.labels_43.is_none())
    );
    assert_eq!(
        table
            .iter()
            .filter(|r| r.country.as_deref() == Some("Austria"))
            .count(),
        323
    );
    assert_eq!(table.iter().filter(|r| r.snow == Some(true)).count(), 3);
    assert_eq!(table.iter().filter(|r| r.cloud == Some(true)).count(), 3);

    let unpacked = dir.path().join("unpacked");
    let zst = fs::File::open(&archive).unwrap();
    tar::Archive::new(zstd::Decoder::new(zst).unwrap())
        .unpack(&unpacked)
        .unwrap();
    let from_folder = real_options(&data, &unpacked, &dir.path().join("from-folder"));
    let (again, folder_objects) = stored(&from_folder);
    assert_same(&folder_objects, &objects);
    assert_eq!(timeless(again), timeless(summary));
    let root = unpacked.join("BigEarthNet-S2");
    assert_pixels_equal_gdal(&store, |id, band| {
        root.join(&id[..id.len() - 6])
            .join(id)
            .join(format!("{id}_{band}.tif"))
    });
    assert!(chipmill_store::verify(&store, 2).unwrap().ok);
}

#[test]
fn the_11_v1_patches_are_stored_with_43_and_19_labels() {
    let Some(data) = real("bigearthnet-v1") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let source = data.join("BigEarthNet-v1.0");
    let store = dir.path().join("store");
    let (summary, _) = stored(&options(&source, &store));
    assert_eq!(
        (summary.patches, summary.quarantined, summary.shards),
        (11, 0, 3)
    );
    let reader = StoreReader::open(&store).unwrap();
    for row in reader.table() {
        let json = fs::read(
            source
                .join(row.id.as_str())
                .join(format!("{}_labels_metadata.json", row.id)),
        );
        let json: serde_json::Value = serde_json::from_slice(&json.unwrap()).unwrap();
        let names = json["labels"].as_array().unwrap();
        let index =
            |n: &serde_json::Value| Nomenclature::Clc43.index_of(n.as_str().unwrap()).unwrap();
        let expected = names.iter().map(index).collect();
        assert_eq!(row.labels_43, Some(expected), "{}", row.id);
        assert_eq!(row.labels_19, Some(expected.to_nineteen()), "{}", row.id);
        let ulx = json["coordinates"]["ulx"].as_f64().unwrap();
        assert_eq!(row.georeference.unwrap().ulx, ulx, "{}", row.id);
        let tile = row.tile.as_deref().unwrap();
        assert!(
            json["tile_source"].as_str().unwrap().contains(tile),
            "{}",
            row.id
        );
    }
    assert_pixels_equal_gdal(&store, |id, band| {
        source.join(id).join(format!("{id}_{band}.tif"))
    });
}

#[test]
fn a_folder_of_everything_gives_its_s2_patches_and_maps_and_notes_the_rest() {
    let Some(data) = real("bigearthnet-v2") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let (summary, _) = stored(&real_options(&data, &data, &store));
    assert_eq!(
        (summary.patches, summary.quarantined, summary.missing),
        (22, 0, 0)
    );
    // The one reference map at hand, and the table's 19 classes of the same patch.
    let reader = StoreReader::open(&store).unwrap();
    let mapped: Vec<_> = (reader.table().iter())
        .filter_map(|row| {
            let labels = row.labels_43?;
            Some((row, labels))
        })
        .collect();
    let [(row, labels)] = &mapped[..] else {
        panic!("{} patches have 43 labels", mapped.len())
    };
    assert!(row.id.as_str().ends_with("_T33UUP_26_57"));
    let codes: Vec<_> = labels.iter().map(|i| CLC_43[i].code).collect();
    assert_eq!(codes, [211, 231, 311, 313]);
    assert_eq!(row.labels_19, Some(labels.to_nineteen()));
    assert!(
        summary
            .notes
            .iter()
            .any(|n| n.starts_with("files not understood")),
        "{:?}",
        summary.notes
    );
}

#[test]
fn statistics_of_the_400_patches_agree_with_sorting_all_pixels() {
    let Some(data) = real("bigearthnet-v2-400") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let archive = data.join("BigEarthNet-S2.tar.zst");
    let store = dir.path().join("store");
    stored(&real_options(&data, &archive, &store));
    let reader = StoreReader::open(&store).unwrap();
    for split in [None, Some(Split::Train), Some(Split::Test)] {
        let mut values = Band::ALL.map(|_| Vec::new());
        let mut pixels = PatchPixels::zeroed();
        for (index, row) in (0u32..).zip(reader.table()) {
            if split.is_none() || row.split == split {
                reader.read(index, &Resolution::ALL, &mut pixels).unwrap();
                for band in Band::ALL {
                    values[band.index()].extend_from_slice(pixels.band_slice(band));
                }
            }
        }
        for found in &reader.statistics(split).unwrap().bands {
            let values = &mut values[found.band.index()];
            values.sort_unstable();
            let n = values.len() as f64;
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let square = |v: &u16| (f64::from(*v) - mean).powi(2);
            let std = (values.iter().map(square).sum::<f64>() / n).sqrt();
            let percentile = |p: usize| {
                let at = p * (values.len() - 1);
                let low = f64::from(values[at / 100]);
                low + (f64::from(values[at.div_ceil(100)]) - low) * (at % 100) as f64 / 100.0
            };
            let expected = [
                mean,
                std,
                percentile(1),
                percentile(2),
                percentile(50),
                percentile(98),
                percentile(99),
            ];
            let found_values = [
                found.mean, found.std, found.p1, found.p2, found.p50, found.p98, found.p99,
            ];
            for (f, e) in found_values.into_iter().zip(expected) {
                assert!(
                    (f - e).abs() <= 1e-9 * e.abs(),
                    "{:?} {}: {f} is not {e}",
                    split,
                    found.band
                );
            }
            assert_eq!(
                (found.min, found.max),
                (values[0], values[values.len() - 1])
            );
        }
    }
}
