//! `chipmill ingest plan`, `work` and `finalize`: the unit of work, for engines.

use std::path::PathBuf;

use chipmill_ingest::IngestOptions;
use chipmill_schemas::ingest::{PlanSummary, UnitSummary};

use super::options::What;
use super::shown::Shown;
use super::{end, line, unless_interrupted};
use crate::exit::Outcome;
use crate::output;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Step {
    /// List the patches of folders and deal them out to units; a unit is one shard.
    Plan(PlanArgs),
    /// Work on units, anywhere and in any order. A finished unit is no work.
    #[command(
        after_help = "Exits 0 even when patches of the unit are defective: its record says so, \
                      and finalize exits 1. 75, 130 and 143 may be tried again."
    )]
    Work(WorkArgs),
    /// Complete the store when all units are finished.
    Finalize(FinalizeArgs),
    /// Print job files of a planned ingest, for an engine.
    Emit(Box<super::emit::EmitArgs>),
}

#[derive(Debug, clap::Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Args)]
pub(super) struct WorkArgs {
    /// The planned store.
    #[arg(long)]
    store: PathBuf,

    /// Numbers of the units, from 0.
    #[arg(long, required = true, value_name = "K", value_delimiter = ',', num_args = 1..)]
    unit: Vec<u64>,

    /// K counts tasks of N units each, so that an array's index may stand for several: units K x N to
    /// K x N + N - 1. The last task may be shorter.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    units_per_task: u64,

    /// Threads; 0 means one a core.
    #[arg(long, default_value_t = 0)]
    threads: usize,

    /// Print one JSON document: a list with one element a unit.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct FinalizeArgs {
    /// The planned store.
    #[arg(long)]
    store: PathBuf,

    /// Threads for units that must be dealt out anew; 0 means one a core.
    #[arg(long, default_value_t = 0)]
    threads: usize,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(step: &Step) -> anyhow::Result<Outcome> {
    match step {
        Step::Plan(args) => plan(args),
        Step::Work(args) => work(args),
        Step::Finalize(args) => finalize(args),
        Step::Emit(args) => super::emit::run(args),
    }
}

fn plan(args: &PlanArgs) -> anyhow::Result<Outcome> {
    let options = args.what.options();
    let (stop, shown) = (crate::signals::stop_flag()?, Shown::new());
    let result = chipmill_ingest::plan(&options, &stop, &shown);
    shown.finish();
    let Some(plan) = unless_interrupted(result)? else {
        return Ok(Outcome::Stopped);
    };
    if args.what.json {
        output::json(&plan)?;
    } else {
        output::result(&plan_text(&plan, &options))?;
    }
    Ok(Outcome::Done)
}

fn plan_text(plan: &PlanSummary, options: &IngestOptions) -> String {
    let mut lines = vec![
        format!("store        {}", options.store.display()),
        format!("units        {}", output::grouped(plan.units)),
        format!("patches      {}", output::grouped(plan.patches)),
        format!("quarantined  {}", output::grouped(plan.quarantined)),
        format!("excluded     {}", output::grouped(plan.excluded)),
    ];
    lines.extend(plan.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn work(args: &WorkArgs) -> anyhow::Result<Outcome> {
    let (stop, shown) = (crate::signals::stop_flag()?, Shown::new());
    let size = args.units_per_task;
    let units = args.unit.iter().map(|task| {
        let start = task.saturating_mul(size);
        start..start.saturating_add(size)
    });
    let units: Vec<_> = units.collect();
    let result = chipmill_ingest::work(&args.store, &units, args.threads, &stop, &shown);
    shown.finish();
    let Some(done) = unless_interrupted(result)? else {
        return Ok(Outcome::Stopped);
    };
    if args.json {
        output::json(&done)?;
    } else {
        let lines: Vec<_> = done.iter().flat_map(unit_lines).collect();
        output::result(&lines.join("\n"))?;
    }
    Ok(Outcome::Done)
}

fn unit_lines(unit: &UnitSummary) -> Vec<String> {
    let before = if unit.was_finished {
        ", finished before"
    } else {
        ""
    };
    let mut lines = vec![format!(
        "unit {}: {} patches, {} written{before}",
        unit.unit,
        unit.patches,
        output::bytes(unit.bytes_out)
    )];
    let defects = unit.defects.iter();
    lines.extend(defects.map(|d| format!("quarantined: {}", line(d))));
    lines
}

fn finalize(args: &FinalizeArgs) -> anyhow::Result<Outcome> {
    let (stop, shown) = (crate::signals::stop_flag()?, Shown::new());
    let result = chipmill_ingest::finalize(&args.store, args.threads, &stop, &shown);
    shown.finish();
    end(result, &args.store, args.json)
}
