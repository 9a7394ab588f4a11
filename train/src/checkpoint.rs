//! Checkpoints: one folder a step, written beside and renamed, so that a visible one is whole.
//!
//! ```text
//! checkpoints/step-200/  meta.json  model.safetensors  optimizer.safetensors
//! checkpoints/.*         work in progress, or being deleted: never read, removed at the next start
//! ```
//! `meta.json` holds size and BLAKE3 of the other files; both are checked at every load.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use chipmill_pipeline::LoaderState;
use chipmill_schemas::config::PretrainConfig;
use chipmill_store::write_object;
use serde::{Deserialize, Serialize};

/// Version of the checkpoint format that this build reads and writes.
pub const FORMAT: u32 = 1;

const META: &str = "meta.json";
const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";

/// A checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A visible checkpoint is not whole.
    #[error(
        "checkpoint {}: {message}; {remedy}",
        path.display()
    )]
    Damaged {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What is wrong with which file.
        message: String,
        /// What to do.
        remedy: String,
    },
    /// Written by another version of the program.
    #[error(
        "checkpoint {} has format {found}, this build reads format {FORMAT}: use the version of \
         chipmill that wrote it (see environment.json)",
        path.display()
    )]
    Format {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
}

/// What a checkpoint says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointMeta {
    /// Optimiser steps done.
    pub step: u64,
    /// Position of the next batch to be consumed.
    pub loader: LoaderState,
    /// The resolved configuration.
    pub config: PretrainConfig,
    /// Digest of the store's manifest.
    pub store_digest: String,
    /// Digest of the selected row numbers.
    pub selection_digest: String,
}

/// Everything that a run needs to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What it says of itself.
    pub meta: CheckpointMeta,
    /// The model's parameters and running statistics, as safetensors.
    pub model: Vec<u8>,
    /// The optimiser's state, as safetensors.
    pub optimizer: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MetaFile {
    format: u32,
    files: BTreeMap<String, FileRecord>,
    #[serde(flatten)]
    meta: CheckpointMeta,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileRecord {
    bytes: u64,
    blake3: String,
}

impl FileRecord {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        }
    }
}

