//! One ingest works on a store at a time; others wait for their turn. Workers of single units share one.
//!
//! Two that worked at once would write each other's units, which harms nothing while both deal out the
//! patches in the same way. But one that is behind, in the pass before a defect was found, would put its
//! shard in place of the one that the other has recorded.

use std::fs::{File, TryLockError};
use std::time::Duration;

use super::Job;
use crate::IngestError;

/// How often one that waits looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Held until dropped, or until the process dies.
pub(super) struct Turn {
    _folder: File,
}

/// Waits until no other process works on this store; `None` on a file system without locks, and at an
/// address: object stores have none. There the last look before a shard is published has to do
/// (`planned::make`), and `docs/object-stores.md` says what it leaves open.
pub(super) fn alone(job: &Job<'_>) -> Result<Option<Turn>, IngestError> {
    take(job, File::try_lock)
}

/// Waits until no other process is alone with this store; `None` on a file system without locks.
pub(super) fn shared(job: &Job<'_>) -> Result<Option<Turn>, IngestError> {
    take(job, File::try_lock_shared)
}

/// The lock is on the workspace's folder: a file in it might be a hard link of a temporary, which would
/// then pass for a living one.
fn take(
    job: &Job<'_>,
    try_lock: fn(&File) -> Result<(), TryLockError>,
) -> Result<Option<Turn>, IngestError> {
    if chipmill_store::is_address(&job.options.store) {
        return Ok(None);
    }
    let [path, ..] = job.workspace.folders();
    let folder = File::open(&path).map_err(IngestError::reading(&path))?;
    let mut waits = false;
    loop {
        match try_lock(&folder) {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "no locks here: start no second ingest of this store");
                return Ok(None);
            }
        }
        if !waits {
            job.progress.stage("wait for another ingest of this store");
            waits = true;
        }
        job.check_stop(0)?;
        std::thread::sleep(PAUSE);
    }
    Ok(Some(Turn { _folder: folder }))
}
