//! `chipmill compare plan`, `work`, `finalize` and `emit`: the runs of an experiment, for engines.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use chipmill_schemas::experiment::{ExperimentConfig, PlannedRun};
use chipmill_store::StoreReader;
use serde::Serialize;

use super::job::{Done, Job};
use super::place::Place;
use super::{folder, gradients, judge};
use crate::emit::{self, Engine, Steps, absolute};
use crate::exit::{Busy, Outcome};
use crate::output;
use crate::progress::{Meter, say};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Step {
    /// Make the folder of the comparison and list its runs, which are numbered from 0.
    Plan(PlanArgs),
    /// Do one run, anywhere and in any order, from wherever it stands to its score. A finished run is no
    /// work.
    #[command(
        after_help = "Exits 0 even when the run diverges, which is a result: its status says so, and \
                      finalize exits 2. SIGTERM saves a checkpoint (143). 75 means that another process is at \
                      work on the run. 75, 130 and 143 may be tried again; everything else is final."
    )]
    Work(WorkArgs),
    /// Judge the comparison and write its report when all runs are done.
    Finalize(FinalizeArgs),
    /// Print job files of a planned comparison, for an engine.
    Emit(Box<EmitArgs>),
}

#[derive(Debug, clap::Args)]
pub(super) struct PlanArgs {
    /// The experiment, a TOML file.
    #[arg(value_name = "EXPERIMENT.toml")]
    experiment: PathBuf,

    /// The store.
    #[arg(long)]
    store: PathBuf,

    /// The folder of the comparison to make, or its address.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Where this machine works on a comparison at an address; see `chipmill compare --help`.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

// A planned comparison, and where its work is done. No doc comment: clap would make it the command's.
#[derive(Debug, clap::Args)]
struct Planned {
    /// The store.
    #[arg(long)]
    store: PathBuf,

    /// The folder of the planned comparison, or its address.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Where this machine works on a comparison at an address; see `chipmill compare --help`.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,

