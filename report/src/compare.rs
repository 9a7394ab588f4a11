//! From the folder of a comparison to its statistics, tables, plots and one HTML file.
//!
//! ```text
//! OUT --read--> ComparisonFolder --judge--> ComparisonReport --+--> comparison.json, *.csv
//!                     |                                        +--> sentences
//!                     +-- figures: curves, differences, monitors ... --> plots/*.svg, report.html
//! ```
//! The folder's form and the statistics are described in `docs/comparison.md`. The folder may be read at
//! any time: what is missing or still at work is shown as such.

mod controls;
pub mod endpoint;
mod figures;
mod gradients;
mod html;
pub mod judge;
mod markdown;
mod monitors;
mod predict;
pub mod read;
mod sentences;
mod tables;
mod words;

use std::path::{Path, PathBuf};

pub use read::{ComparisonFolder, ComparisonRun, is_comparison};

use crate::error::ReportError;
use crate::figures::Figure;
use crate::write;
use chipmill_schemas::comparison::ComparisonReport;

/// Everything that is written about a comparison, in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The figures of the report.
    pub report: ComparisonReport,
    /// Files beside `report.html`, by their path in the folder.
    pub files: Vec<(String, Vec<u8>)>,
    /// The page.
    pub page: String,
}

/// Judges and draws a comparison as it stands.
#[must_use]
pub fn render(folder: &ComparisonFolder) -> Rendered {
    let report = judge::judge(folder);
    let drawings = figures::Drawings::of(folder, &report);
    let mut files = vec![
        ("comparison.json".to_owned(), json(&report)),
        ("runs.csv".to_owned(), tables::runs(&report).into_bytes()),
        (
            "comparisons.csv".to_owned(),
            tables::comparisons(&report).into_bytes(),
        ),
        ("curves.csv".to_owned(), tables::curves(folder).into_bytes()),
        (
            "results.md".to_owned(),
            markdown::text(folder, &report, &drawings).into_bytes(),
        ),
    ];
    let svg = |f: &Figure| (format!("plots/{}.svg", f.name), f.svg.file().into_bytes());
    files.extend(drawings.all().map(svg));
    let page = html::page(folder, &report, &drawings);
    Rendered {
        report,
        files,
        page,
    }
}

/// Reads the folder of a comparison and writes `comparison.json`, the tables, the plots and
/// `report.html`; returns the path of the report, which is written last, and what stands in it.
///
/// # Errors
/// [`ReportError`] naming the file that cannot be read, understood or written.
pub fn write_comparison(path: &Path) -> Result<(PathBuf, ComparisonReport), ReportError> {
    let rendered = render(&ComparisonFolder::read(path)?);
    write::create_folder(&path.join("plots"))?;
    for (name, bytes) in &rendered.files {
        write::write_whole(&path.join(name), bytes)?;
    }
    let report = path.join("report.html");
    write::write_whole(&report, rendered.page.as_bytes())?;
    Ok((report, rendered.report))
}

fn json(report: &ComparisonReport) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(report).unwrap_or_default();
    text.push(b'\n');
    text
}
