//! A tiny world: a store with class-dependent textures, and a configuration that trains in seconds.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint does not recognise as such"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use chipmill_schemas::band::Band;
use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::label::{LabelSet, Nomenclature};
use chipmill_schemas::manifest::Codec;
use chipmill_schemas::patch::{PatchRow, Split};
use chipmill_schemas::patch_id::DatasetVersion;
use chipmill_schemas::probe::{ProbeConfig, ProbeReport};
use chipmill_schemas::run::{MetricsRow, RunStatus};
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use chipmill_schemas::task::Task;
use chipmill_store::{PatchEncoder, PatchPixels, StoreReader, StoreShape, StoreWriter, UnitRow};
use chipmill_train::TrainError;
use chipmill_train::pretrain::Pretrain;
use chipmill_train::probe::{Probe, ProbeTarget};
use chipmill_train::run_dir::RunDir;
use chipmill_train::trainer::TrainProgress;

pub(crate) const CLASSES: [&str; 4] = ["Airports", "Bare rock", "Burnt areas", "Dump sites"];

/// A temporary folder with a store in it.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: StoreReader,
    /// Tasks from files.
    pub(crate) tasks: Vec<Task>,
}

/// How the store is made.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) patches: usize,
    pub(crate) split: bool,
    pub(crate) labels: bool,
    pub(crate) seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            patches: 48,
            split: false,
            labels: true,
            seed: 1,
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Recipe::default())
    }

    pub(crate) fn with(recipe: Recipe) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = write_store(&folder.path().join("store"), recipe);
        Self {
            folder,
            store,
            tasks: Vec::new(),
        }
    }

    /// The usual patches under rows of one's own.
    pub(crate) fn of_rows(rows: &[PatchRow], seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = write_rows(&folder.path().join("store"), rows, seed);
        Self {
            folder,
            store,
            tasks: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start(
        &self,
        run: &str,
        config: &PretrainConfig,
    ) -> Result<RunStatus, TrainError> {
        self.start_until(run, config, u64::MAX)
    }

    /// Raises the stop flag when `stop_at` steps are done.
    pub(crate) fn start_until(
        &self,
        run: &str,
        config: &PretrainConfig,
        stop_at: u64,
    ) -> Result<RunStatus, TrainError> {
        let watcher = Watcher::new(stop_at);
        self.pretrain(&self.path(run), &watcher).start(config)
    }

    pub(crate) fn resume(
        &self,
        run: &str,
        asked: Option<&PretrainConfig>,
    ) -> Result<RunStatus, TrainError> {
        self.resume_until(run, asked, u64::MAX)
    }

    pub(crate) fn resume_until(
        &self,
        run: &str,
        asked: Option<&PretrainConfig>,
        stop_at: u64,
    ) -> Result<RunStatus, TrainError> {
        let watcher = Watcher::new(stop_at);
        self.pretrain(&self.path(run), &watcher).resume(asked)
    }

    pub(crate) fn pretrain<'a>(&'a self, run: &'a Path, watcher: &'a Watcher) -> Pretrain<'a> {
        Pretrain {
            store: &self.store,
            run,
            device: "cpu",
            tasks: &self.tasks,
            weights: None,
            probe: None,
            progress: watcher,
            stop: &watcher.stop,
        }
    }

    /// Scores run `a` beside its controls.
    pub(crate) fn probe(
        &self,
        target: &ProbeTarget,
        config: &ProbeConfig,
    ) -> Result<ProbeReport, TrainError> {
        let probe = Probe {
            store: &self.store,
            run: &self.path("a"),
            device: "cpu",
            controls: true,
            stop: &AtomicBool::new(false),
        };
        probe.score(target, config)
    }

    pub(crate) fn run(&self, run: &str) -> RunDir {
        RunDir::open(&self.path(run)).unwrap()
    }

    /// Losses by step, the last row of a step counting, as bits.
    pub(crate) fn losses(&self, run: &str) -> Vec<(u64, u64)> {
        let rows = self.run(run).metrics().unwrap();
        let by_step: std::collections::BTreeMap<u64, u64> = rows
            .iter()
            .map(|r: &MetricsRow| (r.step, r.loss.to_bits()))
            .collect();
        by_step.into_iter().collect()
    }
}

/// Sees every step, and raises the stop flag at one.
pub(crate) struct Watcher {
    pub(crate) stop: AtomicBool,
    stop_at: u64,
}

impl Watcher {
    pub(crate) fn new(stop_at: u64) -> Self {
        Self {
            stop: AtomicBool::new(false),
            stop_at,
        }
    }
}

