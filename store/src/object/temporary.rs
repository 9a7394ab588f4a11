//! Temporaries: what an object is before it is whole, and what killed writers leave.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{counted, file_name};
use crate::fault::{Point, pass};

pub(super) const TEMPORARY: &str = ".tmp";

/// The most bytes that are reserved ahead of what is written. Of a nearly full disk no more is held back.
const AHEAD: u64 = 1 << 23;

/// A file beside its target; removed when dropped, unless kept.
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(super) path: PathBuf,
    file: File,
    kept: bool,
    written: u64,
    /// Where the room ends that the file system has set aside; 0 where there is none.
    reserved: u64,
}

impl Temporary {
    /// A name that no other process has, and a lock on it. A cleaner may come between the two: then
    /// the file has no name any more, and another one is made.
    pub(crate) fn create(target: &Path) -> io::Result<Self> {
        pass(Point::CreateTemporary, target)?;
        loop {
            let path = temporary_name(target)?;
            let made = OpenOptions::new().write(true).create_new(true).open(&path);
            let file = match made {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                file => file.map_err(|e| counted(e, target, 0))?,
            };
            let temporary = Self {
                path,
                file,
                kept: false,
                written: 0,
                reserved: 0,
            };
            unless_unsupported(temporary.file.lock())?;
            if temporary.path.try_exists()? {
                return Ok(temporary);
            }
        }
    }

    pub(crate) fn write(&mut self, target: &Path, bytes: &[u8]) -> io::Result<()> {
        pass(Point::WriteTemporary, target)?;
        let end = self.written + bytes.len() as u64;
        if self.written > 0 && end > self.reserved {
            self.reserve(end);
        }
        let written = self.file.write_all(bytes);
        written.map_err(|e| counted(e, target, bytes.len()))?;
        self.written = end;
        Ok(())
    }

    /// Asks for room beyond `end`, as much as there is before it: a file system that need not look for each block
    /// when it is written writes a quarter cheaper, and the file lies in one piece. Where that cannot be
    /// had nothing is lost.
    fn reserve(&mut self, end: u64) {
        let reserved = end + end.min(AHEAD);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let flags = rustix::fs::FallocateFlags::KEEP_SIZE;
            let _ = rustix::fs::fallocate(&self.file, flags, self.written, reserved - self.written);
        }
        self.reserved = reserved;
    }

    pub(super) fn sync(&self, target: &Path) -> io::Result<()> {
        pass(Point::SyncTemporary, target)?;
        if self.reserved > self.written {
            self.file.set_len(self.written)?;
        }
        self.file.sync_all().map_err(|e| counted(e, target, 0))
    }

    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // A temporary that cannot be removed harms nothing: the next write clears it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn temporary_name(target: &Path) -> io::Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let name = file_name(target)?;
    let process = std::process::id();
    Ok(target.with_file_name(format!("{name}.{process}-{count}{TEMPORARY}")))
}

/// Removes the files of a folder that are candidates and that no living writer holds.
pub(super) fn remove_stale(
    folder: &Path,
    is_candidate: impl Fn(&str) -> bool,
) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&is_candidate) {
            removed += usize::from(remove_if_stale(&entry.path())?);
        }
    }
    Ok(removed)
}

/// A living writer holds the lock of its temporary: whoever gets it may remove the file.
fn remove_if_stale(path: &Path) -> io::Result<bool> {
    let absent = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    let file = match File::open(path) {
        Err(e) if absent(&e) => return Ok(false),
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => {
            pass(Point::Remove, path)?;
            match fs::remove_file(path) {
                Err(e) if absent(&e) => Ok(false),
                done => done.map(|()| true),
            }
        }
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => unless_unsupported(Err(e)).map(|()| false),
    }
}

/// Without locks nothing can be told stale, so temporaries stay; they have names of their own.
fn unless_unsupported(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(()),
        result => result,
    }
}
