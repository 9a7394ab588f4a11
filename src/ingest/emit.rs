//! `chipmill ingest emit`: the units of a planned ingest as jobs.

use std::path::PathBuf;

use crate::emit::{self, Engine, Steps, absolute};
use crate::exit::Outcome;

#[derive(Debug, clap::Args)]
pub(super) struct EmitArgs {
    /// The planned store.
    #[arg(long, global = true, value_name = "STORE")]
    store: Option<PathBuf>,

    /// Units of one task. A unit takes about a second of processor time, so that several make better use of a
    /// job that takes as long to start; and Slurm's arrays end at 1,000 indices unless configured otherwise.
    #[arg(long, global = true, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    units_per_task: u64,

    /// Threads of a task; 0 means one a core that it may use.
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    threads: usize,

    #[command(subcommand)]
    engine: Engine,
}

pub(super) fn run(args: &EmitArgs) -> anyhow::Result<Outcome> {
    let Some(store) = &args.store else {
        anyhow::bail!("name the planned store: --store STORE");
    };
    let plan = chipmill_ingest::planned(store)?;
    let path = absolute(store)?;
    let (size, threads) = (args.units_per_task.to_string(), args.threads.to_string());
    let words = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
    let work = [
        "ingest",
        "work",
        "--store",
        &path,
        "--threads",
        &threads,
        "--units-per-task",
        &size,
        "--unit",
    ];
    let steps = Steps {
        kind: "ingest",
        title: format!("ingest of {path}, {} units", plan.units),
        tasks: plan.units.div_ceil(args.units_per_task),
        work: words(&work),
        finalize: words(&[
            "ingest",
            "finalize",
            "--store",
            &path,
            "--threads",
            &threads,
        ]),
        paths: vec![PathBuf::from(&path)],
    };
    emit::run(&args.engine, &steps)
}
