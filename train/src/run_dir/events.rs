//! `events.out.tfevents.*`: the metrics once more, in the form that `TensorBoard` reads.
//!
//! A file is a list of `TFRecord`s: length (u64), masked crc32c of it, payload, masked crc32c of that,
//! all little-endian. A payload is a protocol buffer `Event`: wall time (field 1, double), step (2,
//! varint), and either `file_version` (3) or a summary (5) of values, each a tag (1) and a number
//! (2, float). Forms: `tensorflow/core/lib/io/record_writer.cc`, `tensorflow/core/util/event.proto`,
//! `tensorflow/core/framework/summary.proto`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chipmill_schemas::run::MetricsRow;
use serde_json::Value;

use crate::error::{TrainError, io_error};

/// Appends metrics rows. Every start of a run has a file of its own.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Makes the file of one attempt inside a run folder.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn create(run: &Path, attempt: u32) -> Result<Self, TrainError> {
        let time = now();
        // TensorBoard reads files in the order of their names.
        let name = format!(
            "events.out.tfevents.{:010}.chipmill.{attempt:04}",
            time.as_secs()
        );
        let path = run.join(name);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut writer = Self {
            file: file.map_err(io_error("create", &path))?,
            path,
        };
        writer.record(&version(time))?;
        Ok(writer)
    }

    /// Appends a row: one scalar for each of its numbers that is there and finite.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn append(&mut self, row: &MetricsRow) -> Result<(), TrainError> {
        self.record(&event(now(), row))
    }

    /// Writes one record in a single call.
    fn record(&mut self, payload: &[u8]) -> Result<(), TrainError> {
        let written = self.file.write_all(&framed(payload));
        written.map_err(io_error("write", &self.path))
    }
}

fn now() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let parts: [&[u8]; 4] = [
        &length,
        &masked_crc(&length).to_le_bytes(),
        payload,
        &masked_crc(payload).to_le_bytes(),
    ];
    parts.concat()
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xA282_EAD8)
}

fn version(time: Duration) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, time.as_secs_f64());
    event.bytes(3, b"brain.Event:2");
    event.0
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the format has single precision"
)]
fn event(time: Duration, row: &MetricsRow) -> Vec<u8> {
    let mut summary = Message::default();
    for (tag, value) in scalars(row) {
        let mut scalar = Message::default();
        scalar.bytes(1, tag.as_bytes());
        scalar.float(2, value as f32);
        summary.bytes(1, &scalar.0);
    }
    let mut event = Message::default();
    event.double(1, time.as_secs_f64());
    event.varint_field(2, row.step);
    event.bytes(5, &summary.0);
    event.0
}

/// The numbers of a row by name, those that say where the row belongs left out.
fn scalars(row: &MetricsRow) -> Vec<(String, f64)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(row) else {
        return Vec::new();
    };
    let is_place = |name: &str| matches!(name, "step" | "attempt");
    fields
        .into_iter()
        .filter(|(name, _)| !is_place(name))
        .filter_map(|(name, value)| Some((tag(&name), value.as_f64()?)))
        .collect()
}

/// `probe_accuracy` is shown as `probe/accuracy`: `TensorBoard` groups by what stands before the slash.
fn tag(name: &str) -> String {
    name.strip_prefix("probe_")
        .map_or_else(|| format!("train/{name}"), |score| format!("probe/{score}"))
}

/// A protocol buffer in the making.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7F) as u8);
    }

    fn varint_field(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> MetricsRow {
        MetricsRow {
            step: 300,
            loss: 0.5,
            gradient_norm: f64::NAN,
            probe_accuracy: Some(0.25),
            ..MetricsRow::default()
        }
    }

    /// Payloads of a file whose checksums hold.
    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_at(8);
            let (crc, rest) = rest.split_at(4);
            assert_eq!(crc, masked_crc(length).to_le_bytes());
            let length = u64::from_le_bytes(length.try_into().unwrap());
            let (payload, rest) = rest.split_at(usize::try_from(length).unwrap());
            let (crc, rest) = rest.split_at(4);
            assert_eq!(crc, masked_crc(payload).to_le_bytes());
            found.push(payload.to_vec());
            bytes = rest;
        }
        found
    }

    #[test]
    fn a_masked_crc_is_that_of_the_format() {
        // The example of RFC 3720, B.4: 32 bytes of zeros have crc32c 0x8A9136AA.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8A91_36AA);
        // Turned by 15 bits: 0x6D55_1522; plus the constant.
        assert_eq!(
            masked_crc(&[0; 32]),
            0x6D55_1522_u32.wrapping_add(0xA282_EAD8)
        );
    }

    #[test]
    fn a_file_begins_with_its_version_and_holds_what_was_measured() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path(), 0).unwrap();
        writer.append(&row()).unwrap();
        let records = records(&std::fs::read(&writer.path).unwrap());
        assert_eq!(records.len(), 2);
        assert!(records[0].ends_with(b"brain.Event:2"));
        let has = |text: &[u8]| records[1].windows(text.len()).any(|w| w == text);
        // Step 300 as a varint of field 2; tag and number of a scalar.
        assert!(has(&[0x10, 0xAC, 0x02]));
        assert!(has(b"train/loss\x15\x00\x00\x00\x3f"));
        assert!(has(b"probe/accuracy\x15\x00\x00\x80\x3e"));
        assert!(!has(b"gradient_norm"), "not finite: left out");
    }

    #[test]
    fn every_attempt_has_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let first = EventWriter::create(folder.path(), 0).unwrap();
        let second = EventWriter::create(folder.path(), 1).unwrap();
        assert_ne!(first.path, second.path);
    }
}
