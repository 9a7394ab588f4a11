/// Patches of one shard of the tiny store.
pub(crate) const SHARD_PATCHES: u32 = 16;

/// Value of pixel `i` of a band of patch `row`: structured, and different for every patch and band.
pub(crate) fn pixel(row: u32, band: chipmill_schemas::band::Band, i: usize) -> u16 {
    let small = |value: usize| u32::try_from(value).unwrap_or(0);
    let band = small(band.index());
    let [word, ..] = chipmill_pipeline::philox([small(i / 7), band, row, 0], [5, 6]);
    u16::try_from(300 + 40 * row + 90 * band + word % 2_500).unwrap_or(0)
}

/// Writes a store of so many v2 patches at `root`.
pub(crate) fn write(
    root: &std::path::Path,
    patches: u32,
) -> Result<(), Box<dyn std::error::Error>> {
    use chipmill_schemas::{band, manifest, patch, patch_id, statistics};
    use chipmill_store::{PatchEncoder, PatchPixels, StoreShape, StoreWriter, UnitRow};

    let codec = manifest::Codec::default();
    let shape = StoreShape {
        patches: patches.into(),
        shard_patches: SHARD_PATCHES,
        codec,
    };
    let row = |i: u32| -> Result<patch::PatchRow, patch_id::PatchIdError> {
        let name = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP";
        let id = format!("{name}_{:02}_{:02}", i / 90, i % 90);
        Ok(patch::PatchRow::from_id(id.parse()?))
    };
    let rows = (0..patches).map(row).collect::<Result<Vec<_>, _>>()?;

    let (writer, encoder) = (StoreWriter::new(root, shape)?, PatchEncoder::new(codec));
    let mut units = Vec::new();
    for (shard, first) in (0..).zip((0..patches).step_by(SHARD_PATCHES as usize)) {
        let range = first..(first + SHARD_PATCHES).min(patches);
        let mut encoded = Vec::new();
        for row in range.clone() {
            let mut pixels = PatchPixels::zeroed();
            for band in band::Band::ALL {
                for (i, value) in pixels.band_slice_mut(band).iter_mut().enumerate() {
                    *value = pixel(row, band, i);
                }
            }
            encoded.push(encoder.encode(&pixels)?);
        }
        let ids = rows[range.start as usize..range.end as usize].iter();
        units.push(UnitRow {
            unit: shard,
            patch_ids_digest: chipmill_store::patch_ids_digest(ids.map(|row| &row.id)),
            patches: encoded.len() as u64,
            objects: writer.write_shard(shard, &encoded)?,
        });
    }

    let band = |band| statistics::BandStatistics {
        band,
        count: 1,
        mean: 2_000.0,
        std: 900.0,
        min: 300,
        p1: 400.0,
        p2: 500.0,
        p50: 2_000.0,
        p98: 3_800.0,
        p99: 4_000.0,
        max: 10_000,
        zeros: 0,
    };
    let all = statistics::SetStatistics {
        split: None,
        patches: patches.into(),
        bands: band::Band::ALL.map(band).to_vec(),
    };
    writer.finalize(&rows, &units, vec![all], &[patch_id::DatasetVersion::V2])?;
    Ok(())
}