/// The checkpoints of one run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// The checkpoints below a folder, which need not exist yet.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Removes what a killed process left behind. Only for the process that holds the run's lock.
    ///
    /// # Errors
    /// [`CheckpointError::Io`].
    pub fn clean(&self) -> Result<(), CheckpointError> {
        for name in self.names()? {
            if name.starts_with('.') {
                let path = self.folder.join(&name);
                tracing::warn!(path = %path.display(), "removing an unfinished checkpoint");
                std::fs::remove_dir_all(&path).map_err(io_at("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Steps of the checkpoints, ascending.
    ///
    /// # Errors
    /// [`CheckpointError::Io`].
    pub fn steps(&self) -> Result<Vec<u64>, CheckpointError> {
        let names = self.names()?;
        let step = |name: &String| name.strip_prefix("step-")?.parse().ok();
        let mut steps: Vec<u64> = names.iter().filter_map(step).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Folder of one step's checkpoint.
    #[must_use]
    pub fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step}"))
    }

    /// Writes a checkpoint, then removes the oldest so that `keep` remain.
    ///
    /// A checkpoint of the same step is replaced.
    ///
    /// # Errors
    /// [`CheckpointError::Io`]; the older checkpoints are then all still there.
    pub fn save(&self, checkpoint: &Checkpoint, keep: u32) -> Result<PathBuf, CheckpointError> {
        let step = checkpoint.meta.step;
        let (path, beside) = (
            self.path(step),
            self.folder.join(format!(".step-{step}.new")),
        );
        if let Err(error) = write_folder(&beside, checkpoint) {
            // A full disk is freed again; what cannot be removed is cleaned at the next start.
            let _ = std::fs::remove_dir_all(&beside);
            return Err(error);
        }
        if path.exists() {
            self.remove(step)?;
        }
        std::fs::rename(&beside, &path).map_err(io_at("rename", &beside))?;
        sync_folder(&self.folder)?;
        self.prune(keep)?;
        Ok(path)
    }

    /// The checkpoint of the highest step; `None` when there is none.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] when it is not whole: never passed over in silence, because
    /// the run would go back without a word.
    pub fn load_newest(&self) -> Result<Option<Checkpoint>, CheckpointError> {
        match self.steps()?.last() {
            Some(&step) => self.load(step).map(Some),
            None => Ok(None),
        }
    }

    /// Reads and checks one checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError`] naming the checkpoint, the file, what was found and expected.
    pub fn load(&self, step: u64) -> Result<Checkpoint, CheckpointError> {
        let file = self.read_meta(step)?;
        let checkpoint = Checkpoint {
            model: self.read_part(step, MODEL, &file)?,
            optimizer: self.read_part(step, OPTIMIZER, &file)?,
            meta: file.meta,
        };
        if checkpoint.meta.step == step {
            Ok(checkpoint)
        } else {
            let message = format!("{META} speaks of step {}", checkpoint.meta.step);
            Err(self.damaged(step, message))
        }
    }

    fn read_meta(&self, step: u64) -> Result<MetaFile, CheckpointError> {
        let path = self.path(step);
        let bad = |e: &dyn std::fmt::Display| self.damaged(step, format!("{META}: {e}"));
        let bytes = std::fs::read(path.join(META)).map_err(|e| bad(&e))?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| bad(&e))?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(found) if found != u64::from(FORMAT) => {
                Err(CheckpointError::Format { path, found })
            }
            Some(_) => serde_json::from_value(value).map_err(|e| bad(&e)),
            None => Err(bad(&"has no `format`")),
        }
    }

    fn read_part(
        &self,
        step: u64,
        name: &str,
        meta: &MetaFile,
    ) -> Result<Vec<u8>, CheckpointError> {
        let bad = |message: String| self.damaged(step, format!("{name} {message}"));
        let Some(expected) = meta.files.get(name) else {
            return Err(bad(format!("is not listed in {META}")));
        };
        let bytes = std::fs::read(self.path(step).join(name))
            .map_err(|e| bad(format!("cannot be read: {e}")))?;
        let found = FileRecord::of(&bytes);
        if found == *expected {
            Ok(bytes)
        } else {
            Err(bad(format!(
                "has {} bytes with BLAKE3 {}, expected {} bytes with {}",
                found.bytes, found.blake3, expected.bytes, expected.blake3
            )))
        }
    }

    /// A checkpoint that cannot be used, with the way back to the one before.
    pub(crate) fn damaged(&self, step: u64, message: String) -> CheckpointError {
        let before = self
            .steps()
            .unwrap_or_default()
            .into_iter()
            .rfind(|&s| s < step);
        let remedy = match before {
            Some(before) => {
                format!("remove this folder to go on from step {before}, the one before")
            }
            None => "there is no earlier one: remove this folder to begin at step 0".to_owned(),
        };
        CheckpointError::Damaged {
            path: self.path(step),
            message,
            remedy,
        }
    }

    fn prune(&self, keep: u32) -> Result<(), CheckpointError> {
        let steps = self.steps()?;
        let surplus = steps.len().saturating_sub(keep as usize);
        steps[..surplus].iter().try_for_each(|&s| self.remove(s))
    }

    /// Renames before deleting, so that a half-deleted checkpoint is never visible.
    fn remove(&self, step: u64) -> Result<(), CheckpointError> {
        let (path, aside) = (
            self.path(step),
            self.folder.join(format!(".step-{step}.old")),
        );
        if aside.exists() {
            std::fs::remove_dir_all(&aside).map_err(io_at("remove", &aside))?;
        }
        std::fs::rename(&path, &aside).map_err(io_at("rename", &path))?;
        std::fs::remove_dir_all(&aside).map_err(io_at("remove", &aside))
    }

    fn names(&self) -> Result<Vec<String>, CheckpointError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(io_at("list", &self.folder)(e)),
        };
        let name = |entry: io::Result<std::fs::DirEntry>| {
            entry
                .map(|e| e.file_name().to_string_lossy().into_owned())
                .map_err(io_at("list", &self.folder))
        };
        entries.map(name).collect()
    }
}

