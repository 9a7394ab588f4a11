//! A run folder as it stands on disk, read into the shared types.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::probe::ProbeReport;
use chipmill_schemas::run::{Environment, MetricsRow, RunStatus};
use serde::de::DeserializeOwned;

use crate::error::ReportError;

/// Everything a report is made of. Nothing in it depends on where the folder lies.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFolder {
    /// The folder's own name.
    pub name: String,
    /// The resolved configuration.
    pub config: PretrainConfig,
    /// The same as a table, for listing every key as it stands in the file.
    pub config_table: toml::Table,
    /// `environment.json`, when it was written.
    pub environment: Option<Environment>,
    /// `status.json`, when it was written.
    pub status: Option<RunStatus>,
    /// Rows of `metrics.jsonl` by ascending step, the last row of each step only.
    pub metrics: Vec<MetricsRow>,
    /// Lines of `metrics.jsonl` that end in the middle of a row: a write was cut off there.
    pub torn_lines: usize,
    /// `probe/*.json`, ordered by file name.
    pub probes: Vec<ProbeReport>,
}

impl RunFolder {
    /// Reads a run folder. Only `config.toml` has to be there: a run may have failed before it wrote
    /// anything else, and may still be running.
    ///
    /// # Errors
    /// [`ReportError::NotARun`] when there is no `config.toml`; [`ReportError::Read`] and
    /// [`ReportError::Content`] naming the file (and line) that is there but is not what it should be.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let config_path = path.join("config.toml");
        let text = read_text(&config_path)?.ok_or_else(|| not_a_run(path))?;
        let (config, config_table) = parse_config(&config_path, &text)?;
        let (metrics, torn_lines) = read_metrics(&path.join("metrics.jsonl"))?;
        Ok(Self {
            name: folder_name(path),
            config,
            config_table,
            environment: read_json(&path.join("environment.json"), "the run's environment")?,
            status: read_json(&path.join("status.json"), "the run's status")?,
            metrics,
            torn_lines,
            probes: read_probes(&path.join("probe"))?,
        })
    }
}

fn folder_name(path: &Path) -> String {
    let full = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = full.file_name().unwrap_or(full.as_os_str());
    name.to_string_lossy().into_owned()
}

fn not_a_run(path: &Path) -> ReportError {
    let found = match fs::read_dir(path) {
        Err(_) if path.exists() => "is a file".to_owned(),
        Err(_) => "does not exist".to_owned(),
        Ok(entries) => {
            let name = |e: fs::DirEntry| e.file_name().to_string_lossy().into_owned();
            let mut names: Vec<String> = entries.flatten().map(name).collect();
            names.sort();
            names.truncate(8);
            match names.as_slice() {
                [] => "is an empty folder".to_owned(),
                names => format!("has no config.toml (it holds {})", names.join(", ")),
            }
        }
    };
    ReportError::NotARun {
        path: path.to_path_buf(),
        found,
    }
}

pub(crate) fn read_text(path: &Path) -> Result<Option<String>, ReportError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(ReportError::Read {
            path: path.to_path_buf(),
            source,
        }),
    }
}

fn parse_config(path: &Path, text: &str) -> Result<(PretrainConfig, toml::Table), ReportError> {
    let wrong = |message: String| ReportError::Content {
        path: path.to_path_buf(),
        line: None,
        message,
        expected: "the resolved configuration of a pretraining run",
    };
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| wrong(e.to_string()))?;
    let config = chipmill_schemas::config::resolve(Some(("config.toml", text)), &[])
        .map_err(|e| wrong(e.to_string()))?;
    Ok((config, table))
}

pub(crate) fn read_json<T: DeserializeOwned>(
    path: &Path,
    expected: &'static str,
) -> Result<Option<T>, ReportError> {
    let Some(text) = read_text(path)? else {
        return Ok(None);
    };
    let value = serde_json::from_str(&text).map_err(|e| ReportError::Content {
        path: path.to_path_buf(),
        line: None,
        message: e.to_string(),
        expected,
    })?;
    Ok(Some(value))
}

/// Rows in ascending order of step. A resumed run logs again from its checkpoint on: its first row
/// replaces every earlier row from that step on, so that no stale row of the lost attempt stays.
fn read_metrics(path: &Path) -> Result<(Vec<MetricsRow>, usize), ReportError> {
    let text = read_bytes(path)?;
    let mut rows: Vec<MetricsRow> = Vec::new();
    let mut torn = 0;
    for (number, line) in (1..).zip(text.split(|&b| b == b'\n')) {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice::<MetricsRow>(line) {
            Ok(row) => {
                let kept = rows.partition_point(|r| r.step < row.step);
                rows.truncate(kept);
                rows.push(row);
            }
            Err(e) if e.is_eof() => torn += 1,
            Err(e) => {
                return Err(ReportError::Content {
                    path: path.to_path_buf(),
                    line: Some(number),
                    message: e.to_string(),
                    expected: "one metrics row a line",
                });
            }
        }
    }
    Ok((rows, torn))
}

/// As bytes: a torn line may end inside a character.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, ReportError> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(ReportError::Read {
            path: path.to_path_buf(),
            source,
        }),
    }
}

/// Paths of one kind in a folder, by name; none without the folder.
pub(crate) fn listed(
    folder: &Path,
    extension: &str,
) -> Result<Vec<(String, PathBuf)>, ReportError> {
    let failed = |source| ReportError::Read {
        path: folder.to_path_buf(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|e| e == extension)
            && let Some(stem) = path.file_stem()
        {
            paths.push((stem.to_string_lossy().into_owned(), path));
        }
    }
    paths.sort();
    Ok(paths)
}

fn read_probes(folder: &Path) -> Result<Vec<ProbeReport>, ReportError> {
    let paths = listed(folder, "json")?;
    let read = |(_, path): &(String, PathBuf)| read_json(path, "the result of a probe").transpose();
    paths.iter().filter_map(read).collect()
}
