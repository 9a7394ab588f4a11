//! Stores to test with: made-up patches with texture, labels of every kind, and gaps.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::label::{LabelSet, Nomenclature};
use chipmill_schemas::manifest::Codec;
use chipmill_schemas::patch::{Georeference, PatchRow, Split};
use chipmill_schemas::patch_id::DatasetVersion;
use chipmill_schemas::s1::{Polarisation, S1BandStatistics, S1SetStatistics};
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use chipmill_store::{
    Contents, PatchEncoder, PatchPixels, S1Contents, S1Encoder, S1Pixels, StoreReader, StoreShape,
    StoreWriter, UnitRow, patch_ids_digest,
};
use rayon::prelude::*;

/// Every codec.
pub(crate) const CODECS: [Codec; 3] = [Codec::Lz4, Codec::Zstd, Codec::None];

/// Patches and their pixels, not yet in a store.
pub(crate) struct Fixture {
    pub(crate) rows: Vec<PatchRow>,
    pub(crate) pixels: Vec<PatchPixels>,
    /// Sentinel-1, where there is any.
    pub(crate) s1: Vec<Option<S1Pixels>>,
    pub(crate) shape: StoreShape,
}

impl Fixture {
    pub(crate) fn new(patches: u32, shard_patches: u32, codec: Codec) -> Self {
        Self {
            rows: (0..patches).map(row).collect(),
            pixels: (0..patches).map(pixels).collect(),
            s1: Vec::new(),
            shape: StoreShape {
                patches: u64::from(patches),
                shard_patches,
                codec,
            },
        }
    }

    /// With Sentinel-1 for all patches but every third.
    pub(crate) fn with_s1(mut self) -> Self {
        let patches = u32::try_from(self.rows.len()).unwrap();
        let s1 = |index: u32| (index % 3 != 1).then(|| s1_pixels(index));
        self.s1 = (0..patches).map(s1).collect();
        self
    }

    /// Writes everything but the end: the shards, each as a unit of its own.
    pub(crate) fn write_shards(&self, root: &Path) -> Vec<UnitRow> {
        let encoder = PatchEncoder::new(self.shape.codec);
        let writer = self.writer(root);
        let size = self.shape.shard_patches as usize;
        let shards = (0..self.shape.shards()).into_par_iter();
        let write = |shard: u64| {
            let start = usize::try_from(shard).unwrap() * size;
            let own = start..(start + size).min(self.rows.len());
            let encode = |pixels: &PatchPixels| encoder.encode(pixels).unwrap();
            let encoded: Vec<_> = self.pixels[own.clone()].par_iter().map(encode).collect();
            UnitRow {
                unit: shard,
                patch_ids_digest: patch_ids_digest(self.rows[own.clone()].iter().map(|r| &r.id)),
                patches: own.len() as u64,
                objects: writer.write_shard(shard, &encoded).unwrap(),
            }
        };
        shards.map(write).collect()
    }

    pub(crate) fn writer(&self, root: &Path) -> StoreWriter {
        StoreWriter::new(root, self.shape).unwrap()
    }

    /// Writes a whole store.
    pub(crate) fn write(&self, root: &Path) {
        let units = self.write_shards(root);
        let s1_units = self.write_s1_shards(root);
        let s1 = || S1Contents {
            units: &s1_units,
            statistics: self.s1_statistics(),
        };
        let contents = Contents {
            units: &units,
            statistics: self.statistics(),
            versions: &[DatasetVersion::V2],
            s1: (!self.s1.is_empty()).then(s1),
        };
        let writer = self.writer(root);
        let manifest = writer.finalize_contents(&self.rows[..], contents).unwrap();
        assert_eq!(manifest.patches, self.rows.len() as u64);
    }

