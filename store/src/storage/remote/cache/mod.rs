//! A local cache of parts of objects. An entry is named by the digest of the store or object that it comes
//! from, so that it can be lost, but never be out of date.

mod blocks;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::Content;
pub(super) use blocks::{BLOCK, BlockCache};

/// Number of the entry that holds an object's length (eight bytes, little endian) and its last bytes.
pub(super) const TAIL: u64 = u64::MAX;

/// Name of an entry.
pub(super) type Name = [u8; 16];

#[derive(Debug)]
enum Setting {
    Off,
    /// Opened when it is first needed: most commands never read from afar.
    Wanted(PathBuf, u64),
    Open(Arc<BlockCache>),
}

static SETTING: Mutex<Setting> = Mutex::new(Setting::Off);

/// Keeps what is read from object stores in a folder of this machine, `bytes` of it at most; the folder
/// and its file are made at the first read from afar. Holds for the whole process.
///
/// The file is shared by all processes that are given the same folder. It survives them; what a killed
/// process left half written, or the disk altered, is noticed and fetched anew.
///
/// # Errors
/// Fewer bytes than a cache can have.
pub fn use_cache(folder: &Path, bytes: u64) -> io::Result<()> {
    if bytes < blocks::LEAST {
        let text = format!(
            "a cache of {bytes} bytes is too small, expected {} or more",
            blocks::LEAST
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let mut setting = SETTING.lock().unwrap_or_else(PoisonError::into_inner);
    *setting = Setting::Wanted(folder.to_owned(), bytes);
    Ok(())
}

/// The cache, if one is wanted.
pub(super) fn current() -> io::Result<Option<Arc<BlockCache>>> {
    let mut setting = SETTING.lock().unwrap_or_else(PoisonError::into_inner);
    match &*setting {
        Setting::Off => Ok(None),
        Setting::Open(cache) => Ok(Some(Arc::clone(cache))),
        Setting::Wanted(folder, bytes) => {
            let opened = BlockCache::open(folder, *bytes).map_err(|e| {
                let text = format!("cannot use the cache {}: {e}", folder.display());
                io::Error::new(e.kind(), text)
            });
            let cache = Arc::new(opened?);
            *setting = Setting::Open(Arc::clone(&cache));
            Ok(Some(cache))
        }
    }
}

/// The name of a block of an object, or of its [`TAIL`].
pub(super) fn key(content: Content<'_>, block: u64) -> Name {
    let mut hasher = blake3::Hasher::new();
    hasher.update(content.digest.as_bytes()).update(b"\n");
    hasher.update(content.object.as_bytes()).update(b"\n");
    hasher.update(&block.to_le_bytes());
    let mut name = [0; 16];
    hasher.finalize_xof().fill(&mut name);
    name
}
