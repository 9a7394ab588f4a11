//! `chipmill probe`

use std::path::PathBuf;

use anyhow::Context;
use chipmill_schemas::config::resolve;
use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::probe::{Choose, ProbeConfig, ProbeEntry, ProbeReport, ProbeSplit, Scores};
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

    /// How C, and the neighbours and temperature of kNN, are found: chosen from grids on the validation
    /// rows of the split (default where it has some: official), or on a held-out third of the train
    /// rows; or fixed (default otherwise: C 1, 20 neighbours at 0.1; `chipmill schema probe` has the
    /// keys for --set).
    #[arg(long, value_enum)]
    choose: Option<ChooseArg>,

    /// Score one more control: the same encoder trained with the labels of the train rows, 30 epochs
    /// unless `--set supervised.epochs=N` says otherwise (also `supervised.batch_size`, and
    /// `supervised.view=plain|flips|run`). It takes a training of its own.
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
enum ChooseArg {
    Fixed,
    Validation,
    Holdout,
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
    config.choose = choose(args, &config);
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

/// The flag, else the setting, else what the split allows for.
fn choose(args: &Args, config: &ProbeConfig) -> Choose {
    let set = args
        .set
        .iter()
        .any(|text| text.trim_start().starts_with("choose="));
    match (args.choose, config.split) {
        (Some(ChooseArg::Fixed), _) => Choose::Fixed,
        (Some(ChooseArg::Validation), _) => Choose::Validation,
        (Some(ChooseArg::Holdout), _) => Choose::Holdout,
        (None, ProbeSplit::Official) if !set => Choose::Validation,
        (None, _) => config.choose,
    }
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
        format!("settings {}", of_settings(&report.config)),
        String::new(),
    ];
    lines.extend(report.entries.first().map(header));
    lines.extend(report.entries.iter().map(line));
    if report.entries.iter().any(|e| e.intervals.is_some()) {
        lines.push(String::new());
        lines.push(format!(
            "In brackets: 95 % bootstrap interval, {} resamples of the test patches; it says nothing of \
             other seeds.",
            report.config.resamples
        ));
    }
    lines.join("\n")
}

fn header(first: &ProbeEntry) -> String {
    let columns = match first.scores {
        Scores::SingleLabel(_) => ["accuracy", "balanced", "macro F1"],
        Scores::MultiLabel(_) => ["macro AP", "micro AP", "macro F1"],
    };
    let [a, b, c] = columns;
    let settings = first.chosen.map_or("", |_| "chosen");
    let line = format!("{:<22}{a:<22}{b:<22}{c:<22}{settings}", "");
    line.trim_end().to_owned()
}

fn of_settings(config: &ProbeConfig) -> String {
    match config.choose {
        Choose::Fixed => format!(
            "c={}, neighbours={}, knn_temperature={}, fixed",
            config.c, config.neighbours, config.knn_temperature
        ),
        Choose::Validation => "chosen from grids on the validation rows".to_owned(),
        Choose::Holdout => "chosen from grids on a held-out third of the train rows".to_owned(),
    }
}

fn line(entry: &ProbeEntry) -> String {
    let named = entry.scores.named();
    let interval = |name: &str| entry.intervals.as_ref()?.scores.get(name).copied();
    let cell = |(name, value): &(&str, f64)| {
        let text = match interval(name) {
            Some([low, high]) => format!("{value:.3} [{low:.3} {high:.3}]"),
            None => format!("{value:.3}"),
        };
        format!("{text:<22}")
    };
    let cells: String = named.iter().take(3).map(cell).collect();
    let name = entry.name.replace('_', " ");
    format!("{name:<22}{cells}{}", settings(entry))
        .trim_end()
        .to_owned()
}

/// Settings that were chosen; fixed ones are in the configuration.
fn settings(entry: &ProbeEntry) -> String {
    let chosen = entry.chosen.unwrap_or_default();
    match (chosen.c, chosen.neighbours, chosen.knn_temperature) {
        (Some(c), ..) => format!("c={c}"),
        (_, Some(k), Some(t)) => format!("neighbours={k} knn_temperature={t}"),
        _ => String::new(),
    }
}
