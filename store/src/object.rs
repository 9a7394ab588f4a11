//! Objects: whole or absent.
//!
//! At an address that is what object stores give by themselves (`storage/remote`); the rest of this file is
//! about files. A write goes to a temporary file beside the target, is fsynced, renamed, and made to last by
//! fsyncing the folder. A reader therefore sees the old object, or the new one, never a part. The
//! writer holds a file lock on its temporary, so that one left by a killed process can be told from
//! one that another process is still filling.
//!
//! Nothing else in `store` and `ingest` changes the file system (tests/house.rs), so that a fault at
//! each [`Point`] is a fault of every kind.

mod temporary;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::fault::{Point, pass};
use crate::storage;
pub(crate) use temporary::Temporary;
use temporary::{TEMPORARY, remove_stale};

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
/// Any failure to write, fsync or rename, or of the object store. The object is then what it was before; if
/// only the folder could not be fsynced, or an answer was lost, it is the new one, which a power cut may take
/// back.
pub fn write_object(path: &Path, bytes: &[u8]) -> io::Result<()> {
    storage::of(path)?.write(path, bytes)
}

/// Writes an object only if there is none; of many callers exactly one is told `Created` (at an address none,
/// if the object store's answer to it was lost).
///
/// # Errors
/// Any failure to write, fsync or link, such as a file system without hard links, or of the object store.
pub fn create_object(path: &Path, bytes: &[u8]) -> io::Result<Creation> {
    storage::of(path)?.create(path, bytes)
}

/// Removes an object that is not needed any more; none is fine too.
///
/// # Errors
/// It cannot be removed, or its folder not fsynced.
pub fn remove_object(path: &Path) -> io::Result<()> {
    storage::of(path)?.remove(path)
}

/// A whole object.
///
/// # Errors
/// `NotFound` where there is none; any failure to read.
pub fn read_object(path: &Path) -> io::Result<Vec<u8>> {
    storage::of(path)?.read(path)
}

/// Whether there is an object; a folder is none.
///
/// # Errors
/// It cannot be found out.
pub fn object_exists(path: &Path) -> io::Result<bool> {
    storage::exists(path)
}

/// The names of what is directly in a folder, in any order; none where there is no folder.
///
/// # Errors
/// It cannot be listed.
pub fn object_names(folder: &Path) -> io::Result<Vec<String>> {
    storage::of(folder)?.names(folder)
}

/// Makes sure that [`create_object`] means what it says at an address, by creating an object beside `path`
/// twice; there is nothing to make sure of in a file system.
///
/// # Errors
/// `Unsupported` when the second creation succeeds as well, or replaces the first: processes that share a plan
/// could then overwrite each other's work. Any failure of the object store.
pub fn check_creation(path: &Path) -> io::Result<()> {
    if !is_address(path) {
        return Ok(());
    }
    let now = std::time::SystemTime::now();
    let since = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let (process, time) = (std::process::id(), since.as_nanos());
    let probe = path.with_file_name(format!("probe-{process}-{time}"));
    create_object(&probe, b"first")?;
    let second = create_object(&probe, b"second");
    let kept = read_object(&probe)?;
    remove_object(&probe)?;
    if second? == Creation::AlreadyThere && kept == b"first" {
        return Ok(());
    }
    let text = "this object store replaces an object that was to be created only if there is none (it does \
                not heed If-None-Match), so processes could overwrite each other's work; ingest into a folder \
                and copy that, or use another object store";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// Whether a path is an address in an object store, such as `s3://bucket/ben.zarr`, and not a file's.
#[must_use]
pub fn is_address(path: &Path) -> bool {
    storage::remote::is_address(path)
}

pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    prepare(path)?;
    publish(path, filled(path, bytes)?)
}

pub(crate) fn create_file(path: &Path, bytes: &[u8]) -> io::Result<Creation> {
    if path.try_exists()? {
        return Ok(Creation::AlreadyThere);
    }
    let folder = prepare(path)?;
    let temporary = filled(path, bytes)?;
    temporary.sync(path)?;
    pass(Point::Publish, path)?;
    let creation = match fs::hard_link(&temporary.path, path) {
        Ok(()) => Creation::Created,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Creation::AlreadyThere,
        Err(e) => return Err(counted(e, path, 0)),
    };
    pass(Point::Published, path)?;
    drop(temporary);
    sync_folder(path, folder)?;
    Ok(creation)
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    if !path.try_exists()? {
        return Ok(());
    }
    pass(Point::Remove, path)?;
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    sync_folder(path, folder_of(path))
}

/// A file written piece by piece; there is none until [`commit`](Self::commit).
#[derive(Debug)]
pub struct ObjectWriter {
    target: PathBuf,
    temporary: Temporary,
    buffer: Vec<u8>,
}

