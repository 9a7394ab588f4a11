//! `chipmill ingest`

mod emit;
mod options;
mod shown;
mod units;

use std::path::Path;

use chipmill_ingest::IngestError;
use chipmill_schemas::ingest::{Defect, IngestSummary};

use crate::exit::Outcome;
use crate::output;
use crate::progress::say;
use options::What;
use shown::Shown;

/// Convert raw BigEarthNet into a store, once. Sources are folders (v1 or v2) or distribution
/// archives (.tar, .tar.gz, .tar.zst, the parts of a split one in order, - for standard input:
/// streamed, never unpacked); v2's reference maps, a folder or an archive too, give the 43 classes, and
/// Sentinel-1, a folder or an archive of either version, comes to lie beside its patches.
/// An interrupted ingest goes on where it was when the same command is given again.
///
/// For engines, `plan`, `work` and `finalize` do the same in steps: plan once, work on each unit
/// anywhere and in any order, finalize once; `emit` prints job files for Slurm and Kubernetes. (A folder
/// named so is given as ./plan.)
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  \
    chipmill ingest BigEarthNet-S2.tar.zst --metadata metadata.parquet --store ben.zarr\n  \
    chipmill ingest BigEarthNet-S2 Reference_Maps.tar.zst --metadata metadata.parquet \\\n    \
        --country Austria,Ireland --exclude-snow --store alps.zarr\n  \
    chipmill ingest BigEarthNet-S2 BigEarthNet-S1.tar.zst --metadata metadata.parquet --store s1s2.zarr\n  \
    chipmill ingest BigEarthNet-v1.0 --metadata train.csv --metadata val.csv --store ben1.zarr\n\n\
    Exit code 1 means: the store is complete, but patches were quarantined or missing."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    step: Option<units::Step>,

    #[command(flatten)]
    what: What,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    chipmill_ingest::share_heap();
    if let Some(step) = &args.step {
        return units::run(step);
    }
    let options = args.what.options();
    let stop = crate::signals::stop_flag()?;
    let shown = Shown::new();
    let result = chipmill_ingest::ingest(&options, &stop, &shown);
    shown.finish();
    end(result, &options.store, args.what.json)
}

/// Shows the summary of an ingest and chooses the exit code.
fn end(
    result: Result<IngestSummary, IngestError>,
    store: &Path,
    json: bool,
) -> anyhow::Result<Outcome> {
    let Some(summary) = unless_interrupted(result)? else {
        return Ok(Outcome::Stopped);
    };
    if json {
        output::json(&summary)?;
    } else {
        output::result(&text(&summary, store))?;
    }
    Ok(if summary.has_defects() {
        Outcome::Defects
    } else {
        Outcome::Done
    })
}

fn unless_interrupted<T>(result: Result<T, IngestError>) -> anyhow::Result<Option<T>> {
    match result {
        Err(IngestError::Interrupted { .. }) => {
            say("interrupted; the same command goes on from here");
            Ok(None)
        }
        other => Ok(Some(other?)),
    }
}

fn line(defect: &Defect) -> String {
    match defect.band {
        Some(band) => format!("{} {band}: {}", defect.patch, defect.reason),
        None => format!("{}: {}", defect.patch, defect.reason),
    }
}

fn text(summary: &IngestSummary, store: &Path) -> String {
    let mut lines = vec![
        format!("store        {}", store.display()),
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
    if let Some(s1) = &summary.s1 {
        let [present, defective, missing, excluded] = [
            s1.s1_patches,
            s1.s1_quarantined,
            s1.s1_missing,
            s1.s1_excluded,
        ]
        .map(output::grouped);
        lines.push(format!(
            "Sentinel-1   {present}, quarantined {defective}, missing {missing}, excluded {excluded}, \
             {} read, {} written",
            output::bytes(s1.s1_bytes_in),
            output::bytes(s1.s1_bytes_out)
        ));
        lines.extend(first(&s1.s1_defects, "Sentinel-1 quarantined", line));
        lines.extend(first(
            &s1.s1_missing_ids,
            "Sentinel-1 missing",
            String::clone,
        ));
    }
    lines.extend(first(&summary.defects, "quarantined", line));
    lines.extend(first(&summary.missing_ids, "missing", String::clone));
    lines.extend(summary.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

/// The first twenty of a list, and how many there are besides.
fn first<T>(items: &[T], kind: &str, line: fn(&T) -> String) -> Vec<String> {
    const SHOWN: usize = 20;
    let mut lines: Vec<_> = items
        .iter()
        .take(SHOWN)
        .map(|item| format!("{kind}: {}", line(item)))
        .collect();
    if items.len() > SHOWN {
        let rest = output::grouped((items.len() - SHOWN) as u64);
        lines.push(format!("{kind}: and {rest} more (--json lists all)"));
    }
    lines
}
