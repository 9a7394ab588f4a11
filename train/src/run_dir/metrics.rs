//! `metrics.jsonl`: one row a line, appended and readable while the run is at work.
//!
//! A kill can tear the last line. A line is whole when it ends in a line feed: the reader leaves a
//! torn tail out, and the writer cuts it off before it appends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use chipmill_schemas::run::MetricsRow;

use crate::error::{TrainError, io_error};

/// Appends rows; each is on disk (in the operating system's hands) when `append` returns.
#[derive(Debug)]
pub struct MetricsWriter {
    path: PathBuf,
    file: File,
}

impl MetricsWriter {
    /// Opens or creates the file and cuts off a torn last line.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let file = open_whole(path).map_err(io_error("open", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Writes one row and its line feed in a single call.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn append(&mut self, row: &MetricsRow) -> Result<(), TrainError> {
        let written = serde_json::to_vec(row)
            .map_err(io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                self.file.write_all(&line)?;
                self.file.flush()
            });
        written.map_err(io_error("append to", &self.path))
    }
}

fn open_whole(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
    if whole < bytes.len() {
        tracing::warn!(path = %path.display(), cut = bytes.len() - whole, "cut a torn last line");
        file.set_len(whole as u64)?;
    }
    file.seek(SeekFrom::Start(whole as u64))?;
    Ok(file)
}

/// Every whole row, in the order written; a step may occur once per attempt.
///
/// # Errors
/// [`TrainError::Io`] when the file cannot be read, [`TrainError::Damaged`] naming a whole line
/// that is no metrics row. A missing file holds no rows.
pub fn read_metrics(path: &Path) -> Result<Vec<MetricsRow>, TrainError> {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io_error("read", path)(e)),
    };
    let row = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| TrainError::Damaged {
            path: path.to_owned(),
            message: format!("line {} is no metrics row: {e}", number + 1),
        })
    };
    let whole = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
    whole.map(str::trim_end).enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64) -> MetricsRow {
        MetricsRow {
            step,
            loss: 0.1 + 1.0 / 3.0,
            ..MetricsRow::default()
        }
    }

    #[test]
    fn a_torn_last_line_is_left_out_by_the_reader_and_cut_by_the_writer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut writer = MetricsWriter::open(&path).unwrap();
        writer.append(&row(1)).unwrap();
        writer.append(&row(2)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..whole.len() / 2 {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            assert_eq!(read_metrics(&path).unwrap(), [row(1)]);
            let mut writer = MetricsWriter::open(&path).unwrap();
            writer.append(&row(3)).unwrap();
            assert_eq!(read_metrics(&path).unwrap(), [row(1), row(3)]);
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, "{\"step\":1}\nnot json\n").unwrap();
        let text = read_metrics(&path).unwrap_err().to_string();
        assert!(text.contains("line 1"), "{text}");
        assert!(read_metrics(&dir.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn losses_survive_the_way_through_text_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        MetricsWriter::open(&path).unwrap().append(&row(7)).unwrap();
        let read = read_metrics(&path).unwrap();
        assert_eq!(read[0].loss.to_bits(), row(7).loss.to_bits());
    }
}
