//! `chipmill bench large`

use std::path::PathBuf;

use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::label::LabelSet;
use chipmill_schemas::manifest::Codec;
use chipmill_schemas::patch::{Georeference, PatchRow, Split};
use chipmill_schemas::patch_id::DatasetVersion;
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use chipmill_store::{
    EncodedPatch, PatchEncoder, PatchPixels, StoreShape, StoreWriter, UnitRow, patch_ids_digest,
};

use crate::exit::Outcome;
use crate::output;

/// Patches in a shard.
const SHARD: u32 = 1024;

/// Patches of one acquisition: 90 x 90 of the grid.
const SIDE: u32 = 90;

/// Every pixel.
const VALUE: u16 = 1000;

/// Write a store whose table and shard indexes are as large as those of a whole data set, and whose
/// pixels are all alike, so that a chunk is some bytes: to measure opening without 96 GB of pixels.
/// It is a real store, made by the real writer; every column of its table is filled.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the store will be.
    store: PathBuf,

    /// How many patches.
    #[arg(long, default_value_t = 600_000, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    patches: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let rows = (0..args.patches)
        .map(row)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let shape = StoreShape {
        patches: args.patches.into(),
        shard_patches: SHARD,
        codec: Codec::Zstd,
    };
    let writer = StoreWriter::new(&args.store, shape)?;
    let patches = vec![patch(shape.codec)?; SHARD as usize];
    let unit = |(shard, own): (u64, &[PatchRow])| -> anyhow::Result<UnitRow> {
        Ok(UnitRow {
            unit: shard,
            patch_ids_digest: patch_ids_digest(own.iter().map(|r| &r.id)),
            patches: own.len() as u64,
            objects: writer.write_shard(shard, &patches[..own.len()])?,
        })
    };
    let shards = (0..).zip(rows.chunks(SHARD as usize));
    let units = shards.map(unit).collect::<anyhow::Result<Vec<_>>>()?;
    writer.finalize(&rows, &units, statistics(&rows), &[DatasetVersion::V2])?;
    let (patches, store) = (args.patches.into(), args.store.display());
    output::result(&format!("{} patches in {store}", output::grouped(patches)))?;
    Ok(Outcome::Done)
}

fn patch(codec: Codec) -> anyhow::Result<EncodedPatch> {
    let mut pixels = PatchPixels::zeroed();
    for resolution in Resolution::ALL {
        pixels.group_slice_mut(resolution).fill(VALUE);
    }
    Ok(PatchEncoder::new(codec).encode(&pixels)?)
}

/// A row with something in every column, as long as in the real tables.
fn row(index: u32) -> anyhow::Result<PatchRow> {
    let (acquisition, place) = (index / SIDE.pow(2), index % SIDE.pow(2));
    let (h, v) = (place / SIDE, place % SIDE);
    let day = format!("2017{:02}{:02}", 1 + acquisition / 28, 1 + acquisition % 28);
    let tile = format!(
        "{}UU{}",
        29 + acquisition % 7,
        ["P", "Q", "R"][acquisition as usize % 3]
    );
    let id = format!("S2A_MSIL2A_{day}T101031_N9999_R022_T{tile}_{h:02}_{v:02}");
    let labels: LabelSet = [(place % 43) as usize, (place / 7 % 43) as usize, 11]
        .into_iter()
        .collect();
    let countries = ["Austria", "Portugal", "Switzerland", "Finland", "Ireland"];
    Ok(PatchRow {
        split: Some(Split::ALL[index as usize % 3]),
        country: Some(countries[acquisition as usize % countries.len()].to_owned()),
        snow: Some(index.is_multiple_of(10)),
        cloud: Some(index.is_multiple_of(50)),
        labels_43: Some(labels),
        labels_19: Some(labels.to_nineteen()),
        georeference: Some(Georeference {
            epsg: 32_629 + acquisition % 7,
            ulx: 300_000.0 + 1_200.0 * f64::from(h),
            uly: 5_900_040.0 - 1_200.0 * f64::from(v),
        }),
        s1_name: Some(format!(
            "S1A_IW_GRDH_1SDV_{day}T{:06}_{tile}_{h:02}_{v:02}",
            165_000 + v
        )),
        s2v1_name: Some(format!("S2A_MSIL2A_{day}T101031_{h}_{v}")),
        ..PatchRow::from_id(id.parse()?)
    })
}

/// Of all patches and of each split, as all of them are alike.
fn statistics(rows: &[PatchRow]) -> Vec<SetStatistics> {
    let sets = std::iter::once(None).chain(Split::ALL.map(Some));
    let of = |split: Option<Split>| {
        let members = rows.iter().filter(|r| split.is_none() || r.split == split);
        let patches = members.count() as u64;
        let bands = Band::ALL.map(|band| constant(band, patches)).to_vec();
        SetStatistics {
            split,
            patches,
            bands,
        }
    };
    sets.map(of).filter(|s| s.patches > 0).collect()
}

fn constant(band: Band, patches: u64) -> BandStatistics {
    let value = f64::from(VALUE);
    BandStatistics {
        band,
        count: patches * (band.resolution().side() as u64).pow(2),
        mean: value,
        std: 0.0,
        min: VALUE,
        p1: value,
        p2: value,
        p50: value,
        p98: value,
        p99: value,
        max: VALUE,
        zeros: 0,
    }
}
