//! The `chipmill` command: parse, resolve the configuration, call a crate, show progress, choose the
//! exit code. One file (or folder) a command; all real work is in the member crates.

mod afar;
mod bench;
mod cli;
#[cfg(feature = "train")]
mod compare;
mod completions;
mod doctor;
#[cfg(feature = "train")]
mod embed;
#[cfg(any(feature = "ingest", feature = "train"))]
mod emit;
mod exit;
#[cfg(feature = "train")]
mod export;
#[cfg(feature = "train")]
mod import;
#[cfg(feature = "ingest")]
mod ingest;
mod inspect;
mod output;
mod painter;
#[cfg(feature = "train")]
mod pretrain;
mod preview;
#[cfg(feature = "train")]
mod probe;
#[cfg(any(feature = "ingest", feature = "train"))]
mod progress;
mod report;
#[cfg(feature = "ingest")]
mod sample;
mod schema;
mod signals;
#[cfg(feature = "train")]
mod tasks;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use exit::Outcome;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.start_logging();
    let result = cli.afar.apply().and_then(|()| run(cli.command));
    afar::report();
    match result {
        Ok(outcome) => outcome.code(),
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::talk(&format!("error: {error:#}"));
            exit::code_of(&error)
        }
    }
}

fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        #[cfg(feature = "ingest")]
        Command::Sample(args) => sample::run(&args),
        #[cfg(feature = "ingest")]
        Command::Ingest(args) => ingest::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Preview(args) => preview::run(&args),
        #[cfg(feature = "train")]
        Command::Pretrain(args) => pretrain::run(&args),
        #[cfg(feature = "train")]
        Command::Probe(args) => probe::run(&args),
        #[cfg(feature = "train")]
        Command::Compare(args) => compare::run(&args),
        #[cfg(feature = "train")]
        Command::Embed(args) => embed::run(&args),
        #[cfg(feature = "train")]
        Command::Export(args) => export::run(&args),
        #[cfg(feature = "train")]
        Command::Import(args) => import::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}
