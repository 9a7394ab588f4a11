//! `chipmill bench read`

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use chipmill_pipeline::{KeepLast, Order, Sampler};
use chipmill_schemas::band::PATCH_BYTES;
use chipmill_schemas::manifest::Codec;
use chipmill_store::{OpenError, StoreReader, Traffic};
use clap::ValueEnum;
use serde::Serialize;

use super::cache::ShardFiles;
use super::machine::Machine;
use super::median;
use super::read_floor::Floor;
use super::reading::{Round, Slot, Stage, Work, round};
use crate::exit::Outcome;
use crate::output;

/// Patches per second from a store into memory: whole patches of 12 bands, checksums compared,
/// decompressed and converted to f32 in a batch that is filled again and again. No augmentation and
/// no queue: the most that a loader can get from this store.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill bench read --store ben.zarr                       one thread, from the file cache\n  \
    chipmill bench read --store ben.zarr --stage stored        system calls alone\n  \
    chipmill bench read --store ben.zarr --drop-cache --threads 16   from the disk\n\n\
    chips_per_cpu_s is what other work on the machine disturbs least. From a cold disk threads wait\n\
    most of the time: more threads than cores help there, and chips_per_s counts. --drop-cache\n\
    forgets the shards before every repeat and reads each patch once; disk_bytes says what really\n\
    came from storage (a hypervisor or a RAID controller may still have its own cache).")]
pub(crate) struct Args {
    /// The store.
    #[arg(long)]
    store: PathBuf,

    /// Order of the patches.
    #[arg(long, value_enum, default_value_t = OrderArg::Random)]
    order: OrderArg,

    /// Reading threads; may be more than cores.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,

    /// Patches in a batch; every thread has one of its own.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,

    /// How far a patch goes.
    #[arg(long, value_enum, default_value_t = Stage::Batch)]
    stage: Stage,

    /// How long a repeat lasts at least; whole batches are read to their end.
    #[arg(long, default_value_t = 2.0, value_name = "S")]
    seconds: f64,

    /// Repeats; one more comes first, to warm up, and is not counted.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,

    /// Seed of the random order.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Forget the shards in the system's file cache before every repeat; a repeat then reads every
    /// patch once, and nothing is read to warm up.
    #[arg(long)]
    drop_cache: bool,

    /// Read an uncompressed store through memory maps, with no copy out of the file cache. Only where
    /// nobody changes the store meanwhile: a map of a shard that is shortened can end the process.
    #[arg(long, conflicts_with_all = ["drop_cache", "stage"])]
    map: bool,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum OrderArg {
    Random,
    Sequential,
}

/// The JSON document. Rates are medians over the rounds.
#[derive(Debug, Serialize)]
struct Measured {
    chips_per_s: f64,
    chips_per_cpu_s: f64,
    /// Pixels, as the u16 they are read as.
    bytes_per_s: f64,
    /// Bytes of the shards.
    stored_bytes_per_s: f64,
    chips: usize,
    stage: Stage,
    order: OrderArg,
    seed: u64,
    threads: u16,
    batch: u16,
    drop_cache: bool,
    map: bool,
    /// Of all bytes that the rounds read, the part that came from storage.
    from_disk: Option<f64>,
    store: String,
    codec: &'static str,
    patches: usize,
    rounds: Vec<Round>,
    /// What a chip costs in its parts alone, where one thread read whole batches from the file cache.
    floor: Option<Floor>,
    /// Of that speed, the part that was reached.
    floor_reached: Option<f64>,
    /// Requests and bytes of the whole call, opening and warming up among them.
    traffic: Traffic,
    machine: Machine,
    version: &'static str,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        args.seconds.is_finite() && args.seconds >= 0.0,
        "--seconds is {}, expected a number that is not negative",
        args.seconds
    );
    let machine = Machine::this();
    anyhow::ensure!(
        !(args.drop_cache && chipmill_store::is_address(&args.store)),
        "--drop-cache forgets files of this machine; {} is none (leave --cache out instead)",
        args.store.display()
    );
    let store = args.open()?;
    let codec = store.manifest().codec;
    anyhow::ensure!(
        !args.map || (codec == Codec::None && !chipmill_store::is_address(&args.store)),
        "--map reads uncompressed stores on this machine; {} is not one (codec {}): leave it out",
        args.store.display(),
        codec.name()
    );
    let files = ShardFiles::of(&args.store)?;
    let (rounds, floors) = rounds(args, &store, &files)?;
    let measured = Measured::of(args, &store, &files, rounds, &floors, machine);
    if args.json {
        output::json(&measured)?;
    } else {
        output::result(&measured.text())?;
    }
    Ok(Outcome::Done)
}

