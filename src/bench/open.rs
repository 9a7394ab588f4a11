//! `chipmill bench open`

use std::path::PathBuf;

use chipmill_schemas::band::Resolution;
use chipmill_store::StoreReader;
use serde::Serialize;

use super::clock::Clock;
use super::machine::{Machine, peak_memory};
use super::median;
use crate::exit::Outcome;
use crate::output;

/// Seconds and memory until a store is open: its metadata and its table checked and loaded. Shard
/// indexes are loaded when a shard is first read; how long all of them take is told as well.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example, with tables and indexes as large as those of all of BigEarthNet:\n  \
    chipmill bench large big.zarr --patches 600000 && chipmill bench open --store big.zarr"
)]
pub(crate) struct Args {
    /// The store.
    #[arg(long)]
    store: PathBuf,

    /// Repeats.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The JSON document. Memory is the most that the process has had resident, in bytes.
#[derive(Debug, Serialize)]
struct Measured {
    /// Median wall time.
    open_s: f64,
    open_cpu_s: f64,
    /// Of the first of the repeats, in a fresh process.
    first_open_s: f64,
    /// Before anything was opened.
    memory_before: Option<u64>,
    /// After the first opening.
    memory_open: Option<u64>,
    /// To load the index of every shard.
    indexes_s: f64,
    /// With the index of every shard.
    memory_indexes: Option<u64>,
    patches: usize,
    shards: usize,
    store: String,
    machine: Machine,
    version: &'static str,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let measured = measure(args)?;
    if args.json {
        output::json(&measured)?;
    } else {
        output::result(&measured.text())?;
    }
    Ok(Outcome::Done)
}

/// Memory comes first: what is freed by a later repeat was still taken.
fn measure(args: &Args) -> anyhow::Result<Measured> {
    let machine = Machine::this();
    let memory_before = peak_memory();
    let clock = Clock::start();
    let store = StoreReader::open(&args.store)?;
    let first_open_s = clock.wall();
    let memory_open = peak_memory();
    let clock = Clock::start();
    let shards = load_indexes(&store)?;
    let (indexes_s, memory_indexes) = (clock.wall(), peak_memory());
    let patches = store.len();
    drop(store);
    let open = |_| -> anyhow::Result<(f64, f64)> {
        let clock = Clock::start();
        let store = StoreReader::open(&args.store)?;
        let times = (clock.wall(), clock.cpu());
        drop(store);
        Ok(times)
    };
    let times: Vec<_> = (0..args.repeats).map(open).collect::<Result<_, _>>()?;
    Ok(Measured {
        open_s: median(times.iter().map(|t| t.0)),
        open_cpu_s: median(times.iter().map(|t| t.1)),
        first_open_s,
        memory_before,
        memory_open,
        indexes_s,
        memory_indexes,
        patches,
        shards,
        store: args.store.display().to_string(),
        machine,
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Reads one chunk of every shard, which loads its index; gives the number of shards.
fn load_indexes(store: &StoreReader) -> anyhow::Result<usize> {
    let (mut shards, mut chunk) = (0, Vec::new());
    let firsts = (0..u32::MAX).take(store.len());
    for first in firsts.step_by(store.manifest().shard_patches as usize) {
        for resolution in Resolution::ALL {
            store.read_stored(first, resolution, &mut chunk)?;
            shards += 1;
        }
    }
    Ok(shards)
}

impl Measured {
    fn text(&self) -> String {
        let memory = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), output::bytes);
        [
            format!("store      {}", self.store),
            format!(
                "           {} patches in {} shards",
                output::grouped(self.patches as u64),
                output::grouped(self.shards as u64)
            ),
            format!("machine    {}", self.machine.text()),
            String::new(),
            format!(
                "open                  {:>9.3} s   (first {:.3} s, CPU {:.3} s)",
                self.open_s, self.first_open_s, self.open_cpu_s
            ),
            format!("index of every shard  {:>9.3} s", self.indexes_s),
            format!(
                "memory, at most       {:>11}   (with every index {}, before opening {})",
                memory(self.memory_open),
                memory(self.memory_indexes),
                memory(self.memory_before)
            ),
        ]
        .join("\n")
    }
}
