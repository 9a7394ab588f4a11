//! What the user may type: the commands and the flags they share.

use clap::{ArgAction, Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

/// BigEarthNet, end to end: convert it once into a Zarr store, stream augmented batches from it,
/// pretrain encoders on it, and say how good they are.
///
/// The result goes to stdout (one JSON document with --json), talk to stderr.
/// Exit codes: 0 done; 1 done, but the data has defects; 2 usage, configuration, environment or
/// failure; 75 try again later; 130 interrupted; 143 terminated.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// Say more on stderr (-v: what is done, -vv: details).
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,

    /// Say nothing on stderr but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    #[command(flatten)]
    pub(crate) afar: crate::afar::Args,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a synthetic raw data set in the official layout.
    #[cfg(feature = "ingest")]
    Sample(crate::sample::Args),
    /// Convert raw BigEarthNet (folders or archives, v1 or v2) into a store.
    #[cfg(feature = "ingest")]
    Ingest(Box<crate::ingest::Args>),
    /// Show what a store holds: counts, splits, labels, statistics.
    Inspect(crate::inspect::Args),
    /// Check every checksum and every table of a store.
    Verify(crate::verify::Args),
    /// Draw patches and their augmented views into a PNG.
    Preview(crate::preview::Args),
    /// Pretrain an encoder on a store: SimCLR, DCL or weighted DCL.
    #[cfg(feature = "train")]
    Pretrain(crate::pretrain::Args),
    /// Score a pretrained encoder, beside controls, by a classifier on its frozen features.
    #[cfg(feature = "train")]
    Probe(crate::probe::Args),
    /// Write the features of a pretrained encoder into a safetensors or Parquet file.
    #[cfg(feature = "train")]
    Embed(crate::embed::Args),
    /// Write the weights of a pretrained encoder with torchvision's and timm's names.
    #[cfg(feature = "train")]
    Export(crate::export::Args),
    /// Make a run folder of encoder weights from elsewhere, to be probed or embedded with.
    #[cfg(feature = "train")]
    Import(crate::import::Args),
    /// Run an experiment, arms x seeds, and judge it with statistics.
    #[cfg(feature = "train")]
    Compare(Box<crate::compare::Args>),
    /// Write the HTML report of a run or a comparison, or serve it while it is at work.
    Report(crate::report::Args),
    /// Measure this machine: reading, augmenting, loading, opening, training.
    Bench(crate::bench::Args),
    /// Print versions, features, drivers, devices and formats.
    Doctor(crate::doctor::Args),
    /// Print the JSON Schema of a configuration or a result.
    Schema(crate::schema::Args),
    /// Print shell completions.
    Completions(crate::completions::Args),
}

impl Cli {
    /// Sends the libraries' log lines to stderr, as loud as asked.
    pub(crate) fn start_logging(&self) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::ERROR,
            (false, 0) => LevelFilter::WARN,
            (false, 1) => LevelFilter::INFO,
            (false, _) => LevelFilter::DEBUG,
        };
        #[cfg(any(feature = "ingest", feature = "train"))]
        crate::progress::set_quiet(self.quiet);
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_max_level(level)
            .with_target(false)
            .without_time()
            .init();
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
