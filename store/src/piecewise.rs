//! An object that grows piece by piece: hashed while it is written, whole or absent all the same.
//!
//! Appended bytes gather in one small buffer, which goes to BLAKE3 and to the file while it is still in
//! the processor's cache. Nothing of the size of a shard is ever held in memory.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::ObjectRecord;
use crate::error::WriteError;
use crate::layout;
use crate::storage::{self, Growing};

/// Bytes written at once. A power of two, so that BLAKE3 hashes every piece as whole subtrees.
const PIECE: usize = 1 << 18;

/// An object in the making, in a temporary file beside its place, or on its way to an address. Dropped before [`end`](Self::end), it
/// leaves nothing.
#[derive(Debug)]
pub(crate) struct GrowingObject {
    growing: Box<dyn Growing>,
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    bytes: u64,
}

impl GrowingObject {
    /// Begins an object, in a folder that is made if there is none.
    pub(crate) fn begin(path: &Path) -> io::Result<Self> {
        Ok(Self {
            growing: storage::of(path)?.begin(path)?,
            hasher: blake3::Hasher::new(),
            buffer: Vec::with_capacity(PIECE),
            bytes: 0,
        })
    }

    /// Appends some bytes.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = PIECE - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            if self.buffer.len() == PIECE {
                self.flush()?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Fsyncs the object and puts it in its place; `object` is its path inside the store.
    pub(crate) fn end(mut self, object: String) -> io::Result<ObjectRecord> {
        self.flush()?;
        self.growing.publish()?;
        Ok(ObjectRecord {
            path: object,
            bytes: self.bytes,
            digest: self.hasher.finalize().to_hex().to_string(),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.update(&self.buffer);
        self.growing.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// A growing object of a store. Errors name it.
#[derive(Debug)]
pub(crate) struct StoreObject {
    name: String,
    path: PathBuf,
    object: GrowingObject,
}

impl StoreObject {
    /// Begins the object `name` of the store at `root`.
    pub(crate) fn begin(root: &Path, name: String) -> Result<Self, WriteError> {
        let path = layout::object_path(root, &name);
        match GrowingObject::begin(&path) {
            Ok(object) => Ok(Self { name, path, object }),
            Err(source) => Err(WriteError::Io { path, source }),
        }
    }

    /// Appends some bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.object.push(bytes).map_err(|source| WriteError::Io {
            path: self.path.clone(),
            source,
        })
    }

    /// Fsyncs the object and puts it in its place.
    pub(crate) fn end(self) -> Result<ObjectRecord, WriteError> {
        let Self { name, path, object } = self;
        let ended = object.end(name);
        ended.map_err(|source| WriteError::Io { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_object_has_the_bytes_and_digest_of_its_parts_wherever_they_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let whole: Vec<u8> = (0..=255).cycle().take(2 * PIECE + 777).collect();
        for part in [1000, PIECE - 1, PIECE, PIECE + 1, whole.len()] {
            let path = dir.path().join(part.to_string());
            let mut object = GrowingObject::begin(&path).unwrap();
            whole.chunks(part).for_each(|p| object.push(p).unwrap());
            let record = object.end("name".to_owned()).unwrap();
            assert_eq!(record, ObjectRecord::of("name", &whole));
            assert!(fs::read(&path).unwrap() == whole);
        }
    }

    #[test]
    fn an_object_is_not_there_before_its_end_and_leaves_nothing_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("folder/a");
        let mut object = GrowingObject::begin(&path).unwrap();
        object.push(&[1; 3 * PIECE]).unwrap();
        assert!(!path.exists());
        drop(object);
        assert_eq!(fs::read_dir(dir.path().join("folder")).unwrap().count(), 0);
    }
}
