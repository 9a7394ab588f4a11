//! Features of many patches, streamed into one file.
//!
//! A name that ends in `.parquet` gets a table with the columns `patch_id` (string), `row` (u32) and
//! `features` (a list of f32 of fixed length), compressed with zstd. Every other one is safetensors:
//!
//! | tensor | dtype, shape | holds |
//! |---|---|---|
//! | `features` | F32 `[n, d]` | what the encoder gives, not standardised |
//! | `rows` | U32 `[n]` | rows of the store |
//! | `patch_id` | U8 `[n, w]` | patch ids, ASCII, filled up with zeros (`numpy`: `.view("S<w>")`) |
//!
//! The metadata of both name the encoder: `step`, `config_digest`, `store_digest`, `writer`. Memory does not grow
//! with the number of patches; the file appears whole or not at all.

mod columns;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use chipmill_store::StoreReader;
use parquet::errors::ParquetError;
use serde::Serialize;
use serde_json::json;

use columns::Columns;

use crate::device::parse_device;
use crate::environment::config_digest;
use crate::error::{TrainError, io_error};
use crate::features::{Extraction, trained_encoder};
use crate::model::Encoder;
use crate::run_dir::RunDir;

/// What is embedded with what.
#[derive(Debug, Clone, Copy)]
pub struct Embed<'a> {
    /// Where the patches come from. Views are normalised with this store's statistics.
    pub store: &'a StoreReader,
    /// The run folder; its newest checkpoint is used.
    pub run: &'a Path,
    /// `cpu`, `cuda` or `cuda:N`.
    pub device: &'a str,
    /// Patches in a forward pass.
    pub batch_size: usize,
    /// When set, the work ends with [`TrainError::Stopped`] and nothing is written.
    pub stop: &'a AtomicBool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Embedded {
    /// The file.
    pub path: PathBuf,
    /// Patches.
    pub patches: usize,
    /// Length of a feature vector.
    pub dim: usize,
    /// Step of the checkpoint.
    pub step: u64,
}

impl Embed<'_> {
    /// Writes the features of some rows of the store, in their order; `told` is given the number of
    /// patches done.
    ///
    /// # Errors
    /// [`TrainError`]: no checkpoint, a patch that cannot be read, a feature that is not finite (naming
    /// the patch), a row that the store does not have, or a file that cannot be written.
    pub fn write(
        &self,
        rows: &[u32],
        out: &Path,
        told: impl Fn(usize),
    ) -> Result<Embedded, TrainError> {
        let run = RunDir::open(self.run)?;
        let config = run.config()?;
        let device = parse_device(self.device)?;
        let (encoder, step) = trained_encoder(&run, &config, &device)?;
        let ids = self.ids(rows)?;
        let metadata = json!({
            "writer": format!("chipmill {}", env!("CARGO_PKG_VERSION")),
            "step": step.to_string(),
            "config_digest": config_digest(&config),
            "store_digest": self.store.digest(),
        });
        let extraction = Extraction {
            store: self.store,
            config: &config,
            batch_size: self.batch_size,
            device: &device,
            stop: self.stop,
        };
        let work = Work {
            extraction,
            encoder: &encoder,
            rows,
            metadata: &metadata,
        };
        let part = Part::begin(out)?;
        if out
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
        {
            work.table(part, told)?;
        } else {
            work.tensors(part, &ids, told)?;
        }
        Ok(Embedded {
            path: out.to_owned(),
            patches: rows.len(),
            dim: encoder.features(),
            step,
        })
    }

    fn ids(&self, rows: &[u32]) -> Result<Ids, TrainError> {
        let table = self.store.table();
        let id = |&row: &u32| {
            table.id(row as usize).ok_or_else(|| TrainError::NoSuchRow {
                row,
                patches: self.store.len(),
            })
        };
        let ids = rows.iter().map(id).collect::<Result<Vec<_>, _>>()?;
        let width = ids.iter().map(|id| id.len()).max().unwrap_or(0);
        let mut bytes = vec![0; ids.len() * width];
        for (to, id) in bytes.chunks_exact_mut(width.max(1)).zip(&ids) {
            to[..id.len()].copy_from_slice(id.as_bytes());
        }
        Ok(Ids { width, bytes })
    }
}

