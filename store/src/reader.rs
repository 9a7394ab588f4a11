//! An open store: its manifest, its table, and the pixels of any patch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chipmill_schemas::band::{PATCH_BYTES, Resolution};
use chipmill_schemas::manifest::Manifest;
use chipmill_schemas::patch::Split;
use chipmill_schemas::statistics::SetStatistics;

use crate::error::{FetchError, OpenError, ReadError};
use crate::fetch::{Fetched, Shards};
use crate::layout;
use crate::pixels::PatchPixels;
use crate::root::Root;
use crate::rows::PatchTable;
use crate::s1::{S1Pixels, S1Shards};
use crate::table;

/// A store that is open for reading. Clones share everything; any number of threads may read.
#[derive(Debug, Clone)]
pub struct StoreReader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    root: Root,
    table: PatchTable,
    shards: Shards,
    s1: Option<S1Shards>,
}

impl Inner {
    fn open(path: &Path) -> Result<Self, OpenError> {
        let root = Root::read(path)?;
        if !root.intact {
            let reason = "its content does not match the digest in it";
            return Err(OpenError::damaged(path, layout::NODE, reason));
        }
        let table = table::decode(root.read_object(path, layout::PATCHES)?)
            .map_err(|e| OpenError::damaged(path, layout::PATCHES, e))?;
        if table.len() as u64 != root.manifest.patches {
            let (found, expected) = (table.len(), root.manifest.patches);
            let reason = format!("it has {found} rows, expected {expected}");
            return Err(OpenError::damaged(path, layout::PATCHES, reason));
        }
        let digest = Some(&*root.digest);
        let shards = Shards::new(path, root.shape(), digest);
        let has_s1 = root.manifest.s1.is_some();
        let s1 = has_s1.then(|| S1Shards::new(path, root.shape(), digest));
        let path = path.to_owned();
        Ok(Self {
            path,
            root,
            table,
            shards,
            s1,
        })
    }
}

