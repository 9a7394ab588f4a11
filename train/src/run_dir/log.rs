//! `train.log`: what a run said, one line each, for people.
//!
//! ```text
//! 2026-11-29T01:12:03Z attempt 0 checkpoint at step 200
//! ```
//! Times are UTC. Lines are only ever appended; one that a kill has torn is ended first.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{TrainError, io_error};

/// Appends lines; each is in the operating system's hands when `say` returns.
#[derive(Debug)]
pub struct TrainLog {
    path: PathBuf,
    file: File,
    attempt: u32,
}

impl TrainLog {
    /// Opens or creates the file and ends a torn last line.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn open(path: &Path, attempt: u32) -> Result<Self, TrainError> {
        let file = open_whole(path).map_err(io_error("open", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            attempt,
        })
    }

    /// Appends a line with the time and the attempt; line feeds of the text become blanks.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn say(&mut self, text: &str) -> Result<(), TrainError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = utc(since.map_or(0, |since| since.as_secs()));
        let text = text.replace('\n', " ");
        let line = format!("{time} attempt {} {text}\n", self.attempt);
        let written = self.file.write_all(line.as_bytes());
        written.map_err(io_error("append to", &self.path))
    }
}

fn open_whole(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).open(path)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Seconds since 1970 as `2026-11-29T01:12:03Z`, in the Gregorian calendar.
fn utc(seconds: u64) -> String {
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    while days >= days_of(year) {
        days -= days_of(year);
        year += 1;
    }
    let february = days_of(year) - 337;
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in months {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let (day, second) = (days + 1, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

const fn days_of(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (68_255_999, "1972-02-29T23:59:59Z"),
            (68_256_000, "1972-03-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (978_307_199, "2000-12-31T23:59:59Z"),
            (1_795_914_723, "2026-11-29T01:12:03Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), expected);
        }
    }

    #[test]
    fn lines_are_appended_and_a_torn_one_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.log");
        TrainLog::open(&path, 0).unwrap().say("one\ntwo").unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        assert!(whole.ends_with("Z attempt 0 one two\n"), "{whole}");
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        TrainLog::open(&path, 1).unwrap().say("three").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].ends_with("one t") && lines[1].ends_with("attempt 1 three"));
    }
}