    /// cpu, cuda or cuda:N.
    #[arg(long, default_value = "cpu")]
    device: String,
}

impl Planned {
    fn place(&self) -> anyhow::Result<Place> {
        Place::new(&self.out, self.scratch.as_deref())
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct WorkArgs {
    #[command(flatten)]
    planned: Planned,

    /// Number of the run, from 0.
    #[arg(long, value_name = "K")]
    run: usize,
}

#[derive(Debug, clap::Args)]
pub(super) struct FinalizeArgs {
    #[command(flatten)]
    planned: Planned,

    /// Print comparison.json.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct EmitArgs {
    /// The store.
    #[arg(long, global = true)]
    store: Option<PathBuf>,

    /// The folder of the planned comparison, or its address.
    #[arg(long, global = true, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Where tasks, and this command, work on a comparison at an address; see `chipmill compare --help`.
    #[arg(long, global = true, value_name = "DIR")]
    scratch: Option<PathBuf>,

    /// cpu, cuda or cuda:N, as one task sees it.
    #[arg(long, global = true, default_value = "cpu")]
    device: String,

    #[command(subcommand)]
    engine: Engine,
}

/// What `compare plan --json` prints.
#[derive(Serialize)]
struct PlannedRuns {
    /// Names of the run folders; the position is the number of the run.
    runs: Vec<String>,
}

pub(super) fn run(step: &Step) -> anyhow::Result<Outcome> {
    match step {
        Step::Plan(args) => plan(args),
        Step::Work(args) => work(args),
        Step::Finalize(args) => finalize(args),
        Step::Emit(args) => emit(args),
    }
}

fn plan(args: &PlanArgs) -> anyhow::Result<Outcome> {
    let experiment = folder::read_experiment(&args.experiment)?;
    let store = StoreReader::open(&args.store)?;
    let stop = crate::signals::stop_flag()?;
    // Everything that would fail in each run fails here, once.
    let place = Place::new(&args.out, args.scratch.as_deref())?;
    Job::new((&place, "cpu"), &experiment, &store, &stop)?;
    folder::settle(&place, &experiment)?;
    let runs: Vec<String> = experiment.runs().map(|run| run.name()).collect();
    if args.json {
        output::json(&PlannedRuns { runs })?;
    } else {
        let mut lines = vec![
            format!("comparison   {}", args.out.display()),
            format!("runs         {}", runs.len()),
        ];
        lines.extend(
            (0..)
                .zip(runs)
                .map(|(k, run): (u64, _)| format!("{k:>6}  {run}")),
        );
        output::result(&lines.join("\n"))?;
    }
    Ok(Outcome::Done)
}

/// The experiment of a planned comparison.
fn planned(place: &Place) -> anyhow::Result<ExperimentConfig> {
    folder::kept(place)?.with_context(|| {
        format!(
            "{} holds no planned comparison; begin with `chipmill compare plan`",
            place.shown().display()
        )
    })
}

fn work(args: &WorkArgs) -> anyhow::Result<Outcome> {
    let Planned { store, device, .. } = &args.planned;
    let place = args.planned.place()?;
    let experiment = planned(&place)?;
    let runs: Vec<PlannedRun<'_>> = experiment.runs().collect();
    let run = runs.get(args.run).with_context(|| {
        format!(
            "there is no run {}; the plan has {}, numbered from 0",
            args.run,
            runs.len()
        )
    })?;
    let store = StoreReader::open(store)?;
    let stop = crate::signals::stop_flag()?;
    let job = Job::new((&place, device), &experiment, &store, &stop)?;
    let meter = Meter::new("steps");
    meter.total(Some(job.steps(run)?));
    let began = Instant::now();
    let done = job.run(run, 0, &meter);
    meter.finish();
    let ended = match done? {
        Done::Before => "finished before".to_owned(),
        Done::Scored(score) => format!("{score}, {:.0} s", began.elapsed().as_secs_f64()),
        Done::Failed(why) => format!("failed, which finalize reports: {why}"),
        Done::Stopped => {
            say("interrupted; a checkpoint is saved, and the same command goes on from it");
            return Ok(Outcome::Stopped);
        }
        Done::Elsewhere => anyhow::bail!(Busy(run.name())),
    };
    output::result(&format!("run {}: {}: {ended}", args.run, run.name()))?;
    Ok(Outcome::Done)
}

fn finalize(args: &FinalizeArgs) -> anyhow::Result<Outcome> {
    let Planned { store, device, .. } = &args.planned;
    let place = args.planned.place()?;
    let experiment = planned(&place)?;
    let store = StoreReader::open(store)?;
    let stop = crate::signals::stop_flag()?;
    let job = Job::new((&place, device), &experiment, &store, &stop)?;
    for run in experiment.runs() {
        place.fetch_run(&run)?;
    }
    refuse_undecided(&experiment, &job)?;
    if !gradients::study(&experiment, &job)? || !judge(&experiment, &job, args.json)? {
        return Ok(Outcome::Stopped);
    }
    let failed = experiment.runs().filter(|run| job.has_failed(run));
    let failed: Vec<String> = failed.map(|run| run.name()).collect();
    anyhow::ensure!(
        failed.is_empty(),
        "runs that failed do not count: {}; the report in {} names the reasons",
        failed.join(", "),
        place.shown().display()
    );
    Ok(Outcome::Done)
}

fn refuse_undecided(experiment: &ExperimentConfig, job: &Job<'_>) -> anyhow::Result<()> {
    let mut undecided = Vec::new();
    for (k, run) in experiment.runs().enumerate() {
        if !job.is_decided(&run)? {
            undecided.push((k, run.name()));
        }
    }
    let Some((first, name)) = undecided.first() else {
        return Ok(());
    };
    anyhow::bail!(
        "unfinished runs: {}, the first is run {first} ({name}); do each with `chipmill compare work`, then \
         finalize again (`chipmill report {}` shows what there is)",
        undecided.len(),
        job.place.folder().display()
    )
}

fn emit(args: &EmitArgs) -> anyhow::Result<Outcome> {
    let (Some(store), Some(out)) = (&args.store, &args.out) else {
        anyhow::bail!("name the store and the planned folder: --store STORE --out DIR");
    };
    let runs = planned(&Place::new(out, args.scratch.as_deref())?)?
        .runs()
        .count();
    StoreReader::open(store)?;
    let (store, out) = (absolute(store)?, absolute(out)?);
    let scratch = args.scratch.as_deref().map(absolute).transpose()?;
    let words = |step: &str| {
        let words = [
            "compare",
            step,
            "--store",
            &store,
            "--out",
            &out,
            "--device",
            &args.device,
        ];
        let mut words = words.map(str::to_owned).to_vec();
        if let Some(scratch) = &scratch {
            words.extend(["--scratch".to_owned(), scratch.clone()]);
        }
        words
    };
    let mut work = words("work");
    work.push("--run".to_owned());
    let steps = Steps {
        kind: "compare",
        title: format!("compare in {out}, {runs} runs"),
        tasks: runs as u64,
        work,
        finalize: words("finalize"),
        paths: vec![PathBuf::from(&store), PathBuf::from(&out)],
    };
    emit::run(&args.engine, &steps)
}
