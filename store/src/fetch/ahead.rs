//! Chunks of many patches, fetched together from afar before they are decoded one by one.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chipmill_schemas::band::Resolution;

use super::Shards;
use crate::layout;
use crate::object::is_address;
use crate::shard::{self, Span};
use crate::storage::{self, Content, Place, Wanted};

/// Sentinel-1 among the groups of a [`Fetched`].
pub(crate) const S1_GROUP: usize = 3;

/// Chunks of some patches, in memory as they are stored, for [`StoreReader::read_fetched`]; or why they
/// could not be had.
///
/// [`StoreReader::read_fetched`]: crate::StoreReader::read_fetched
#[derive(Debug, Default)]
pub struct Fetched {
    chunks: HashMap<(usize, u32), io::Result<Bytes>>,
}

/// A chunk: its group, its row, its object, and where it lies in that.
pub(crate) type Chunk = (usize, u32, String, Span);

impl Fetched {
    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.chunks.values().flatten().map(Bytes::len).sum()
    }

    /// A chunk, if it was asked for.
    pub(crate) fn chunk(&self, group: usize, row: u32) -> Option<io::Result<&[u8]>> {
        let chunk = self.chunks.get(&(group, row))?;
        Some(match chunk {
            Ok(bytes) => Ok(bytes),
            Err(e) => Err(io::Error::new(e.kind(), e.to_string())),
        })
    }

    /// Fetches chunks, all at once.
    pub(crate) fn add(&mut self, root: &Path, digest: Option<&str>, chunks: &[Chunk]) {
        let path = |chunk: &Chunk| layout::object_path(root, &chunk.2);
        let paths: Vec<PathBuf> = chunks.iter().map(path).collect();
        let wanted = chunks
            .iter()
            .zip(&paths)
            .map(|((_, _, object, span), path)| Wanted {
                path,
                content: digest.map(|digest| Content { digest, object }),
                place: Place::Range(span.offset..span.offset + span.bytes as u64),
            });
        let wanted: Vec<_> = wanted.collect();
        let parts = storage::of(root).map(|s| s.read_parts(&wanted));
        let parts = parts.ok().flatten().unwrap_or_default();
        for ((group, row, ..), part) in chunks.iter().zip(parts) {
            // Copied: a slice would keep all that was fetched together with it.
            let chunk = part.map(|p| Bytes::copy_from_slice(&p.bytes));
            self.chunks.insert((*group, *row), chunk);
        }
    }
}

impl Shards {
    /// Fetches the chunks of some patches with few requests; `None` where the store is on this machine, and
    /// reading one after the other is as good.
    pub(crate) fn fetch(&self, rows: &[u32], groups: &[Resolution]) -> Option<Fetched> {
        if !is_address(&self.root) {
            return None;
        }
        let mut fetched = Fetched::default();
        let failed = self.load_tables(rows, groups);
        let mut chunks = Vec::new();
        for &group in groups {
            for &row in rows {
                let (shard, place) = self.shape.locate(row);
                let slot = self.groups[group.index()].get(shard as usize);
                let spans = slot.and_then(|s| s.spans.get());
                if let Some(&span) = spans.and_then(|s| s.get(place as usize)) {
                    chunks.push((group.index(), row, self.object_of(group, row), span));
                } else if let Some(e) = failed.get(&(group.index(), shard)) {
                    let e = io::Error::new(e.kind(), e.to_string());
                    fetched.chunks.insert((group.index(), row), Err(e));
                }
            }
        }
        fetched.add(&self.root, self.digest.as_deref(), &chunks);
        Some(fetched)
    }

    /// Loads the offset tables that some pages need, all at once where they are far away.
    pub(crate) fn prepare(&self, pages: &[Range<u32>], groups: &[Resolution]) {
        if is_address(&self.root) {
            let ends = pages.iter().flat_map(|rows| [rows.start, rows.end - 1]);
            let ends: Vec<u32> = ends.collect();
            self.load_tables(&ends, groups);
        }
    }

    /// Loads the offset tables that these patches need and that are not there yet; gives those that could
    /// not be fetched. One that is fetched and wrong is told when it is read.
    fn load_tables(&self, rows: &[u32], groups: &[Resolution]) -> HashMap<(usize, u32), io::Error> {
        let shards: BTreeSet<u32> = rows.iter().map(|&row| self.shape.locate(row).0).collect();
        let all = groups
            .iter()
            .flat_map(|&g| shards.iter().map(move |&s| (g, s)));
        let is_missing = |&(group, shard): &(Resolution, u32)| {
            let slot = self.groups[group.index()].get(shard as usize);
            slot.is_some_and(|s| s.spans.get().is_none())
        };
        let missing: Vec<(Resolution, u32)> = all.filter(is_missing).collect();
        let object = |&(group, shard): &(Resolution, u32)| {
            let object = layout::shard_object(group, u64::from(shard));
            let path = layout::object_path(&self.root, &object);
            (object, path)
        };
        let objects: Vec<(String, PathBuf)> = missing.iter().map(object).collect();
        let bytes = shard::index_bytes(self.shape.shard_patches as usize);
        let wanted: Vec<_> = objects
            .iter()
            .map(|(object, path)| Wanted {
                path,
                content: self.content(object),
                place: Place::Tail(bytes),
            })
            .collect();
        let parts = storage::of(&self.root).map(|s| s.read_parts(&wanted));
        let parts = parts.ok().flatten().unwrap_or_default();
        let mut failed = HashMap::new();
        for ((group, shard), part) in missing.into_iter().zip(parts) {
            match part {
                Ok(index) => {
                    if let Ok(spans) = self.parse_index(group, shard, &index) {
                        let _ = self.groups[group.index()][shard as usize].spans.set(spans);
                    }
                }
                Err(e) => {
                    failed.insert((group.index(), shard), e);
                }
            }
        }
        failed
    }
}
