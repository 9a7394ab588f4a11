//! Patches in memory, to render views of.

use std::path::Path;

use anyhow::Context;
use chipmill_pipeline::philox;
use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use chipmill_store::{PatchPixels, StoreReader};

/// So many that their pixels (10 MB) lie in no cache that is a core's own.
pub(crate) const CHIPS: u32 = 64;

/// Some patches and what their bands are scaled by.
pub(crate) struct Chips {
    name: String,
    pixels: Vec<PatchPixels>,
    statistics: SetStatistics,
}

impl Chips {
    /// The first patches of a store.
    pub(crate) fn of_store(path: &Path) -> anyhow::Result<Self> {
        let store = StoreReader::open(path)?;
        anyhow::ensure!(
            !store.is_empty(),
            "{}: the store holds no patch",
            path.display()
        );
        let rows = (0..CHIPS).take(store.len());
        let read = |row| {
            let mut pixels = PatchPixels::zeroed();
            store.read(row, &Resolution::ALL, &mut pixels)?;
            anyhow::Ok(pixels)
        };
        let pixels = rows.map(read).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            name: format!("the first {} of {}", pixels.len(), path.display()),
            statistics: store
                .statistics(None)
                .with_context(|| format!("{}: the store has no statistics", path.display()))?
                .clone(),
            pixels,
        })
    }

    /// Digital numbers uniform in 500 .. 3,500. What a view costs does not depend on them.
    pub(crate) fn synthetic() -> Self {
        Self {
            name: format!("{CHIPS} synthetic ones"),
            pixels: (0..CHIPS).map(noise).collect(),
            statistics: SetStatistics {
                split: None,
                patches: u64::from(CHIPS),
                bands: Band::ALL.into_iter().map(uniform).collect(),
            },
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn statistics(&self) -> &SetStatistics {
        &self.statistics
    }

    /// Chip number `index`, and its number again after the last.
    pub(crate) fn get(&self, index: u32) -> &PatchPixels {
        &self.pixels[index as usize % self.pixels.len()]
    }
}

fn noise(chip: u32) -> PatchPixels {
    let mut pixels = PatchPixels::zeroed();
    for (band, number) in Band::ALL.into_iter().zip(0_u32..) {
        for (value, i) in pixels.band_slice_mut(band).iter_mut().zip(0_u32..) {
            let [word, ..] = philox([i, number, chip, 0], [1, 2]);
            *value = u16::try_from(500 + word % 3_000).unwrap_or(0);
        }
    }
    pixels
}

fn uniform(band: Band) -> BandStatistics {
    BandStatistics {
        band,
        count: 0,
        mean: 2_000.0,
        std: 866.0,
        min: 500,
        p1: 530.0,
        p2: 560.0,
        p50: 2_000.0,
        p98: 3_440.0,
        p99: 3_470.0,
        max: 3_499,
        zeros: 0,
    }
}
