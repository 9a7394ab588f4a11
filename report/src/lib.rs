//! From run folders to statistics, plots and one HTML file; and contact sheets of patches.
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
    let plots = run.join("plots");
    write::create_folder(&plots)?;
    let of_probes = folder.probes.iter().flat_map(figures::probe);
    for figure in figures::curves(&folder).into_iter().chain(of_probes) {
        let path = plots.join(format!("{}.svg", figure.name));
        write::write_whole(&path, figure.svg.file().as_bytes())?;
    }
    let csv = table::metrics_csv(&folder.metrics);
    write::write_whole(&plots.join("metrics.csv"), csv.as_bytes())?;
    let report = run.join("report.html");
    write::write_whole(&report, html::page(&folder).as_bytes())?;
    Ok(report)
}
