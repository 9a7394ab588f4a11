//! `chipmill ingest`

use std::path::PathBuf;
use std::sync::Mutex;

use chipmill_ingest::{IngestError, IngestOptions, Progress};
use chipmill_schemas::ingest::{Defect, IngestSummary};
use chipmill_schemas::manifest::Codec;
use clap::ValueEnum;

use crate::exit::Outcome;
use crate::output;
use crate::progress::{Meter, say};

/// Convert raw BigEarthNet into a store, once. Sources are folders (v1 or v2) or distribution
/// archives (.tar, .tar.gz, .tar.zst: streamed, never unpacked). An interrupted ingest goes on
/// where it was when the same command is given again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill ingest BigEarthNet-S2.tar.zst --metadata metadata.parquet --store ben.zarr\n  \
    chipmill ingest BigEarthNet-v1.0 --metadata train.csv --metadata val.csv --store ben1.zarr\n\n\
    Exit code 1 means: the store is complete, but patches were quarantined or missing.")]
pub(crate) struct Args {
    /// Folders or archives.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,

    /// Where the store will be.
    #[arg(long)]
    store: PathBuf,

    /// v2 metadata.parquet, or v1 split and snow/cloud lists; may be given several times.
    #[arg(long, value_name = "FILE")]
    metadata: Vec<PathBuf>,

    /// Threads; 0 means one a core.
    #[arg(long, default_value_t = 0)]
    threads: usize,

    /// Compression of the pixels (all lossless).
    #[arg(long, value_enum, default_value_t = CodecArg::Lz4)]
    codec: CodecArg,

    /// Patches in a shard.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1024))]
    shard_patches: u32,

    /// Stop at the first defective patch instead of quarantining it.
    #[arg(long)]
    strict: bool,

    /// The source holds only a part of what the tables list: count the rest as excluded.
    #[arg(long)]
    allow_subset: bool,

    /// Take only the first N patches of the source.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CodecArg {
    Lz4,
    Zstd,
    None,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let options = IngestOptions {
        sources: args.sources.clone(),
        metadata: args.metadata.clone(),
        store: args.store.clone(),
        threads: args.threads,
        shard_patches: args.shard_patches,
        codec: match args.codec {
            CodecArg::Lz4 => Codec::Lz4,
            CodecArg::Zstd => Codec::Zstd,
            CodecArg::None => Codec::None,
        },
        strict: args.strict,
        allow_subset: args.allow_subset,
        limit: args.limit,
    };
    let stop = crate::signals::stop_flag()?;
    let progress = Shown {
        meter: Meter::new("patches"),
        defects: Mutex::new(0),
    };
    let result = chipmill_ingest::ingest(&options, &stop, &progress);
    progress.meter.finish();
    let summary = match result {
        Err(IngestError::Interrupted { .. }) => {
            say("interrupted; the same command goes on from here");
            return Ok(Outcome::Stopped);
        }
        other => other?,
    };
    if args.json {
        output::json(&summary)?;
    } else {
        output::result(&text(&summary, args))?;
    }
    Ok(if summary.has_defects() {
        Outcome::Defects
    } else {
        Outcome::Done
    })
}

struct Shown {
    meter: Meter,
    defects: Mutex<u64>,
}

impl Progress for Shown {
    fn stage(&self, name: &str) {
        self.meter.message(name.to_owned());
    }

    fn total(&self, patches: Option<u64>) {
        self.meter.total(patches);
    }

    fn advance(&self, patches: u64, _bytes: u64) {
        self.meter.advance(patches);
    }

    fn defect(&self, defect: &Defect) {
        let mut seen = self
            .defects
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *seen += 1;
        match *seen {
            1..=20 => self.meter.line(&format!("quarantined {}", line(defect))),
            21 => self
                .meter
                .line("more are quarantined; the summary lists them (--json: all)"),
            _ => {}
        }
    }
}

fn line(defect: &Defect) -> String {
    match defect.band {
        Some(band) => format!("{} {band}: {}", defect.patch, defect.reason),
        None => format!("{}: {}", defect.patch, defect.reason),
    }
}

fn text(summary: &IngestSummary, args: &Args) -> String {
    let mut lines = vec![
        format!("store        {}", args.store.display()),
        format!("patches      {}", output::grouped(summary.patches)),
        format!("quarantined  {}", output::grouped(summary.quarantined)),
        format!("missing      {}", output::grouped(summary.missing)),
        format!("excluded     {}", output::grouped(summary.excluded)),
        format!("shards       {}", output::grouped(summary.shards)),
        format!("read         {}", output::bytes(summary.bytes_in)),
        format!("written      {}", output::bytes(summary.bytes_out)),
        format!(
            "time         {:.1} s, {:.1} s of CPU, {:.0} patches/s",
            summary.seconds, summary.cpu_seconds, summary.patches_per_s
        ),
    ];
    lines.extend(
        summary
            .defects
            .iter()
            .take(20)
            .map(|d| format!("quarantined: {}", line(d))),
    );
    lines.extend(
        summary
            .missing_ids
            .iter()
            .take(20)
            .map(|id| format!("missing: {id}")),
    );
    lines.extend(summary.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}
