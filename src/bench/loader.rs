//! `chipmill bench loader`

use std::path::PathBuf;

use anyhow::Context;
use chipmill_pipeline::{Batch, KeepLast, Loader, LoaderSpec, LoaderStats, Mixing, Order, Sampler};
use chipmill_schemas::augment::Preset;
use chipmill_schemas::config::{LoaderConfig, OrderKind, ViewConfig};
use chipmill_store::{StoreReader, Traffic};
use serde::Serialize;

use super::bandwidth::{Bandwidth, bandwidth};
use super::clock::Clock;
use super::machine::Machine;
use super::{BandsArg, TypeArg, median, simd_path};
use crate::exit::Outcome;
use crate::output;

/// Batches per second from a store, as training would take them: read, decoded, augmented and put
/// into batches by worker threads, with a consumer that does nothing but drop them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill bench loader --store ben.zarr                     preset notes, all cores\n  \
    chipmill bench loader --store ben.zarr --preset simclr --side 64 --workers 2\n  \
    chipmill bench loader --store ben.zarr --batches 20 --digest   the bytes, as a digest\n\n\
    The digest is a function of store, preset, bands, side, batch size, batches and seed: it must be\n\
    the same for any number of workers, any memory and any processor.")]
pub(crate) struct Args {
    /// The store.
    #[arg(long)]
    store: PathBuf,

    /// Which augmentations: notes, simclr, peers or none.
    #[arg(long, default_value_t = Preset::Notes, alias = "policy")]
    preset: Preset,

    /// The bands of a view.
    #[arg(long, value_enum, default_value_t = BandsArg::All)]
    bands: BandsArg,

    /// Side of a view in pixels.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(8..=240))]
    side: u32,

    /// Patches in a batch; all of the store when it has fewer.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: u32,

    /// Type of the values.
    #[arg(long, value_enum, default_value_t = TypeArg::F32)]
    dtype: TypeArg,

    /// Vector instructions: auto, avx512, avx2 or scalar. All give the same bytes.
    #[arg(long, default_value = "auto", value_name = "PATH")]
    simd: String,

    /// Shuffle in pages of so many neighbouring patches, for slow disks; 0 shuffles all patches.
    #[arg(long, default_value_t = 0, value_name = "PATCHES")]
    pages: u32,

    /// Pages that are mixed at a time.
    #[arg(long, default_value_t = 512, requires = "pages")]
    window: u32,

    /// Worker threads; 0 lets the loader find their number.
    #[arg(long, default_value_t = 0)]
    workers: usize,

    /// Memory for everything in flight, in MiB.
    #[arg(long, default_value_t = 1024, value_name = "MIB")]
    memory: usize,

    /// Batches that are measured; as many come before them, to warm up.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    batches: u64,

    /// Rounds, each of the same batches from a loader of its own.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,

