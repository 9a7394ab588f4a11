//! A run's folder: made once, locked while a process works in it, each file whole at any moment.
//!
//! ```text
//! <run>/ config.toml       the resolved configuration
//!        task.toml         the definition of `selection.exclude_task`
//!        environment.json  where and with what
//!        status.json       rewritten atomically
//!        metrics.jsonl     append-only
//!        train.log         append-only: what was said, with times
//!        checkpoints/step-N/   probe/<target>.json
//!        .lock             held by the process at work
//! ```

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use chipmill_schemas::config::{PretrainConfig, resolve};
use chipmill_schemas::run::{Environment, MetricsRow, RunStatus};
use chipmill_schemas::task::Task;
use chipmill_store::write_object;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{TrainError, io_error};

mod events;
mod log;
mod metrics;

pub use events::EventWriter;
pub use log::TrainLog;
pub use metrics::{MetricsWriter, read_metrics};

const CONFIG: &str = "config.toml";
const STATUS: &str = "status.json";

/// An existing run folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    root: PathBuf,
}

/// Held while a process works in a run folder; released on drop, and by a kill.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunDir {
    /// Makes the folder of a new run and stores its configuration.
    ///
    /// An empty folder is taken; anything else at that path is left as it is.
    ///
    /// # Errors
    /// [`TrainError::RunExists`] for a folder that holds something, [`TrainError::Busy`] when
    /// another process makes the same run, [`TrainError::Io`] otherwise.
    pub fn create(root: &Path, config: &PretrainConfig) -> Result<(Self, RunLock), TrainError> {
        std::fs::create_dir_all(root).map_err(io_error("create", root))?;
        let dir = Self {
            root: root.to_owned(),
        };
        let lock = dir.lock_if(|| Self::check_vacant(root))?;
        for folder in [dir.checkpoints(), dir.probes()] {
            std::fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        }
        dir.write_config(config)?;
        Ok((dir, lock))
    }

    /// Whether a new run may be made there: a path that does not exist, or an empty folder.
    ///
    /// # Errors
    /// [`TrainError::RunExists`] for a folder that holds something, [`TrainError::Io`] otherwise.
    pub fn check_vacant(root: &Path) -> Result<(), TrainError> {
        match is_vacant(root) {
            Ok(true) => Ok(()),
            Ok(false) => Err(TrainError::RunExists {
                run: root.to_owned(),
            }),
            Err(e) => Err(io_error("list", root)(e)),
        }
    }

    /// Opens the folder of a run that was begun.
    ///
    /// # Errors
    /// [`TrainError::NotARun`] when it has no `config.toml`.
    pub fn open(root: &Path) -> Result<Self, TrainError> {
        if root.join(CONFIG).is_file() {
            Ok(Self {
                root: root.to_owned(),
            })
        } else {
            Err(TrainError::NotARun {
                run: root.to_owned(),
            })
        }
    }

    /// Takes the folder for this process.
    ///
    /// # Errors
    /// [`TrainError::Busy`] while another process holds it, [`TrainError::Io`] otherwise.
    pub fn lock(&self) -> Result<RunLock, TrainError> {
        self.lock_if(|| Ok(()))
    }

    /// The check comes before the lock file is made, so that a refused folder stays untouched.
    fn lock_if(&self, check: impl Fn() -> Result<(), TrainError>) -> Result<RunLock, TrainError> {
        check()?;
        let path = self.root.join(".lock");
        let file = File::create(&path).map_err(io_error("create", &path))?;
        match file.try_lock() {
            Ok(()) => check().map(|()| RunLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(TrainError::Busy {
                run: self.root.clone(),
            }),
            Err(TryLockError::Error(e)) => Err(io_error("lock", &path)(e)),
        }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of the checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// Folder of the probes' results.
    #[must_use]
    pub fn probes(&self) -> PathBuf {
        self.root.join("probe")
    }

    /// The resolved configuration.
    ///
    /// # Errors
    /// [`TrainError::Io`], or [`TrainError::Config`] naming the key.
    pub fn config(&self) -> Result<PretrainConfig, TrainError> {
        let path = self.root.join(CONFIG);
        let text = std::fs::read_to_string(&path).map_err(io_error("read", &path))?;
        Ok(resolve(Some((&path.display().to_string(), &text)), &[])?)
    }

    /// Stores the configuration.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn write_config(&self, config: &PretrainConfig) -> Result<(), TrainError> {
        self.write_toml(CONFIG, config)
    }

    /// The task whose patches the run leaves out; `None` where it leaves out none.
    ///
    /// # Errors
    /// [`TrainError::Damaged`] naming the file.
    pub fn task(&self) -> Result<Option<Task>, TrainError> {
        let path = self.root.join("task.toml");
        let Some(text) = read_optional(&path)? else {
            return Ok(None);
        };
        let task = toml::from_str(&text).map_err(|e| TrainError::Damaged {
            path,
            message: e.to_string(),
        })?;
        Ok(Some(task))
    }

    /// Stores the definition of the task whose patches the run leaves out.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn write_task(&self, task: &Task) -> Result<(), TrainError> {
        self.write_toml("task.toml", task)
    }

    /// How the run stands; `None` when it was killed before the first step.
    ///
    /// # Errors
    /// [`TrainError::Damaged`] naming the file.
    pub fn status(&self) -> Result<Option<RunStatus>, TrainError> {
        self.read_json(STATUS)
    }

    /// Rewrites the status atomically.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn write_status(&self, status: &RunStatus) -> Result<(), TrainError> {
        self.write_json(STATUS, status)
    }

    /// Where and with what the run was made, as its last start wrote it.
    ///
    /// # Errors
    /// [`TrainError::Damaged`] naming the file.
    pub fn environment(&self) -> Result<Option<Environment>, TrainError> {
        self.read_json("environment.json")
    }

    /// Rewrites the environment atomically.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn write_environment(&self, environment: &Environment) -> Result<(), TrainError> {
        self.write_json("environment.json", environment)
    }

    /// Opens the metrics for appending, a torn last line cut off.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn metrics_writer(&self) -> Result<MetricsWriter, TrainError> {
        MetricsWriter::open(&self.root.join("metrics.jsonl"))
    }

    /// Opens the log for appending; `attempt` stands in every line.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn train_log(&self, attempt: u32) -> Result<TrainLog, TrainError> {
        TrainLog::open(&self.root.join("train.log"), attempt)
    }

    /// Every whole metrics row, in the order written.
    ///
    /// # Errors
    /// As [`read_metrics`].
    pub fn metrics(&self) -> Result<Vec<MetricsRow>, TrainError> {
        read_metrics(&self.root.join("metrics.jsonl"))
    }

    /// Writes a JSON file inside the folder: whole or not at all.
    ///
    /// # Errors
    /// [`TrainError::Io`] naming the file.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), TrainError> {
        let path = self.root.join(name);
        let written = serde_json::to_vec_pretty(value)
            .map_err(io::Error::from)
            .and_then(|mut bytes| {
                bytes.push(b'\n');
                write_object(&path, &bytes)
            });
        written.map_err(io_error("write", &path))
    }

    fn write_toml<T: Serialize>(&self, name: &str, value: &T) -> Result<(), TrainError> {
        let path = self.root.join(name);
        let written = toml::to_string_pretty(value)
            .map_err(io::Error::other)
            .and_then(|text| write_object(&path, text.as_bytes()));
        written.map_err(io_error("write", &path))
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, TrainError> {
        let path = self.root.join(name);
        let Some(text) = read_optional(&path)? else {
            return Ok(None);
        };
        match serde_json::from_str(&text) {
            Ok(value) => Ok(Some(value)),
            Err(e) => Err(TrainError::Damaged {
                path,
                message: e.to_string(),
            }),
        }
    }
}

