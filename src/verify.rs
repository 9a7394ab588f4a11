//! `chipmill verify`

use std::path::PathBuf;

use crate::exit::Outcome;
use crate::output;

/// Check a store: the digest of every object, the checksum of every chunk, and that all tables
/// agree. Exit code 1 when something is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store.
    store: PathBuf,

    /// Threads; 0 means one a core.
    #[arg(long, default_value_t = 0)]
    threads: usize,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let report = chipmill_store::verify(&args.store, args.threads)?;
    if args.json {
        output::json(&report)?;
    } else {
        let mut lines: Vec<String> = report
            .defects
            .iter()
            .map(|d| match &d.patch {
                Some(patch) => format!("{} (patch {patch}): {}", d.object, d.reason),
                None => format!("{}: {}", d.object, d.reason),
            })
            .collect();
        lines.push(format!(
            "{}: {} patches and {} objects checked ({}), {} defects",
            if report.ok { "sound" } else { "DEFECTIVE" },
            output::grouped(report.patches),
            output::grouped(report.objects),
            output::bytes(report.bytes),
            report.defects.len()
        ));
        output::result(&lines.join("\n"))?;
    }
    Ok(if report.ok {
        Outcome::Done
    } else {
        Outcome::Defects
    })
}
