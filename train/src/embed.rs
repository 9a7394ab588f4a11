//! Features of many patches, streamed into one safetensors file.
//!
//! | tensor | dtype, shape | holds |
//! |---|---|---|
//! | `features` | F32 `[n, d]` | what the encoder gives, not standardised |
//! | `rows` | U32 `[n]` | rows of the store |
//! | `patch_id` | U8 `[n, w]` | patch ids, ASCII, filled up with zeros (`numpy`: `.view("S<w>")`) |
//!
//! The metadata name the encoder: `step`, `config_digest`, `store_digest`, `writer`. Memory does not grow
//! with the number of patches; the file appears whole or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use chipmill_store::StoreReader;
use serde::Serialize;
use serde_json::json;

use crate::device::parse_device;
use crate::environment::config_digest;
use crate::error::{TrainError, io_error};
use crate::features::{Extraction, trained_encoder};
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
        let dim = encoder.features();
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
        let mut part = Part::begin(out)?;
        part.write(&header(rows.len(), dim, ids.width, &metadata))?;
        let mut done = 0;
        extraction.each(&encoder, rows, |patches, values| {
            done += patches.len();
            told(done);
            values
                .iter()
                .try_for_each(|value| part.write(&value.to_le_bytes()))
        })?;
        rows.iter()
            .try_for_each(|row| part.write(&row.to_le_bytes()))?;
        part.write(&ids.bytes)?;
        part.finish()?;
        Ok(Embedded {
            path: out.to_owned(),
            patches: rows.len(),
            dim,
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