    /// Seed of order and augmentation.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Make a BLAKE3 digest of the first so many batches of a round, and hold the rounds' digests
    /// against one another.
    #[arg(long)]
    digest: bool,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// One round.
#[derive(Debug, Clone, Serialize)]
struct Round {
    wall_s: f64,
    cpu_s: f64,
    digest: Option<String>,
    stats: LoaderStats,
}

/// The JSON document. Rates are medians over the rounds, all else is of the last one.
#[derive(Debug, Serialize)]
struct Measured {
    views_per_s: f64,
    views_per_cpu_s: f64,
    chips_per_s: f64,
    bytes_in_flight_max: usize,
    bottleneck: &'static str,
    digest: Option<String>,
    preset: Preset,
    bands: usize,
    side: u32,
    batch_size: usize,
    batches: u64,
    dtype: TypeArg,
    simd: &'static str,
    /// Pairs of one shard in a batch, relative to a uniform shuffle of all patches; 1 where there are
    /// none to be had.
    same_shard_pairs: f64,
    workers: usize,
    read_ahead: usize,
    seed: u64,
    store: String,
    /// What as many threads as there are workers can do with memory.
    bandwidth: Bandwidth,
    view_bytes: usize,
    /// Bytes of views written in a second, relative to what these threads could write if they did
    /// nothing else.
    write_share: f64,
    rounds: Vec<Round>,
    /// Requests and bytes of the whole call.
    traffic: Traffic,
    machine: Machine,
    version: &'static str,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let machine = Machine::this();
    let store = StoreReader::open(&args.store)?;
    let spec = spec(args, &store)?;
    let rounds = (0..args.repeats).map(|_| round(args, &store, &spec));
    let rounds = rounds.collect::<anyhow::Result<Vec<_>>>()?;
    let last = rounds.last().context("no round")?;
    let differs = rounds.iter().find(|round| round.digest != last.digest);
    anyhow::ensure!(
        differs.is_none(),
        "{}: two rounds of the same batches have different digests, {:?} and {:?}: this is a defect \
         of chipmill or of this machine, please report it",
        args.store.display(),
        last.digest,
        differs.and_then(|round| round.digest.as_ref()),
    );
    let mixing = mixing(&store, &spec);
    let measured = Measured::of(args, &spec, &rounds, (last, mixing), machine);
    if args.json {
        output::json(&measured)?;
    } else {
        output::result(&measured.text(last))?;
    }
    Ok(Outcome::Done)
}

fn spec(args: &Args, store: &StoreReader) -> anyhow::Result<LoaderSpec> {
    anyhow::ensure!(
        !store.is_empty(),
        "{}: the store holds no patch",
        args.store.display()
    );
    let view = ViewConfig {
        bands: args.bands.choice(),
        side: args.side,
        preset: args.preset,
        dtype: args.dtype.choice(),
        ..ViewConfig::default()
    };
    let loader = LoaderConfig {
        order: if args.pages == 0 {
            OrderKind::Uniform
        } else {
            OrderKind::Pages
        },
        page_patches: args.pages.max(1),
        window_pages: args.window.max(1),
        ..LoaderConfig::default()
    };
    let rows = (0..u32::MAX).take(store.len()).collect();
    Ok(LoaderSpec {
        batch_size: store.len().min(args.batch_size as usize),
        workers: args.workers,
        budget_bytes: args.memory << 20,
        seed: args.seed,
        order: Order::of(&loader),
        simd: Some(simd_path(&args.simd)?),
        keep_last: KeepLast::Drop,
        ..LoaderSpec::new(rows, view)
    })
}

/// How an epoch's order mixes the patches of a shard.
fn mixing(store: &StoreReader, spec: &LoaderSpec) -> f64 {
    let rows = std::sync::Arc::clone(&spec.rows);
    let sampler = Sampler::new(rows, spec.seed, spec.order, spec.batch_size, spec.keep_last);
    let shard = store.manifest().shard_patches.max(1);
    Mixing::of(&sampler.epoch(0), spec.batch_size, |row| row / shard).ratio()
}

/// The first batches of a loader warm it up, memory that is written for the first time above all, and
/// give the digest; as many after them are measured.
fn round(args: &Args, store: &StoreReader, spec: &LoaderSpec) -> anyhow::Result<Round> {
    let mut loader = Loader::start(store.clone(), spec.clone())?;
    let mut hasher = args.digest.then(blake3::Hasher::new);
    for _ in 0..args.batches {
        let batch = loader.next().context("the loader ended early")??;
        if let Some(hasher) = &mut hasher {
            take(hasher, &batch);
        }
    }
    let clock = Clock::start();
    for _ in 0..args.batches {
        loader.next().context("the loader ended early")??;
    }
    Ok(Round {
        wall_s: clock.wall(),
        cpu_s: clock.cpu(),
        digest: hasher.map(|hasher| hasher.finalize().to_hex().to_string()),
        stats: loader.stats(),
    })
}

/// Rows and values, little-endian as on all machines that this is built for.
fn take(hasher: &mut blake3::Hasher, batch: &Batch) {
    for row in batch.patches() {
        hasher.update(&row.to_le_bytes());
    }
    hasher.update(batch.bytes());
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "views of some seconds")]
    fn of(
        args: &Args,
        spec: &LoaderSpec,
        rounds: &[Round],
        (last, same_shard_pairs): (&Round, f64),
        machine: Machine,
    ) -> Self {
        let chips = args.batches as f64 * spec.batch_size as f64;
        let views = chips * spec.views as f64;
        let per = |amount: f64, seconds: fn(&Round) -> f64| {
            median(rounds.iter().map(|round| amount / seconds(round).max(1e-9)))
        };
        let bands = spec.view.bands.bands().len();
        let side = args.side as usize;
        let view_bytes = bands * side * side * spec.view.dtype.bytes();
        let views_per_s = per(views, |round| round.wall_s);
        let threads = u16::try_from(last.stats.workers).unwrap_or(u16::MAX);
        let bandwidth = bandwidth(args.repeats, threads);
        Self {
            bandwidth,
            view_bytes,
            write_share: views_per_s * view_bytes as f64 / bandwidth.write_bytes_per_s.max(1.0),
            views_per_s,
            views_per_cpu_s: per(views, |round| round.cpu_s),
            chips_per_s: per(chips, |round| round.wall_s),
            bytes_in_flight_max: last.stats.bytes_in_flight_max,
            bottleneck: last.stats.bottleneck().name(),
            digest: last.digest.clone(),
            preset: args.preset,
            bands,
            side: args.side,
            batch_size: spec.batch_size,
            batches: args.batches,
            dtype: args.dtype,
            simd: last.stats.simd,
            same_shard_pairs,
            workers: last.stats.workers,
            read_ahead: last.stats.read_ahead,
            seed: args.seed,
            store: args.store.display().to_string(),
            traffic: Traffic::so_far(),
            rounds: rounds.to_vec(),
            machine,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    fn text(&self, last: &Round) -> String {
        let mut lines = vec![
            format!("store      {}", self.store),
            format!(
                "loader     {}, 2 x {} x {} x {side} x {side} {}, {} worker(s), {}",
                self.preset,
                self.batch_size,
                self.bands,
                self.dtype.choice().name(),
                self.workers,
                self.simd,
                side = self.side
            ),
            format!("machine    {}", self.machine.text()),
            String::new(),
            format!("views per second      {:>12.0}", self.views_per_s),
            format!("views per CPU-second  {:>12.0}", self.views_per_cpu_s),
            format!("chips per second      {:>12.0}", self.chips_per_s),
            format!(
                "in flight at most, MB {:>12.0}",
                self.bytes_in_flight_max as f64 / 1e6
            ),
            format!(
                "pairs of one shard    {:>12.2}  (1: uniform)",
                self.same_shard_pairs
            ),
            format!(
                "of write bandwidth    {:>12.0} %  ({} thread(s) can write {:.1} GB/s)",
                100.0 * self.write_share,
                self.bandwidth.threads,
                self.bandwidth.write_bytes_per_s / 1e9
            ),
            String::new(),
            last.stats.summary(),
        ];
        if let Some(digest) = &self.digest {
            lines.push(format!("digest     {digest}"));
        }
        lines.join("\n")
    }
}
