//! `chipmill inspect`

use std::collections::BTreeMap;
use std::path::PathBuf;

use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::manifest::Manifest;
use chipmill_schemas::patch::PatchRow;
use chipmill_schemas::s1::{S1BandStatistics, S1SetStatistics};
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use chipmill_schemas::task::{Membership, Task};
use chipmill_store::{PatchTable, StoreReader};
use serde::Serialize;

use crate::exit::Outcome;
use crate::output;

/// Show what a store holds: counts, splits, labels, tasks, statistics.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store.
    store: PathBuf,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The JSON document.
#[derive(Debug, Serialize)]
struct Inspection<'a> {
    store: String,
    manifest: &'a Manifest,
    counts: Counts,
}

/// How many patches have what. `unknown` counts patches of which no source told.
#[derive(Debug, Default, Serialize)]
struct Counts {
    patches: u64,
    splits: BTreeMap<String, u64>,
    countries: BTreeMap<String, u64>,
    snow: BTreeMap<&'static str, u64>,
    cloud: BTreeMap<&'static str, u64>,
    labels_19: BTreeMap<&'static str, u64>,
    labels_43: BTreeMap<&'static str, u64>,
    tasks: BTreeMap<String, BTreeMap<String, u64>>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let store = StoreReader::open(&args.store)?;
    let counts = Counts::of(store.table())?;
    if args.json {
        let store_path = args.store.display().to_string();
        output::json(&Inspection {
            store: store_path,
            manifest: store.manifest(),
            counts,
        })?;
    } else {
        output::result(&text(&store, &counts))?;
    }
    Ok(Outcome::Done)
}

impl Counts {
    fn of(table: &PatchTable) -> anyhow::Result<Self> {
        let mut counts = Self {
            patches: table.len() as u64,
            ..Self::default()
        };
        let unknown = || "unknown".to_owned();
        for row in table {
            let split = row.split.map_or_else(unknown, |s| s.to_string());
            *counts.splits.entry(split).or_default() += 1;
            let country = row.country.clone().unwrap_or_else(unknown);
            *counts.countries.entry(country).or_default() += 1;
            *counts.snow.entry(flag(row.snow)).or_default() += 1;
            *counts.cloud.entry(flag(row.cloud)).or_default() += 1;
            count_labels(&row, Nomenclature::Nineteen, &mut counts.labels_19);
            count_labels(&row, Nomenclature::Clc43, &mut counts.labels_43);
        }
        let notes4 = Task::notes4();
        counts
            .tasks
            .insert(notes4.name.clone(), count_task(&notes4, table)?);
        Ok(counts)
    }
}

const fn flag(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}

fn count_labels(row: &PatchRow, n: Nomenclature, counts: &mut BTreeMap<&'static str, u64>) {
    match row.labels(n) {
        None => *counts.entry("unknown").or_default() += 1,
        Some(labels) => {
            for (i, class) in n.classes().enumerate() {
                *counts.entry(class).or_default() += u64::from(labels.contains(i));
            }
        }
    }
}

fn count_task(task: &Task, table: &PatchTable) -> anyhow::Result<BTreeMap<String, u64>> {
    let compiled = task.compile()?;
    let mut counts = BTreeMap::new();
    for row in table {
        let key = match compiled.membership(&row) {
            Membership::Class(i) => task.classes[i].name.clone(),
            Membership::Several => "several classes".to_owned(),
            Membership::Outside => "none of the classes".to_owned(),
            Membership::Unknown => "labels unknown".to_owned(),
        };
        *counts.entry(key).or_default() += 1;
    }
    Ok(counts)
}

