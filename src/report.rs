//! `chipmill report`

use std::path::{Path, PathBuf};

use chipmill_report::RunFolder;
use chipmill_report::compare::{is_comparison, write_comparison};
use chipmill_report::serve::Live;
use chipmill_schemas::probe::{ProbeReport, Scores};

use crate::exit::Outcome;
use crate::output;

/// Write the report of each run or comparison: one HTML file that needs nothing else, its plots as
/// SVG, and the figures of a comparison as JSON and CSV; then print what came out.
///
/// A folder may be read while it is at work: what is missing is shown as such.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill report runs/dcl runs/simclr\n  \
    chipmill report results/notes-small --serve")]
pub(crate) struct Args {
    /// Run folders, or folders of comparisons.
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,

    /// Write nothing; show the report of one folder on 127.0.0.1 until interrupted, drawn again when
    /// the folder changes.
    #[arg(long)]
    serve: bool,

    /// Where to serve; 0 takes a free port.
    #[arg(long, default_value_t = 8741, requires = "serve")]
    port: u16,
}

/// Columns of the table, as probes name their entries; those that no probe has are left out.
const ENTRIES: [&str; 5] = [
    "encoder",
    "random_encoder",
    "supervised",
    "band_statistics",
    "majority",
];

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    if args.serve {
        return match args.folders.as_slice() {
            [folder] => serve(folder, args.port),
            _ => anyhow::bail!("--serve shows one folder, not {}", args.folders.len()),
        };
    }
    let mut lines = Vec::new();
    let mut probes: Vec<(String, ProbeReport)> = Vec::new();
    for folder in &args.folders {
        if is_comparison(folder) {
            let (path, report) = write_comparison(folder)?;
            lines.push(format!("report   {}", path.display()));
            lines.extend(report.sentences);
            lines.extend(report.remarks);
            continue;
        }
        lines.push(format!(
            "report   {}",
            chipmill_report::write_report(folder)?.display()
        ));
        let run = RunFolder::read(folder)?;
        probes.extend(run.probes.into_iter().map(|p| (run.name.clone(), p)));
    }
    probes.sort_by(|a, b| a.1.target.cmp(&b.1.target));
    for same in probes.chunk_by(|a, b| a.1.target == b.1.target) {
        lines.push(String::new());
        lines.extend(table(same));
    }
    output::result(&lines.join("\n"))?;
    Ok(Outcome::Done)
}

/// Serves until a signal comes, which is the way to end it.
fn serve(folder: &Path, port: u16) -> anyhow::Result<Outcome> {
    let stop = crate::signals::stop_flag()?;
    let mut live = Live::bind(folder, port)?;
    output::result(&format!("http://{}/", live.address()))?;
    output::talk("serving until interrupted (Ctrl-C)");
    live.run(&stop)?;
    Ok(Outcome::Stopped)
}

/// One row a run, and the medians below when there are several.
fn table(probes: &[(String, ProbeReport)]) -> Vec<String> {
    let head = |scores: &Scores| scores.headline_name();
    let measure = probes
        .first()
        .and_then(|p| p.1.entries.first())
        .map_or("", |e| head(&e.scores));
    let target = probes.first().map_or("", |p| p.1.target.as_str());
    let has = |name: &&str| probes.iter().any(|(_, p)| headline(p, name).is_some());
    let columns: Vec<&str> = ENTRIES.into_iter().filter(has).collect();
    let heads = columns.iter().map(|name| head_cell(name));
    let mut lines = vec![
        format!("{target}, {measure}"),
        format!("{:<20}{}", "run", heads.collect::<String>()),
    ];
    let values = |p: &ProbeReport| columns.iter().map(|name| headline(p, name)).collect();
    let rows: Vec<Vec<Option<f64>>> = probes.iter().map(|(_, p)| values(p)).collect();
    let named = probes.iter().zip(&rows);
    lines.extend(named.map(|((name, _), row)| line(name, &columns, row)));
    if rows.len() > 1 {
        let median_of = |i: usize| median(rows.iter().filter_map(|r| r[i]).collect());
        let medians: Vec<Option<f64>> = (0..columns.len()).map(median_of).collect();
        lines.push(line("median", &columns, &medians));
    }
    lines
}

fn head_cell(name: &str) -> String {
    let width = width(name);
    format!("{:>width$}", name.replace('_', " "))
}

/// Two blanks between columns, at the least.
fn width(name: &str) -> usize {
    (name.len() + 2).max(10)
}

fn headline(probe: &ProbeReport, entry: &str) -> Option<f64> {
    probe
        .entries
        .iter()
        .find(|e| e.name == entry)
        .map(|e| e.scores.headline())
}

fn line(name: &str, columns: &[&str], row: &[Option<f64>]) -> String {
    let text = |v: &Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    let cell = |(column, v): (&&str, &Option<f64>)| format!("{:>1$}", text(v), width(column));
    let cells: String = columns.iter().zip(row).map(cell).collect();
    format!("{name:<20}{cells}")
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(super::median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(super::median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(super::median(Vec::new()), None);
    }
}
