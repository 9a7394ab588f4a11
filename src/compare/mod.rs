//! `chipmill compare`: the runs of an experiment, one after the other, and the report of them all.

mod folder;
mod gradients;
mod job;
mod pictures;
mod place;
mod steps;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use chipmill_report::compare::write_comparison;
use chipmill_schemas::experiment::{ExperimentConfig, PlannedRun};
use chipmill_store::StoreReader;

use crate::exit::Outcome;
use crate::output;
use crate::progress::{Meter, say};

use job::{Done, Job};
use place::Place;

/// Run an experiment: arms x seeds, paired by seed, probed while they train and at their end; then
/// judge the comparisons that the experiment lists, and write comparison.json, tables, plots and
/// report.html.
///
/// Whatever is finished is kept: the same command goes on after any interruption. Several machines
/// may work on one folder, each with --arm or --seed, or all alike: a run that one of them is at work on
/// is left to it. At an address (s3://, gs://, az://) they share what is finished, and which of them does
/// what is to be divided with --arm or --seed.
///
/// For engines, `plan`, `work` and `finalize` do the same in steps: plan once, do each run anywhere and in
/// any order, finalize once; `emit` prints job files. (A file named so is given as ./plan.)
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  \
    chipmill compare configs/notes-small.toml --store sample.zarr --out results/notes-small\n  \
    chipmill compare configs/notes-small.toml --store sample.zarr --out results/notes-small --seed 3\n  \
    chipmill report results/notes-small --serve      watch it, from another terminal\n  \
    chipmill compare configs/notes-small.toml --store s3://data/sample.zarr --out s3://data/notes --seed 3\n\n\
    `chipmill schema experiment` prints every key; docs/comparison.md says how runs are judged."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    step: Option<steps::Step>,

    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Args)]
struct What {
    /// The experiment, a TOML file.
    #[arg(required = true, value_name = "EXPERIMENT.toml")]
    experiment: Option<PathBuf>,

    /// The store.
    #[arg(long, required = true)]
    store: Option<PathBuf>,

    /// The folder of the comparison, or its address: made, or gone on with.
    #[arg(long, required = true, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Where this machine works on a comparison that lies at an address [default: a folder for each
    /// address in the system's temporary folder].
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,

    /// Only runs of this arm; may be given several times.
    #[arg(long, value_name = "NAME")]
    arm: Vec<String>,

    /// Only runs of this seed; may be given several times.
    #[arg(long, value_name = "N")]
    seed: Vec<u64>,

    /// cpu, cuda or cuda:N.
    #[arg(long, default_value = "cpu")]
    device: String,

    /// Print comparison.json.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.step {
        Some(step) => steps::run(step),
        None => run_all(&args.what),
    }
}

fn run_all(args: &What) -> anyhow::Result<Outcome> {
    // The parser has seen to it that they are given.
    let [file, store, out] =
        [&args.experiment, &args.store, &args.out].map(|path| path.clone().unwrap_or_default());
    let experiment = folder::read_experiment(&file)?;
    let runs = asked(args, &experiment)?;
    let store = StoreReader::open(&store)?;
    let stop = crate::signals::stop_flag()?;
    let place = Place::new(&out, args.scratch.as_deref())?;
    let job = Job::new((&place, &args.device), &experiment, &store, &stop)?;
    folder::settle(&place, &experiment)?;
    if !gradients::study(&experiment, &job)? {
        return Ok(Outcome::Stopped);
    }
    let outcome = all(&job, &runs, &stop)?;
    if !judge(&experiment, &job, args.json)? {
        return Ok(Outcome::Stopped);
    }
    Ok(outcome)
}

/// Writes the report, with pictures where every run counts, and prints it; `false` when a signal came.
fn judge(experiment: &ExperimentConfig, job: &Job<'_>, json: bool) -> anyhow::Result<bool> {
    for run in experiment.runs() {
        job.place.fetch_run(&run)?;
    }
    let folder = job.place.folder();
    let (_, mut report) = write_comparison(folder)?;
    if report.complete {
        if !pictures::draw(experiment, job)? {
            return Ok(false);
        }
        (_, report) = write_comparison(folder)?;
    }
    job.place.give_results()?;
    if json {
        output::json(&report)?;
    } else {
        let page = job.place.shown().join("report.html");
        let mut lines = vec![format!("report   {}", page.display())];
        lines.extend(report.sentences);
        lines.extend(report.remarks);
        output::result(&lines.join("\n"))?;
    }
    Ok(true)
}

/// The runs that are to be done here.
fn asked<'a>(args: &What, experiment: &'a ExperimentConfig) -> anyhow::Result<Vec<PlannedRun<'a>>> {
    for arm in &args.arm {
        let names: Vec<&str> = experiment.arms.iter().map(|a| a.name.as_str()).collect();
        anyhow::ensure!(
            names.contains(&arm.as_str()),
            "--arm {arm}: the experiment has {}",
            names.join(", ")
        );
    }
    for seed in &args.seed {
        anyhow::ensure!(
            experiment.seeds.contains(seed),
            "--seed {seed}: the experiment has {:?}",
            experiment.seeds
        );
    }
    let is_asked = |run: &PlannedRun<'_>| {
        (args.arm.is_empty() || args.arm.contains(&run.arm.name))
            && (args.seed.is_empty() || args.seed.contains(&run.seed))
    };
    Ok(experiment.runs().filter(is_asked).collect())
}

/// All runs in their order. The report is written anew after each, so that it can be watched.
fn all(job: &Job<'_>, runs: &[PlannedRun<'_>], stop: &Arc<AtomicBool>) -> anyhow::Result<Outcome> {
    let steps = runs.iter().map(|run| job.steps(run));
    let total: u64 = steps.sum::<anyhow::Result<u64>>()?;
    let mut before = 0;
    let (mut failed, mut elsewhere) = (Vec::new(), 0);
    let meter = Meter::new("steps");
    meter.total(Some(total));
    for (number, run) in (1..).zip(runs) {
        let began = Instant::now();
        let name = run.name();
        let done = job.run(run, before, &meter)?;
        before += job.steps(run)?;
        meter.position(before);
        let place = format!("{number} of {}", runs.len());
        match done {
            Done::Before => continue,
            Done::Stopped => {
                meter.finish();
                return Ok(Outcome::Stopped);
            }
            Done::Elsewhere => {
                meter.line(&format!(
                    "{place}  {name}: another process is at work on it"
                ));
                elsewhere += 1;
                continue;
            }
            Done::Scored(score) => meter.line(&format!(
                "{place}  {name}: {score}, {:.0} s",
                began.elapsed().as_secs_f64()
            )),
            Done::Failed(why) => {
                meter.line(&format!("{place}  {name}: {why}"));
                failed.push(name);
            }
        }
        write_comparison(job.place.folder())?;
        if stop.load(Ordering::Relaxed) {
            meter.finish();
            return Ok(Outcome::Stopped);
        }
    }
    meter.finish();
    if elsewhere > 0 {
        say(&format!(
            "{elsewhere} runs are left to other processes; the same command, given again when they \
             have ended, completes the report"
        ));
    }
    anyhow::ensure!(
        failed.is_empty(),
        "{} of {} runs failed and do not count: {}; the report in {} names the reasons",
        failed.len(),
        runs.len(),
        failed.join(", "),
        job.place.shown().display()
    );
    Ok(Outcome::Done)
}
