//! Blocks in one file of a fixed length: the bound is kept because there is nowhere else to write.
//!
//! A table of headers, then as many places for blocks. The name of a block decides over the few places that
//! it may have (a set); which of them is given up for a new one is left to chance, since an epoch that is
//! larger than the cache makes the oldest block the one that is needed next. Nothing about the file is kept
//! in memory, and nothing is ever locked for reading: a header names its block and has the checksum of what
//! must be there. Two processes that write the same place at once, a killed one, or a failing disk leave a
//! block that does not fit its header; it is not used.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::super::traffic::{CORRUPT, count};
use super::Name;
use crate::codec::{crc32c, crc32c_of};

/// Bytes of a block.
pub(in super::super) const BLOCK: usize = 32 << 10;
/// Places that a block may have.
const WAYS: usize = 8;
/// Name, length, checksum of the content, checksum of these.
const HEADER: usize = 16 + 4 + 4 + 4 + 4;
/// What the file begins with: what it is, and how many sets it has.
const MAGIC: &[u8; 24] = b"chipmill block cache 1\n\0";
const FRONT: u64 = 4096;
const SET: u64 = (WAYS * (HEADER + BLOCK)) as u64;
/// The smallest cache: one set.
pub(super) const LEAST: u64 = FRONT + SET;
/// Writers of one set take turns, in one process.
const TURNS: usize = 64;

/// An open cache. Any number of threads and processes may use one.
#[derive(Debug)]
pub(in super::super) struct BlockCache {
    /// Holds a shared lock: nobody changes the size of a cache that is in use.
    file: File,
    sets: u64,
    turns: [Mutex<()>; TURNS],
    chance: AtomicU64,
    has_failed: AtomicBool,
}

/// What a place holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    name: Name,
    length: u32,
    crc: u32,
}

impl BlockCache {
    /// Opens the cache in a folder, and makes it where there is none. One of another size is begun anew,
    /// unless another process uses it: then its size holds for this one as well.
    pub(super) fn open(folder: &Path, bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(folder.join("blocks.cache"))?;
        let wanted = (bytes - FRONT) / SET;
        let sets = match sets_of(&file)? {
            Some(sets) if sets == wanted => wanted,
            found => match (file.try_lock(), found) {
                (Err(TryLockError::WouldBlock), Some(found)) => {
                    tracing::warn!(
                        folder = %folder.display(),
                        bytes = FRONT + found * SET,
                        "another process uses this cache with another size, which is kept"
                    );
                    found
                }
                (Err(TryLockError::WouldBlock), None) => {
                    file.lock_shared()?;
                    sets_of(&file)?.unwrap_or(wanted)
                }
                // Without locks nobody can be told apart; checksums hold all the same.
                (Ok(()) | Err(TryLockError::Error(_)), _) => {
                    make(&file, wanted)?;
                    wanted
                }
            },
        };
        // An exclusive lock becomes a shared one.
        let _ = file.lock_shared();
        Ok(Self {
            file,
            sets,
            turns: [const { Mutex::new(()) }; TURNS],
            chance: AtomicU64::new(u64::from(std::process::id())),
            has_failed: AtomicBool::new(false),
        })
    }

    /// A block, if it is there and what was put there.
    pub(in super::super) fn get(&self, name: &Name) -> Option<Vec<u8>> {
        let set = self.set_of(name);
        let (way, header) = self.find(set, name)?;
        let mut bytes = vec![0; header.length as usize];
        let read = self.file.read_exact_at(&mut bytes, self.place(set, way));
        if read.is_ok() && checksum(name, &bytes) == header.crc {
            return Some(bytes);
        }
        // Another process may have put another block there meanwhile: then its header is another one.
        if self.find(set, name) == Some((way, header)) {
            count(&CORRUPT, 1);
            let _turn = self.turn(set);
            self.tell(self.write_header(set, way, None));
        }
        None
    }

    /// Whether a block seems to be there; its content is not read.
    pub(in super::super) fn has(&self, name: &Name) -> bool {
        self.find(self.set_of(name), name).is_some()
    }

    /// Puts a block of [`BLOCK`] bytes at most. That it cannot be kept is no error.
    pub(in super::super) fn put(&self, name: &Name, bytes: &[u8]) {
        let Ok(length) = u32::try_from(bytes.len()) else {
            return;
        };
        if bytes.len() > BLOCK {
            return;
        }
        let set = self.set_of(name);
        let _turn = self.turn(set);
        let Some(headers) = self.headers(set) else {
            return;
        };
        let is_of = |h: &Option<Header>| h.is_some_and(|h| h.name == *name);
        let free = headers.iter().position(is_of);
        let free = free.or_else(|| headers.iter().position(Option::is_none));
        let way = free.unwrap_or_else(|| self.by_chance());
        let header = Header {
            name: *name,
            length,
            crc: checksum(name, bytes),
        };
        // A header never stands before what is not there yet.
        let written = self
            .write_header(set, way, None)
            .and_then(|()| self.file.write_all_at(bytes, self.place(set, way)))
            .and_then(|()| self.write_header(set, way, Some(header)));
        self.tell(written);
    }