fn write_folder(folder: &Path, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(io_at("remove", folder))?;
    }
    std::fs::create_dir_all(folder).map_err(io_at("create", folder))?;
    let parts = [
        (MODEL, &checkpoint.model),
        (OPTIMIZER, &checkpoint.optimizer),
    ];
    let mut files = BTreeMap::new();
    for (name, bytes) in parts {
        let path = folder.join(name);
        write_object(&path, bytes).map_err(io_at("write", &path))?;
        files.insert(name.to_owned(), FileRecord::of(bytes));
    }
    let meta = MetaFile {
        format: FORMAT,
        files,
        meta: checkpoint.meta.clone(),
    };
    let path = folder.join(META);
    serde_json::to_vec_pretty(&meta)
        .map_err(io::Error::from)
        .and_then(|bytes| write_object(&path, &bytes))
        .map_err(io_at("write", &path))
}

fn sync_folder(folder: &Path) -> Result<(), CheckpointError> {
    std::fs::File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(io_at("sync", folder))
}

fn io_at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(step: u64) -> Checkpoint {
        Checkpoint {
            meta: CheckpointMeta {
                step,
                loader: LoaderState { epoch: 1, batch: 2 },
                config: PretrainConfig::default(),
                store_digest: "s".to_owned(),
                selection_digest: "r".to_owned(),
            },
            model: vec![1; 100],
            optimizer: vec![2; 50],
        }
    }

    #[test]
    fn only_the_newest_are_kept_and_they_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let all = Checkpoints::new(dir.path().join("checkpoints"));
        assert!(all.load_newest().unwrap().is_none());
        for step in [2, 10, 9, 100] {
            all.save(&checkpoint(step), 2).unwrap();
        }
        assert_eq!(all.steps().unwrap(), [10, 100]);
        assert_eq!(all.load_newest().unwrap(), Some(checkpoint(100)));
    }

    #[test]
    fn a_truncated_or_altered_checkpoint_is_named_with_the_way_back() {
        let dir = tempfile::tempdir().unwrap();
        let all = Checkpoints::new(dir.path().to_owned());
        all.save(&checkpoint(1), 5).unwrap();
        for name in [META, MODEL, OPTIMIZER] {
            let path = all.save(&checkpoint(2), 5).unwrap().join(name);
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            let text = all.load_newest().unwrap_err().to_string();
            assert!(text.contains("step-2") && text.contains(name), "{text}");
            assert!(text.contains("go on from step 1"), "{text}");
            std::fs::remove_file(&path).unwrap();
            assert!(all.load_newest().unwrap_err().to_string().contains(name));
        }
        let path = all.save(&checkpoint(2), 5).unwrap().join(MODEL);
        let mut altered = std::fs::read(&path).unwrap();
        altered[7] ^= 1;
        std::fs::write(&path, altered).unwrap();
        all.load_newest().unwrap_err();
    }

    #[test]
    fn a_checkpoint_of_another_format_is_refused_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let all = Checkpoints::new(dir.path().to_owned());
        let path = all.save(&checkpoint(1), 1).unwrap().join(META);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"format\": 1", "\"format\": 7")).unwrap();
        let error = all.load_newest().unwrap_err();
        assert!(matches!(error, CheckpointError::Format { found: 7, .. }));
    }

    #[test]
    fn what_a_kill_leaves_behind_is_never_read_and_goes_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let all = Checkpoints::new(dir.path().to_owned());
        all.save(&checkpoint(1), 1).unwrap();
        std::fs::create_dir(dir.path().join(".step-2.new")).unwrap();
        std::fs::write(dir.path().join(".step-2.new/model.safetensors"), "half").unwrap();
        assert_eq!(all.steps().unwrap(), [1]);
        all.clean().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
