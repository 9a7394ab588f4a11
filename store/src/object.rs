//! Objects on disk: whole or absent.
//!
//! A write goes to a temporary file beside the target, is fsynced, renamed, and made to last by
//! fsyncing the folder. A reader therefore sees the old object, or the new one, never a part. The
//! writer holds a file lock on its temporary, so that one left by a killed process can be told from
//! one that another process is still filling.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const TEMPORARY: &str = ".tmp";

/// What [`create_object`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// The object was not there; now it is, with the bytes given.
    Created,
    /// The object was there already and was left as it is.
    AlreadyThere,
}

/// Writes an object atomically, replacing an older one; makes the folder if there is none.
///
/// Temporaries that a killed process left for this object are removed first.
///
/// # Errors
/// Any failure to write, fsync or rename. The object is then what it was before.
pub fn write_object(path: &Path, bytes: &[u8]) -> io::Result<()> {
    prepare(path)?;
    let mut temporary = Temporary::create(path)?;
    temporary.file.write_all(bytes)?;
    temporary.replace(path)
}

/// Writes an object only if there is none; of many callers exactly one is told `Created`.
///
/// # Errors
/// Any failure to write, fsync or link, such as a file system without hard links.
pub fn create_object(path: &Path, bytes: &[u8]) -> io::Result<Creation> {
    if path.try_exists()? {
        return Ok(Creation::AlreadyThere);
    }
    let folder = prepare(path)?;
    let temporary = Temporary::write(path, bytes)?;
    let creation = match fs::hard_link(&temporary.path, path) {
        Ok(()) => Creation::Created,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Creation::AlreadyThere,
        Err(e) => return Err(e),
    };
    drop(temporary);
    sync_folder(folder)?;
    Ok(creation)
}

/// Removes the temporaries in a folder that no living writer holds; gives how many there were.
///
/// A folder that does not exist holds none.
///
/// # Errors
/// The folder cannot be listed, or a temporary not removed.
pub fn remove_stale_temporaries(folder: &Path) -> io::Result<usize> {
    remove_stale(folder, |name| name.ends_with(TEMPORARY))
}

/// Makes a folder and fsyncs the one that holds it.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    match path.parent() {
        Some(parent) => sync_folder(or_here(parent)),
        None => Ok(()),
    }
}

/// Makes an object's folder, and clears temporaries of this object that killed writers left.
pub(crate) fn prepare(path: &Path) -> io::Result<&Path> {
    let folder = or_here(path.parent().unwrap_or(Path::new("")));
    if !folder.is_dir() {
        create_folder(folder)?;
    }
    let prefix = format!("{}.", file_name(path)?);
    remove_stale(folder, |name| {
        name.starts_with(&prefix) && name.ends_with(TEMPORARY)
    })?;
    Ok(folder)
}

fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}

fn file_name(path: &Path) -> io::Result<&str> {
    let name = path.file_name().and_then(OsStr::to_str);
    name.ok_or_else(|| {
        let text = format!("{} is no name for an object", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

fn remove_stale(folder: &Path, is_candidate: impl Fn(&str) -> bool) -> io::Result<usize> {
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
        Ok(()) => match fs::remove_file(path) {
            Err(e) if absent(&e) => Ok(false),
            done => done.map(|()| true),
        },
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

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A file beside its target; removed when dropped, unless it became the target.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    pub(crate) file: File,
    kept: bool,
}

impl Temporary {
    fn write(target: &Path, bytes: &[u8]) -> io::Result<Self> {
        let mut temporary = Self::create(target)?;
        temporary.file.write_all(bytes)?;
        temporary.file.sync_all()?;
        Ok(temporary)
    }

    /// A name that no other process has, and a lock on it. A cleaner may come between the two: then
    /// the file has no name any more, and another one is made.
    pub(crate) fn create(target: &Path) -> io::Result<Self> {
        loop {
            let path = temporary_name(target)?;
            let made = OpenOptions::new().write(true).create_new(true).open(&path);
            let file = match made {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                file => file?,
            };
            unless_unsupported(file.lock())?;
            if path.try_exists()? {
                return Ok(Self {
                    path,
                    file,
                    kept: false,
                });
            }
        }
    }

    /// Fsyncs the file, puts it in the target's place and makes that last.
    pub(crate) fn replace(mut self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, target)?;
        self.kept = true;
        sync_folder(or_here(target.parent().unwrap_or(Path::new(""))))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    fn names(folder: &Path) -> Vec<String> {
        let name = |e: io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_write_replaces_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new folder/a");
        write_object(&path, b"one").unwrap();
        write_object(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["a"]);
    }

    #[test]
    fn a_temporary_left_by_a_killed_write_is_cleared_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(dir.path().join("a.1-0.tmp"), b"half").unwrap();
        fs::write(dir.path().join("other.1-0.tmp"), b"half").unwrap();
        let living = Temporary::create(&path).unwrap();
        write_object(&path, b"whole").unwrap();
        let living_name = file_name(&living.path).unwrap().to_owned();
        assert_eq!(names(dir.path()), ["a", &living_name, "other.1-0.tmp"]);
        assert_eq!(remove_stale_temporaries(dir.path()).unwrap(), 1);
        drop(living);
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn of_sixteen_creations_exactly_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..8 {
            let path = dir.path().join(format!("record-{round}"));
            let barrier = Barrier::new(16);
            let create = |i: u8| {
                barrier.wait();
                (i, create_object(&path, &[i; 1000]).unwrap())
            };
            let done: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..16).map(|i| scope.spawn(move || create(i))).collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            let won = |d: &&(u8, Creation)| d.1 == Creation::Created;
            let winners: Vec<_> = done.iter().filter(won).collect();
            assert_eq!(winners.len(), 1);
            assert_eq!(fs::read(&path).unwrap(), [winners[0].0; 1000]);
        }
        assert_eq!(names(dir.path()).len(), 8);
    }

    #[test]
    fn many_writers_of_one_object_leave_one_whole_object() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::thread::scope(|scope| {
            for i in 0..8u8 {
                let path = &path;
                scope.spawn(move || (0..20).for_each(|_| write_object(path, &[i; 5000]).unwrap()));
            }
        });
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() == 5000 && bytes.iter().all(|&b| b == bytes[0]));
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn nothing_is_left_where_a_write_fails() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("folder in the way");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("x"), b"").unwrap();
        assert!(write_object(&target, b"bytes").is_err());
        assert_eq!(names(dir.path()), ["folder in the way"]);
    }
}