impl TrainProgress for Watcher {
    fn step(&self, step: u64, _max_steps: u64) {
        if step >= self.stop_at {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Twelve steps of the smallest encoder, a row a step.
pub(crate) fn config() -> PretrainConfig {
    let text = r#"
        seed = 5
        max_steps = 12
        log_every_steps = 1
        checkpoint_every_steps = 5
        [view]
        side = 24
        bands = ["B02", "B03", "B04", "B08", "B11", "B01"]
        [loader]
        batch_size = 8
        workers = 2
        budget_mib = 64
        [encoder]
        kind = "small"
        width = 8
        [projection]
        hidden = 32
        output = 16
    "#;
    chipmill_schemas::config::resolve(Some(("test", text)), &[]).unwrap()
}

/// Counter-based noise in 0..1000.
fn noise(key: u64, i: usize) -> u16 {
    let mut z =
        key.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (i as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    z = (z ^ (z >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    z = (z ^ (z >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    u16::try_from((z >> 33) % 1000).unwrap()
}

/// Class `c` has stripes of its own width and direction, at a random phase, under noise.
fn pixels(class: usize, key: u64) -> PatchPixels {
    let mut pixels = PatchPixels::zeroed();
    for band in Band::ALL {
        let side = band.resolution().side();
        let metres = band.resolution().metres() as usize;
        let phase = usize::from(noise(key, 1));
        let base = 800 + noise(key, 2) / 2;
        for (i, pixel) in pixels.band_slice_mut(band).iter_mut().enumerate() {
            let (y, x) = ((i / side) * metres, (i % side) * metres);
            let along = if class.is_multiple_of(2) { x } else { y };
            let stripe = (along + phase) / (if class < 2 { 60 } else { 240 }) % 2;
            let bright = if stripe == 1 { 900 } else { 0 };
            *pixel = base + bright + noise(key ^ 77, i + band.index() * 20_000) / 4;
        }
    }
    pixels
}

pub(crate) fn write_store(root: &Path, recipe: Recipe) -> StoreReader {
    let rows: Vec<PatchRow> = (0..recipe.patches).map(|i| row(i, recipe)).collect();
    write_rows(root, &rows, recipe.seed)
}

fn write_rows(root: &Path, rows: &[PatchRow], seed: u64) -> StoreReader {
    let patches: Vec<PatchPixels> = (0..rows.len())
        .map(|i| pixels(i % CLASSES.len(), seed * 1000 + i as u64))
        .collect();
    let codec = Codec::Lz4;
    let shape = StoreShape {
        patches: rows.len() as u64,
        shard_patches: 32,
        codec,
    };
    let encoder = PatchEncoder::new(codec);
    let encoded: Vec<_> = patches.iter().map(|p| encoder.encode(p).unwrap()).collect();
    let writer = StoreWriter::new(root, shape).unwrap();
    let mut units = Vec::new();
    for (unit, chunk) in (0u64..).zip(encoded.chunks(32)) {
        let ids = rows[unit as usize * 32..]
            .iter()
            .take(chunk.len())
            .map(|r| &r.id);
        units.push(UnitRow {
            unit,
            patch_ids_digest: chipmill_store::patch_ids_digest(ids),
            patches: chunk.len() as u64,
            objects: writer.write_shard(unit, chunk).unwrap(),
        });
    }
    let mut sets = vec![statistics(None, &patches.iter().collect::<Vec<_>>())];
    for split in Split::ALL {
        let of_split = rows
            .iter()
            .zip(&patches)
            .filter(|(r, _)| r.split == Some(split));
        let of_split: Vec<_> = of_split.map(|(_, p)| p).collect();
        if !of_split.is_empty() {
            sets.push(statistics(Some(split), &of_split));
        }
    }
    writer
        .finalize(rows, &units, sets, &[DatasetVersion::V1])
        .unwrap();
    StoreReader::open(root).unwrap()
}

fn row(i: usize, recipe: Recipe) -> PatchRow {
    let id = format!("S2A_MSIL2A_20170617T113321_{}_{}", i / 90, 10 + i % 90);
    let class = Nomenclature::Clc43.index_of(CLASSES[i % 4]).unwrap();
    let other = Nomenclature::Clc43
        .index_of(["Pastures", "Sea and ocean"][i / 4 % 2])
        .unwrap();
    let labels: LabelSet = [class, other].into_iter().collect();
    let splits = [Split::Test, Split::Train, Split::Train, Split::Validation];
    PatchRow {
        split: recipe.split.then(|| splits[i / 4 % 4]),
        labels_43: recipe.labels.then_some(labels),
        labels_19: recipe.labels.then(|| labels.to_nineteen()),
        tile: Some("T29SND".to_owned()),
        ..PatchRow::from_id(id.parse().unwrap())
    }
}

/// By sorting all values: slow and plain.
fn statistics(split: Option<Split>, patches: &[&PatchPixels]) -> SetStatistics {
    let of_band = |band: Band| {
        let mut values: Vec<u16> = patches
            .iter()
            .flat_map(|p| p.band_slice(band))
            .copied()
            .collect();
        values.sort_unstable();
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = values
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n;
        let at = |p: f64| f64::from(values[((values.len() - 1) as f64 * p) as usize]);
        BandStatistics {
            band,
            count: values.len() as u64,
            mean,
            std: variance.sqrt(),
            min: values[0],
            p1: at(0.01),
            p2: at(0.02),
            p50: at(0.5),
            p98: at(0.98),
            p99: at(0.99),
            max: values[values.len() - 1],
            zeros: values.iter().filter(|&&v| v == 0).count() as u64,
        }
    };
    let bands = Band::ALL.into_iter().map(of_band).collect();
    SetStatistics {
        split,
        patches: patches.len() as u64,
        bands,
    }
}