    fn set_of(&self, name: &Name) -> u64 {
        let [first, _] = name.as_chunks::<8>().0 else {
            unreachable!("a name has sixteen bytes");
        };
        u64::from_le_bytes(*first) % self.sets
    }

    fn find(&self, set: u64, name: &Name) -> Option<(usize, Header)> {
        let headers = self.headers(set)?;
        let mut all = headers.into_iter().enumerate();
        all.find_map(|(way, header)| Some((way, header.filter(|h| h.name == *name)?)))
    }

    fn headers(&self, set: u64) -> Option<[Option<Header>; WAYS]> {
        let mut bytes = [0; WAYS * HEADER];
        let at = FRONT + set * (WAYS * HEADER) as u64;
        self.file.read_exact_at(&mut bytes, at).ok()?;
        let mut headers = [None; WAYS];
        for (header, bytes) in headers.iter_mut().zip(bytes.as_chunks::<HEADER>().0) {
            *header = Header::parse(bytes);
        }
        Some(headers)
    }

    fn write_header(&self, set: u64, way: usize, header: Option<Header>) -> io::Result<()> {
        let bytes = header.map_or([0; HEADER], |h| h.to_bytes());
        let at = FRONT + (set * WAYS as u64 + way as u64) * HEADER as u64;
        self.file.write_all_at(&bytes, at)
    }

    fn place(&self, set: u64, way: usize) -> u64 {
        let headers = self.sets * (WAYS * HEADER) as u64;
        FRONT + headers + (set * WAYS as u64 + way as u64) * BLOCK as u64
    }

    fn turn(&self, set: u64) -> std::sync::MutexGuard<'_, ()> {
        let turn = usize::try_from(set % TURNS as u64).unwrap_or(0);
        self.turns[turn]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Which place is given up. Good enough: a counter, well stirred.
    fn by_chance(&self) -> usize {
        let stirred = self
            .chance
            .fetch_add(1, Relaxed)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        usize::try_from(stirred >> 61).unwrap_or(0) % WAYS
    }