    /// Writes the shards of Sentinel-1, each as a unit of its own.
    pub(crate) fn write_s1_shards(&self, root: &Path) -> Vec<UnitRow> {
        let encoder = S1Encoder::new(self.shape.codec);
        let writer = self.writer(root);
        let size = self.shape.shard_patches as usize;
        let shards = self.s1.chunks(size).zip(self.rows.chunks(size)).zip(0u64..);
        let write = |((patches, rows), unit): ((&[Option<S1Pixels>], &[PatchRow]), u64)| {
            let mut shard = writer.begin_s1_shard(unit).unwrap();
            let mut chunk = Vec::new();
            for patch in patches {
                let encoded = patch
                    .as_ref()
                    .map(|p| encoder.encode(p, &mut chunk).unwrap());
                shard.push(encoded.map(|()| &chunk[..])).unwrap();
            }
            UnitRow {
                unit,
                patch_ids_digest: patch_ids_digest(rows.iter().map(|r| &r.id)),
                patches: rows.len() as u64,
                objects: vec![shard.end().unwrap()],
            }
        };
        shards.map(write).collect()
    }

    /// Of all patches with Sentinel-1, then of each split that occurs among them; by sorting.
    pub(crate) fn s1_statistics(&self) -> Vec<S1SetStatistics> {
        let sets = std::iter::once(None).chain(Split::ALL.map(Some));
        let of = |split: Option<Split>| {
            let member = |r: &PatchRow| split.is_none() || r.split == split;
            let all = self.rows.iter().zip(&self.s1);
            let chosen = all
                .filter(|(r, _)| member(r))
                .filter_map(|(_, p)| p.as_ref());
            let chosen: Vec<_> = chosen.collect();
            let set = || S1SetStatistics {
                split,
                patches: chosen.len() as u64,
                bands: Polarisation::ALL
                    .map(|p| s1_band_statistics(p, &chosen))
                    .to_vec(),
            };
            (split.is_none() || !chosen.is_empty()).then(set)
        };
        sets.filter_map(of).collect()
    }

    /// Of all patches, then of each split that occurs; by sorting.
    pub(crate) fn statistics(&self) -> Vec<SetStatistics> {
        let splits = Split::ALL.map(Some).into_iter();
        let sets = std::iter::once(None).chain(splits);
        let of = |split: Option<Split>| {
            let member = |r: &PatchRow| split.is_none() || r.split == split;
            let all = self.rows.iter().zip(&self.pixels);
            let chosen: Vec<_> = all.filter(|(r, _)| member(r)).map(|(_, p)| p).collect();
            let bands = || {
                Band::ALL
                    .map(|band| band_statistics(band, &chosen))
                    .to_vec()
            };
            (!chosen.is_empty()).then(|| SetStatistics {
                split,
                patches: chosen.len() as u64,
                bands: bands(),
            })
        };
        sets.filter_map(of).collect()
    }
}

fn band_statistics(band: Band, patches: &[&PatchPixels]) -> BandStatistics {
    let values = patches.iter().flat_map(|p| p.band_slice(band));
    let mut values: Vec<u16> = values.copied().collect();
    values.sort_unstable();
    let count = values.len();
    let n = f64::from(u32::try_from(count).unwrap());
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values
        .iter()
        .map(|&v| (f64::from(v) - mean).powi(2))
        .sum::<f64>()
        / n;
    let at = |percent: usize| f64::from(values[(count - 1) * percent / 100]);
    BandStatistics {
        band,
        count: count as u64,
        mean,
        std: variance.sqrt(),
        min: values[0],
        p1: at(1),
        p2: at(2),
        p50: at(50),
        p98: at(98),
        p99: at(99),
        max: values[count - 1],
        zeros: values.iter().filter(|&&v| v == 0).count() as u64,
    }
}

fn s1_band_statistics(polarisation: Polarisation, patches: &[&S1Pixels]) -> S1BandStatistics {
    let values = patches.iter().flat_map(|p| p.slice(polarisation));
    let (mut values, others): (Vec<f32>, Vec<f32>) = values.partition(|v| v.is_finite());
    values.sort_unstable_by(f32::total_cmp);
    let count = values.len();
    let n = f64::from(u32::try_from(count).unwrap());
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let spread = values.iter().map(|&v| (f64::from(v) - mean).powi(2));
    let at = |percent: usize| f64::from(values[(count - 1) * percent / 100]);
    S1BandStatistics {
        polarisation,
        count: count as u64,
        not_finite: others.len() as u64,
        mean,
        std: (spread.sum::<f64>() / n).sqrt(),
        min: values[0],
        p1: at(1),
        p2: at(2),
        p50: at(50),
        p98: at(98),
        p99: at(99),
        max: values[count - 1],
    }
}