/// Which features go into a file.
struct Work<'a> {
    extraction: Extraction<'a>,
    encoder: &'a Encoder,
    rows: &'a [u32],
    metadata: &'a serde_json::Value,
}

impl Work<'_> {
    fn tensors(
        &self,
        mut part: Part<'_>,
        ids: &Ids,
        told: impl Fn(usize),
    ) -> Result<(), TrainError> {
        let (rows, dim) = (self.rows, self.encoder.features());
        part.write(&header(rows.len(), dim, ids.width, self.metadata))?;
        self.each(told, |_, values| {
            let mut bytes = values.iter().map(|value| value.to_le_bytes());
            bytes.try_for_each(|bytes| part.write(&bytes))
        })?;
        rows.iter()
            .try_for_each(|row| part.write(&row.to_le_bytes()))?;
        part.write(&ids.bytes)?;
        part.finish()
    }

    fn table(&self, mut part: Part<'_>, told: impl Fn(usize)) -> Result<(), TrainError> {
        let out = part.out;
        let failed = |e: ParquetError| io_error("write", out)(std::io::Error::other(e));
        if let Some(file) = &mut part.file {
            let dim = self.encoder.features();
            let mut columns = Columns::begin(file, dim, self.metadata).map_err(failed)?;
            let table = self.extraction.store.table();
            self.each(told, |rows, values| {
                let id = |&row: &u32| table.id(row as usize).unwrap_or_default();
                let ids: Vec<&str> = rows.iter().map(id).collect();
                columns.write(rows, &ids, values).map_err(failed)
            })?;
            columns.finish().map_err(failed)?;
        }
        part.finish()
    }

    /// Rows and their features, batch by batch; `told` is given the number of patches done.
    fn each(
        &self,
        told: impl Fn(usize),
        mut take: impl FnMut(&[u32], &[f32]) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let mut done = 0;
        self.extraction
            .each(self.encoder, self.rows, |rows, values| {
                done += rows.len();
                told(done);
                take(rows, values)
            })
    }
}

/// Ids of equal length.
struct Ids {
    width: usize,
    bytes: Vec<u8>,
}

/// Length (u64) and JSON, filled up with blanks to a multiple of 8, as the format asks for.
fn header(rows: usize, dim: usize, width: usize, metadata: &serde_json::Value) -> Vec<u8> {
    let sizes = [
        rows * dim * size_of::<f32>(),
        rows * size_of::<u32>(),
        rows * width,
    ];
    let ends = [sizes[0], sizes[0] + sizes[1], sizes.iter().sum()];
    let tensor = |dtype: &str, shape: &[usize], i: usize| {
        let begin = ends[i] - sizes[i];
        json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, ends[i]]})
    };
    let text = json!({
        "__metadata__": metadata,
        "features": tensor("F32", &[rows, dim], 0),
        "rows": tensor("U32", &[rows], 1),
        "patch_id": tensor("U8", &[rows, width], 2),
    });
    let mut text = text.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes()[..], &text].concat()
}

/// A file under another name until it is whole; removed when it does not come to that.
struct Part<'a> {
    out: &'a Path,
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl<'a> Part<'a> {
    fn begin(out: &'a Path) -> Result<Self, TrainError> {
        let mut name = out.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let path = out.with_file_name(name);
        let file = File::create(&path).map_err(io_error("create", &path))?;
        Ok(Self {
            out,
            path,
            file: Some(BufWriter::new(file)),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TrainError> {
        match &mut self.file {
            Some(file) => file.write_all(bytes).map_err(io_error("write", &self.path)),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<(), TrainError> {
        if let Some(file) = self.file.take() {
            let file = file
                .into_inner()
                .map_err(std::io::IntoInnerError::into_error);
            file.and_then(|file| file.sync_all())
                .and_then(|()| std::fs::rename(&self.path, self.out))
                .map_err(io_error("write", self.out))?;
        }
        Ok(())
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        // After `finish` there is no such file; otherwise it is worth nothing.
        let _ = std::fs::remove_file(&self.path);
    }
}