/// Bytes that are written at a time.
const BUFFER: usize = 1 << 20;

impl ObjectWriter {
    /// Begins an object, as [`write_object`] does.
    ///
    /// # Errors
    /// Its folder or its temporary cannot be made.
    pub fn begin(path: &Path) -> io::Result<Self> {
        prepare(path)?;
        Ok(Self {
            target: path.to_owned(),
            temporary: Temporary::create(path)?,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// They cannot be written. The writer is then of no use.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < BUFFER {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.write(&self.target, &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Gives the object its name, replacing an older one.
    ///
    /// # Errors
    /// As [`write_object`].
    pub fn commit(mut self) -> io::Result<()> {
        self.flush()?;
        publish(&self.target, self.temporary)
    }
}

/// Removes the temporaries in a folder that no living writer holds; gives how many there were.
///
/// A folder that does not exist holds none, and object stores have none.
///
/// # Errors
/// The folder cannot be listed, or a temporary not removed.
pub fn remove_stale_temporaries(folder: &Path) -> io::Result<usize> {
    storage::of(folder)?.clear(folder)
}

pub(crate) fn remove_stale_files(folder: &Path) -> io::Result<usize> {
    remove_stale(folder, |name| name.ends_with(TEMPORARY))
}

/// Makes a folder with all above it that are not there, and fsyncs the one that holds each.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = folder_of(path);
    create_folder(parent)?;
    pass(Point::MakeFolder, path)?;
    match fs::create_dir(path) {
        // Somebody else was faster, or something is in the way.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made.map_err(|e| counted(e, path, 0))?,
    }
    pass(Point::SyncParent, path)?;
    File::open(parent)?.sync_all()
}

/// Makes an object's folder, and clears temporaries of this object that killed writers left.
pub(crate) fn prepare(path: &Path) -> io::Result<&Path> {
    let folder = folder_of(path);
    create_folder(folder)?;
    let prefix = format!("{}.", file_name(path)?);
    remove_stale(folder, |name| {
        name.starts_with(&prefix) && name.ends_with(TEMPORARY)
    })?;
    Ok(folder)
}

fn filled(path: &Path, bytes: &[u8]) -> io::Result<Temporary> {
    let mut temporary = Temporary::create(path)?;
    temporary.write(path, bytes)?;
    Ok(temporary)
}

/// Fsyncs a temporary, puts it in the object's place and makes that last.
pub(crate) fn publish(path: &Path, temporary: Temporary) -> io::Result<()> {
    temporary.sync(path)?;
    pass(Point::Publish, path)?;
    fs::rename(&temporary.path, path).map_err(|e| counted(e, path, 0))?;
    temporary.keep();
    pass(Point::Published, path)?;
    sync_folder(path, folder_of(path))
}

fn sync_folder(path: &Path, folder: &Path) -> io::Result<()> {
    pass(Point::SyncFolder, path)?;
    File::open(folder)?.sync_all()?;
    pass(Point::Done, path)
}

/// A full disk's error, with the bytes that were to be written (0: not known) and those that are free.
fn counted(error: io::Error, target: &Path, needed: usize) -> io::Error {
    if error.kind() != io::ErrorKind::StorageFull {
        return error;
    }
    let Ok(disk) = rustix::fs::statvfs(folder_of(target)) else {
        return error;
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = match needed {
        0 => "more".to_owned(),
        bytes => format!("{bytes} bytes"),
    };
    let text = format!(
        "{error}: {needed} needed, {free} bytes and {} files free",
        disk.f_favail
    );
    io::Error::new(io::ErrorKind::StorageFull, text)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn file_name(path: &Path) -> io::Result<&str> {
    let name = path.file_name().and_then(OsStr::to_str);
    name.ok_or_else(|| {
        let text = format!("{} is no name for an object", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
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
    fn an_object_written_in_pieces_is_there_when_it_is_whole_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/a");
        let piece = vec![7; BUFFER / 2 + 1];
        let mut writer = ObjectWriter::begin(&path).unwrap();
        (0..3).for_each(|_| writer.write(&piece).unwrap());
        assert!(!path.exists());
        writer.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), piece.repeat(3));
        // Room was reserved ahead; of that nothing is kept.
        let (taken, needed) = (fs::metadata(&path).unwrap().blocks() * 512, 3 * piece.len());
        assert!(taken < needed as u64 + (1 << 16), "{taken} for {needed}");
        let mut given_up = ObjectWriter::begin(&path).unwrap();
        given_up.write(b"other").unwrap();
        drop(given_up);
        assert_eq!(fs::read(&path).unwrap().len(), piece.len() * 3);
        assert_eq!(names(path.parent().unwrap()), ["a"]);
        remove_object(&path).unwrap();
        remove_object(&path).unwrap();
        assert!(!path.exists());
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
