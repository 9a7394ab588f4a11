//! Where tests make a write fail, or the process die.
//!
//! Every change of a store goes through `object`, and every step of it passes a [`Point`] first.
//! Unless a test has armed the folder that costs one relaxed load, so the points are in every build: what
//! is tested is what is shipped, and no feature makes the workspace compile twice. Nothing outside the
//! process can arm them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

pub use crate::storage::remote::testing::{Word, memory_store};

/// A step that is about to be taken. Those of one object are taken in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// A folder is not there yet.
    MakeFolder,
    /// It is there; the folder that holds it is not synced.
    SyncParent,
    /// Nothing is there.
    CreateTemporary,
    /// The temporary is there, locked and empty.
    WriteTemporary,
    /// All bytes are written and none need be on disk.
    SyncTemporary,
    /// The temporary is whole and on disk.
    Publish,
    /// The object has its name; the temporary of a created one has its own as well.
    Published,
    /// Only the folder's entry need not be on disk.
    SyncFolder,
    /// The object is whole and on disk; what comes after it has not begun.
    Done,
    /// Something that is not needed any more is still there.
    Remove,
    /// An object store is about to be asked for something; it changes nothing, and no folder knows it.
    Request,
}

impl Point {
    /// Every point that a change passes. A test visits them all.
    pub const ALL: [Self; 10] = [
        Self::MakeFolder,
        Self::SyncParent,
        Self::CreateTemporary,
        Self::WriteTemporary,
        Self::SyncTemporary,
        Self::Publish,
        Self::Published,
        Self::SyncFolder,
        Self::Done,
        Self::Remove,
    ];
}

/// Decides over a step: an error makes it fail. `path` is the object's, or the folder's.
pub type Fault = dyn Fn(Point, &Path) -> io::Result<()> + Send + Sync;

static ARMED: AtomicUsize = AtomicUsize::new(0);
static FAULTS: RwLock<Vec<(PathBuf, Arc<Fault>)>> = RwLock::new(Vec::new());

/// Disarms a folder when dropped.
#[derive(Debug)]
pub struct Armed(PathBuf);

/// Lets `fault` decide over every step below `folder`.
#[must_use]
pub fn arm(
    folder: &Path,
    fault: impl Fn(Point, &Path) -> io::Result<()> + Send + Sync + 'static,
) -> Armed {
    let mut faults = FAULTS.write().unwrap_or_else(PoisonError::into_inner);
    faults.push((folder.to_owned(), Arc::new(fault)));
    ARMED.store(faults.len(), Ordering::SeqCst);
    Armed(folder.to_owned())
}

impl Drop for Armed {
    fn drop(&mut self) {
        let mut faults = FAULTS.write().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|(folder, _)| *folder != self.0);
        ARMED.store(faults.len(), Ordering::SeqCst);
    }
}

/// Passes a point.
pub(crate) fn pass(point: Point, path: &Path) -> io::Result<()> {
    if ARMED.load(Ordering::Relaxed) == 0 {
        return Ok(());
    }
    ask(point, path)
}

#[cold]
fn ask(point: Point, path: &Path) -> io::Result<()> {
    let faults = FAULTS.read().unwrap_or_else(PoisonError::into_inner);
    let of_path = faults.iter().filter(|(folder, _)| path.starts_with(folder));
    // Not under the lock: a fault may last, or never return.
    let of_path: Vec<_> = of_path.map(|(_, fault)| Arc::clone(fault)).collect();
    drop(faults);
    of_path.iter().try_for_each(|fault| fault(point, path))
}
