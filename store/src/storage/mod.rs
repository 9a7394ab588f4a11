//! What a store lies on: folders of this machine, or an object store at an address.
//!
//! An object is named by a path. `s3://bucket/ben.zarr/10m/c.0.0.0.0` is one as well: whatever has a
//! scheme goes to the object store of that scheme ([`remote`]), everything else to the file system
//! ([`files`]). Nothing above knows which of the two it talks to.

mod files;
pub(crate) mod remote;

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::object::Creation;

/// The objects below some place. Names are whole paths; a folder is there as soon as an object is in it.
pub(crate) trait Storage: Debug + Send + Sync {
    /// An object for positioned reads. `content` names what must be in it, such as its digest or the
    /// store's: what is the same under that name may come from a cache.
    fn open(&self, path: &Path, content: Option<Content<'_>>) -> io::Result<Box<dyn Object>>;

    /// Reads parts of objects, as many at once as helps; `None` where reading one after the other is as
    /// good.
    fn read_parts(&self, wanted: &[Wanted<'_>]) -> Option<Vec<io::Result<Part>>>;

    /// A whole object.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The length of an object.
    fn length(&self, path: &Path) -> io::Result<u64>;

    /// The names in a folder, in any order; none where there is no folder.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Writes an object, replacing an older one.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Writes an object only if there is none; of many callers exactly one is told `Created`.
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<Creation>;

    /// Removes an object; none is fine too.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Begins an object that is written piece by piece.
    fn begin(&self, path: &Path) -> io::Result<Box<dyn Growing>>;

    /// Removes what killed writers left in a folder; gives how many there were.
    fn clear(&self, folder: &Path) -> io::Result<usize>;

    /// Makes a folder, where folders are things of their own.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An object that is open for reading.
pub(crate) trait Object: Debug + Send + Sync {
    /// Fills `into` from the bytes at `offset`.
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()>;

    /// The last bytes, at most as many, and the length of the object.
    fn tail(&self, bytes: usize) -> io::Result<Part>;

    /// A hint that bytes will be read soon.
    fn will_need(&self, range: Range<u64>);
}

/// An object in the making: there is none until it is published.
pub(crate) trait Growing: Debug + Send {
    /// Appends bytes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Gives the object its name, replacing an older one.
    fn publish(self: Box<Self>) -> io::Result<()>;
}

/// What an object must hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    /// Digest of the object, or of the store that it belongs to.
    pub(crate) digest: &'a str,
    /// Its path inside the store.
    pub(crate) object: &'a str,
}

/// A part of an object that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    pub(crate) path: &'a Path,
    pub(crate) content: Option<Content<'a>>,
    pub(crate) place: Place,
}

/// Which part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// These bytes, all of them.
    Range(Range<u64>),
    /// The last bytes, at most as many.
    Tail(usize),
}

/// A part of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) bytes: Bytes,
    /// The length of the whole object; not told for [`Place::Range`].
    pub(crate) length: Option<u64>,
}

/// What the objects at a path lie on.
pub(crate) fn of(path: &Path) -> io::Result<Arc<dyn Storage>> {
    if remote::is_address(path) {
        return remote::storage(path);
    }
    Ok(Arc::new(files::Files))
}

/// Whether there is an object.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    match of(path)?.length(path) {
        Ok(_) => Ok(true),
        Err(e) => match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(false),
            _ => Err(e),
        },
    }
}

/// A whole object whose content is known: it may come from the cache.
pub(crate) fn read_known(path: &Path, content: Content<'_>, length: u64) -> io::Result<Vec<u8>> {
    let storage = of(path)?;
    let wanted = Wanted {
        path,
        content: Some(content),
        place: Place::Range(0..length),
    };
    match storage.read_parts(&[wanted]) {
        Some(parts) => parts.into_iter().next().map_or_else(
            || Err(io::Error::other("nothing was read")),
            |part| part.map(|p| p.bytes.into()),
        ),
        None => storage.read(path),
    }
}
