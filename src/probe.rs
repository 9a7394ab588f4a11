//! `chipmill probe`

use std::path::PathBuf;

use anyhow::Context;
use chipmill_schemas::config::resolve;
use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::probe::{ProbeConfig, ProbeEntry, ProbeReport, ProbeSplit, Scores};
use chipmill_store::StoreReader;
use chipmill_train::TrainError;
use chipmill_train::probe::{Probe, ProbeTarget};
use clap::ValueEnum;

use crate::exit::Outcome;
use crate::output;

/// Score a pretrained encoder: a linear classifier on its frozen features, beside controls
/// (random encoder, band statistics, majority class) on the same rows.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill probe --run runs/dcl --store ben.zarr --labels 19\n  \
    chipmill probe --run runs/dcl --store ben1.zarr --task notes4 --split i_mod_3\n  \
    chipmill probe --run runs/dcl --store ben1.zarr --task notes4 --split i_mod_3 --supervised")]
pub(crate) struct Args {
    /// The run folder.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,

    /// The store.
    #[arg(long)]
    store: PathBuf,

    /// A single-label task: notes4, or a TOML file that defines one.
    #[arg(
        long,
        value_name = "NAME|FILE.toml",
        required_unless_present = "labels"
    )]
    task: Option<String>,

    /// All labels of a nomenclature, one classifier a class.
    #[arg(long, value_enum, conflicts_with = "task")]
    labels: Option<LabelSetArg>,

    /// How rows are divided.
    #[arg(long, value_enum, default_value_t = SplitArg::Official)]
    split: SplitArg,

    /// Score one more control: the same encoder trained with the labels of the train rows, 30 epochs
    /// unless --set supervised.epochs=N says otherwise (also supervised.batch_size, and
    /// supervised.view=plain|flips|run). It takes a training of its own.
    #[arg(long)]
    supervised: bool,

    /// One more setting, such as c=0.1 (see `chipmill schema probe`).
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// cpu, cuda or cuda:N.
    #[arg(long, default_value = "cpu")]
    device: String,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LabelSetArg {
    #[value(name = "19")]
    Nineteen,
    #[value(name = "43")]
    Clc43,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum SplitArg {
    Official,
    #[value(name = "i_mod_3")]
    IMod3,
    Stratified,
    ByTile,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let target = match (&args.task, args.labels) {
        (_, Some(LabelSetArg::Nineteen)) => ProbeTarget::Labels(Nomenclature::Nineteen),
        (_, Some(LabelSetArg::Clc43)) => ProbeTarget::Labels(Nomenclature::Clc43),
        (Some(name), None) => ProbeTarget::Task(crate::tasks::find(name)?),
        (None, None) => anyhow::bail!("name what to probe: --task NAME or --labels 19|43"),
    };
    let mut config: ProbeConfig = resolve(None, &args.set).context("--set")?;
    config.split = match args.split {
        SplitArg::Official => ProbeSplit::Official,
        SplitArg::IMod3 => ProbeSplit::IMod3,
        SplitArg::Stratified => ProbeSplit::Stratified,
        SplitArg::ByTile => ProbeSplit::ByTile,
    };
    if args.supervised {
        config.supervised.get_or_insert_default();
    }
    config.validate()?;
    let store = StoreReader::open(&args.store)?;
    let stop = crate::signals::stop_flag()?;
    let probe = Probe {
        store: &store,
        run: &args.run,
        device: &args.device,
        controls: true,
        stop: &stop,
    };
    let report = match probe.score(&target, &config) {
        Err(TrainError::Stopped) => return Ok(Outcome::Stopped),
        other => other?,
    };
    if args.json {
        output::json(&report)?;
    } else {
        output::result(&text(&report))?;
    }
    Ok(Outcome::Done)
}

fn text(report: &ProbeReport) -> String {
    let rows = report.rows;
    let mut lines = vec![
        format!(
            "target   {} (checkpoint at step {})",
            report.target, report.step
        ),
        format!(
            "rows     {} train, {} validation, {} test ({} split)",
            rows.train,
            rows.validation,
            rows.test,
            report.config.split.name()
        ),
        format!(
            "left out {} with several classes, {} unknown",
            rows.several_classes, rows.unknown
        ),
        String::new(),
    ];
    lines.extend(report.entries.first().map(header));
    lines.extend(report.entries.iter().map(line));
    lines.join("\n")
}

fn header(first: &ProbeEntry) -> String {
    let columns = match first.scores {
        Scores::SingleLabel(_) => ["accuracy", "balanced", "macro F1"],
        Scores::MultiLabel(_) => ["macro AP", "micro AP", "macro F1"],
    };
    format!(
        "{:<18}{:>10}{:>10}{:>10}",
        "", columns[0], columns[1], columns[2]
    )
}

fn line(entry: &ProbeEntry) -> String {
    let [a, b, c] = match &entry.scores {
        Scores::SingleLabel(s) => [s.accuracy, s.balanced_accuracy, s.macro_f1],
        Scores::MultiLabel(s) => [s.macro_ap, s.micro_ap, s.macro_f1],
    };
    format!(
        "{:<18}{a:>10.3}{b:>10.3}{c:>10.3}",
        entry.name.replace('_', " ")
    )
}
