//! What can go wrong between a run folder and its report.

use std::path::{Path, PathBuf};

/// A run folder cannot be read, or its report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The path is no run folder.
    #[error(
        "{}: {found}; expected a run folder, which holds config.toml, metrics.jsonl and status.json \
         (`chipmill pretrain --run DIR` makes one)",
        path.display()
    )]
    NotARun {
        /// The path asked for.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// The path is no folder of a comparison.
    #[error(
        "{}: has no experiment.toml; expected the folder of a comparison (`chipmill compare \
         EXPERIMENT.toml --out DIR` makes one)",
        path.display()
    )]
    NotAComparison {
        /// The path asked for.
        path: PathBuf,
    },
    /// A file of the run folder cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the run folder does not hold what it should.
    #[error("{}{}: {message}; expected {expected}", path.display(), at(*line))]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where the file is read line by line.
        line: Option<usize>,
        /// What was found.
        message: String,
        /// What the file should hold.
        expected: &'static str,
    },
    /// The port to serve on cannot be had.
    #[error(
        "127.0.0.1:{port}: cannot listen: {message}; another port may be free (--port 0 takes one)"
    )]
    Listen {
        /// The port asked for.
        port: u16,
        /// Why.
        message: String,
    },
    /// A file of the report cannot be written.
    #[error("{}: cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ReportError {
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Write { path, source }
    }
}

fn at(line: Option<usize>) -> String {
    line.map(|l| format!(", line {l}")).unwrap_or_default()
}