impl StoreReader {
    /// Opens a store and loads its table; shards are touched when they are read.
    ///
    /// # Errors
    /// [`OpenError::NotAStore`], [`OpenError::Incomplete`] for an ingest that has not finished,
    /// [`OpenError::Version`] for another major format, [`OpenError::Damaged`] when the root's metadata
    /// or the table are not the bytes that were written.
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        Inner::open(root).map(|inner| Self {
            inner: Arc::new(inner),
        })
    }

    /// As [`open`](Self::open), for a store that stays as it is: where it is uncompressed and on this machine,
    /// [`read_f32`](Self::read_f32) widens pixels from where they lie in the system's file cache, without
    /// the copy that reading a file is (figures: docs/benchmarks.md). Of any other store nothing
    /// is different. What is read counts as memory of this process as long as the system caches it.
    ///
    /// The first time that a patch is read, a shard that was shortened, or that the disk does not give, is an
    /// error as ever, where the system can be asked beforehand (Linux 5.14 and later). Afterwards, or elsewhere,
    /// it ends the process with SIGBUS.
    ///
    /// # Safety
    /// Until the last clone of the reader is dropped, no process may change or shorten the store's shards.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[expect(unsafe_code, reason = "a map is only as good as its file (ADR 0027)")]
    pub unsafe fn open_mapped(root: &Path) -> Result<Self, OpenError> {
        let mut inner = Inner::open(root)?;
        // SAFETY: the caller promises just that, and the shards live no longer than the last clone.
        unsafe { inner.shards.allow_maps() };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// What the store says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.inner.root.manifest
    }

    /// One row a patch, in store order.
    #[must_use]
    pub fn table(&self) -> &PatchTable {
        &self.inner.table
    }

    /// Patches in the store.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.table.len()
    }

    /// Whether there are no patches (no store that chipmill writes is empty).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.table.is_empty()
    }

    /// The store's folder or address, as given to [`open`](Self::open).
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// BLAKE3 of the root `zarr.json` (hex). As that names the digest of `units.parquet`, which names
    /// the digests of all shards, it stands for every byte of the store.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.inner.root.digest
    }

    /// Band statistics of one split, or of all patches.
    #[must_use]
    pub fn statistics(&self, split: Option<Split>) -> Option<&SetStatistics> {
        let sets = &self.manifest().statistics;
        sets.iter().find(|s| s.split == split)
    }

    /// Reads some resolution groups of one patch; those not asked for stay as they are.
    ///
    /// # Shapes
    /// Fills `[band, y, x]` groups of `u16`, digital numbers as ingested (reflectance x 10,000).
    ///
    /// # Errors
    /// [`ReadError::Patch`], naming the patch and the object, when a chunk is absent or its checksum
    /// does not hold; the groups are then not to be used. [`ReadError::OutOfRange`].
    pub fn read(
        &self,
        index: u32,
        groups: &[Resolution],
        into: &mut PatchPixels,
    ) -> Result<(), ReadError> {
        self.read_fetched(None, index, groups, into)
    }

    /// Fetches some resolution groups of many patches with few requests, where the store lies in an object
    /// store: what is near is fetched together, and everything at once. `None` where it lies on this
    /// machine: reading one patch after the other is as good there.
    ///
    /// What could not be fetched is told by [`read_fetched`](Self::read_fetched), patch by patch. Memory:
    /// the chunks as they are stored, and what lies between those that were fetched together.
    #[must_use]
    pub fn fetch(&self, rows: &[u32], groups: &[Resolution]) -> Option<Fetched> {
        self.inner.shards.fetch(rows, groups)
    }

    /// As [`read`](Self::read), without asking again for what was fetched.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_fetched(
        &self,
        fetched: Option<&Fetched>,
        index: u32,
        groups: &[Resolution],
        into: &mut PatchPixels,
    ) -> Result<(), ReadError> {
        self.check_index(index)?;
        for &resolution in groups {
            let read = self.inner.shards.read(resolution, index, fetched, into);
            read.map_err(|source| self.group_error(resolution, index, source))?;
        }
        Ok(())
    }

    /// Reads one patch as `f32` into a place of a batch, past the processor's caches: a batch is larger than
    /// they are. `pixels` is a work area; what is in it afterwards is not told.
    ///
    /// # Shapes
    /// Fills 80,000 values: `10m`, `20m` and `60m`, each `[band, y, x]` in C order, digital numbers
    /// 0.0..=65,535.0.
    ///
    /// # Errors
    /// As [`read`](Self::read); the place is then not to be used.
    ///
    /// # Panics
    /// Where `into` has not just as many values.
    pub fn read_f32(
        &self,
        fetched: Option<&Fetched>,
        index: u32,
        pixels: &mut PatchPixels,
        mut into: &mut [f32],
    ) -> Result<(), ReadError> {
        assert_eq!(into.len() * size_of::<u16>(), PATCH_BYTES, "one patch");
        self.check_index(index)?;
        for resolution in Resolution::ALL {
            let (group, rest) = into.split_at_mut(resolution.chunk_len());
            let shards = &self.inner.shards;
            let read = shards.read_f32(resolution, index, fetched, pixels, group);
            read.map_err(|source| self.group_error(resolution, index, source))?;
            into = rest;
        }
        Ok(())
    }

    /// Asks for some resolution groups of pages of consecutive patches, in one piece each, and does not wait
    /// for their pixels: the system is asked to load them into its file cache, an object store to send them
    /// to the cache of [`use_cache`](crate::use_cache), if there is one. For readers who know what they will
    /// read, on disks that seek slowly and from afar. Rows beyond the last patch are left out.
    ///
    /// It is a hint and cannot fail; where nothing can be asked, nothing happens.
    pub fn prefetch(&self, pages: &[std::ops::Range<u32>], groups: &[Resolution]) {
        let patches = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let pages = pages.iter().map(|rows| rows.start..rows.end.min(patches));
        let pages: Vec<_> = pages.filter(|rows| !rows.is_empty()).collect();
        self.inner.shards.prepare(&pages, groups);
        for rows in pages {
            for &resolution in groups {
                let (first, last) = (rows.start, rows.end - 1);
                self.inner.shards.prefetch(resolution, first, last);
            }
        }
    }

    /// Reads the bytes of one chunk as they are stored: compressed, with their crc32c at the end, which
    /// is not compared. For measuring and copying; [`read`](Self::read) is for using.
    ///
    /// # Errors
    /// As [`read`](Self::read), but for what only decoding shows.
    pub fn read_stored(
        &self,
        index: u32,
        resolution: Resolution,
        into: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        self.check_index(index)?;
        let read = self.inner.shards.read_stored(resolution, index, into);
        read.map_err(|source| self.group_error(resolution, index, source))
    }

    /// Decodes a chunk that [`read_stored`](Self::read_stored) gave, its crc32c checked. Its bytes serve as a
    /// work area: what is left in them is no chunk.
    ///
    /// # Errors
    /// As [`read`](Self::read), but for what only reading shows.
    pub fn decode_stored(
        &self,
        index: u32,
        resolution: Resolution,
        chunk: &mut [u8],
        into: &mut PatchPixels,
    ) -> Result<(), ReadError> {
        let values = into.group_slice_mut(resolution);
        let decoded = crate::codec::decode_pixels(self.manifest().codec, chunk, values);
        decoded.map_err(|source| self.group_error(resolution, index, source.into()))
    }

    /// Whether the store has Sentinel-1; single patches may lack it all the same.
    #[must_use]
    pub fn has_s1(&self) -> bool {
        self.inner.s1.is_some()
    }

    /// Whether one patch has Sentinel-1; its chunk is not read.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`]; [`ReadError::Patch`] when the shard's index cannot be read.
    pub fn patch_has_s1(&self, index: u32) -> Result<bool, ReadError> {
        self.check_index(index)?;
        let Some(shards) = &self.inner.s1 else {
            return Ok(false);
        };
        let has = shards.has(index);
        has.map_err(|source| self.error(shards.object_of(index), index, source))
    }

    /// Reads the Sentinel-1 pixels of one patch. False where it has none, or the store: then they are all
    /// NaN.
    ///
    /// # Shapes
    /// Fills `[polarisation, y, x]`, `[2, 120, 120]` of `f32`, decibels as ingested; VV, then VH.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_s1(&self, index: u32, into: &mut S1Pixels) -> Result<bool, ReadError> {
        self.check_index(index)?;
        let Some(shards) = &self.inner.s1 else {
            into.values_mut().fill(f32::NAN);
            return Ok(false);
        };
        let read = shards.read(index, None, into);
        read.map_err(|source| self.error(shards.object_of(index), index, source))
    }

    fn check_index(&self, index: u32) -> Result<(), ReadError> {
        let patches = self.len();
        if (index as usize) < patches {
            Ok(())
        } else {
            Err(ReadError::OutOfRange { index, patches })
        }
    }

    fn group_error(&self, resolution: Resolution, index: u32, source: FetchError) -> ReadError {
        self.error(
            self.inner.shards.object_of(resolution, index),
            index,
            source,
        )
    }

    fn error(&self, object: String, index: u32, source: FetchError) -> ReadError {
        let id = self.inner.table.id(index as usize);
        ReadError::Patch {
            patch: id.unwrap_or_default().to_owned(),
            object,
            source,
        }
    }
}