/// Decibels with speckle; one pixel is not finite.
fn s1_pixels(index: u32) -> S1Pixels {
    let mut pixels = S1Pixels::absent();
    for (value, i) in pixels.values_mut().iter_mut().zip(0u32..) {
        let noise = (i ^ index << 17).wrapping_mul(2_654_435_761) >> 16;
        let noise = f32::from(u16::try_from(noise).unwrap());
        *value = -8.0 - noise / 4_096.0 - f32::from(u8::from(i >= 14_400)) * 6.5;
    }
    pixels.slice_mut(Polarisation::VH)[5] = f32::NEG_INFINITY;
    pixels
}

/// Labels, split, flags and georeference come and go with the index, so that unknown occurs for each.
fn row(index: u32) -> PatchRow {
    let id = format!(
        "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_{:02}_{:02}",
        index / 100,
        index % 100
    );
    let known = index % 4 != 3;
    let labels_43: LabelSet = [(index as usize * 7) % 43, (index as usize * 11) % 43]
        .into_iter()
        .collect();
    PatchRow {
        split: [Some(Split::Train), Some(Split::Test), None][index as usize % 3],
        country: known.then(|| "Österreich".to_owned()),
        snow: known.then_some(index.is_multiple_of(2)),
        cloud: Some(index.is_multiple_of(5)),
        labels_43: known.then_some(labels_43),
        labels_19: known.then(|| labels_43.to_nineteen()),
        georeference: (index % 5 != 4).then(|| Georeference {
            epsg: 32_633 + index % 2,
            ulx: 300_000.0 + 1_200.0 * f64::from(index),
            uly: 5_900_040.0,
        }),
        s1_name: known.then(|| format!("S1A_IW_GRDH_1SDV_{index}")),
        ..PatchRow::from_id(id.parse().unwrap())
    }
}

/// Smooth texture and noise, the whole range of `u16` at the ends, never twice the same.
fn pixels(index: u32) -> PatchPixels {
    let mut pixels = PatchPixels::zeroed();
    for band in Band::ALL {
        let side = u32::try_from(band.resolution().side()).unwrap();
        let code = u32::try_from(band.index()).unwrap() + 16 * index;
        let values = pixels.band_slice_mut(band).iter_mut().zip(0u32..);
        for (value, i) in values {
            let noise = (i ^ code << 9).wrapping_mul(2_654_435_761) >> 26;
            let smooth = 500 + 37 * code + 3 * (i % side) + 5 * (i / side);
            *value = u16::try_from((smooth + noise) % 65_536).unwrap();
        }
    }
    pixels.group_slice_mut(Resolution::M60)[0] = 0;
    pixels.group_slice_mut(Resolution::M10)[1] = u16::MAX;
    pixels
}

/// A store that is open for mapped reading.
pub(crate) fn mapped(root: &Path) -> StoreReader {
    #[expect(unsafe_code, reason = "maps are to be tested")]
    // SAFETY: the folder is the test's own, and nobody writes to it while it is read.
    let store = unsafe { StoreReader::open_mapped(root) };
    store.unwrap()
}

/// The classes of a row by name.
pub(crate) fn class_names(row: &PatchRow, nomenclature: Nomenclature) -> Option<Vec<&'static str>> {
    let names: Vec<_> = nomenclature.classes().collect();
    let labels = row.labels(nomenclature)?;
    Some(labels.iter().map(|i| names[i]).collect())
}

/// Every file below a folder, by its path inside, with its bytes.
pub(crate) fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    collect(root, root, &mut found);
    found
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            found.insert(name, fs::read(&path).unwrap());
        }
    }
}