fn text(store: &StoreReader, counts: &Counts) -> String {
    let m = store.manifest();
    let versions: Vec<&str> = m.dataset_versions.iter().map(|v| v.name()).collect();
    let mut lines = vec![
        format!("store      {}", store.path().display()),
        format!("format     {} by {}", m.format_version, m.writer),
        format!("data set   BigEarthNet {}", versions.join(" and ")),
        format!(
            "patches    {} in shards of {}, codec {}",
            output::grouped(counts.patches),
            m.shard_patches,
            m.codec.name()
        ),
        listed("splits", &counts.splits),
        listed("countries", &counts.countries),
        listed("snow", &counts.snow),
        listed("cloud", &counts.cloud),
    ];
    lines.extend(
        counts
            .tasks
            .iter()
            .map(|(task, by_class)| listed(task, by_class)),
    );
    for (title, labels) in [
        ("19 classes", &counts.labels_19),
        ("43 classes", &counts.labels_43),
    ] {
        lines.push(format!("\nlabels, {title}"));
        lines.extend(label_lines(labels));
    }
    if let Some(all) = store.statistics(None) {
        lines.push("\nstatistics (digital numbers, all patches)".to_owned());
        lines.extend(statistics_lines(all));
    }
    if let Some(s1) = &m.s1 {
        lines.push(format!(
            "\nSentinel-1, {} patches: statistics (decibels, all of them)",
            output::grouped(s1.patches)
        ));
        lines.extend(s1.statistics.first().map(s1_lines).unwrap_or_default());
    }
    lines.join("\n")
}

/// `title      a 1, b 2, ...`, broken before column 80.
fn listed<K: std::fmt::Display>(title: &str, counts: &BTreeMap<K, u64>) -> String {
    let mut text = format!("{title:<10} ");
    let mut column = text.len();
    for (i, (key, n)) in counts.iter().enumerate() {
        let comma = if i + 1 < counts.len() { ", " } else { "" };
        let part = format!("{key} {}{comma}", output::grouped(*n));
        if column + part.trim_end().len() > 80 {
            text.truncate(text.trim_end().len());
            text.push_str("\n           ");
            column = 11;
        }
        column += part.len();
        text.push_str(&part);
    }
    text
}

/// Classes that occur, most frequent first.
fn label_lines(counts: &BTreeMap<&'static str, u64>) -> Vec<String> {
    let mut present: Vec<_> = counts.iter().filter(|&(_, &n)| n > 0).collect();
    present.sort_by_key(|&(class, n)| (std::cmp::Reverse(*n), *class));
    let name = |class: &str| match class.char_indices().nth(62) {
        Some((cut, _)) => format!("{}...", &class[..cut]),
        None => class.to_owned(),
    };
    present
        .iter()
        .map(|(class, n)| format!("{:>10}  {}", output::grouped(**n), name(class)))
        .collect()
}

fn statistics_lines(set: &SetStatistics) -> Vec<String> {
    let row = |b: &BandStatistics| {
        let [min, max] = [b.min, b.max].map(f64::from);
        (
            b.band.name(),
            [b.mean, b.std, min, b.p2, b.p50, b.p98, b.p99, max],
        )
    };
    table((6, 0), set.bands.iter().map(row))
}

/// In decibels, which are not whole.
fn s1_lines(set: &S1SetStatistics) -> Vec<String> {
    let row = |b: &S1BandStatistics| {
        let [min, max] = [b.min, b.max].map(f64::from);
        (
            b.polarisation.name(),
            [b.mean, b.std, min, b.p2, b.p50, b.p98, b.p99, max],
        )
    };
    table((7, 2), set.bands.iter().map(row))
}

/// Names of bands and their figures; `form` is the width of the outermost values, and the decimals of
/// values.
fn table<'a>(form: (usize, usize), rows: impl Iterator<Item = (&'a str, [f64; 8])>) -> Vec<String> {
    let (edge, decimals) = form;
    let mut lines = vec![format!(
        "{:<4} {:>9} {:>9} {:>edge$} {:>7} {:>7} {:>7} {:>7} {:>edge$}",
        "band", "mean", "std", "min", "p2", "p50", "p98", "p99", "max"
    )];
    lines.extend(rows.map(|(name, [mean, std, min, p2, p50, p98, p99, max])| {
        format!(
            "{name:<4} {mean:>9.2} {std:>9.2} {min:>edge$.decimals$} {p2:>7.decimals$} {p50:>7.decimals$} \
             {p98:>7.decimals$} {p99:>7.decimals$} {max:>edge$.decimals$}"
        )
    }));
    lines
}