    /// A full disk makes the cache useless and nothing else; once is often enough to say so.
    fn tell(&self, written: io::Result<()>) {
        if let Err(error) = written
            && !self.has_failed.swap(true, Relaxed)
        {
            tracing::warn!(%error, "the cache cannot be written; reading goes on without what it lacks");
        }
    }
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..16].copy_from_slice(&self.name);
        bytes[16..20].copy_from_slice(&self.length.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.crc.to_le_bytes());
        let crc = crc32c(&bytes[..24]);
        bytes[24..28].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` where nothing is, or nothing whole.
    fn parse(bytes: &[u8; HEADER]) -> Option<Self> {
        let number = |at: usize| {
            let four = bytes[at..].first_chunk::<4>();
            u32::from_le_bytes(four.copied().unwrap_or_default())
        };
        let (length, crc) = (number(16), number(20));
        let is_whole = crc32c(&bytes[..24]) == number(24);
        let is_empty = bytes[..24] == [0; 24];
        (is_whole && !is_empty && length as usize <= BLOCK).then(|| Self {
            name: bytes.first_chunk::<16>().copied().unwrap_or_default(),
            length,
            crc,
        })
    }
}

/// Of a block under its name: a whole block of another name does not fit.
fn checksum(name: &Name, bytes: &[u8]) -> u32 {
    crc32c_of(&[name, bytes])
}

/// How many sets a file has; `None` when it is no cache.
fn sets_of(file: &File) -> io::Result<Option<u64>> {
    let mut front = [0; 32];
    match file.read_exact_at(&mut front, 0) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let sets = front.last_chunk::<8>().copied().unwrap_or_default();
    let sets = u64::from_le_bytes(sets);
    let length = sets.checked_mul(SET).and_then(|n| n.checked_add(FRONT));
    let is_cache = front.starts_with(MAGIC) && sets > 0 && length == Some(file.metadata()?.len());
    Ok(is_cache.then_some(sets))
}

/// An empty cache: a file with holes, which takes the disk's space as it fills.
fn make(file: &File, sets: u64) -> io::Result<()> {
    file.set_len(0)?;
    file.set_len(FRONT + sets * SET)?;
    let front = [&MAGIC[..], &sets.to_le_bytes()].concat();
    file.write_all_at(&front, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETS: u64 = 4;
    const BYTES: u64 = FRONT + SETS * SET;

    fn name(i: u8) -> Name {
        super::super::key(
            crate::storage::Content {
                digest: "d",
                object: "o",
            },
            i.into(),
        )
    }

    fn block(i: u8) -> Vec<u8> {
        vec![i; BLOCK - usize::from(i)]
    }

    fn bytes_of(folder: &Path) -> u64 {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|e| e.unwrap().metadata().unwrap().len()).sum()
    }

    #[test]
    fn blocks_survive_the_process_and_the_bound_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let cache = BlockCache::open(dir.path(), BYTES + SET - 1).unwrap();
        for i in 0..200 {
            cache.put(&name(i), &block(i));
            assert_eq!(cache.get(&name(i)), Some(block(i)), "{i}");
            assert!(bytes_of(dir.path()) <= BYTES);
        }
        drop(cache);
        let cache = BlockCache::open(dir.path(), BYTES).unwrap();
        let kept = (0..200).filter_map(|i| Some((i, cache.get(&name(i))?)));
        let kept: Vec<_> = kept.collect();
        assert!(kept.iter().all(|(i, bytes)| *bytes == block(*i)));
        let places = usize::try_from(SETS).unwrap() * WAYS;
        assert!(
            kept.len() <= places && kept.len() > places / 2,
            "{}",
            kept.len()
        );
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed_and_the_block_can_be_put_again() {
        let dir = tempfile::tempdir().unwrap();
        let cache = BlockCache::open(dir.path(), BYTES).unwrap();
        let path = dir.path().join("blocks.cache");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(path).unwrap();
        cache.put(&name(7), &block(7));
        let set = cache.set_of(&name(7));
        let header = FRONT + set * (WAYS * HEADER) as u64;
        let of_block = cache.place(set, 0);
        let in_header = (0..28).map(|i| header + i);
        let in_block = (0..block(7).len() as u64)
            .step_by(311)
            .map(|i| of_block + i);
        for at in in_header.chain(in_block) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 16], at).unwrap();
            assert_eq!(cache.get(&name(7)), None, "byte {at}");
            // Whatever stood there before, the place is free again.
            file.write_all_at(&[0; WAYS * HEADER], header).unwrap();
            cache.put(&name(7), &block(7));
            assert_eq!(cache.get(&name(7)), Some(block(7)), "byte {at}");
        }
    }

    #[test]
    fn a_write_cut_anywhere_leaves_the_old_block_the_new_one_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let cache = BlockCache::open(dir.path(), LEAST).unwrap();
        let path = dir.path().join("blocks.cache");
        (0..8).for_each(|i| cache.put(&name(i), &block(i)));
        let before = fs::read(&path).unwrap();
        cache.put(&name(9), &block(9));
        let after = fs::read(&path).unwrap();
        let differ: Vec<usize> = (0..before.len())
            .filter(|&i| before[i] != after[i])
            .collect();
        // The bytes that changed, in the order of the file and in that of writing, cut anywhere.
        for cut in (0..differ.len()).step_by(509) {
            for turned in [false, true] {
                let mut torn = before.clone();
                let changed: Vec<&usize> = match turned {
                    false => differ.iter().take(cut).collect(),
                    true => differ.iter().rev().take(cut).collect(),
                };
                changed.into_iter().for_each(|&i| torn[i] = after[i]);
                fs::write(&path, &torn).unwrap();
                for i in 0..10 {
                    let found = cache.get(&name(i));
                    assert!(found.is_none() || found == Some(block(i)), "{i} {cut}");
                }
            }
        }
    }

    #[test]
    fn two_processes_at_one_cache_never_see_each_others_half_written_blocks() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for first in 0..4u8 {
                let folder = dir.path();
                scope.spawn(move || {
                    // As another process has it: a file, and locks, of its own.
                    let cache = BlockCache::open(folder, LEAST).unwrap();
                    for round in 0..500u16 {
                        let i = u8::try_from((round * 7 + u16::from(first)) % 32).unwrap();
                        match cache.get(&name(i)) {
                            Some(found) => assert!(found == block(i)),
                            None => cache.put(&name(i), &block(i)),
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn another_size_begins_anew_and_does_not_disturb_who_is_at_work() {
        let dir = tempfile::tempdir().unwrap();
        let cache = BlockCache::open(dir.path(), BYTES).unwrap();
        cache.put(&name(1), &block(1));
        let second = BlockCache::open(dir.path(), LEAST).unwrap();
        assert_eq!(second.get(&name(1)), Some(block(1)));
        drop((cache, second));
        let third = BlockCache::open(dir.path(), LEAST).unwrap();
        assert_eq!(third.get(&name(1)), None);
        assert_eq!(bytes_of(dir.path()), LEAST);
        fs::write(dir.path().join("blocks.cache"), b"something else").unwrap();
        drop(third);
        assert!(BlockCache::open(dir.path(), LEAST).is_ok());
    }
}