/// Rounds, and after each what its parts cost alone, so that both meet the same machine.
fn rounds(
    args: &Args,
    store: &StoreReader,
    files: &ShardFiles,
) -> anyhow::Result<(Vec<Round>, Vec<Floor>)> {
    let mut slots: Vec<Slot> = (0..args.threads)
        .map(|_| Slot::new(args.batch.into()))
        .collect();
    let order = order(args, store);
    let mut work = Work {
        store,
        order: &order,
        stage: args.stage,
        seconds: args.seconds,
        once: false,
        next: AtomicUsize::new(0),
    };
    if args.drop_cache {
        work.once = true;
    } else {
        round(&work, &mut slots)?;
    }
    let (mut rounds, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..args.repeats {
        if args.drop_cache {
            files.forget()?;
            work.next.store(0, std::sync::atomic::Ordering::Relaxed);
        }
        rounds.push(round(&work, &mut slots)?);
        if args.has_floor() {
            floors.push(Floor::measure(store, &order, args.batch.into())?);
        }
    }
    Ok((rounds, floors))
}

impl Args {
    fn open(&self) -> Result<StoreReader, OpenError> {
        if !self.map {
            return StoreReader::open(&self.store);
        }
        #[expect(unsafe_code, reason = "a map is only as good as its file (ADR 0027)")]
        // SAFETY: that nobody changes the store is what `--map` says.
        unsafe {
            StoreReader::open_mapped(&self.store)
        }
    }

    /// Not with maps: their pixels come from memory while they are widened, in no part of its own.
    fn has_floor(&self) -> bool {
        let whole =
            self.stage == Stage::Batch && !self.drop_cache && self.threads == 1 && !self.map;
        whole && !chipmill_store::is_address(&self.store)
    }
}

fn order(args: &Args, store: &StoreReader) -> Vec<u32> {
    let rows: Arc<[u32]> = (0..u32::MAX).take(store.len()).collect();
    let order = match args.order {
        OrderArg::Random => Order::Shuffled,
        OrderArg::Sequential => Order::Sequential,
    };
    Sampler::new(rows, args.seed, order, args.batch.into(), KeepLast::Keep).epoch(0)
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "sizes of stores")]
    fn of(
        args: &Args,
        store: &StoreReader,
        files: &ShardFiles,
        rounds: Vec<Round>,
        floors: &[Floor],
        machine: Machine,
    ) -> Self {
        let chips_per_s = median(rounds.iter().map(Round::per_second));
        let stored = files.bytes as f64 / store.len().max(1) as f64;
        let chips = rounds.iter().map(|r| r.chips).sum();
        let disk = rounds.iter().map(|r| r.disk_bytes).sum::<Option<u64>>();
        let chips_per_cpu_s = median(rounds.iter().map(Round::per_cpu_second));
        let floor = (!floors.is_empty()).then(|| Floor::middle(floors));
        Self {
            chips_per_s,
            chips_per_cpu_s,
            floor,
            floor_reached: floor.map(|f| f.all_us() * chips_per_cpu_s / 1e6),
            bytes_per_s: chips_per_s * PATCH_BYTES as f64,
            stored_bytes_per_s: chips_per_s * stored,
            chips,
            stage: args.stage,
            order: args.order,
            seed: args.seed,
            threads: args.threads,
            batch: args.batch,
            drop_cache: args.drop_cache,
            map: args.map,
            from_disk: disk
                .filter(|_| files.bytes > 0)
                .map(|disk| disk as f64 / (stored * chips as f64).max(1.0)),
            store: args.store.display().to_string(),
            codec: store.manifest().codec.name(),
            patches: store.len(),
            rounds,
            traffic: Traffic::so_far(),
            machine,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    fn text(&self) -> String {
        let from = match self.from_disk {
            Some(part) => format!("{:.0} % of the bytes from storage", part * 100.0),
            None => "from the cache or the disk: not told here".to_owned(),
        };
        let rate = |value: f64| format!("{value:>12.0}");
        let gigabytes = |value: f64| format!("{:>12.2}", value / 1e9);
        let spread = |f: fn(&Round) -> f64| {
            let values = self.rounds.iter().map(f);
            let (low, high) = values.fold((f64::MAX, 0.0), |(low, high): (f64, f64), v| {
                (low.min(v), high.max(v))
            });
            format!("({low:.0} to {high:.0})")
        };
        let mut lines = vec![
            format!("store      {}", self.store),
            format!(
                "           {} patches, codec {}; {from}",
                output::grouped(self.patches as u64),
                self.codec
            ),
            format!(
                "read       {} chips, {:?} order, up to {:?}, {} thread(s), batch {}",
                output::grouped(self.chips as u64),
                self.order,
                self.stage,
                self.threads,
                self.batch
            )
            .to_lowercase(),
            format!("machine    {}", self.machine.text()),
            String::new(),
            format!(
                "chips per second      {}  {}",
                rate(self.chips_per_s),
                spread(Round::per_second)
            ),
            format!(
                "chips per CPU-second  {}  {}",
                rate(self.chips_per_cpu_s),
                spread(Round::per_cpu_second)
            ),
            format!("pixels, GB/s          {}", gigabytes(self.bytes_per_s)),
            format!(
                "stored, GB/s          {}",
                gigabytes(self.stored_bytes_per_s)
            ),
        ];
        if let (Some(floor), Some(reached)) = (self.floor, self.floor_reached) {
            lines.push(floor.text(1e6 / self.chips_per_cpu_s, reached));
        }
        lines.join("\n")
    }
}
