//! Runs at an address.
//!
//! ```text
//! ADDRESS/runs/ <run>.tar                 a run that has ended, without its checkpoints; created once: of machines
//!                                         that did the same run one counts
//!               <run>.<digest>.weights    the checkpoints of the run whose tar has that digest
//!               <run>.part                a run that was interrupted, whole; replaced by whoever goes on with it
//! ```
//!
//! Reports need no checkpoints, which are most of a run's bytes: they are fetched for the pictures alone.

use std::path::{Path, PathBuf};

use anyhow::Context;
use chipmill_schemas::experiment::PlannedRun;
use chipmill_store::{Creation, remove_object, write_object};
use chipmill_train::TrainError;
use chipmill_train::run_dir::RunDir;

use super::{Place, SHARED, cannot, create, found, packed, unpack};

const CHECKPOINTS: &str = "checkpoints";

/// How far a run has come on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Standing {
    /// Nothing is left to do.
    Ended,
    /// It was told to stop; a checkpoint is saved, if it came so far.
    Interrupted,
}

impl Place {
    /// Brings a run: as it ended on some machine; else as it was interrupted, unless it was begun here.
    pub(in super::super) fn fetch_run(&self, run: &PlannedRun<'_>) -> anyhow::Result<()> {
        let Some(address) = &self.address else {
            return Ok(());
        };
        let (name, into) = (run.name(), self.run_folder(run));
        if self.digest_of(&name)?.is_some() && into.is_dir() {
            return Ok(());
        }
        // A process of this machine is at work on it: whatever the address has, its folder stays.
        let held = RunDir::open(&into).and_then(|run| run.lock());
        if matches!(held, Err(TrainError::Busy { .. })) {
            return Ok(());
        }
        let [whole, part] = objects(address, &name);
        if let Some(bytes) = found(&whole)? {
            return self.take(&bytes, run);
        }
        if !into.join("config.toml").is_file()
            && let Some(bytes) = found(&part)?
        {
            unpack(&bytes, &part.to_string_lossy(), &into)?;
        }
        Ok(())
    }

    /// Gives a run as it is now. If it ended on another machine first, that one's counts, here too.
    pub(in super::super) fn give_run(
        &self,
        run: &PlannedRun<'_>,
        standing: Standing,
    ) -> anyhow::Result<()> {
        let (Some(address), name) = (&self.address, run.name()) else {
            return Ok(());
        };
        let (from, [_, part]) = (self.run_folder(run), objects(address, &name));
        match standing {
            Standing::Ended if self.digest_of(&name)?.is_some() => Ok(()),
            Standing::Ended => {
                self.give_ended(address, run)?;
                remove_object(&part).with_context(|| cannot("remove", &part))
            }
            Standing::Interrupted if !from.join("config.toml").is_file() => Ok(()),
            Standing::Interrupted => {
                let written = write_object(&part, &packed(&from, "")?);
                written.with_context(|| cannot("write", &part))
            }
        }
    }

    /// Checkpoints first, so that whoever sees the run finds them.
    fn give_ended(&self, address: &Path, run: &PlannedRun<'_>) -> anyhow::Result<()> {
        let (name, from) = (run.name(), self.run_folder(run));
        let bytes = packed(&from, CHECKPOINTS)?;
        let digest = digest(&bytes);
        let weights = weights(address, &name, &digest);
        let checkpoints = from.join(CHECKPOINTS);
        if checkpoints.is_dir() {
            let written = write_object(&weights, &packed(&checkpoints, "")?);
            written.with_context(|| cannot("write", &weights))?;
        }
        let [whole, _] = objects(address, &name);
        if create(&whole, &bytes)? == Creation::Created {
            return self.mark(&name, &digest);
        }
        // Somebody else's, or this very call's, if the answer to it was lost.
        let theirs = found(&whole)?.unwrap_or_default();
        if theirs == bytes {
            return self.mark(&name, &digest);
        }
        self.take(&theirs, run)?;
        remove_object(&weights).with_context(|| cannot("remove", &weights))
    }

    /// Brings the checkpoints of a run that was brought without.
    pub(in super::super) fn fetch_checkpoints(&self, run: &PlannedRun<'_>) -> anyhow::Result<()> {
        let (name, into) = (run.name(), self.run_folder(run).join(CHECKPOINTS));
        let (Some(address), Some(digest)) = (&self.address, self.digest_of(&name)?) else {
            return Ok(());
        };
        if into.is_dir() {
            return Ok(());
        }
        let object = weights(address, &name, &digest);
        match found(&object)? {
            Some(bytes) => unpack(&bytes, &object.to_string_lossy(), &into),
            None => Ok(()),
        }
    }

    fn take(&self, bytes: &[u8], run: &PlannedRun<'_>) -> anyhow::Result<()> {
        let name = run.name();
        unpack(bytes, &format!("runs/{name}.tar"), &self.run_folder(run))?;
        self.mark(&name, &digest(bytes))
    }

    fn run_folder(&self, run: &PlannedRun<'_>) -> PathBuf {
        self.folder.join("runs").join(run.name())
    }

    /// The digest of a run that the address has as this folder has it.
    fn digest_of(&self, name: &str) -> anyhow::Result<Option<String>> {
        let mark = self.folder.join(SHARED).join(name);
        if !mark.is_file() {
            return Ok(None);
        }
        let digest = std::fs::read_to_string(&mark).with_context(|| cannot("read", &mark))?;
        Ok(Some(digest))
    }

    fn mark(&self, name: &str, digest: &str) -> anyhow::Result<()> {
        let mark = self.folder.join(SHARED).join(name);
        write_object(&mark, digest.as_bytes()).with_context(|| cannot("write", &mark))
    }
}

/// A run that has ended, and one that was interrupted.
fn objects(address: &Path, name: &str) -> [PathBuf; 2] {
    ["tar", "part"].map(|kind| address.join(format!("runs/{name}.{kind}")))
}

fn weights(address: &Path, name: &str, digest: &str) -> PathBuf {
    address.join(format!("runs/{name}.{digest}.weights"))
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}
