//! From run folders to statistics, plots and one HTML file; and contact sheets of patches.
//!
//! [`write_report`] takes one run, [`compare::write_comparison`] the runs of an experiment, and
//! [`serve::Live`] shows either while it is at work.
//!
//! The crate reads what a run left on disk and nothing else: it knows neither the store nor the
//! framework that trained. The same folder gives the same bytes, wherever it lies and whenever it is
//! read.
//!
//! ```text
//! run folder --read--> RunFolder --figures--> Vec<Figure> --+
//!                          |                                +--html--> report.html
//!                          +--summary, health--> sentences -+   also plots/*.svg, plots/metrics.csv
//! ```

pub mod compare;
pub mod error;
pub mod figures;
pub mod health;
pub mod html;
mod number;
pub mod plot;
pub mod read;
mod score;
pub mod serve;
pub mod sheet;
pub mod statistics;
pub mod summary;
mod table;
mod write;

use std::path::{Path, PathBuf};

pub use error::ReportError;
pub use read::RunFolder;

/// Reads a run folder and writes its `report.html`, `plots/*.svg` and `plots/metrics.csv`; returns the
/// path of the report, which is written last.
///
/// # Errors
/// [`ReportError`] naming the file that cannot be read, understood or written.
pub fn write_report(run: &Path) -> Result<PathBuf, ReportError> {
    let folder = RunFolder::read(run)?;
    write::create_folder(&run.join("plots"))?;
    for (name, bytes) in files(&folder) {
        write::write_whole(&run.join(name), &bytes)?;
    }
    let report = run.join("report.html");
    write::write_whole(&report, html::page(&folder).as_bytes())?;
    Ok(report)
}

/// What stands beside a run's `report.html`, by path.
fn files(run: &RunFolder) -> Vec<(String, Vec<u8>)> {
    let of_probes = run.probes.iter().flat_map(figures::probe);
    let figures = figures::curves(run).into_iter().chain(of_probes);
    let svg = |f: figures::Figure| (format!("plots/{}.svg", f.name), f.svg.file().into_bytes());
    let mut files: Vec<(String, Vec<u8>)> = figures.map(svg).collect();
    let csv = table::metrics_csv(&run.metrics);
    files.push(("plots/metrics.csv".to_owned(), csv.into_bytes()));
    files
}