fn read_optional(path: &Path) -> Result<Option<String>, TrainError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io_error("read", path)(e)),
    }
}

/// Not there, or nothing in it but, perhaps, a lock file.
fn is_vacant(root: &Path) -> io::Result<bool> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(e),
    };
    for entry in entries {
        if entry?.file_name() != ".lock" {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chipmill_schemas::run::RunState;

    #[test]
    fn an_existing_run_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("runs/a");
        drop(RunDir::create(&root, &PretrainConfig::default()).unwrap());
        let before = std::fs::read(root.join(CONFIG)).unwrap();
        let other = PretrainConfig {
            seed: 9,
            ..PretrainConfig::default()
        };
        let text = RunDir::create(&root, &other).unwrap_err().to_string();
        assert!(
            text.contains("--resume") && text.contains("runs/a"),
            "{text}"
        );
        assert_eq!(std::fs::read(root.join(CONFIG)).unwrap(), before);
        let strange = dir.path().join("strange");
        std::fs::create_dir(&strange).unwrap();
        std::fs::write(strange.join("thesis.tex"), "x").unwrap();
        RunDir::create(&strange, &other).unwrap_err();
        assert_eq!(std::fs::read_dir(&strange).unwrap().count(), 1);
    }

    #[test]
    fn two_processes_do_not_work_in_one_run() {
        let dir = tempfile::tempdir().unwrap();
        let (run, lock) = RunDir::create(dir.path(), &PretrainConfig::default()).unwrap();
        assert!(matches!(run.lock(), Err(TrainError::Busy { .. })));
        drop(lock);
        run.lock().unwrap();
    }

    #[test]
    fn every_file_reads_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let config = PretrainConfig {
            max_steps: 7,
            ..PretrainConfig::default()
        };
        let (run, _lock) = RunDir::create(dir.path(), &config).unwrap();
        assert_eq!(run.config().unwrap(), config);
        assert_eq!(
            (
                run.status().unwrap(),
                run.task().unwrap(),
                run.environment().unwrap()
            ),
            (None, None, None)
        );
        let status = RunStatus {
            state: RunState::Running,
            step: 3,
            max_steps: 7,
            attempt: 1,
            checkpoint: Some(2),
            message: None,
            collapsed_since: None,
        };
        run.write_status(&status).unwrap();
        run.write_task(&Task::notes4()).unwrap();
        assert_eq!(run.status().unwrap(), Some(status));
        assert_eq!(run.task().unwrap(), Some(Task::notes4()));
    }

    #[test]
    fn a_folder_without_a_configuration_is_no_run() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            RunDir::open(dir.path()),
            Err(TrainError::NotARun { .. })
        ));
    }
}
